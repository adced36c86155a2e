/* Containers on networks: address, interface, names, published ports.
 *
 * The endpoint file is written first and removed last: whatever a killed process leaves behind has
 * a file that says so, and network_detach finishes from it. */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/random.h"
#include "engine/network/allocate.h"
#include "engine/network/conntrack.h"
#include "engine/network/endpoints.h"
#include "engine/network/firewall.h"
#include "engine/network/firewall_sync.h"
#include "engine/network/ipv4.h"
#include "engine/network/netns.h"
#include "engine/network/network.h"
#include "engine/network/record.h"
#include "engine/network/rtnl.h"

#define HOST_END_PREFIX "bv-"
enum { HOST_END_DIGITS = 11 };

struct subnet {
    struct ipv4_prefix prefix;
    uint32_t gateway;
};

static int parse_subnet(const struct network_record *record, struct subnet *ret, struct error *err)
{
    if (ipv4_prefix_parse(str_from(record->subnet), &ret->prefix, err) < 0 ||
        ipv4_parse(str_from(record->gateway), &ret->gateway, err) < 0)
        return error_wrap(err, "record of network \"%s\"", record->spec.name);
    return 0;
}

static int name_holder(struct arena *arena, const struct endpoint_dir *dir,
                       const struct endpoint_name *name, struct error *err)
{
    struct network_endpoint holder;
    char ip[IPV4_TEXT_SIZE];
    const char *text = name->container;

    if (endpoint_read(arena, dir, name, &holder, NULL) == 0)
        text = holder.container_name;
    ipv4_print(name->address, ip);
    return error_set(err, ERROR_CONFLICT, "address %s is in use by container \"%s\"", ip, text);
}

/* The address asked for, or the one the container has, or the lowest free one. */
static int choose_address(struct arena *arena, const struct endpoint_dir *dir,
                          const struct subnet *subnet, const struct network_attachment *attachment,
                          const struct endpoint_names *names, uint32_t *ret, struct error *err)
{
    uint32_t *used = arena_new_array(arena, uint32_t, names->n);
    uint32_t wanted;

    if (attachment->ip != NULL &&
        (ipv4_parse(str_from(attachment->ip), &wanted, err) < 0 ||
         allocate_check_address(subnet->prefix, subnet->gateway, wanted, err) < 0))
        return -1;
    for (size_t i = 0; i < names->n; i++) {
        const struct endpoint_name *name = &names->items[i];
        bool is_own = text_equal(name->container, attachment->container);

        used[i] = name->address;
        if (attachment->ip == NULL && is_own) {
            *ret = name->address;
            return 0;
        }
        if (attachment->ip != NULL && !is_own && name->address == wanted)
            return name_holder(arena, dir, name, err);
    }
    if (attachment->ip != NULL) {
        *ret = wanted;
        return 0;
    }
    return allocate_address(subnet->prefix, subnet->gateway, used, names->n, ret, err);
}

static const char *lower_case(struct arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);

    for (char *c = copy; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return copy;
}

/* The container's name first (PTR says it), every name once. */
static struct strings collect_names(struct arena *arena,
                                    const struct network_attachment *attachment)
{
    struct strings names = {.items = arena_new_array(arena, const char *, attachment->names.n + 1)};

    names.items[names.n++] = lower_case(arena, attachment->container_name);
    for (size_t i = 0; i < attachment->names.n; i++) {
        const char *name = lower_case(arena, attachment->names.items[i]);

        if (!strings_contain(&names, name))
            names.items[names.n++] = name;
    }
    return names;
}

static int unplug(const struct network_endpoint *endpoint, struct error *err)
{
    cleanup_fd int rtnl_fd = -1;

    if (rtnl_open(&rtnl_fd, err) < 0)
        return -1;
    return rtnl_port_cut(rtnl_fd, endpoint->host_ifname, err);
}

/* Under the lock: the address is the container's when its file is there. Ports that an earlier life
 * of the container published stay in the file until network_publish replaces them. */
static int reserve_address(struct arena *arena, const struct network_dirs *dirs,
                           const struct network_record *record, const struct subnet *subnet,
                           const struct network_attachment *attachment,
                           struct network_endpoint *endpoint, bool *ret_again, struct error *err)
{
    cleanup_endpoint_dir struct endpoint_dir dir = ENDPOINT_DIR_INIT;
    struct network_endpoint old = {0};
    struct endpoint_names names;
    uint32_t address;
    uint8_t mac[ALLOCATE_MAC_BYTES];
    int found = endpoint_dir_lock(dirs->run_fd, record->spec.name, &dir, err);

    if (found == 1)
        return error_set(err, ERROR_NOT_FOUND, "the network is not up");
    if (found < 0 || endpoint_list_names(arena, &dir, &names, err) < 0 ||
        choose_address(arena, &dir, subnet, attachment, &names, &address, err) < 0)
        return -1;
    found = endpoint_find(arena, &dir, attachment->container, &old, err);
    if (found < 0)
        return -1;
    if (found == 0 && unplug(&old, err) < 0)
        return -1;
    ipv4_print(address, endpoint->ip);
    allocate_mac(address, mac);
    mac_print(mac, endpoint->mac);
    if (found == 0 && old.is_running && endpoint_set_running(&dir, &old, false, err) < 0)
        return -1;
    if (found == 0 && text_equal(old.ip, endpoint->ip)) {
        endpoint->ports = old.ports;
        endpoint->n_ports = old.n_ports;
    } else if (found == 0 && endpoint_remove(&dir, &old, err) < 0) {
        return -1;
    }
    *ret_again = found == 0;
    return endpoint_write(&dir, endpoint, err);
}

/* A pair; an interface that an earlier attach left in a namespace that lives on is replaced. */
static int create_pair(int host_fd, const struct rtnl_veth *veth, bool is_again, struct error *err)
{
    cleanup_fd int inside_fd = -1;
    struct error failure = ERROR_INIT;

    if (rtnl_veth_create(host_fd, veth, &failure) == 0)
        return 0;
    if (failure.errnum != EEXIST || !is_again) {
        if (err != NULL)
            *err = failure;
        return -1;
    }

    cleanup_netns_visit struct netns_visit visit = NETNS_VISIT_INIT;

    if (netns_visit_begin(&visit, veth->netns_fd, err) < 0 || rtnl_open(&inside_fd, err) < 0 ||
        rtnl_link_delete(inside_fd, veth->name, err) < 0)
        return -1;
    return rtnl_veth_create(host_fd, veth, err);
}

static int plug_in(const struct network_record *record, const struct subnet *subnet,
                   const struct network_attachment *attachment,
                   const struct network_endpoint *endpoint, bool is_again, struct error *err)
{
    cleanup_fd int host_fd = -1;
    cleanup_fd int inside_fd = -1;
    struct rtnl_link bridge;
    struct rtnl_veth veth = {.host_name = endpoint->host_ifname,
                             .mtu = record->mtu,
                             .netns_fd = attachment->netns_fd,
                             .name = endpoint->ifname};
    struct rtnl_interface interface = {.name = endpoint->ifname,
                                       .prefix_length = subnet->prefix.length};
    int found;

    if (rtnl_open(&host_fd, err) < 0 ||
        ipv4_parse(str_from(endpoint->ip), &interface.address, err) < 0)
        return -1;
    found = rtnl_link_find(host_fd, record->bridge, &bridge, err);
    if (found != 0)
        return found < 0
                   ? -1
                   : error_set(err, ERROR_NOT_FOUND, "the bridge \"%s\" is gone", record->bridge);
    veth.bridge_index = bridge.index;
    allocate_mac(interface.address, veth.mac);
    if (create_pair(host_fd, &veth, is_again, err) < 0)
        return -1;

    cleanup_netns_visit struct netns_visit visit = NETNS_VISIT_INIT;

    interface.gateway =
        attachment->is_default_route && !record->spec.is_internal ? subnet->gateway : 0;
    if (netns_visit_begin(&visit, attachment->netns_fd, err) < 0 ||
        rtnl_open(&inside_fd, err) < 0 || rtnl_interface_up(inside_fd, &interface, err) < 0)
        return -1;
    return 0;
}

static int check_attachment(const struct network_attachment *attachment, struct error *err)
{
    size_t ifname_len = strlen(attachment->ifname);

    if (record_check_name("container", attachment->container, err) < 0)
        return -1;
    if (ifname_len == 0 || ifname_len >= NETWORK_IFNAME_SIZE)
        return error_set(err, ERROR_INVALID, "interface name \"%s\" must have 1 to %d characters",
                         attachment->ifname, NETWORK_IFNAME_SIZE - 1);
    if (attachment->names.n >= NETWORK_NAMES_MAX)
        return error_set(err, ERROR_INVALID, "more than %d names", NETWORK_NAMES_MAX - 1);
    return 0;
}

/* New every time: the interface of the container's earlier life may still be going. */
static void name_host_end(char ret_name[static NETWORK_IFNAME_SIZE])
{
    memcpy(ret_name, HOST_END_PREFIX, sizeof(HOST_END_PREFIX) - 1);
    random_hex(ret_name + sizeof(HOST_END_PREFIX) - 1, HOST_END_DIGITS);
}

int network_attach(struct arena *arena, const struct network_dirs *dirs,
                   const struct network_record *record, const struct network_attachment *attachment,
                   const struct network_endpoint **ret, struct error *err)
{
    struct network_endpoint *endpoint = arena_new(arena, struct network_endpoint);
    struct subnet subnet;
    const char *network = record->spec.name;
    bool is_again;

    if (check_attachment(attachment, err) < 0 || parse_subnet(record, &subnet, err) < 0)
        return error_wrap(err, "attach container \"%s\" to network \"%s\"",
                          attachment->container_name, network);
    endpoint->container = arena_strdup(arena, attachment->container);
    endpoint->container_name = arena_strdup(arena, attachment->container_name);
    endpoint->project = arena_strdup(arena, attachment->project);
    endpoint->names = collect_names(arena, attachment);
    memcpy(endpoint->ifname, attachment->ifname, strlen(attachment->ifname) + 1);
    name_host_end(endpoint->host_ifname);

    if (reserve_address(arena, dirs, record, &subnet, attachment, endpoint, &is_again, err) < 0)
        return error_wrap(err, "attach container \"%s\" to network \"%s\"",
                          attachment->container_name, network);
    if (plug_in(record, &subnet, attachment, endpoint, is_again, err) < 0) {
        (void)network_detach(dirs, network, attachment->container,
                             NULL); /* the first error counts */
        return error_wrap(err, "attach container \"%s\" to network \"%s\"",
                          attachment->container_name, network);
    }
    *ret = endpoint;
    return 0;
}

/* Lock, find, hand out. Returns 0, or 1 if the container isn't attached. */
static int find_locked(struct arena *arena, const struct network_dirs *dirs, const char *network,
                       const char *container, struct endpoint_dir *dir,
                       struct network_endpoint *ret, struct error *err)
{
    int found;

    if (record_check_name("network", network, err) < 0)
        return -1;
    found = endpoint_dir_lock(dirs->run_fd, network, dir, err);
    if (found == 0)
        found = endpoint_find(arena, dir, container, ret, err);
    if (found < 0)
        return error_wrap(err, "network \"%s\"", network);
    return found;
}

int network_endpoint_set_running(const struct network_dirs *dirs, const char *network,
                                 const char *container, bool is_running, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_endpoint_dir struct endpoint_dir dir = ENDPOINT_DIR_INIT;
    struct network_endpoint endpoint;
    int found = find_locked(&arena, dirs, network, container, &dir, &endpoint, err);

    if (found < 0)
        return -1;
    if (found == 1)
        return error_set(err, ERROR_NOT_FOUND, "container \"%s\" is not on network \"%s\"",
                         container, network);
    if (endpoint.is_running == is_running)
        return 0;
    return endpoint_set_running(&dir, &endpoint, is_running, err);
}

static int check_ports(const struct network_record *record, const struct network_port *ports,
                       size_t n_ports, struct error *err)
{
    if (n_ports > 0 && record->spec.is_internal)
        return error_set(err, ERROR_UNSUPPORTED,
                         "an internal network can't publish ports: put the container on another "
                         "network too");
    if (n_ports > NETWORK_PORTS_MAX)
        return error_set(err, ERROR_INVALID, "more than %d ports", NETWORK_PORTS_MAX);
    for (size_t i = 0; i < n_ports; i++) {
        uint32_t ip;

        if (ipv4_parse(str_from(ports[i].host_ip), &ip, err) < 0)
            return -1;
        if (ports[i].host_port == 0 || ports[i].container_port == 0)
            return error_set(err, ERROR_INVALID, "port 0 can't be published");
    }
    return 0;
}

/* Write the new ports down, then send the difference. */
static int replace_ports(const struct network_dirs *dirs, const struct endpoint_dir *dir,
                         const struct network_endpoint *old, const struct network_port *ports,
                         size_t n_ports, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    struct network_endpoint changed = *old;
    struct firewall_publication before = {.ports = old->ports, .n_ports = old->n_ports};
    struct firewall_publication after = {.ports = ports, .n_ports = n_ports};

    if (n_ports == 0 && old->n_ports == 0)
        return 0;
    if (ipv4_parse(str_from(old->ip), &before.ip, err) < 0)
        return -1;
    after.ip = before.ip;
    changed.ports = arena_memdup(&arena, ports, n_ports * sizeof(ports[0]));
    changed.n_ports = n_ports;
    if (endpoint_write(dir, &changed, err) < 0)
        return -1;
    nft_batch_begin(&batch);
    firewall_put_publication(&batch, NFT_DELETE, &before);
    firewall_put_publication(&batch, NFT_ADD, &after);
    nft_batch_end(&batch);
    if (firewall_sync(dirs, NULL, &batch, err) < 0)
        return -1;
    conntrack_forget_udp(ports, n_ports);
    return 0;
}

/* For good: the file goes next, and is only written if the table has to be made from the files. */
static int withdraw_ports(const struct network_dirs *dirs, const struct endpoint_dir *dir,
                          struct network_endpoint *endpoint, struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    struct firewall_publication publication = {.ports = endpoint->ports,
                                               .n_ports = endpoint->n_ports};
    int result;

    if (endpoint->n_ports == 0)
        return 0;
    if (ipv4_parse(str_from(endpoint->ip), &publication.ip, err) < 0)
        return -1;
    nft_batch_begin(&batch);
    firewall_put_publication(&batch, NFT_DELETE, &publication);
    nft_batch_end(&batch);
    result = firewall_try(dirs, &batch, err);
    if (result <= 0)
        return result;
    endpoint->n_ports = 0;
    if (endpoint_write(dir, endpoint, err) < 0)
        return -1;
    return firewall_rebuild(dirs, NULL, err);
}

int network_publish(const struct network_dirs *dirs, const struct network_record *record,
                    const char *container, const struct network_port *ports, size_t n_ports,
                    struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_endpoint_dir struct endpoint_dir dir = ENDPOINT_DIR_INIT;
    struct network_endpoint endpoint;
    int found;

    if (check_ports(record, ports, n_ports, err) < 0)
        return error_wrap(err, "publish ports on network \"%s\"", record->spec.name);
    found = find_locked(&arena, dirs, record->spec.name, container, &dir, &endpoint, err);
    if (found < 0)
        return -1;
    if (found == 1)
        return error_set(err, ERROR_NOT_FOUND, "container \"%s\" is not on network \"%s\"",
                         container, record->spec.name);
    if (replace_ports(dirs, &dir, &endpoint, ports, n_ports, err) < 0)
        return error_wrap(err, "publish ports of container \"%s\"", endpoint.container_name);
    return 0;
}

int network_detach(const struct network_dirs *dirs, const char *network, const char *container,
                   struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_endpoint_dir struct endpoint_dir dir = ENDPOINT_DIR_INIT;
    struct network_endpoint endpoint;
    int found = find_locked(&arena, dirs, network, container, &dir, &endpoint, err);

    if (found != 0)
        return found < 0 ? -1 : 0;
    if (withdraw_ports(dirs, &dir, &endpoint, err) < 0 || unplug(&endpoint, err) < 0 ||
        endpoint_remove(&dir, &endpoint, err) < 0)
        return error_wrap(err, "detach container \"%s\" from network \"%s\"",
                          endpoint.container_name, network);
    return 0;
}
