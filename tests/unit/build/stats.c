/* The stat cache believes a file only if it can't have changed unseen. */

#include "engine/build/stats.h"

#include <fcntl.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/build/link_map.h"
#include "tests/tap.h"

static const uint8_t digest[SHA256_BYTES] = {1, 2, 3};

static struct stat file_of(int64_t ctime_ns)
{
    return (struct stat){.st_dev = 1,
                         .st_ino = 2,
                         .st_size = 3,
                         .st_mtim = {.tv_sec = 4, .tv_nsec = 5},
                         .st_ctim = {ctime_ns / NS_PER_S, ctime_ns % NS_PER_S}};
}

static int open_state(void)
{
    int fd = open(tap_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    CHECK(fd >= 0);
    return fd;
}

TEST(an_unchanged_file_is_known_also_to_the_next_build)
{
    const struct stat stat = file_of(1234567891);
    uint8_t found[SHA256_BYTES];
    struct error err = ERROR_INIT;
    int state_fd = open_state();
    struct file_stats *stats = file_stats_open(state_fd, "/context");

    CHECK(!file_stats_find(stats, "a", &stat, found));
    for (int i = 0; i < 3; i++) /* not in order */
        file_stats_add(stats, (const char *const[]){"b/c", "a", "b"}[i], &stat, 100 * NS_PER_S,
                       digest);
    CHECK_OK(file_stats_save(stats, &err), &err);
    file_stats_close(stats);

    stats = file_stats_open(state_fd, "/context");
    CHECK(file_stats_find(stats, "a", &stat, found));
    CHECK(memcmp(found, digest, sizeof(digest)) == 0);
    CHECK(file_stats_find(stats, "b", &stat, found));
    CHECK(file_stats_find(stats, "b/c", &stat, found));
    CHECK(!file_stats_find(stats, "c", &stat, found));
    file_stats_close(stats);
    stats = file_stats_open(state_fd, "/other");
    CHECK(!file_stats_find(stats, "a", &stat, found));
    file_stats_close(stats);
    close(state_fd);
}

TEST(whatever_differs_makes_it_unknown)
{
    const struct stat stat = file_of(1234567891);
    struct stat other[5] = {stat, stat, stat, stat, stat};
    uint8_t found[SHA256_BYTES];
    int state_fd = open_state();
    struct file_stats *stats = file_stats_open(state_fd, "/context");

    file_stats_add(stats, "a", &stat, 100 * NS_PER_S, digest);
    file_stats_settle(stats);
    other[0].st_dev++;
    other[1].st_ino++;
    other[2].st_size++;
    other[3].st_mtim.tv_nsec++;
    other[4].st_ctim.tv_nsec++;
    for (int i = 0; i < 5; i++)
        CHECK(!file_stats_find(stats, "a", &other[i], found));
    CHECK(file_stats_find(stats, "a", &stat, found));
    file_stats_close(stats);
    close(state_fd);
}

TEST(a_file_written_at_the_moment_it_was_read_is_not_kept)
{
    const struct stat fine = file_of(50 * NS_PER_S + 123456789);
    const struct stat coarse = file_of(50 * NS_PER_S);
    uint8_t found[SHA256_BYTES];
    int state_fd = open_state();
    struct file_stats *stats = file_stats_open(state_fd, "/context");

    file_stats_add(stats, "fine", &fine, 50 * NS_PER_S + 125000000, digest);
    file_stats_add(stats, "coarse", &coarse, 51 * NS_PER_S, digest);
    file_stats_settle(stats);
    CHECK(!file_stats_find(stats, "fine", &fine, found));
    CHECK(!file_stats_find(stats, "coarse", &coarse, found));
    file_stats_add(stats, "fine", &fine, 50 * NS_PER_S + 200000000, digest);
    file_stats_add(stats, "coarse", &coarse, 53 * NS_PER_S, digest);
    file_stats_settle(stats);
    CHECK(file_stats_find(stats, "fine", &fine, found));
    CHECK(file_stats_find(stats, "coarse", &coarse, found));
    file_stats_close(stats);
    close(state_fd);
}

TEST(a_cut_or_foreign_cache_file_reads_as_far_as_it_is_good)
{
    const struct stat stat = file_of(1234567891);
    cleanup_buf struct buf bytes = BUF_INIT;
    uint8_t found[SHA256_BYTES];
    struct error err = ERROR_INIT;
    int state_fd = open_state();
    struct file_stats *stats = file_stats_open(state_fd, "/context");
    struct strings names = {0};
    cleanup_arena struct arena arena = ARENA_INIT;

    file_stats_add(stats, "a", &stat, 100 * NS_PER_S, digest);
    file_stats_add(stats, "b", &stat, 100 * NS_PER_S, digest);
    CHECK_OK(file_stats_save(stats, &err), &err);
    file_stats_close(stats);
    CHECK_OK(fs_list(state_fd, "build/contexts", &arena, &names, &err), &err);
    const char *path = arena_printf(&arena, "build/contexts/%s", names.items[0]);
    CHECK_OK(fs_read_file(state_fd, path, 1 << 20, &bytes, &err), &err);
    for (size_t len = 0; len < bytes.len; len++) {
        CHECK_OK(fs_replace(state_fd, path, bytes.data, len, 0600, FS_VOLATILE, &err), &err);
        stats = file_stats_open(state_fd, "/context");
        CHECK(!file_stats_find(stats, "b", &stat, found));
        file_stats_close(stats);
    }
    close(state_fd);
}

TEST(hard_links_are_found_again)
{
    cleanup_link_map struct link_map map = LINK_MAP_INIT;

    for (uint64_t i = 0; i < 10000; i++)
        CHECK(link_map_add(&map, 1, i, "first") == NULL);
    for (uint64_t i = 0; i < 10000; i++)
        CHECK_TEXT(link_map_add(&map, 1, i, "again"), "first");
    CHECK(link_map_add(&map, 2, 5, "other device") == NULL);
}
