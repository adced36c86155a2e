#pragma once

/* Choosing subnets, addresses and names. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/network/ipv4.h"

struct error;

struct prefix_list {
    struct ipv4_prefix *items;
    size_t n;
};

/* The first /24 of the pools that overlaps nothing of `taken` (other networks, addresses of the
 * host) and nothing of `routes`; default routes and the halves of one (VPNs) don't count. If routes
 * cover all pools they are ignored: a network that shadows a route beats none. ERROR_CONFLICT when
 * the pools are used up. */
int allocate_subnet(const struct prefix_list *taken, const struct prefix_list *routes,
                    struct ipv4_prefix *ret, struct error *err);

/* The lowest address of the subnet that is neither its first, its last, the gateway nor used.
 * `used` is sorted. ERROR_CONFLICT when none is left. */
int allocate_address(struct ipv4_prefix subnet, uint32_t gateway, const uint32_t *used,
                     size_t n_used, uint32_t *ret, struct error *err);

/* May `address` be given to a container by request? ERROR_INVALID if not in the subnet, or one of
 * its reserved addresses. */
int allocate_check_address(struct ipv4_prefix subnet, uint32_t gateway, uint32_t address,
                           struct error *err);

enum { ALLOCATE_IFNAME_SIZE = 16, ALLOCATE_MAC_BYTES = 6 };

/* "bt-" + 11 hex digits of a hash of the network's name. */
void allocate_bridge_name(const char *network, char ret_name[static ALLOCATE_IFNAME_SIZE]);

/* 02:42 and the address: an address that is used again keeps its MAC, so neighbours need no new
 * ARP entry. Bridges get theirs from the name: else it is the lowest of the ports', and changes. */
void allocate_mac(uint32_t address, uint8_t ret_mac[static ALLOCATE_MAC_BYTES]);
void allocate_bridge_mac(const char *network, uint8_t ret_mac[static ALLOCATE_MAC_BYTES]);
void mac_print(const uint8_t mac[static ALLOCATE_MAC_BYTES], char ret_text[static 18]);
int mac_parse(const char *text, uint8_t ret_mac[static ALLOCATE_MAC_BYTES], struct error *err);
