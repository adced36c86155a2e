/* Entries into a tree. reference/images-build.md 2.3 has the rules and where they come from. */

#include "engine/worker/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/path.h"
#include "engine/base/str.h"
#include "engine/base/sys.h"
#include "engine/base/vec.h"

enum {
    PATH_MAX_BYTES = 4095,
    PERMISSIONS = 07777,
    CREATE_PERMISSIONS = 0777,
    IMPLICIT_MODE = 0755,
    IMPLICIT_MAX = 100000,    /* recorded, not a limit on what is made */
    KEPT_MAX_BYTES = 1 << 29, /* what directories and whiteouts may cost us in memory */
};

static const char whiteout_prefix[] = ".wh.";
static const char opaque_name[] = ".wh..wh..opq";
static const char aufs_prefix[] = ".wh..wh.";

/* A directory's attributes, for the end: writing into it would change its time. */
struct directory {
    const char *path;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    struct timespec mtime;
};

struct tree {
    int root_fd; /* borrowed */
    enum tree_mode mode;
    struct arena arena; /* directories, whiteouts, opaque, implicit */
    VEC(struct directory) directories;
    struct tree_paths whiteouts, opaque, implicit;

    /* The parent of the last entry: neighbours in an archive share it. */
    char *parent_path;
    int parent_fd;

    int file_fd; /* the file being written */
    struct arena scratch;
};

int tree_open(int root_fd, enum tree_mode mode, struct tree **ret, struct error *err)
{
    struct tree *tree = x_alloc(sizeof(*tree));

    (void)err;
    tree->root_fd = root_fd;
    tree->mode = mode;
    tree->parent_fd = -1;
    tree->file_fd = -1;
    *ret = tree;
    return 0;
}

void tree_close(struct tree *tree)
{
    if (!tree)
        return;
    if (tree->parent_fd >= 0)
        close(tree->parent_fd);
    if (tree->file_fd >= 0)
        close(tree->file_fd);
    free(tree->parent_path);
    vec_release(&tree->directories);
    vec_release(&tree->whiteouts);
    vec_release(&tree->opaque);
    vec_release(&tree->implicit);
    arena_release(&tree->arena);
    arena_release(&tree->scratch);
    free(tree);
}

const struct tree_paths *tree_opaque(const struct tree *tree)
{
    return &tree->opaque;
}

const struct tree_paths *tree_implicit(const struct tree *tree)
{
    return &tree->implicit;
}

/* ------------------------------------------------------------------ devices */

const struct tree_device tree_devices[] = {
    {1, 3, "null"},    {1, 5, "zero"}, {1, 7, "full"},    {1, 8, "random"},
    {1, 9, "urandom"}, {5, 0, "tty"},  {5, 1, "console"}, {5, 2, "ptmx"},
};
const size_t tree_n_devices = sizeof(tree_devices) / sizeof(*tree_devices);

static bool tree_device_is_allowed(dev_t device)
{
    for (size_t i = 0; i < tree_n_devices; i++)
        if (device == makedev(tree_devices[i].major, tree_devices[i].minor))
            return true;
    return false;
}

/* ------------------------------------------------------------------ names */

/* "./a//b/../c/" → "a/c"; the root itself is ".". */
static int clean_name(struct tree *tree, const char *name, const char **ret, struct error *err)
{
    const char *clean;

    if (!name || !name[0])
        return error_set(err, ERROR_INVALID, "an entry has no name, or one that is not UTF-8");
    if (strlen(name) > PATH_MAX_BYTES)
        return error_set(err, ERROR_INVALID, "the name of an entry is longer than %d bytes",
                         PATH_MAX_BYTES);
    while (*name == '/')
        name++;
    clean = path_clean(&tree->scratch, *name ? name : ".");
    if (text_equal(clean, "..") || text_starts_with(clean, "../"))
        return error_set(err, ERROR_INVALID, "the entry \"%s\" leads out of the archive", name);
    *ret = clean;
    return 0;
}

static void note_path(struct tree *tree, struct tree_paths *paths, const char *path)
{
    vec_push(paths, arena_strdup(&tree->arena, path));
}

/* ------------------------------------------------------------------ parents */

static int open_directory(struct tree *tree, const char *path)
{
    const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                                 .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};

    return sys_openat2(tree->root_fd, path, &how);
}

/* Directories on the way that no entry made: usual permissions, root's, and recorded. */
static int make_implicit(struct tree *tree, const char *path, int *ret_fd, struct error *err)
{
    const char *at = path;

    for (;;) {
        size_t len = (size_t)(strchrnul(at, '/') - path);
        const char *prefix = arena_strndup(&tree->scratch, path, len);
        int fd = open_directory(tree, prefix);

        if (fd < 0 && errno == ENOENT) {
            if (fs_make_dirs_in_root(tree->root_fd, prefix, IMPLICIT_MODE, &fd, err) < 0)
                return -1;
            if (tree->implicit.n < IMPLICIT_MAX)
                note_path(tree, &tree->implicit, prefix);
        } else if (fd < 0) {
            return error_sys(err, errno, "open directory \"%s\"", prefix);
        }
        if (!path[len]) {
            *ret_fd = fd;
            return 0;
        }
        close(fd);
        at = path + len + 1;
    }
}

/* *ret_fd is borrowed from the tree until the next call. */
static int open_parent(struct tree *tree, const char *path, int *ret_fd, struct error *err)
{
    const char *parent = path_dir(&tree->scratch, path);
    int fd;

    if (tree->parent_fd < 0 || !text_equal(tree->parent_path, parent)) {
        fd = open_directory(tree, parent);
        if (fd < 0 && errno == ENOENT) {
            if (make_implicit(tree, parent, &fd, err) < 0)
                return -1;
        } else if (fd < 0) {
            return error_sys(err, errno, "open directory \"%s\"", parent);
        }
        if (tree->parent_fd >= 0)
            close(tree->parent_fd);
        free(tree->parent_path);
        tree->parent_fd = fd;
        tree->parent_path = x_strdup(parent);
    }
    *ret_fd = tree->parent_fd;
    return 0;
}

/* Something was replaced: the name of the cached parent may mean another directory now. The fd
 * stays open until the next open_parent. */
static void forget_parent(struct tree *tree)
{
    free(ptr_take(&tree->parent_path));
}

/* ------------------------------------------------------------------ attributes */

static bool is_kept_xattr(const char *name)
{
    /* Overlay's own would forge redirects and whiteouts; labels of a security module that is not
     * the image's are the host's to give. Capabilities and user attributes are the file's. */
    return text_equal(name, "security.capability") ||
           (text_starts_with(name, "user.") && !text_starts_with(name, "user.overlay.")) ||
           text_equal(name, "system.posix_acl_access") ||
           text_equal(name, "system.posix_acl_default");
}

/* What a file system or a kind of file cannot hold is left out, as Docker does. */
static bool is_survivable(int errnum, const char *name)
{
    return errnum == ENOTSUP || (errnum == EPERM && text_starts_with(name, "user."));
}

/* fd >= 0: through it; else the last component below parent_fd, without following it. */
static int set_xattrs(const struct tree_entry *entry, int fd, int parent_fd, const char *base,
                      struct error *err)
{
    bool is_there = false;

    for (size_t i = 0; i < entry->n_xattrs; i++) {
        const struct tree_xattr *xattr = &entry->xattrs[i];
        int result;

        if (!is_kept_xattr(xattr->name))
            continue;
        /* There is no lsetxattrat: go there. The current directory is nobody else's business. */
        if (fd < 0 && !is_there && fchdir(parent_fd) < 0)
            return error_sys(err, errno, "change directory");
        is_there = true;
        result = fd >= 0 ? fsetxattr(fd, xattr->name, xattr->value, xattr->size, 0)
                         : lsetxattr(base, xattr->name, xattr->value, xattr->size, 0);
        if (result < 0 && !is_survivable(errno, xattr->name))
            return error_sys(err, errno, "set attribute \"%s\" of \"%s\"", xattr->name,
                             entry->name);
    }
    return 0;
}

/* Everything but files and directories: through the parent. */
static int set_attributes(const struct tree_entry *entry, int parent_fd, const char *base,
                          struct error *err)
{
    const struct timespec times[2] = {entry->mtime, entry->mtime};

    if (fchownat(parent_fd, base, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(err, errno, "set the owner of \"%s\"", entry->name);
    if (set_xattrs(entry, -1, parent_fd, base, err) < 0)
        return -1;
    /* Not a symlink, and made by us a moment ago: nothing to follow. */
    if (entry->kind != TREE_SYMLINK && fchmodat(parent_fd, base, entry->mode & PERMISSIONS, 0) < 0)
        return error_sys(err, errno, "set the mode of \"%s\"", entry->name);
    if (utimensat(parent_fd, base, times, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(err, errno, "set the time of \"%s\"", entry->name);
    return 0;
}

int tree_file_done(struct tree *tree, const struct tree_entry *entry, struct error *err)
{
    const struct timespec times[2] = {entry->mtime, entry->mtime};
    cleanup_fd int fd = fd_take(&tree->file_fd);

    /* A file of ours in a tree of ours is root's already, and has its mode (umask is 0) but for
     * what chown and access lists change. */
    if ((entry->uid || entry->gid || tree->mode == TREE_MERGE) &&
        fchown(fd, entry->uid, entry->gid) < 0)
        return error_sys(err, errno, "set the owner of \"%s\"", entry->name);
    if (set_xattrs(entry, fd, -1, NULL, err) < 0)
        return -1;
    if ((entry->mode & ~(mode_t)CREATE_PERMISSIONS || entry->n_xattrs ||
         tree->mode == TREE_MERGE) &&
        fchmod(fd, entry->mode & PERMISSIONS) < 0)
        return error_sys(err, errno, "set the mode of \"%s\"", entry->name);
    if (futimens(fd, times) < 0)
        return error_sys(err, errno, "set the time of \"%s\"", entry->name);
    return 0;
}

/* ------------------------------------------------------------------ entries */

/* Something has the name already: the last entry wins. */
static int clear_way(struct tree *tree, int parent_fd, const char *base, struct error *err)
{
    forget_parent(tree);
    if (unlinkat(parent_fd, base, 0) == 0)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return error_sys(err, errno, "replace \"%s\"", base);
    return fs_remove_tree(parent_fd, base, err);
}

static int make_directory(struct tree *tree, const struct tree_entry *entry, const char *path,
                          struct error *err)
{
    const char *base = path_base(path);
    int parent_fd;
    struct stat st;

    if (!text_equal(path, ".")) {
        if (open_parent(tree, path, &parent_fd, err) < 0)
            return -1;
        if (mkdirat(parent_fd, base, 0700) < 0) {
            if (errno != EEXIST)
                return error_sys(err, errno, "make directory \"%s\"", path);
            if (fstatat(parent_fd, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return error_sys(err, errno, "look at \"%s\"", path);
            if (!S_ISDIR(st.st_mode))
                forget_parent(tree);
            if (!S_ISDIR(st.st_mode) &&
                (unlinkat(parent_fd, base, 0) < 0 || mkdirat(parent_fd, base, 0700) < 0))
                return error_sys(err, errno, "replace \"%s\" by a directory", path);
        }
        if (set_xattrs(entry, -1, parent_fd, base, err) < 0)
            return -1;
    }
    if (tree->arena.used_bytes > KEPT_MAX_BYTES)
        return error_set(err, ERROR_INVALID, "the archive has too many directories");
    vec_push(&tree->directories, (struct directory){arena_strdup(&tree->arena, path), entry->mode,
                                                    entry->uid, entry->gid, entry->mtime});
    return 0;
}

static int try_file(int parent_fd, const char *base, mode_t mode)
{
    return openat(parent_fd, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                  mode & CREATE_PERMISSIONS);
}

static int make_file(struct tree *tree, const struct tree_entry *entry, const char *path,
                     int parent_fd, int *ret_fd, struct error *err)
{
    const char *base = path_base(path);
    int fd = try_file(parent_fd, base, entry->mode);

    if (fd < 0 && errno == EEXIST) {
        if (clear_way(tree, parent_fd, base, err) < 0)
            return -1;
        fd = try_file(parent_fd, base, entry->mode);
    }
    if (fd < 0)
        return error_sys(err, errno, "create \"%s\"", path);
    tree->file_fd = fd;
    *ret_fd = fd;
    return 0;
}

static int make_hard_link(struct tree *tree, const struct tree_entry *entry, int parent_fd,
                          const char *base, struct error *err)
{
    cleanup_fd int target_parent = -1;
    const char *target;
    struct stat st;

    if (clean_name(tree, entry->target, &target, err) < 0)
        return error_wrap(err, "hard link \"%s\"", entry->name);
    target_parent = open_directory(tree, path_dir(&tree->scratch, target));
    if (target_parent < 0 ||
        fstatat(target_parent, path_base(target), &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_set(err, ERROR_INVALID, "hard link \"%s\": \"%s\" is not in the archive",
                         entry->name, target);
    if (S_ISDIR(st.st_mode))
        return error_set(err, ERROR_INVALID, "hard link \"%s\": \"%s\" is a directory", entry->name,
                         target);
    return linkat(target_parent, path_base(target), parent_fd, base, 0);
}

/* One attempt; -1 with errno, or with *err set where errno says nothing (code is then set). */
static int try_special(struct tree *tree, const struct tree_entry *entry, int parent_fd,
                       const char *base, struct error *err)
{
    switch (entry->kind) {
    case TREE_SYMLINK:
        return symlinkat(entry->target, parent_fd, base);
    case TREE_HARD_LINK:
        return make_hard_link(tree, entry, parent_fd, base, err);
    case TREE_FIFO:
        return mknodat(parent_fd, base, S_IFIFO | 0600, 0);
    case TREE_CHARACTER:
        return mknodat(parent_fd, base, S_IFCHR | 0600, entry->device);
    case TREE_BLOCK:
        return mknodat(parent_fd, base, S_IFBLK | 0600, entry->device);
    case TREE_FILE:
    case TREE_DIRECTORY:
        break;
    }
    BUG();
}

/* An existing target of a link by the same name must not be removed first. */
static bool links_to_itself(struct tree *tree, const struct tree_entry *entry, const char *path)
{
    const char *target;

    return entry->kind == TREE_HARD_LINK && clean_name(tree, entry->target, &target, NULL) == 0 &&
           text_equal(target, path);
}

static int make_special(struct tree *tree, const struct tree_entry *entry, const char *path,
                        int parent_fd, struct error *err)
{
    const char *base = path_base(path);
    struct error local = ERROR_INIT;
    int result;

    if (entry->kind == TREE_SYMLINK && (!entry->target || !entry->target[0]))
        return error_set(err, ERROR_INVALID, "the symlink \"%s\" has no target", entry->name);
    if (entry->kind == TREE_BLOCK ||
        (entry->kind == TREE_CHARACTER && !tree_device_is_allowed(entry->device)))
        return 1;
    if (links_to_itself(tree, entry, path))
        return 0;
    result = try_special(tree, entry, parent_fd, base, &local);
    if (result < 0 && local.code == ERROR_NONE && errno == EEXIST) {
        if (clear_way(tree, parent_fd, base, err) < 0)
            return -1;
        result = try_special(tree, entry, parent_fd, base, &local);
    }
    if (result < 0 && local.code == ERROR_NONE)
        return error_sys(err, errno, "create \"%s\"", path);
    if (result < 0) {
        if (err)
            *err = local;
        return -1;
    }
    /* A hard link has its target's attributes. */
    return entry->kind == TREE_HARD_LINK ? 0 : set_attributes(entry, parent_fd, base, err);
}

/* ------------------------------------------------------------------ whiteouts */

/* 1 = it was one (or a relic of AUFS, which means nothing); 0 = an ordinary name. */
static int note_whiteout(struct tree *tree, const char *path, struct error *err)
{
    const char *base = path_base(path);
    const char *parent = path_dir(&tree->scratch, path);
    const char *hidden;

    if (!text_starts_with(base, whiteout_prefix))
        return 0;
    if (tree->arena.used_bytes > KEPT_MAX_BYTES)
        return error_set(err, ERROR_INVALID, "the archive has too many whiteouts");
    if (text_equal(base, opaque_name)) {
        note_path(tree, &tree->opaque, parent);
        return 1;
    }
    if (text_starts_with(base, aufs_prefix))
        return 1;
    hidden = base + sizeof(whiteout_prefix) - 1;
    if (!hidden[0] || text_equal(hidden, ".") || text_equal(hidden, ".."))
        return error_set(err, ERROR_INVALID, "\"%s\" is no valid whiteout", path);
    note_path(tree, &tree->whiteouts, path_join(&tree->scratch, parent, hidden));
    return 1;
}

/* A whiteout hides what lower layers have; what this layer has by the same name stays visible. */
static int make_whiteout(struct tree *tree, const char *path, struct error *err)
{
    const char *base = path_base(path);
    struct stat st;
    int parent_fd;

    if (open_parent(tree, path, &parent_fd, err) < 0)
        return -1;
    if (fstatat(parent_fd, base, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(st.st_mode))
            note_path(tree, &tree->opaque, path);
        return 0;
    }
    if (mknodat(parent_fd, base, S_IFCHR, makedev(0, 0)) < 0)
        return error_sys(err, errno, "make a whiteout for \"%s\"", path);
    return 0;
}

/* ------------------------------------------------------------------ all of it */

int tree_add(struct tree *tree, const struct tree_entry *entry, int *ret_fd, struct error *err)
{
    const char *path;
    int parent_fd;

    *ret_fd = -1;
    arena_release(&tree->scratch);
    if (clean_name(tree, entry->name, &path, err) < 0)
        return -1;
    if (tree->mode == TREE_LAYER) {
        int result = note_whiteout(tree, path, err);

        if (result != 0)
            return result;
    }
    if (entry->kind == TREE_DIRECTORY)
        return make_directory(tree, entry, path, err);
    if (text_equal(path, "."))
        return error_set(err, ERROR_INVALID, "the root of the archive is not a directory");
    if (open_parent(tree, path, &parent_fd, err) < 0)
        return error_wrap(err, "\"%s\"", path);
    if (entry->kind == TREE_FILE)
        return make_file(tree, entry, path, parent_fd, ret_fd, err);
    return make_special(tree, entry, path, parent_fd, err);
}

/* Gone, or replaced by something else later in the archive: nothing to do. */
static int finish_directory(struct tree *tree, const struct directory *directory, struct error *err)
{
    const struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                                 .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    const struct timespec times[2] = {directory->mtime, directory->mtime};
    cleanup_fd int fd = sys_openat2(tree->root_fd, directory->path, &how);

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return 0;
    if (fd < 0)
        return error_sys(err, errno, "open directory \"%s\"", directory->path);
    if (fchown(fd, directory->uid, directory->gid) < 0 ||
        fchmod(fd, directory->mode & PERMISSIONS) < 0 || futimens(fd, times) < 0)
        return error_sys(err, errno, "set the attributes of directory \"%s\"", directory->path);
    return 0;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A directory may have got its entry after it was needed. */
static void forget_explicit(struct tree *tree)
{
    size_t n_explicit = tree->directories.n, n_left = 0;
    cleanup_free const char **paths = x_alloc_array(n_explicit, sizeof(*paths));

    if (!n_explicit)
        return;
    for (size_t i = 0; i < n_explicit; i++)
        paths[i] = tree->directories.items[i].path;
    qsort(paths, n_explicit, sizeof(*paths), compare_paths);
    for (size_t i = 0; i < tree->implicit.n; i++)
        if (!bsearch(&tree->implicit.items[i], paths, n_explicit, sizeof(*paths), compare_paths))
            tree->implicit.items[n_left++] = tree->implicit.items[i];
    tree->implicit.n = n_left;
}

int tree_finish(struct tree *tree, struct error *err)
{
    arena_release(&tree->scratch);
    for (size_t i = 0; i < tree->whiteouts.n; i++)
        if (make_whiteout(tree, tree->whiteouts.items[i], err) < 0)
            return -1;
    /* A directory that must be opaque may have no entry of its own. */
    for (size_t i = 0; i < tree->opaque.n; i++) {
        const char *path = tree->opaque.items[i];
        int parent_fd;

        if (open_parent(tree, text_equal(path, ".") ? "x" : path_join(&tree->scratch, path, "x"),
                        &parent_fd, err) < 0)
            return -1;
    }
    forget_explicit(tree);
    for (size_t i = 0; i < tree->directories.n; i++)
        if (finish_directory(tree, &tree->directories.items[i], err) < 0)
            return -1;
    return 0;
}
