/* Choosing subnets, addresses and names. */

#include "engine/network/allocate.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/sha256.h"

enum { SUBNET_LENGTH = 24, IFNAME_HEX_DIGITS = 11 };

/* Docker's ranges in Docker's order, but cut to /24: 31 networks become 70 000. 172.17 is docker0's
 * everywhere and left out. */
static const struct ipv4_prefix pools[] = {
    {0xac120000, 15}, /* 172.18.0.0, 172.19.0.0 */
    {0xac140000, 14}, /* 172.20.0.0 … */
    {0xac180000, 13}, /* … 172.31.0.0 */
    {0xc0a80000, 16}, /* 192.168.0.0 */
    {0x0a000000, 8},  /* 10.0.0.0 */
};

static bool list_overlaps(const struct prefix_list *list, struct ipv4_prefix candidate,
                          uint8_t shortest)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].length >= shortest && ipv4_prefixes_overlap(list->items[i], candidate))
            return true;
    return false;
}

static bool find_free(const struct prefix_list *taken, const struct prefix_list *routes,
                      struct ipv4_prefix *ret)
{
    for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
        uint32_t n = 1U << (SUBNET_LENGTH - pools[i].length);

        for (uint32_t k = 0; k < n; k++) {
            struct ipv4_prefix candidate = {pools[i].address + (k << (32 - SUBNET_LENGTH)),
                                            SUBNET_LENGTH};

            if (!list_overlaps(taken, candidate, 0) &&
                (routes == NULL || !list_overlaps(routes, candidate, 2))) {
                *ret = candidate;
                return true;
            }
        }
    }
    return false;
}

int allocate_subnet(const struct prefix_list *taken, const struct prefix_list *routes,
                    struct ipv4_prefix *ret, struct error *err)
{
    if (find_free(taken, routes, ret) || find_free(taken, NULL, ret))
        return 0;
    return error_set(err, ERROR_CONFLICT,
                     "no free /24 subnet left in 172.18.0.0-172.31.255.255, 192.168.0.0/16 and "
                     "10.0.0.0/8: remove networks, or give the network a subnet of its own");
}

int allocate_address(struct ipv4_prefix subnet, uint32_t gateway, const uint32_t *used,
                     size_t n_used, uint32_t *ret, struct error *err)
{
    uint32_t last = ipv4_prefix_last(subnet);
    size_t i = 0;

    for (uint32_t address = subnet.address + 1; address < last; address++) {
        while (i < n_used && used[i] < address)
            i++;
        if (address == gateway || (i < n_used && used[i] == address))
            continue;
        *ret = address;
        return 0;
    }
    return error_set(err, ERROR_CONFLICT, "all addresses of the subnet are in use");
}

int allocate_check_address(struct ipv4_prefix subnet, uint32_t gateway, uint32_t address,
                           struct error *err)
{
    char ip[IPV4_TEXT_SIZE], range[IPV4_PREFIX_TEXT_SIZE];

    ipv4_print(address, ip);
    ipv4_prefix_print(subnet, range);
    if (!ipv4_prefix_contains(subnet, address))
        return error_set(err, ERROR_INVALID, "address %s is not in the subnet %s", ip, range);
    if (address == gateway)
        return error_set(err, ERROR_INVALID, "address %s is the gateway of the network", ip);
    if (address == subnet.address || address == ipv4_prefix_last(subnet))
        return error_set(err, ERROR_INVALID, "address %s is reserved in the subnet %s", ip, range);
    return 0;
}

void allocate_bridge_name(const char *network, char ret_name[static ALLOCATE_IFNAME_SIZE])
{
    char hex[SHA256_HEX_SIZE];

    sha256_hex(network, strlen(network), hex);
    (void)snprintf(ret_name, ALLOCATE_IFNAME_SIZE, "bt-%.*s", IFNAME_HEX_DIGITS, hex);
}

void allocate_mac(uint32_t address, uint8_t ret_mac[static ALLOCATE_MAC_BYTES])
{
    ret_mac[0] = 0x02;
    ret_mac[1] = 0x42;
    for (int i = 0; i < 4; i++)
        ret_mac[2 + i] = (uint8_t)(address >> (24 - 8 * i));
}

void allocate_bridge_mac(const char *network, uint8_t ret_mac[static ALLOCATE_MAC_BYTES])
{
    char hex[SHA256_HEX_SIZE];
    unsigned int byte;

    sha256_hex(network, strlen(network), hex);
    for (int i = 0; i < ALLOCATE_MAC_BYTES; i++) {
        (void)sscanf(hex + 32 + 2 * i, "%2x", &byte); /* our own hex digits */
        ret_mac[i] = (uint8_t)byte;
    }
    ret_mac[0] = (uint8_t)((ret_mac[0] & 0xfc) | 0x02); /* locally administered, unicast */
}

void mac_print(const uint8_t mac[static ALLOCATE_MAC_BYTES], char ret_text[static 18])
{
    (void)snprintf(ret_text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
                   mac[4], mac[5]);
}

int mac_parse(const char *text, uint8_t ret_mac[static ALLOCATE_MAC_BYTES], struct error *err)
{
    unsigned int bytes[ALLOCATE_MAC_BYTES];
    char end;

    if (strlen(text) != 17 || sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &bytes[0], &bytes[1],
                                     &bytes[2], &bytes[3], &bytes[4], &bytes[5], &end) != 6)
        return error_set(err, ERROR_INVALID, "\"%s\" is not a MAC address", text);
    for (int i = 0; i < ALLOCATE_MAC_BYTES; i++)
        ret_mac[i] = (uint8_t)bytes[i];
    return 0;
}
