#pragma once

/* Connection tracking remembers UDP "connections" that began before a port was published: their
 * packets would go on to the host. */

#include <stddef.h>

struct network_port;

/* Forget the flows to these ports that are UDP. Best effort: a kernel without ctnetlink forgets by
 * itself after 30 s of silence. */
void conntrack_forget_udp(const struct network_port *ports, size_t n_ports);
