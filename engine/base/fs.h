#pragma once

/* Files. Directory fd + relative name; paths are joined only for messages (style S9).
 * Everything is opened with O_CLOEXEC. Fails with ERROR_NOT_FOUND for ENOENT. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct error;

/* Whole reads and writes: EINTR and short counts are handled here and nowhere else. */
ssize_t fs_read(int fd, void *data, size_t len); /* one read; -1 with errno */
int fs_read_all(int fd, struct buf *out,
                struct error *err); /* to the end; past buf->max: ERROR_INVALID */
int fs_write_all(int fd, const void *data, size_t len, struct error *err);

/* Read a small file whole. `max_bytes` bounds it (ERROR_INVALID past it). */
int fs_read_file(int dirfd, const char *name, size_t max_bytes, struct buf *out, struct error *err);

enum fs_sync { FS_VOLATILE, FS_DURABLE };

/* Replace a file in one step: temporary name with O_EXCL, write, (fsync,) rename, (fsync of the
 * directory). The old content or the new one, never a mix. FS_DURABLE for what must survive power
 * loss. */
int fs_replace(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
               enum fs_sync sync, struct error *err);

/* For a small record that changes often and need not survive a power cut: writes it in place,
 * filled up with spaces to one page, made when missing. One write of one page is never cut by a
 * kill, and no block is freed: replacing costs 1.5 ms on a disk that discards at once, this 5 µs. A
 * reader beside it may see a mixture, so the record needs a mark at both ends. Longer than a page:
 * fs_replace. */
int fs_overwrite_page(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
                      struct error *err);

/* mkdir -p below dirfd (name may have slashes); existing directories are fine. */
int fs_make_dirs(int dirfd, const char *name, mode_t mode, struct error *err);
/* The same, and open the last one (O_PATH-less, O_DIRECTORY). */
int fs_open_dirs(int dirfd, const char *name, mode_t mode, int *ret_fd, struct error *err);

/* Remove a tree without following symlinks; absent is fine. Not recursive in the C stack. */
int fs_remove_tree(int dirfd, const char *name, struct error *err);

bool fs_exists(int dirfd, const char *name);

/* A directory whose subdirectories have nothing to do with each other: ext4 then starts each in a
 * part of the disk of its own (FS_TOPDIR_FL, "chattr +T"). Else they share one group of inodes, and
 * every file made there steps over all that were deleted in the last minutes: measured 2 ms for the
 * dozen that an overlay mount makes. Ignored by file systems that don't know it. */
void fs_spread_subdirs(int dir_fd);

/* Names in a directory, sorted bytewise, without "." and ".."; strings live in the arena. */
struct arena;
struct strings;
int fs_list(int dirfd, const char *name, struct arena *arena, struct strings *ret,
            struct error *err);

/* Open inside a root that an outsider controls: openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS).
 * Absolute and ".." components and symlinks stay inside root_fd. */
int fs_open_in_root(int root_fd, const char *path, int flags, mode_t mode, int *ret_fd,
                    struct error *err);
/* mkdir -p with the same confinement; opens the last directory O_PATH. */
int fs_make_dirs_in_root(int root_fd, const char *path, mode_t mode, int *ret_fd,
                         struct error *err);

/* Advisory lock of a whole open file (flock). FS_LOCK_TRY returns 1 when someone else holds it. */
enum fs_lock { FS_LOCK_SHARED, FS_LOCK_EXCLUSIVE, FS_LOCK_TRY };
int fs_lock(int fd, enum fs_lock how, struct error *err);
