/* Images in and out of the store: configs, references, removal. */

#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/vec.h"
#include "engine/image/store.h"

/* The name under refs/ of an image that has none. */
static const char anonymous_dir[] = "@";

/* Once an image has a name, its marker as nameless goes. */
static void drop_anonymous(int state_fd, const char *image)
{
    const struct stored_ref ref = {.directory = anonymous_dir, .file = digest_hex(image)};

    (void)ref_remove(state_fd, &ref, NULL); /* it only lists the image once more */
}

static int check_config(int state_fd, struct arena *arena, struct str text, struct error *err)
{
    cleanup_json json_t *config = NULL;
    struct strings diff_ids;

    if (text.len > CONFIG_MAX_BYTES)
        return error_set(err, ERROR_INVALID, "the image config has more than %d bytes",
                         CONFIG_MAX_BYTES);
    if (json_parse(text, &config, err) < 0 || config_diff_ids(arena, config, &diff_ids, err) < 0)
        return -1;
    for (size_t i = 0; i < diff_ids.n; i++)
        if (!layer_exists(state_fd, diff_ids.items[i]))
            return error_set(err, ERROR_NOT_FOUND, "layer %.19s is not in the store",
                             diff_ids.items[i]);
    return 0;
}

int image_write(int state_fd, const struct image_write *write, char ret_id[static DIGEST_TEXT_SIZE],
                struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_image_lease struct image_lease lease = IMAGE_LEASE_INIT;
    cleanup_buf struct buf printed = BUF_INIT;
    char id[DIGEST_TEXT_SIZE], hex[SHA256_HEX_SIZE];
    struct str text = write->config_text;
    const char *directory, *file;

    if (!text.data) {
        json_print(&printed, write->config);
        text = buf_str(&printed);
    }
    /* From here to the reference the lease keeps the config and, through it, the layers. */
    sha256_hex(text.data, text.len, hex);
    (void)snprintf(id, sizeof(id), "sha256:%s", hex);
    if (image_lease_open(state_fd, &lease, err) < 0 || image_lease_add(&lease, id, err) < 0)
        return -1;
    if (check_config(state_fd, &arena, text, err) < 0 ||
        image_blob_write(state_fd, text.data, text.len, id, err) < 0)
        return error_wrap(err, "store image");

    for (size_t i = 0; i < write->n_references; i++) {
        ref_place(&arena, &write->references[i], &directory, &file);
        if (ref_write(state_fd, directory, file, id, write->manifest, err) < 0)
            return -1;
    }
    if (write->n_references)
        drop_anonymous(state_fd, id);
    else if (ref_write(state_fd, anonymous_dir, digest_hex(id), id, write->manifest, err) < 0)
        return -1;
    memcpy(ret_id, id, sizeof(id));
    return 0;
}

int image_tag(int state_fd, const char *image_id, const struct image_reference *reference,
              struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_image_lease struct image_lease lease = IMAGE_LEASE_INIT;
    cleanup_json json_t *config = NULL;
    const char *directory, *file;

    if (reference->digest)
        return error_set(err, ERROR_INVALID, "an image cannot be tagged with a digest: \"%s\"",
                         image_reference_familiar(&arena, reference));
    if (!digest_is_valid(image_id))
        return error_set(err, ERROR_INVALID, "\"%s\" is not an image id", image_id);
    if (image_lease_open(state_fd, &lease, err) < 0 || image_lease_add(&lease, image_id, err) < 0 ||
        image_config_read(state_fd, image_id, &config, err) < 0)
        return -1;
    ref_place(&arena, reference, &directory, &file);
    if (ref_write(state_fd, directory, file, image_id, NULL, err) < 0)
        return -1;
    drop_anonymous(state_fd, image_id);
    return 0;
}

/* ------------------------------------------------------------------ removal */

int image_users(int state_fd, struct arena *arena, const char *image, struct strings *ret,
                struct error *err)
{
    VEC(const char *) users = VEC_INIT;
    struct strings ids = {0};
    struct error local = ERROR_INIT;

    if (fs_list(state_fd, "containers", arena, &ids, &local) < 0 && local.code != ERROR_NOT_FOUND) {
        if (err)
            *err = local;
        return -1;
    }
    for (size_t i = 0; i < ids.n; i++) {
        const char *path = arena_printf(arena, "containers/%s/container.json", ids.items[i]);
        cleanup_json json_t *record = NULL;
        const json_t *spec;

        if (ids.items[i][0] == '.') /* removed: its keeper takes away the files when it has time */
            continue;
        if (json_read_at(state_fd, path, CONFIG_MAX_BYTES, &record, NULL) < 0)
            continue; /* removed meanwhile, or not written yet */
        spec = json_object_get(record, "spec");
        if (text_equal(json_text_or(spec, "image_id", NULL), image))
            vec_push(&users, arena_strdup(arena, json_text_or(spec, "name", ids.items[i])));
    }
    *ret = (struct strings){vec_to_arena(&users, arena), users.n};
    vec_release(&users);
    strings_sort(ret);
    return 0;
}

static void join(struct buf *out, const struct strings *list)
{
    for (size_t i = 0; i < list->n; i++)
        buf_printf(out, "%s\"%s\"", i ? ", " : "", list->items[i]);
}

/* What a removal takes away: one reference, or all of an image. */
struct removal {
    const char *image;
    struct stored_ref *victims;
    size_t n_victims;
    size_t n_left; /* references that stay */
};

static int plan_removal(int state_fd, struct arena *arena, const char *text, struct removal *ret,
                        struct error *err)
{
    struct image_reference reference;
    const char *directory = NULL, *file = NULL;
    struct stored_ref *refs;
    size_t n_refs, n_named = 0;
    bool by_name = false;
    int result = image_resolve(state_fd, arena, text, &ret->image, err);

    if (result < 0)
        return -1;
    if (result == 1)
        return error_set(err, ERROR_NOT_FOUND, "image \"%s\" does not exist", text);
    if (refs_list(state_fd, arena, &refs, &n_refs, err) < 0)
        return -1;
    if (image_reference_parse(arena, text, &reference, NULL) == 0)
        ref_place(arena, &reference, &directory, &file);

    ret->victims = arena_new_array(arena, struct stored_ref, n_refs);
    for (size_t i = 0; i < n_refs; i++) {
        if (text_equal(refs[i].directory, directory) && text_equal(refs[i].file, file)) {
            ret->victims[0] = refs[i];
            by_name = true;
        }
    }
    for (size_t i = 0; i < n_refs; i++) {
        if (!text_equal(refs[i].image, ret->image))
            continue;
        if (!by_name)
            ret->victims[n_named] = refs[i];
        n_named++;
    }
    ret->n_victims = by_name ? 1 : n_named;
    ret->n_left = n_named - ret->n_victims;
    return 0;
}

static int refuse_users(int state_fd, struct arena *arena, const char *text, const char *image,
                        struct error *err)
{
    cleanup_buf struct buf names = BUF_INIT;
    struct strings users;

    if (image_users(state_fd, arena, image, &users, err) < 0)
        return -1;
    if (!users.n)
        return 0;
    join(&names, &users);
    return error_set(err, ERROR_CONFLICT, "image \"%s\" is used by container%s %s", text,
                     users.n == 1 ? "" : "s", buf_text(&names));
}

static int refuse_many(struct arena *arena, const char *text, const struct removal *removal,
                       struct error *err)
{
    cleanup_buf struct buf names = BUF_INIT;
    size_t n = 0;

    for (size_t i = 0; i < removal->n_victims; i++) {
        const char *name = ref_familiar(arena, &removal->victims[i]);

        if (name)
            buf_printf(&names, "%s\"%s\"", n++ ? ", " : "", name);
    }
    if (n < 2)
        return 0;
    return error_set(err, ERROR_CONFLICT,
                     "image \"%s\" has several references: %s; force it, or "
                     "remove them by name",
                     text, buf_text(&names));
}

int image_remove(int state_fd, const char *reference_or_id, bool force, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct removal removal = {0};

    if (plan_removal(state_fd, &arena, reference_or_id, &removal, err) < 0)
        return -1;
    if (!force) {
        if (refuse_many(&arena, reference_or_id, &removal, err) < 0)
            return -1;
        if (!removal.n_left &&
            refuse_users(state_fd, &arena, reference_or_id, removal.image, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < removal.n_victims; i++)
        if (ref_remove(state_fd, &removal.victims[i], err) < 0)
            return -1;
    /* Held by somebody: the next collection takes it. */
    if (image_collect(state_fd, NULL, err) < 0)
        return error_wrap(err, "image \"%s\" was removed, but", reference_or_id);
    return 0;
}
