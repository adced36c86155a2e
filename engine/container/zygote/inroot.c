/* Theory. The fast way is one openat2. When something is missing, the path is walked component by
 * component with an explicit text of what is resolved so far, which never contains a symlink; every
 * look at it goes through openat2(RESOLVE_IN_ROOT) from the root again, so a symlink swapped in
 * meanwhile (another container on a shared volume) can only lead elsewhere inside the root. */

#include "engine/container/zygote/inroot.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "engine/container/zygote/call.h"

enum {
    PATH_SIZE = 4096,
    NAME_SIZE = 260 /* more than NAME_MAX */,
    LINKS_MAX = 40,
    RETRIES_MAX = 128
};

struct walk {
    int root_fd;
    char resolved[PATH_SIZE]; /* relative to the root, no symlinks; "" = the root */
    char pending[PATH_SIZE];
    int links;
};

int inroot_open(int root_fd, const char *path, int flags, uint64_t resolve)
{
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve};
    long fd = -EAGAIN;

    if (flags & O_CREAT)
        how.mode = 0644;
    /* EAGAIN: something was renamed while the kernel walked; fail closed in the end */
    for (int i = 0; i < RETRIES_MAX && (fd == -EAGAIN || fd == -EINTR); i++)
        fd = call(SYS_openat2, root_fd, *path == '\0' ? "." : path, &how, sizeof(how));
    return (int)fd;
}

/* The type bits, or -errno. */
static int type_of(int fd)
{
    struct stat status;
    long ret = call(SYS_fstat, fd, &status);

    return ret < 0 ? (int)ret : (int)(status.st_mode & S_IFMT);
}

static int walk_append(struct walk *walk, const char *name)
{
    size_t used = text_size(walk->resolved);

    if (used + 1 + text_size(name) >= PATH_SIZE)
        return -ENAMETOOLONG;
    if (used > 0)
        used = text_append(walk->resolved, PATH_SIZE, used, "/");
    (void)text_append(walk->resolved, PATH_SIZE, used, name);
    return 0;
}

static void walk_up(struct walk *walk)
{
    size_t used = text_size(walk->resolved);

    while (used > 0 && walk->resolved[used - 1] != '/')
        used--;
    walk->resolved[used > 0 ? used - 1 : 0] = '\0';
}

/* Take the next component off `pending`: false at the end. */
static bool walk_next(struct walk *walk, char name[static NAME_SIZE], bool *ret_is_last)
{
    size_t at = 0, n = 0;

    while (walk->pending[at] == '/')
        at++;
    for (; walk->pending[at] != '\0' && walk->pending[at] != '/'; at++) {
        if (n + 1 < NAME_SIZE) /* a name that is cut is one the kernel refuses: ENAMETOOLONG */
            name[n++] = walk->pending[at];
    }
    name[n] = '\0';
    while (walk->pending[at] == '/')
        at++;
    *ret_is_last = walk->pending[at] == '\0';
    for (size_t i = 0;; i++) {
        walk->pending[i] = walk->pending[at + i];
        if (walk->pending[i] == '\0')
            break;
    }
    return n > 0;
}

/* Put a symlink's target before what is pending. */
static int walk_link(struct walk *walk, int link_fd)
{
    char target[PATH_SIZE];
    size_t rest = text_size(walk->pending);
    long n = call(SYS_readlinkat, link_fd, "", target, sizeof(target) - 1);

    if (n < 0)
        return (int)n;
    if (++walk->links > LINKS_MAX)
        return -ELOOP;
    target[n] = '\0';
    if ((size_t)n + 1 + rest >= PATH_SIZE)
        return -ENAMETOOLONG;
    if (target[0] == '/')
        walk->resolved[0] = '\0';
    for (size_t i = rest + 1; i > 0; i--)
        walk->pending[(size_t)n + i] = walk->pending[i - 1];
    for (long i = 0; i < n; i++)
        walk->pending[i] = target[i];
    walk->pending[n] = '/';
    return 0;
}

static int make_missing(struct walk *walk, const char *name, bool is_file, uint32_t mode)
{
    int parent = inroot_open(walk->root_fd, walk->resolved, O_PATH | O_DIRECTORY, 0);
    long ret;

    if (parent < 0)
        return parent;
    if (is_file)
        ret = call(SYS_openat, parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                   mode & 0666);
    else
        ret = call(SYS_mkdirat, parent, name, mode);
    close_fd(parent);
    if (ret >= 0 && is_file)
        close_fd((int)ret);
    return ret == -EEXIST ? 0 : ret < 0 ? (int)ret : 0;
}

static int walk_component(struct walk *walk, const char *name, bool is_last, enum inroot_kind kind,
                          uint32_t mode)
{
    size_t before = text_size(walk->resolved);
    int fd, type, ret = 0;

    if (walk_append(walk, name) < 0)
        return -ENAMETOOLONG;
    fd = inroot_open(walk->root_fd, walk->resolved, O_PATH | O_NOFOLLOW, 0);
    if (fd == -ENOENT) {
        walk->resolved[before] = '\0';
        ret = make_missing(walk, name, is_last && kind == INROOT_FILE, mode);
        return ret < 0 ? ret : walk_append(walk, name);
    }
    if (fd < 0)
        return fd;
    type = type_of(fd);
    if (type == S_IFLNK) {
        walk->resolved[before] = '\0';
        ret = walk_link(walk, fd);
    } else if (type != S_IFDIR && !is_last) {
        ret = -ENOTDIR;
    }
    close_fd(fd);
    return ret;
}

/* Make what is missing, leave the symlink-free path in walk->resolved. */
static int walk_make(struct walk *walk, enum inroot_kind kind, uint32_t mode)
{
    char name[NAME_SIZE];
    bool is_last;

    while (walk_next(walk, name, &is_last)) {
        int ret;

        if (text_is_same(name, "."))
            continue;
        if (text_is_same(name, "..")) {
            walk_up(walk);
            continue;
        }
        ret = walk_component(walk, name, is_last, kind, mode);
        if (ret < 0)
            return ret;
    }
    return 0;
}

int inroot_target(int root_fd, const char *path, enum inroot_kind kind, uint32_t mode,
                  uint64_t resolve)
{
    struct walk walk = {.root_fd = root_fd};
    int fd = inroot_open(root_fd, path, O_PATH, resolve), ret, type;

    if (fd == -ENOENT) {
        if (text_size(path) >= PATH_SIZE)
            return -ENAMETOOLONG;
        (void)text_append(walk.pending, PATH_SIZE, 0, path);
        ret = walk_make(&walk, kind, mode);
        if (ret < 0)
            return ret;
        fd = inroot_open(root_fd, walk.resolved, O_PATH | O_NOFOLLOW, resolve);
    }
    if (fd < 0)
        return fd;
    type = type_of(fd);
    if (kind == INROOT_DIRECTORY && type != S_IFDIR)
        ret = -ENOTDIR;
    else if (kind == INROOT_FILE && type == S_IFDIR)
        ret = -EISDIR;
    else
        return fd;
    close_fd(fd);
    return ret;
}

int inroot_parent(int root_fd, const char *path, const char **ret_name)
{
    char parent[PATH_SIZE];
    size_t n = text_size(path), last = 0;

    if (n >= PATH_SIZE)
        return -ENAMETOOLONG;
    for (size_t i = 0; i < n; i++) {
        if (path[i] == '/')
            last = i;
        parent[i] = path[i];
    }
    parent[last] = '\0';
    *ret_name = path + (path[last] == '/' ? last + 1 : last);
    return inroot_target(root_fd, parent, INROOT_DIRECTORY, 0755, 0);
}
