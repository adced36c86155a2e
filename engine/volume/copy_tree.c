/* Copying a tree.
 *
 * Theory
 *   A stack of open directory pairs instead of recursion: the depth of an image's tree is not ours
 *   to choose. Names are only used together with the descriptor of their directory, so nothing
 *   that moves meanwhile can lead us out.
 *
 *   Order of attributes: owner, mode, extended attributes, times. chown clears set-user-id bits and
 *   file capabilities, chmod rewrites the mask of an access list, everything changes times. */

#include "engine/volume/copy_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/str.h"
#include "engine/base/vec.h"

enum {
    DEPTH_MAX = 400, /* two descriptors each: below the usual limit of 1024 */
    BLOCK_BYTES = 128 << 10,
    XATTR_NAMES_MAX = 64 << 10, /* XATTR_LIST_MAX */
    XATTR_VALUE_MAX = 64 << 10, /* XATTR_SIZE_MAX */
};

struct level {
    DIR *source;
    int target_fd;
    size_t path_len; /* of this directory in copier.path */
};

struct link_name {
    dev_t device;
    ino_t inode;
    const char *path; /* below the root of the copy */
};

struct copier {
    int root_fd; /* of the copy */
    VEC(struct level) levels;
    VEC(struct link_name) links; /* sorted by inode, device */
    struct buf path;             /* of the current directory, for messages and links */
    struct arena names;
};

static void copier_release(struct copier *copier)
{
    for (size_t i = 0; i < copier->levels.n; i++) {
        closedir(copier->levels.items[i].source);
        if (i > 0) /* the first one is the caller's */
            close(copier->levels.items[i].target_fd);
    }
    vec_release(&copier->levels);
    vec_release(&copier->links);
    buf_release(&copier->path);
    arena_release(&copier->names);
}

/* ------------------------------------------------------------------ attributes */

/* Attributes of overlayfs describe the layer, not the file. */
static bool is_copied(const char *name)
{
    return !text_starts_with(name, "trusted.overlay.") && !text_starts_with(name, "user.overlay.");
}

/* File systems and privileges that don't know an attribute are no reason to fail. */
static bool is_harmless(int errnum)
{
    return errnum == ENOTSUP || errnum == EPERM || errnum == ENODATA || errnum == EACCES;
}

static int copy_xattrs(int source_fd, int target_fd, struct error *err)
{
    cleanup_free char *names = NULL;
    cleanup_free char *value = NULL;
    ssize_t len = flistxattr(source_fd, NULL, 0);

    if (len == 0 || (len < 0 && is_harmless(errno)))
        return 0; /* the usual case */
    names = x_alloc(XATTR_NAMES_MAX);
    value = x_alloc(XATTR_VALUE_MAX);
    len = flistxattr(source_fd, names, XATTR_NAMES_MAX);
    if (len < 0)
        return error_sys(err, errno, "list extended attributes");
    for (const char *name = names; name < names + len; name += strlen(name) + 1) {
        if (!is_copied(name))
            continue;

        ssize_t size = fgetxattr(source_fd, name, value, XATTR_VALUE_MAX);

        if (size < 0 && is_harmless(errno))
            continue;
        if (size < 0)
            return error_sys(err, errno, "read extended attribute \"%s\"", name);
        if (fsetxattr(target_fd, name, value, (size_t)size, 0) != 0 && !is_harmless(errno))
            return error_sys(err, errno, "set extended attribute \"%s\"", name);
    }
    return 0;
}

int copy_attributes(int source_fd, int target_fd, enum copy_times times, struct error *err)
{
    struct stat st;

    if (fstat(source_fd, &st) != 0)
        return error_sys(err, errno, "stat");
    if (fchown(target_fd, st.st_uid, st.st_gid) != 0)
        return error_sys(err, errno, "chown to %u:%u", st.st_uid, st.st_gid);
    if (fchmod(target_fd, st.st_mode & 07777) != 0)
        return error_sys(err, errno, "chmod to %o", st.st_mode & 07777);
    if (copy_xattrs(source_fd, target_fd, err) < 0)
        return -1;

    const struct timespec stamps[2] = {st.st_atim, st.st_mtim};

    if (times == COPY_TIMES && futimens(target_fd, stamps) != 0)
        return error_sys(err, errno, "set times");
    return 0;
}

/* ------------------------------------------------------------------ files */

/* One stretch of data, by the kernel if it can, else through a buffer. */
static int copy_range(int from, int to, off_t start, off_t end, struct error *err)
{
    cleanup_free char *block = NULL;

    while (start < end) {
        off_t source_at = start, target_at = start;
        ssize_t n = 0;

        if (!block) {
            n = copy_file_range(from, &source_at, to, &target_at, (size_t)(end - start), 0);
            if (n < 0 && errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP &&
                errno != ENOSYS)
                return error_sys(err, errno, "copy data");
        }
        if (n <= 0) { /* not between these file systems */
            size_t want = end - start < BLOCK_BYTES ? (size_t)(end - start) : BLOCK_BYTES;

            if (!block)
                block = x_alloc(BLOCK_BYTES);
            n = pread(from, block, want, start);
            if (n < 0)
                return error_sys(err, errno, "read");
            if (n == 0)
                return 0; /* it shrank: images don't, but a volume as source may */
            n = pwrite(to, block, (size_t)n, start);
            if (n < 0)
                return error_sys(err, errno, "write");
        }
        start += n;
    }
    return 0;
}

static int copy_data(int from, int to, off_t size, struct error *err)
{
    off_t at = 0;

    if (size == 0 || ioctl(to, FICLONE, from) == 0)
        return 0;
    while (at < size) {
        off_t data = lseek(from, at, SEEK_DATA);
        off_t hole;

        if (data < 0 && errno == ENXIO)
            break; /* a hole up to the end */
        if (data < 0)
            data = at; /* this file system doesn't tell */
        hole = lseek(from, data, SEEK_HOLE);
        if (hole < 0)
            hole = size;
        if (copy_range(from, to, data, hole, err) < 0)
            return -1;
        at = hole;
    }
    return ftruncate(to, size) == 0 ? 0 : error_sys(err, errno, "set size");
}

static int link_compare(const struct link_name *a, const struct link_name *b)
{
    if (a->inode != b->inode)
        return a->inode < b->inode ? -1 : 1;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    return 0;
}

/* Index of the first entry that isn't less. */
static size_t link_place(const struct copier *copier, const struct link_name *wanted)
{
    size_t low = 0, high = copier->links.n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (link_compare(&copier->links.items[middle], wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A file with several names: 0 if it was linked to its first copy; 1 if this is the first. */
static int link_to_first(struct copier *copier, int target_fd, const char *name,
                         const struct stat *st, struct error *err)
{
    struct link_name wanted = {st->st_dev, st->st_ino, NULL};
    size_t at = link_place(copier, &wanted);

    if (at < copier->links.n && link_compare(&copier->links.items[at], &wanted) == 0) {
        if (linkat(copier->root_fd, copier->links.items[at].path, target_fd, name, 0) != 0)
            return error_sys(err, errno, "link");
        return 0;
    }

    wanted.path = copier->path.len > 0
                      ? arena_printf(&copier->names, "%s/%s", buf_text(&copier->path), name)
                      : arena_strdup(&copier->names, name);
    vec_push(&copier->links, wanted);
    memmove(&copier->links.items[at + 1], &copier->links.items[at],
            (copier->links.n - 1 - at) * sizeof(wanted));
    copier->links.items[at] = wanted;
    return 1;
}

static int copy_file(struct copier *copier, int source_fd, int target_fd, const char *name,
                     const struct stat *st, struct error *err)
{
    if (st->st_nlink > 1) {
        int r = link_to_first(copier, target_fd, name, st, err);

        if (r <= 0)
            return r;
    }

    /* O_NONBLOCK: should it have become a fifo since it was looked at */
    cleanup_fd int from = openat(source_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat opened;

    if (from < 0 || fstat(from, &opened) != 0)
        return error_sys(err, errno, "open");
    if (!S_ISREG(opened.st_mode))
        return error_set(err, ERROR_CONFLICT, "it changed while it was copied");

    cleanup_fd int to =
        openat(target_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (to < 0)
        return error_sys(err, errno, "create");
    if (copy_data(from, to, opened.st_size, err) < 0)
        return -1;
    return copy_attributes(from, to, COPY_TIMES, err);
}

static int finish_by_name(int target_fd, const char *name, const struct stat *st, struct error *err)
{
    const struct timespec stamps[2] = {st->st_atim, st->st_mtim};

    if (fchownat(target_fd, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) != 0)
        return error_sys(err, errno, "chown");
    if (!S_ISLNK(st->st_mode) && fchmodat(target_fd, name, st->st_mode & 07777, 0) != 0)
        return error_sys(err, errno, "chmod");
    if (utimensat(target_fd, name, stamps, AT_SYMLINK_NOFOLLOW) != 0)
        return error_sys(err, errno, "set times");
    return 0;
}

static int copy_symlink(int source_fd, int target_fd, const char *name, const struct stat *st,
                        struct error *err)
{
    cleanup_free char *text = x_alloc(PATH_MAX + 1);
    ssize_t len = readlinkat(source_fd, name, text, PATH_MAX);

    if (len < 0)
        return error_sys(err, errno, "read symlink");
    text[len] = '\0';
    if (symlinkat(text, target_fd, name) != 0)
        return error_sys(err, errno, "make symlink");
    return finish_by_name(target_fd, name, st, err);
}

static int copy_node(int target_fd, const char *name, const struct stat *st, struct error *err)
{
    if (S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0))
        return 0; /* an overlay whiteout: "not there" */
    if (mknodat(target_fd, name, st->st_mode, st->st_rdev) != 0)
        return error_sys(err, errno, "make node");
    return finish_by_name(target_fd, name, st, err);
}

/* ------------------------------------------------------------------ directories */

/* Takes both descriptors, also when it fails. */
static int push_take(struct copier *copier, int source_fd, int target_fd, struct error *err)
{
    DIR *dir = fdopendir(source_fd);

    if (!dir) {
        int errnum = errno;

        close(source_fd);
        if (copier->levels.n > 0)
            close(target_fd);
        return error_sys(err, errnum, "read directory");
    }
    vec_push(&copier->levels, (struct level){dir, target_fd, copier->path.len});
    return 0;
}

static int enter_directory(struct copier *copier, int source_fd, int target_fd, const char *name,
                           struct error *err)
{
    enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

    if (copier->levels.n >= DEPTH_MAX)
        return error_set(err, ERROR_UNSUPPORTED, "more than %d directories deep", DEPTH_MAX);
    if (mkdirat(target_fd, name, 0700) != 0)
        return error_sys(err, errno, "make directory");

    cleanup_fd int from = openat(source_fd, name, FLAGS);
    cleanup_fd int to = openat(target_fd, name, FLAGS);

    if (from < 0 || to < 0)
        return error_sys(err, errno, "open directory");
    buf_printf(&copier->path, "%s%s", copier->path.len > 0 ? "/" : "", name);
    return push_take(copier, fd_take(&from), fd_take(&to), err);
}

/* The directory's content is complete: now its own attributes, times last. */
static int leave_directory(struct copier *copier, struct error *err)
{
    struct level level = *vec_last(&copier->levels);
    int r = copy_attributes(dirfd(level.source), level.target_fd, COPY_TIMES, err);

    closedir(level.source);
    copier->levels.n--;
    if (copier->levels.n > 0) {
        close(level.target_fd);
        copier->path.len = vec_last(&copier->levels)->path_len;
        if (copier->path.data)
            copier->path.data[copier->path.len] = '\0';
    }
    return r;
}

static int copy_entry(struct copier *copier, const char *name, struct error *err)
{
    const struct level *level = vec_last(&copier->levels);
    int source_fd = dirfd(level->source), target_fd = level->target_fd;
    struct stat st;
    int r;

    if (fstatat(source_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        r = error_sys(err, errno, "stat");
    else if (S_ISDIR(st.st_mode))
        r = enter_directory(copier, source_fd, target_fd, name, err);
    else if (S_ISREG(st.st_mode))
        r = copy_file(copier, source_fd, target_fd, name, &st, err);
    else if (S_ISLNK(st.st_mode))
        r = copy_symlink(source_fd, target_fd, name, &st, err);
    else
        r = copy_node(target_fd, name, &st, err);
    return r < 0 ? error_wrap(err, "copy \"%s\"", name) : 0;
}

static int copy_all(struct copier *copier, struct error *err)
{
    while (copier->levels.n > 0) {
        errno = 0;

        struct dirent *entry = readdir(vec_last(&copier->levels)->source);

        if (!entry && errno != 0)
            return error_sys(err, errno, "read directory \"%s\"", buf_text(&copier->path));
        if (!entry) {
            if (leave_directory(copier, err) < 0)
                return error_wrap(err, "directory \"%s\"", buf_text(&copier->path));
            continue;
        }
        if (text_equal(entry->d_name, ".") || text_equal(entry->d_name, ".."))
            continue;
        if (copy_entry(copier, entry->d_name, err) < 0)
            return -1;
    }
    return 0;
}

int copy_tree(int source_fd, int target_fd, struct error *err)
{
    struct copier copier = {.root_fd = target_fd, .levels = VEC_INIT, .links = VEC_INIT};
    int own_fd = openat(source_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r;

    if (own_fd < 0)
        return error_sys(err, errno, "open the directory to copy");
    r = push_take(&copier, own_fd, target_fd, err);
    if (r == 0)
        r = copy_all(&copier, err);
    copier_release(&copier);
    return r;
}
