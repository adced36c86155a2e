#pragma once

/* Rulesets as data: every rule is a list of statements, and every statement knows both how nft
 * writes it and how it is encoded. What is printed (golden tests) is what is loaded. */

#include <stddef.h>
#include <stdint.h>

#include "engine/network/nft_encode.h"

struct buf;

enum nft_statement_kind {
    NFT_IIFNAME_IS, /* name */
    NFT_IIFNAME_IN,
    NFT_OIFNAME_IN,
    NFT_OIFNAME_NOT_IN,
    NFT_INTERFACES_IN, /* (in, out) */
    NFT_IS_IPV4,
    NFT_DADDR_LOOPBACK, /* 127.0.0.0/8 */
    NFT_DADDR_IN,
    NFT_DESTINATION_IN, /* (address, protocol, port) */
    NFT_ADDRESSES_IN,   /* (source, destination) */
    NFT_CT_ESTABLISHED, /* and related */
    NFT_CT_IS_DNAT,
    NFT_SADDR_IS_LOCAL,
    NFT_DADDR_IS_LOCAL,
    NFT_DNAT_BY_DESTINATION, /* map of (address, protocol, port) */
    NFT_DNAT_BY_PORT,        /* map of (protocol, port) */
    NFT_MASQUERADE,
    NFT_MASQUERADE_RANDOM,
    NFT_ACCEPT,
    NFT_DROP,
    NFT_JUMP_TO,
    NFT_GOTO_CHAIN,
    NFT_SADDR_IS, /* number: address in host order; only in tables of family ip, as what follows */
    NFT_DADDR_IS,
    NFT_UDP_SPORT_IS,
    NFT_UDP_DPORT_IS,
    NFT_TCP_SPORT_IS,
    NFT_TCP_DPORT_IS,
    NFT_SET_UDP_SPORT, /* rewrite without connection tracking */
    NFT_SET_UDP_DPORT,
    NFT_SET_TCP_SPORT,
    NFT_SET_TCP_DPORT,
};
enum { NFT_STATEMENT_KINDS = NFT_SET_TCP_DPORT + 1, NFT_STATEMENTS_MAX = 4 };

struct nft_statement {
    enum nft_statement_kind kind;
    const char *name; /* of a set, chain, interface */
    uint32_t number;
};

struct nft_rule_text {
    const char *chain;
    size_t n;
    struct nft_statement statements[NFT_STATEMENTS_MAX];
};

struct nft_ruleset {
    struct nft_table table;
    const struct nft_set *sets;
    size_t n_sets;
    const struct nft_chain *chains;
    size_t n_chains;
    const struct nft_rule_text *rules; /* those of a chain in order */
    size_t n_rules;
};

/* Add table, sets, chains and rules to the batch (between nft_batch_begin and _end). */
void nft_ruleset_put(struct netlink_batch *batch, const struct nft_ruleset *ruleset);

/* The same as `nft -f` reads it. */
void nft_ruleset_print(struct buf *out, const struct nft_ruleset *ruleset);
