/* Forgetting stale UDP flows. */

#include "engine/network/conntrack.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/base/cleanup.h"
#include "engine/network/netlink.h"
#include "engine/network/network.h"

enum { FLOWS_MAX = 10000 };

static void put_ct_message(struct netlink_batch *batch, uint16_t type, uint16_t flags)
{
    struct nfgenmsg header = {.nfgen_family = AF_INET, .version = NFNETLINK_V0};

    netlink_message(batch, (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type), flags, &header,
                    sizeof(header));
}

struct flow_search {
    const struct network_port *ports;
    size_t n_ports;
    struct netlink_batch deletions;
};

static bool is_published(const struct flow_search *search, uint16_t port)
{
    for (size_t i = 0; i < search->n_ports; i++)
        if (search->ports[i].protocol == PORT_UDP && search->ports[i].host_port == port)
            return true;
    return false;
}

static void take_flow(uint16_t type, const void *payload, size_t len, void *context)
{
    struct flow_search *search = context;
    size_t tuple_len, proto_len;
    const void *tuple, *proto, *number, *port;
    uint16_t wire;

    if ((type & 0xff) != IPCTNL_MSG_CT_NEW || search->deletions.n >= FLOWS_MAX)
        return;
    tuple = netlink_find(payload, len, sizeof(struct nfgenmsg), CTA_TUPLE_ORIG, 1, &tuple_len);
    proto =
        tuple != NULL ? netlink_find(tuple, tuple_len, 0, CTA_TUPLE_PROTO, 1, &proto_len) : NULL;
    if (proto == NULL)
        return;
    number = netlink_find(proto, proto_len, 0, CTA_PROTO_NUM, 1, NULL);
    port = netlink_find(proto, proto_len, 0, CTA_PROTO_DST_PORT, sizeof(wire), NULL);
    if (number == NULL || port == NULL || *(const uint8_t *)number != IPPROTO_UDP)
        return;
    memcpy(&wire, port, sizeof(wire));
    if (!is_published(search, ntohs(wire)))
        return;
    put_ct_message(&search->deletions, IPCTNL_MSG_CT_DELETE, 0);
    netlink_put(&search->deletions, CTA_TUPLE_ORIG | NLA_F_NESTED, tuple, tuple_len);
}

void conntrack_forget_udp(const struct network_port *ports, size_t n_ports)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    struct flow_search search = {.ports = ports, .n_ports = n_ports};
    cleanup_fd int fd = -1;
    bool has_udp = false;

    for (size_t i = 0; i < n_ports; i++)
        has_udp |= ports[i].protocol == PORT_UDP;
    if (!has_udp || netlink_open(NETLINK_NETFILTER, &fd, NULL) < 0)
        return;
    put_ct_message(&batch, IPCTNL_MSG_CT_GET, NLM_F_DUMP);
    if (netlink_query(fd, &batch, take_flow, &search, NULL) == 0 && search.deletions.n > 0)
        (void)netlink_transact(fd, &search.deletions, NULL, NULL); /* gone already is as good */
    netlink_batch_release(&search.deletions);
}
