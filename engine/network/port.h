#pragma once

/* Host ports: reserving them with sockets, so that nobody else takes them while a container has
 * them.
 *
 * The socket is bound (TCP: listening too) behind a packet filter that drops everything: traffic is
 * forwarded before it could reach the socket, and what comes before forwarding is set up is refused
 * by silence instead of being queued where nobody accepts. Reserved while the fds are open. */

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct buf;
struct error;

enum port_protocol { PORT_TCP, PORT_UDP };
enum { PORT_PROTOCOLS = 2 };
extern const char *const port_protocol_names[PORT_PROTOCOLS]; /* "tcp", "udp" */

struct port_request {
    const char *host_ip; /* "127.0.0.1", "::1", "[::1]", "0.0.0.0", "::"; NULL or "": all addresses
                          * of both families under one port number */
    uint16_t first;      /* 0: any free port (ephemeral range) */
    uint16_t last;       /* == first, or the end of a range of which one is taken */
    enum port_protocol protocol;
};

struct port_reservation {
    int fd4; /* -1: no IPv4 side. Publish it with network_publish */
    int fd6; /* -1: no IPv6 side (or the host has no IPv6). Forward it with proxy_start */
    uint16_t port;
};

#define PORT_RESERVATION_INIT                                                                      \
    {                                                                                              \
        .fd4 = -1, .fd6 = -1                                                                       \
    }
#define cleanup_port_reservation __attribute__((cleanup(port_reservation_release)))
void port_reservation_release(struct port_reservation *reservation);

/* ERROR_CONFLICT says who has the port: the process when it can be found. ERROR_INVALID for a host
 * address that is none, or that this host doesn't have. */
int port_reserve(const struct port_request *request, struct port_reservation *ret,
                 struct error *err);
