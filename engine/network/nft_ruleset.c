/* Rulesets as data. */

#include "engine/network/nft_ruleset.h"

#include <arpa/inet.h>
#include <assert.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/network/ipv4.h"

enum {
    IP_SADDR_OFFSET = 12,
    IP_DADDR_OFFSET = 16,
    SPORT_OFFSET = 0,
    DPORT_OFFSET = 2,
    UDP_CHECKSUM_OFFSET = 6,
    TCP_CHECKSUM_OFFSET = 16,
    /* Bit of the state in `ct state`: 1 << (ctinfo % IP_CT_IS_REPLY + 1). */
    CT_STATE_ESTABLISHED_RELATED = 1 << (IP_CT_ESTABLISHED + 1) | 1 << (IP_CT_RELATED + 1),
    IFNAME_BYTES = 16,
};

/* What an encoder gets to know. */
struct encoding {
    struct netlink_batch *batch;
    enum nft_family family;
    const struct nft_statement *statement;
    uint32_t variant; /* of the statement's row below */
};

typedef void encode_statement(const struct encoding *encoding);

/* In a table for both families, loads from the IP header are preceded by a check of the family. */
static void require_ipv4(const struct encoding *encoding)
{
    const uint8_t ipv4 = NFPROTO_IPV4;

    if (encoding->family != NFT_FAMILY_INET)
        return;
    nft_meta(encoding->batch, NFT_LOAD_NFPROTO, 0);
    nft_compare(encoding->batch, 0, NFT_EQUAL, &ipv4, sizeof(ipv4));
}

static void encode_ifname_is(const struct encoding *encoding)
{
    char name[IFNAME_BYTES] = {0};

    assert(strlen(encoding->statement->name) < sizeof(name));
    memcpy(name, encoding->statement->name, strlen(encoding->statement->name));
    nft_meta(encoding->batch, NFT_LOAD_IIFNAME, 0);
    nft_compare(encoding->batch, 0, NFT_EQUAL, name, sizeof(name));
}

static void encode_iifname_in(const struct encoding *encoding)
{
    nft_meta(encoding->batch, NFT_LOAD_IIFNAME, 0);
    nft_lookup(encoding->batch, encoding->statement->name, 0, false);
}

static void encode_oifname_in(const struct encoding *encoding)
{
    nft_meta(encoding->batch, NFT_LOAD_OIFNAME, 0);
    nft_lookup(encoding->batch, encoding->statement->name, 0, encoding->variant != 0);
}

static void encode_interfaces_in(const struct encoding *encoding)
{
    nft_meta(encoding->batch, NFT_LOAD_IIFNAME, 0);
    nft_meta(encoding->batch, NFT_LOAD_OIFNAME, 4);
    nft_lookup(encoding->batch, encoding->statement->name, 0, false);
}

static void encode_daddr_loopback(const struct encoding *encoding)
{
    const uint8_t first_byte = 127;

    require_ipv4(encoding);
    nft_payload_load(encoding->batch, NFT_HEADER_NETWORK, IP_DADDR_OFFSET, 1, 0);
    nft_compare(encoding->batch, 0, NFT_EQUAL, &first_byte, sizeof(first_byte));
}

static void encode_daddr_in(const struct encoding *encoding)
{
    require_ipv4(encoding);
    nft_payload_load(encoding->batch, NFT_HEADER_NETWORK, IP_DADDR_OFFSET, 4, 0);
    nft_lookup(encoding->batch, encoding->statement->name, 0, false);
}

static void load_destination(const struct encoding *encoding)
{
    require_ipv4(encoding);
    nft_payload_load(encoding->batch, NFT_HEADER_NETWORK, IP_DADDR_OFFSET, 4, 0);
    nft_meta(encoding->batch, NFT_LOAD_L4PROTO, 1);
    nft_payload_load(encoding->batch, NFT_HEADER_TRANSPORT, DPORT_OFFSET, 2, 2);
}

static void encode_destination_in(const struct encoding *encoding)
{
    load_destination(encoding);
    nft_lookup(encoding->batch, encoding->statement->name, 0, false);
}

static void encode_addresses_in(const struct encoding *encoding)
{
    require_ipv4(encoding);
    nft_payload_load(encoding->batch, NFT_HEADER_NETWORK, IP_SADDR_OFFSET, 4, 0);
    nft_payload_load(encoding->batch, NFT_HEADER_NETWORK, IP_DADDR_OFFSET, 4, 1);
    nft_lookup(encoding->batch, encoding->statement->name, 0, false);
}

static void encode_ct(const struct encoding *encoding)
{
    static const uint32_t zero = 0;
    bool is_state = encoding->statement->kind == NFT_CT_ESTABLISHED;

    nft_ct(encoding->batch, is_state ? NFT_LOAD_CT_STATE : NFT_LOAD_CT_STATUS, 0);
    nft_mask(encoding->batch, 0, &encoding->variant, sizeof(encoding->variant));
    nft_compare(encoding->batch, 0, NFT_NOT_EQUAL, &zero, sizeof(zero));
}

static void encode_is_local(const struct encoding *encoding)
{
    const uint32_t local = RTN_LOCAL;

    nft_fib_type(encoding->batch, (enum nft_fib)encoding->variant, 0);
    nft_compare(encoding->batch, 0, NFT_EQUAL, &local, sizeof(local));
}

static void encode_dnat_by_destination(const struct encoding *encoding)
{
    load_destination(encoding);
    nft_lookup_map(encoding->batch, encoding->statement->name, 0, 0);
    nft_dnat(encoding->batch, 0, 1);
}

static void encode_dnat_by_port(const struct encoding *encoding)
{
    nft_meta(encoding->batch, NFT_LOAD_L4PROTO, 0);
    nft_payload_load(encoding->batch, NFT_HEADER_TRANSPORT, DPORT_OFFSET, 2, 1);
    nft_lookup_map(encoding->batch, encoding->statement->name, 0, 0);
    nft_dnat(encoding->batch, 0, 1);
}

static void encode_masquerade(const struct encoding *encoding)
{
    nft_masquerade(encoding->batch, encoding->variant != 0);
}

static void encode_verdict(const struct encoding *encoding)
{
    nft_verdict(encoding->batch, (enum nft_verdict)encoding->variant, encoding->statement->name);
}

static void encode_address_is(const struct encoding *encoding)
{
    uint32_t wire = htonl(encoding->statement->number);

    require_ipv4(encoding);
    nft_payload_load(encoding->batch, NFT_HEADER_NETWORK, encoding->variant, 4, 0);
    nft_compare(encoding->batch, 0, NFT_EQUAL, &wire, sizeof(wire));
}

/* Variants of port statements: protocol and offset in one number. */
#define PORT_VARIANT(protocol, offset) ((uint32_t)(protocol) << 8 | (uint32_t)(offset))

static void encode_port_is(const struct encoding *encoding)
{
    uint8_t protocol = (uint8_t)(encoding->variant >> 8);
    uint16_t wire = htons((uint16_t)encoding->statement->number);

    nft_meta(encoding->batch, NFT_LOAD_L4PROTO, 0);
    nft_compare(encoding->batch, 0, NFT_EQUAL, &protocol, sizeof(protocol));
    nft_payload_load(encoding->batch, NFT_HEADER_TRANSPORT, encoding->variant & 0xff, 2, 0);
    nft_compare(encoding->batch, 0, NFT_EQUAL, &wire, sizeof(wire));
}

static void encode_set_port(const struct encoding *encoding)
{
    uint16_t wire = htons((uint16_t)encoding->statement->number);

    nft_immediate(encoding->batch, 0, &wire, sizeof(wire));
    nft_payload_store(encoding->batch, NFT_HEADER_TRANSPORT, encoding->variant & 0xff, 2, 0,
                      encoding->variant >> 8 == IPPROTO_UDP ? UDP_CHECKSUM_OFFSET
                                                            : TCP_CHECKSUM_OFFSET);
}

static void encode_is_ipv4(const struct encoding *encoding)
{
    require_ipv4(encoding);
}

enum statement_argument { NO_ARGUMENT, NAME, QUOTED_NAME, ADDRESS, NUMBER };

struct statement_kind {
    const char *text; /* what stands before the argument */
    enum statement_argument argument;
    encode_statement *encode;
    uint32_t variant;
};

static const struct statement_kind kinds[] = {
    [NFT_IIFNAME_IS] = {"iifname ", QUOTED_NAME, encode_ifname_is, 0},
    [NFT_IIFNAME_IN] = {"iifname @", NAME, encode_iifname_in, 0},
    [NFT_OIFNAME_IN] = {"oifname @", NAME, encode_oifname_in, 0},
    [NFT_OIFNAME_NOT_IN] = {"oifname != @", NAME, encode_oifname_in, 1},
    [NFT_INTERFACES_IN] = {"iifname . oifname @", NAME, encode_interfaces_in, 0},
    [NFT_IS_IPV4] = {"meta nfproto ipv4", NO_ARGUMENT, encode_is_ipv4, 0},
    [NFT_DADDR_LOOPBACK] = {"ip daddr 127.0.0.0/8", NO_ARGUMENT, encode_daddr_loopback, 0},
    [NFT_DADDR_IN] = {"ip daddr @", NAME, encode_daddr_in, 0},
    [NFT_DESTINATION_IN] = {"ip daddr . meta l4proto . th dport @", NAME, encode_destination_in, 0},
    [NFT_ADDRESSES_IN] = {"ip saddr . ip daddr @", NAME, encode_addresses_in, 0},
    [NFT_CT_ESTABLISHED] = {"ct state established,related", NO_ARGUMENT, encode_ct,
                            CT_STATE_ESTABLISHED_RELATED},
    [NFT_CT_IS_DNAT] = {"ct status dnat", NO_ARGUMENT, encode_ct, IPS_DST_NAT},
    [NFT_SADDR_IS_LOCAL] = {"fib saddr type local", NO_ARGUMENT, encode_is_local, NFT_FIB_SOURCE},
    [NFT_DADDR_IS_LOCAL] = {"fib daddr type local", NO_ARGUMENT, encode_is_local,
                            NFT_FIB_DESTINATION},
    [NFT_DNAT_BY_DESTINATION] = {"dnat ip to ip daddr . meta l4proto . th dport map @", NAME,
                                 encode_dnat_by_destination, 0},
    [NFT_DNAT_BY_PORT] = {"dnat ip to meta l4proto . th dport map @", NAME, encode_dnat_by_port, 0},
    [NFT_MASQUERADE] = {"masquerade", NO_ARGUMENT, encode_masquerade, 0},
    [NFT_MASQUERADE_RANDOM] = {"masquerade fully-random", NO_ARGUMENT, encode_masquerade, 1},
    [NFT_ACCEPT] = {"accept", NO_ARGUMENT, encode_verdict, NFT_VERDICT_ACCEPT},
    [NFT_DROP] = {"drop", NO_ARGUMENT, encode_verdict, NFT_VERDICT_DROP},
    [NFT_JUMP_TO] = {"jump ", NAME, encode_verdict, NFT_VERDICT_JUMP},
    [NFT_GOTO_CHAIN] = {"goto ", NAME, encode_verdict, NFT_VERDICT_GOTO},
    [NFT_SADDR_IS] = {"ip saddr ", ADDRESS, encode_address_is, IP_SADDR_OFFSET},
    [NFT_DADDR_IS] = {"ip daddr ", ADDRESS, encode_address_is, IP_DADDR_OFFSET},
    [NFT_UDP_SPORT_IS] = {"udp sport ", NUMBER, encode_port_is,
                          PORT_VARIANT(IPPROTO_UDP, SPORT_OFFSET)},
    [NFT_UDP_DPORT_IS] = {"udp dport ", NUMBER, encode_port_is,
                          PORT_VARIANT(IPPROTO_UDP, DPORT_OFFSET)},
    [NFT_TCP_SPORT_IS] = {"tcp sport ", NUMBER, encode_port_is,
                          PORT_VARIANT(IPPROTO_TCP, SPORT_OFFSET)},
    [NFT_TCP_DPORT_IS] = {"tcp dport ", NUMBER, encode_port_is,
                          PORT_VARIANT(IPPROTO_TCP, DPORT_OFFSET)},
    [NFT_SET_UDP_SPORT] = {"udp sport set ", NUMBER, encode_set_port,
                           PORT_VARIANT(IPPROTO_UDP, SPORT_OFFSET)},
    [NFT_SET_UDP_DPORT] = {"udp dport set ", NUMBER, encode_set_port,
                           PORT_VARIANT(IPPROTO_UDP, DPORT_OFFSET)},
    [NFT_SET_TCP_SPORT] = {"tcp sport set ", NUMBER, encode_set_port,
                           PORT_VARIANT(IPPROTO_TCP, SPORT_OFFSET)},
    [NFT_SET_TCP_DPORT] = {"tcp dport set ", NUMBER, encode_set_port,
                           PORT_VARIANT(IPPROTO_TCP, DPORT_OFFSET)},
};
static_assert(sizeof(kinds) / sizeof(kinds[0]) == NFT_STATEMENT_KINDS, "one row per kind");

static void put_rule(struct netlink_batch *batch, const struct nft_table *table,
                     const struct nft_rule_text *text)
{
    struct nft_rule rule = nft_rule_begin(batch, table, text->chain, NFT_APPEND);

    for (size_t i = 0; i < text->n; i++) {
        const struct statement_kind *kind = &kinds[text->statements[i].kind];
        struct encoding encoding = {batch, table->family, &text->statements[i], kind->variant};

        kind->encode(&encoding);
    }
    nft_rule_end(batch, &rule);
}

void nft_ruleset_put(struct netlink_batch *batch, const struct nft_ruleset *ruleset)
{
    nft_table_add(batch, &ruleset->table);
    for (size_t i = 0; i < ruleset->n_sets; i++)
        nft_set_add(batch, &ruleset->table, &ruleset->sets[i], (uint32_t)i + 1);
    for (size_t i = 0; i < ruleset->n_chains; i++)
        nft_chain_add(batch, &ruleset->table, &ruleset->chains[i]);
    for (size_t i = 0; i < ruleset->n_rules; i++)
        put_rule(batch, &ruleset->table, &ruleset->rules[i]);
}

static void print_fields(struct buf *out, const enum nft_type *fields)
{
    for (size_t i = 0; i < NFT_FIELDS_MAX && fields[i] != NFT_TYPE_NONE; i++)
        buf_printf(out, "%s%s", i == 0 ? "" : " . ", nft_type_names[fields[i]]);
}

static void print_set(struct buf *out, const struct nft_set *set)
{
    bool is_map = set->data[0] != NFT_TYPE_NONE;

    buf_printf(out, "\t%s %s {\n\t\ttype ", is_map ? "map" : "set", set->name);
    print_fields(out, set->key);
    if (is_map) {
        buf_add_text(out, " : ");
        print_fields(out, set->data);
    }
    buf_printf(out, "\n%s\t}\n\n", set->is_interval ? "\t\tflags interval\n" : "");
}

static void print_statement(struct buf *out, const struct nft_statement *statement)
{
    const struct statement_kind *kind = &kinds[statement->kind];
    char address[IPV4_TEXT_SIZE];

    buf_add_text(out, kind->text);
    switch (kind->argument) {
    case NO_ARGUMENT:
        break;
    case NAME:
        buf_add_text(out, statement->name);
        break;
    case QUOTED_NAME:
        buf_printf(out, "\"%s\"", statement->name);
        break;
    case ADDRESS:
        ipv4_print(statement->number, address);
        buf_add_text(out, address);
        break;
    case NUMBER:
        buf_printf(out, "%u", statement->number);
        break;
    }
}

static void print_chain(struct buf *out, const struct nft_ruleset *ruleset,
                        const struct nft_chain *chain)
{
    buf_printf(out, "\tchain %s {\n", chain->name);
    if (chain->type != NULL)
        buf_printf(out, "\t\ttype %s hook %s priority %d; policy accept;\n", chain->type,
                   nft_hook_names[chain->hook], chain->priority);
    for (size_t i = 0; i < ruleset->n_rules; i++) {
        const struct nft_rule_text *rule = &ruleset->rules[i];

        if (strcmp(rule->chain, chain->name) != 0)
            continue;
        buf_add_text(out, "\t\t");
        for (size_t k = 0; k < rule->n; k++) {
            buf_add_text(out, k == 0 ? "" : " ");
            print_statement(out, &rule->statements[k]);
        }
        buf_add_char(out, '\n');
    }
    buf_add_text(out, "\t}\n");
}

void nft_ruleset_print(struct buf *out, const struct nft_ruleset *ruleset)
{
    buf_printf(out, "table %s %s {\n", ruleset->table.family == NFT_FAMILY_INET ? "inet" : "ip",
               ruleset->table.name);
    for (size_t i = 0; i < ruleset->n_sets; i++)
        print_set(out, &ruleset->sets[i]);
    for (size_t i = 0; i < ruleset->n_chains; i++) {
        buf_add_text(out, i == 0 ? "" : "\n");
        print_chain(out, ruleset, &ruleset->chains[i]);
    }
    buf_add_text(out, "}\n");
}
