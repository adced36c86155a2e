/* The host's firewall for our networks. */

#include "engine/network/firewall.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if.h>
#include <netinet/in.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/network/network.h"
#include "engine/network/nft_ruleset.h"

static const struct nft_set sets[] = {
    {"bridges", {NFT_TYPE_IFNAME}, {NFT_TYPE_NONE}, false},
    {"internal", {NFT_TYPE_IFNAME}, {NFT_TYPE_NONE}, false},
    /* (bridge, bridge): traffic within a network that is routed (published ports) */
    {"same", {NFT_TYPE_IFNAME, NFT_TYPE_IFNAME}, {NFT_TYPE_NONE}, false},
    {"masquerade4", {NFT_TYPE_IFNAME}, {NFT_TYPE_NONE}, false},
    /* subnets that outsiders don't reach directly */
    {"guard4", {NFT_TYPE_IPV4}, {NFT_TYPE_NONE}, true},
    {"loopback_only", {NFT_TYPE_IPV4, NFT_TYPE_PROTOCOL, NFT_TYPE_SERVICE}, {NFT_TYPE_NONE}, false},
    /* (ip, ip) of every container that publishes: it may reach itself by its published port */
    {"self4", {NFT_TYPE_IPV4, NFT_TYPE_IPV4}, {NFT_TYPE_NONE}, false},
    {"ports4_address",
     {NFT_TYPE_IPV4, NFT_TYPE_PROTOCOL, NFT_TYPE_SERVICE},
     {NFT_TYPE_IPV4, NFT_TYPE_SERVICE},
     false},
    {"ports4_any", {NFT_TYPE_PROTOCOL, NFT_TYPE_SERVICE}, {NFT_TYPE_IPV4, NFT_TYPE_SERVICE}, false},
};

#define SCHEMA_CHAIN "schema_1"

static const struct nft_chain chains[] = {
    {SCHEMA_CHAIN, NULL, NFT_HOOK_NONE, 0},
    {"raw_bridge", NULL, NFT_HOOK_NONE, 0},
    {"host_port", NULL, NFT_HOOK_NONE, 0},
    {"leave_to_bridge", NULL, NFT_HOOK_NONE, 0},
    {"leave_bridge", NULL, NFT_HOOK_NONE, 0},
    {"forward_in", NULL, NFT_HOOK_NONE, 0},
    {"forward_out", NULL, NFT_HOOK_NONE, 0},
    {"raw_prerouting", "filter", NFT_HOOK_PREROUTING, -300},
    {"nat_prerouting", "nat", NFT_HOOK_PREROUTING, -100},
    {"nat_output", "nat", NFT_HOOK_OUTPUT, -100},
    {"nat_postrouting", "nat", NFT_HOOK_POSTROUTING, 100},
    {"forward", "filter", NFT_HOOK_FORWARD, 0},
};

/* clang-format off */
static const struct nft_rule_text rules[] = {
    {"raw_prerouting", 2, {{NFT_IIFNAME_IS, "lo", 0}, {NFT_ACCEPT, NULL, 0}}},
    {"raw_prerouting", 2, {{NFT_IIFNAME_IN, "bridges", 0}, {NFT_GOTO_CHAIN, "raw_bridge", 0}}},
    {"raw_prerouting", 2, {{NFT_DESTINATION_IN, "loopback_only", 0}, {NFT_DROP, NULL, 0}}},
    {"raw_prerouting", 2, {{NFT_DADDR_IN, "guard4", 0}, {NFT_DROP, NULL, 0}}},

    {"raw_bridge", 2, {{NFT_DADDR_LOOPBACK, NULL, 0}, {NFT_DROP, NULL, 0}}},

    {"nat_prerouting", 2, {{NFT_DADDR_IS_LOCAL, NULL, 0}, {NFT_JUMP_TO, "host_port", 0}}},
    {"nat_output", 2, {{NFT_DADDR_IS_LOCAL, NULL, 0}, {NFT_JUMP_TO, "host_port", 0}}},
    {"host_port", 1, {{NFT_DNAT_BY_DESTINATION, "ports4_address", 0}}},
    {"host_port", 1, {{NFT_DNAT_BY_PORT, "ports4_any", 0}}},

    {"nat_postrouting", 2, {{NFT_OIFNAME_IN, "bridges", 0}, {NFT_JUMP_TO, "leave_to_bridge", 0}}},
    {"nat_postrouting", 3, {{NFT_IIFNAME_IN, "bridges", 0}, {NFT_OIFNAME_NOT_IN, "bridges", 0},
                            {NFT_JUMP_TO, "leave_bridge", 0}}},
    {"leave_to_bridge", 3, {{NFT_CT_IS_DNAT, NULL, 0}, {NFT_SADDR_IS_LOCAL, NULL, 0},
                            {NFT_MASQUERADE, NULL, 0}}},
    {"leave_to_bridge", 3, {{NFT_CT_IS_DNAT, NULL, 0}, {NFT_INTERFACES_IN, "same", 0},
                            {NFT_MASQUERADE, NULL, 0}}},
    {"leave_to_bridge", 3, {{NFT_CT_IS_DNAT, NULL, 0}, {NFT_ADDRESSES_IN, "self4", 0},
                            {NFT_MASQUERADE, NULL, 0}}},
    {"leave_bridge", 3, {{NFT_IS_IPV4, NULL, 0}, {NFT_IIFNAME_IN, "masquerade4", 0},
                         {NFT_MASQUERADE_RANDOM, NULL, 0}}},

    {"forward", 2, {{NFT_OIFNAME_IN, "bridges", 0}, {NFT_GOTO_CHAIN, "forward_in", 0}}},
    {"forward", 2, {{NFT_IIFNAME_IN, "bridges", 0}, {NFT_GOTO_CHAIN, "forward_out", 0}}},
    {"forward_in", 2, {{NFT_INTERFACES_IN, "same", 0}, {NFT_ACCEPT, NULL, 0}}},
    {"forward_in", 2, {{NFT_IIFNAME_IN, "internal", 0}, {NFT_DROP, NULL, 0}}},
    {"forward_in", 2, {{NFT_OIFNAME_IN, "internal", 0}, {NFT_DROP, NULL, 0}}},
    {"forward_in", 2, {{NFT_CT_ESTABLISHED, NULL, 0}, {NFT_ACCEPT, NULL, 0}}},
    {"forward_in", 2, {{NFT_CT_IS_DNAT, NULL, 0}, {NFT_ACCEPT, NULL, 0}}},
    {"forward_in", 1, {{NFT_DROP, NULL, 0}}},
    {"forward_out", 2, {{NFT_IIFNAME_IN, "internal", 0}, {NFT_DROP, NULL, 0}}},
    {"forward_out", 1, {{NFT_ACCEPT, NULL, 0}}},
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct nft_ruleset ruleset = {
    .table = {NFT_FAMILY_INET, "berth"},
    .sets = sets,
    .n_sets = COUNT(sets),
    .chains = chains,
    .n_chains = COUNT(chains),
    .rules = rules,
    .n_rules = COUNT(rules),
};

void firewall_print(struct buf *out)
{
    nft_ruleset_print(out, &ruleset);
}

void firewall_put_table_removal(struct netlink_batch *batch)
{
    /* Adding what exists is fine, deleting what does not is not. */
    nft_table_add(batch, &ruleset.table);
    nft_table_delete(batch, &ruleset.table);
}

void firewall_put_table(struct netlink_batch *batch, enum firewall_table what)
{
    if (what == FIREWALL_REPLACED)
        firewall_put_table_removal(batch);
    nft_table_add_new(batch, &ruleset.table);
    nft_ruleset_put(batch, &ruleset);
}

static void put_one(struct netlink_batch *batch, enum nft_change change, const char *set,
                    const void *key, size_t key_len)
{
    struct nft_elements elements = nft_elements_begin(batch, change, &ruleset.table, set);

    nft_element(batch, &elements, key, key_len, NULL, 0);
    nft_elements_end(batch, &elements);
}

void firewall_put_network(struct netlink_batch *batch, enum nft_change change,
                          const struct firewall_network *network)
{
    char pair[2 * IFNAMSIZ] = {0};
    uint32_t first = htonl(network->subnet.address);
    uint32_t behind = htonl(ipv4_prefix_last(network->subnet) + 1);
    struct nft_elements elements;

    memcpy(pair, network->bridge, strlen(network->bridge));
    memcpy(pair + IFNAMSIZ, network->bridge, strlen(network->bridge));
    put_one(batch, change, "bridges", pair, IFNAMSIZ);
    put_one(batch, change, "same", pair, sizeof(pair));
    put_one(batch, change, network->is_internal ? "internal" : "masquerade4", pair, IFNAMSIZ);

    elements = nft_elements_begin(batch, change, &ruleset.table, "guard4");
    nft_element(batch, &elements, &first, sizeof(first), NULL, 0);
    nft_element_interval_end(batch, &elements, &behind, sizeof(behind));
    nft_elements_end(batch, &elements);
}

/* Keys and values as they lie in registers: every field begins at a multiple of four. */
struct destination_key {
    uint32_t address;
    uint8_t protocol, padding[3];
    uint16_t port, padding2;
};

struct target {
    uint32_t address;
    uint16_t port, padding;
};

struct port_element {
    struct destination_key key;
    struct target target;
    bool is_any;      /* of every address: the key is without `address` */
    bool is_loopback; /* 127.0.0.0/8 */
};

static struct port_element describe_port(uint32_t ip, const struct network_port *port)
{
    struct port_element element = {0};
    uint32_t host_ip = 0;

    (void)ipv4_parse(str_from(port->host_ip), &host_ip, NULL); /* checked by network_publish */
    element.key.address = htonl(host_ip);
    element.key.protocol = port->protocol == PORT_TCP ? IPPROTO_TCP : IPPROTO_UDP;
    element.key.port = htons(port->host_port);
    element.target.address = htonl(ip);
    element.target.port = htons(port->container_port);
    element.is_any = host_ip == 0;
    element.is_loopback = host_ip >> 24 == 127;
    return element;
}

enum port_set { PORTS_ANY, PORTS_ADDRESS, PORTS_LOOPBACK };

static bool belongs_to(const struct port_element *element, enum port_set set)
{
    switch (set) {
    case PORTS_ANY:
        return element->is_any;
    case PORTS_ADDRESS:
        return !element->is_any;
    case PORTS_LOOPBACK:
        return element->is_loopback;
    }
    BUG();
}

static void put_ports(struct netlink_batch *batch, enum nft_change change,
                      const struct firewall_publication *publication, enum port_set set)
{
    static const char *const names[] = {
        [PORTS_ANY] = "ports4_any",
        [PORTS_ADDRESS] = "ports4_address",
        [PORTS_LOOPBACK] = "loopback_only",
    };
    struct nft_elements elements = {0};

    for (size_t i = 0; i < publication->n_ports; i++) {
        struct port_element port = describe_port(publication->ip, &publication->ports[i]);
        const char *key = (const char *)&port.key;
        size_t skip = set == PORTS_ANY ? sizeof(port.key.address) : 0;
        bool has_data = change == NFT_ADD && set != PORTS_LOOPBACK;

        if (!belongs_to(&port, set))
            continue;
        if (elements.n == NFT_ELEMENTS_MAX) {
            nft_elements_end(batch, &elements);
            elements.n = 0;
        }
        if (elements.n == 0)
            elements = nft_elements_begin(batch, change, &ruleset.table, names[set]);
        nft_element(batch, &elements, key + skip, sizeof(port.key) - skip, &port.target,
                    has_data ? sizeof(port.target) : 0);
    }
    if (elements.n > 0)
        nft_elements_end(batch, &elements);
}

void firewall_put_publication(struct netlink_batch *batch, enum nft_change change,
                              const struct firewall_publication *publication)
{
    uint32_t self[2] = {htonl(publication->ip), htonl(publication->ip)};

    if (publication->n_ports == 0)
        return;
    put_ports(batch, change, publication, PORTS_ANY);
    put_ports(batch, change, publication, PORTS_ADDRESS);
    put_ports(batch, change, publication, PORTS_LOOPBACK);
    put_one(batch, change, "self4", self, sizeof(self));
}

int firewall_is_missing(int nft_fd, struct error *err)
{
    return nft_chain_exists(nft_fd, &ruleset.table, SCHEMA_CHAIN, err);
}

/* Coexistence. */

#define ADMISSION_COMMENT "berth: forwarding of our networks"
#define BRIDGE_PREFIX     "bt-"

static const struct nft_table filter_table = {NFT_FAMILY_IP, "filter"};
static const char *const admission_chains[] = {"DOCKER-USER", "FORWARD"};
enum { ADMISSIONS_MAX = 8 };

static void put_admission(struct netlink_batch *batch, const char *chain,
                          enum nft_expression_meta direction)
{
    struct nft_rule rule = nft_rule_begin(batch, &filter_table, chain, NFT_INSERT);

    /* As iptables-nft encodes `-i bt-+`, with the counter it expects. */
    nft_meta(batch, direction, 0);
    nft_compare(batch, 0, NFT_EQUAL, BRIDGE_PREFIX, strlen(BRIDGE_PREFIX));
    nft_counter(batch);
    nft_verdict(batch, NFT_VERDICT_ACCEPT, NULL);
    nft_rule_end(batch, &rule);
    nft_rule_comment(batch, ADMISSION_COMMENT);
}

int firewall_admit(int nft_fd, struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    struct nft_chain_state forward, user;
    int found = nft_chain_read(nft_fd, &filter_table, "FORWARD", &forward, err);
    const char *chain = "FORWARD";
    uint64_t handles[ADMISSIONS_MAX];
    size_t n;

    if (found != 0)
        return found < 0 ? -1 : 0;
    if (!forward.is_base || !forward.drops_by_default)
        return 0;
    found = nft_chain_read(nft_fd, &filter_table, "DOCKER-USER", &user, err);
    if (found < 0)
        return -1;
    if (found == 0)
        chain = "DOCKER-USER";
    if (nft_rules_find(nft_fd, &filter_table, chain, ADMISSION_COMMENT, handles, ADMISSIONS_MAX, &n,
                       err) < 0)
        return -1;
    if (n >= 2)
        return 0;

    nft_batch_begin(&batch);
    put_admission(&batch, chain, NFT_LOAD_IIFNAME);
    put_admission(&batch, chain, NFT_LOAD_OIFNAME);
    nft_batch_end(&batch);
    if (netlink_transact(nft_fd, &batch, NULL, err) < 0)
        return error_wrap(err, "admit our networks in firewall chain \"ip filter %s\"", chain);
    return 0;
}

int firewall_withdraw_admission(int nft_fd, struct error *err)
{
    for (size_t i = 0; i < COUNT(admission_chains); i++) {
        cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
        uint64_t handles[ADMISSIONS_MAX];
        size_t n;

        if (nft_rules_find(nft_fd, &filter_table, admission_chains[i], ADMISSION_COMMENT, handles,
                           ADMISSIONS_MAX, &n, err) < 0)
            return -1;
        if (n == 0)
            continue;
        nft_batch_begin(&batch);
        for (size_t k = 0; k < n; k++)
            nft_rule_delete(&batch, &filter_table, admission_chains[i], handles[k]);
        nft_batch_end(&batch);
        if (netlink_transact(nft_fd, &batch, NULL, err) < 0)
            return error_wrap(err, "remove our rules from firewall chain \"ip filter %s\"",
                              admission_chains[i]);
    }
    return 0;
}
