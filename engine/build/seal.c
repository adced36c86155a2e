/* Layers as tar archives: POSIX ustar, with pax headers for what ustar can't say. */

#include "engine/build/seal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/vec.h"
#include "engine/build/link_map.h"
#include "engine/build/selection.h"

enum {
    TAR_BLOCK = 512,
    TAR_NAME_MAX = 100,
    TAR_READ_BYTES = 256 * 1024,
    TAR_PAX_MAX = 1 << 20,
    TAR_ID_MAX = 07777777,
};

#define TAR_SIZE_MAX UINT64_C(077777777777)

struct tar_header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
    char magic[8], uname[32], gname[32], major[8], minor[8], prefix[155], padding[12];
};
static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a tar header is one block");

struct tar_writer {
    struct arena arena;
    struct link_map links;
    char *block; /* TAR_READ_BYTES */
    tar_sink_fn *sink;
    void *context;
    uint64_t n_bytes, n_entries;
    struct error *err;
};

/* What one entry says. */
struct tar_entry {
    const char *path; /* without a slash at the end */
    char type;        /* '0' file, '1' hard link, '2' symlink, '3' '4' devices, '5' dir, '6' fifo */
    const char *link;
    struct stat stat;
    uint64_t size;
    struct pairs xattrs; /* values in xattr_lens */
    const size_t *xattr_lens;
};

static int put(struct tar_writer *writer, const void *data, size_t len)
{
    return writer->sink(data, len, writer->context, writer->err);
}

static int put_padding(struct tar_writer *writer, uint64_t size)
{
    static const char zeros[TAR_BLOCK];
    size_t rest = (size_t)(size % TAR_BLOCK);

    return rest > 0 ? put(writer, zeros, TAR_BLOCK - rest) : 0;
}

/* ------------------------------------------------------------------ headers */

/* NUL-terminated octal that fills the field; what does not fit is 0 here and exact in the pax
 * header. */
static void octal(char *field, size_t size, uint64_t value)
{
    field[size - 1] = '\0';
    for (size_t i = size - 1; i-- > 0;) {
        field[i] = (char)('0' + (value & 7));
        value >>= 3;
    }
}

static void put_name(char *field, size_t size, const char *text)
{
    size_t len = strlen(text);
    memcpy(field, text, len < size ? len : size);
}

static int put_header(struct tar_writer *writer, const struct tar_entry *entry)
{
    struct tar_header header;
    bool is_dir = entry->type == '5';
    int64_t mtime = entry->stat.st_mtim.tv_sec;
    unsigned sum = 0;

    memset(&header, 0, sizeof(header));
    put_name(header.name, sizeof(header.name), entry->path);
    if (is_dir && strlen(entry->path) < sizeof(header.name))
        header.name[strlen(entry->path)] = '/';
    octal(header.mode, sizeof(header.mode), entry->stat.st_mode & 07777);
    octal(header.uid, sizeof(header.uid),
          entry->stat.st_uid <= TAR_ID_MAX ? entry->stat.st_uid : 0);
    octal(header.gid, sizeof(header.gid),
          entry->stat.st_gid <= TAR_ID_MAX ? entry->stat.st_gid : 0);
    octal(header.size, sizeof(header.size), entry->size <= TAR_SIZE_MAX ? entry->size : 0);
    octal(header.mtime, sizeof(header.mtime),
          mtime >= 0 && (uint64_t)mtime <= TAR_SIZE_MAX ? (uint64_t)mtime : 0);
    header.type = entry->type;
    if (entry->link != NULL)
        put_name(header.link, sizeof(header.link), entry->link);
    memcpy(header.magic, "ustar\00000", 8);
    if (entry->type == '3' || entry->type == '4') {
        octal(header.major, sizeof(header.major), major(entry->stat.st_rdev));
        octal(header.minor, sizeof(header.minor), minor(entry->stat.st_rdev));
    }
    memset(header.checksum, ' ', sizeof(header.checksum));
    for (size_t i = 0; i < sizeof(header); i++)
        sum += ((const unsigned char *)&header)[i];
    octal(header.checksum, 7, sum);
    writer->n_entries++;
    return put(writer, &header, sizeof(header));
}

/* "LEN key=value\n", where LEN counts itself. */
static void pax_record(struct buf *out, const char *key, const char *value, size_t value_len)
{
    size_t rest = 1 + strlen(key) + 1 + value_len + 1, len = rest + 1;
    char digits[24];

    for (;;) {
        int n = snprintf(digits, sizeof(digits), "%zu", len);
        if (len == rest + (size_t)n)
            break;
        len = rest + (size_t)n;
    }
    buf_printf(out, "%s %s=", digits, key);
    buf_add(out, value, value_len);
    buf_add_char(out, '\n');
}

static void pax_text(struct buf *out, const char *key, const char *value)
{
    pax_record(out, key, value, strlen(value));
}

static void pax_number(struct buf *out, const char *key, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value); /* fits */
    pax_text(out, key, text);
}

static void pax_mtime(struct buf *out, struct timespec time)
{
    char text[48];
    bool is_negative = time.tv_sec < 0;
    long long seconds = time.tv_sec;
    long nanos = time.tv_nsec;

    if (nanos == 0 && !is_negative && (uint64_t)seconds <= TAR_SIZE_MAX)
        return;
    if (is_negative && nanos > 0) { /* -1.5 s is kept as -2 s and 500 ms */
        seconds++;
        nanos = 1000000000 - nanos;
    }
    (void)snprintf(text, sizeof(text), "%s%lld.%09ld", is_negative && seconds == 0 ? "-" : "",
                   seconds, nanos); /* fits */
    size_t len = strlen(text);
    while (text[len - 1] == '0')
        len--;
    if (text[len - 1] == '.')
        len--;
    pax_record(out, "mtime", text, len);
}

/* Records in the order of their keys. */
static void pax_records(struct buf *out, const struct tar_entry *entry)
{
    const char *path = entry->path;
    bool is_dir = entry->type == '5';

    for (size_t i = 0; i < entry->xattrs.n; i++) {
        cleanup_buf struct buf key = BUF_INIT;
        buf_printf(&key, "SCHILY.xattr.%s", entry->xattrs.items[i].name);
        pax_record(out, buf_text(&key), entry->xattrs.items[i].value, entry->xattr_lens[i]);
    }
    if (entry->stat.st_gid > TAR_ID_MAX)
        pax_number(out, "gid", entry->stat.st_gid);
    if (entry->link != NULL && strlen(entry->link) > TAR_NAME_MAX)
        pax_text(out, "linkpath", entry->link);
    pax_mtime(out, entry->stat.st_mtim);
    if (strlen(path) + (is_dir ? 1 : 0) > TAR_NAME_MAX) {
        cleanup_buf struct buf name = BUF_INIT;
        buf_printf(&name, "%s%s", path, is_dir ? "/" : "");
        pax_text(out, "path", buf_text(&name));
    }
    if (entry->size > TAR_SIZE_MAX)
        pax_number(out, "size", entry->size);
    if (entry->stat.st_uid > TAR_ID_MAX)
        pax_number(out, "uid", entry->stat.st_uid);
}

static int put_entry(struct tar_writer *writer, const struct tar_entry *entry)
{
    cleanup_buf struct buf records = BUF_INIT;

    buf_init(&records, TAR_PAX_MAX);
    pax_records(&records, entry);
    if (records.truncated)
        return error_set(writer->err, ERROR_INVALID, "the attributes of \"%s\" are too large",
                         entry->path);
    if (records.len > 0) {
        struct tar_entry pax = {.path = "PaxHeaders/entry", .type = 'x', .size = records.len};
        pax.stat.st_mode = 0644;
        if (put_header(writer, &pax) < 0 || put(writer, records.data, records.len) < 0 ||
            put_padding(writer, records.len) < 0)
            return -1;
        writer->n_entries--; /* counts as one with what follows */
    }
    return put_header(writer, entry);
}

/* ------------------------------------------------------------------ content */

static int put_data(struct tar_writer *writer, int dir_fd, const char *name,
                    const struct tar_entry *entry)
{
    cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    uint64_t left = entry->size;

    if (fd < 0)
        return error_sys(writer->err, errno, "open \"%s\"", entry->path);
    while (left > 0) {
        size_t want = left < TAR_READ_BYTES ? (size_t)left : TAR_READ_BYTES;
        ssize_t n = fs_read(fd, writer->block, want);
        if (n < 0)
            return error_sys(writer->err, errno, "read \"%s\"", entry->path);
        if (n == 0)
            return error_set(writer->err, ERROR_CONFLICT, "\"%s\" shrinks while it is read",
                             entry->path);
        if (put(writer, writer->block, (size_t)n) < 0)
            return -1;
        left -= (uint64_t)n;
    }
    writer->n_bytes += entry->size;
    return put_padding(writer, entry->size);
}

/* Everything but what the overlay keeps for itself. Symlinks and devices can only have trusted and
 * security attributes: l*xattr on the path of the directory's descriptor. */
static int read_xattrs(struct tar_writer *writer, const char *proc_path, struct tar_entry *entry,
                       bool *ret_opaque)
{
    ssize_t len = llistxattr(proc_path, NULL, 0);

    if (len <= 0)
        return 0;
    cleanup_free char *list = x_alloc(XATTR_LIST_BYTES);
    len = llistxattr(proc_path, list, XATTR_LIST_BYTES);

    VEC(const char *) names = VEC_INIT;
    for (ssize_t at = 0; at < len; at += (ssize_t)strlen(list + at) + 1)
        vec_push(&names, list + at);
    struct strings sorted = {names.items, names.n};
    strings_sort(&sorted);
    struct pair *pairs = arena_new_array(&writer->arena, struct pair, sorted.n);
    size_t *lens = arena_new_array(&writer->arena, size_t, sorted.n), n = 0;
    cleanup_free char *value = x_alloc(XATTR_VALUE_BYTES);
    for (size_t i = 0; i < sorted.n; i++) {
        ssize_t value_len = lgetxattr(proc_path, sorted.items[i], value, XATTR_VALUE_BYTES);
        if (value_len < 0)
            continue;
        if (text_equal(sorted.items[i], "trusted.overlay.opaque"))
            *ret_opaque = value_len == 1 && value[0] == 'y';
        if (!xattr_is_copied(sorted.items[i]))
            continue;
        pairs[n].name = arena_strdup(&writer->arena, sorted.items[i]);
        pairs[n].value = arena_memdup(&writer->arena, value, (size_t)value_len);
        lens[n++] = (size_t)value_len;
    }
    vec_release(&names);
    entry->xattrs = (struct pairs){pairs, n};
    entry->xattr_lens = lens;
    return 0;
}

static int put_marker(struct tar_writer *writer, const char *dir, const char *name)
{
    struct tar_entry marker = {.type = '0'};

    marker.path = dir[0] == '\0' ? name : arena_printf(&writer->arena, "%s/%s", dir, name);
    return put_entry(writer, &marker);
}

static int write_dir(struct tar_writer *writer, int dir_fd, const char *dir_path, unsigned depth);

static int write_subdir(struct tar_writer *writer, int dir_fd, const char *name,
                        const struct tar_entry *entry, bool is_opaque, unsigned depth)
{
    cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return error_sys(writer->err, errno, "open \"%s\"", entry->path);
    if (put_entry(writer, entry) < 0)
        return -1;
    if (is_opaque && put_marker(writer, entry->path, ".wh..wh..opq") < 0)
        return -1;
    return write_dir(writer, fd, entry->path, depth + 1);
}

static int read_link(struct tar_writer *writer, int dir_fd, const char *name,
                     struct tar_entry *entry)
{
    char target[4096]; /* PATH_MAX */
    ssize_t len = readlinkat(dir_fd, name, target, sizeof(target));

    if (len < 0)
        return error_sys(writer->err, errno, "read the symlink \"%s\"", entry->path);
    entry->link = arena_strndup(&writer->arena, target, (size_t)len);
    return 0;
}

/* The tar type for a mode; 0 = tar has none. */
static char type_of(mode_t mode)
{
    static const struct {
        mode_t mode;
        char type;
    } types[] = {{S_IFREG, '0'}, {S_IFLNK, '2'}, {S_IFCHR, '3'},
                 {S_IFBLK, '4'}, {S_IFDIR, '5'}, {S_IFIFO, '6'}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if ((mode & S_IFMT) == types[i].mode)
            return types[i].type;
    return 0;
}

static int write_entry(struct tar_writer *writer, int dir_fd, const char *dir_path,
                       const char *name, unsigned depth)
{
    struct tar_entry entry = {0};
    char proc_path[64 + NAME_MAX];
    bool is_opaque = false;

    if (fstatat(dir_fd, name, &entry.stat, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(writer->err, errno, "stat \"%s/%s\"", dir_path, name);
    if (S_ISCHR(entry.stat.st_mode) && entry.stat.st_rdev == 0)
        return put_marker(writer, dir_path, arena_printf(&writer->arena, ".wh.%s", name));
    entry.type = type_of(entry.stat.st_mode);
    if (entry.type == 0)
        return 0;
    entry.path = dir_path[0] == '\0' ? arena_strdup(&writer->arena, name)
                                     : arena_printf(&writer->arena, "%s/%s", dir_path, name);
    (void)snprintf(proc_path, sizeof(proc_path), "/proc/self/fd/%d/%s", dir_fd, name); /* fits */
    if (read_xattrs(writer, proc_path, &entry, &is_opaque) < 0)
        return -1;
    if (entry.type == '5')
        return write_subdir(writer, dir_fd, name, &entry, is_opaque, depth);

    const char *first = entry.stat.st_nlink > 1 ? link_map_add(&writer->links, entry.stat.st_dev,
                                                               entry.stat.st_ino, entry.path)
                                                : NULL;
    if (first != NULL) {
        entry.type = '1';
        entry.link = first;
        entry.xattrs.n = 0;
        return put_entry(writer, &entry);
    }
    if (entry.type == '2' && read_link(writer, dir_fd, name, &entry) < 0)
        return -1;
    if (entry.type == '0')
        entry.size = (uint64_t)entry.stat.st_size;
    if (put_entry(writer, &entry) < 0)
        return -1;
    return entry.type == '0' ? put_data(writer, dir_fd, name, &entry) : 0;
}

/* Depth is bounded: LAYER_DEPTH_MAX. */
static int write_dir(struct tar_writer *writer, int dir_fd, const char *dir_path, unsigned depth)
{
    struct strings names = {0};

    if (depth > LAYER_DEPTH_MAX)
        return error_set(writer->err, ERROR_INVALID, "\"%.200s…\" is nested too deep", dir_path);
    if (fs_list(dir_fd, ".", &writer->arena, &names, writer->err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (write_entry(writer, dir_fd, dir_path, names.items[i], depth) < 0)
            return -1;
    return 0;
}

int layer_write_tar(int tree_fd, tar_sink_fn *sink, void *context, uint64_t *ret_bytes,
                    uint64_t *ret_entries, struct error *err)
{
    static const char zeros[2 * TAR_BLOCK];
    struct tar_writer writer = {.sink = sink, .context = context, .err = err};

    writer.block = x_alloc(TAR_READ_BYTES);
    int r = write_dir(&writer, tree_fd, "", 0);
    if (r == 0)
        r = put(&writer, zeros, sizeof(zeros));
    if (ret_bytes != NULL)
        *ret_bytes = writer.n_bytes;
    if (ret_entries != NULL)
        *ret_entries = writer.n_entries;
    free(writer.block);
    link_map_release(&writer.links);
    arena_release(&writer.arena);
    return r;
}

/* ------------------------------------------------------------------ sealing */

static const char *const overlay_leftovers[] = {
    "trusted.overlay.origin", "trusted.overlay.impure", "trusted.overlay.nlink",
    "trusted.overlay.upper",  "trusted.overlay.uuid",   "trusted.overlay.protattr",
};

static void strip_overlay_xattrs(const char *proc_path)
{
    if (llistxattr(proc_path, NULL, 0) <= 0)
        return;
    for (size_t i = 0; i < sizeof(overlay_leftovers) / sizeof(overlay_leftovers[0]); i++)
        (void)lremovexattr(proc_path, overlay_leftovers[i]); /* most have none of them */
}

/* Depth is bounded: LAYER_DEPTH_MAX. */
static int strip_dir(struct arena *arena, int dir_fd, unsigned depth, struct error *err)
{
    struct strings names = {0};

    if (depth > LAYER_DEPTH_MAX)
        return error_set(err, ERROR_INVALID, "a directory of the layer is nested too deep");
    if (fs_list(dir_fd, ".", arena, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        char proc_path[64 + NAME_MAX];
        struct stat stat;
        if (fstatat(dir_fd, names.items[i], &stat, AT_SYMLINK_NOFOLLOW) < 0)
            return error_sys(err, errno, "stat \"%s\"", names.items[i]);
        if (S_ISSOCK(stat.st_mode)) {
            if (unlinkat(dir_fd, names.items[i], 0) < 0)
                return error_sys(err, errno, "remove the socket \"%s\"", names.items[i]);
            continue;
        }
        (void)snprintf(proc_path, sizeof(proc_path), "/proc/self/fd/%d/%s", dir_fd,
                       names.items[i]); /* fits */
        strip_overlay_xattrs(proc_path);
        if (!S_ISDIR(stat.st_mode))
            continue;
        cleanup_fd int fd =
            openat(dir_fd, names.items[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return error_sys(err, errno, "open \"%s\"", names.items[i]);
        if (strip_dir(arena, fd, depth + 1, err) < 0)
            return -1;
    }
    return 0;
}

static int add_to_hash(const void *data, size_t len, void *context, struct error *err)
{
    (void)err; /* can't fail */
    sha256_add(context, data, len);
    return 0;
}

int layer_seal(int tree_fd, struct layer_sum *ret, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_sha256 struct sha256 hash = SHA256_INIT;
    char hex[SHA256_HEX_SIZE], root[64];

    (void)snprintf(root, sizeof(root), "/proc/self/fd/%d/.", tree_fd); /* fits */
    strip_overlay_xattrs(root);
    if (strip_dir(&arena, tree_fd, 0, err) < 0)
        return -1;
    sha256_init(&hash);
    if (layer_write_tar(tree_fd, add_to_hash, &hash, &ret->size_bytes, &ret->n_entries, err) < 0)
        return -1;
    sha256_end_hex(&hash, hex);
    (void)snprintf(ret->diff_id, sizeof(ret->diff_id), "sha256:%s", hex); /* fits */
    return 0;
}
