/* Which files a COPY takes. */

#include "engine/build/selection.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/xattr.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/path.h"
#include "engine/base/vec.h"
#include "engine/build/ignore.h"
#include "engine/build/stats.h"

enum { READ_BYTES = 128 * 1024, WILDCARD_MATCHES_MAX = 100 * 1000, CHANGES_MAX = 5 };

struct walker {
    struct arena *arena;
    const struct source_tree *tree;
    const char *root_path; /* what the kernel calls the tree */
    size_t source_len;     /* of the path of the source itself, with its slash */
    VEC(struct selected_file) files;
    size_t n_files_before; /* of earlier sources, for the limit */
    struct error *err;
};

/* ------------------------------------------------------------------ digests */

bool xattr_is_copied(const char *name)
{
    return text_equal(name, "security.capability") || text_starts_with(name, "user.");
}

/* Sorted by the kernel's order, which is that of creation on some file systems: sort ourselves. */
static void hash_xattrs(int fd, struct sha256 *hash)
{
    cleanup_free char *list = NULL;
    ssize_t len = flistxattr(fd, NULL, 0);

    if (len <= 0)
        return; /* none, or a file system without them */
    list = x_alloc(XATTR_LIST_BYTES);
    len = flistxattr(fd, list, XATTR_LIST_BYTES);
    VEC(const char *) names = VEC_INIT;
    for (ssize_t at = 0; at < len; at += (ssize_t)strlen(list + at) + 1)
        if (xattr_is_copied(list + at))
            vec_push(&names, list + at);
    struct strings sorted = {names.items, names.n};
    strings_sort(&sorted);
    for (size_t i = 0; i < sorted.n; i++) {
        cleanup_free char *value = x_alloc(XATTR_VALUE_BYTES);
        ssize_t value_len = fgetxattr(fd, sorted.items[i], value, XATTR_VALUE_BYTES);
        sha256_add_text(hash, sorted.items[i]);
        sha256_add(hash, &value_len, sizeof(value_len));
        sha256_add(hash, value, value_len > 0 ? (size_t)value_len : 0);
    }
    vec_release(&names);
}

static void hex_to_bytes(const char *hex, uint8_t ret[static SHA256_BYTES])
{
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        uint8_t byte = 0;
        for (size_t k = 0; k < 2; k++) {
            char c = hex[2 * i + k];
            byte = (uint8_t)(byte << 4 | (c <= '9' ? c - '0' : c - 'a' + 10));
        }
        ret[i] = byte;
    }
}

static int hash_data(struct walker *walker, int fd, const char *path,
                     uint8_t ret[static SHA256_BYTES])
{
    cleanup_sha256 struct sha256 hash = SHA256_INIT;
    cleanup_free char *block = x_alloc(READ_BYTES);
    char hex[SHA256_HEX_SIZE];
    ssize_t n;

    sha256_init(&hash);
    hash_xattrs(fd, &hash);
    sha256_add(&hash, "", 1); /* ends the attributes */
    while ((n = fs_read(fd, block, READ_BYTES)) > 0)
        sha256_add(&hash, block, (size_t)n);
    if (n < 0)
        return error_sys(walker->err, errno, "read \"%s\"", path);
    sha256_end_hex(&hash, hex);
    hex_to_bytes(hex, ret);
    return 0;
}

static bool stat_is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           timespec_ns(a->st_mtim) == timespec_ns(b->st_mtim) &&
           timespec_ns(a->st_ctim) == timespec_ns(b->st_ctim);
}

/* Read until nobody writes while we read. */
static int hash_file(struct walker *walker, int dir_fd, const char *name,
                     struct selected_file *file, struct stat *stat)
{
    for (int i = 0; i < CHANGES_MAX; i++) {
        cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        int64_t now_ns = clock_realtime_ns();
        struct stat after;
        if (fd < 0 || fstat(fd, stat) < 0)
            return error_sys(walker->err, errno, "open \"%s\"", file->path);
        if (!S_ISREG(stat->st_mode))
            break;
        if (hash_data(walker, fd, file->path, file->digest) < 0)
            return -1;
        if (fstat(fd, &after) < 0)
            return error_sys(walker->err, errno, "stat \"%s\"", file->path);
        if (!stat_is_same(stat, &after))
            continue;
        if (walker->tree->stats != NULL)
            file_stats_add(walker->tree->stats, file->path, stat, now_ns, file->digest);
        file->size = (uint64_t)stat->st_size;
        file->mode = stat->st_mode;
        file->mtime = stat->st_mtim;
        return 0;
    }
    return error_set(walker->err, ERROR_CONFLICT, "\"%s\" changes while it is read", file->path);
}

/* ------------------------------------------------------------------ walking */

static int read_link(struct walker *walker, int dir_fd, const char *name,
                     struct selected_file *file)
{
    char target[4096]; /* PATH_MAX: symlink(2) takes no longer one */
    ssize_t len = readlinkat(dir_fd, name, target, sizeof(target));

    if (len < 0)
        return error_sys(walker->err, errno, "read the symlink \"%s\"", file->path);
    file->link_target = arena_strndup(walker->arena, target, (size_t)len);
    return 0;
}

/* 1: not copied (a socket). */
static int add_file(struct walker *walker, int dir_fd, const char *name, const char *path,
                    struct stat *stat)
{
    bool is_context = walker->tree->is_context;
    struct selected_file file = {.path = path,
                                 .name = path + (walker->files.n > 0 ? walker->source_len : 0),
                                 .mode = stat->st_mode,
                                 .uid = is_context ? 0 : stat->st_uid,
                                 .gid = is_context ? 0 : stat->st_gid,
                                 .rdev = stat->st_rdev,
                                 .size = (uint64_t)stat->st_size,
                                 .mtime = stat->st_mtim,
                                 .dev = stat->st_dev,
                                 .ino = stat->st_ino,
                                 .has_links = stat->st_nlink > 1 && !S_ISDIR(stat->st_mode)};

    if (walker->files.n == 0)
        file.name = "";
    if (walker->n_files_before + walker->files.n >= SELECTION_FILES_MAX)
        return error_set(walker->err, ERROR_INVALID, "more than %d files to copy",
                         SELECTION_FILES_MAX);
    if (S_ISSOCK(stat->st_mode))
        return 1;
    if (S_ISCHR(stat->st_mode) && stat->st_rdev == 0)
        return error_set(walker->err, ERROR_UNSUPPORTED,
                         "\"%s\" is a whiteout device and can't be copied", path);
    if (S_ISLNK(stat->st_mode) && read_link(walker, dir_fd, name, &file) < 0)
        return -1;
    if (S_ISREG(stat->st_mode)) {
        bool is_known = walker->tree->stats != NULL &&
                        file_stats_find(walker->tree->stats, path, stat, file.digest);
        if (!is_known && hash_file(walker, dir_fd, name, &file, stat) < 0)
            return -1;
    }
    vec_push(&walker->files, file);
    return 0;
}

static int walk(struct walker *walker, int dir_fd, const char *dir_path, const uint8_t *marks,
                unsigned depth);

static int walk_entry(struct walker *walker, int dir_fd, const char *name, const char *path,
                      const uint8_t *marks, unsigned depth)
{
    const struct ignore *ignore = walker->tree->ignore;
    uint8_t *own_marks = NULL;
    bool excluded = false;
    struct stat stat;

    if (fstatat(dir_fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_sys(walker->err, errno, "stat \"%s\"", path);
    if (ignore != NULL && ignore->n > 0) {
        own_marks = S_ISDIR(stat.st_mode) ? arena_alloc(walker->arena, ignore->n) : NULL;
        excluded = ignore_excludes(ignore, path, marks, own_marks);
    }
    if (!S_ISDIR(stat.st_mode))
        return excluded ? 0 : add_file(walker, dir_fd, name, path, &stat) < 0 ? -1 : 0;
    if (excluded && !ignore_may_have_exceptions_below(ignore, path))
        return 0;

    size_t own_index = walker->files.n;
    cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_sys(walker->err, errno, "open \"%s\"", path);
    if (add_file(walker, dir_fd, name, path, &stat) < 0 ||
        walk(walker, fd, path, own_marks, depth + 1) < 0)
        return -1;
    if (excluded && walker->files.n == own_index + 1)
        walker->files.n = own_index; /* nothing in it came back */
    return 0;
}

/* Depth is bounded: SELECTION_DEPTH_MAX. */
static int walk(struct walker *walker, int dir_fd, const char *dir_path, const uint8_t *marks,
                unsigned depth)
{
    struct strings names = {0};

    if (depth > SELECTION_DEPTH_MAX)
        return error_set(walker->err, ERROR_INVALID, "\"%s\" is nested too deep", dir_path);
    if (fs_list(dir_fd, ".", walker->arena, &names, walker->err) < 0)
        return error_wrap(walker->err, "list \"%s\"", dir_path);
    for (size_t i = 0; i < names.n; i++) {
        const char *path = text_equal(dir_path, ".")
                               ? names.items[i]
                               : arena_printf(walker->arena, "%s/%s", dir_path, names.items[i]);
        if (walk_entry(walker, dir_fd, names.items[i], path, marks, depth) < 0)
            return -1;
    }
    return 0;
}

/* ------------------------------------------------------------------ sources */

/* The path of an open file below the tree, free of symlinks; "." for the tree itself. */
static int real_path(struct walker *walker, int fd, const char **ret)
{
    char link[64], target[4096]; /* PATH_MAX: the kernel prints no longer one */

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd); /* fits */
    ssize_t len = readlink(link, target, sizeof(target) - 1);
    if (len < 0)
        return error_sys(walker->err, errno, "read \"%s\"", link);
    target[len] = '\0';

    size_t root_len = strlen(walker->root_path);
    if (root_len == 1) /* "/": a mount of its own */
        root_len = 0;
    if (strncmp(target, walker->root_path, root_len) != 0 ||
        (target[root_len] != '/' && target[root_len] != '\0'))
        return error_set(walker->err, ERROR_CONFLICT, "\"%s\" was moved out of the context",
                         target);
    const char *below = target + root_len;
    while (*below == '/')
        below++;
    *ret = *below != '\0' ? arena_strdup(walker->arena, below) : ".";
    return 0;
}

static int find_root_path(struct walker *walker)
{
    char link[64], target[4096];

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", walker->tree->root_fd); /* fits */
    ssize_t len = readlink(link, target, sizeof(target) - 1);
    if (len < 0)
        return error_sys(walker->err, errno, "read \"%s\"", link);
    walker->root_path = arena_strndup(walker->arena, target, (size_t)len);
    return 0;
}

/* Open the directory that holds a real path. */
static int open_parent(struct walker *walker, const char *path, int *ret_fd, const char **ret_name)
{
    const char *dir = text_equal(path, ".") ? "." : path_dir(walker->arena, path);

    *ret_name = text_equal(path, ".") ? "." : path_base(path);
    return fs_open_in_root(walker->tree->root_fd, dir, O_PATH | O_DIRECTORY, 0, ret_fd,
                           walker->err);
}

static int not_found(struct walker *walker, const char *source, bool is_ignored)
{
    if (is_ignored)
        return error_set(walker->err, ERROR_NOT_FOUND, "\"%s\" is left out by .dockerignore",
                         source);
    return error_set(walker->err, ERROR_NOT_FOUND, "\"%s\" not found%s", source,
                     walker->tree->is_context ? " in the build context" : "");
}

/* Take one source whose name has no wildcards. */
static int take_source(struct walker *walker, const char *source, struct selected_source *ret)
{
    const struct ignore *ignore = walker->tree->ignore;
    cleanup_fd int fd = -1;
    cleanup_fd int parent_fd = -1;
    const char *path, *name;
    uint8_t *marks = NULL;
    bool excluded = false;
    struct stat stat;

    if (fs_open_in_root(walker->tree->root_fd, source[0] != '\0' ? source : ".", O_PATH, 0, &fd,
                        walker->err) < 0)
        return walker->err == NULL || walker->err->code == ERROR_NOT_FOUND
                   ? not_found(walker, source, false)
                   : -1;
    if (real_path(walker, fd, &path) < 0 || open_parent(walker, path, &parent_fd, &name) < 0)
        return -1;
    if (fstatat(parent_fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(walker->err, errno, "stat \"%s\"", path);
    if (ignore != NULL && ignore->n > 0 && !text_equal(path, ".")) {
        marks = arena_alloc(walker->arena, ignore->n);
        excluded = ignore_excludes_path(walker->arena, ignore, path, marks);
    }
    bool is_dir = S_ISDIR(stat.st_mode);
    if (excluded && (!is_dir || !ignore_may_have_exceptions_below(ignore, path)))
        return not_found(walker, source, true);

    walker->source_len = text_equal(path, ".") ? 0 : strlen(path) + 1;
    vec_clear(&walker->files);
    int r = add_file(walker, parent_fd, name, path, &stat);
    if (r == 1)
        return error_set(walker->err, ERROR_UNSUPPORTED, "\"%s\" is a socket", source);
    if (r == 0 && is_dir) {
        cleanup_fd int dir_fd =
            openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir_fd < 0)
            return error_sys(walker->err, errno, "open \"%s\"", source);
        r = walk(walker, dir_fd, path, marks, 0);
    }
    if (r == 0 && excluded && walker->files.n == 1)
        return not_found(walker, source, true);
    *ret = (struct selected_source){.base_name = path_base(source),
                                    .files = vec_to_arena(&walker->files, walker->arena),
                                    .n_files = walker->files.n,
                                    .is_dir = is_dir};
    walker->n_files_before += walker->files.n;
    return r;
}

/* ------------------------------------------------------------------ wildcards */

struct matches {
    VEC(const char *) paths;
};

static char *unescape(struct arena *arena, const char *text)
{
    char *result = arena_strdup(arena, text), *to = result;

    for (const char *from = text; *from != '\0'; from++) {
        if (*from == '\\' && from[1] != '\0')
            from++;
        *to++ = *from;
    }
    *to = '\0';
    return result;
}

/* Names in `dir` that fit one component. A directory that isn't there has none. */
static int match_names(struct walker *walker, const char *dir, const struct path_pattern *pattern,
                       struct matches *ret)
{
    cleanup_fd int fd = -1;
    struct strings names = {0};

    if (fs_open_in_root(walker->tree->root_fd, dir[0] != '\0' ? dir : ".", O_RDONLY | O_DIRECTORY,
                        0, &fd, walker->err) < 0) {
        bool is_absent = walker->err == NULL || walker->err->code == ERROR_NOT_FOUND ||
                         walker->err->errnum == ENOTDIR;
        return is_absent ? 0 : -1;
    }
    if (fs_list(fd, ".", walker->arena, &names, walker->err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        if (!path_pattern_matches(pattern, names.items[i]))
            continue;
        if (ret->paths.n >= WILDCARD_MATCHES_MAX)
            return error_set(walker->err, ERROR_INVALID, "the wildcard matches more than %d files",
                             WILDCARD_MATCHES_MAX);
        vec_push(&ret->paths, dir[0] == '\0'
                                  ? names.items[i]
                                  : arena_printf(walker->arena, "%s/%s", dir, names.items[i]));
    }
    return 0;
}

static int match_component(struct walker *walker, const char *component, struct matches *matches)
{
    struct matches next = {VEC_INIT};
    struct path_pattern pattern;
    int r = 0;

    if (path_has_wildcard(component)) {
        r = path_pattern_parse(walker->arena, component, PATTERN_GLOB, &pattern, walker->err);
        for (size_t i = 0; r == 0 && i < matches->paths.n; i++)
            r = match_names(walker, matches->paths.items[i], &pattern, &next);
    } else {
        const char *name = unescape(walker->arena, component);
        for (size_t i = 0; i < matches->paths.n; i++)
            vec_push(&next.paths,
                     matches->paths.items[i][0] == '\0'
                         ? name
                         : arena_printf(walker->arena, "%s/%s", matches->paths.items[i], name));
    }
    vec_release(&matches->paths);
    *matches = next;
    return r;
}

static int match_source(struct walker *walker, const char *source, struct matches *matches)
{
    struct str rest = str_from(source), component, tail;
    int r = 0;

    vec_push(&matches->paths, "");
    while (r == 0 && rest.len > 0) {
        component = rest;
        tail = (struct str){NULL, 0};
        (void)str_cut(rest, '/', &component, &tail); /* the last one has no slash */
        r = match_component(walker, arena_strndup(walker->arena, component.data, component.len),
                            matches);
        rest = tail;
    }
    return r;
}

struct source_list {
    VEC(struct selected_source) items;
};

/* What a wildcard matches and can't be taken (ignored, a socket, a dangling symlink) is left out.
 */
static int take_matches(struct walker *walker, const char *source, struct source_list *list)
{
    struct matches matches = {VEC_INIT};
    int r = match_source(walker, source, &matches);

    for (size_t i = 0; r == 0 && i < matches.paths.n; i++) {
        struct selected_source taken = {0};
        struct error why = ERROR_INIT;
        struct error *outer = walker->err;
        walker->err = &why;
        r = take_source(walker, matches.paths.items[i], &taken);
        walker->err = outer;
        if (r == 0) {
            vec_push(&list->items, taken);
        } else if (why.code == ERROR_NOT_FOUND || why.code == ERROR_UNSUPPORTED) {
            r = 0;
        } else {
            *outer = why;
        }
    }
    vec_release(&matches.paths);
    return r;
}

int selection_make(struct arena *arena, const struct source_tree *tree,
                   const struct strings *sources, struct selection *ret, struct error *err)
{
    struct walker walker = {.arena = arena, .tree = tree, .err = err};
    struct source_list list = {VEC_INIT};
    struct error own = ERROR_INIT;
    int r;

    if (err == NULL)
        walker.err = &own;
    if (tree->stats != NULL)
        file_stats_settle(tree->stats);
    r = find_root_path(&walker);
    for (size_t i = 0; r == 0 && i < sources->n; i++) {
        struct selected_source taken = {0};
        const char *source = path_clean(arena, arena_printf(arena, "/%s", sources->items[i])) + 1;
        if (path_has_wildcard(source)) {
            r = take_matches(&walker, source, &list);
            continue;
        }
        r = take_source(&walker, source, &taken);
        if (r == 0)
            vec_push(&list.items, taken);
    }
    ret->sources = vec_to_arena(&list.items, arena);
    ret->n_sources = list.items.n;
    vec_release(&list.items);
    vec_release(&walker.files);
    return r;
}

/* ------------------------------------------------------------------ the digest of all */

struct digest_fields { /* of one file, without padding */
    uint64_t mode, uid, gid, rdev;
};

static void add_file_digest(struct sha256 *hash, const struct selected_file *file, unsigned flags)
{
    bool is_link = S_ISLNK(file->mode);
    struct digest_fields fields = {.mode = is_link ? S_IFLNK | 0777 : file->mode,
                                   .uid = file->uid,
                                   .gid = file->gid,
                                   .rdev =
                                       S_ISCHR(file->mode) || S_ISBLK(file->mode) ? file->rdev : 0};

    if (flags & DIGEST_WITHOUT_OWNER)
        fields.uid = fields.gid = 0;
    if (flags & DIGEST_WITHOUT_MODE)
        fields.mode &= S_IFMT;
    sha256_add_text(hash, file->name);
    sha256_add(hash, &fields, sizeof(fields));
    if (is_link)
        sha256_add_text(hash, file->link_target);
    if (S_ISREG(file->mode))
        sha256_add(hash, file->digest, SHA256_BYTES);
}

void selection_digest(const struct selection *selection, unsigned flags,
                      char ret_hex[static SHA256_HEX_SIZE])
{
    cleanup_sha256 struct sha256 hash = SHA256_INIT;

    sha256_init(&hash);
    for (size_t i = 0; i < selection->n_sources; i++) {
        const struct selected_source *source = &selection->sources[i];
        uint64_t n = source->n_files;
        /* The name of a directory plays no part: its contents are copied. */
        sha256_add_text(&hash, source->is_dir ? "" : source->base_name);
        sha256_add(&hash, &n, sizeof(n));
        for (size_t k = 0; k < source->n_files; k++)
            add_file_digest(&hash, &source->files[k], flags);
    }
    sha256_end_hex(&hash, ret_hex);
}
