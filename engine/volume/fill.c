/* Filling an empty volume with what the image has at its mount point. See volume.h for the steps
 * and what a kill at each of them leaves. */

#include "engine/volume/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/volume/copy_tree.h"
#include "engine/volume/record.h"

#define FILLING "filling"
#define FILLED  "filled"

enum { OPEN_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, NEW_MODE = 0700 };

/* 1 = has entries, 0 = empty */
static int has_entries(int volume_fd, struct error *err)
{
    cleanup_fd int fd = openat(volume_fd, VOLUME_DATA, OPEN_FLAGS);
    cleanup_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (!dir)
        return error_sys(err, errno, "open the data of the volume");
    (void)fd_take(&fd); /* the DIR has it now */
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        if (!text_equal(entry->d_name, ".") && !text_equal(entry->d_name, ".."))
            return 1;
    return 0;
}

/* Move what was copied into data/. What a container has written there meanwhile stays. */
static int move_filled(int volume_fd, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_fd int from = openat(volume_fd, FILLED, OPEN_FLAGS);
    cleanup_fd int to = openat(volume_fd, VOLUME_DATA, OPEN_FLAGS);
    struct strings names;
    struct stat before;

    if (from < 0 || to < 0)
        return error_sys(err, errno, "open the copy");
    if (fstat(from, &before) != 0)
        return error_sys(err, errno, "stat the copy");
    if (fs_list(from, ".", &arena, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (renameat2(from, names.items[i], to, names.items[i], RENAME_NOREPLACE) != 0 &&
            errno != EEXIST)
            return error_sys(err, errno, "move \"%s\" into the volume", names.items[i]);

    /* the directory itself: its times are those before the moves */
    const struct timespec stamps[2] = {before.st_atim, before.st_mtim};

    if (copy_attributes(from, to, KEEP_TIMES, err) < 0)
        return -1;
    if (futimens(to, stamps) != 0)
        return error_sys(err, errno, "set times");
    return fs_remove_tree(volume_fd, FILLED, err);
}

int volume_finish_fill(int volume_fd, struct error *err)
{
    if (!fs_exists(volume_fd, FILLED))
        return 0;
    if (fs_lock(volume_fd, FS_LOCK_EXCLUSIVE, err) < 0)
        return -1;
    if (!fs_exists(volume_fd, FILLED))
        return 0;
    return move_filled(volume_fd, err);
}

static int copy_source(int volume_fd, int source_fd, struct error *err)
{
    if (fs_remove_tree(volume_fd, FILLING, err) < 0) /* of someone who was killed */
        return -1;
    if (mkdirat(volume_fd, FILLING, NEW_MODE) != 0)
        return error_sys(err, errno, "make \"" FILLING "\"");

    cleanup_fd int target_fd = openat(volume_fd, FILLING, OPEN_FLAGS);

    if (target_fd < 0)
        return error_sys(err, errno, "open \"" FILLING "\"");
    if (copy_tree(source_fd, target_fd, err) < 0) {
        (void)fs_remove_tree(volume_fd, FILLING, NULL); /* the first error is the one to tell */
        return -1;
    }
    if (renameat(volume_fd, FILLING, volume_fd, FILLED) != 0)
        return error_sys(err, errno, "rename \"" FILLING "\"");
    return move_filled(volume_fd, err);
}

static int fill(int volume_fd, int root_fd, const char *path, struct error *err)
{
    cleanup_fd int source_fd = -1;
    struct error reason = ERROR_INIT;
    int r = has_entries(volume_fd, err);

    if (r < 0)
        return -1;
    if (r == 1 && !fs_exists(volume_fd, FILLED)) /* in this order: FILLED goes last */
        return 1;

    if (fs_lock(volume_fd, FS_LOCK_EXCLUSIVE, err) < 0)
        return -1;
    if (fs_exists(volume_fd, FILLED))
        return move_filled(volume_fd, err);
    r = has_entries(volume_fd, err); /* someone may have filled it while we waited */
    if (r != 0)
        return r;

    if (fs_open_in_root(root_fd, path, O_RDONLY | O_DIRECTORY, 0, &source_fd, &reason) < 0) {
        if (reason.errnum == ENOENT || reason.errnum == ENOTDIR || reason.errnum == ELOOP)
            return 1; /* nothing there to copy, as Docker */
        if (err)
            *err = reason;
        return -1;
    }
    return copy_source(volume_fd, source_fd, err);
}

int volume_fill(int state_fd, const char *name, int root_fd, const char *path, struct error *err)
{
    cleanup_fd int volume_fd = -1;
    int r = volume_open(state_fd, name, &volume_fd, err);

    if (r == 0)
        r = fill(volume_fd, root_fd, path, err);
    return r < 0 ? error_wrap(err, "fill volume \"%s\" from \"%s\" of the image", name, path) : r;
}
