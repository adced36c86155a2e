/* libarchive's view of a tar, entry by entry into the tree. */

#include "engine/worker/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/str.h"
#include "engine/base/units.h"
#include "engine/base/vec.h"
#include "engine/worker/stream.h"

enum { ENTRIES_MAX = 20000000, XATTRS_MAX = 64, XATTR_VALUE_MAX = 65536 };

/* Sparse files may be large in name only, but not so large that no file system takes them. */
static const uint64_t file_size_max = 1ULL << 42;
/* Leave this much free on the disk. */
static const uint64_t reserve_bytes = 64ULL << 20;

struct unpack {
    const struct unpack_options *options;
    struct unpack_progress *progress;
    struct stream *stream;
    struct archive *archive;
    struct tree *tree;
    uint64_t size_bytes, n_entries, room_bytes;
    struct error error; /* of the input callback */
    struct {
        struct tree_xattr *items;
        size_t n, capacity;
    } xattrs;
};

/* ------------------------------------------------------------------ input */

static la_ssize_t give_input(struct archive *archive, void *context, const void **ret_data)
{
    struct unpack *unpack = context;
    size_t len = 0;

    if (stream_read(unpack->stream, ret_data, &len, &unpack->error) < 0) {
        archive_set_error(archive, EIO, "%s", unpack->error.text);
        return -1;
    }
    atomic_store_explicit(&unpack->progress->read_bytes, stream_position(unpack->stream),
                          memory_order_relaxed);
    return (la_ssize_t)len;
}

static int archive_failed(struct unpack *unpack, enum error_code code, const char *what,
                          struct error *err)
{
    const char *text = archive_error_string(unpack->archive);

    if (unpack->error.code != ERROR_NONE) { /* the real reason */
        if (err)
            *err = unpack->error;
        return -1;
    }
    return error_set(err, code, "%s: %s", what, text ? text : "unknown error");
}

static int open_archive(struct unpack *unpack, struct error *err)
{
    unpack->archive = archive_read_new();
    if (!unpack->archive)
        return error_set(err, ERROR_SYSTEM, "start reading an archive");
    if (archive_read_support_format_tar(unpack->archive) != ARCHIVE_OK ||
        archive_read_support_format_empty(unpack->archive) != ARCHIVE_OK)
        return archive_failed(unpack, ERROR_SYSTEM, "start reading an archive", err);
    if (archive_read_open(unpack->archive, unpack, NULL, give_input, NULL) != ARCHIVE_OK)
        return archive_failed(unpack, ERROR_UNSUPPORTED, "not a tar archive", err);
    return 0;
}

/* ------------------------------------------------------------------ one entry */

static int read_kind(struct archive_entry *from, enum tree_kind *ret, struct error *err)
{
    if (archive_entry_hardlink(from)) {
        *ret = TREE_HARD_LINK;
        return 0;
    }
    switch (archive_entry_filetype(from)) {
    case AE_IFREG:
        *ret = TREE_FILE;
        return 0;
    case AE_IFDIR:
        *ret = TREE_DIRECTORY;
        return 0;
    case AE_IFLNK:
        *ret = TREE_SYMLINK;
        return 0;
    case AE_IFCHR:
        *ret = TREE_CHARACTER;
        return 0;
    case AE_IFBLK:
        *ret = TREE_BLOCK;
        return 0;
    case AE_IFIFO:
        *ret = TREE_FIFO;
        return 0;
    }
    return error_set(err, ERROR_INVALID, "the entry \"%s\" is of an unknown type",
                     archive_entry_pathname(from));
}

static int read_owner(const struct unpack *unpack, struct archive_entry *from,
                      struct tree_entry *entry, struct error *err)
{
    int64_t uid = archive_entry_uid(from), gid = archive_entry_gid(from);

    if (unpack->options->force_owner) {
        entry->uid = unpack->options->uid;
        entry->gid = unpack->options->gid;
        return 0;
    }
    /* 2^32-1 means "leave it" to chown(2). */
    if (uid < 0 || gid < 0 || uid >= UINT32_MAX || gid >= UINT32_MAX)
        return error_set(err, ERROR_INVALID, "\"%s\": owner %lld:%lld is out of range",
                         archive_entry_pathname(from), (long long)uid, (long long)gid);
    entry->uid = (uid_t)uid;
    entry->gid = (gid_t)gid;
    return 0;
}

static int read_xattrs(struct unpack *unpack, struct archive_entry *from, struct error *err)
{
    struct tree_xattr xattr;

    unpack->xattrs.n = 0;
    archive_entry_xattr_reset(from);
    while (archive_entry_xattr_next(from, &xattr.name, &xattr.value, &xattr.size) == ARCHIVE_OK) {
        if (unpack->xattrs.n == XATTRS_MAX || xattr.size > XATTR_VALUE_MAX)
            return error_set(err, ERROR_INVALID, "\"%s\" has too many or too large attributes",
                             archive_entry_pathname(from));
        vec_push(&unpack->xattrs, xattr);
    }
    return 0;
}

static int read_entry(struct unpack *unpack, struct archive_entry *from, struct tree_entry *ret,
                      struct error *err)
{
    struct tree_entry entry = {.name = archive_entry_pathname(from)};
    int64_t size = archive_entry_size(from);

    if (!entry.name)
        return error_set(err, ERROR_INVALID, "an entry's name is not UTF-8");
    if (read_kind(from, &entry.kind, err) < 0 || read_owner(unpack, from, &entry, err) < 0 ||
        read_xattrs(unpack, from, err) < 0)
        return -1;
    if (size < 0 || (uint64_t)size > file_size_max)
        return error_set(err, ERROR_INVALID, "\"%s\" claims to have %lld bytes", entry.name,
                         (long long)size);
    entry.size = (uint64_t)size;
    entry.target =
        entry.kind == TREE_HARD_LINK ? archive_entry_hardlink(from) : archive_entry_symlink(from);
    entry.mode = archive_entry_perm(from);
    entry.mtime.tv_sec = archive_entry_mtime(from);
    entry.mtime.tv_nsec = archive_entry_mtime_nsec(from);
    if (entry.mtime.tv_nsec < 0 || entry.mtime.tv_nsec >= 1000000000)
        entry.mtime.tv_nsec = 0;
    entry.device = archive_entry_rdev(from);
    entry.xattrs = unpack->xattrs.items;
    entry.n_xattrs = unpack->xattrs.n;
    *ret = entry;
    return 0;
}

static int no_room(const struct unpack *unpack, struct error *err)
{
    return error_sys(err, ENOSPC, "unpack: after %llu MiB the disk is full but for %llu MiB",
                     (unsigned long long)(unpack->size_bytes >> 20),
                     (unsigned long long)(reserve_bytes >> 20));
}

static int write_at(int fd, const char *data, size_t len, int64_t offset, struct error *err)
{
    while (len) {
        ssize_t n = pwrite(fd, data, len, offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_sys(err, errno, "write");
        data += n;
        len -= (size_t)n;
        offset += n;
    }
    return 0;
}

/* Holes stay holes: only what the archive has is written. */
static int write_content(struct unpack *unpack, const struct tree_entry *entry, int fd,
                         struct error *err)
{
    uint64_t end = 0;

    for (;;) {
        const void *data;
        la_int64_t offset;
        size_t len;
        int result = archive_read_data_block(unpack->archive, &data, &len, &offset);

        if (result == ARCHIVE_EOF)
            break;
        if (result != ARCHIVE_OK)
            return archive_failed(unpack, ERROR_INVALID, "the archive is damaged", err);
        if (offset < 0 || (uint64_t)offset + len > file_size_max)
            return error_set(err, ERROR_INVALID, "the archive is damaged: data out of range");
        if (unpack->size_bytes + len > unpack->room_bytes)
            return no_room(unpack, err);
        if (write_at(fd, data, len, offset, err) < 0)
            return error_wrap(err, "\"%s\"", entry->name);
        if (len && (uint64_t)offset + len > end)
            end = (uint64_t)offset + len;
        unpack->size_bytes += len;
        atomic_store_explicit(&unpack->progress->written_bytes, unpack->size_bytes,
                              memory_order_relaxed);
    }
    if (end < entry->size && ftruncate(fd, (off_t)entry->size) < 0)
        return error_sys(err, errno, "\"%s\": set its size", entry->name);
    return 0;
}

static int add_entry(struct unpack *unpack, struct archive_entry *from, struct error *err)
{
    struct tree_entry entry;
    int fd = -1;

    if (++unpack->n_entries > ENTRIES_MAX)
        return error_set(err, ERROR_INVALID, "the archive has more than %d entries", ENTRIES_MAX);
    atomic_store_explicit(&unpack->progress->n_entries, unpack->n_entries, memory_order_relaxed);
    if (read_entry(unpack, from, &entry, err) < 0 || tree_add(unpack->tree, &entry, &fd, err) < 0)
        return -1;
    if (fd < 0)
        return 0;
    if (entry.size && write_content(unpack, &entry, fd, err) < 0)
        return -1;
    return tree_file_done(unpack->tree, &entry, err);
}

/* ------------------------------------------------------------------ the whole */

static int unpack_entries(struct unpack *unpack, struct error *err)
{
    for (;;) {
        struct archive_entry *entry;
        int result = archive_read_next_header(unpack->archive, &entry);

        if (result == ARCHIVE_EOF)
            return 0;
        /* A warning is about something we read otherwise (names in another character set) or check
         * ourselves. */
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
            return archive_failed(
                unpack, unpack->n_entries ? ERROR_INVALID : ERROR_UNSUPPORTED,
                unpack->n_entries ? "the archive is damaged" : "not a tar archive", err);
        if (add_entry(unpack, entry, err) < 0)
            return -1;
    }
}

static int measure_room(struct unpack *unpack, struct error *err)
{
    struct statvfs fs;
    uint64_t free_bytes;

    if (fstatvfs(unpack->options->tree_fd, &fs) < 0)
        return error_sys(err, errno, "ask for free space");
    free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    unpack->room_bytes = free_bytes > reserve_bytes ? free_bytes - reserve_bytes : 0;
    return 0;
}

static int unpack_all(struct unpack *unpack, char diff_id[static DIGEST_TEXT_SIZE],
                      struct error *err)
{
    const struct unpack_options *options = unpack->options;

    if (measure_room(unpack, err) < 0 ||
        tree_open(options->tree_fd, options->mode, &unpack->tree, err) < 0 ||
        stream_open(options->archive_fd, &unpack->stream, err) < 0 ||
        open_archive(unpack, err) < 0 || unpack_entries(unpack, err) < 0 ||
        tree_finish(unpack->tree, err) < 0)
        return -1;
    /* The digest covers the padding behind the end of the archive, too. */
    return stream_finish(unpack->stream, diff_id, err);
}

int unpack_run(const struct unpack_options *options, struct unpack_progress *progress,
               struct unpack_result *ret, struct error *err)
{
    struct unpack unpack = {.options = options, .progress = progress};
    struct unpack_result result_values = {0};
    int result = unpack_all(&unpack, result_values.diff_id, err);

    if (unpack.archive)
        archive_read_free(unpack.archive);
    stream_close(unpack.stream);
    vec_release(&unpack.xattrs);
    if (result < 0) {
        tree_close(unpack.tree);
        return -1;
    }
    result_values.tree = unpack.tree;
    result_values.size_bytes = unpack.size_bytes;
    result_values.n_entries = unpack.n_entries;
    *ret = result_values;
    return 0;
}
