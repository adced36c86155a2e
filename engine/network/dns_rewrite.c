/* The rewriting in a container's namespace. */

#include "engine/network/dns_rewrite.h"

#include <errno.h>
#include <stdbool.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/network/nft_ruleset.h"

enum { SERVER_ADDRESS = 0x7f00000b /* 127.0.0.11 */, DNS_PORT = 53, RULES = 4 };

static const struct nft_chain chains[] = {
    {"output", "filter", NFT_HOOK_OUTPUT, -300},
    {"input", "filter", NFT_HOOK_INPUT, -300},
};

static void make_rules(const struct dns_rewrite *rewrite, struct nft_rule_text ret[static RULES])
{
    const uint32_t udp = rewrite->udp_port, tcp = rewrite->tcp_port;
    const struct nft_statement to = {NFT_DADDR_IS, NULL, SERVER_ADDRESS};
    const struct nft_statement from = {NFT_SADDR_IS, NULL, SERVER_ADDRESS};
    const struct nft_rule_text rules[RULES] = {
        {"output", 3, {to, {NFT_UDP_DPORT_IS, NULL, DNS_PORT}, {NFT_SET_UDP_DPORT, NULL, udp}}},
        {"output", 3, {to, {NFT_TCP_DPORT_IS, NULL, DNS_PORT}, {NFT_SET_TCP_DPORT, NULL, tcp}}},
        {"input", 3, {from, {NFT_UDP_SPORT_IS, NULL, udp}, {NFT_SET_UDP_SPORT, NULL, DNS_PORT}}},
        {"input", 3, {from, {NFT_TCP_SPORT_IS, NULL, tcp}, {NFT_SET_TCP_SPORT, NULL, DNS_PORT}}},
    };

    for (int i = 0; i < RULES; i++)
        ret[i] = rules[i];
}

static struct nft_ruleset make_ruleset(const struct nft_rule_text *rules)
{
    struct nft_ruleset ruleset = {.table = {NFT_FAMILY_IP, "berth-dns"},
                                  .chains = chains,
                                  .n_chains = sizeof(chains) / sizeof(chains[0]),
                                  .rules = rules,
                                  .n_rules = RULES};
    return ruleset;
}

static int send_ruleset(int nft_fd, const struct nft_ruleset *ruleset, bool is_replaced,
                        struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;

    nft_batch_begin(&batch);
    if (is_replaced)
        nft_table_delete(&batch, &ruleset->table);
    nft_table_add_new(&batch, &ruleset->table);
    nft_ruleset_put(&batch, ruleset);
    nft_batch_end(&batch);
    return netlink_transact(nft_fd, &batch, NULL, err);
}

int dns_rewrite_install(const struct dns_rewrite *rewrite, struct error *err)
{
    cleanup_fd int nft_fd = -1;
    struct nft_rule_text rules[RULES];
    struct nft_ruleset ruleset;
    struct error failure = ERROR_INIT;

    make_rules(rewrite, rules);
    ruleset = make_ruleset(rules);
    if (nft_open(&nft_fd, err) < 0)
        return -1;
    /* Not deleting in advance: closing the socket would wait for the kernel to free what was
     * deleted, 10 ms, even if nothing was there. */
    if (send_ruleset(nft_fd, &ruleset, false, &failure) < 0 &&
        (failure.errnum != EEXIST || send_ruleset(nft_fd, &ruleset, true, &failure) < 0)) {
        if (err != NULL)
            *err = failure;
        return error_wrap(err, "make firewall table \"ip berth-dns\" in the container");
    }
    return 0;
}

void dns_rewrite_print(struct buf *out, const struct dns_rewrite *rewrite)
{
    struct nft_rule_text rules[RULES];
    struct nft_ruleset ruleset;

    make_rules(rewrite, rules);
    ruleset = make_ruleset(rules);
    nft_ruleset_print(out, &ruleset);
}
