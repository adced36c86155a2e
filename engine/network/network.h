#pragma once

/* Networks: what they are, where their records live, and the two things done with them: making one
 * and attaching a container to it.
 *
 * Theory of the folder
 *   A network is a record (state), a bridge (kernel), some set elements in one nftables table
 *   (kernel) and a directory of endpoints (run). The records are the truth: everything in the
 *   kernel can be rebuilt from them (network_ensure_up, network_rebuild_firewall).
 *
 *   state/networks/NAME.json                    struct network_record
 *   state/networks/.lock                        held while a subnet is chosen or a network goes
 *   run/networks/NAME/endpoints/IP_ID.json      struct network_endpoint, one file each; IP+ID.json
 *                                               while it is running
 *   run/networks/NAME/lock                      held while an address is chosen
 *   run/networks/.BRIDGE                        held while a bridge is made or deleted
 *   run/networks/.firewall                      shared: elements change; exclusive: table (re)made
 *
 *   One file per endpoint and not one file for all: attaching the hundredth container costs what
 *   the first costs, and a resolver is told by inotify which endpoint changed. The file's name says
 *   address and container, so choosing an address is one readdir and opens nothing.
 *
 *   layers: netlink (messages) → rtnl, nft_encode → nft_ruleset → firewall → network;
 *           allocate (pure), endpoints (files), port, proxy, resolver, forward, hostfiles.
 *
 * Callers are single-threaded (the network namespace is switched for the calling thread for some
 * microseconds). Everything needs CAP_NET_ADMIN and CAP_SYS_ADMIN unless it says "reads only". */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/str.h"
#include "engine/network/hostfiles.h"
#include "engine/network/port.h"
#include "engine/network/proxy.h"
#include "engine/network/resolver.h"

struct arena;
struct error;

enum {
    NETWORK_IFNAME_SIZE = 16, /* IFNAMSIZ */
    NETWORK_IPV4_SIZE = 16,   /* INET_ADDRSTRLEN: "255.255.255.255" and NUL */
    NETWORK_MAC_SIZE = 18,    /* "02:42:ac:12:00:02" and NUL */
};

/* The two roots, borrowed. A networks/ directory is made below each when needed. */
struct network_dirs {
    int state_fd; /* BERTH_ROOT */
    int run_fd;   /* BERTH_RUN */
    /* Of network_open_firewall, for processes that live long; 0: opened for every change. Closing
     * such a socket waits until the kernel has freed what was deleted by anyone (10 ms). */
    int firewall_fd;
};

int network_open_firewall(int *ret_fd, struct error *err);

struct network_definition {
    const char *name;    /* final and unique on the host: "shop_default"; [A-Za-z0-9][A-Za-z0-9_.-]*
                          */
    const char *project; /* NULL: made by hand */
    const char *key;     /* name in the project file; NULL: made by hand */
    const char *subnet;  /* "10.5.0.0/24"; NULL: chosen */
    const char *gateway; /* inside the subnet; NULL: its first address */
    bool is_internal;    /* no way out, and no published port */
    struct pairs labels;
};

/* What a made network is. Arena-owned. */
struct network_record {
    struct network_definition spec; /* as asked: subnet and gateway stay NULL if they were chosen */
    const char *bridge;             /* interface name */
    const char *subnet;             /* "172.18.0.0/24" */
    const char *gateway;            /* "172.18.0.1" */
    const char *bridge_mac;
    uint32_t mtu;
    int64_t created_ns; /* realtime */
};

struct network_records {
    const struct network_record **items; /* sorted by name */
    size_t n;
};

/* Make a network, or make sure that it is as recorded: idempotent, and completes what a killed
 * predecessor began. ERROR_CONFLICT if it exists with another subnet, gateway or internal; if the
 * subnet overlaps another network or an address of this host. *ret lives in the arena. */
int network_create(struct arena *arena, const struct network_dirs *dirs,
                   const struct network_definition *spec, const struct network_record **ret,
                   struct error *err);

/* Bridge, firewall elements and forwarding as the record says; makes what is missing (after a
 * reboot, after `nft flush ruleset`). Cheap when nothing is. */
int network_ensure_up(const struct network_dirs *dirs, const struct network_record *record,
                      struct error *err);

/* Remove endpoints' directory, firewall elements, record and bridge. Absent is fine. ERROR_CONFLICT
 * naming the containers while endpoints exist. With the last network goes the firewall table.
 *
 * The kernel takes 30 ms and more for the bridge: a child process waits for that, holding the
 * bridge's lock, so that a network_create of the same name begins after it. */
int network_remove(const struct network_dirs *dirs, const char *name, struct error *err);

/* Reads only. */
int network_list(struct arena *arena, const struct network_dirs *dirs, struct network_records *ret,
                 struct error *err);
/* Reads only. ERROR_NOT_FOUND names it. */
int network_find(struct arena *arena, const struct network_dirs *dirs, const char *name,
                 const struct network_record **ret, struct error *err);
/* Reads only: ret_up[i] is true when the bridge of records[i] exists and is up, containers can be
 * attached to it (no removal has begun) and the firewall table is there. One netlink conversation
 * for all. */
int network_check_up(const struct network_dirs *dirs, const struct network_records *records,
                     bool *ret_up, struct error *err);

/* Tear down and make the firewall table again from all records, in one atomic batch. */
int network_rebuild_firewall(const struct network_dirs *dirs, struct error *err);

/* A port that DNAT forwards: 0.0.0.0 means every address of the host. */
struct network_port {
    char host_ip[NETWORK_IPV4_SIZE];
    uint16_t host_port;
    uint16_t container_port;
    enum port_protocol protocol;
};

enum { NETWORK_PORTS_MAX = 2000, NETWORK_NAMES_MAX = 200 };

/* A container on a network. */
struct network_endpoint {
    const char *container;      /* id */
    const char *container_name; /* what PTR and error messages say */
    const char *project;        /* NULL: none */
    struct strings
        names; /* it answers to: container name, service, aliases, short id; lower case */
    char ip[NETWORK_IPV4_SIZE];
    char mac[NETWORK_MAC_SIZE];
    char ifname[NETWORK_IFNAME_SIZE];
    char host_ifname[NETWORK_IFNAME_SIZE];
    bool is_running; /* resolvers answer only then */
    struct network_port *ports;
    size_t n_ports;
};

struct network_endpoints {
    struct network_endpoint *items; /* sorted by address */
    size_t n;
};

struct network_attachment {
    const char *container; /* id: [A-Za-z0-9][A-Za-z0-9_.-]{0,127} */
    const char *container_name;
    const char *project;
    struct strings names; /* the container's name is added by itself; any case */
    const char *ip;       /* static address; NULL: the lowest free one */
    int netns_fd;         /* borrowed */
    const char *ifname;   /* "eth0" */
    bool is_default_route;
};

/* Give the container an address and an interface with it. The endpoint is not running yet. Doing it
 * again for the same container gives it a fresh interface in the given namespace and the address it
 * had (when `ip` is NULL). ERROR_CONFLICT when `ip` is taken, naming by whom. */
int network_attach(struct arena *arena, const struct network_dirs *dirs,
                   const struct network_record *record, const struct network_attachment *attachment,
                   const struct network_endpoint **ret, struct error *err);

/* Names become resolvable (true) or not (false). ERROR_NOT_FOUND if it isn't attached. */
int network_endpoint_set_running(const struct network_dirs *dirs, const char *network,
                                 const char *container, bool is_running, struct error *err);

/* Replace the ports that are published for the endpoint (all of a container's ports go to the
 * network of its default route): one firewall batch. n_ports = 0 withdraws them. The caller holds
 * the reservations (port.h). On an internal network: ERROR_UNSUPPORTED. */
int network_publish(const struct network_dirs *dirs, const struct network_record *record,
                    const char *container, const struct network_port *ports, size_t n_ports,
                    struct error *err);

/* Withdraw ports, cut the interface off, free the address. The interface itself goes with its
 * namespace, which the kernel does in its own time (deleting it here would wait 30 ms). Needs only
 * the files, so it also reclaims endpoints of containers that are long gone. Idempotent. */
int network_detach(const struct network_dirs *dirs, const char *network, const char *container,
                   struct error *err);

/* Reads only. A network without directory has none. */
int network_list_endpoints(struct arena *arena, const struct network_dirs *dirs,
                           const char *network, struct network_endpoints *ret, struct error *err);

/* A new network namespace: loopback up, IPv6 off for interfaces to come, ping and low ports without
 * privilege (as Docker). The caller owns *ret_fd. */
int netns_new(int *ret_fd, struct error *err);
