/* Files: reading, writing, replacing, directories, locks. Removal of trees: fs_tree.c. */

#include "engine/base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/path.h"
#include "engine/base/random.h"
#include "engine/base/str.h"
#include "engine/base/sys.h"

enum { READ_CHUNK = 16384, TEMP_NAME_DIGITS = 12, RESOLVE_ATTEMPTS = 64 };

ssize_t fs_read(int fd, void *data, size_t len)
{
    ssize_t n;

    do
        n = read(fd, data, len);
    while (n < 0 && errno == EINTR);
    return n;
}

int fs_read_all(int fd, struct buf *out, struct error *err)
{
    for (;;) {
        size_t room = out->max ? out->max - out->len : READ_CHUNK;
        size_t want = room < READ_CHUNK ? room : READ_CHUNK;
        char extra, *at;
        ssize_t n;

        /* Full: only the end may follow. */
        at = want ? buf_reserve(out, want) : &extra;
        n = fs_read(fd, at, want ? want : 1);
        if (n < 0)
            return error_sys(err, errno, "read");
        if (n == 0)
            return 0;
        if (!want) {
            out->truncated = true;
            return error_set(err, ERROR_INVALID, "larger than %zu bytes", out->max);
        }
        buf_commit(out, (size_t)n);
    }
}

int fs_write_all(int fd, const void *data, size_t len, struct error *err)
{
    const char *at = data;

    while (len) {
        ssize_t n = write(fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_sys(err, errno, "write");
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int fs_read_file(int dirfd, const char *name, size_t max_bytes, struct buf *out, struct error *err)
{
    cleanup_fd int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
    cleanup_buf struct buf content = BUF_INIT;

    if (fd < 0)
        return error_sys(err, errno, "open \"%s\"", name);
    buf_init(&content, max_bytes);
    if (fs_read_all(fd, &content, err) < 0)
        return error_wrap(err, "read \"%s\"", name);

    buf_release(out);
    *out = content;
    content = (struct buf)BUF_INIT;
    return 0;
}

/* The directory that holds `name`: dirfd itself, borrowed, or *ret_owned. -1 with errno. */
static int open_parent(struct arena *arena, int dirfd, const char *name, int *ret_owned)
{
    if (!strchr(name, '/'))
        return dirfd;
    *ret_owned = openat(dirfd, path_dir(arena, name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret_owned;
}

/* Write the temporary file whole, with exactly `mode`. */
static int write_temporary(int parent, const char *temporary, struct str content, mode_t mode,
                           enum fs_sync sync, struct error *err)
{
    cleanup_fd int fd =
        openat(parent, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_sys(err, errno, "create temporary file");
    if (fs_write_all(fd, content.data, content.len, err) < 0)
        return -1;
    if (fchmod(fd, mode) < 0)
        return error_sys(err, errno, "set mode");
    if (sync == FS_DURABLE && fsync(fd) < 0)
        return error_sys(err, errno, "sync");
    return 0;
}

static int sync_directory(int parent, struct error *err)
{
    /* Opened anew: `parent` may be AT_FDCWD or O_PATH. */
    cleanup_fd int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return error_sys(err, errno, "sync directory");
    return 0;
}

int fs_replace(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
               enum fs_sync sync, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const struct str content = {data, len};
    const char *base = path_base(name);
    char suffix[TEMP_NAME_DIGITS + 1];
    cleanup_fd int owned_parent = -1;
    const char *temporary;
    int parent;

    parent = open_parent(&arena, dirfd, name, &owned_parent);
    if (parent == -1)
        return error_sys(err, errno, "replace \"%s\": open its directory", name);

    random_hex(suffix, TEMP_NAME_DIGITS);
    temporary = arena_printf(&arena, ".%s.%s", base, suffix);
    if (write_temporary(parent, temporary, content, mode, sync, err) < 0)
        goto failed;
    if (renameat(parent, temporary, parent, base) < 0) {
        error_sys(err, errno, "rename");
        goto failed;
    }
    if (sync == FS_DURABLE && sync_directory(parent, err) < 0)
        return error_wrap(err, "replace \"%s\"", name);
    return 0;

failed:
    (void)unlinkat(parent, temporary, 0); /* the first error is the one to tell */
    return error_wrap(err, "replace \"%s\"", name);
}

int fs_overwrite_page(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
                      struct error *err)
{
    char page[4096]; /* the smallest page there is */
    cleanup_fd int fd = -1;
    ssize_t n;

    if (len > sizeof(page))
        return fs_replace(dirfd, name, data, len, mode, FS_VOLATILE, err);
    memcpy(page, data, len);
    memset(page + len, ' ', sizeof(page) - len);
    fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return error_sys(err, errno, "write \"%s\"", name);
    n = pwrite(fd, page, sizeof(page), 0);
    if (n != (ssize_t)sizeof(page))
        return error_sys(err, n < 0 ? errno : ENOSPC, "write \"%s\"", name);
    return 0;
}

static int require_directory(int dirfd, const char *name, struct error *err)
{
    struct stat st;

    if (fstatat(dirfd, name, &st, 0) < 0)
        return error_sys(err, errno, "make directory \"%s\"", name);
    if (!S_ISDIR(st.st_mode))
        return error_sys(err, ENOTDIR, "make directory \"%s\"", name);
    return 0;
}

int fs_make_dirs(int dirfd, const char *name, mode_t mode, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    char *path, *end;

    if (mkdirat(dirfd, name, mode) == 0)
        return 0;
    if (errno == EEXIST)
        return require_directory(dirfd, name, err);
    if (errno != ENOENT)
        return error_sys(err, errno, "make directory \"%s\"", name);

    path = arena_strdup(&arena, name);
    for (end = path + strspn(path, "/"); *end;) {
        char ended_by;

        end += strcspn(end, "/");
        ended_by = *end;
        *end = '\0';
        if (mkdirat(dirfd, path, mode) < 0 && errno != EEXIST)
            return error_sys(err, errno, "make directory \"%s\"", path);
        *end = ended_by;
        end += strspn(end, "/");
    }
    return require_directory(dirfd, name, err);
}

int fs_open_dirs(int dirfd, const char *name, mode_t mode, int *ret_fd, struct error *err)
{
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT) {
        if (fs_make_dirs(dirfd, name, mode, err) < 0)
            return -1;
        fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0)
        return error_sys(err, errno, "open directory \"%s\"", name);
    *ret_fd = fd;
    return 0;
}

void fs_spread_subdirs(int dir_fd)
{
    int flags;

    if (ioctl(dir_fd, FS_IOC_GETFLAGS, &flags) < 0 || flags & FS_TOPDIR_FL)
        return;
    flags |= FS_TOPDIR_FL;
    (void)ioctl(dir_fd, FS_IOC_SETFLAGS, &flags); /* it is only slower without */
}

bool fs_exists(int dirfd, const char *name)
{
    struct stat st;

    return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* openat2 confined to root_fd. -1 with errno. */
static int open_in_root(int root_fd, const char *path, int flags, mode_t mode)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};

    /* openat2 refuses a mode where nothing can be created. */
    if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE)
        how.mode = mode;

    /* EAGAIN: something was renamed or mounted while ".." was resolved (openat2(2)). */
    for (int attempt = 0;; attempt++) {
        int fd = sys_openat2(root_fd, path, &how);

        if (fd >= 0 || errno != EAGAIN || attempt == RESOLVE_ATTEMPTS)
            return fd;
    }
}

int fs_open_in_root(int root_fd, const char *path, int flags, mode_t mode, int *ret_fd,
                    struct error *err)
{
    int fd = open_in_root(root_fd, path, flags, mode);

    if (fd < 0)
        return error_sys(err, errno, "open \"%s\"", path);
    *ret_fd = fd;
    return 0;
}

/* One step of fs_make_dirs_in_root: `prefix` ends in `component`, `parent` is open. The new
 * directory is opened without following: whoever replaces it by a symlink meanwhile gains nothing.
 * -1 with errno. */
static int open_or_make(int root_fd, int parent, const char *prefix, const char *component,
                        mode_t mode)
{
    int fd = open_in_root(root_fd, prefix, O_PATH | O_DIRECTORY, 0);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    if (mkdirat(parent, component, mode) < 0 && errno != EEXIST)
        return -1;
    return openat(parent, component, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int fs_make_dirs_in_root(int root_fd, const char *path, mode_t mode, int *ret_fd, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_fd int parent = open_in_root(root_fd, path[0] ? path : ".", O_PATH | O_DIRECTORY, 0);
    char *prefix, *component;

    if (parent >= 0) {
        *ret_fd = fd_take(&parent);
        return 0;
    }
    if (errno != ENOENT)
        return error_sys(err, errno, "make directory \"%s\"", path);

    parent = open_in_root(root_fd, ".", O_PATH | O_DIRECTORY, 0);
    if (parent < 0)
        return error_sys(err, errno, "make directory \"%s\"", path);
    prefix = arena_strdup(&arena, path);
    component = prefix + strspn(prefix, "/");
    while (*component) {
        char *end = component + strcspn(component, "/");
        char ended_by = *end;
        int fd;

        *end = '\0';
        fd = open_or_make(root_fd, parent, prefix, component, mode);
        if (fd < 0)
            return error_sys(err, errno, "make directory \"%s\"", prefix);
        close(parent);
        parent = fd;
        *end = ended_by;
        component = end + strspn(end, "/");
    }
    *ret_fd = fd_take(&parent);
    return 0;
}

int fs_lock(int fd, enum fs_lock how, struct error *err)
{
    static const int operations[] = {
        [FS_LOCK_SHARED] = LOCK_SH,
        [FS_LOCK_EXCLUSIVE] = LOCK_EX,
        [FS_LOCK_TRY] = LOCK_EX | LOCK_NB,
    };

    if (flock(fd, operations[how]) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return 1;
    /* A caller that handles a signal wants to stop waiting. */
    if (errno == EINTR)
        return error_set(err, ERROR_CANCELLED, "wait for a lock: interrupted");
    return error_sys(err, errno, "lock");
}
