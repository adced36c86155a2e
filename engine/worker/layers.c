/* Each missing layer goes WAITING → DOWNLOADING → DOWNLOADED → UNPACKING → STAGED; at the end all
 * are committed together, with one sync. A download lies in partial/<hex of its digest>, flock-ed
 * while somebody works on it, and stays there when the pull fails: the next one goes on from it. */

#include "engine/worker/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/units.h"
#include "engine/base/vec.h"
#include "engine/image/image.h"
#include "engine/worker/child.h"
#include "engine/worker/fetch.h"
#include "engine/worker/implicit.h"
#include "engine/worker/registry.h"
#include "engine/worker/report.h"

enum { DOWNLOADS_MAX = 3, UNPACKS_MAX = 2, POLL_MS = 100, PARTIAL_MODE = 0600 };

enum pull_state { PULL_WAITING, PULL_DOWNLOADING, PULL_DOWNLOADED, PULL_UNPACKING, PULL_STAGED };

struct pull_layer {
    enum pull_state state;
    const struct descriptor *blob;
    const char *diff_id;
    const char *partial; /* "partial/<hex>" */
    int partial_fd;      /* locked; -1 before */
    struct layer_stage stage;
    struct unpack_child child;
    struct unpack_summary summary;
    json_t *extra;
};

struct pull {
    const struct layers_order *order;
    struct arena arena;
    struct pull_layer *layers;
    size_t n_layers; /* the missing ones */
    uint64_t total_bytes;
};

/* ------------------------------------------------------------------ which */

static void add_layer(struct pull *pull, size_t i)
{
    const struct layers_order *order = pull->order;
    const char *diff_id = order->diff_ids->items[i];

    if (layer_exists(order->state_fd, diff_id))
        return;
    for (size_t j = 0; j < pull->n_layers; j++)
        if (text_equal(pull->layers[j].diff_id, diff_id))
            return; /* the same layer twice: empty ones often are */
    pull->layers[pull->n_layers++] = (struct pull_layer){
        .state = PULL_WAITING,
        .blob = &order->manifest->layers[i],
        .diff_id = diff_id,
        .partial = arena_printf(&pull->arena, "partial/%s",
                                order->manifest->layers[i].digest + sizeof("sha256:") - 1),
        .partial_fd = -1,
        .stage = LAYER_STAGE_INIT,
        .child = UNPACK_CHILD_INIT,
    };
    pull->total_bytes += order->manifest->layers[i].size;
}

static int compare_larger_first(const void *a, const void *b)
{
    const struct pull_layer *left = a, *right = b;

    return (left->blob->size < right->blob->size) - (left->blob->size > right->blob->size);
}

static void release_layer(struct pull_layer *layer)
{
    unpack_child_release(&layer->child);
    layer_stage_release(&layer->stage);
    if (layer->partial_fd >= 0)
        close(fd_take(&layer->partial_fd));
    json_release(&layer->extra);
}

static size_t count(const struct pull *pull, enum pull_state state)
{
    size_t n = 0;

    for (size_t i = 0; i < pull->n_layers; i++)
        n += pull->layers[i].state == state;
    return n;
}

/* ------------------------------------------------------------------ download */

/* 1 = another process works on the same blob. */
static int lock_partial(struct pull *pull, struct pull_layer *layer, uint64_t *ret_offset,
                        struct error *err)
{
    cleanup_fd int fd = openat(pull->order->state_fd, layer->partial,
                               O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, PARTIAL_MODE);
    struct stat st;
    int locked;

    if (fd < 0)
        return error_sys(err, errno, "open \"%s\"", layer->partial);
    locked = fs_lock(fd, FS_LOCK_TRY, err);
    if (locked != 0)
        return locked;
    if (fstat(fd, &st) < 0)
        return error_sys(err, errno, "look at \"%s\"", layer->partial);
    *ret_offset = (uint64_t)st.st_size;
    /* A whole one is asked for from the start of its last byte: the registry answers nothing to a
     * range behind the end. Too long a one is none of ours. */
    if (*ret_offset > layer->blob->size)
        *ret_offset = 0;
    else if (*ret_offset == layer->blob->size && *ret_offset > 0)
        *ret_offset -= 1;
    if (ftruncate(fd, (off_t)*ret_offset) < 0)
        return error_sys(err, errno, "cut \"%s\"", layer->partial);
    layer->partial_fd = fd_take(&fd);
    return 0;
}

static int start_download(struct pull *pull, struct pull_layer *layer, struct error *err)
{
    const struct layers_order *order = pull->order;
    struct fetch_request request = {
        .id = (uint32_t)(layer - pull->layers) + 1,
        .url = registry_blob_url(&pull->arena, order->registry, layer->blob->digest),
        .scope = order->registry->scope,
        .digest = layer->blob->digest,
        .max_bytes = layer->blob->size,
    };
    int locked = lock_partial(pull, layer, &request.offset, err);

    if (locked != 0)
        return locked < 0 ? -1 : 0;
    /* Whoever had the lock before may have finished the job. */
    if (layer_exists(order->state_fd, layer->diff_id)) {
        close(fd_take(&layer->partial_fd));
        layer->state = PULL_STAGED;
        return 0;
    }
    atomic_fetch_add_explicit(&order->fetch->progress->received_bytes, request.offset,
                              memory_order_relaxed);
    request.fd = layer->partial_fd;
    layer->state = PULL_DOWNLOADING;
    return fetch_send(order->fetch, &request, err);
}

static int take_answer(struct pull *pull, struct error *err)
{
    cleanup_arena struct arena scratch = ARENA_INIT;
    struct fetch_answer answer;
    struct pull_layer *layer;
    uint32_t id;
    int result = fetch_receive(pull->order->fetch, &scratch, &answer, &id, err);

    if (id < 1 || id > pull->n_layers)
        return result < 0 ? -1 : error_set(err, ERROR_SYSTEM, "an answer nobody asked for");
    layer = &pull->layers[id - 1];
    if (result < 0)
        return error_wrap(err, "layer %.19s", layer->blob->digest);
    if (layer->state != PULL_DOWNLOADING || !text_equal(answer.digest, layer->blob->digest) ||
        answer.size != layer->blob->size)
        return error_set(err, ERROR_INVALID, "layer %.19s: has %llu bytes, the manifest says %llu",
                         layer->blob->digest, (unsigned long long)answer.size,
                         (unsigned long long)layer->blob->size);
    layer->state = PULL_DOWNLOADED;
    return 0;
}

/* ------------------------------------------------------------------ unpack */

static int start_unpack(struct pull *pull, struct pull_layer *layer, struct error *err)
{
    struct unpack_options options = {.archive_fd = layer->partial_fd, .mode = TREE_LAYER};

    if (layer_stage_begin(pull->order->state_fd, &layer->stage, err) < 0)
        return -1;
    options.tree_fd = layer->stage.tree_fd;
    if (lseek(layer->partial_fd, 0, SEEK_SET) < 0)
        return error_sys(err, errno, "rewind \"%s\"", layer->partial);
    if (unpack_child_start(&options, &layer->child, err) < 0)
        return -1;
    layer->state = PULL_UNPACKING;
    return 0;
}

static int finish_unpack(struct pull *pull, struct pull_layer *layer, struct error *err)
{
    if (unpack_child_finish(&layer->child, &pull->arena, &layer->summary, err) < 0)
        return error_wrap(err, "layer %.19s", layer->blob->digest);
    if (!text_equal(layer->summary.diff_id, layer->diff_id))
        return error_set(err, ERROR_INVALID,
                         "layer %.19s: unpacks to %.19s, the image's config says %.19s",
                         layer->blob->digest, layer->summary.diff_id, layer->diff_id);
    unpack_child_release(&layer->child);
    layer->extra = json_object();
    json_set_text(layer->extra, "blob", layer->blob->digest);
    json_set_strings(layer->extra, "implicit", &layer->summary.implicit);
    layer->state = PULL_STAGED;
    return 0;
}

/* ------------------------------------------------------------------ all of them */

static int start_what_can(struct pull *pull, struct error *err)
{
    size_t n_downloads = count(pull, PULL_DOWNLOADING), n_unpacks = count(pull, PULL_UNPACKING);

    for (size_t i = 0; i < pull->n_layers; i++) {
        struct pull_layer *layer = &pull->layers[i];

        if (layer->state == PULL_WAITING && n_downloads < DOWNLOADS_MAX) {
            if (start_download(pull, layer, err) < 0)
                return -1;
            n_downloads += layer->state == PULL_DOWNLOADING;
        }
        if (layer->state == PULL_DOWNLOADED && n_unpacks < UNPACKS_MAX) {
            if (start_unpack(pull, layer, err) < 0)
                return -1;
            n_unpacks++;
        }
    }
    return 0;
}

static void tell_unpacking(const struct pull *pull)
{
    cleanup_buf struct buf written = BUF_INIT;
    uint64_t bytes = 0;

    for (size_t i = 0; i < pull->n_layers; i++) {
        const struct pull_layer *layer = &pull->layers[i];

        bytes +=
            layer->state == PULL_UNPACKING
                ? atomic_load_explicit(&layer->child.progress->written_bytes, memory_order_relaxed)
                : layer->summary.size_bytes;
    }
    print_bytes(&written, bytes);
    report_progress("%s: %zu of %zu layers, unpacked %s", pull->order->name,
                    count(pull, PULL_STAGED), pull->n_layers, buf_text(&written));
}

static void tell_progress(struct pull *pull)
{
    cleanup_buf struct buf got = BUF_INIT, total = BUF_INIT;
    uint64_t received =
        atomic_load_explicit(&pull->order->fetch->progress->received_bytes, memory_order_relaxed);

    if (!count(pull, PULL_WAITING) && !count(pull, PULL_DOWNLOADING)) {
        tell_unpacking(pull);
        return;
    }
    print_bytes(&got, received < pull->total_bytes ? received : pull->total_bytes);
    print_bytes(&total, pull->total_bytes);
    report_progress("%s: %zu of %zu layers, %s of %s", pull->order->name, count(pull, PULL_STAGED),
                    pull->n_layers, buf_text(&got), buf_text(&total));
}

/* Wait for an answer, an unpacking process's end, or a moment (somebody else's lock). */
static int await(struct pull *pull, struct error *err)
{
    struct pollfd waits[1 + UNPACKS_MAX] = {{.fd = pull->order->fetch->socket, .events = POLLIN}};
    struct pull_layer *unpacking[UNPACKS_MAX];
    nfds_t n = 1;

    for (size_t i = 0; i < pull->n_layers; i++) {
        if (pull->layers[i].state != PULL_UNPACKING)
            continue;
        unpacking[n - 1] = &pull->layers[i];
        waits[n++] = (struct pollfd){.fd = pull->layers[i].child.result_fd, .events = POLLIN};
    }
    if (poll(waits, n, POLL_MS) < 0 && errno != EINTR)
        return error_sys(err, errno, "wait for layers");
    tell_progress(pull);
    for (nfds_t i = 1; i < n; i++)
        if (waits[i].revents && finish_unpack(pull, unpacking[i - 1], err) < 0)
            return -1;
    return waits[0].revents ? take_answer(pull, err) : 0;
}

/* The tree of a layer, staged here or in the store; the caller closes it. */
static int open_tree(struct pull *pull, const char *diff_id)
{
    int fd = -1;

    for (size_t i = 0; i < pull->n_layers; i++)
        if (text_equal(pull->layers[i].diff_id, diff_id) && pull->layers[i].stage.tree_fd >= 0)
            return fcntl(pull->layers[i].stage.tree_fd, F_DUPFD_CLOEXEC, 0);
    if (layer_open(pull->order->state_fd, diff_id, &fd, NULL, NULL) < 0)
        return -1; /* it has nothing to adopt from, then */
    return fd;
}

/* From the bottom up, so that what a layer adopted can be adopted from it. */
static int adopt_attributes(struct pull *pull, struct error *err)
{
    const struct strings *diff_ids = pull->order->diff_ids;
    int *fds = arena_new_array(&pull->arena, int, diff_ids->n);
    int result = 0;

    for (size_t i = 0; i < diff_ids->n; i++)
        fds[i] = open_tree(pull, diff_ids->items[i]);
    for (size_t i = 0; i < diff_ids->n && result == 0; i++)
        for (size_t j = 0; j < pull->n_layers && result == 0; j++)
            if (text_equal(pull->layers[j].diff_id, diff_ids->items[i]) &&
                pull->layers[j].stage.tree_fd >= 0)
                result = implicit_adopt(fds[i], &pull->layers[j].summary.implicit, fds, i, err);
    for (size_t i = 0; i < diff_ids->n; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return result;
}

static int commit(struct pull *pull, struct error *err)
{
    VEC(struct layer_commit) commits = VEC_INIT;
    int result;

    for (size_t i = 0; i < pull->n_layers; i++) {
        struct pull_layer *layer = &pull->layers[i];

        if (layer->stage.dir_fd >= 0) /* else another process did it */
            vec_push(&commits, (struct layer_commit){
                                   .stage = &layer->stage,
                                   .diff_id = layer->diff_id,
                                   .size_bytes = layer->summary.size_bytes,
                                   .n_entries = layer->summary.n_entries,
                                   .extra = layer->extra,
                               });
    }
    report_progress("%s: writing to disk", pull->order->name);
    result = layer_stages_commit(pull->order->state_fd, commits.items, commits.n, err);
    vec_release(&commits);
    if (result < 0)
        return -1;
    for (size_t i = 0; i < pull->n_layers; i++)
        if (pull->layers[i].partial_fd >= 0)
            (void)unlinkat(pull->order->state_fd, pull->layers[i].partial, 0); /* or a day later */
    return 0;
}

static int get_all(struct pull *pull, struct error *err)
{
    if (pull->n_layers == 0)
        return 0;
    qsort(pull->layers, pull->n_layers, sizeof(*pull->layers), compare_larger_first);
    if (fs_make_dirs(pull->order->state_fd, "partial", 0700, err) < 0)
        return -1;
    while (count(pull, PULL_STAGED) < pull->n_layers)
        if (start_what_can(pull, err) < 0 || await(pull, err) < 0)
            return -1;
    if (adopt_attributes(pull, err) < 0)
        return -1;
    return commit(pull, err);
}

int layers_get(const struct layers_order *order, struct error *err)
{
    struct pull pull = {.order = order, .arena = ARENA_INIT};
    int result;

    pull.layers = x_alloc_array(order->manifest->n_layers, sizeof(*pull.layers));
    for (size_t i = 0; i < order->manifest->n_layers; i++)
        add_layer(&pull, i);
    result = get_all(&pull, err);
    for (size_t i = 0; i < pull.n_layers; i++)
        release_layer(&pull.layers[i]);
    free(pull.layers);
    arena_release(&pull.arena);
    return result;
}
