/* Steps that turn the process into one of the container: namespaces, terminal, descriptors, limits.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "engine/container/zygote/call.h"
#include "engine/container/zygote/child.h"
#include "engine/container/zygote/inroot.h"

enum { DEVPTS_PTMX_INODE = 2, NULL_DEVICE = 0x103 /* 1:3 */, NUMBER_TEXT_SIZE = 24 };

static int write_text(int fd, const char *text)
{
    size_t size = text_size(text);
    long ret = call(SYS_write, fd, text, size);

    return ret < 0 ? (int)ret : (size_t)ret == size ? 0 : -EIO;
}

/* "0" is the writer itself. */
int step_join_cgroup(struct child *child, const struct wire_step *step)
{
    return write_text(child->slots[step->slot], "0");
}

/* After the cgroups were joined, since the namespace's root is where the process is now: on v1 a
 * CLONE_NEWCGROUP at birth would show the parent's. */
int step_new_cgroup_namespace(struct child *child, const struct wire_step *step)
{
    (void)child, (void)step;
    return (int)call(SYS_unshare, CLONE_NEWCGROUP);
}

int step_join_network(struct child *child, const struct wire_step *step)
{
    return (int)call(SYS_setns, child->slots[step->slot], CLONE_NEWNET);
}

int step_join_namespaces(struct child *child, const struct wire_step *step)
{
    long ret = call(SYS_setns, child->slots[step->slot], step->number[0]);

    if (ret == 0)
        ret = call(SYS_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (ret < 0)
        return (int)ret;
    child->root_fd = (int)ret;
    return 0;
}

/* Through the procfs we mounted ourselves a moment ago: no path of the image takes part. */
static int write_proc(const struct child *child, const char *path, const char *value,
                      uint64_t resolve)
{
    struct open_how how = {.flags = O_WRONLY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | resolve};
    long fd =
        child->proc_fd < 0 ? -ENOSYS : call(SYS_openat2, child->proc_fd, path, &how, sizeof(how));
    int ret;

    if (fd < 0)
        return (int)fd;
    ret = write_text((int)fd, value);
    close_fd((int)fd);
    return ret;
}

int step_sysctl(struct child *child, const struct wire_step *step)
{
    char path[256];
    size_t n = text_append(path, sizeof(path), 0, "sys/");

    n = text_append(path, sizeof(path), n, child_text(child, step->path));
    if (n + 1 >= sizeof(path))
        return -ENAMETOOLONG;
    return write_proc(child, path, child_text(child, step->text), RESOLVE_NO_SYMLINKS);
}

static const char *print_number(char buffer[static NUMBER_TEXT_SIZE], int64_t number)
{
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    size_t at = NUMBER_TEXT_SIZE;

    buffer[--at] = '\0';
    do
        buffer[--at] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (number < 0)
        buffer[--at] = '-';
    return buffer + at;
}

/* Below what we were born with only CAP_SYS_RESOURCE leads; without it, it stays as it is. */
int step_oom_score(struct child *child, const struct wire_step *step)
{
    char buffer[NUMBER_TEXT_SIZE];
    int ret =
        write_proc(child, "self/oom_score_adj", print_number(buffer, (int64_t)step->number[0]), 0);

    return ret == -EACCES || ret == -EPERM ? 0 : ret;
}

int step_hostname(struct child *child, const struct wire_step *step)
{
    const char *name = child_text(child, step->text);

    return (int)call(SYS_sethostname, name, text_size(name));
}

int step_session(struct child *child, const struct wire_step *step)
{
    (void)child, (void)step;
    /* A session keyring of its own. Where keyrings are missing or the quota is used up the
     * container simply has none. */
    (void)call(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);
    return (int)call(SYS_setsid);
}

/* The master of a new pair in the container's own devpts, checked to be exactly that: a symlink or
 * a file in its place never gets opened (CVE-2025-52565). */
static int open_master(const struct child *child)
{
    struct statfs file_system;
    struct stat status;
    int unlock = 0;
    int fd = inroot_open(child->root_fd, "dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW,
                         RESOLVE_NO_SYMLINKS);
    long ret;

    if (fd < 0)
        return fd;
    ret = call(SYS_fstatfs, fd, &file_system);
    if (ret == 0)
        ret = call(SYS_fstat, fd, &status);
    if (ret == 0 &&
        (file_system.f_type != DEVPTS_SUPER_MAGIC || status.st_ino != DEVPTS_PTMX_INODE))
        ret = -ENODEV;
    if (ret == 0)
        ret = call(SYS_ioctl, fd, TIOCSPTLCK, &unlock);
    if (ret == 0)
        return fd;
    close_fd(fd);
    return (int)ret;
}

static int bind_console(const struct child *child, int peer)
{
    int target = inroot_target(child->root_fd, "/dev/console", INROOT_FILE, 0600, 0);
    int tree =
        (int)call(SYS_open_tree, peer, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    long ret = target < 0 ? target : tree < 0 ? tree : 0;

    if (ret == 0)
        ret = call(SYS_move_mount, tree, "", target, "",
                   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
    close_fd(tree);
    close_fd(target);
    return (int)ret;
}

int step_terminal(struct child *child, const struct wire_step *step)
{
    const struct winsize size = {.ws_row = (unsigned short)(step->number[1] >> 16 & 0xffff),
                                 .ws_col = (unsigned short)(step->number[1] & 0xffff)};
    int master = open_master(child), peer;
    long ret;

    if (master < 0)
        return master;
    peer = (int)call(SYS_ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    ret = peer < 0 ? peer : 0;
    if (ret == 0 && step->number[1] != 0) /* a program that asks at once gets the right answer */
        ret = call(SYS_ioctl, master, TIOCSWINSZ, &size);
    if (ret == 0 && step->number[0] == 1)
        ret = bind_console(child, peer);
    if (ret == 0)
        ret = call(SYS_ioctl, peer, TIOCSCTTY, 0);
    for (int i = 0; i <= 2 && ret >= 0; i++)
        ret = call(SYS_dup3, peer, i, 0);
    close_fd(peer);
    child->terminal_fd = master;
    return ret < 0 ? (int)ret : 0;
}

/* The container's own null device, which the setup made; a regular file of that name would collect
 * what should vanish. */
static int open_null(const struct child *child)
{
    struct stat status;
    int fd = inroot_open(child->root_fd, "dev/null", O_RDWR | O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
    long ret;

    if (fd < 0)
        return fd;
    ret = call(SYS_fstat, fd, &status);
    if (ret == 0 && S_ISCHR(status.st_mode) && status.st_rdev == NULL_DEVICE)
        return fd;
    close_fd(fd);
    return ret < 0 ? (int)ret : -ENODEV;
}

int step_stdio(struct child *child, const struct wire_step *step)
{
    int fd = step->slot >= 0 ? child->slots[step->slot] : open_null(child);
    long ret = fd < 0 ? fd : call(SYS_dup3, fd, step->number[0], 0);

    if (step->slot < 0)
        close_fd(fd);
    return ret < 0 ? (int)ret : 0;
}

/* Where the host doesn't let us raise a limit (no CAP_SYS_RESOURCE) it stays at what we have. */
int step_rlimit(struct child *child, const struct wire_step *step)
{
    struct rlimit wanted = {step->number[1], step->number[2]}, old;
    long ret = call(SYS_prlimit64, 0, step->number[0], &wanted, NULL);

    (void)child;
    if (ret != -EPERM)
        return (int)ret;
    ret = call(SYS_prlimit64, 0, step->number[0], NULL, &old);
    if (ret < 0)
        return (int)ret;
    wanted.rlim_max = wanted.rlim_max < old.rlim_max ? wanted.rlim_max : old.rlim_max;
    wanted.rlim_cur = wanted.rlim_cur < wanted.rlim_max ? wanted.rlim_cur : wanted.rlim_max;
    return (int)call(SYS_prlimit64, 0, step->number[0], &wanted, NULL);
}

int step_umask(struct child *child, const struct wire_step *step)
{
    (void)child;
    (void)call(SYS_umask, step->number[0]);
    return 0;
}

/* A working directory that is a magic link (/proc/self/fd/7) or that lies outside of the root is
 * refused (CVE-2024-21626). number[0] = 1: make it when missing. */
int step_chdir(struct child *child, const struct wire_step *step)
{
    const char *path = child_text(child, step->path);
    int fd = inroot_open(child->root_fd, path, O_PATH | O_DIRECTORY, 0);
    char where[2] = "";
    long ret;

    if (fd == -ENOENT && step->number[0] == 1)
        fd = inroot_target(child->root_fd, path, INROOT_DIRECTORY, 0755, 0);
    if (fd < 0)
        return fd;
    ret = call(SYS_fchdir, fd);
    close_fd(fd);
    if (ret < 0)
        return (int)ret;
    ret = call(SYS_getcwd, where, sizeof(where)); /* ERANGE: longer, so look at the first byte */
    if (ret == -ERANGE) {
        char whole[4096];

        ret = call(SYS_getcwd, whole, sizeof(whole));
        where[0] = whole[0];
    }
    return ret < 0 ? (int)ret : where[0] == '/' ? 0 : -EPERM;
}
