#pragma once

/* IPv6 clients of published ports, in user space: containers have IPv4 addresses, and [::1] can't
 * be translated by the kernel. One relay for all ports in the keeper's loop: TCP by splice with
 * half-close, UDP by one connected socket per client. */

#include <stdint.h>

#include "engine/network/port.h"

struct error;
struct event_base;
struct proxy;

/* Takes *listen_fd (port_reservation.fd6) on success: the caller's variable becomes -1. `ip` and
 * `port` are the container's. */
int proxy_start(struct event_base *base, enum port_protocol protocol, int *listen_fd,
                const char *ip, uint16_t port, struct proxy **ret, struct error *err);

/* Closes the listener and every connection. NULL is fine. */
void proxy_free(struct proxy *proxy);
