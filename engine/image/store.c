/* Names on disk, refs and blobs. */

#include "engine/image/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/vec.h"

enum { HEX_DIGITS = 64 };

static const char refs_dir[] = "refs";
static const char anonymous_dir[] = "@";

const char *digest_hex(const char *digest)
{
    return digest + sizeof("sha256:") - 1;
}

bool hex_is_digest(const char *hex)
{
    return strlen(hex) == HEX_DIGITS && strspn(hex, "0123456789abcdef") == HEX_DIGITS;
}

/* ------------------------------------------------------------------ refs */

static void replace_char(char *text, char from, char to)
{
    for (; *text; text++)
        if (*text == from)
            *text = to;
}

void ref_place(struct arena *arena, const struct image_reference *reference, const char **ret_dir,
               const char **ret_file)
{
    char *directory = arena_printf(arena, "%s/%s", reference->domain, reference->path);

    replace_char(directory, '/', '+');
    *ret_dir = directory;
    *ret_file = reference->digest ? arena_printf(arena, "@%s", digest_hex(reference->digest))
                                  : arena_strdup(arena, reference->tag);
}

const char *ref_familiar(struct arena *arena, const struct stored_ref *ref)
{
    struct image_reference reference;
    char *name;

    if (ref->is_anonymous)
        return NULL;
    name = ref->file[0] == '@' ? arena_printf(arena, "%s@sha256:%s", ref->directory, ref->file + 1)
                               : arena_printf(arena, "%s:%s", ref->directory, ref->file);
    replace_char(name, '+', '/');
    if (image_reference_parse(arena, name, &reference, NULL) < 0)
        return name; /* refs_list lets only valid ones through */
    return image_reference_familiar(arena, &reference);
}

int ref_read(int state_fd, struct arena *arena, const char *directory, const char *file,
             struct stored_ref *ret, struct error *err)
{
    const char *path = arena_printf(arena, "%s/%s/%s", refs_dir, directory, file);
    const char *image, *manifest;
    cleanup_json json_t *json = NULL;

    if (json_read_at(state_fd, path, REF_MAX_BYTES, &json, err) < 0)
        return -1;
    if (json_get_text(json, "image", &image, err) < 0)
        return error_wrap(err, "read \"%s\"", path);
    manifest = json_text_or(json, "manifest", NULL);
    if (!digest_is_valid(image) || (manifest && !digest_is_valid(manifest)))
        return error_set(err, ERROR_INVALID, "read \"%s\": not a digest", path);

    *ret = (struct stored_ref){
        .directory = arena_strdup(arena, directory),
        .file = arena_strdup(arena, file),
        .image = arena_strdup(arena, image),
        .manifest = arena_strdup(arena, manifest),
        .created_ns = json_i64_or(json, "created_ns", 0),
        .is_anonymous = text_equal(directory, anonymous_dir),
    };
    return 0;
}

int refs_list(int state_fd, struct arena *arena, struct stored_ref **ret, size_t *ret_n,
              struct error *err)
{
    VEC(struct stored_ref) refs = VEC_INIT;
    struct strings directories = {0};
    struct error local = ERROR_INIT;

    if (fs_list(state_fd, refs_dir, arena, &directories, &local) < 0 &&
        local.code != ERROR_NOT_FOUND) {
        if (err)
            *err = local;
        return -1;
    }
    for (size_t i = 0; i < directories.n; i++) {
        const char *directory = directories.items[i];
        const char *path = arena_printf(arena, "%s/%s", refs_dir, directory);
        struct strings files = {0};

        if (fs_list(state_fd, path, arena, &files, NULL) < 0)
            continue; /* removed meanwhile */
        for (size_t j = 0; j < files.n; j++) {
            struct stored_ref ref;

            local = (struct error)ERROR_INIT;
            if (files.items[j][0] == '.')
                continue; /* the temporary file of somebody's fs_replace */
            if (ref_read(state_fd, arena, directory, files.items[j], &ref, &local) == 0) {
                vec_push(&refs, ref);
            } else if (local.code != ERROR_NOT_FOUND) {
                vec_release(&refs);
                if (err)
                    *err = local;
                return -1;
            }
        }
    }
    *ret_n = refs.n;
    *ret = vec_to_arena(&refs, arena);
    vec_release(&refs);
    return 0;
}

int ref_write(int state_fd, const char *directory, const char *file, const char *image,
              const char *manifest, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_json json_t *json = json_object();
    cleanup_fd int refs_fd = -1, fd = -1;

    json_set_text(json, "image", image);
    json_set_text(json, "manifest", manifest);
    json_set_i64(json, "created_ns", clock_realtime_ns());
    json_print(&text, json);

    if (fs_open_dirs(state_fd, refs_dir, STORE_DIR_MODE, &refs_fd, err) < 0)
        return -1;
    /* ref_remove takes empty directories away: try again when ours vanished in between. */
    for (int attempt = 0;; attempt++) {
        struct error local = ERROR_INIT;

        if (fs_open_dirs(refs_fd, directory, STORE_DIR_MODE, &fd, err) < 0)
            return -1;
        if (fs_replace(fd, file, text.data, text.len, STORE_FILE_MODE, FS_DURABLE, &local) == 0)
            break;
        if (local.code != ERROR_NOT_FOUND || attempt == 10) {
            if (err)
                *err = local;
            return -1;
        }
        close(fd_take(&fd));
    }
    if (fsync(refs_fd) < 0)
        return error_sys(err, errno, "sync \"%s\"", refs_dir);
    return 0;
}

int ref_remove(int state_fd, const struct stored_ref *ref, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const char *directory = arena_printf(&arena, "%s/%s", refs_dir, ref->directory);
    const char *path = arena_printf(&arena, "%s/%s", directory, ref->file);

    if (unlinkat(state_fd, path, 0) < 0 && errno != ENOENT)
        return error_sys(err, errno, "remove \"%s\"", path);
    /* Not empty is the common case. */
    (void)unlinkat(state_fd, directory, AT_REMOVEDIR);
    return 0;
}

/* ------------------------------------------------------------------ blobs */

const char *blob_path(struct arena *arena, const char *digest)
{
    const char *hex = digest_hex(digest);

    return arena_printf(arena, "blobs/sha256/%.2s/%s", hex, hex);
}

int image_blob_read(int state_fd, const char *digest, size_t max_bytes, struct buf *out,
                    struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    if (!digest_is_valid(digest))
        return error_set(err, ERROR_INVALID, "\"%s\" is not a digest", digest);
    return fs_read_file(state_fd, blob_path(&arena, digest), max_bytes, out, err);
}

int image_blob_write(int state_fd, const void *data, size_t len,
                     char ret_digest[static DIGEST_TEXT_SIZE], struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_fd int blobs_fd = -1, dir_fd = -1;
    char hex[SHA256_HEX_SIZE], digest[DIGEST_TEXT_SIZE];
    const char *directory;

    sha256_hex(data, len, hex);
    (void)snprintf(digest, sizeof(digest), "sha256:%s", hex);
    if (!fs_exists(state_fd, blob_path(&arena, digest))) {
        directory = arena_printf(&arena, "%.2s", hex);
        if (fs_open_dirs(state_fd, "blobs/sha256", STORE_DIR_MODE, &blobs_fd, err) < 0 ||
            fs_open_dirs(blobs_fd, directory, STORE_DIR_MODE, &dir_fd, err) < 0 ||
            fs_replace(dir_fd, hex, data, len, STORE_FILE_MODE, FS_DURABLE, err) < 0)
            return error_wrap(err, "store blob %s", digest);
        if (fsync(blobs_fd) < 0)
            return error_sys(err, errno, "sync blobs");
    }
    memcpy(ret_digest, digest, sizeof(digest));
    return 0;
}
