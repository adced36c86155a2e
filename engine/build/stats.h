#pragma once

/* Digests of context files by path, size, times and inode, so that an unchanged file is not read
 * again: state/build/contexts/HASH.
 *
 * A file that was changed at the moment it was hashed could be changed again without a visible
 * trace (times have a granularity): such digests are not kept, as git does with its index. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "engine/base/sha256.h"

struct error;
struct file_stats;

/* context: absolute path, names the file. A damaged or missing one reads as empty. */
struct file_stats *file_stats_open(int state_fd, const char *context);
void file_stats_close(struct file_stats *stats); /* NULL is fine; saves nothing */

/* The digest of a file that still looks as it did; false when it has to be read. */
bool file_stats_find(struct file_stats *stats, const char *path, const struct stat *stat,
                     uint8_t ret_digest[static SHA256_BYTES]);
/* `stat` was taken before the file was read; hashed_ns: real time at that moment. */
void file_stats_add(struct file_stats *stats, const char *path, const struct stat *stat,
                    int64_t hashed_ns, const uint8_t digest[static SHA256_BYTES]);
/* Make what was added visible to _find. Call it between walks. */
void file_stats_settle(struct file_stats *stats);
/* Write it if something was added. */
int file_stats_save(struct file_stats *stats, struct error *err);

int64_t timespec_ns(struct timespec time);
