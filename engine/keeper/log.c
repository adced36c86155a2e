/* Format and writing of container logs; see log.h. */

#include "engine/keeper/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"

/* No record is larger, so a torn one begins at most this far from the end. */
enum { TAIL_BYTES = LOG_CHUNK_MAX + LOG_OVERHEAD };

const char *const log_file_names[LOG_FILES] = {"log", "log.1", "log.2"};

void log_frame(struct buf *batch, unsigned flags, int64_t time_ns, const void *data, size_t len)
{
    struct log_header header = {
        .magic = LOG_MAGIC, .flags = (uint8_t)flags, .len = (uint32_t)len, .time_ns = time_ns};
    uint32_t trailer = (uint32_t)len;

    assert(len <= LOG_CHUNK_MAX);
    buf_add(batch, &header, sizeof(header));
    buf_add(batch, data, len);
    buf_add(batch, &trailer, sizeof(trailer));
}

size_t log_record_size(const void *data, size_t len)
{
    struct log_header header;
    uint32_t trailer;

    if (len < LOG_OVERHEAD)
        return 0;
    memcpy(&header, data, sizeof(header));
    if (header.magic != LOG_MAGIC || header.zero != 0 || header.len > LOG_CHUNK_MAX ||
        (header.flags & ~(unsigned)(LOG_STDERR | LOG_PARTIAL)) != 0 ||
        header.len + LOG_OVERHEAD > len)
        return 0;
    memcpy(&trailer, (const char *)data + sizeof(header) + header.len, sizeof(trailer));
    return trailer == header.len ? header.len + LOG_OVERHEAD : 0;
}

size_t log_resync(const void *data, size_t len, size_t from)
{
    const char *bytes = data;

    for (size_t at = from; at + LOG_OVERHEAD <= len; at++) {
        if (log_record_size(bytes + at, len - at) > 0)
            return at;
    }
    return len;
}

size_t log_frame_lines(struct buf *batch, unsigned flags, int64_t time_ns, const char *data,
                       size_t len, bool is_last)
{
    size_t used = 0;

    while (used < len) {
        size_t left = len - used;
        size_t most = left < LOG_CHUNK_MAX ? left : (size_t)LOG_CHUNK_MAX;
        const char *newline = memchr(data + used, '\n', most);
        size_t line = newline ? (size_t)(newline - (data + used)) : most;

        if (!newline && most < LOG_CHUNK_MAX && !is_last)
            break;
        if (batch->max && batch->len + line + LOG_OVERHEAD > batch->max)
            break;
        log_frame(batch, flags | (newline || (is_last && most == left) ? 0U : LOG_PARTIAL), time_ns,
                  data + used, line);
        used += line + (newline ? 1 : 0);
    }
    return used;
}

/* ------------------------------------------------------------------ writing */

static bool ends_with_record(const char *data, size_t len)
{
    uint32_t trailer;
    size_t record;

    if (len < LOG_OVERHEAD)
        return false;
    memcpy(&trailer, data + len - sizeof(trailer), sizeof(trailer));
    record = (size_t)trailer + LOG_OVERHEAD;
    return trailer <= LOG_CHUNK_MAX && record <= len &&
           log_record_size(data + len - record, record) == record;
}

/* Length of the file up to the end of its last whole record. */
static int whole_length(int fd, int64_t size, int64_t *ret, struct error *err)
{
    cleanup_free char *tail = NULL;
    int64_t from = size > 2 * TAIL_BYTES ? size - 2 * TAIL_BYTES : 0;
    size_t len = (size_t)(size - from), at, record;
    ssize_t n;

    tail = malloc(len ? len : 1);
    if (!tail)
        return error_sys(err, ENOMEM, "read the end of a log");
    n = pread(fd, tail, len, from);
    if (n < 0 || (size_t)n != len)
        return error_sys(err, n < 0 ? errno : EIO, "read the end of a log");
    if (ends_with_record(tail, len)) {
        *ret = size;
        return 0;
    }
    at = log_resync(tail, len, 0);
    if (at == len) {
        *ret = from;
        return 0;
    }
    while ((record = log_record_size(tail + at, len - at)) > 0)
        at += record;
    *ret = from + (int64_t)at;
    return 0;
}

int log_open(int dir_fd, struct log_file *ret, struct error *err)
{
    cleanup_fd int fd = openat(dir_fd, log_file_names[0],
                               O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct stat status;
    int64_t whole;

    if (fd < 0 || fstat(fd, &status) < 0)
        return error_sys(err, errno, "open the log");
    whole = status.st_size;
    if (whole > 0 && whole_length(fd, status.st_size, &whole, err) < 0)
        return -1;
    if (whole < status.st_size && ftruncate(fd, whole) < 0)
        return error_sys(err, errno, "cut off the torn end of the log");
    *ret = (struct log_file){.fd = fd_take(&fd), .size = whole};
    return 0;
}

void log_close(struct log_file *log)
{
    if (log->fd >= 0)
        close(log->fd);
    *log = (struct log_file)LOG_FILE_INIT;
}

int log_make_room(int dir_fd, struct log_file *log, size_t len, struct error *err)
{
    if (log->size == 0 || log->size + (int64_t)len <= LOG_FILE_MAX_BYTES)
        return 0;
    for (int i = LOG_FILES - 1; i > 0; i--) {
        if (renameat(dir_fd, log_file_names[i - 1], dir_fd, log_file_names[i]) < 0 &&
            errno != ENOENT)
            return error_sys(err, errno, "rotate the log");
    }
    log_close(log);
    return log_open(dir_fd, log, err);
}

int log_append(struct log_file *log, const void *data, size_t len, struct error *err)
{
    if (fs_write_all(log->fd, data, len, err) < 0) {
        log->dropped += len;
        /* A half-written batch would be written again. */
        if (ftruncate(log->fd, log->size) < 0)
            return error_wrap(err, "append to the log, and cannot undo it");
        return error_wrap(err, "append to the log");
    }
    log->size += (int64_t)len;
    return 0;
}
