/* The stat cache of a context.
 *
 * File: "berthST1", then per entry a fixed head and the path, sorted by path, in this machine's
 * byte order: it is a cache and never leaves the machine. */

#include "engine/build/stats.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/trace.h"
#include "engine/base/vec.h"

enum { STATS_BYTES_MAX = 512 << 20, STATS_ENTRIES_MAX = 1000 * 1000, STATS_PATH_MAX = 4096 };

static const char magic[8] = {'b', 'e', 'r', 't', 'h', 'S', 'T', '1'};

struct stat_head { /* on disk, followed by path_len bytes */
    uint64_t dev, ino, size;
    int64_t mtime_ns, ctime_ns;
    uint8_t digest[SHA256_BYTES];
    uint64_t path_len;
};

struct stat_entry {
    struct stat_head head;
    const char *path; /* in the arena */
};

struct file_stats {
    int state_fd; /* borrowed */
    char name[sizeof("build/contexts/") + SHA256_HEX_SIZE];
    struct arena arena;
    VEC(struct stat_entry) entries; /* sorted by path */
    VEC(struct stat_entry) added;   /* not yet among them */
    size_t next;                    /* where a walk in order looks first */
    bool changed;
};

int64_t timespec_ns(struct timespec time)
{
    return (int64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

/* 1: nothing more, or damaged from here on. */
static int read_entry(struct file_stats *stats, const struct buf *bytes, size_t *at)
{
    struct stat_entry entry;

    if (bytes->len - *at < sizeof(entry.head))
        return 1;
    memcpy(&entry.head, bytes->data + *at, sizeof(entry.head));
    *at += sizeof(entry.head);
    if (entry.head.path_len == 0 || entry.head.path_len > STATS_PATH_MAX ||
        entry.head.path_len > bytes->len - *at)
        return 1;
    char *path = arena_strndup(&stats->arena, bytes->data + *at, entry.head.path_len);
    *at += entry.head.path_len;
    entry.path = path;
    if (stats->entries.n > 0 && strcmp(vec_last(&stats->entries)->path, path) >= 0)
        return 1;
    vec_push(&stats->entries, entry);
    return 0;
}

struct file_stats *file_stats_open(int state_fd, const char *context)
{
    struct file_stats *stats = x_alloc(sizeof(*stats));
    cleanup_buf struct buf bytes = BUF_INIT;
    char hex[SHA256_HEX_SIZE];

    stats->state_fd = state_fd;
    sha256_hex(context, strlen(context), hex);
    (void)snprintf(stats->name, sizeof(stats->name), "build/contexts/%s", hex); /* fits */
    if (fs_read_file(state_fd, stats->name, STATS_BYTES_MAX, &bytes, NULL) < 0) {
        trace(TRACE_BUILD, "no stat cache for %s", context); /* everything is read then */
    } else if (bytes.len >= sizeof(magic) && memcmp(bytes.data, magic, sizeof(magic)) == 0) {
        size_t at = sizeof(magic);
        while (read_entry(stats, &bytes, &at) == 0)
            ;
    }
    return stats;
}

void file_stats_close(struct file_stats *stats)
{
    if (stats == NULL)
        return;
    arena_release(&stats->arena);
    vec_release(&stats->entries);
    vec_release(&stats->added);
    free(stats);
}

static int compare_entries(const void *a, const void *b)
{
    const struct stat_entry *left = a, *right = b;
    return strcmp(left->path, right->path);
}

void file_stats_settle(struct file_stats *stats)
{
    size_t n = 0;

    for (size_t i = 0; i < stats->added.n; i++)
        vec_push(&stats->entries, stats->added.items[i]);
    if (stats->added.n > 0)
        qsort(stats->entries.items, stats->entries.n, sizeof(*stats->entries.items),
              compare_entries);
    for (size_t i = 0; i < stats->entries.n; i++) /* of equal paths, any one: heads are checked */
        if (n == 0 || strcmp(stats->entries.items[n - 1].path, stats->entries.items[i].path) != 0)
            stats->entries.items[n++] = stats->entries.items[i];
    stats->entries.n = n;
    vec_clear(&stats->added);
    stats->next = 0;
}

static struct stat_entry *find_entry(struct file_stats *stats, const char *path)
{
    struct stat_entry wanted = {.path = path};

    if (stats->next < stats->entries.n && strcmp(stats->entries.items[stats->next].path, path) == 0)
        return &stats->entries.items[stats->next];
    if (stats->entries.n == 0)
        return NULL;
    return bsearch(&wanted, stats->entries.items, stats->entries.n, sizeof(wanted),
                   compare_entries);
}

static struct stat_head head_of(const struct stat *stat)
{
    return (struct stat_head){.dev = stat->st_dev,
                              .ino = stat->st_ino,
                              .size = (uint64_t)stat->st_size,
                              .mtime_ns = timespec_ns(stat->st_mtim),
                              .ctime_ns = timespec_ns(stat->st_ctim)};
}

bool file_stats_find(struct file_stats *stats, const char *path, const struct stat *stat,
                     uint8_t ret_digest[static SHA256_BYTES])
{
    struct stat_entry *entry = find_entry(stats, path);
    struct stat_head now = head_of(stat);

    if (entry == NULL)
        return false;
    stats->next = (size_t)(entry - stats->entries.items) + 1;
    if (memcmp(&entry->head, &now, offsetof(struct stat_head, digest)) != 0)
        return false;
    memcpy(ret_digest, entry->head.digest, SHA256_BYTES);
    return true;
}

/* Times that show sub-millisecond digits come from a clock that ticks at least every 10 ms (jiffies
 * at HZ=100; finer since Linux 6.13). Others may have a granularity of seconds. */
static bool is_racy(const struct stat *stat, int64_t hashed_ns)
{
    int64_t ctime_ns = timespec_ns(stat->st_ctim);
    int64_t window_ns = ctime_ns % NS_PER_MS != 0 ? 20 * NS_PER_MS : 2 * NS_PER_S;

    return ctime_ns > hashed_ns - window_ns;
}

void file_stats_add(struct file_stats *stats, const char *path, const struct stat *stat,
                    int64_t hashed_ns, const uint8_t digest[static SHA256_BYTES])
{
    struct stat_entry *known = find_entry(stats, path);
    struct stat_entry entry = {.head = head_of(stat)};

    if (is_racy(stat, hashed_ns) || strlen(path) > STATS_PATH_MAX)
        return;
    memcpy(entry.head.digest, digest, SHA256_BYTES);
    entry.head.path_len = strlen(path);
    stats->changed = true;
    if (known != NULL) {
        known->head = entry.head;
        return;
    }
    entry.path = arena_strdup(&stats->arena, path);
    vec_push(&stats->added, entry);
}

int file_stats_save(struct file_stats *stats, struct error *err)
{
    cleanup_buf struct buf bytes = BUF_INIT;

    file_stats_settle(stats);
    if (!stats->changed || stats->entries.n > STATS_ENTRIES_MAX)
        return 0;
    buf_add(&bytes, magic, sizeof(magic));
    for (size_t i = 0; i < stats->entries.n; i++) {
        buf_add(&bytes, &stats->entries.items[i].head, sizeof(struct stat_head));
        buf_add(&bytes, stats->entries.items[i].path, stats->entries.items[i].head.path_len);
    }
    if (fs_make_dirs(stats->state_fd, "build/contexts", 0700, err) < 0 ||
        fs_replace(stats->state_fd, stats->name, bytes.data, bytes.len, 0600, FS_VOLATILE, err) < 0)
        return error_wrap(err, "save the digests of the context");
    stats->changed = false;
    return 0;
}
