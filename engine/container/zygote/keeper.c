/* Where the zygote lives, and starting a keeper when the last one is gone. */

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "engine/container/zygote/call.h"
#include "engine/container/zygote/zygote.h"

enum { MS_REC_PRIVATE = 16384 | (1 << 18), UMOUNT_DETACH = 2 };

static const int64_t restart_interval_ns = 1000000000;

int64_t zygote_now_ns(void)
{
    struct timespec now = {0, 0};

    (void)call(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000 + now.tv_nsec;
}

int zygote_watch(const struct zygote_state_table *zygote, int fd, uint64_t data)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = data};

    return (int)call(SYS_epoll_ctl, zygote->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* x: where a container's root is attached. empty, null: what masked paths show. */
static int make_root(int *ret_fd)
{
    int fs_fd = (int)call(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC), fd;
    long ret = fs_fd;

    if (ret >= 0)
        ret = call(SYS_fsconfig, fs_fd, FSCONFIG_SET_STRING, "mode", "0755", 0);
    if (ret >= 0)
        ret = call(SYS_fsconfig, fs_fd, FSCONFIG_SET_STRING, "size", "64k", 0);
    if (ret >= 0)
        ret = call(SYS_fsconfig, fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
    if (ret >= 0)
        ret = call(SYS_fsmount, fs_fd, FSMOUNT_CLOEXEC,
                   MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    close_fd(fs_fd);
    fd = (int)ret;
    if (ret >= 0)
        ret = call(SYS_mkdirat, fd, "x", 0700);
    if (ret >= 0)
        ret = call(SYS_mkdirat, fd, "empty", 0555);
    if (ret >= 0)
        ret = call(SYS_openat, fd, "null", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);
    if (ret >= 0)
        close_fd((int)ret);
    if (ret >= 0)
        *ret_fd = fd;
    return ret < 0 ? (int)ret : 0;
}

int zygote_enter_empty_root(const char **ret_what)
{
    struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
    int fd = -1;
    long ret;

    *ret_what = "unshare mount namespace";
    ret = call(SYS_unshare, CLONE_NEWNS);
    if (ret == 0)
        ret = call(SYS_mount, NULL, "/", NULL, MS_REC_PRIVATE, NULL);
    if (ret < 0)
        return (int)ret;
    *ret_what = "make empty root";
    ret = make_root(&fd);
    if (ret == 0)
        ret = call(SYS_move_mount, fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
    if (ret < 0)
        return (int)ret;
    *ret_what = "pivot to empty root";
    ret = call(SYS_fchdir, fd);
    if (ret == 0)
        ret = call(SYS_pivot_root, ".", ".");
    if (ret == 0)
        ret = call(SYS_umount2, ".", UMOUNT_DETACH);
    if (ret == 0)
        ret = call(SYS_chdir, "/");
    if (ret == 0)
        ret = call(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &read_only, sizeof(read_only));
    close_fd(fd);
    return (int)ret;
}

/* In the child. The new keeper sees the host's mounts again, and its socket on descriptor 3. */
_Noreturn static void be_keeper(struct zygote_state_table *zygote, int socket_fd)
{
    const char *strings[ZYGOTE_KEEPER_STRINGS_MAX + 2];
    const char *at = zygote->keeper_text;
    const char **envp = strings + zygote->keeper_argc + 1;
    uint64_t no_signals = 0;

    for (uint32_t i = 0; i < zygote->keeper_argc + zygote->keeper_envc; i++) {
        strings[i < zygote->keeper_argc ? i : i + 1] = at;
        at += text_size(at) + 1;
    }
    strings[zygote->keeper_argc] = NULL;
    envp[zygote->keeper_envc] = NULL;
    (void)call(SYS_setns, zygote->host_mounts_fd, CLONE_NEWNS); /* the exec below tells */
    (void)call(SYS_dup3, socket_fd, ZYGOTE_KEEPER_FD, 0);
    (void)call(SYS_dup3, zygote->keeper_exec_fd, ZYGOTE_KEEPER_EXEC_FD, O_CLOEXEC);
    (void)call(SYS_close_range, ZYGOTE_KEEPER_EXEC_FD + 1, ~0U, 0);
    (void)call(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, sizeof(no_signals));
    (void)call(SYS_setsid);
    (void)call(SYS_execveat, ZYGOTE_KEEPER_EXEC_FD, "", strings, envp, AT_EMPTY_PATH);
    end_process(127);
}

static int start_keeper(struct zygote_state_table *zygote)
{
    struct clone_args args = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
    int sockets[2];
    long ret = call(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets);

    if (ret < 0)
        return (int)ret;
    ret = call(SYS_clone3, &args, sizeof(args));
    if (ret == 0)
        be_keeper(zygote, sockets[1]);
    close_fd(sockets[1]);
    if (ret < 0) {
        close_fd(sockets[0]);
        return (int)ret;
    }
    zygote->keeper_pid = (int)ret;
    zygote->keeper_fd = sockets[0];
    zygote->is_writable_wanted = false;
    return zygote_watch(zygote, zygote->keeper_fd, ZYGOTE_WATCH_KEEPER);
}

bool zygote_restart_keeper(struct zygote_state_table *zygote)
{
    int64_t now = zygote_now_ns();

    bool is_too_soon = now - zygote->keeper_started_ns < restart_interval_ns;

    /* With nothing of ours there may still be containers of a zygote before us: one keeper is
     * tried, and ends by itself if nobody needs it. */
    if (zygote->is_retired || zygote->keeper_argc == 0 || (slots_are_empty(zygote) && is_too_soon))
        end_process(0);
    if (is_too_soon)
        return false;
    zygote->keeper_started_ns = now;
    if (start_keeper(zygote) < 0)
        return false;
    zygote->is_inventory_pending = true;
    zygote->is_alive_pending = false; /* the last one asked */
    for (uint32_t i = 0; i < zygote->n_slots; i++) {
        struct slot *slot = &zygote->slots[i];

        if (slot->is_used)
            slot->pending = PENDING_INVENTORY | (slot->is_reaped ? PENDING_END : 0U);
    }
    return true;
}
