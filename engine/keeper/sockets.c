/* Is somebody listening in a network namespace who wasn't before? Asked of the kernel
 * (sock_diag(7)), over a netlink socket that belongs to that namespace: some tens of microseconds.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/cleanup.h"
#include "engine/keeper/supervisor.h"

enum { REPLY_BYTES = 8 << 10 };

struct socket_watch {
    int fd;
    uint64_t fingerprint; /* of the listening sockets seen last */
};

struct inet_request {
    struct nlmsghdr header;
    struct inet_diag_req_v2 body;
};

struct unix_request {
    struct nlmsghdr header;
    struct unix_diag_req body;
};

static int socket_in(int netns_fd, struct error *err)
{
    cleanup_fd int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int fd, errnum;

    if (own < 0 || setns(netns_fd, CLONE_NEWNET) < 0)
        return error_sys(err, errno, "enter a network namespace");
    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    errnum = errno;
    /* We hold it and it was ours: it can't be refused. */
    if (setns(own, CLONE_NEWNET) < 0)
        BUG();
    return fd < 0 ? error_sys(err, errnum, "open a socket that lists sockets") : fd;
}

int socket_watch_new(int netns_fd, struct socket_watch **ret, struct error *err)
{
    int fd = socket_in(netns_fd, err);

    if (fd < 0)
        return -1;
    *ret = x_alloc(sizeof(**ret));
    (*ret)->fd = fd;
    return 0;
}

void socket_watch_free(struct socket_watch *watch)
{
    if (!watch)
        return;
    close(watch->fd);
    free(watch);
}

static uint64_t mix(uint64_t fingerprint, uint64_t family, uint64_t inode)
{
    uint64_t value = (inode + (family << 40)) * UINT64_C(0x9e3779b97f4a7c15);

    return fingerprint + (value ^ value >> 29); /* a sum: the order doesn't matter */
}

static uint64_t inode_of(struct nlmsghdr *header, int family)
{
    if (family == AF_UNIX)
        return ((const struct unix_diag_msg *)NLMSG_DATA(header))->udiag_ino;
    return ((const struct inet_diag_msg *)NLMSG_DATA(header))->idiag_inode;
}

/* false when the kernel doesn't answer as it should. */
static bool read_dump(int fd, int family, uint64_t *fingerprint)
{
    char reply[REPLY_BYTES] __attribute__((aligned(8)));

    for (;;) {
        ssize_t got = recv(fd, reply, sizeof(reply), 0);
        size_t len = (size_t)got;

        if (got <= 0)
            return false;
        for (struct nlmsghdr *header = (struct nlmsghdr *)(void *)reply; NLMSG_OK(header, len);
             header = NLMSG_NEXT(header, len)) {
            if (header->nlmsg_type == NLMSG_DONE)
                return true;
            if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY)
                return false; /* NLMSG_ERROR: no such module */
            *fingerprint = mix(*fingerprint, (uint64_t)family, inode_of(header, family));
        }
    }
}

static bool dump_inet(int fd, int family, uint64_t *fingerprint)
{
    struct inet_request request = {
        .header = {.nlmsg_len = sizeof(request),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.sdiag_family = (uint8_t)family,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_states = 1U << TCP_LISTEN},
    };

    return send(fd, &request, sizeof(request), 0) == (ssize_t)sizeof(request) &&
           read_dump(fd, family, fingerprint);
}

static bool dump_unix(int fd, uint64_t *fingerprint)
{
    struct unix_request request = {
        .header = {.nlmsg_len = sizeof(request),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.sdiag_family = AF_UNIX, .udiag_states = 1U << TCP_LISTEN},
    };

    return send(fd, &request, sizeof(request), 0) == (ssize_t)sizeof(request) &&
           read_dump(fd, AF_UNIX, fingerprint);
}

bool socket_watch_has_new(struct socket_watch *watch)
{
    uint64_t fingerprint = 0;
    bool changed;

    /* A family the kernel can't list adds nothing. */
    (void)dump_inet(watch->fd, AF_INET, &fingerprint);
    (void)dump_inet(watch->fd, AF_INET6, &fingerprint);
    (void)dump_unix(watch->fd, &fingerprint);
    changed = fingerprint != watch->fingerprint && fingerprint != 0;
    watch->fingerprint = fingerprint;
    return changed;
}
