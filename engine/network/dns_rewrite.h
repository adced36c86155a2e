#pragma once

/* The rewriting in a container's namespace that makes 127.0.0.11:53 lead to our sockets: stateless,
 * so that no connection tracking is switched on there, and the container's own port 53 stays free.
 */

#include <stdint.h>

struct buf;
struct error;

struct dns_rewrite {
    uint16_t udp_port, tcp_port; /* of our sockets on 127.0.0.11 */
};

/* Replaces a former one. The calling thread is in the container's namespace. */
int dns_rewrite_install(const struct dns_rewrite *rewrite, struct error *err);

void dns_rewrite_print(struct buf *out, const struct dns_rewrite *rewrite);
