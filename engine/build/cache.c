/* What steps made last time. */

#include "engine/build/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/image/image.h"

enum { RECORD_BYTES_MAX = 4096, RECORD_FORMAT = 1 };

static const char *const cache_dirs[] = {"build/cache", "build/roots", "build/contents",
                                         "build/contexts"};

void cache_key_release(struct cache_key *key)
{
    sha256_release(&key->hash);
}

void cache_key_begin(struct cache_key *key, const char *what)
{
    sha256_init(&key->hash);
    sha256_add_text(&key->hash, what);
}

void cache_key_add(struct cache_key *key, const char *name, const char *value)
{
    sha256_add_text(&key->hash, name);
    sha256_add_text(&key->hash, value != NULL ? "=" : "-");
    sha256_add_text(&key->hash, value != NULL ? value : "");
}

void cache_key_add_list(struct cache_key *key, const char *name, const struct strings *list)
{
    uint64_t n = list->n;

    sha256_add_text(&key->hash, name);
    sha256_add(&key->hash, &n, sizeof(n));
    for (size_t i = 0; i < list->n; i++)
        sha256_add_text(&key->hash, list->items[i]);
}

void cache_key_end(struct cache_key *key, char ret_hex[static SHA256_HEX_SIZE])
{
    sha256_end_hex(&key->hash, ret_hex);
}

/* ------------------------------------------------------------------ records */

static void touch(int state_fd, const char *path)
{
    (void)utimensat(state_fd, path, NULL, AT_SYMLINK_NOFOLLOW); /* only its age suffers */
}

/* 1: not there, or damaged. */
static int read_record(int state_fd, const char *path, struct cache_record *ret)
{
    cleanup_json json_t *json = NULL;
    int64_t format = 0;

    if (json_read_at(state_fd, path, RECORD_BYTES_MAX, &json, NULL) < 0 ||
        json_get_i64(json, "format", &format, NULL) < 0 || format != RECORD_FORMAT)
        return 1;
    const char *layer = json_text_or(json, "layer", "");
    if (layer[0] != '\0' && !digest_is_valid(layer))
        return 1;
    memcpy(ret->layer, layer, strlen(layer) + 1);
    ret->created_ns = json_i64_or(json, "created_ns", 0);
    return 0;
}

int cache_find(int state_fd, const char *key, struct cache_record *ret)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const char *path = arena_printf(&arena, "build/cache/%s", key);
    struct cache_record record;

    if (read_record(state_fd, path, &record) != 0)
        return 1;
    if (record.layer[0] != '\0' && !layer_exists(state_fd, record.layer))
        return 1;
    touch(state_fd, path);
    touch(state_fd, arena_printf(&arena, "build/roots/%s", key));
    *ret = record;
    return 0;
}

static int put(int state_fd, const char *dir, const char *key, struct str text, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    if (fs_make_dirs(state_fd, dir, 0700, err) < 0 ||
        fs_replace(state_fd, arena_printf(&arena, "%s/%s", dir, key), text.data, text.len, 0600,
                   FS_VOLATILE, err) < 0)
        return error_wrap(err, "write to the build cache");
    return 0;
}

/* The root first: a record without it could name a layer that was just collected. A machine crash
 * may leave either one empty: that is no valid record, and an empty root keeps nothing. */
int cache_store(int state_fd, const char *key, const struct cache_record *record, struct error *err)
{
    cleanup_buf struct buf root = BUF_INIT;
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_json json_t *json = json_object();

    json_set_i64(json, "format", RECORD_FORMAT);
    if (record->layer[0] != '\0') {
        json_set_text(json, "layer", record->layer);
        buf_printf(&root, "%s\n", record->layer);
        if (put(state_fd, "build/roots", key, buf_str(&root), err) < 0)
            return -1;
    }
    json_set_i64(json, "created_ns", record->created_ns);
    json_print(&text, json);
    return put(state_fd, "build/cache", key, buf_str(&text), err);
}

int cache_find_content(int state_fd, const char *key, char ret_hex[static SHA256_HEX_SIZE])
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf text = BUF_INIT;
    const char *path = arena_printf(&arena, "build/contents/%s", key);

    if (fs_read_file(state_fd, path, SHA256_HEX_SIZE, &text, NULL) < 0 ||
        text.len != SHA256_HEX_SIZE - 1)
        return 1;
    touch(state_fd, path);
    memcpy(ret_hex, buf_text(&text), SHA256_HEX_SIZE);
    return 0;
}

int cache_store_content(int state_fd, const char *key, const char *hex, struct error *err)
{
    return put(state_fd, "build/contents", key, str_from(hex), err);
}

/* ------------------------------------------------------------------ ageing */

static int prune_dir(int state_fd, const char *dir, int64_t oldest_ns, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct strings names = {0};
    struct error why = ERROR_INIT;

    if (fs_list(state_fd, dir, &arena, &names, &why) < 0) {
        if (why.code == ERROR_NOT_FOUND)
            return 0;
        return error_set(err, why.code, "%s", why.text);
    }
    for (size_t i = 0; i < names.n; i++) {
        const char *path = arena_printf(&arena, "%s/%s", dir, names.items[i]);
        struct stat stat;
        if (fstatat(state_fd, path, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
            (int64_t)stat.st_mtim.tv_sec < oldest_ns / NS_PER_S)
            (void)unlinkat(state_fd, path, 0); /* the next prune tries again */
    }
    return 0;
}

int cache_prune(int state_fd, int64_t now_ns, struct error *err)
{
    for (size_t i = 0; i < sizeof(cache_dirs) / sizeof(cache_dirs[0]); i++)
        if (prune_dir(state_fd, cache_dirs[i], now_ns - CACHE_AGE_NS, err) < 0)
            return error_wrap(err, "clean the build cache");
    return 0;
}
