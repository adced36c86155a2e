#pragma once

/* The name server that containers see on 127.0.0.11:53.
 *
 * It answers from sockets inside the container's network namespace on unprivileged ports, reached
 * by stateless rewriting of the port there: the container can still bind port 53 on every address
 * of its own, and no connection tracking is switched on for it (reference 1.12).
 *
 * Known names: those of running endpoints on the container's networks, from run/networks/NAME/
 * endpoints, watched by inotify. A name that was written before a query was sent is seen by that
 * query. All else is forwarded: to the `dns_servers` of the container from inside its namespace, or
 * to the host's resolvers from the host's. Containers that are only on internal networks reach the
 * host's resolvers never. */

#include <stdbool.h>

#include "engine/base/str.h"

struct error;
struct event_base;
struct resolver;

struct resolver_options {
    int run_fd;              /* BERTH_RUN; duplicated */
    const char *resolv_conf; /* the host's; NULL: /etc/resolv.conf. Loopback servers
                              * in it are fine: it is asked from the host's namespace */
};

struct resolver_container {
    const char *id;
    int netns_fd;               /* borrowed; sockets opened in it keep the namespace alive until
                                 * resolver_remove_container */
    struct strings networks;    /* in the order in which their names are looked up */
    struct strings dns_servers; /* addresses; empty: the host's */
    bool is_internal_only;      /* every network is internal */
};

int resolver_new(struct event_base *base, const struct resolver_options *options,
                 struct resolver **ret, struct error *err);
void resolver_free(struct resolver *resolver); /* NULL is fine */

/* Also for a container that is known: sockets and rules are made anew (a new keeper does this for
 * every container it finds, with the namespace from /proc/PID/ns/net). */
int resolver_add_container(struct resolver *resolver, const struct resolver_container *container,
                           struct error *err);

/* Closes its sockets: the namespace can go. Unknown ids are fine. Call it as soon as the
 * container's first process is gone. */
void resolver_remove_container(struct resolver *resolver, const char *id);
