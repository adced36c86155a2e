/* Looking images up. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/vec.h"
#include "engine/engine.h"
#include "engine/image/store.h"

enum { ID_PREFIX_MIN = 4 };

int image_config_read(int state_fd, const char *image_id, json_t **ret, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;

    if (image_blob_read(state_fd, image_id, CONFIG_MAX_BYTES, &text, err) < 0 ||
        json_parse(buf_str(&text), ret, err) < 0)
        return error_wrap(err, "read the config of image %.19s", image_id);
    return 0;
}

/* Blobs are configs only today; a blob that is none is skipped all the same. */
static bool is_image(int state_fd, struct arena *arena, const char *digest)
{
    cleanup_json json_t *config = NULL;
    struct strings diff_ids;

    return image_config_read(state_fd, digest, &config, NULL) == 0 &&
           config_diff_ids(arena, config, &diff_ids, NULL) == 0;
}

/* 0, or 1 when no image begins so. */
static int resolve_prefix(int state_fd, struct arena *arena, const char *hex, const char **ret,
                          struct error *err)
{
    const char *directory = arena_printf(arena, "blobs/sha256/%.2s", hex);
    struct strings names = {0};
    const char *found = NULL;

    if (fs_list(state_fd, directory, arena, &names, NULL) < 0)
        return 1;
    for (size_t i = 0; i < names.n; i++) {
        const char *digest;

        if (!text_starts_with(names.items[i], hex) || !hex_is_digest(names.items[i]))
            continue;
        digest = arena_printf(arena, "sha256:%s", names.items[i]);
        if (!is_image(state_fd, arena, digest))
            continue;
        if (found)
            return error_set(err, ERROR_CONFLICT, "several images begin with \"%s\"", hex);
        found = digest;
    }
    if (!found)
        return 1;
    *ret = found;
    return 0;
}

static bool is_id_text(const char *text)
{
    size_t n = strspn(text, "0123456789abcdef");

    return text[n] == '\0' && n >= ID_PREFIX_MIN && n <= SHA256_HEX_SIZE - 1;
}

static int resolve_id(int state_fd, struct arena *arena, const char *text, const char **ret,
                      struct error *err)
{
    const char *hex = text_starts_with(text, "sha256:") ? digest_hex(text) : text;

    if (!is_id_text(hex))
        return 1;
    if (hex_is_digest(hex)) {
        const char *digest = arena_printf(arena, "sha256:%s", hex);

        if (!fs_exists(state_fd, blob_path(arena, digest)))
            return 1;
        *ret = digest;
        return 0;
    }
    return resolve_prefix(state_fd, arena, hex, ret, err);
}

/* "repository@digest": the digest may be one that was pulled by, or what a tag was pulled as. */
static int resolve_manifest(int state_fd, struct arena *arena,
                            const struct image_reference *reference, const char **ret,
                            struct error *err)
{
    const char *directory, *file;
    struct strings files = {0};
    struct stored_ref ref;

    ref_place(arena, reference, &directory, &file);
    if (ref_read(state_fd, arena, directory, file, &ref, NULL) == 0) {
        *ret = ref.image;
        return 0;
    }
    (void)err;
    if (fs_list(state_fd, arena_printf(arena, "refs/%s", directory), arena, &files, NULL) < 0)
        return 1;
    for (size_t i = 0; i < files.n; i++) {
        if (ref_read(state_fd, arena, directory, files.items[i], &ref, NULL) == 0 &&
            text_equal(ref.manifest, reference->digest)) {
            *ret = ref.image;
            return 0;
        }
    }
    return 1;
}

static int resolve_reference(int state_fd, struct arena *arena, const char *text, const char **ret,
                             struct error *err)
{
    struct image_reference reference;
    const char *directory, *file;
    struct error local = ERROR_INIT;
    struct stored_ref ref;

    if (image_reference_parse(arena, text, &reference, err) < 0)
        return -1;
    if (reference.digest)
        return resolve_manifest(state_fd, arena, &reference, ret, err);
    ref_place(arena, &reference, &directory, &file);
    if (ref_read(state_fd, arena, directory, file, &ref, &local) == 0) {
        *ret = ref.image;
        return 0;
    }
    if (local.code == ERROR_NOT_FOUND)
        return 1;
    if (err)
        *err = local;
    return -1;
}

int image_resolve(int state_fd, struct arena *arena, const char *text, const char **ret_image,
                  struct error *err)
{
    int result;

    if (text_starts_with(text, "sha256:") || hex_is_digest(text))
        return resolve_id(state_fd, arena, text, ret_image, err);
    result = resolve_reference(state_fd, arena, text, ret_image, err);
    /* "cafe" may be a name or an id: names first. */
    return result == 1 ? resolve_id(state_fd, arena, text, ret_image, err) : result;
}

static int compare_refs(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_references(struct arena *arena, const struct stored_ref *refs, size_t n,
                           struct image_info *info)
{
    VEC(const char *) names = VEC_INIT;

    for (size_t i = 0; i < n; i++) {
        const char *name = NULL;

        if (text_equal(refs[i].image, info->id))
            name = ref_familiar(arena, &refs[i]);
        if (name)
            vec_push(&names, name);
    }
    if (names.n)
        qsort(names.items, names.n, sizeof(*names.items), compare_refs);
    info->references = (struct strings){vec_to_arena(&names, arena), names.n};
    vec_release(&names);
}

/* Missing layers count as nothing here: mounting them tells. */
static uint64_t sum_sizes(int state_fd, const struct strings *layers)
{
    uint64_t total = 0;

    for (size_t i = 0; i < layers->n; i++) {
        struct layer layer;

        if (layer_open(state_fd, layers->items[i], NULL, &layer, NULL) == 0)
            total += layer.size_bytes;
    }
    return total;
}

static int read_info(int state_fd, struct arena *arena, const char *image,
                     const struct stored_ref *refs, size_t n_refs, struct image_info *ret,
                     struct error *err)
{
    cleanup_json json_t *config = NULL;

    if (image_config_read(state_fd, image, &config, err) < 0)
        return -1;
    if (image_info_from_config(arena, image, config, ret, err) < 0)
        return error_wrap(err, "image %.19s", image);
    add_references(arena, refs, n_refs, ret);
    ret->size_bytes = sum_sizes(state_fd, &ret->layers);
    return 0;
}

/* The name it was found by, so that no other reference needs to be read. */
static void name_found(struct arena *arena, const char *text, struct image_info *info)
{
    struct image_reference reference;
    const char *hex = text_starts_with(text, "sha256:") ? digest_hex(text) : text;

    if (text_starts_with(digest_hex(info->id), hex) ||
        image_reference_parse(arena, text, &reference, NULL) < 0)
        return;
    info->references = (struct strings){arena_new_array(arena, const char *, 1), 1};
    info->references.items[0] = image_reference_familiar(arena, &reference);
}

int image_find(int state_fd, struct arena *arena, const char *reference_or_id,
               struct image_info *ret, struct error *err)
{
    const char *image = NULL;
    struct error local = ERROR_INIT;
    int result;

    result = image_resolve(state_fd, arena, reference_or_id, &image, err);
    if (result < 0)
        return -1;
    if (result == 1)
        return error_set(err, ERROR_NOT_FOUND,
                         "image \"%s\" is not on this machine: get it with \"image pull\" or "
                         "\"image import\", or build it",
                         reference_or_id);
    if (read_info(state_fd, arena, image, NULL, 0, ret, &local) == 0) {
        name_found(arena, reference_or_id, ret);
        return 0;
    }
    if (local.code == ERROR_NOT_FOUND)
        return error_set(err, ERROR_NOT_FOUND,
                         "image \"%s\": its config %.19s is gone; get it again", reference_or_id,
                         image);
    if (err)
        *err = local;
    return -1;
}

static int compare_newest_first(const void *a, const void *b)
{
    const struct image_info *left = a, *right = b;

    if (left->created_ns != right->created_ns)
        return left->created_ns > right->created_ns ? -1 : 1;
    return strcmp(left->id, right->id);
}

int image_list(int state_fd, struct arena *arena, struct image_info **ret, size_t *ret_n,
               struct error *err)
{
    VEC(struct image_info) images = VEC_INIT;
    VEC(const char *) ids = VEC_INIT;
    struct stored_ref *refs;
    size_t n_refs;
    int result = 0;

    if (refs_list(state_fd, arena, &refs, &n_refs, err) < 0)
        return -1;
    for (size_t i = 0; i < n_refs; i++)
        vec_push(&ids, refs[i].image);
    if (ids.n)
        qsort(ids.items, ids.n, sizeof(*ids.items), compare_refs);

    for (size_t i = 0; i < ids.n && result == 0; i++) {
        struct error local = ERROR_INIT;
        struct image_info info;

        if (i && text_equal(ids.items[i], ids.items[i - 1]))
            continue;
        if (read_info(state_fd, arena, ids.items[i], refs, n_refs, &info, &local) == 0) {
            vec_push(&images, info);
        } else if (local.code != ERROR_NOT_FOUND) { /* removed meanwhile */
            result = -1;
            if (err)
                *err = local;
        }
    }
    if (images.n)
        qsort(images.items, images.n, sizeof(*images.items), compare_newest_first);
    if (result == 0) {
        *ret_n = images.n;
        *ret = vec_to_arena(&images, arena);
    }
    vec_release(&images);
    vec_release(&ids);
    return result;
}
