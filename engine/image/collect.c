/* Leases, and removing what nothing keeps alive.
 *
 * gc.lock (flock) orders things: who makes something that must be kept (a lease, a staging
 * directory) holds it shared for that moment; the collector holds it exclusively while it marks and
 * renames garbage out of the way, and deletes afterwards, when nobody has to wait. It never waits
 * for the lock itself: a store in use is collected another time. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
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
#include "engine/base/trace.h"
#include "engine/base/vec.h"
#include "engine/image/store.h"

enum { ROOTS_FILE_MAX_BYTES = 4 << 20, RECORD_MAX_BYTES = 8 << 20 };

static const char lock_suffix[] = ".lock";
static const char dead_prefix[] = "dead-";
static const int64_t partial_kept_ns = 24 * 3600 * NS_PER_S;

static int open_gc_lock(int state_fd, int *ret_fd, struct error *err)
{
    int fd =
        openat(state_fd, "gc.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, STORE_FILE_MODE);

    if (fd < 0)
        return error_sys(err, errno, "open \"gc.lock\"");
    *ret_fd = fd;
    return 0;
}

int image_collect_hold(int state_fd, int *ret_fd, struct error *err)
{
    cleanup_fd int fd = -1;

    if (open_gc_lock(state_fd, &fd, err) < 0 || fs_lock(fd, FS_LOCK_SHARED, err) < 0)
        return -1;
    *ret_fd = fd_take(&fd);
    return 0;
}

/* ------------------------------------------------------------------ leases */

int image_lease_open(int state_fd, struct image_lease *ret, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct image_lease lease = IMAGE_LEASE_INIT;
    cleanup_fd int hold = -1, fd = -1;

    random_hex(lease.id, sizeof(lease.id) - 1);
    if (fs_make_dirs(state_fd, "leases", STORE_DIR_MODE, err) < 0 ||
        image_collect_hold(state_fd, &hold, err) < 0)
        return -1;
    fd = openat(state_fd, arena_printf(&arena, "leases/%s", lease.id),
                O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, STORE_FILE_MODE);
    if (fd < 0)
        return error_sys(err, errno, "create a lease");
    if (fs_lock(fd, FS_LOCK_TRY, err) != 0)
        return error_wrap(err, "lock a new lease");

    lease.fd = fd_take(&fd);
    lease.state_fd = state_fd;
    *ret = lease;
    return 0;
}

int image_lease_add(struct image_lease *lease, const char *digest, struct error *err)
{
    cleanup_fd int hold = -1;
    char line[DIGEST_TEXT_SIZE + 1];
    int n = snprintf(line, sizeof(line), "%s\n", digest);

    if (!digest_is_valid(digest))
        return error_set(err, ERROR_INVALID, "\"%s\" is not a digest", digest);
    if (image_collect_hold(lease->state_fd, &hold, err) < 0)
        return -1;
    return fs_write_all(lease->fd, line, (size_t)n, err);
}

void image_lease_close(struct image_lease *lease)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    int saved = errno;

    if (lease->fd >= 0) {
        (void)unlinkat(lease->state_fd, arena_printf(&arena, "leases/%s", lease->id), 0);
        close(fd_take(&lease->fd));
    }
    errno = saved;
}

/* ------------------------------------------------------------------ mark */

struct marks {
    struct arena arena;
    struct digests {
        const char **items;
        size_t n, capacity;
    } digests;
};

static void mark(struct marks *marks, const char *digest)
{
    if (digest && digest_is_valid(digest))
        vec_push(&marks->digests, arena_strdup(&marks->arena, digest));
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_marks(struct marks *marks)
{
    struct digests *digests = &marks->digests;
    size_t n = 0;

    if (digests->n)
        qsort(digests->items, digests->n, sizeof(*digests->items), compare_texts);
    for (size_t i = 0; i < digests->n; i++)
        if (!i || !text_equal(digests->items[i], digests->items[i - 1]))
            digests->items[n++] = digests->items[i];
    digests->n = n;
}

static bool is_marked(const struct marks *marks, const char *hex)
{
    char digest[DIGEST_TEXT_SIZE];
    const char *key = digest;

    if (!marks->digests.n)
        return false;
    (void)snprintf(digest, sizeof(digest), "sha256:%s", hex);
    return bsearch(&key, marks->digests.items, marks->digests.n, sizeof(*marks->digests.items),
                   compare_texts);
}

/* fs_list, where a missing directory is empty. */
static int list_or_empty(int state_fd, struct arena *arena, const char *path, struct strings *ret,
                         struct error *err)
{
    struct error local = ERROR_INIT;

    *ret = (struct strings){0};
    if (fs_list(state_fd, path, arena, ret, &local) == 0 || local.code == ERROR_NOT_FOUND)
        return 0;
    if (err)
        *err = local;
    return -1;
}

static int mark_refs(int state_fd, struct marks *marks, struct error *err)
{
    struct stored_ref *refs;
    size_t n;

    if (refs_list(state_fd, &marks->arena, &refs, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        mark(marks, refs[i].image);
        mark(marks, refs[i].manifest);
    }
    return 0;
}

static int mark_containers(int state_fd, struct marks *marks, struct error *err)
{
    struct arena *arena = &marks->arena;
    struct strings ids;

    if (list_or_empty(state_fd, arena, "containers", &ids, err) < 0)
        return -1;
    for (size_t i = 0; i < ids.n; i++) {
        const char *path = arena_printf(arena, "containers/%s/container.json", ids.items[i]);
        cleanup_json json_t *record = NULL;
        struct error local = ERROR_INIT;
        struct strings layers;

        if (ids.items[i][0] == '.') /* removed: its keeper takes away the files when it has time */
            continue;
        if (json_read_at(state_fd, path, RECORD_MAX_BYTES, &record, &local) < 0) {
            if (local.code == ERROR_NOT_FOUND)
                continue;
            /* We can't tell what it needs: collect nothing rather than too much. */
            if (err)
                *err = local;
            return -1;
        }
        mark(marks, json_text_or(json_object_get(record, "spec"), "image_id", NULL));
        layers = json_strings(arena, json_object_get(record, "resolved"), "layers");
        for (size_t j = 0; j < layers.n; j++)
            mark(marks, hex_is_digest(layers.items[j])
                            ? arena_printf(arena, "sha256:%s", layers.items[j])
                            : layers.items[j]);
    }
    return 0;
}

static int mark_lines(struct marks *marks, struct str text, const char *path, struct error *err)
{
    struct str line, rest = text;

    while (rest.len) {
        const char *digest;

        (void)str_cut(rest, '\n', &line, &rest);
        if (line.data + line.len == text.data + text.len)
            rest.len = 0; /* the last line has no newline */
        if (!line.len)
            continue;
        digest = arena_strndup(&marks->arena, line.data, line.len);
        if (!digest_is_valid(digest))
            return error_set(err, ERROR_INVALID, "\"%s\" holds something that is no digest", path);
        mark(marks, digest);
    }
    return 0;
}

static int mark_build(int state_fd, struct marks *marks, struct error *err)
{
    struct arena *arena = &marks->arena;
    struct strings files;

    if (list_or_empty(state_fd, arena, "build/roots", &files, err) < 0)
        return -1;
    for (size_t i = 0; i < files.n; i++) {
        const char *path = arena_printf(arena, "build/roots/%s", files.items[i]);
        cleanup_buf struct buf text = BUF_INIT;
        struct error local = ERROR_INIT;

        if (files.items[i][0] == '.')
            continue; /* the temporary file of somebody's fs_replace */
        if (fs_read_file(state_fd, path, ROOTS_FILE_MAX_BYTES, &text, &local) < 0) {
            if (local.code == ERROR_NOT_FOUND)
                continue;
            if (err)
                *err = local;
            return -1;
        }
        if (mark_lines(marks, buf_str(&text), path, err) < 0)
            return -1;
    }
    return 0;
}

/* Live leases mark; dead ones (nobody holds their lock) go. */
static int mark_leases(int state_fd, struct marks *marks, struct error *err)
{
    struct arena *arena = &marks->arena;
    struct strings files;

    if (list_or_empty(state_fd, arena, "leases", &files, err) < 0)
        return -1;
    for (size_t i = 0; i < files.n; i++) {
        const char *path = arena_printf(arena, "leases/%s", files.items[i]);
        cleanup_fd int fd = openat(state_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        cleanup_buf struct buf text = BUF_INIT;
        int locked;

        if (fd < 0 && errno == ENOENT)
            continue;
        if (fd < 0)
            return error_sys(err, errno, "open \"%s\"", path);
        locked = fs_lock(fd, FS_LOCK_TRY, err);
        if (locked < 0)
            return -1;
        if (locked == 0) {
            (void)unlinkat(state_fd, path, 0); /* else the next collection does */
            continue;
        }
        buf_init(&text, ROOTS_FILE_MAX_BYTES);
        if (fs_read_all(fd, &text, err) < 0 || mark_lines(marks, buf_str(&text), path, err) < 0)
            return -1;
    }
    return 0;
}

/* Images keep their layers. */
static void mark_layers(int state_fd, struct marks *marks)
{
    struct arena *arena = &marks->arena;
    size_t n_roots;

    sort_marks(marks);
    n_roots = marks->digests.n;
    for (size_t i = 0; i < n_roots; i++) {
        const char *digest = marks->digests.items[i];
        cleanup_json json_t *config = NULL;
        struct strings layers;

        if (!fs_exists(state_fd, blob_path(arena, digest)) ||
            image_config_read(state_fd, digest, &config, NULL) < 0 ||
            config_diff_ids(arena, config, &layers, NULL) < 0)
            continue; /* a layer, a manifest, or nothing yet */
        for (size_t j = 0; j < layers.n; j++)
            mark(marks, layers.items[j]);
    }
    sort_marks(marks);
}

static int mark_all(int state_fd, struct marks *marks, struct error *err)
{
    if (mark_refs(state_fd, marks, err) < 0 || mark_containers(state_fd, marks, err) < 0 ||
        mark_build(state_fd, marks, err) < 0 || mark_leases(state_fd, marks, err) < 0)
        return -1;
    mark_layers(state_fd, marks);
    return 0;
}

/* ------------------------------------------------------------------ sweep */

static int move_to_dead(int state_fd, const char *path, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    char suffix[17];

    random_hex(suffix, sizeof(suffix) - 1);
    if (fs_make_dirs(state_fd, "staging", STORE_DIR_MODE, err) < 0)
        return -1;
    if (renameat(state_fd, path, state_fd,
                 arena_printf(&arena, "staging/%s%s", dead_prefix, suffix)) < 0 &&
        errno != ENOENT)
        return error_sys(err, errno, "move \"%s\" away", path);
    return 0;
}

static int sweep_layers(int state_fd, struct marks *marks, uint64_t *freed, struct error *err)
{
    struct arena *arena = &marks->arena;
    struct strings names;

    if (list_or_empty(state_fd, arena, "layers", &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        const char *digest = arena_printf(arena, "sha256:%s", names.items[i]);
        struct layer layer;

        if (!hex_is_digest(names.items[i]) || is_marked(marks, names.items[i]))
            continue;
        if (layer_open(state_fd, digest, NULL, &layer, NULL) == 0)
            *freed += layer.size_bytes;
        trace(TRACE_IMAGE, "collect layer %.19s", digest);
        if (move_to_dead(state_fd, arena_printf(arena, "layers/%s", names.items[i]), err) < 0)
            return -1;
    }
    return 0;
}

static int sweep_blobs(int state_fd, struct marks *marks, struct error *err)
{
    struct arena *arena = &marks->arena;
    struct strings directories, names;

    if (list_or_empty(state_fd, arena, "blobs/sha256", &directories, err) < 0)
        return -1;
    for (size_t i = 0; i < directories.n; i++) {
        const char *directory = arena_printf(arena, "blobs/sha256/%s", directories.items[i]);

        if (list_or_empty(state_fd, arena, directory, &names, err) < 0)
            return -1;
        for (size_t j = 0; j < names.n; j++) {
            const char *path = arena_printf(arena, "%s/%s", directory, names.items[j]);

            /* Other names are temporary files; blobs are made under a lease, by live writers. */
            if (!hex_is_digest(names.items[j]) || is_marked(marks, names.items[j]))
                continue;
            if (unlinkat(state_fd, path, 0) < 0 && errno != ENOENT)
                return error_sys(err, errno, "remove \"%s\"", path);
        }
    }
    return 0;
}

/* Downloads that nobody continued for a day. */
static int sweep_partial(int state_fd, struct marks *marks, struct error *err)
{
    struct arena *arena = &marks->arena;
    int64_t now_ns = clock_realtime_ns();
    struct strings names;

    if (list_or_empty(state_fd, arena, "partial", &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        const char *path = arena_printf(arena, "partial/%s", names.items[i]);
        cleanup_fd int fd = openat(state_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0 || fs_lock(fd, FS_LOCK_TRY, NULL) != 0 ||
            st.st_mtim.tv_sec * NS_PER_S + partial_kept_ns > now_ns)
            continue;
        (void)unlinkat(state_fd, path, 0); /* else another time */
    }
    return 0;
}

/* True when no living process holds the lock file (or there is none). */
static bool owner_is_dead(int state_fd, const char *lock_path)
{
    cleanup_fd int fd = openat(state_fd, lock_path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT;
    return fs_lock(fd, FS_LOCK_TRY, NULL) == 0;
}

/* Under the exclusive lock: nobody is between making a lock file and locking it. */
static int sweep_staging(int state_fd, struct arena *arena, struct error *err)
{
    struct strings names;

    if (list_or_empty(state_fd, arena, "staging", &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        const char *name = names.items[i];
        const char *path = arena_printf(arena, "staging/%s", name);
        const char *lock_path = text_ends_with(name, lock_suffix)
                                    ? path
                                    : arena_printf(arena, "%s%s", path, lock_suffix);

        if (text_starts_with(name, dead_prefix) || !owner_is_dead(state_fd, lock_path))
            continue;
        if (lock_path != path && move_to_dead(state_fd, path, err) < 0)
            return -1;
        (void)unlinkat(state_fd, lock_path, 0); /* ENOENT: went with the directory's turn */
    }
    return 0;
}

int staging_bury(int state_fd, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct strings names;

    if (list_or_empty(state_fd, &arena, "staging", &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        struct error local = ERROR_INIT;

        if (!text_starts_with(names.items[i], dead_prefix))
            continue;
        /* Another process may be at the same: whoever comes last finds nothing. */
        if (fs_remove_tree(state_fd, arena_printf(&arena, "staging/%s", names.items[i]), &local) <
            0)
            trace(TRACE_IMAGE, "%s, continuing", local.text);
    }
    return 0;
}

int staging_sweep(int state_fd, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_fd int lock_fd = -1;
    int locked;

    if (open_gc_lock(state_fd, &lock_fd, err) < 0)
        return -1;
    locked = fs_lock(lock_fd, FS_LOCK_TRY, err);
    if (locked < 0)
        return -1;
    if (locked == 1)
        return 0;
    if (sweep_staging(state_fd, &arena, err) < 0)
        return -1;
    close(fd_take(&lock_fd));
    return staging_bury(state_fd, err);
}

static int collect_locked(int state_fd, struct marks *marks, uint64_t *freed, struct error *err)
{
    if (mark_all(state_fd, marks, err) < 0 || sweep_layers(state_fd, marks, freed, err) < 0 ||
        sweep_blobs(state_fd, marks, err) < 0 || sweep_partial(state_fd, marks, err) < 0 ||
        sweep_staging(state_fd, &marks->arena, err) < 0)
        return error_wrap(err, "collect unused images");
    return 0;
}

int image_collect(int state_fd, uint64_t *ret_freed_bytes, struct error *err)
{
    struct marks marks = {.arena = ARENA_INIT};
    cleanup_fd int lock_fd = -1;
    uint64_t freed = 0;
    int result;

    if (open_gc_lock(state_fd, &lock_fd, err) < 0)
        return -1;
    result = fs_lock(lock_fd, FS_LOCK_TRY, err);
    if (result != 0)
        return result;
    result = collect_locked(state_fd, &marks, &freed, err);
    vec_release(&marks.digests);
    arena_release(&marks.arena);
    close(fd_take(&lock_fd));
    if (result < 0 || staging_bury(state_fd, err) < 0)
        return -1;
    if (ret_freed_bytes)
        *ret_freed_bytes = freed;
    return 0;
}
