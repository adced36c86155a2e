/* Links, addresses and routes through rtnetlink. */

#include "engine/network/rtnl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/vec.h"
#include "engine/network/netlink.h"

enum {
    DEFAULT_MTU = 1500,
    ADDR_GEN_MODE_NONE = 1, /* IN6_ADDR_GEN_MODE_NONE */
    HOST_PREFIXES_MAX = 100000,
};

int rtnl_open(int *ret_fd, struct error *err)
{
    return netlink_open(NETLINK_ROUTE, ret_fd, err);
}

static void link_message(struct netlink_batch *batch, uint16_t type, uint16_t flags,
                         const struct ifinfomsg *info)
{
    netlink_message(batch, type, flags, info, sizeof(*info));
}

static void take_link(uint16_t type, const void *payload, size_t len, void *context)
{
    struct rtnl_link *link = context;
    struct ifinfomsg info;
    const void *data;

    if (type != RTM_NEWLINK || len < sizeof(info))
        return;
    memcpy(&info, payload, sizeof(info));
    link->index = info.ifi_index;
    link->is_up = (info.ifi_flags & IFF_UP) != 0;
    data = netlink_find(payload, len, sizeof(info), IFLA_MTU, sizeof(uint32_t), NULL);
    if (data != NULL)
        memcpy(&link->mtu, data, sizeof(link->mtu));
    data = netlink_find(payload, len, sizeof(info), IFLA_MASTER, sizeof(uint32_t), NULL);
    if (data != NULL)
        memcpy(&link->master, data, sizeof(link->master));
    data = netlink_find(payload, len, sizeof(info), IFLA_ADDRESS, ALLOCATE_MAC_BYTES, NULL);
    if (data != NULL)
        memcpy(link->mac, data, ALLOCATE_MAC_BYTES);
}

static int find_link(int rtnl_fd, const char *name, int index, struct rtnl_link *ret,
                     struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    struct ifinfomsg info = {.ifi_index = index};
    struct rtnl_link link = {0};
    struct error failure = ERROR_INIT;

    link_message(&batch, RTM_GETLINK, NLM_F_ACK, &info);
    if (name != NULL)
        netlink_put_text(&batch, IFLA_IFNAME, name);
    if (netlink_query(rtnl_fd, &batch, take_link, &link, &failure) < 0) {
        if (failure.errnum == ENODEV)
            return 1;
        if (err != NULL)
            *err = failure;
        return error_wrap(err, "look up link \"%s\"", name != NULL ? name : "?");
    }
    *ret = link;
    return 0;
}

int rtnl_link_find(int rtnl_fd, const char *name, struct rtnl_link *ret, struct error *err)
{
    return find_link(rtnl_fd, name, 0, ret, err);
}

int rtnl_link_delete(int rtnl_fd, const char *name, struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    struct ifinfomsg info = {0};
    struct error failure = ERROR_INIT;

    link_message(&batch, RTM_DELLINK, 0, &info);
    netlink_put_text(&batch, IFLA_IFNAME, name);
    if (netlink_transact(rtnl_fd, &batch, NULL, &failure) < 0 && failure.errnum != ENODEV) {
        if (err != NULL)
            *err = failure;
        return error_wrap(err, "delete link \"%s\"", name);
    }
    return 0;
}

int rtnl_port_cut(int rtnl_fd, const char *name, struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    struct ifinfomsg info = {.ifi_family = AF_BRIDGE};
    struct error failure = ERROR_INIT;
    struct rtnl_link link;
    size_t port;
    int found = rtnl_link_find(rtnl_fd, name, &link, err);

    if (found != 0)
        return found < 0 ? -1 : 0;
    /* In this form; IFLA_INFO_SLAVE_DATA takes a state and ignores it (6.18). */
    info.ifi_index = link.index;
    link_message(&batch, RTM_SETLINK, 0, &info);
    port = netlink_nest(&batch, IFLA_PROTINFO);
    netlink_put_u8(&batch, IFLA_BRPORT_STATE, BR_STATE_DISABLED);
    netlink_put(&batch, IFLA_BRPORT_FLUSH, NULL, 0);
    netlink_nest_end(&batch, port);
    /* EINVAL, EOPNOTSUPP: no port of a bridge (any more). ENODEV, ENETDOWN: going. */
    if (netlink_transact(rtnl_fd, &batch, NULL, &failure) < 0 && failure.errnum != ENODEV &&
        failure.errnum != EINVAL && failure.errnum != EOPNOTSUPP && failure.errnum != ENETDOWN) {
        if (err != NULL)
            *err = failure;
        return error_wrap(err, "cut interface \"%s\" off", name);
    }
    return 0;
}

int rtnl_port_join(int rtnl_fd, const char *name, int bridge_index, struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    struct rtnl_link link;
    int found = rtnl_link_find(rtnl_fd, name, &link, err);

    if (found != 0 || link.master == bridge_index)
        return found < 0 ? -1 : 0;
    info.ifi_index = link.index;
    link_message(&batch, RTM_SETLINK, 0, &info);
    netlink_put_u32(&batch, IFLA_MASTER, (uint32_t)bridge_index);
    if (netlink_transact(rtnl_fd, &batch, NULL, err) < 0)
        return error_wrap(err, "put interface \"%s\" into its bridge", name);
    return 0;
}

int sysctl_write(const char *name, const char *value, struct error *err)
{
    cleanup_free char *path = x_printf("/proc/sys/net/%s", name);
    cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return error_sys(err, errno, "open %s", path);
    if (write(fd, value, strlen(value)) < 0)
        return error_sys(err, errno, "write \"%s\" to %s", value, path);
    return 0;
}

struct interface_sysctl {
    const char *family;
    const char *name;
    const char *value;
    bool is_optional; /* IPv6 may be off */
};

/* No router advertisements from containers (CVE-2020-13401), no duplicate detection that delays the
 * first packets; loose reverse path filter for containers on two networks; 127.0.0.1 of the host as
 * source of forwarded ports (guarded in the firewall: raw_bridge). */
static const struct interface_sysctl bridge_sysctls[] = {
    {"ipv6", "accept_ra", "0", true},
    {"ipv6", "disable_ipv6", "1", true},
    {"ipv4", "rp_filter", "2", false},
    {"ipv4", "route_localnet", "1", false},
};

static int write_bridge_sysctls(const char *bridge, struct error *err)
{
    for (size_t i = 0; i < sizeof(bridge_sysctls) / sizeof(bridge_sysctls[0]); i++) {
        const struct interface_sysctl *sysctl = &bridge_sysctls[i];
        cleanup_free char *name = x_printf("%s/conf/%s/%s", sysctl->family, bridge, sysctl->name);
        struct error failure = ERROR_INIT;

        if (sysctl_write(name, sysctl->value, &failure) < 0 &&
            !(sysctl->is_optional && failure.errnum == ENOENT)) {
            if (err != NULL)
                *err = failure;
            return -1;
        }
    }
    return 0;
}

static void put_bridge_link(struct netlink_batch *batch, const struct rtnl_bridge *bridge)
{
    struct ifinfomsg info = {0};
    size_t linkinfo, data;

    link_message(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info);
    netlink_put_text(batch, IFLA_IFNAME, bridge->name);
    netlink_put(batch, IFLA_ADDRESS, bridge->mac, ALLOCATE_MAC_BYTES);
    netlink_put_u32(batch, IFLA_MTU, bridge->mtu);
    linkinfo = netlink_nest(batch, IFLA_LINKINFO);
    netlink_put_text(batch, IFLA_INFO_KIND, "bridge");
    data = netlink_nest(batch, IFLA_INFO_DATA);
    netlink_put_u32(batch, IFLA_BR_STP_STATE, 0);
    netlink_put_u32(batch, IFLA_BR_FORWARD_DELAY, 0);
    netlink_put_u8(batch, IFLA_BR_MCAST_SNOOPING, 0);
    netlink_nest_end(batch, data);
    netlink_nest_end(batch, linkinfo);
}

static void put_address(struct netlink_batch *batch, int index, uint32_t address, uint8_t length)
{
    struct ifaddrmsg header = {.ifa_family = AF_INET, .ifa_prefixlen = length};
    uint32_t wire = htonl(address);
    uint32_t last = htonl(address | ~ipv4_prefix_mask(length));

    header.ifa_index = (uint32_t)index;
    netlink_message(batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &header, sizeof(header));
    netlink_put(batch, IFA_LOCAL, &wire, sizeof(wire));
    netlink_put(batch, IFA_ADDRESS, &wire, sizeof(wire));
    netlink_put(batch, IFA_BROADCAST, &last, sizeof(last));
}

int rtnl_bridge_ensure(int rtnl_fd, const struct rtnl_bridge *bridge, struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    struct rtnl_link link;
    int found = rtnl_link_find(rtnl_fd, bridge->name, &link, err);
    struct ifinfomsg info = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};

    if (found < 0)
        return -1;
    if (found == 1) {
        struct error failure = ERROR_INIT;

        put_bridge_link(&batch, bridge);
        if (netlink_transact(rtnl_fd, &batch, NULL, &failure) < 0 && failure.errnum != EEXIST) {
            if (err != NULL)
                *err = failure;
            return error_wrap(err, "create bridge \"%s\"", bridge->name);
        }
        if (rtnl_link_find(rtnl_fd, bridge->name, &link, err) != 0)
            return error_wrap(err, "create bridge \"%s\"", bridge->name);
        netlink_batch_clear(&batch);
    }
    if (write_bridge_sysctls(bridge->name, err) < 0)
        return -1;

    info.ifi_index = link.index;
    if (bridge->address != 0)
        put_address(&batch, link.index, bridge->address, bridge->prefix_length);
    link_message(&batch, RTM_NEWLINK, 0, &info);
    if (netlink_transact(rtnl_fd, &batch, NULL, err) < 0)
        return error_wrap(err, "set address of bridge \"%s\" and bring it up", bridge->name);
    return 0;
}

/* veth makes a queue for every possible CPU and then, unless told the number, uses one of them:
 * that step waits for an RCU grace period (veth_init_queues in drivers/net/veth.c), twice for a
 * pair. */
static void put_one_queue(struct netlink_batch *batch)
{
    netlink_put_u32(batch, IFLA_NUM_TX_QUEUES, 1);
    netlink_put_u32(batch, IFLA_NUM_RX_QUEUES, 1);
}

int rtnl_veth_create(int rtnl_fd, const struct rtnl_veth *veth, struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    struct ifinfomsg host = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, peer = {0}, port = {0};
    size_t linkinfo, data, nest;

    /* IFF_UP and IFLA_AF_SPEC on the peer fail here (ENOTCONN, EAFNOSUPPORT): they come later, from
     * inside. */
    link_message(&batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &host);
    netlink_put_text(&batch, IFLA_IFNAME, veth->host_name);
    netlink_put_u32(&batch, IFLA_MASTER, (uint32_t)veth->bridge_index);
    netlink_put_u32(&batch, IFLA_MTU, veth->mtu);
    put_one_queue(&batch);
    linkinfo = netlink_nest(&batch, IFLA_LINKINFO);
    netlink_put_text(&batch, IFLA_INFO_KIND, "veth");
    data = netlink_nest(&batch, IFLA_INFO_DATA);
    nest = netlink_nest(&batch, VETH_INFO_PEER);
    netlink_put_raw(&batch, &peer, sizeof(peer));
    netlink_put_text(&batch, IFLA_IFNAME, veth->name);
    netlink_put(&batch, IFLA_ADDRESS, veth->mac, ALLOCATE_MAC_BYTES);
    netlink_put_u32(&batch, IFLA_MTU, veth->mtu);
    netlink_put_u32(&batch, IFLA_NET_NS_FD, (uint32_t)veth->netns_fd);
    put_one_queue(&batch);
    netlink_nest_end(&batch, nest);
    netlink_nest_end(&batch, data);
    netlink_nest_end(&batch, linkinfo);

    /* Hairpin: a container reaches its own published port also where br_netfilter is on. */
    link_message(&batch, RTM_NEWLINK, 0, &port);
    netlink_put_text(&batch, IFLA_IFNAME, veth->host_name);
    linkinfo = netlink_nest(&batch, IFLA_LINKINFO);
    netlink_put_text(&batch, IFLA_INFO_SLAVE_KIND, "bridge");
    data = netlink_nest(&batch, IFLA_INFO_SLAVE_DATA);
    netlink_put_u8(&batch, IFLA_BRPORT_MODE, 1);
    netlink_nest_end(&batch, data);
    netlink_nest_end(&batch, linkinfo);

    if (netlink_transact(rtnl_fd, &batch, NULL, err) < 0)
        return error_wrap(err, "create interface pair \"%s\"", veth->host_name);
    return 0;
}

static void put_default_route(struct netlink_batch *batch, uint32_t gateway)
{
    struct rtmsg route = {.rtm_family = AF_INET,
                          .rtm_table = RT_TABLE_MAIN,
                          .rtm_protocol = RTPROT_BOOT,
                          .rtm_scope = RT_SCOPE_UNIVERSE,
                          .rtm_type = RTN_UNICAST};
    uint32_t wire = htonl(gateway);

    netlink_message(batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &route, sizeof(route));
    netlink_put(batch, RTA_GATEWAY, &wire, sizeof(wire));
}

int rtnl_interface_up(int rtnl_fd, const struct rtnl_interface *interface, struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    struct ifinfomsg info = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct rtnl_link link;
    int found = rtnl_link_find(rtnl_fd, interface->name, &link, err);

    if (found < 0)
        return -1;
    if (found == 1)
        return error_set(err, ERROR_SYSTEM, "interface \"%s\" is not in the container",
                         interface->name);
    info.ifi_index = link.index;
    link_message(&batch, RTM_NEWLINK, 0, &info);
    put_address(&batch, link.index, interface->address, interface->prefix_length);
    if (interface->gateway != 0)
        put_default_route(&batch, interface->gateway);
    if (netlink_transact(rtnl_fd, &batch, NULL, err) < 0)
        return error_wrap(err, "configure interface \"%s\" of the container", interface->name);
    return 0;
}

int rtnl_loopback_up(int rtnl_fd, struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    struct ifinfomsg info = {.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};

    link_message(&batch, RTM_NEWLINK, 0, &info); /* lo is always the first link */
    if (netlink_transact(rtnl_fd, &batch, NULL, err) < 0)
        return error_wrap(err, "bring the loopback interface up");
    return 0;
}

/* Dumps. */

struct host_dump {
    VEC(struct ipv4_prefix) routes;
    VEC(struct ipv4_prefix) addresses;
    VEC(uint32_t) own_links; /* indexes */
    const char *own_prefix;
    uint32_t default_link;
    uint32_t default_metric;
};

static void dump_link(uint16_t type, const void *payload, size_t len, void *context)
{
    struct host_dump *dump = context;
    struct ifinfomsg info;
    const char *name;

    if (type != RTM_NEWLINK || len < sizeof(info))
        return;
    memcpy(&info, payload, sizeof(info));
    name = netlink_find(payload, len, sizeof(info), IFLA_IFNAME, 1, NULL);
    if (name != NULL && strncmp(name, dump->own_prefix, strlen(dump->own_prefix)) == 0)
        vec_push(&dump->own_links, (uint32_t)info.ifi_index);
}

static bool is_own_link(const struct host_dump *dump, uint32_t index)
{
    for (size_t i = 0; i < dump->own_links.n; i++)
        if (dump->own_links.items[i] == index)
            return true;
    return false;
}

static uint32_t read_be32(const void *wire)
{
    uint32_t value;

    memcpy(&value, wire, sizeof(value));
    return ntohl(value);
}

static void dump_address(uint16_t type, const void *payload, size_t len, void *context)
{
    struct host_dump *dump = context;
    struct ifaddrmsg header;
    struct ipv4_prefix prefix;
    const void *address;

    if (type != RTM_NEWADDR || len < sizeof(header))
        return;
    memcpy(&header, payload, sizeof(header));
    address = netlink_find(payload, len, sizeof(header), IFA_ADDRESS, 4, NULL);
    if (header.ifa_family != AF_INET || address == NULL || header.ifa_prefixlen > 32 ||
        is_own_link(dump, header.ifa_index) || dump->addresses.n >= HOST_PREFIXES_MAX)
        return;
    prefix.length = header.ifa_prefixlen;
    prefix.address = read_be32(address) & ipv4_prefix_mask(prefix.length);
    vec_push(&dump->addresses, prefix);
}

static void dump_route(uint16_t type, const void *payload, size_t len, void *context)
{
    struct host_dump *dump = context;
    struct rtmsg route;
    struct ipv4_prefix prefix = {0, 0};
    const void *data;
    uint32_t link = 0, metric = 0;

    if (type != RTM_NEWROUTE || len < sizeof(route))
        return;
    memcpy(&route, payload, sizeof(route));
    if (route.rtm_family != AF_INET || route.rtm_type == RTN_LOCAL ||
        route.rtm_type == RTN_BROADCAST || route.rtm_type == RTN_MULTICAST ||
        route.rtm_dst_len > 32)
        return;
    data = netlink_find(payload, len, sizeof(route), RTA_OIF, sizeof(link), NULL);
    if (data != NULL)
        memcpy(&link, data, sizeof(link));
    data = netlink_find(payload, len, sizeof(route), RTA_PRIORITY, sizeof(metric), NULL);
    if (data != NULL)
        memcpy(&metric, data, sizeof(metric));
    if (is_own_link(dump, link))
        return;

    prefix.length = route.rtm_dst_len;
    data = netlink_find(payload, len, sizeof(route), RTA_DST, 4, NULL);
    if (data != NULL)
        prefix.address = read_be32(data) & ipv4_prefix_mask(prefix.length);
    if (prefix.length == 0 && route.rtm_table == RT_TABLE_MAIN && link != 0 &&
        (dump->default_link == 0 || metric < dump->default_metric)) {
        dump->default_link = link;
        dump->default_metric = metric;
    }
    if (dump->routes.n < HOST_PREFIXES_MAX)
        vec_push(&dump->routes, prefix);
}

static int dump_kind(int rtnl_fd, uint16_t type, uint8_t family, netlink_each *each,
                     struct host_dump *dump, struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    struct ifinfomsg header = {.ifi_family = family}; /* the longest of the three headers */

    netlink_message(&batch, type, NLM_F_DUMP, &header, sizeof(header));
    return netlink_query(rtnl_fd, &batch, each, dump, err);
}

static int dump_all(int rtnl_fd, struct host_dump *dump, struct error *err)
{
    if (dump_kind(rtnl_fd, RTM_GETLINK, AF_UNSPEC, dump_link, dump, err) < 0 ||
        dump_kind(rtnl_fd, RTM_GETADDR, AF_INET, dump_address, dump, err) < 0 ||
        dump_kind(rtnl_fd, RTM_GETROUTE, AF_INET, dump_route, dump, err) < 0)
        return error_wrap(err, "read the host's links, addresses and routes");
    return 0;
}

int rtnl_host_view(struct arena *arena, int rtnl_fd, const char *own_prefix,
                   struct rtnl_host_view *ret, struct error *err)
{
    struct host_dump dump = {
        .routes = VEC_INIT, .addresses = VEC_INIT, .own_links = VEC_INIT, .own_prefix = own_prefix};
    int result = dump_all(rtnl_fd, &dump, err);

    if (result == 0) {
        struct rtnl_link link = {.mtu = DEFAULT_MTU};

        if (dump.default_link != 0)
            (void)find_link(rtnl_fd, NULL, (int)dump.default_link, &link, NULL); /* else 1500 */
        ret->routes = (struct prefix_list){vec_to_arena(&dump.routes, arena), dump.routes.n};
        ret->addresses =
            (struct prefix_list){vec_to_arena(&dump.addresses, arena), dump.addresses.n};
        ret->default_mtu = link.mtu;
    }
    vec_release(&dump.routes);
    vec_release(&dump.addresses);
    vec_release(&dump.own_links);
    return result;
}
