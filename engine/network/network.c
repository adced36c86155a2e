/* Networks: made, completed, found, removed. Containers on them: attach.c. */

#include "engine/network/network.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/network/allocate.h"
#include "engine/network/endpoints.h"
#include "engine/network/firewall.h"
#include "engine/network/firewall_sync.h"
#include "engine/network/ipv4.h"
#include "engine/network/record.h"
#include "engine/network/rtnl.h"

enum { SUBNET_LENGTH_MIN = 8, SUBNET_LENGTH_MAX = 29, HOLDERS_SHOWN_MAX = 5 };

/* Held while a subnet is chosen or a network goes. */
static int lock_networks(int dir_fd, int *ret_fd, struct error *err)
{
    cleanup_fd int fd = openat(dir_fd, ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0)
        return error_sys(err, errno, "open lock of the networks");
    if (fs_lock(fd, FS_LOCK_EXCLUSIVE, err) < 0)
        return error_wrap(err, "lock the networks");
    *ret_fd = fd_take(&fd);
    return 0;
}

/* Held while a bridge is made, and until it is deleted: by the child that waits for the kernel,
 * which removes the file at the end. So the file that was locked may not be the one in the
 * directory. */
static int lock_bridge(const struct network_dirs *dirs, const char *bridge, int *ret_fd,
                       struct error *err)
{
    cleanup_free char *path = x_printf("networks/.%s", bridge);

    if (fs_make_dirs(dirs->run_fd, "networks", 0755, err) < 0)
        return -1;
    for (;;) {
        cleanup_fd int fd = openat(dirs->run_fd, path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        struct stat locked, named;

        if (fd < 0 || (fs_lock(fd, FS_LOCK_EXCLUSIVE, err) < 0) || fstat(fd, &locked) < 0)
            return error_sys(err, errno, "lock bridge \"%s\"", bridge);
        if (fstatat(dirs->run_fd, path, &named, 0) == 0 && named.st_ino == locked.st_ino) {
            *ret_fd = fd_take(&fd);
            return 0;
        }
    }
}

/* The numbers of a record, parsed. */
struct network_numbers {
    struct ipv4_prefix subnet;
    uint32_t gateway;
    uint8_t mac[ALLOCATE_MAC_BYTES];
};

static int parse_numbers(const struct network_record *record, struct network_numbers *ret,
                         struct error *err)
{
    if (ipv4_prefix_parse(str_from(record->subnet), &ret->subnet, err) < 0 ||
        ipv4_parse(str_from(record->gateway), &ret->gateway, err) < 0 ||
        mac_parse(record->bridge_mac, ret->mac, err) < 0)
        return error_wrap(err, "record of network \"%s\"", record->spec.name);
    return 0;
}

static int check_subnet_is_free(struct ipv4_prefix subnet, const struct network_records *others,
                                const struct rtnl_host_view *host, struct error *err)
{
    for (size_t i = 0; i < others->n; i++) {
        struct ipv4_prefix other;

        if (ipv4_prefix_parse(str_from(others->items[i]->subnet), &other, NULL) == 0 &&
            ipv4_prefixes_overlap(subnet, other))
            return error_set(err, ERROR_CONFLICT, "its subnet overlaps %s of network \"%s\"",
                             others->items[i]->subnet, others->items[i]->spec.name);
    }
    for (size_t i = 0; i < host->addresses.n; i++) {
        char text[IPV4_PREFIX_TEXT_SIZE];

        if (!ipv4_prefixes_overlap(subnet, host->addresses.items[i]))
            continue;
        ipv4_prefix_print(host->addresses.items[i], text);
        return error_set(err, ERROR_CONFLICT, "its subnet overlaps %s, which this host is on",
                         text);
    }
    return 0;
}

static int choose_subnet(struct arena *arena, const struct network_records *others,
                         const struct rtnl_host_view *host, struct ipv4_prefix *ret,
                         struct error *err)
{
    struct prefix_list taken = {
        .items = arena_new_array(arena, struct ipv4_prefix, others->n + host->addresses.n)};

    for (size_t i = 0; i < others->n; i++)
        if (ipv4_prefix_parse(str_from(others->items[i]->subnet), &taken.items[taken.n], NULL) == 0)
            taken.n++;
    for (size_t i = 0; i < host->addresses.n; i++)
        taken.items[taken.n++] = host->addresses.items[i];
    return allocate_subnet(&taken, &host->routes, ret, err);
}

static int find_subnet(struct arena *arena, const struct network_definition *spec,
                       const struct network_records *others, const struct rtnl_host_view *host,
                       struct ipv4_prefix *ret, struct error *err)
{
    struct ipv4_prefix subnet;

    if (spec->subnet == NULL)
        return choose_subnet(arena, others, host, ret, err);
    if (ipv4_prefix_parse(str_from(spec->subnet), &subnet, err) < 0)
        return -1;
    if (subnet.length < SUBNET_LENGTH_MIN || subnet.length > SUBNET_LENGTH_MAX)
        return error_set(err, ERROR_INVALID, "subnet \"%s\" must have a length of /%d to /%d",
                         spec->subnet, SUBNET_LENGTH_MIN, SUBNET_LENGTH_MAX);
    if (check_subnet_is_free(subnet, others, host, err) < 0)
        return -1;
    *ret = subnet;
    return 0;
}

static int find_gateway(const struct network_definition *spec, struct ipv4_prefix subnet,
                        uint32_t *ret, struct error *err)
{
    uint32_t gateway = subnet.address + 1;

    if (spec->gateway != NULL && (ipv4_parse(str_from(spec->gateway), &gateway, err) < 0 ||
                                  allocate_check_address(subnet, 0, gateway, err) < 0))
        return error_wrap(err, "gateway");
    *ret = gateway;
    return 0;
}

/* Decide everything that is left open. */
static int make_record(struct arena *arena, const struct network_definition *spec,
                       const struct network_records *others, const struct network_record **ret,
                       struct error *err)
{
    cleanup_fd int rtnl_fd = -1;
    struct network_record *record = arena_new(arena, struct network_record);
    struct rtnl_host_view host;
    struct ipv4_prefix subnet;
    uint32_t gateway;
    uint8_t mac[ALLOCATE_MAC_BYTES];
    char bridge[ALLOCATE_IFNAME_SIZE], mac_text[NETWORK_MAC_SIZE];
    char subnet_text[IPV4_PREFIX_TEXT_SIZE], gateway_text[IPV4_TEXT_SIZE];

    /* Only this network's own bridge is looked through: one that another state directory made, or
     * that was left behind, takes its subnet's traffic. */
    allocate_bridge_name(spec->name, bridge);
    if (rtnl_open(&rtnl_fd, err) < 0 || rtnl_host_view(arena, rtnl_fd, bridge, &host, err) < 0 ||
        find_subnet(arena, spec, others, &host, &subnet, err) < 0 ||
        find_gateway(spec, subnet, &gateway, err) < 0)
        return -1;

    allocate_bridge_mac(spec->name, mac);
    mac_print(mac, mac_text);
    ipv4_prefix_print(subnet, subnet_text);
    ipv4_print(gateway, gateway_text);
    *record = (struct network_record){
        .spec = {.name = arena_strdup(arena, spec->name),
                 .project = arena_strdup(arena, spec->project),
                 .key = arena_strdup(arena, spec->key),
                 .subnet = arena_strdup(arena, spec->subnet),
                 .gateway = arena_strdup(arena, spec->gateway),
                 .is_internal = spec->is_internal,
                 .labels = pairs_copy(arena, &spec->labels)},
        .bridge = arena_strdup(arena, bridge),
        .subnet = arena_strdup(arena, subnet_text),
        .gateway = arena_strdup(arena, gateway_text),
        .bridge_mac = arena_strdup(arena, mac_text),
        .mtu = host.default_mtu,
        .created_ns = clock_realtime_ns(),
    };
    *ret = record;
    return 0;
}

static int check_same(const struct network_record *record, const struct network_definition *spec,
                      struct error *err)
{
    if (spec->subnet != NULL && !text_equal(spec->subnet, record->subnet))
        return error_set(err, ERROR_CONFLICT, "it exists with subnet %s, asked is %s",
                         record->subnet, spec->subnet);
    if (spec->gateway != NULL && !text_equal(spec->gateway, record->gateway))
        return error_set(err, ERROR_CONFLICT, "it exists with gateway %s, asked is %s",
                         record->gateway, spec->gateway);
    if (spec->is_internal != record->spec.is_internal)
        return error_set(err, ERROR_CONFLICT, "it exists and is %sinternal",
                         record->spec.is_internal ? "" : "not ");
    return 0;
}

static int create_locked(struct arena *arena, int dir_fd, const struct network_definition *spec,
                         const struct network_record **ret, struct error *err)
{
    struct network_records records;
    const struct network_record *record = NULL;
    int found = record_read(arena, dir_fd, spec->name, &record, err);

    if (found < 0)
        return -1;
    if (found == 0) {
        *ret = record;
        return check_same(record, spec, err);
    }
    if (record_list(arena, dir_fd, &records, err) < 0 ||
        make_record(arena, spec, &records, &record, err) < 0 ||
        record_write(dir_fd, record, err) < 0)
        return -1;
    *ret = record;
    return 0;
}

int network_create(struct arena *arena, const struct network_dirs *dirs,
                   const struct network_definition *spec, const struct network_record **ret,
                   struct error *err)
{
    cleanup_fd int dir_fd = -1;
    cleanup_fd int lock_fd = -1;
    const struct network_record *record;

    if (record_check_name("network", spec->name, err) < 0)
        return -1;
    if (record_open_dir(dirs, &dir_fd, err) < 0 || lock_networks(dir_fd, &lock_fd, err) < 0 ||
        create_locked(arena, dir_fd, spec, &record, err) < 0 ||
        network_ensure_up(dirs, record, err) < 0)
        return error_wrap(err, "create network \"%s\"", spec->name);
    *ret = record;
    return 0;
}

/* Host-wide, and the only such switch: without it nothing is forwarded at all. */
static int enable_forwarding(struct error *err)
{
    char value = '0';
    cleanup_fd int fd = open("/proc/sys/net/ipv4/ip_forward", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_sys(err, errno, "open /proc/sys/net/ipv4/ip_forward");
    if (fs_read(fd, &value, 1) < 0)
        return error_sys(err, errno, "read /proc/sys/net/ipv4/ip_forward");
    return value == '0' ? sysctl_write("ipv4/ip_forward", "1", err) : 0;
}

static int ensure_firewall(const struct network_dirs *dirs, const struct network_record *record,
                           struct ipv4_prefix subnet, struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    struct firewall_network network = {
        .bridge = record->bridge, .subnet = subnet, .is_internal = record->spec.is_internal};

    nft_batch_begin(&batch);
    firewall_put_network(&batch, NFT_ADD, &network);
    nft_batch_end(&batch);
    if (firewall_sync(dirs, NULL, &batch, err) < 0)
        return -1;
    return firewall_ensure_admission(dirs, err);
}

/* A bridge that was removed behind our back left the interfaces of running containers alone. */
static int rejoin_ports(const struct network_dirs *dirs, const struct network_record *record,
                        int rtnl_fd, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct network_endpoints endpoints;
    struct rtnl_link bridge;

    if (network_list_endpoints(&arena, dirs, record->spec.name, &endpoints, err) < 0)
        return -1;
    if (endpoints.n == 0)
        return 0;
    if (rtnl_link_find(rtnl_fd, record->bridge, &bridge, err) != 0)
        return -1;
    for (size_t i = 0; i < endpoints.n; i++) {
        if (rtnl_port_join(rtnl_fd, endpoints.items[i].host_ifname, bridge.index, err) < 0)
            return -1;
    }
    return 0;
}

int network_ensure_up(const struct network_dirs *dirs, const struct network_record *record,
                      struct error *err)
{
    cleanup_fd int rtnl_fd = -1;
    cleanup_fd int lock_fd = -1;
    struct network_numbers numbers;
    struct rtnl_bridge bridge = {.name = record->bridge, .mtu = record->mtu};

    if (parse_numbers(record, &numbers, err) < 0 ||
        endpoint_dir_make(dirs->run_fd, record->spec.name, err) < 0 || enable_forwarding(err) < 0 ||
        rtnl_open(&rtnl_fd, err) < 0)
        return -1;
    bridge.address = numbers.gateway;
    bridge.prefix_length = numbers.subnet.length;
    memcpy(bridge.mac, numbers.mac, sizeof(bridge.mac));
    /* The firewall first: no moment in which the bridge forwards unguarded. */
    if (ensure_firewall(dirs, record, numbers.subnet, err) < 0 ||
        lock_bridge(dirs, record->bridge, &lock_fd, err) < 0 ||
        rtnl_bridge_ensure(rtnl_fd, &bridge, err) < 0 ||
        rejoin_ports(dirs, record, rtnl_fd, err) < 0)
        return error_wrap(err, "bring up network \"%s\"", record->spec.name);
    return 0;
}

static int check_unused(struct arena *arena, const struct network_dirs *dirs, const char *name,
                        struct error *err)
{
    cleanup_buf struct buf holders = BUF_INIT;
    struct network_endpoints endpoints;

    if (network_list_endpoints(arena, dirs, name, &endpoints, err) < 0)
        return -1;
    if (endpoints.n == 0)
        return 0;
    for (size_t i = 0; i < endpoints.n && i < HOLDERS_SHOWN_MAX; i++)
        buf_printf(&holders, "%s%s", i == 0 ? "" : ", ", endpoints.items[i].container_name);
    if (endpoints.n > HOLDERS_SHOWN_MAX)
        buf_printf(&holders, " and %zu more", endpoints.n - HOLDERS_SHOWN_MAX);
    return error_set(err, ERROR_CONFLICT, "%zu container%s still on it: %s", endpoints.n,
                     endpoints.n == 1 ? " is" : "s are", buf_text(&holders));
}

static int leave_firewall(struct arena *arena, const struct network_dirs *dirs, int dir_fd,
                          const struct network_record *record, struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    struct firewall_network network = {.bridge = record->bridge,
                                       .is_internal = record->spec.is_internal};
    struct network_records records;

    if (record_list(arena, dir_fd, &records, err) < 0 ||
        ipv4_prefix_parse(str_from(record->subnet), &network.subnet, err) < 0)
        return -1;
    if (records.n <= 1)
        return firewall_remove(dirs, err);
    nft_batch_begin(&batch);
    firewall_put_network(&batch, NFT_DELETE, &network);
    nft_batch_end(&batch);
    return firewall_sync(dirs, record->spec.name, &batch, err);
}

/* What removing holds: the child that waits for the kernel keeps them open. */
struct removal {
    struct network_dirs dirs;
    int dir_fd;
    int lock_fd;   /* of the networks */
    int bridge_fd; /* lock of the bridge */
    int firewall_fd;
    int rtnl_fd;
};

#define REMOVAL_INIT                                                                               \
    {                                                                                              \
        .dir_fd = -1, .lock_fd = -1, .bridge_fd = -1, .firewall_fd = -1, .rtnl_fd = -1             \
    }
#define cleanup_removal __attribute__((cleanup(removal_release)))

static void removal_release(struct removal *removal)
{
    cleanup_close_fd(&removal->dir_fd);
    cleanup_close_fd(&removal->lock_fd);
    cleanup_close_fd(&removal->bridge_fd);
    cleanup_close_fd(&removal->firewall_fd);
    cleanup_close_fd(&removal->rtnl_fd);
}

static int compare_fds(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* In the child. Pipes of our parent must end when it ends. */
static void keep_only(const struct removal *removal)
{
    int kept[] = {removal->dirs.run_fd, removal->bridge_fd, removal->firewall_fd, removal->rtnl_fd};
    unsigned int first = 0;

    qsort(kept, sizeof(kept) / sizeof(kept[0]), sizeof(kept[0]), compare_fds);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        unsigned int fd = (unsigned int)kept[i];

        if (fd > first)
            (void)close_range(first, fd - 1, 0); /* 5.9; fails for no other reason */
        first = fd + 1;
    }
    (void)close_range(first, UINT_MAX, 0);
}

/* The kernel unregisters a bridge in several RCU grace periods, 30 ms and more, and frees firewall
 * objects when the socket that deleted them is closed. Nobody needs to wait for that but a
 * network_create of the same name: the child holds the bridge's lock until it is done. */
static int delete_bridge_behind(const struct removal *removal, const char *bridge,
                                struct error *err)
{
    cleanup_free char *lock_path = x_printf("networks/.%s", bridge);
    pid_t child = fork();

    if (child < 0) /* then we wait ourselves */
        return rtnl_link_delete(removal->rtnl_fd, bridge, err);
    if (child > 0)
        return 0;
    (void)setsid(); /* Ctrl-C is for our parent */
    keep_only(removal);
    (void)rtnl_link_delete(removal->rtnl_fd, bridge, NULL); /* what stays, network_create adopts */
    (void)unlinkat(removal->dirs.run_fd, lock_path, 0);
    _exit(0);
}

static int remove_locked(struct arena *arena, struct removal *removal, const char *name,
                         struct error *err)
{
    const struct network_dirs *dirs = &removal->dirs;
    cleanup_endpoint_dir struct endpoint_dir endpoints = ENDPOINT_DIR_INIT;
    const struct network_record *record;
    int found = record_read(arena, removal->dir_fd, name, &record, err);

    if (found != 0)
        return found < 0 ? -1 : 0;
    if (endpoint_dir_lock(dirs->run_fd, name, &endpoints, err) < 0 ||
        check_unused(arena, dirs, name, err) < 0)
        return -1;
    /* The endpoints' directory goes first: without it the network isn't up. The record goes last: a
     * removal that was cut short is found and finished by the next. */
    if (lock_bridge(dirs, record->bridge, &removal->bridge_fd, err) < 0 ||
        endpoint_dir_remove(dirs->run_fd, name, err) < 0 ||
        leave_firewall(arena, dirs, removal->dir_fd, record, err) < 0 ||
        rtnl_open(&removal->rtnl_fd, err) < 0)
        return -1;
    if (delete_bridge_behind(removal, record->bridge, err) < 0)
        return -1;
    return record_remove(removal->dir_fd, name, err);
}

int network_remove(const struct network_dirs *dirs, const char *name, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_removal struct removal removal = REMOVAL_INIT;

    if (record_check_name("network", name, err) < 0)
        return -1;
    removal.dirs = *dirs;
    if (record_open_dir(dirs, &removal.dir_fd, err) < 0 ||
        lock_networks(removal.dir_fd, &removal.lock_fd, err) < 0 ||
        network_open_firewall(&removal.firewall_fd, err) < 0)
        return error_wrap(err, "remove network \"%s\"", name);
    removal.dirs.firewall_fd = removal.firewall_fd;
    if (remove_locked(&arena, &removal, name, err) < 0)
        return error_wrap(err, "remove network \"%s\"", name);
    return 0;
}

/* Readers don't make the directory. Returns 1 if there is none. */
static int open_dir_to_read(const struct network_dirs *dirs, int *ret_fd, struct error *err)
{
    int fd = openat(dirs->state_fd, "networks", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return 1;
    if (fd < 0)
        return error_sys(err, errno, "open the records of networks");
    *ret_fd = fd;
    return 0;
}

int network_list(struct arena *arena, const struct network_dirs *dirs, struct network_records *ret,
                 struct error *err)
{
    cleanup_fd int dir_fd = -1;
    int found = open_dir_to_read(dirs, &dir_fd, err);

    if (found < 0)
        return -1;
    if (found == 1) {
        *ret = (struct network_records){0};
        return 0;
    }
    return record_list(arena, dir_fd, ret, err);
}

int network_find(struct arena *arena, const struct network_dirs *dirs, const char *name,
                 const struct network_record **ret, struct error *err)
{
    cleanup_fd int dir_fd = -1;
    int found;

    if (record_check_name("network", name, err) < 0)
        return -1;
    found = open_dir_to_read(dirs, &dir_fd, err);
    if (found == 0)
        found = record_read(arena, dir_fd, name, ret, err);
    if (found == 1)
        return error_set(err, ERROR_NOT_FOUND, "network \"%s\" does not exist", name);
    return found;
}

/* It goes first when a network is removed: what follows may be missing, or about to go. */
static int has_endpoint_dir(const struct network_dirs *dirs, const char *network, struct error *err)
{
    cleanup_endpoint_dir struct endpoint_dir dir = ENDPOINT_DIR_INIT;
    int found = endpoint_dir_open(dirs->run_fd, network, &dir, err);

    return found < 0 ? -1 : found == 0;
}

int network_check_up(const struct network_dirs *dirs, const struct network_records *records,
                     bool *ret_up, struct error *err)
{
    cleanup_fd int rtnl_fd = -1;
    cleanup_fd int nft_fd = -1;
    int missing = 0;

    if (records->n == 0)
        return 0;
    if (rtnl_open(&rtnl_fd, err) < 0 || nft_open(&nft_fd, err) < 0)
        return -1;
    missing = firewall_is_missing(nft_fd, err);
    if (missing < 0)
        return -1;
    for (size_t i = 0; i < records->n; i++) {
        struct rtnl_link link;
        int found = rtnl_link_find(rtnl_fd, records->items[i]->bridge, &link, err);
        int can_attach = has_endpoint_dir(dirs, records->items[i]->spec.name, err);

        if (found < 0 || can_attach < 0)
            return -1;
        ret_up[i] = missing == 0 && found == 0 && link.is_up && can_attach == 1;
    }
    return 0;
}

int network_rebuild_firewall(const struct network_dirs *dirs, struct error *err)
{
    return firewall_rebuild(dirs, NULL, err);
}

int network_list_endpoints(struct arena *arena, const struct network_dirs *dirs,
                           const char *network, struct network_endpoints *ret, struct error *err)
{
    cleanup_endpoint_dir struct endpoint_dir dir = ENDPOINT_DIR_INIT;
    struct endpoint_names names;
    int found;

    *ret = (struct network_endpoints){0};
    if (record_check_name("network", network, err) < 0)
        return -1;
    found = endpoint_dir_open(dirs->run_fd, network, &dir, err);
    if (found != 0)
        return found < 0 ? -1 : 0;
    if (endpoint_list_names(arena, &dir, &names, err) < 0)
        return -1;
    ret->items = arena_new_array(arena, struct network_endpoint, names.n);
    for (size_t i = 0; i < names.n; i++) {
        found = endpoint_read(arena, &dir, &names.items[i], &ret->items[ret->n], err);
        if (found < 0)
            return -1;
        if (found == 0) /* else it went meanwhile */
            ret->n++;
    }
    return 0;
}
