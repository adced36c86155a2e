/* Jobs on one archive: import as an image, extract into a directory. */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/str.h"
#include "engine/base/units.h"
#include "engine/image/image.h"
#include "engine/image/job.h"
#include "engine/worker/child.h"
#include "engine/worker/report.h"
#include "engine/worker/worker.h"

enum { ARCHIVE_FD = JOB_FIRST_EXTRA_FD, DIRECTORY_FD, POLL_MS = 200 };

static void tell_progress(const struct unpack_child *child)
{
    cleanup_buf struct buf size = BUF_INIT;

    print_bytes(&size, atomic_load_explicit(&child->progress->written_bytes, memory_order_relaxed));
    report_progress("unpacking %s", buf_text(&size));
}

/* One archive, from start to end. */
static int unpack(const struct unpack_options *options, struct arena *arena,
                  struct unpack_summary *ret, struct error *err)
{
    cleanup_unpack_child struct unpack_child child = UNPACK_CHILD_INIT;

    if (unpack_child_start(options, &child, err) < 0)
        return -1;
    for (;;) {
        struct pollfd wait = {.fd = child.result_fd, .events = POLLIN};
        int n = poll(&wait, 1, POLL_MS);

        if (n < 0 && errno != EINTR)
            return error_sys(err, errno, "wait for the unpacking process");
        if (n > 0)
            return unpack_child_finish(&child, arena, ret, err);
        tell_progress(&child);
    }
}

/* ------------------------------------------------------------------ import */

/* rootfs and history are the worker's part of the config. */
static int complete_config(const json_t *request, const char *diff_id, json_t **ret,
                           struct error *err)
{
    cleanup_json json_t *config = json_deep_copy(json_object_get(request, "config"));
    json_t *entry = json_object();
    const char *message = json_text_or(request, "message", NULL);
    const json_t *rootfs = json_object_get(config, "rootfs");
    cleanup_arena struct arena arena = ARENA_INIT;

    if (!message)
        message = arena_printf(&arena, "Imported from %s", json_text_or(request, "source", "-"));
    json_set_text(entry, "created", json_text_or(config, "created", NULL));
    json_set_text(entry, "comment", message);
    if (json_array_append_new(json_object_get(rootfs, "diff_ids"), json_string(diff_id)) < 0 ||
        json_array_append_new(json_object_get(config, "history"), entry) < 0)
        return error_set(err, ERROR_INVALID, "the request has no complete image config");
    *ret = json_incref(config);
    return 0;
}

static int commit_layer(int state_fd, struct layer_stage *stage,
                        const struct unpack_summary *summary, struct error *err)
{
    cleanup_json json_t *extra = json_object();
    struct layer_commit commit = {
        .stage = stage,
        .diff_id = summary->diff_id,
        .size_bytes = summary->size_bytes,
        .n_entries = summary->n_entries,
        .extra = extra,
    };

    json_set_strings(extra, "implicit", &summary->implicit);
    return layer_stages_commit(state_fd, &commit, 1, err);
}

static int write_image(int state_fd, const json_t *request, const char *diff_id, json_t **ret,
                       struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_json json_t *config = NULL;
    const char *text = json_text_or(request, "reference", NULL);
    struct image_reference reference;
    struct image_write write = {.references = &reference, .n_references = text ? 1 : 0};
    char id[DIGEST_TEXT_SIZE];
    json_t *result;

    if (text && image_reference_parse(&arena, text, &reference, err) < 0)
        return -1;
    if (complete_config(request, diff_id, &config, err) < 0)
        return -1;
    write.config = config;
    if (image_write(state_fd, &write, id, err) < 0)
        return -1;
    result = json_object();
    json_set_text(result, "id", id);
    json_set_text(result, "diff_id", diff_id);
    *ret = result;
    return 0;
}

int worker_import(int state_fd, const json_t *request, json_t **ret, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_layer_stage struct layer_stage stage = LAYER_STAGE_INIT;
    cleanup_image_lease struct image_lease lease = IMAGE_LEASE_INIT;
    struct unpack_options options = {.archive_fd = ARCHIVE_FD, .mode = TREE_PLAIN};
    struct unpack_summary summary = {0};

    if (layer_stage_begin(state_fd, &stage, err) < 0 || image_lease_open(state_fd, &lease, err) < 0)
        return -1;
    options.tree_fd = stage.tree_fd;
    if (unpack(&options, &arena, &summary, err) < 0)
        return error_wrap(err, "import \"%s\"", json_text_or(request, "source", "-"));
    if (summary.n_entries == 0)
        return error_set(err, ERROR_INVALID, "import \"%s\": the archive is empty",
                         json_text_or(request, "source", "-"));

    report_progress("writing to disk");
    if (image_lease_add(&lease, summary.diff_id, err) < 0)
        return -1;
    if (!layer_exists(state_fd, summary.diff_id) &&
        commit_layer(state_fd, &stage, &summary, err) < 0)
        return -1;
    return write_image(state_fd, request, summary.diff_id, ret, err);
}

/* ------------------------------------------------------------------ extract */

/* "uid:gid" */
static int parse_owner(const char *text, struct unpack_options *options, struct error *err)
{
    struct str uid_text, gid_text;
    uint64_t uid, gid;

    if (!text)
        return 0;
    if (!str_cut(str_from(text), ':', &uid_text, &gid_text))
        return error_set(err, ERROR_INVALID, "owner \"%s\" is not \"uid:gid\"", text);
    if (parse_u64(uid_text, 0, UINT32_MAX - 1, &uid, err) < 0 ||
        parse_u64(gid_text, 0, UINT32_MAX - 1, &gid, err) < 0)
        return error_wrap(err, "owner \"%s\"", text);
    options->force_owner = true;
    options->uid = (uid_t)uid;
    options->gid = (gid_t)gid;
    return 0;
}

int worker_extract(int state_fd, const json_t *request, json_t **ret, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct unpack_options options = {
        .archive_fd = ARCHIVE_FD, .tree_fd = DIRECTORY_FD, .mode = TREE_MERGE};
    struct unpack_summary summary = {0};
    json_t *result;

    (void)state_fd; /* the directory is the caller's */
    if (parse_owner(json_text_or(request, "owner", NULL), &options, err) < 0 ||
        unpack(&options, &arena, &summary, err) < 0)
        return -1;
    result = json_object();
    json_set_i64(result, "n_entries", (int64_t)summary.n_entries);
    json_set_i64(result, "size_bytes", (int64_t)summary.size_bytes);
    *ret = result;
    return 0;
}
