#pragma once

/* The three files about names that a container gets from us. Pure: text in, text out. */

#include <stdbool.h>

#include "engine/base/str.h"

struct buf;
struct error;

struct resolv_conf_options {
    const char *host_text;  /* the host's /etc/resolv.conf: search list and options come from it */
    struct strings search;  /* dns_search: replaces the host's; one "." empties it */
    struct strings options; /* dns_opt: replaces the host's */
    bool has_resolver;      /* nameserver 127.0.0.11 and ndots:0; else the servers below */
    struct strings dns_servers; /* without resolver: instead of the host's */
};

void resolv_conf_print(struct buf *out, const struct resolv_conf_options *options);

struct hosts_options {
    const char *hostname;
    const char *domainname;   /* NULL: none */
    struct strings addresses; /* of the container, in the order of its networks */
    struct pairs extra_hosts; /* name → address, or "host-gateway" */
    const char *host_gateway; /* gateway of the default network; NULL: none */
    bool has_ipv6;            /* of its own, beyond loopback */
};

/* ERROR_INVALID for an extra host whose address is none; ERROR_UNSUPPORTED for host-gateway without
 * gateway. */
int hosts_print(struct buf *out, const struct hosts_options *options, struct error *err);

void hostname_print(struct buf *out, const char *hostname);
