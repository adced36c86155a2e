/* nf_tables requests. Attribute names as in linux/netfilter/nf_tables.h. */

#include "engine/network/nft_encode.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>

#include "engine/base/error.h"

static const uint8_t family_numbers[] = {
    [NFT_FAMILY_INET] = NFPROTO_INET,
    [NFT_FAMILY_IP] = NFPROTO_IPV4,
};

const char *const nft_type_names[] = {
    [NFT_TYPE_NONE] = "",
    [NFT_TYPE_IPV4] = "ipv4_addr",
    [NFT_TYPE_PROTOCOL] = "inet_proto",
    [NFT_TYPE_SERVICE] = "inet_service",
    [NFT_TYPE_IFNAME] = "ifname",
};
static_assert(sizeof(nft_type_names) / sizeof(nft_type_names[0]) == NFT_TYPES, "one per type");

/* Numbers that nft keeps in sets to print them (its enum datatypes), and lengths in registers. */
static const uint32_t type_ids[] = {
    [NFT_TYPE_IPV4] = 7,
    [NFT_TYPE_PROTOCOL] = 12,
    [NFT_TYPE_SERVICE] = 13,
    [NFT_TYPE_IFNAME] = 41,
};
static const uint32_t type_lengths[] = {
    [NFT_TYPE_IPV4] = 4,
    [NFT_TYPE_PROTOCOL] = 1,
    [NFT_TYPE_SERVICE] = 2,
    [NFT_TYPE_IFNAME] = 16,
};

const char *const nft_hook_names[] = {
    [NFT_HOOK_NONE] = "",         [NFT_HOOK_PREROUTING] = "prerouting",
    [NFT_HOOK_INPUT] = "input",   [NFT_HOOK_FORWARD] = "forward",
    [NFT_HOOK_OUTPUT] = "output", [NFT_HOOK_POSTROUTING] = "postrouting",
};
static_assert(sizeof(nft_hook_names) / sizeof(nft_hook_names[0]) == NFT_HOOKS, "one per hook");

static const uint32_t hook_numbers[] = {
    [NFT_HOOK_PREROUTING] = NF_INET_PRE_ROUTING,   [NFT_HOOK_INPUT] = NF_INET_LOCAL_IN,
    [NFT_HOOK_FORWARD] = NF_INET_FORWARD,          [NFT_HOOK_OUTPUT] = NF_INET_LOCAL_OUT,
    [NFT_HOOK_POSTROUTING] = NF_INET_POST_ROUTING,
};

enum { TYPE_BITS = 6, COMMENT_MAX = 100, UDATA_COMMENT = 0 /* NFTNL_UDATA_RULE_COMMENT */ };

int nft_open(int *ret_fd, struct error *err)
{
    return netlink_open(NETLINK_NETFILTER, ret_fd, err);
}

static void batch_mark(struct netlink_batch *batch, uint16_t type)
{
    struct nfgenmsg header = {
        .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};

    netlink_message(batch, type, 0, &header, sizeof(header));
}

void nft_batch_begin(struct netlink_batch *batch)
{
    batch_mark(batch, NFNL_MSG_BATCH_BEGIN);
}

void nft_batch_end(struct netlink_batch *batch)
{
    batch_mark(batch, NFNL_MSG_BATCH_END);
}

static void message(struct netlink_batch *batch, uint16_t type, uint16_t flags,
                    const struct nft_table *table)
{
    struct nfgenmsg header = {.nfgen_family = family_numbers[table->family],
                              .version = NFNETLINK_V0};

    netlink_message(batch, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &header,
                    sizeof(header));
}

static void put_new_table(struct netlink_batch *batch, const struct nft_table *table,
                          uint16_t flags)
{
    message(batch, NFT_MSG_NEWTABLE, flags, table);
    netlink_put_text(batch, NFTA_TABLE_NAME, table->name);
    netlink_put_be32(batch, NFTA_TABLE_FLAGS, 0);
}

void nft_table_add(struct netlink_batch *batch, const struct nft_table *table)
{
    put_new_table(batch, table, NLM_F_CREATE);
}

void nft_table_add_new(struct netlink_batch *batch, const struct nft_table *table)
{
    put_new_table(batch, table, NLM_F_CREATE | NLM_F_EXCL);
}

void nft_table_delete(struct netlink_batch *batch, const struct nft_table *table)
{
    message(batch, NFT_MSG_DELTABLE, 0, table);
    netlink_put_text(batch, NFTA_TABLE_NAME, table->name);
}

static void describe_fields(const enum nft_type *fields, uint32_t *ret_id, uint32_t *ret_len)
{
    uint32_t id = 0, len = 0;
    bool is_single = fields[1] == NFT_TYPE_NONE;

    for (size_t i = 0; i < NFT_FIELDS_MAX && fields[i] != NFT_TYPE_NONE; i++) {
        uint32_t field_len = type_lengths[fields[i]];

        id = id << TYPE_BITS | type_ids[fields[i]];
        len += is_single ? field_len : (field_len + 3) & ~3U;
    }
    *ret_id = id;
    *ret_len = len;
}

void nft_set_add(struct netlink_batch *batch, const struct nft_table *table,
                 const struct nft_set *set, uint32_t id)
{
    uint32_t flags = 0, type, len;

    flags |= set->is_interval ? (uint32_t)NFT_SET_INTERVAL : 0;
    flags |= set->data[0] != NFT_TYPE_NONE ? (uint32_t)NFT_SET_MAP : 0;
    message(batch, NFT_MSG_NEWSET, NLM_F_CREATE, table);
    netlink_put_text(batch, NFTA_SET_TABLE, table->name);
    netlink_put_text(batch, NFTA_SET_NAME, set->name);
    netlink_put_be32(batch, NFTA_SET_FLAGS, flags);
    describe_fields(set->key, &type, &len);
    netlink_put_be32(batch, NFTA_SET_KEY_TYPE, type);
    netlink_put_be32(batch, NFTA_SET_KEY_LEN, len);
    if (set->data[0] != NFT_TYPE_NONE) {
        describe_fields(set->data, &type, &len);
        netlink_put_be32(batch, NFTA_SET_DATA_TYPE, type);
        netlink_put_be32(batch, NFTA_SET_DATA_LEN, len);
    }
    netlink_put_be32(batch, NFTA_SET_ID, id);
}

void nft_chain_add(struct netlink_batch *batch, const struct nft_table *table,
                   const struct nft_chain *chain)
{
    size_t hook;

    message(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE, table);
    netlink_put_text(batch, NFTA_CHAIN_TABLE, table->name);
    netlink_put_text(batch, NFTA_CHAIN_NAME, chain->name);
    if (chain->type == NULL)
        return;
    hook = netlink_nest(batch, NFTA_CHAIN_HOOK);
    netlink_put_be32(batch, NFTA_HOOK_HOOKNUM, hook_numbers[chain->hook]);
    netlink_put_be32(batch, NFTA_HOOK_PRIORITY, (uint32_t)chain->priority);
    netlink_nest_end(batch, hook);
    netlink_put_be32(batch, NFTA_CHAIN_POLICY, NF_ACCEPT);
    netlink_put_text(batch, NFTA_CHAIN_TYPE, chain->type);
}

struct nft_elements nft_elements_begin(struct netlink_batch *batch, enum nft_change change,
                                       const struct nft_table *table, const char *set)
{
    struct nft_elements elements = {0};

    message(batch, change == NFT_ADD ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
            change == NFT_ADD ? NLM_F_CREATE : 0, table);
    netlink_put_text(batch, NFTA_SET_ELEM_LIST_TABLE, table->name);
    netlink_put_text(batch, NFTA_SET_ELEM_LIST_SET, set);
    elements.list = netlink_nest(batch, NFTA_SET_ELEM_LIST_ELEMENTS);
    return elements;
}

static void put_data(struct netlink_batch *batch, uint16_t attribute, const void *data, size_t len)
{
    size_t nest = netlink_nest(batch, attribute);

    netlink_put(batch, NFTA_DATA_VALUE, data, len);
    netlink_nest_end(batch, nest);
}

void nft_element(struct netlink_batch *batch, struct nft_elements *elements, const void *key,
                 size_t key_len, const void *data, size_t data_len)
{
    size_t element = netlink_nest(batch, NFTA_LIST_ELEM);

    put_data(batch, NFTA_SET_ELEM_KEY, key, key_len);
    if (data_len > 0)
        put_data(batch, NFTA_SET_ELEM_DATA, data, data_len);
    netlink_nest_end(batch, element);
    elements->n++;
    assert(elements->n <= NFT_ELEMENTS_MAX);
}

void nft_element_interval_end(struct netlink_batch *batch, struct nft_elements *elements,
                              const void *key, size_t key_len)
{
    size_t element = netlink_nest(batch, NFTA_LIST_ELEM);

    netlink_put_be32(batch, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
    put_data(batch, NFTA_SET_ELEM_KEY, key, key_len);
    netlink_nest_end(batch, element);
    elements->n++;
    assert(elements->n <= NFT_ELEMENTS_MAX);
}

void nft_elements_end(struct netlink_batch *batch, const struct nft_elements *elements)
{
    netlink_nest_end(batch, elements->list);
}

struct nft_rule nft_rule_begin(struct netlink_batch *batch, const struct nft_table *table,
                               const char *chain, enum nft_position position)
{
    struct nft_rule rule;

    message(batch, NFT_MSG_NEWRULE,
            (uint16_t)(NLM_F_CREATE | (position == NFT_APPEND ? NLM_F_APPEND : 0)), table);
    netlink_put_text(batch, NFTA_RULE_TABLE, table->name);
    netlink_put_text(batch, NFTA_RULE_CHAIN, chain);
    rule.expressions = netlink_nest(batch, NFTA_RULE_EXPRESSIONS);
    return rule;
}

void nft_rule_end(struct netlink_batch *batch, const struct nft_rule *rule)
{
    netlink_nest_end(batch, rule->expressions);
}

void nft_rule_comment(struct netlink_batch *batch, const char *comment)
{
    char udata[2 + COMMENT_MAX + 1];
    size_t len = strlen(comment) + 1;

    assert(len <= COMMENT_MAX);
    udata[0] = UDATA_COMMENT;
    udata[1] = (char)len;
    memcpy(udata + 2, comment, len);
    netlink_put(batch, NFTA_RULE_USERDATA, udata, 2 + len);
}

/* Expressions: {name, {attributes}} in the list of the rule. */

struct expression {
    size_t element;
    size_t data;
};

static struct expression expression_begin(struct netlink_batch *batch, const char *name)
{
    struct expression expression;

    expression.element = netlink_nest(batch, NFTA_LIST_ELEM);
    netlink_put_text(batch, NFTA_EXPR_NAME, name);
    expression.data = netlink_nest(batch, NFTA_EXPR_DATA);
    return expression;
}

static void expression_end(struct netlink_batch *batch, const struct expression *expression)
{
    netlink_nest_end(batch, expression->data);
    netlink_nest_end(batch, expression->element);
}

static void put_register(struct netlink_batch *batch, uint16_t attribute, unsigned int reg)
{
    netlink_put_be32(batch, attribute, NFT_REG32_00 + reg);
}

void nft_meta(struct netlink_batch *batch, enum nft_expression_meta what, unsigned int reg)
{
    static const uint32_t keys[] = {
        [NFT_LOAD_IIFNAME] = NFT_META_IIFNAME,
        [NFT_LOAD_OIFNAME] = NFT_META_OIFNAME,
        [NFT_LOAD_L4PROTO] = NFT_META_L4PROTO,
        [NFT_LOAD_NFPROTO] = NFT_META_NFPROTO,
    };
    struct expression expression = expression_begin(batch, "meta");

    put_register(batch, NFTA_META_DREG, reg);
    netlink_put_be32(batch, NFTA_META_KEY, keys[what]);
    expression_end(batch, &expression);
}

void nft_compare(struct netlink_batch *batch, unsigned int reg, enum nft_comparison comparison,
                 const void *data, size_t len)
{
    struct expression expression = expression_begin(batch, "cmp");

    put_register(batch, NFTA_CMP_SREG, reg);
    netlink_put_be32(batch, NFTA_CMP_OP, comparison == NFT_EQUAL ? NFT_CMP_EQ : NFT_CMP_NEQ);
    put_data(batch, NFTA_CMP_DATA, data, len);
    expression_end(batch, &expression);
}

void nft_mask(struct netlink_batch *batch, unsigned int reg, const void *mask, size_t len)
{
    static const uint32_t zero = 0;
    struct expression expression = expression_begin(batch, "bitwise");

    assert(len <= sizeof(zero));
    put_register(batch, NFTA_BITWISE_SREG, reg);
    put_register(batch, NFTA_BITWISE_DREG, reg);
    netlink_put_be32(batch, NFTA_BITWISE_LEN, (uint32_t)len);
    put_data(batch, NFTA_BITWISE_MASK, mask, len);
    put_data(batch, NFTA_BITWISE_XOR, &zero, len);
    expression_end(batch, &expression);
}

static const uint32_t header_bases[] = {
    [NFT_HEADER_NETWORK] = NFT_PAYLOAD_NETWORK_HEADER,
    [NFT_HEADER_TRANSPORT] = NFT_PAYLOAD_TRANSPORT_HEADER,
};

void nft_payload_load(struct netlink_batch *batch, enum nft_header header, uint32_t offset,
                      uint32_t len, unsigned int reg)
{
    struct expression expression = expression_begin(batch, "payload");

    put_register(batch, NFTA_PAYLOAD_DREG, reg);
    netlink_put_be32(batch, NFTA_PAYLOAD_BASE, header_bases[header]);
    netlink_put_be32(batch, NFTA_PAYLOAD_OFFSET, offset);
    netlink_put_be32(batch, NFTA_PAYLOAD_LEN, len);
    expression_end(batch, &expression);
}

void nft_payload_store(struct netlink_batch *batch, enum nft_header header, uint32_t offset,
                       uint32_t len, unsigned int reg, uint32_t checksum_offset)
{
    struct expression expression = expression_begin(batch, "payload");

    put_register(batch, NFTA_PAYLOAD_SREG, reg);
    netlink_put_be32(batch, NFTA_PAYLOAD_BASE, header_bases[header]);
    netlink_put_be32(batch, NFTA_PAYLOAD_OFFSET, offset);
    netlink_put_be32(batch, NFTA_PAYLOAD_LEN, len);
    netlink_put_be32(batch, NFTA_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_INET);
    netlink_put_be32(batch, NFTA_PAYLOAD_CSUM_OFFSET, checksum_offset);
    netlink_put_be32(batch, NFTA_PAYLOAD_CSUM_FLAGS, 0);
    expression_end(batch, &expression);
}

void nft_immediate(struct netlink_batch *batch, unsigned int reg, const void *data, size_t len)
{
    struct expression expression = expression_begin(batch, "immediate");

    put_register(batch, NFTA_IMMEDIATE_DREG, reg);
    put_data(batch, NFTA_IMMEDIATE_DATA, data, len);
    expression_end(batch, &expression);
}

void nft_lookup(struct netlink_batch *batch, const char *set, unsigned int reg, bool is_inverted)
{
    struct expression expression = expression_begin(batch, "lookup");

    netlink_put_text(batch, NFTA_LOOKUP_SET, set);
    put_register(batch, NFTA_LOOKUP_SREG, reg);
    if (is_inverted)
        netlink_put_be32(batch, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
    expression_end(batch, &expression);
}

void nft_lookup_map(struct netlink_batch *batch, const char *map, unsigned int reg,
                    unsigned int data_reg)
{
    struct expression expression = expression_begin(batch, "lookup");

    netlink_put_text(batch, NFTA_LOOKUP_SET, map);
    put_register(batch, NFTA_LOOKUP_SREG, reg);
    put_register(batch, NFTA_LOOKUP_DREG, data_reg);
    expression_end(batch, &expression);
}

void nft_ct(struct netlink_batch *batch, enum nft_ct what, unsigned int reg)
{
    struct expression expression = expression_begin(batch, "ct");

    netlink_put_be32(batch, NFTA_CT_KEY, what == NFT_LOAD_CT_STATE ? NFT_CT_STATE : NFT_CT_STATUS);
    put_register(batch, NFTA_CT_DREG, reg);
    expression_end(batch, &expression);
}

void nft_fib_type(struct netlink_batch *batch, enum nft_fib what, unsigned int reg)
{
    struct expression expression = expression_begin(batch, "fib");

    put_register(batch, NFTA_FIB_DREG, reg);
    netlink_put_be32(batch, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    netlink_put_be32(batch, NFTA_FIB_FLAGS,
                     what == NFT_FIB_SOURCE ? NFTA_FIB_F_SADDR : NFTA_FIB_F_DADDR);
    expression_end(batch, &expression);
}

void nft_dnat(struct netlink_batch *batch, unsigned int address_reg, unsigned int port_reg)
{
    struct expression expression = expression_begin(batch, "nat");

    netlink_put_be32(batch, NFTA_NAT_TYPE, NFT_NAT_DNAT);
    netlink_put_be32(batch, NFTA_NAT_FAMILY, NFPROTO_IPV4);
    put_register(batch, NFTA_NAT_REG_ADDR_MIN, address_reg);
    put_register(batch, NFTA_NAT_REG_PROTO_MIN, port_reg);
    expression_end(batch, &expression);
}

void nft_masquerade(struct netlink_batch *batch, bool is_random)
{
    struct expression expression = expression_begin(batch, "masq");

    if (is_random)
        netlink_put_be32(batch, NFTA_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
    expression_end(batch, &expression);
}

void nft_counter(struct netlink_batch *batch)
{
    struct expression expression = expression_begin(batch, "counter");

    expression_end(batch, &expression);
}

void nft_verdict(struct netlink_batch *batch, enum nft_verdict verdict, const char *chain)
{
    static const int codes[] = {
        [NFT_VERDICT_ACCEPT] = NF_ACCEPT,
        [NFT_VERDICT_DROP] = NF_DROP,
        [NFT_VERDICT_JUMP] = NFT_JUMP,
        [NFT_VERDICT_GOTO] = NFT_GOTO,
    };
    struct expression expression = expression_begin(batch, "immediate");
    size_t data, nest;

    netlink_put_be32(batch, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    data = netlink_nest(batch, NFTA_IMMEDIATE_DATA);
    nest = netlink_nest(batch, NFTA_DATA_VERDICT);
    netlink_put_be32(batch, NFTA_VERDICT_CODE, (uint32_t)codes[verdict]);
    if (chain != NULL)
        netlink_put_text(batch, NFTA_VERDICT_CHAIN, chain);
    netlink_nest_end(batch, nest);
    netlink_nest_end(batch, data);
    expression_end(batch, &expression);
}
