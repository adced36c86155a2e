/* Reading the logs of containers: engine_log_* of engine.h. Needs no other process.
 *
 * A reader opens all files there are at once, so rotation doesn't move anything under it. One that
 * doesn't follow ends where the newest of them ended at that moment: a container that floods its
 * log must not be all that anybody ever reads. One that follows goes on, at the end of a file that
 * is not the newest any more, with the next younger one, which it finds by looking where its own
 * file is among log, log.1, log.2. */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/container/record.h"
#include "engine/engine_internal.h"
#include "engine/keeper/log.h"

enum { READ_BYTES = 64 << 10 };
static_assert(READ_BYTES >= LOG_CHUNK_MAX + LOG_OVERHEAD, "a record fits into the buffer");

struct engine_log {
    struct log_options options;
    int dir_fd;          /* -1 unless following */
    int inotify_fd;      /* likewise */
    int held[LOG_FILES]; /* opened at the start and not read yet, the newest first */
    size_t n_held;
    int64_t end;    /* of the newest file, unless following */
    int fd;         /* the file being read; -1 = none yet */
    int64_t offset; /* of `data` in the file */
    size_t len, at; /* of `data` */
    bool is_over;
    char data[READ_BYTES];
};

static int file_open(const struct engine_log *log, int index)
{
    return openat(log->dir_fd, log_file_names[index], O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

static void file_set(struct engine_log *log, int fd, int64_t offset)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = fd;
    log->offset = offset;
    log->len = log->at = 0;
}

/* The newest comes first: what a rotation moves meanwhile is met again, and nothing is missed. */
static void files_hold(struct engine_log *log)
{
    struct stat last = {0}, status;

    for (int i = 0; i < LOG_FILES; i++) {
        int fd = file_open(log, i);

        if (fd < 0)
            continue;
        if (fstat(fd, &status) < 0 || (log->n_held > 0 && status.st_ino == last.st_ino)) {
            close(fd);
            continue;
        }
        if (log->n_held == 0)
            log->end = status.st_size;
        last = status;
        log->held[log->n_held++] = fd;
    }
}

static bool file_set_held(struct engine_log *log)
{
    if (log->n_held == 0)
        return false;
    file_set(log, log->held[--log->n_held], 0);
    return true;
}

/* The oldest file there is. */
static int file_oldest(const struct engine_log *log)
{
    for (int i = LOG_FILES - 1; i >= 0; i--) {
        int fd = file_open(log, i);

        if (fd >= 0)
            return fd;
    }
    return -1;
}

/* The next younger one than the open file; -1 when it is the newest. */
static int file_younger(const struct engine_log *log)
{
    struct stat own, other;

    if (fstat(log->fd, &own) < 0)
        return -1;
    for (int i = 0; i < LOG_FILES; i++) {
        if (fstatat(log->dir_fd, log_file_names[i], &other, AT_SYMLINK_NOFOLLOW) == 0 &&
            other.st_ino == own.st_ino)
            return i == 0 ? -1 : file_open(log, i - 1);
    }
    /* Rotated out of existence while we read: what remains is younger. */
    return file_oldest(log);
}

/* ------------------------------------------------------------------ forwards */

/* How many bytes, of `room`, may be read from `offset` on. */
static size_t allowed(const struct engine_log *log, int64_t offset, size_t room)
{
    if (log->options.follow || log->n_held > 0 || offset + (int64_t)room <= log->end)
        return room;
    return offset < log->end ? (size_t)(log->end - offset) : 0;
}

/* More bytes behind what is left in the buffer: false at the end of the file. */
static bool fill(struct engine_log *log)
{
    int64_t offset;
    ssize_t n;

    memmove(log->data, log->data + log->at, log->len - log->at);
    log->offset += (int64_t)log->at;
    log->len -= log->at;
    log->at = 0;
    if (log->len == sizeof(log->data))
        return false;
    offset = log->offset + (int64_t)log->len;
    n = pread(log->fd, log->data + log->len, allowed(log, offset, sizeof(log->data) - log->len),
              offset);
    if (n <= 0)
        return false;
    log->len += (size_t)n;
    return true;
}

/* Bytes that are no record: a torn one. Go to the next whole one. If there is none in a full
 * buffer, all of it but what may be the start of one is skipped. */
static bool skip_torn(struct engine_log *log)
{
    size_t next = log_resync(log->data, log->len, log->at + 1);

    if (next == log->len && log->len - log->at < LOG_CHUNK_MAX + LOG_OVERHEAD)
        return false;
    log->at = next == log->len ? log->len - (LOG_OVERHEAD - 1) : next;
    return true;
}

/* The next record of the open file: its size, or 0 at the (present) end. */
static size_t next_record(struct engine_log *log)
{
    for (;;) {
        size_t size = log_record_size(log->data + log->at, log->len - log->at);

        if (size > 0)
            return size;
        if (fill(log))
            continue;
        if (log->len == log->at || !skip_torn(log))
            return 0;
    }
}

/* ------------------------------------------------------------------ backwards: the last N lines */

struct tail {
    const struct log_options *options;
    int64_t n_lines; /* still wanted */
};

/* Is the record of `header` before everything wanted? Counts the lines. */
static bool tail_is_done(struct tail *tail, const struct log_header *header)
{
    if (tail->options->since_ns && header->time_ns < tail->options->since_ns)
        return true;
    if (tail->options->until_ns && header->time_ns > tail->options->until_ns)
        return false;
    if (header->flags & LOG_PARTIAL)
        return false;
    if (tail->n_lines == 0)
        return true;
    tail->n_lines--;
    return false;
}

/* Walk one file back from `end`. *ret_offset: where to begin. Returns 1 when it begins in this
 * file, 0 when older files are wanted too. */
static int tail_file(int fd, int64_t end, struct tail *tail, int64_t *ret_offset)
{
    while (end >= LOG_OVERHEAD) {
        uint32_t len;
        struct log_header header;
        int64_t start;

        if (pread(fd, &len, sizeof(len), end - LOG_TRAILER_SIZE) != LOG_TRAILER_SIZE)
            break;
        start = end - LOG_OVERHEAD - (int64_t)len;
        if (len > LOG_CHUNK_MAX || start < 0 ||
            pread(fd, &header, sizeof(header), start) != LOG_HEADER_SIZE ||
            header.magic != LOG_MAGIC || header.len != len) {
            end--; /* torn: look for the end of a whole one */
            continue;
        }
        if (tail_is_done(tail, &header)) {
            *ret_offset = end;
            return 1;
        }
        end = start;
    }
    *ret_offset = 0;
    return 0;
}

/* Begin with the file that has the first line wanted; older ones are not. */
static void tail_seek(struct engine_log *log)
{
    struct tail tail = {&log->options, log->options.tail};
    int64_t offset = 0, end = log->end;
    size_t i;

    for (i = 0; i < log->n_held; i++) {
        struct stat status;

        if (i > 0)
            end = fstat(log->held[i], &status) == 0 ? status.st_size : 0;
        if (tail_file(log->held[i], end, &tail, &offset) == 1)
            break;
    }
    while (log->n_held > i + 1)
        close(log->held[--log->n_held]);
    if (file_set_held(log))
        log->offset = offset;
}

/* ------------------------------------------------------------------ public */

static int watch(struct engine_log *log, struct error *err)
{
    cleanup_free char *path = x_printf("/proc/self/fd/%d", log->dir_fd);

    log->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (log->inotify_fd < 0 ||
        inotify_add_watch(log->inotify_fd, path,
                          IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF |
                              IN_ONLYDIR) < 0)
        return error_sys(err, errno, "watch a log");
    return 0;
}

int engine_log_open(struct engine *engine, const char *container_id,
                    const struct log_options *options, struct engine_log **ret, struct error *err)
{
    struct engine_log *log = x_alloc(sizeof(*log));

    log->options = *options;
    log->dir_fd = log->inotify_fd = log->fd = -1;
    if (container_dir_open(engine->state_fd, container_id, &log->dir_fd, err) < 0 ||
        (options->follow && watch(log, err) < 0)) {
        engine_log_close(log);
        return -1;
    }
    files_hold(log);
    if (options->tail >= 0)
        tail_seek(log);
    else
        (void)file_set_held(log); /* none yet: one may come */
    if (!options->follow)
        close(fd_take(&log->dir_fd));
    *ret = log;
    return 0;
}

int engine_log_fd(const struct engine_log *log)
{
    return log->inotify_fd;
}

static void drain_inotify(struct engine_log *log)
{
    char events[1024];

    if (log->inotify_fd < 0)
        return;
    while (fs_read(log->inotify_fd, events, sizeof(events)) > 0) {
    }
}

/* Go on with a younger file, or with one that has appeared: false when there is none. */
static bool go_on(struct engine_log *log)
{
    int fd;

    if (file_set_held(log))
        return true;
    if (!log->options.follow)
        return false;
    fd = log->fd < 0 ? file_oldest(log) : file_younger(log);
    if (fd < 0)
        return false;
    /* Something may have come between our last read and the rotation. */
    if (log->fd >= 0 && next_record(log) > 0) {
        close(fd);
        return true;
    }
    file_set(log, fd, 0);
    return true;
}

int engine_log_read(struct engine_log *log, struct log_line *ret, struct error *err)
{
    bool is_drained = false;

    (void)err; /* a log that can't be read has no lines; opening it told why */
    while (!log->is_over) {
        size_t size = log->fd >= 0 ? next_record(log) : 0;
        struct log_header header;

        if (size == 0) {
            if (go_on(log))
                continue;
            /* Look once more behind the drain: what comes later makes the fd readable again. */
            if (is_drained)
                return 1;
            drain_inotify(log);
            is_drained = true;
            continue;
        }
        memcpy(&header, log->data + log->at, sizeof(header));
        *ret = (struct log_line){
            .time_ns = header.time_ns,
            .is_stderr = header.flags & LOG_STDERR,
            .is_partial = header.flags & LOG_PARTIAL,
            .text = {log->data + log->at + LOG_HEADER_SIZE, header.len},
        };
        log->at += size;
        if (log->options.since_ns && header.time_ns < log->options.since_ns)
            continue;
        if (log->options.until_ns && header.time_ns > log->options.until_ns) {
            log->is_over = true;
            return 1;
        }
        return 0;
    }
    return 1;
}

void engine_log_close(struct engine_log *log)
{
    if (!log)
        return;
    while (log->n_held > 0)
        close(log->held[--log->n_held]);
    if (log->fd >= 0)
        close(log->fd);
    if (log->inotify_fd >= 0)
        close(log->inotify_fd);
    if (log->dir_fd >= 0)
        close(log->dir_fd);
    free(log);
}
