/* Keys and records of the build cache. */

#include "engine/build/cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/fs.h"
#include "engine/image/image.h"
#include "tests/tap.h"

static int open_state(void)
{
    int fd = open(tap_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    CHECK(fd >= 0);
    return fd;
}

static const char layer_digest[] =
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const char key[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static void key_of(const char *first, const char *second, const struct strings *list,
                   char ret_hex[static SHA256_HEX_SIZE])
{
    cleanup_cache_key struct cache_key cache_key = CACHE_KEY_INIT;

    cache_key_begin(&cache_key, "test");
    cache_key_add(&cache_key, "first", first);
    cache_key_add(&cache_key, "second", second);
    cache_key_add_list(&cache_key, "list", list);
    cache_key_end(&cache_key, ret_hex);
}

TEST(keys_of_different_parts_differ)
{
    const char *ab[] = {"a", "b"}, *joined[] = {"ab"};
    const struct {
        const char *first, *second;
        struct strings list;
    } cases[] = {
        {"ab", "c", {ab, 2}},   {"a", "bc", {ab, 2}},     {"abc", "", {ab, 2}},
        {"abc", NULL, {ab, 2}}, {"ab", "c", {joined, 1}}, {"ab", "c", {ab, 1}},
        {NULL, "abc", {ab, 2}}, {"ab", "c", {ab, 0}},
    };
    enum { CASES = sizeof(cases) / sizeof(cases[0]) };
    char keys[CASES][SHA256_HEX_SIZE];

    for (size_t i = 0; i < CASES; i++) {
        key_of(cases[i].first, cases[i].second, &cases[i].list, keys[i]);
        for (size_t k = 0; k < i; k++)
            CHECK(!text_equal(keys[i], keys[k]));
    }
    char again[SHA256_HEX_SIZE];
    key_of(cases[0].first, cases[0].second, &cases[0].list, again);
    CHECK_TEXT(again, keys[0]);
}

static void make_layer(int state_fd)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct error err = ERROR_INIT;

    CHECK_OK(fs_make_dirs(state_fd, layer_path(&arena, layer_digest), 0755, &err), &err);
}

TEST(a_record_is_found_while_its_layer_is_there)
{
    struct cache_record record = {.created_ns = 42}, found = {.created_ns = 0};
    struct error err = ERROR_INIT;
    int state_fd = open_state();

    memcpy(record.layer, layer_digest, sizeof(layer_digest));
    CHECK_INT(cache_find(state_fd, key, &found), 1);
    CHECK_OK(cache_store(state_fd, key, &record, &err), &err);
    CHECK_INT(cache_find(state_fd, key, &found), 1);
    make_layer(state_fd);
    CHECK_INT(cache_find(state_fd, key, &found), 0);
    CHECK_TEXT(found.layer, layer_digest);
    CHECK_INT(found.created_ns, 42);
    close(state_fd);
}

TEST(a_step_that_changed_nothing_needs_no_layer)
{
    struct cache_record record = {.created_ns = 7}, found = {.created_ns = 0};
    struct error err = ERROR_INIT;
    int state_fd = open_state();

    CHECK_OK(cache_store(state_fd, key, &record, &err), &err);
    CHECK_INT(cache_find(state_fd, key, &found), 0);
    CHECK_TEXT(found.layer, "");
    close(state_fd);
}

TEST(a_damaged_record_is_no_record)
{
    static const char *const texts[] = {"", "{", "[]", "{\"format\":2}",
                                        "{\"format\":1,\"layer\":\"sha256:../../etc\"}"};
    struct cache_record found;
    struct error err = ERROR_INIT;
    int state_fd = open_state();

    CHECK_OK(fs_make_dirs(state_fd, "build/cache", 0755, &err), &err);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cleanup_arena struct arena arena = ARENA_INIT;
        CHECK_OK(fs_replace(state_fd, arena_printf(&arena, "build/cache/%s", key), texts[i],
                            strlen(texts[i]), 0600, FS_VOLATILE, &err),
                 &err);
        CHECK_INT(cache_find(state_fd, key, &found), 1);
    }
    close(state_fd);
}

TEST(the_store_reads_our_roots_and_old_ones_go)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct cache_record record = {.created_ns = 42}, found;
    const char *root = arena_printf(&arena, "build/roots/%s", key);
    struct error err = ERROR_INIT;
    int state_fd = open_state();

    memcpy(record.layer, layer_digest, sizeof(layer_digest));
    make_layer(state_fd);
    CHECK_OK(cache_store(state_fd, key, &record, &err), &err);
    CHECK(fs_exists(state_fd, root));
    CHECK_OK(image_collect(state_fd, NULL, &err), &err);
    CHECK_INT(cache_find(state_fd, key, &found), 0);

    int64_t now_ns = clock_realtime_ns();
    CHECK_OK(cache_prune(state_fd, now_ns, &err), &err);
    CHECK_INT(cache_find(state_fd, key, &found), 0);
    CHECK_OK(cache_prune(state_fd, now_ns + CACHE_AGE_NS + 2 * NS_PER_S, &err), &err);
    CHECK_INT(cache_find(state_fd, key, &found), 1);
    CHECK(!fs_exists(state_fd, root));
    CHECK_OK(image_collect(state_fd, NULL, &err), &err);
    CHECK(!layer_exists(state_fd, layer_digest));
    close(state_fd);
}
