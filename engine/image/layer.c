/* Layers: opening, staging, committing.
 *
 * A stage is staging/<id>/ with tree/ inside, beside staging/<id>.lock, which its owner holds
 * flock-ed. Making the pair happens under a shared gc.lock, so that a sweep (exclusive) never sees
 * half of it. The lock file is a sibling, because the directory itself becomes layers/<hex>. */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/random.h"
#include "engine/image/store.h"

static const char meta_file[] = "meta.json";

const char *layer_path(struct arena *arena, const char *diff_id)
{
    assert(digest_is_valid(diff_id));
    return arena_printf(arena, "layers/%s/tree", digest_hex(diff_id));
}

bool layer_exists(int state_fd, const char *diff_id)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    return digest_is_valid(diff_id) && fs_exists(state_fd, layer_path(&arena, diff_id));
}

static int read_meta(int state_fd, const char *diff_id, struct layer *ret, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_json json_t *meta = NULL;
    const char *path = arena_printf(&arena, "layers/%s/%s", digest_hex(diff_id), meta_file);

    if (json_read_at(state_fd, path, META_MAX_BYTES, &meta, err) < 0)
        return -1;
    if (!text_equal(json_text_or(meta, "kind", "tree"), "tree"))
        return error_set(err, ERROR_UNSUPPORTED, "layer %.19s: made by a newer berth", diff_id);
    *ret = (struct layer){
        .kind = LAYER_TREE,
        .size_bytes = (uint64_t)json_i64_or(meta, "size_bytes", 0),
        .n_entries = (uint64_t)json_i64_or(meta, "n_entries", 0),
    };
    return 0;
}

int layer_open(int state_fd, const char *diff_id, int *ret_fd, struct layer *ret_layer,
               struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct layer layer = {0};
    int fd;

    if (!digest_is_valid(diff_id))
        return error_set(err, ERROR_INVALID, "\"%s\" is not a layer's diff id", diff_id);
    if (ret_layer && read_meta(state_fd, diff_id, &layer, err) < 0)
        return error_wrap(err, "open layer %.19s", diff_id);
    if (ret_fd) {
        fd = openat(state_fd, layer_path(&arena, diff_id),
                    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return error_sys(err, errno, "open layer %.19s", diff_id);
        *ret_fd = fd;
    }
    if (ret_layer)
        *ret_layer = layer;
    return 0;
}

/* ------------------------------------------------------------------ staging */

static const char *lock_name(struct arena *arena, const struct layer_stage *stage)
{
    return arena_printf(arena, "staging/%s.lock", stage->id);
}

static int make_stage(int state_fd, struct layer_stage *stage, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const char *directory = arena_printf(&arena, "staging/%s", stage->id);

    if (fs_make_dirs(state_fd, "staging", STORE_DIR_MODE, err) < 0)
        return -1;
    stage->lock_fd = openat(state_fd, lock_name(&arena, stage),
                            O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, STORE_FILE_MODE);
    if (stage->lock_fd < 0)
        return error_sys(err, errno, "create \"%s\"", lock_name(&arena, stage));
    if (fs_lock(stage->lock_fd, FS_LOCK_TRY, err) != 0)
        return error_wrap(err, "lock a new staging directory");
    if (mkdirat(state_fd, directory, STORE_DIR_MODE) < 0)
        return error_sys(err, errno, "create \"%s\"", directory);
    stage->dir_fd = openat(state_fd, directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (stage->dir_fd < 0 || mkdirat(stage->dir_fd, "tree", 0755) < 0)
        return error_sys(err, errno, "create \"%s/tree\"", directory);
    stage->tree_fd = openat(stage->dir_fd, "tree", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (stage->tree_fd < 0 || fchmod(stage->tree_fd, 0755) < 0)
        return error_sys(err, errno, "open \"%s/tree\"", directory);
    return 0;
}

int layer_stage_begin(int state_fd, struct layer_stage *ret, struct error *err)
{
    cleanup_layer_stage struct layer_stage stage = LAYER_STAGE_INIT;
    cleanup_fd int hold = -1;

    if (staging_sweep(state_fd, err) < 0 || image_collect_hold(state_fd, &hold, err) < 0)
        return -1;
    random_hex(stage.id, sizeof(stage.id) - 1);
    stage.state_fd = state_fd;
    if (make_stage(state_fd, &stage, err) < 0)
        return -1;

    *ret = stage;
    stage = (struct layer_stage)LAYER_STAGE_INIT;
    return 0;
}

const char *layer_stage_path(struct arena *arena, const struct layer_stage *stage)
{
    return arena_printf(arena, "staging/%s/tree", stage->id);
}

void layer_stage_release(struct layer_stage *stage)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    int saved = errno;

    if (stage->tree_fd >= 0)
        close(fd_take(&stage->tree_fd));
    if (stage->dir_fd >= 0)
        close(fd_take(&stage->dir_fd));
    if (stage->lock_fd >= 0) {
        /* What cannot be removed is left to a later sweep. */
        if (!stage->committed)
            (void)fs_remove_tree(stage->state_fd, arena_printf(&arena, "staging/%s", stage->id),
                                 NULL);
        (void)unlinkat(stage->state_fd, lock_name(&arena, stage), 0);
        close(fd_take(&stage->lock_fd));
    }
    errno = saved;
}

/* ------------------------------------------------------------------ commit */

static int write_meta(const struct layer_commit *commit, struct error *err)
{
    cleanup_json json_t *meta = json_object();
    cleanup_buf struct buf text = BUF_INIT;

    json_set_i64(meta, "format", 1);
    json_set_text(meta, "kind", "tree");
    json_set_text(meta, "diff_id", commit->diff_id);
    json_set_i64(meta, "size_bytes", (int64_t)commit->size_bytes);
    json_set_i64(meta, "n_entries", (int64_t)commit->n_entries);
    json_set_i64(meta, "created_ns", clock_realtime_ns());
    if (commit->extra && json_object_update_missing(meta, commit->extra) < 0)
        BUG();
    json_print(&text, meta);
    return fs_replace(commit->stage->dir_fd, meta_file, text.data, text.len, STORE_FILE_MODE,
                      FS_VOLATILE, err); /* the batch's syncfs makes it durable */
}

/* EEXIST and ENOTEMPTY: somebody else was first; ours is the same content. */
static int publish(int state_fd, const struct layer_commit *commit, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const char *from = arena_printf(&arena, "staging/%s", commit->stage->id);
    const char *to = arena_printf(&arena, "layers/%s", digest_hex(commit->diff_id));

    if (renameat2(state_fd, from, state_fd, to, RENAME_NOREPLACE) == 0) {
        commit->stage->committed = true;
        return 0;
    }
    if (errno != EEXIST)
        return error_sys(err, errno, "publish layer %.19s", commit->diff_id);
    return 0;
}

int layer_stages_commit(int state_fd, struct layer_commit *commits, size_t n, struct error *err)
{
    cleanup_fd int layers_fd = -1;

    if (n == 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (!digest_is_valid(commits[i].diff_id))
            return error_set(err, ERROR_INVALID, "\"%s\" is not a layer's diff id",
                             commits[i].diff_id);
        if (write_meta(&commits[i], err) < 0)
            return error_wrap(err, "commit layer %.19s", commits[i].diff_id);
    }
    if (fs_open_dirs(state_fd, "layers", STORE_DIR_MODE, &layers_fd, err) < 0)
        return -1;
    if (syncfs(layers_fd) < 0)
        return error_sys(err, errno, "write layers to disk");
    for (size_t i = 0; i < n; i++)
        if (publish(state_fd, &commits[i], err) < 0)
            return -1;
    if (fsync(layers_fd) < 0)
        return error_sys(err, errno, "sync layers");
    return 0;
}
