/* Reading what others or we put into nf_tables: never the whole ruleset. */

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/network/nft_encode.h"

static void query_message(struct netlink_batch *batch, uint16_t type, uint16_t flags,
                          const struct nft_table *table)
{
    struct nfgenmsg header = {.nfgen_family =
                                  table->family == NFT_FAMILY_INET ? NFPROTO_INET : NFPROTO_IPV4,
                              .version = NFNETLINK_V0};

    netlink_message(batch, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &header,
                    sizeof(header));
}

static void take_chain(uint16_t type, const void *payload, size_t len, void *context)
{
    struct nft_chain_state *state = context;
    const void *data;
    uint32_t policy;

    if ((type & 0xff) != NFT_MSG_NEWCHAIN)
        return;
    state->is_base =
        netlink_find(payload, len, sizeof(struct nfgenmsg), NFTA_CHAIN_HOOK, 0, NULL) != NULL;
    data = netlink_find(payload, len, sizeof(struct nfgenmsg), NFTA_CHAIN_POLICY, sizeof(policy),
                        NULL);
    if (data == NULL)
        return;
    memcpy(&policy, data, sizeof(policy));
    state->drops_by_default = ntohl(policy) == NF_DROP;
}

int nft_chain_read(int nft_fd, const struct nft_table *table, const char *chain,
                   struct nft_chain_state *ret, struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    struct nft_chain_state state = {0};
    struct error failure = ERROR_INIT;

    query_message(&batch, NFT_MSG_GETCHAIN, NLM_F_ACK, table);
    netlink_put_text(&batch, NFTA_CHAIN_TABLE, table->name);
    netlink_put_text(&batch, NFTA_CHAIN_NAME, chain);
    if (netlink_query(nft_fd, &batch, take_chain, &state, &failure) < 0) {
        if (failure.errnum == ENOENT)
            return 1;
        if (err != NULL)
            *err = failure;
        return error_wrap(err, "look up firewall chain \"%s\" in table \"%s\"", chain, table->name);
    }
    *ret = state;
    return 0;
}

int nft_chain_exists(int nft_fd, const struct nft_table *table, const char *chain,
                     struct error *err)
{
    struct nft_chain_state state;

    return nft_chain_read(nft_fd, table, chain, &state, err);
}

struct rule_search {
    const char *comment;
    uint64_t *handles;
    size_t max;
    size_t n;
};

static void take_rule(uint16_t type, const void *payload, size_t len, void *context)
{
    struct rule_search *search = context;
    const size_t header = sizeof(struct nfgenmsg);
    size_t udata_len, comment_len = strlen(search->comment) + 1;
    const char *udata;
    const void *handle;
    uint64_t wire;

    if ((type & 0xff) != NFT_MSG_NEWRULE || search->n == search->max)
        return;
    udata = netlink_find(payload, len, header, NFTA_RULE_USERDATA, 2, &udata_len);
    handle = netlink_find(payload, len, header, NFTA_RULE_HANDLE, sizeof(wire), NULL);
    if (udata == NULL || handle == NULL || udata_len < 2 + comment_len || udata[0] != 0 ||
        memcmp(udata + 2, search->comment, comment_len) != 0)
        return;
    memcpy(&wire, handle, sizeof(wire));
    search->handles[search->n++] = be64toh(wire);
}

int nft_rules_find(int nft_fd, const struct nft_table *table, const char *chain,
                   const char *comment, uint64_t *ret_handles, size_t max, size_t *ret_n,
                   struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    struct rule_search search = {.comment = comment, .handles = ret_handles, .max = max};
    struct error failure = ERROR_INIT;

    query_message(&batch, NFT_MSG_GETRULE, NLM_F_DUMP, table);
    netlink_put_text(&batch, NFTA_RULE_TABLE, table->name);
    netlink_put_text(&batch, NFTA_RULE_CHAIN, chain);
    if (netlink_query(nft_fd, &batch, take_rule, &search, &failure) < 0 &&
        failure.errnum != ENOENT) {
        if (err != NULL)
            *err = failure;
        return error_wrap(err, "list firewall rules of chain \"%s\"", chain);
    }
    *ret_n = search.n;
    return 0;
}

void nft_rule_delete(struct netlink_batch *batch, const struct nft_table *table, const char *chain,
                     uint64_t handle)
{
    uint64_t wire = htobe64(handle);

    query_message(batch, NFT_MSG_DELRULE, 0, table);
    netlink_put_text(batch, NFTA_RULE_TABLE, table->name);
    netlink_put_text(batch, NFTA_RULE_CHAIN, chain);
    netlink_put(batch, NFTA_RULE_HANDLE, &wire, sizeof(wire));
}
