/* Network namespaces. */

#include "engine/network/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/network/network.h"
#include "engine/network/rtnl.h"

static int open_own_namespace(int *ret_fd, struct error *err)
{
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_sys(err, errno, "open /proc/thread-self/ns/net");
    *ret_fd = fd;
    return 0;
}

int netns_visit_begin(struct netns_visit *visit, int netns_fd, struct error *err)
{
    cleanup_fd int home_fd = -1;

    if (open_own_namespace(&home_fd, err) < 0)
        return -1;
    if (setns(netns_fd, CLONE_NEWNET) < 0)
        return error_sys(err, errno, "enter network namespace");
    visit->home_fd = fd_take(&home_fd);
    return 0;
}

void netns_visit_end(struct netns_visit *visit)
{
    int saved = errno;

    if (visit->home_fd < 0)
        return;
    if (setns(visit->home_fd, CLONE_NEWNET) < 0)
        BUG();
    close(visit->home_fd);
    visit->home_fd = -1;
    errno = saved;
}

struct netns_sysctl {
    const char *name;
    const char *value;
};

/* Interfaces to come have no IPv6: we give IPv4 addresses only, and a link-local one would be a way
 * round the firewall. Loopback exists already and keeps ::1. The rest as Docker since 20.10.
 * Missing ones (kernel without IPv6) are fine. */
static const struct netns_sysctl netns_sysctls[] = {
    {"ipv6/conf/default/disable_ipv6", "1"},
    {"ipv6/conf/default/accept_ra", "0"},
    {"ipv4/ip_unprivileged_port_start", "0"},
    {"ipv4/ping_group_range", "0 2147483647"},
};

static int prepare_namespace(struct error *err)
{
    cleanup_fd int rtnl_fd = -1;

    for (size_t i = 0; i < sizeof(netns_sysctls) / sizeof(netns_sysctls[0]); i++) {
        struct error failure = ERROR_INIT;

        if (sysctl_write(netns_sysctls[i].name, netns_sysctls[i].value, &failure) < 0 &&
            failure.errnum != ENOENT) {
            if (err != NULL)
                *err = failure;
            return -1;
        }
    }
    if (rtnl_open(&rtnl_fd, err) < 0)
        return -1;
    return rtnl_loopback_up(rtnl_fd, err);
}

int netns_new(int *ret_fd, struct error *err)
{
    cleanup_netns_visit struct netns_visit visit = NETNS_VISIT_INIT;
    cleanup_fd int home_fd = -1;
    cleanup_fd int fd = -1;

    if (open_own_namespace(&home_fd, err) < 0)
        return -1;
    if (unshare(CLONE_NEWNET) < 0)
        return error_sys(err, errno, "create network namespace");
    visit.home_fd = fd_take(&home_fd);
    if (open_own_namespace(&fd, err) < 0 || prepare_namespace(err) < 0)
        return -1;

    *ret_fd = fd_take(&fd);
    return 0;
}
