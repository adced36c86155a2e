#pragma once

/* The host's firewall for our networks: one table `inet berth` with a constant number of rules.
 * Networks and published ports are elements of sets and maps: nothing grows per container but
 * those, and a packet costs the same lookups with one container as with a thousand.
 *
 * Should: forward published ports from outside, from the host (also by 127.0.0.1) and from
 * neighbours; masquerade what leaves; keep networks apart; keep internal networks in; drop direct
 * access from outside to container addresses; leave foreign traffic alone.
 * Mustn't: let containers reach the host's 127.0.0.0/8 (bridges have route_localnet), let outsiders
 * reach ports published on 127.0.0.1.
 *
 * The chain "schema_1" is empty: its presence says that the table is this version's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/network/ipv4.h"
#include "engine/network/nft_encode.h"

struct buf;
struct error;
struct network_port;

struct firewall_network {
    const char *bridge;
    struct ipv4_prefix subnet;
    bool is_internal;
};

struct firewall_publication {
    uint32_t ip; /* the container's */
    const struct network_port *ports;
    size_t n_ports;
};

/* Parts of a batch, between nft_batch_begin and nft_batch_end. */
enum firewall_table { FIREWALL_NEW, FIREWALL_REPLACED };
/* Empty; atomic with what follows. FIREWALL_NEW fails with EEXIST if there is one;
 * FIREWALL_REPLACED works in both cases, but whoever deletes waits for RCU when the socket is
 * closed (10 ms). */
void firewall_put_table(struct netlink_batch *batch, enum firewall_table what);
void firewall_put_table_removal(struct netlink_batch *batch);
void firewall_put_network(struct netlink_batch *batch, enum nft_change change,
                          const struct firewall_network *network);
void firewall_put_publication(struct netlink_batch *batch, enum nft_change change,
                              const struct firewall_publication *publication);

/* Is our table there, in this version? One question. Returns 0 or 1 (no). */
int firewall_is_missing(int nft_fd, struct error *err);

/* Others' forward chains that drop by default (Docker, ufw): an accept of ours can't override them,
 * so two rules for interfaces "bt-*" go into `ip filter` (DOCKER-USER or FORWARD), once per host.
 */
int firewall_admit(int nft_fd, struct error *err);
int firewall_withdraw_admission(int nft_fd, struct error *err);

/* The table as text, for golden tests and for people. */
void firewall_print(struct buf *out);
