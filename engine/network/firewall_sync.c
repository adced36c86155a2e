/* Keeping the kernel's table equal to the records. */

#include "engine/network/firewall_sync.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/trace.h"
#include "engine/network/endpoints.h"
#include "engine/network/firewall.h"
#include "engine/network/record.h"

/* Shared by those who change elements, exclusive for whoever makes the table: else a change could
 * go into a table that is being replaced by one that doesn't know it. */
static int lock_firewall(const struct network_dirs *dirs, enum fs_lock how, int *ret_fd,
                         struct error *err)
{
    cleanup_fd int fd = -1;

    if (fs_make_dirs(dirs->run_fd, "networks", 0755, err) < 0)
        return -1;
    fd = openat(dirs->run_fd, "networks/.firewall", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_sys(err, errno, "open firewall lock");
    if (fs_lock(fd, how, err) < 0)
        return error_wrap(err, "lock firewall");
    *ret_fd = fd_take(&fd);
    return 0;
}

/* The caller's socket, or one of our own: *ret_owned is closed by cleanup_fd. */
static int use_socket(const struct network_dirs *dirs, int *ret_owned, int *ret_fd,
                      struct error *err)
{
    if (dirs->firewall_fd > 0) {
        *ret_fd = dirs->firewall_fd;
        return 0;
    }
    if (nft_open(ret_owned, err) < 0)
        return -1;
    *ret_fd = *ret_owned;
    return 0;
}

int network_open_firewall(int *ret_fd, struct error *err)
{
    return nft_open(ret_fd, err);
}

static int put_publications(struct arena *arena, const struct network_dirs *dirs,
                            const char *network, struct netlink_batch *batch, struct error *err)
{
    struct network_endpoints endpoints;

    if (network_list_endpoints(arena, dirs, network, &endpoints, err) < 0)
        return -1;
    for (size_t i = 0; i < endpoints.n; i++) {
        const struct network_endpoint *endpoint = &endpoints.items[i];
        struct firewall_publication publication = {.ports = endpoint->ports,
                                                   .n_ports = endpoint->n_ports};

        if (ipv4_parse(str_from(endpoint->ip), &publication.ip, err) < 0)
            return -1;
        firewall_put_publication(batch, NFT_ADD, &publication);
    }
    return 0;
}

static int put_everything(const struct network_dirs *dirs, const char *leaving,
                          struct netlink_batch *batch, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct network_records records;

    if (network_list(&arena, dirs, &records, err) < 0)
        return -1;
    for (size_t i = 0; i < records.n; i++) {
        const struct network_record *record = records.items[i];
        struct firewall_network network = {.bridge = record->bridge,
                                           .is_internal = record->spec.is_internal};

        if (leaving != NULL && text_equal(record->spec.name, leaving))
            continue;
        if (ipv4_prefix_parse(str_from(record->subnet), &network.subnet, err) < 0)
            return error_wrap(err, "record of network \"%s\"", record->spec.name);
        firewall_put_network(batch, NFT_ADD, &network);
        if (put_publications(&arena, dirs, record->spec.name, batch, err) < 0)
            return -1;
    }
    return 0;
}

static int send_everything(const struct network_dirs *dirs, const char *leaving, int nft_fd,
                           enum firewall_table what, struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;

    nft_batch_begin(&batch);
    firewall_put_table(&batch, what);
    if (put_everything(dirs, leaving, &batch, err) < 0)
        return -1;
    nft_batch_end(&batch);
    return netlink_transact(nft_fd, &batch, NULL, err);
}

int firewall_rebuild(const struct network_dirs *dirs, const char *leaving, struct error *err)
{
    cleanup_fd int lock_fd = -1;
    cleanup_fd int owned_fd = -1;
    int nft_fd;
    struct error failure = ERROR_INIT;

    if (lock_firewall(dirs, FS_LOCK_EXCLUSIVE, &lock_fd, err) < 0 ||
        use_socket(dirs, &owned_fd, &nft_fd, err) < 0)
        return -1;
    if (send_everything(dirs, leaving, nft_fd, FIREWALL_NEW, &failure) < 0 &&
        (failure.errnum != EEXIST ||
         send_everything(dirs, leaving, nft_fd, FIREWALL_REPLACED, &failure) < 0)) {
        if (err != NULL)
            *err = failure;
        return error_wrap(err, "make firewall table \"inet berth\"");
    }
    return firewall_admit(nft_fd, err);
}

int firewall_try(const struct network_dirs *dirs, struct netlink_batch *batch, struct error *err)
{
    cleanup_fd int lock_fd = -1;
    cleanup_fd int owned_fd = -1;
    int nft_fd;
    struct error failure = ERROR_INIT;
    int missing;

    if (lock_firewall(dirs, FS_LOCK_SHARED, &lock_fd, err) < 0 ||
        use_socket(dirs, &owned_fd, &nft_fd, err) < 0)
        return -1;
    missing = firewall_is_missing(nft_fd, err);
    if (missing != 0)
        return missing;
    if (netlink_transact(nft_fd, batch, NULL, &failure) < 0) {
        trace(TRACE_NET, "firewall batch: %s; making the table anew", failure.text);
        return 1;
    }
    return 0;
}

int firewall_sync(const struct network_dirs *dirs, const char *leaving, struct netlink_batch *batch,
                  struct error *err)
{
    int result = firewall_try(dirs, batch, err);

    return result <= 0 ? result : firewall_rebuild(dirs, leaving, err);
}

int firewall_ensure_admission(const struct network_dirs *dirs, struct error *err)
{
    cleanup_fd int owned_fd = -1;
    int nft_fd;

    if (use_socket(dirs, &owned_fd, &nft_fd, err) < 0)
        return -1;
    return firewall_admit(nft_fd, err);
}

int firewall_remove(const struct network_dirs *dirs, struct error *err)
{
    cleanup_netlink_batch struct netlink_batch batch = NETLINK_BATCH_INIT;
    cleanup_fd int lock_fd = -1;
    cleanup_fd int owned_fd = -1;
    int nft_fd;

    if (lock_firewall(dirs, FS_LOCK_EXCLUSIVE, &lock_fd, err) < 0 ||
        use_socket(dirs, &owned_fd, &nft_fd, err) < 0)
        return -1;
    nft_batch_begin(&batch);
    firewall_put_table_removal(&batch);
    nft_batch_end(&batch);
    if (netlink_transact(nft_fd, &batch, NULL, err) < 0)
        return error_wrap(err, "remove firewall table \"inet berth\"");
    return firewall_withdraw_admission(nft_fd, err);
}
