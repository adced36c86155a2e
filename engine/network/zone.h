#pragma once

/* Names on networks, as the endpoint files say, kept current by inotify. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct event_base;
struct zone;
struct zones;

int zones_new(struct event_base *base, int run_fd, struct zones **ret, struct error *err);
void zones_free(struct zones *zones); /* releases every zone; NULL is fine */

/* Read what changed: called before every answer, so that a name that was written before a query was
 * sent is found by it. One read(2) when nothing changed. */
void zones_refresh(struct zones *zones);

/* The zone of a network, counted: read at the first time, dropped at the last zone_release.
 * ERROR_NOT_FOUND if the network isn't up. */
int zone_acquire(struct zones *zones, const char *network, struct zone **ret, struct error *err);
void zone_release(struct zone *zone);

const char *zone_network(const struct zone *zone);

enum { ZONE_ADDRESSES_MAX = 64 };
enum zone_presence { ZONE_UNKNOWN, ZONE_STOPPED, ZONE_RUNNING };

/* Addresses of running containers that answer to the name (lower case; "web" or "web.NETWORK"), in
 * another order each time. ZONE_STOPPED: only containers that don't run have it. */
enum zone_presence zone_find(struct zone *zone, const char *name,
                             uint32_t ret_addresses[static ZONE_ADDRESSES_MAX], size_t *ret_n);

/* Name of the running container at an address, without the network's; NULL if there is none. */
const char *zone_find_address(const struct zone *zone, uint32_t address);
