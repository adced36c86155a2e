#include "engine/worker/implicit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"

enum { PERMISSIONS = 07777 };

/* 0 and its attributes; 1 = the layer has no such directory. */
static int look(int lower_fd, const char *path, struct stat *ret)
{
    cleanup_fd int fd = -1;

    if (lower_fd < 0)
        return 1;
    if (fs_open_in_root(lower_fd, path, O_PATH | O_DIRECTORY, 0, &fd, NULL) < 0)
        return 1;
    return fstat(fd, ret) < 0;
}

static int adopt(int tree_fd, const char *path, const struct stat *from, struct error *err)
{
    const struct timespec times[2] = {from->st_mtim, from->st_mtim};
    cleanup_fd int fd = -1;

    if (fs_open_in_root(tree_fd, path, O_RDONLY | O_DIRECTORY, 0, &fd, err) < 0)
        return -1;
    if (fchown(fd, from->st_uid, from->st_gid) < 0 || fchmod(fd, from->st_mode & PERMISSIONS) < 0 ||
        futimens(fd, times) < 0)
        return error_sys(err, errno, "set the attributes of directory \"%s\"", path);
    return 0;
}

int implicit_adopt(int tree_fd, const struct strings *paths, const int *lower_fds, size_t n_lower,
                   struct error *err)
{
    for (size_t i = 0; i < paths->n; i++) {
        struct stat st;
        size_t j = n_lower;

        while (j > 0 && look(lower_fds[j - 1], paths->items[i], &st) != 0)
            j--;
        if (j > 0 && adopt(tree_fd, paths->items[i], &st, err) < 0)
            return -1;
    }
    return 0;
}
