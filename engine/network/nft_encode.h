#pragma once

/* nf_tables requests: tables, chains, sets, elements and rules as nfnetlink messages in one atomic
 * batch (all of it takes effect, or nothing). Own encoding instead of libnftables: no parsing of
 * text, no fetching of the ruleset before a change, one system call. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/network/netlink.h"

struct error;

int nft_open(int *ret_fd, struct error *err);

enum nft_family { NFT_FAMILY_INET, NFT_FAMILY_IP };

/* Where things are: every message names its family and table. */
struct nft_table {
    enum nft_family family;
    const char *name;
};

void nft_batch_begin(struct netlink_batch *batch);
void nft_batch_end(struct netlink_batch *batch);

void nft_table_add(struct netlink_batch *batch, const struct nft_table *table);
/* The same, but the batch fails with EEXIST if there is one. */
void nft_table_add_new(struct netlink_batch *batch, const struct nft_table *table);
void nft_table_delete(struct netlink_batch *batch, const struct nft_table *table);

/* Field types of keys and data, in the order of concatenations. */
enum nft_type {
    NFT_TYPE_NONE,
    NFT_TYPE_IPV4,
    NFT_TYPE_PROTOCOL,
    NFT_TYPE_SERVICE,
    NFT_TYPE_IFNAME
};
enum { NFT_TYPES = 5, NFT_FIELDS_MAX = 3 };
extern const char *const nft_type_names[NFT_TYPES]; /* as nft writes them */

struct nft_set {
    const char *name;
    enum nft_type key[NFT_FIELDS_MAX];  /* ended by NFT_TYPE_NONE or the array's end */
    enum nft_type data[NFT_FIELDS_MAX]; /* empty: a set, else a map */
    bool is_interval;
};

/* `id` is unique within the batch. */
void nft_set_add(struct netlink_batch *batch, const struct nft_table *table,
                 const struct nft_set *set, uint32_t id);

enum nft_hook {
    NFT_HOOK_NONE,
    NFT_HOOK_PREROUTING,
    NFT_HOOK_INPUT,
    NFT_HOOK_FORWARD,
    NFT_HOOK_OUTPUT,
    NFT_HOOK_POSTROUTING
};
enum { NFT_HOOKS = 6 };
extern const char *const nft_hook_names[NFT_HOOKS];

struct nft_chain {
    const char *name;
    const char *type; /* "filter", "nat"; NULL: not a base chain */
    enum nft_hook hook;
    int priority;
};

void nft_chain_add(struct netlink_batch *batch, const struct nft_table *table,
                   const struct nft_chain *chain);

/* Elements of one set: begin, elements, end. */
enum nft_change { NFT_ADD, NFT_DELETE };
enum { NFT_ELEMENTS_MAX = 800 }; /* per begin/end: attribute lengths are 16 bits */

struct nft_elements {
    size_t list;
    uint32_t n;
};

struct nft_elements nft_elements_begin(struct netlink_batch *batch, enum nft_change change,
                                       const struct nft_table *table, const char *set);
/* Key and data are fields of 4 or 16 bytes as in registers. data_len 0: none. */
void nft_element(struct netlink_batch *batch, struct nft_elements *elements, const void *key,
                 size_t key_len, const void *data, size_t data_len);
/* The first address behind an interval. */
void nft_element_interval_end(struct netlink_batch *batch, struct nft_elements *elements,
                              const void *key, size_t key_len);
void nft_elements_end(struct netlink_batch *batch, const struct nft_elements *elements);

/* Rules: begin, expressions, end. */
struct nft_rule {
    size_t expressions;
};

enum nft_position { NFT_APPEND, NFT_INSERT };
struct nft_rule nft_rule_begin(struct netlink_batch *batch, const struct nft_table *table,
                               const char *chain, enum nft_position position);
void nft_rule_end(struct netlink_batch *batch, const struct nft_rule *rule);
/* Behind nft_rule_end: a comment, as nft and iptables-nft show it. */
void nft_rule_comment(struct netlink_batch *batch, const char *comment);

/* 32-bit registers 0…15; a 16-byte value takes four. */
enum nft_expression_meta { NFT_LOAD_IIFNAME, NFT_LOAD_OIFNAME, NFT_LOAD_L4PROTO, NFT_LOAD_NFPROTO };
void nft_meta(struct netlink_batch *batch, enum nft_expression_meta what, unsigned int reg);
enum nft_comparison { NFT_EQUAL, NFT_NOT_EQUAL };
void nft_compare(struct netlink_batch *batch, unsigned int reg, enum nft_comparison comparison,
                 const void *data, size_t len);
void nft_mask(struct netlink_batch *batch, unsigned int reg, const void *mask, size_t len);
enum nft_header { NFT_HEADER_NETWORK, NFT_HEADER_TRANSPORT };
void nft_payload_load(struct netlink_batch *batch, enum nft_header header, uint32_t offset,
                      uint32_t len, unsigned int reg);
/* Writes register into the header; the Internet checksum at `checksum_offset` is kept right. */
void nft_payload_store(struct netlink_batch *batch, enum nft_header header, uint32_t offset,
                       uint32_t len, unsigned int reg, uint32_t checksum_offset);
void nft_immediate(struct netlink_batch *batch, unsigned int reg, const void *data, size_t len);
void nft_lookup(struct netlink_batch *batch, const char *set, unsigned int reg, bool is_inverted);
void nft_lookup_map(struct netlink_batch *batch, const char *map, unsigned int reg,
                    unsigned int data_reg);
enum nft_ct { NFT_LOAD_CT_STATE, NFT_LOAD_CT_STATUS };
void nft_ct(struct netlink_batch *batch, enum nft_ct what, unsigned int reg);
enum nft_fib { NFT_FIB_SOURCE, NFT_FIB_DESTINATION };
void nft_fib_type(struct netlink_batch *batch, enum nft_fib what, unsigned int reg);
void nft_dnat(struct netlink_batch *batch, unsigned int address_reg, unsigned int port_reg);
void nft_masquerade(struct netlink_batch *batch, bool is_random);
void nft_counter(struct netlink_batch *batch);
enum nft_verdict { NFT_VERDICT_ACCEPT, NFT_VERDICT_DROP, NFT_VERDICT_JUMP, NFT_VERDICT_GOTO };
void nft_verdict(struct netlink_batch *batch, enum nft_verdict verdict, const char *chain);

/* Read: does the chain exist (0), or not, or not its table (1)? */
int nft_chain_exists(int nft_fd, const struct nft_table *table, const char *chain,
                     struct error *err);

struct nft_chain_state {
    bool is_base;
    bool drops_by_default;
};
/* Returns 0, or 1 if there is none. */
int nft_chain_read(int nft_fd, const struct nft_table *table, const char *chain,
                   struct nft_chain_state *ret, struct error *err);

/* Rules of a chain that carry this comment: handles, at most `max`. 0 rules if there is no chain.
 */
int nft_rules_find(int nft_fd, const struct nft_table *table, const char *chain,
                   const char *comment, uint64_t *ret_handles, size_t max, size_t *ret_n,
                   struct error *err);
void nft_rule_delete(struct netlink_batch *batch, const struct nft_table *table, const char *chain,
                     uint64_t handle);
