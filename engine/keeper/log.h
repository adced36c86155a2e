#pragma once

/* Logs of containers: the format, and the keeper's side of it.
 *
 * A record is: header {magic, flags, length, time}, the bytes of a line without its newline, and
 * the length again, so that a file is read from its end as well as from its start. Lines longer
 * than LOG_CHUNK_MAX are cut into parts, all but the last flagged LOG_PARTIAL. A keeper that was
 * killed in the middle of a write leaves a torn record; its successor cuts it off (log_open), and a
 * reader skips to the next magic.
 *
 * state/containers/ID/log is being written, log.1 and log.2 are older; rotation is by rename.
 *
 * Nothing is lost and nothing written twice when the keeper is killed: bytes stay in the
 * container's pipe until their records are in the file. See log_pump.c. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct error;

enum {
    LOG_MAGIC = 0x4c42, /* "BL" */
    LOG_CHUNK_MAX = 16 << 10,
    LOG_FILE_MAX_BYTES = 10 << 20,
    LOG_FILES = 3,
};

enum log_flags { LOG_STDERR = 1, LOG_PARTIAL = 2 };

struct log_header {
    uint16_t magic;
    uint8_t flags;
    uint8_t zero;
    uint32_t len;
    int64_t time_ns; /* real time */
} __attribute__((packed));

enum {
    LOG_HEADER_SIZE = sizeof(struct log_header),
    LOG_TRAILER_SIZE = sizeof(uint32_t),
    LOG_OVERHEAD = LOG_HEADER_SIZE + LOG_TRAILER_SIZE,
};

extern const char *const log_file_names[LOG_FILES]; /* "log", "log.1", "log.2" */

/* Append one record to a batch. */
void log_frame(struct buf *batch, unsigned flags, int64_t time_ns, const void *data, size_t len);

/* Is there a whole record at the start of `data`? Returns its size with header and trailer; 0 = no
 * (torn, or not enough bytes). */
size_t log_record_size(const void *data, size_t len);

/* Offset of the first whole record at or behind `from` (a search for the magic); `len` if none. */
size_t log_resync(const void *data, size_t len, size_t from);

/* Cut lines out of what a pipe holds and frame them. Returns how many bytes of `data` were used:
 * whole lines, or a part when there is no newline in LOG_CHUNK_MAX bytes, or all when `is_last`.
 * Stops when `batch` is full. */
size_t log_frame_lines(struct buf *batch, unsigned flags, int64_t time_ns, const char *data,
                       size_t len, bool is_last);

/* ------------------------------------------------------------------ writing */

struct log_file {
    int fd;
    int64_t size;
    uint64_t dropped; /* bytes that could not be written (disk full) */
};

#define LOG_FILE_INIT                                                                              \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* Open for appending; cuts off a torn end. */
int log_open(int dir_fd, struct log_file *ret, struct error *err);
void log_close(struct log_file *log);

/* Before a batch of `len` bytes: rotate when it would not fit. */
int log_make_room(int dir_fd, struct log_file *log, size_t len, struct error *err);

/* Append a batch. On failure nothing of it stays in the file. */
int log_append(struct log_file *log, const void *data, size_t len, struct error *err);
