/* Names on networks. */

#include "engine/network/zone.h"

#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/list.h"
#include "engine/base/trace.h"
#include "engine/base/vec.h"
#include "engine/network/endpoints.h"
#include "engine/network/ipv4.h"

enum { EVENTS_BYTES = 16384 };

/* An endpoint file in memory. */
struct member {
    struct arena arena; /* of what follows */
    const char *file;
    uint32_t address;
    bool is_running;
    struct strings names; /* the first is the container's */
};

struct zone {
    struct list list;
    struct zones *zones;
    char *network;
    size_t n_users;
    int watch;
    struct endpoint_dir dir;
    VEC(struct member) members;
    size_t rotation;
};

struct zones {
    int run_fd;
    int inotify_fd;
    struct event *event;
    struct list list;
};

static void remove_member(struct zone *zone, const char *file)
{
    for (size_t i = 0; i < zone->members.n; i++) {
        if (!text_equal(zone->members.items[i].file, file))
            continue;
        arena_release(&zone->members.items[i].arena);
        zone->members.items[i] = zone->members.items[--zone->members.n];
        return;
    }
}

/* Read a file again, or find it gone. */
static void update_member(struct zone *zone, const char *file)
{
    struct member member = {.arena = ARENA_INIT};
    struct network_endpoint endpoint;
    struct endpoint_name name;
    struct error err = ERROR_INIT;
    int found;

    if (!endpoint_name_parse(&member.arena, file, &name)) {
        arena_release(&member.arena); /* a temporary name */
        return;
    }
    remove_member(zone, file);
    found = endpoint_read(&member.arena, &zone->dir, &name, &endpoint, &err);
    if (found != 0) {
        if (found < 0)
            trace(TRACE_DNS, "%s", err.text);
        arena_release(&member.arena);
        return;
    }
    member.file = arena_strdup(&member.arena, file);
    member.address = name.address;
    member.is_running = endpoint.is_running;
    member.names = endpoint.names;
    vec_push(&zone->members, member);
}

static void clear_members(struct zone *zone)
{
    for (size_t i = 0; i < zone->members.n; i++)
        arena_release(&zone->members.items[i].arena);
    vec_clear(&zone->members);
}

static int read_all(struct zone *zone, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct strings files;

    clear_members(zone);
    if (fs_list(zone->dir.fd, ".", &arena, &files, err) < 0)
        return error_wrap(err, "list endpoints of network \"%s\"", zone->network);
    for (size_t i = 0; i < files.n; i++)
        update_member(zone, files.items[i]);
    return 0;
}

static void take_event(struct zones *zones, const struct inotify_event *event, const char *name)
{
    list_for_each (item, &zones->list) {
        struct zone *zone = container_of(item, struct zone, list);

        if ((event->mask & IN_Q_OVERFLOW) != 0)
            (void)read_all(zone, NULL); /* as good as it gets: the directory was readable before */
        else if (zone->watch == event->wd && event->len > 0)
            update_member(zone, name);
    }
}

void zones_refresh(struct zones *zones)
{
    for (;;) {
        char bytes[EVENTS_BYTES / 2];
        ssize_t n = read(zones->inotify_fd, bytes, sizeof(bytes));
        struct inotify_event event;

        if (n <= 0)
            return; /* EAGAIN: nothing new */
        for (size_t at = 0; at + sizeof(event) <= (size_t)n; at += sizeof(event) + event.len) {
            memcpy(&event, bytes + at, sizeof(event));
            take_event(zones, &event, bytes + at + sizeof(event));
        }
    }
}

static void on_change(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    zones_refresh(context);
}

int zones_new(struct event_base *base, int run_fd, struct zones **ret, struct error *err)
{
    struct zones *zones = x_alloc(sizeof(*zones));

    list_init(&zones->list);
    zones->run_fd = fcntl(run_fd, F_DUPFD_CLOEXEC, 0);
    zones->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (zones->run_fd < 0 || zones->inotify_fd < 0) {
        int errnum = errno;

        zones_free(zones);
        return error_sys(err, errnum, "watch the endpoints of networks");
    }
    /* Keeps the queue short when nobody asks. */
    zones->event = event_new(base, zones->inotify_fd, EV_READ | EV_PERSIST, on_change, zones);
    if (zones->event == NULL || event_add(zones->event, NULL) < 0) {
        zones_free(zones);
        return error_set(err, ERROR_SYSTEM, "watch the endpoints of networks: event loop");
    }
    *ret = zones;
    return 0;
}

static void zone_free(struct zone *zone)
{
    if (zone->watch >= 0)
        (void)inotify_rm_watch(zone->zones->inotify_fd, zone->watch); /* gone with its directory */
    clear_members(zone);
    vec_release(&zone->members);
    endpoint_dir_close(&zone->dir);
    list_remove(&zone->list);
    free(zone->network);
    free(zone);
}

void zones_free(struct zones *zones)
{
    if (zones == NULL)
        return;
    list_for_each (item, &zones->list)
        zone_free(container_of(item, struct zone, list));
    if (zones->event != NULL)
        event_free(zones->event);
    cleanup_close_fd(&zones->inotify_fd);
    cleanup_close_fd(&zones->run_fd);
    free(zones);
}

static int zone_open(struct zone *zone, struct error *err)
{
    cleanup_free char *path = NULL;
    int found = endpoint_dir_open(zone->zones->run_fd, zone->network, &zone->dir, err);

    if (found < 0)
        return -1;
    if (found == 1)
        return error_set(err, ERROR_NOT_FOUND, "network \"%s\" is not up", zone->network);
    path = x_printf("/proc/self/fd/%d", zone->dir.fd);
    zone->watch =
        inotify_add_watch(zone->zones->inotify_fd, path,
                          IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_ONLYDIR);
    if (zone->watch < 0)
        return error_sys(err, errno, "watch the endpoints of network \"%s\"", zone->network);
    return read_all(zone, err); /* after the watch: nothing is missed */
}

int zone_acquire(struct zones *zones, const char *network, struct zone **ret, struct error *err)
{
    struct zone *zone;

    list_for_each (item, &zones->list) {
        zone = container_of(item, struct zone, list);
        if (text_equal(zone->network, network)) {
            zone->n_users++;
            *ret = zone;
            return 0;
        }
    }
    zone = x_alloc(sizeof(*zone));
    zone->zones = zones;
    zone->network = x_strdup(network);
    zone->n_users = 1;
    zone->watch = -1;
    zone->dir = (struct endpoint_dir)ENDPOINT_DIR_INIT;
    list_append(&zones->list, &zone->list);
    if (zone_open(zone, err) < 0) {
        zone_free(zone);
        return -1;
    }
    *ret = zone;
    return 0;
}

void zone_release(struct zone *zone)
{
    if (--zone->n_users == 0)
        zone_free(zone);
}

const char *zone_network(const struct zone *zone)
{
    return zone->network;
}

/* "web.shop_default" → "web" where the network is shop_default, in any case. */
static struct str strip_network(const struct zone *zone, const char *name)
{
    struct str text = str_from(name);
    size_t len = strlen(zone->network);

    if (text.len > len + 1 && text.data[text.len - len - 1] == '.' &&
        strcasecmp(text.data + text.len - len, zone->network) == 0)
        text.len -= len + 1;
    return text;
}

static bool member_has(const struct member *member, struct str name)
{
    for (size_t i = 0; i < member->names.n; i++)
        if (str_is(name, member->names.items[i]))
            return true;
    return false;
}

static void rotate(uint32_t *addresses, size_t n, size_t by)
{
    uint32_t turned[ZONE_ADDRESSES_MAX];

    for (size_t i = 0; i < n; i++)
        turned[i] = addresses[(i + by) % n];
    memcpy(addresses, turned, n * sizeof(addresses[0]));
}

static int compare_addresses(const void *a, const void *b)
{
    uint32_t left, right;

    memcpy(&left, a, sizeof(left));
    memcpy(&right, b, sizeof(right));
    return (left > right) - (left < right);
}

enum zone_presence zone_find(struct zone *zone, const char *name,
                             uint32_t ret_addresses[static ZONE_ADDRESSES_MAX], size_t *ret_n)
{
    struct str whole = str_from(name), bare = strip_network(zone, name);
    enum zone_presence presence = ZONE_UNKNOWN;
    size_t n = 0;

    for (size_t i = 0; i < zone->members.n; i++) {
        const struct member *member = &zone->members.items[i];

        if (!member_has(member, whole) && !(bare.len < whole.len && member_has(member, bare)))
            continue;
        if (!member->is_running) {
            presence = presence == ZONE_UNKNOWN ? ZONE_STOPPED : presence;
        } else if (n < ZONE_ADDRESSES_MAX) {
            presence = ZONE_RUNNING;
            ret_addresses[n++] = member->address;
        }
    }
    if (n > 1) {
        qsort(ret_addresses, n, sizeof(ret_addresses[0]), compare_addresses);
        rotate(ret_addresses, n, zone->rotation++ % n);
    }
    *ret_n = n;
    return presence;
}

const char *zone_find_address(const struct zone *zone, uint32_t address)
{
    for (size_t i = 0; i < zone->members.n; i++)
        if (zone->members.items[i].address == address && zone->members.items[i].is_running &&
            zone->members.items[i].names.n > 0)
            return zone->members.items[i].names.items[0];
    return NULL;
}
