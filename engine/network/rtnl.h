#pragma once

/* Links, addresses and routes through rtnetlink. The fd decides the network namespace: the one it
 * was opened in. No dumps on the attach path. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/network/allocate.h"
#include "engine/network/ipv4.h"

struct arena;
struct error;

int rtnl_open(int *ret_fd, struct error *err);

struct rtnl_link {
    int index;
    int master; /* index of the bridge; 0: none */
    uint32_t mtu;
    bool is_up;
    uint8_t mac[ALLOCATE_MAC_BYTES];
};

/* Returns 0, or 1 if there is no such link. */
int rtnl_link_find(int rtnl_fd, const char *name, struct rtnl_link *ret, struct error *err);

/* Absent is fine. */
int rtnl_link_delete(int rtnl_fd, const char *name, struct error *err);

/* Stop a bridge port: it forwards nothing from now on, and the bridge forgets what it learnt there.
 * Costs microseconds where deleting waits for RCU. Absent is fine. */
int rtnl_port_cut(int rtnl_fd, const char *name, struct error *err);

/* Make an interface a port of a bridge. Absent is fine. */
int rtnl_port_join(int rtnl_fd, const char *name, int bridge_index, struct error *err);

struct rtnl_bridge {
    const char *name;
    uint8_t mac[ALLOCATE_MAC_BYTES];
    uint32_t mtu;
    uint32_t address; /* the gateway; 0: none */
    uint8_t prefix_length;
};

/* Make the bridge or complete it: link, sysctls, address, up, in this order (reference 3.3). The
 * calling thread must be in the namespace of rtnl_fd, for the sysctls. */
int rtnl_bridge_ensure(int rtnl_fd, const struct rtnl_bridge *bridge, struct error *err);

struct rtnl_veth {
    const char *host_name;
    int bridge_index;
    uint32_t mtu;
    int netns_fd;     /* where the other end is born */
    const char *name; /* its name there */
    uint8_t mac[ALLOCATE_MAC_BYTES];
};

/* Make a pair: host end up and in the bridge, other end down in the namespace. One system call. */
int rtnl_veth_create(int rtnl_fd, const struct rtnl_veth *veth, struct error *err);

struct rtnl_interface {
    const char *name;
    uint32_t address;
    uint8_t prefix_length;
    uint32_t gateway; /* default route; 0: none */
};

/* In the container's namespace: up, address, default route. */
int rtnl_interface_up(int rtnl_fd, const struct rtnl_interface *interface, struct error *err);
int rtnl_loopback_up(int rtnl_fd, struct error *err);

struct rtnl_host_view {
    struct prefix_list routes;    /* every IPv4 route of every table, without those of `own_prefix`
                                   * links, local and broadcast ones */
    struct prefix_list addresses; /* every IPv4 prefix that a link has; without own links */
    uint32_t default_mtu;         /* of the link with the default route; 1500 without */
};

/* Dumps routes and addresses. Links whose name starts with `own_prefix` are left out. */
int rtnl_host_view(struct arena *arena, int rtnl_fd, const char *own_prefix,
                   struct rtnl_host_view *ret, struct error *err);

/* Write below /proc/sys/net of the calling thread's namespace. `name`: "ipv4/conf/eth0/rp_filter".
 */
int sysctl_write(const char *name, const char *value, struct error *err);
