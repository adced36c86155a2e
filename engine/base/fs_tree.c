/* Listing and removing directories.
 *
 * A tree that an outsider made can be deeper than our stack and wider than our descriptors. So
 * removal holds one directory open at a time and a heap stack of the names still to do; it goes
 * down by openat2 (no symlinks, no mount crossed) and up by "..", checking that it comes out where
 * it went in. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/str.h"
#include "engine/base/sys.h"
#include "engine/base/vec.h"

static bool is_dot_name(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* readdir tells the end from a failure by errno only. */
static const struct dirent *next_entry(DIR *dir)
{
    errno = 0;
    return readdir(dir);
}

int fs_list(int dirfd, const char *name, struct arena *arena, struct strings *ret,
            struct error *err)
{
    cleanup_fd int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_dir DIR *dir = NULL;
    VEC(const char *) names = VEC_INIT;
    const struct dirent *entry;

    if (fd < 0)
        return error_sys(err, errno, "list \"%s\"", name);
    dir = fdopendir(fd);
    if (!dir)
        return error_sys(err, errno, "list \"%s\"", name);
    fd = -1; /* dir owns it */

    while ((entry = next_entry(dir)))
        if (!is_dot_name(entry->d_name))
            vec_push(&names, arena_strdup(arena, entry->d_name));
    if (errno) {
        error_sys(err, errno, "list \"%s\"", name);
        vec_release(&names);
        return -1;
    }

    *ret = (struct strings){vec_to_arena(&names, arena), names.n};
    vec_release(&names);
    strings_sort(ret);
    return 0;
}

/* One directory on the way down. */
struct frame {
    char *name; /* in its parent */
    dev_t device;
    ino_t inode;
    VEC(char *) children; /* directories still to remove */
};

struct removal {
    VEC(struct frame) frames;
    int dir; /* the directory of the last frame, open */
};

static void removal_release(struct removal *removal)
{
    int saved = errno;

    for (size_t i = 0; i < removal->frames.n; i++) {
        struct frame *frame = &removal->frames.items[i];

        for (size_t j = 0; j < frame->children.n; j++)
            free(frame->children.items[j]);
        vec_release(&frame->children);
        free(frame->name);
    }
    vec_release(&removal->frames);
    if (removal->dir >= 0)
        close(removal->dir);
    errno = saved;
}

/* Unlink what is no directory, note what is one. -1 with errno. */
static int frame_scan(struct frame *frame, int dir)
{
    cleanup_dir DIR *stream = NULL;
    const struct dirent *entry;
    int fd = fcntl(dir, F_DUPFD_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    stream = fdopendir(fd);
    if (!stream) {
        close(fd);
        return -1;
    }

    while ((entry = next_entry(stream))) {
        if (is_dot_name(entry->d_name))
            continue;
        if (entry->d_type != DT_DIR) {
            if (unlinkat(dir, entry->d_name, 0) == 0 || errno == ENOENT)
                continue;
            if (errno != EISDIR) /* file systems without d_type */
                return -1;
        }
        vec_push(&frame->children, x_strdup(entry->d_name));
    }
    return errno ? -1 : 0;
}

/* Open the directory `name` of the current one and make it the current one. -1 with errno. */
static int removal_descend(struct removal *removal, const char *name)
{
    const struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                                 .resolve =
                                     RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH};
    cleanup_fd int fd = sys_openat2(removal->dir, name, &how);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    vec_push(&removal->frames,
             (struct frame){.name = x_strdup(name), .device = st.st_dev, .inode = st.st_ino});
    close(removal->dir);
    removal->dir = fd_take(&fd);
    return frame_scan(vec_last(&removal->frames), removal->dir);
}

/* The current directory is empty: go up and remove it. -1 with errno. */
static int removal_ascend(struct removal *removal)
{
    struct frame *done = vec_last(&removal->frames);
    const struct frame *parent = done - 1;
    cleanup_fd int fd = openat(removal->dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    if (st.st_dev != parent->device || st.st_ino != parent->inode) {
        errno = ESTALE; /* someone moved the directory away under us */
        return -1;
    }
    if (unlinkat(fd, done->name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return -1;

    close(removal->dir);
    removal->dir = fd_take(&fd);
    vec_release(&done->children);
    free(done->name);
    removal->frames.n--;
    return 0;
}

/* frames[0] is the directory that holds the tree, with the tree as its only child. */
static int removal_run(struct removal *removal)
{
    for (;;) {
        struct frame *frame = vec_last(&removal->frames);

        if (frame->children.n) {
            cleanup_free char *child = frame->children.items[--frame->children.n];

            if (removal_descend(removal, child) < 0 && errno != ENOENT)
                return -1;
        } else if (removal->frames.n == 1) {
            return 0;
        } else if (removal_ascend(removal) < 0) {
            return -1;
        }
    }
}

static int removal_start(struct removal *removal, int dirfd, const char *name)
{
    const char *slash = strrchr(name, '/');
    cleanup_free char *parent = slash ? x_strndup(name, (size_t)(slash - name) + 1) : x_strdup(".");
    const char *base = slash ? slash + 1 : name;
    struct stat st;

    if (!base[0] || is_dot_name(base)) {
        errno = EINVAL;
        return -1;
    }
    removal->dir = openat(dirfd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (removal->dir < 0 || fstat(removal->dir, &st) < 0)
        return -1;
    vec_push(&removal->frames,
             (struct frame){.name = x_strdup(parent), .device = st.st_dev, .inode = st.st_ino});
    vec_push(&removal->frames.items[0].children, x_strdup(base));
    return 0;
}

int fs_remove_tree(int dirfd, const char *name, struct error *err)
{
    struct removal removal = {.frames = VEC_INIT, .dir = -1};
    int result;

    /* Most often a directory, but a file or a symlink is removed as well. */
    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR)
        return error_sys(err, errno, "remove \"%s\"", name);

    result = removal_start(&removal, dirfd, name);
    if (result == 0)
        result = removal_run(&removal);
    removal_release(&removal);
    if (result < 0)
        return error_sys(err, errno, "remove \"%s\"", name);
    return 0;
}
