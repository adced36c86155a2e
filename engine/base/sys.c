/* System calls without a wrapper, descriptors over sockets, and what /proc says. */

#include "engine/base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/str.h"
#include "engine/base/units.h"

int sys_openat2(int dirfd, const char *path, const struct open_how *how)
{
    return (int)syscall(SYS_openat2, dirfd, path, how, sizeof(*how));
}

pid_t sys_clone3(const struct clone_args *args)
{
    return (pid_t)syscall(SYS_clone3, args, sizeof(*args));
}

/* Room for SYS_FDS_MAX descriptors, aligned as the kernel wants it. */
union fds_control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * SYS_FDS_MAX)];
};

ssize_t sys_send_fds(int socket, const void *data, size_t len, const int *fds, size_t n_fds)
{
    union fds_control control;
    struct iovec part;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t n;

    if (n_fds > SYS_FDS_MAX) {
        errno = E2BIG;
        return -1;
    }

    /* iovec has no const variant; sendmsg only reads. */
    memcpy(&part.iov_base, &data, sizeof(data));
    part.iov_len = len;
    if (n_fds) {
        memset(&control, 0, sizeof(control));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
    }

    do
        n = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Hand over at most `room` received descriptors and close the others. False if some were closed. */
static bool take_fds(struct msghdr *message, int *ret_fds, size_t room, size_t *ret_n)
{
    bool all_taken = true;
    size_t n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        size_t n_here;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        n_here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n_here; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (n < room) {
                ret_fds[n++] = fd;
            } else {
                close(fd);
                all_taken = false;
            }
        }
    }
    *ret_n = n;
    return all_taken;
}

ssize_t sys_receive_fds(int socket, void *data, size_t len, int *ret_fds, size_t *n_fds)
{
    union fds_control control;
    struct iovec part = {.iov_base = data, .iov_len = len};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    size_t n_taken = 0;
    bool all_taken;
    ssize_t n;

    do
        n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -1;

    all_taken = take_fds(&message, ret_fds, n_fds ? *n_fds : 0, &n_taken);
    if (!all_taken || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (size_t i = 0; i < n_taken; i++)
            close(ret_fds[i]);
        if (n_fds)
            *n_fds = 0;
        errno = EMSGSIZE;
        return -1;
    }
    if (n_fds)
        *n_fds = n_taken;
    return n;
}

uint64_t sys_process_start_ticks(pid_t pid)
{
    enum { FIELD_AFTER_COMM = 3, FIELD_STARTTIME = 22 };
    char path[64], stat[1024]; /* a stat line: a name of 64 bytes and 51 numbers, far less */
    cleanup_fd int fd = -1;
    struct str rest;
    uint64_t ticks;
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : fs_read(fd, stat, sizeof(stat));
    if (n <= 0)
        return 0;

    /* The name stands in parentheses and may hold anything: the fields count from the last ')'. */
    rest = (struct str){stat, (size_t)n};
    if (!str_cut_last(rest, ')', &(struct str){0}, &rest))
        return 0;
    rest = str_trim(rest);
    /* A zombie has ended; whoever is to reap it may take his time. */
    if (rest.len == 0 || rest.data[0] == 'Z' || rest.data[0] == 'X')
        return 0;
    for (int field = FIELD_AFTER_COMM; field < FIELD_STARTTIME; field++)
        if (!str_cut(rest, ' ', &(struct str){0}, &rest))
            return 0;
    str_cut(rest, ' ', &rest, &(struct str){0});
    return parse_u64(rest, 0, UINT64_MAX, &ticks, NULL) < 0 ? 0 : ticks;
}

int sys_boot_id(char ret_id[static 37], struct error *err)
{
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[37]; /* 36 characters and a newline */
    ssize_t n;

    if (fd < 0)
        return error_sys(err, errno, "open %s", path);
    n = fs_read(fd, text, sizeof(text));
    if (n < 0)
        return error_sys(err, errno, "read %s", path);
    if (n < 36)
        return error_set(err, ERROR_INVALID, "read %s: %zd bytes instead of 36", path, n);

    memcpy(ret_id, text, 36);
    ret_id[36] = '\0';
    return 0;
}

void sys_set_process_title(int argc, char **argv, const char *title)
{
    size_t room, len = strlen(title);

    (void)prctl(PR_SET_NAME, title, 0, 0, 0); /* cut to 15 bytes; a name is only a comfort */
    if (argc < 1)
        return;

    /* The arguments lie back to back: argv[0] up to the NUL of the last one. */
    room = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) - argv[0]);
    if (len > room)
        len = room;
    memset(argv[0], 0, room);
    memcpy(argv[0], title, len);
}
