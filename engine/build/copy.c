/* COPY and ADD of files.
 *
 * A source that is a directory gives its contents. Parents come before their contents in a
 * selection; times of directories are set at the end, because every file made in them changes
 * them. */

#include "engine/build/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "engine/base/arena.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/path.h"
#include "engine/base/sys.h"
#include "engine/base/vec.h"
#include "engine/build/link_map.h"
#include "engine/build/selection.h"

enum { COPY_BLOCK_BYTES = 256 * 1024, COPY_RANGE_MAX = 1 << 30 };

struct dir_time {
    const char *path; /* in the root */
    struct timespec mtime;
};

struct copier {
    struct arena *arena;
    const struct copy_request *request;
    struct link_map links;
    VEC(struct dir_time) dir_times;
    const char *parent_path; /* of parent_fd */
    int parent_fd;
    struct error *err;
};

static const struct timespec omit_atime = {.tv_nsec = UTIME_OMIT};

/* ------------------------------------------------------------------ directories */

/* One directory in its parent. 1: it was there. */
static int make_dir(int parent_fd, const char *name, const char *path, uid_t uid, gid_t gid,
                    mode_t mode, struct error *err)
{
    if (mkdirat(parent_fd, name, 0700) < 0) {
        if (errno == EEXIST)
            return 1;
        return error_sys(err, errno, "make the directory \"%s\"", path);
    }
    if (fchownat(parent_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        fchmodat(parent_fd, name, mode, 0) < 0)
        return error_sys(err, errno, "set owner and mode of \"%s\"", path);
    return 0;
}

static int open_dir(int root_fd, const char *path, int *ret_fd, struct error *err)
{
    return fs_open_in_root(root_fd, path, O_PATH | O_DIRECTORY, 0, ret_fd, err);
}

int copy_make_dirs(struct arena *arena, int root_fd, const char *path, uid_t uid, gid_t gid,
                   mode_t mode, int *ret_fd, bool *ret_is_new, struct error *err)
{
    char *prefix = path_clean(arena, arena_printf(arena, "/%s", path));
    cleanup_fd int fd = -1;
    bool is_new = false;

    if (open_dir(root_fd, "/", &fd, err) < 0)
        return -1;
    for (char *at = prefix + 1; *at != '\0';) {
        struct error why = ERROR_INIT;
        char *slash = strchr(at, '/');
        int next_fd = -1;
        if (slash != NULL)
            *slash = '\0';
        is_new = false;
        if (open_dir(root_fd, prefix, &next_fd, &why) < 0) {
            if (why.code != ERROR_NOT_FOUND) {
                return error_set(err, why.code, "make the directory \"%s\": %s", path, why.text);
            }
            int r = make_dir(fd, at, prefix, uid, gid, mode, err);
            if (r == 1)
                return error_set(err, ERROR_CONFLICT,
                                 "\"%s\" is a symlink to something that is not there", prefix);
            if (r < 0 || open_dir(root_fd, prefix, &next_fd, err) < 0)
                return -1;
            is_new = true;
        }
        (void)close(fd);
        fd = next_fd;
        at = slash != NULL ? slash + 1 : at + strlen(at);
        if (slash != NULL)
            *slash = '/';
    }
    if (ret_is_new != NULL)
        *ret_is_new = is_new;
    if (ret_fd != NULL)
        *ret_fd = fd_take(&fd);
    return 0;
}

/* The directory that will hold `path`, which must be there. */
static int enter_parent(struct copier *copier, const char *path)
{
    const char *parent = path_dir(copier->arena, path);

    if (copier->parent_fd >= 0 && text_equal(parent, copier->parent_path))
        return 0;
    int fd = -1;
    if (open_dir(copier->request->root_fd, parent, &fd, copier->err) < 0)
        return error_wrap(copier->err, "copy to \"%s\"", path);
    if (copier->parent_fd >= 0)
        (void)close(copier->parent_fd);
    copier->parent_fd = fd;
    copier->parent_path = parent;
    return 0;
}

/* ------------------------------------------------------------------ attributes */

static uid_t owner_uid(const struct copier *copier, const struct selected_file *file)
{
    return copier->request->flags & COPY_SET_OWNER ? copier->request->uid : file->uid;
}

static gid_t owner_gid(const struct copier *copier, const struct selected_file *file)
{
    return copier->request->flags & COPY_SET_OWNER ? copier->request->gid : file->gid;
}

static mode_t final_mode(const struct copier *copier, const struct selected_file *file)
{
    return copier->request->flags & COPY_SET_MODE ? copier->request->mode : file->mode & 07777;
}

static int copy_xattrs(int from_fd, int to_fd, const char *path, struct error *err)
{
    cleanup_free char *list = NULL, *value = NULL;
    ssize_t len = flistxattr(from_fd, NULL, 0);

    if (len <= 0)
        return 0;
    list = x_alloc(XATTR_LIST_BYTES);
    value = x_alloc(XATTR_VALUE_BYTES);
    len = flistxattr(from_fd, list, XATTR_LIST_BYTES);
    for (ssize_t at = 0; at < len; at += (ssize_t)strlen(list + at) + 1) {
        if (!xattr_is_copied(list + at))
            continue;
        ssize_t n = fgetxattr(from_fd, list + at, value, XATTR_VALUE_BYTES);
        if (n >= 0 && fsetxattr(to_fd, list + at, value, (size_t)n, 0) < 0 && errno != ENOTSUP)
            return error_sys(err, errno, "set the attribute %s of \"%s\"", list + at, path);
    }
    return 0;
}

/* Of what is no regular file. */
static int set_attributes(struct copier *copier, const struct selected_file *file, const char *name,
                          const char *path)
{
    const struct timespec times[2] = {omit_atime, file->mtime};

    if (fchownat(copier->parent_fd, name, owner_uid(copier, file), owner_gid(copier, file),
                 AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(copier->err, errno, "set the owner of \"%s\"", path);
    if (!S_ISLNK(file->mode) && fchmodat(copier->parent_fd, name, final_mode(copier, file), 0) < 0)
        return error_sys(copier->err, errno, "set the mode of \"%s\"", path);
    if (!S_ISDIR(file->mode) && utimensat(copier->parent_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(copier->err, errno, "set the time of \"%s\"", path);
    return 0;
}

/* ------------------------------------------------------------------ files */

static int copy_blocks(int from_fd, int to_fd, struct error *err)
{
    cleanup_free char *block = x_alloc(COPY_BLOCK_BYTES);
    ssize_t n;

    while ((n = fs_read(from_fd, block, COPY_BLOCK_BYTES)) > 0)
        if (fs_write_all(to_fd, block, (size_t)n, err) < 0)
            return -1;
    return n < 0 ? error_sys(err, errno, "read") : 0;
}

int copy_data(int from_fd, int to_fd, struct error *err)
{
    for (;;) {
        ssize_t n = copy_file_range(from_fd, NULL, to_fd, NULL, COPY_RANGE_MAX, 0);
        if (n > 0)
            continue;
        if (n == 0) /* the end; or a file of /proc, whose size says 0 */
            return copy_blocks(from_fd, to_fd, err);
        if (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS ||
            errno == EPERM || errno == EBADF)
            return copy_blocks(from_fd, to_fd, err); /* from where it stopped */
        return error_sys(err, errno, "copy");
    }
}

/* Make room for something that is no directory. */
static int clear_place(struct copier *copier, const char *name, const char *path)
{
    struct stat stat;

    if (fstatat(copier->parent_fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_sys(copier->err, errno, "stat \"%s\"", path);
    if (S_ISDIR(stat.st_mode))
        return error_set(copier->err, ERROR_CONFLICT,
                         "can't replace the directory \"%s\" by a file", path);
    if (unlinkat(copier->parent_fd, name, 0) < 0)
        return error_sys(copier->err, errno, "replace \"%s\"", path);
    return 0;
}

/* The source as it was selected: no symlink on the way, the same inode. */
static int open_source(struct copier *copier, const struct selected_file *file, int *ret_fd)
{
    struct open_how how = {.flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    struct stat stat;
    cleanup_fd int fd = sys_openat2(copier->request->tree->root_fd, file->path, &how);

    if (fd < 0 || fstat(fd, &stat) < 0)
        return error_sys(copier->err, errno, "open \"%s\"", file->path);
    if (!S_ISREG(stat.st_mode) || stat.st_ino != file->ino)
        return error_set(copier->err, ERROR_CONFLICT, "\"%s\" changed during the build",
                         file->path);
    *ret_fd = fd_take(&fd);
    return 0;
}

static int create_file(struct copier *copier, const char *name, const char *path, int *ret_fd)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(copier->parent_fd, name, flags, 0600);

    if (fd < 0 && errno == EEXIST) {
        if (clear_place(copier, name, path) < 0)
            return -1;
        fd = openat(copier->parent_fd, name, flags, 0600);
    }
    if (fd < 0)
        return error_sys(copier->err, errno, "create \"%s\"", path);
    *ret_fd = fd;
    return 0;
}

static int finish_file(int fd, uid_t uid, gid_t gid, mode_t mode, const char *path,
                       struct error *err)
{
    if (fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0) /* in this order: chown clears setuid */
        return error_sys(err, errno, "set owner and mode of \"%s\"", path);
    return 0;
}

static int copy_regular(struct copier *copier, const struct selected_file *file, const char *name,
                        const char *path)
{
    const struct timespec times[2] = {omit_atime, file->mtime};
    cleanup_fd int from_fd = -1;
    cleanup_fd int to_fd = -1;

    if (open_source(copier, file, &from_fd) < 0 || create_file(copier, name, path, &to_fd) < 0)
        return -1;
    if (copy_data(from_fd, to_fd, copier->err) < 0)
        return error_wrap(copier->err, "copy \"%s\" to \"%s\"", file->path, path);
    if (finish_file(to_fd, owner_uid(copier, file), owner_gid(copier, file),
                    final_mode(copier, file), path, copier->err) < 0 ||
        copy_xattrs(from_fd, to_fd, path, copier->err) < 0)
        return -1;
    if (futimens(to_fd, times) < 0)
        return error_sys(copier->err, errno, "set the time of \"%s\"", path);
    return 0;
}

/* 1: the file is the first of its inode, copy it. */
static int copy_hard_link(struct copier *copier, const struct selected_file *file, const char *name,
                          const char *path)
{
    cleanup_fd int first_fd = -1;
    const char *first = link_map_add(&copier->links, file->dev, file->ino, path);

    if (first == NULL)
        return 1;
    if (clear_place(copier, name, path) < 0 ||
        fs_open_in_root(copier->request->root_fd, first, O_PATH | O_NOFOLLOW, 0, &first_fd,
                        copier->err) < 0)
        return -1;
    char link[64];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", first_fd); /* fits */
    if (linkat(AT_FDCWD, link, copier->parent_fd, name, AT_SYMLINK_FOLLOW) < 0)
        return error_sys(copier->err, errno, "link \"%s\" to \"%s\"", path, first);
    return 0;
}

static int copy_special(struct copier *copier, const struct selected_file *file, const char *name,
                        const char *path)
{
    if (clear_place(copier, name, path) < 0)
        return -1;
    if (S_ISLNK(file->mode)) {
        if (symlinkat(file->link_target, copier->parent_fd, name) < 0)
            return error_sys(copier->err, errno, "make the symlink \"%s\"", path);
    } else if (mknodat(copier->parent_fd, name, (file->mode & S_IFMT) | 0600, file->rdev) < 0) {
        return error_sys(copier->err, errno, "make the node \"%s\"", path);
    }
    return set_attributes(copier, file, name, path);
}

/* A directory below the source. One that is a symlink in the image is entered as it is. */
static int copy_nested_dir(struct copier *copier, const struct selected_file *file,
                           const char *name, const char *path)
{
    int r = make_dir(copier->parent_fd, name, path, owner_uid(copier, file),
                     owner_gid(copier, file), final_mode(copier, file), copier->err);

    if (r < 0)
        return r;
    if (r == 1) {
        cleanup_fd int fd = -1;
        struct stat stat;
        if (open_dir(copier->request->root_fd, path, &fd, copier->err) < 0)
            return error_set(copier->err, ERROR_CONFLICT,
                             "can't copy a directory over \"%s\", which is none", path);
        if (fstatat(copier->parent_fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
            return error_sys(copier->err, errno, "stat \"%s\"", path);
        if (!S_ISDIR(stat.st_mode))
            return 0;
        if (set_attributes(copier, file, name, path) < 0)
            return -1;
    }
    vec_push(&copier->dir_times, (struct dir_time){path, file->mtime});
    return 0;
}

static int copy_file(struct copier *copier, const struct selected_file *file, const char *path)
{
    const char *name = path_base(path);

    if (enter_parent(copier, path) < 0)
        return -1;
    if (S_ISDIR(file->mode))
        return copy_nested_dir(copier, file, name, path);
    if (file->has_links) {
        int r = copy_hard_link(copier, file, name, path);
        if (r != 1)
            return r;
    }
    if (S_ISREG(file->mode))
        return copy_regular(copier, file, name, path);
    return copy_special(copier, file, name, path);
}

/* ------------------------------------------------------------------ sources */

static int set_dir_times(struct copier *copier)
{
    for (size_t i = copier->dir_times.n; i-- > 0;) {
        const struct dir_time *time = &copier->dir_times.items[i];
        const struct timespec times[2] = {omit_atime, time->mtime};
        if (enter_parent(copier, time->path) < 0)
            return -1;
        if (utimensat(copier->parent_fd, path_base(time->path), times, AT_SYMLINK_NOFOLLOW) < 0)
            return error_sys(copier->err, errno, "set the time of \"%s\"", time->path);
    }
    return 0;
}

static uid_t parents_uid(const struct copy_request *request)
{
    return request->flags & COPY_SET_OWNER ? request->uid : 0;
}

static gid_t parents_gid(const struct copy_request *request)
{
    return request->flags & COPY_SET_OWNER ? request->gid : 0;
}

static int make_parents(struct copier *copier, const char *path)
{
    const struct copy_request *request = copier->request;

    return copy_make_dirs(copier->arena, request->root_fd, path, parents_uid(request),
                          parents_gid(request), 0755, NULL, NULL, copier->err);
}

/* Contents of a directory. A destination that is new looks like the source. */
static int copy_dir_source(struct copier *copier, const struct selected_source *source)
{
    const struct copy_request *request = copier->request;
    const struct selected_file *top = &source->files[0];
    bool is_new = false;
    int r = 0;

    if (request->flags & COPY_INTO_DIRECTORY) {
        r = make_parents(copier, request->dest);
    } else {
        r = make_parents(copier, path_dir(copier->arena, request->dest));
        if (r == 0)
            r = copy_make_dirs(copier->arena, request->root_fd, request->dest,
                               owner_uid(copier, top), owner_gid(copier, top),
                               final_mode(copier, top), NULL, &is_new, copier->err);
    }
    if (is_new)
        vec_push(&copier->dir_times, (struct dir_time){request->dest, top->mtime});
    for (size_t i = 1; r == 0 && i < source->n_files; i++)
        r = copy_file(copier, &source->files[i],
                      path_join(copier->arena, request->dest, source->files[i].name));
    return r;
}

/* Where a file goes: into the destination if that is a directory. */
static int file_path(struct copier *copier, const char *name, const char **ret)
{
    const struct copy_request *request = copier->request;
    cleanup_fd int fd = -1;
    bool is_dir = request->flags & COPY_INTO_DIRECTORY;

    if (is_dir && make_parents(copier, request->dest) < 0)
        return -1;
    if (!is_dir) {
        if (make_parents(copier, path_dir(copier->arena, request->dest)) < 0)
            return -1;
        is_dir = open_dir(request->root_fd, request->dest, &fd, NULL) == 0;
    }
    *ret = is_dir ? path_join(copier->arena, request->dest, name) : request->dest;
    return 0;
}

static int copy_source(struct copier *copier, const struct selected_source *source)
{
    const char *path;

    if (source->is_dir)
        return copy_dir_source(copier, source);
    if (file_path(copier, source->base_name, &path) < 0)
        return -1;
    return copy_file(copier, &source->files[0], path);
}

/* Several files to one name would overwrite each other. */
static int check_many(const struct copy_request *request, size_t n_sources, struct error *err)
{
    cleanup_fd int fd = -1;

    if (n_sources < 2 || (request->flags & COPY_INTO_DIRECTORY) ||
        open_dir(request->root_fd, request->dest, &fd, NULL) == 0)
        return 0;
    return error_set(err, ERROR_INVALID,
                     "several sources need a directory as destination: write \"%s/\"",
                     request->dest);
}

static void copier_release(struct copier *copier)
{
    if (copier->parent_fd >= 0)
        (void)close(copier->parent_fd);
    link_map_release(&copier->links);
    vec_release(&copier->dir_times);
}

int copy_selection(struct arena *arena, const struct copy_request *request, struct error *err)
{
    struct copier copier = {.arena = arena, .request = request, .parent_fd = -1, .err = err};
    const struct selection *selection = request->selection;
    int r = check_many(request, selection->n_sources, err);

    for (size_t i = 0; r == 0 && i < selection->n_sources; i++)
        r = copy_source(&copier, &selection->sources[i]);
    if (r == 0)
        r = set_dir_times(&copier);
    copier_release(&copier);
    return r;
}

int copy_text(struct arena *arena, const struct copy_request *request, const char *name,
              const char *text, struct error *err)
{
    struct copier copier = {.arena = arena, .request = request, .parent_fd = -1, .err = err};
    mode_t mode = request->flags & COPY_SET_MODE ? request->mode : 0644;
    cleanup_fd int fd = -1;
    const char *path = NULL;

    int r = file_path(&copier, name, &path);
    if (r == 0)
        r = enter_parent(&copier, path);
    if (r == 0)
        r = create_file(&copier, path_base(path), path, &fd);
    if (r == 0)
        r = fs_write_all(fd, text, strlen(text), err);
    if (r == 0)
        r = finish_file(fd, parents_uid(request), parents_gid(request), mode, path, err);
    copier_release(&copier);
    return r;
}
