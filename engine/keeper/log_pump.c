/* From pipe to log.
 *
 * Theory. A read() takes bytes out of the pipe; a keeper killed before its write() has lost them.
 * So bytes are looked at without taking them (tee into a pipe of our own), framed, appended to the
 * log, and only then read away. What a kill between append and read would do (the same lines again)
 * is prevented by an intent in a file shared with our successor: where in the log the batch is, how
 * many bytes of the pipe it stands for, and the first byte of those, inverted. The read that takes
 * them away puts that first byte over the inverted one, in the same system call, which a kill
 * can't cut (pipe_read() copies what is there under the pipe's lock). Hence:
 *
 *     intent   log               first byte   killed …              successor
 *     none     –                 –            before, or after      nothing
 *     set      batch not whole   inverted     before or in append   truncates the log
 *     set      batch whole       inverted     before the read       reads the bytes away
 *     set      batch whole       true         after the read        nothing
 *
 * A line whose end has not come stays in the pipe: no buffer per container, nothing to lose. The
 * pipes are watched edge-triggered, so that such a line does not spin the loop.
 */
#include "engine/keeper/log_pump.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/trace.h"
#include "engine/container/container.h"

enum {
    PUMP_READ_BYTES = 64 << 10,
    PUMP_BATCH_BYTES = 128 << 10,
    PUMP_TURN_BYTES = 256 << 10, /* per source and turn of the loop: fairness */
    SCRATCH_BYTES = 1 << 20,     /* slots for 256 small writes */
};

/* Shared with the successor. `n_bytes` is written last and cleared first. */
struct log_intent {
    char id[CONTAINER_ID_MAX + 1];
    uint8_t stream;
    uint8_t inverted; /* what first_byte was set to */
    volatile uint8_t first_byte;
    uint32_t batch_bytes;
    int64_t log_offset;
    volatile uint32_t n_bytes; /* 0 = no intent */
};

/* A keeper writes to the first that is free, so that it does not overwrite what its predecessor
 * left before it has come to that container. */
enum { INTENTS = 8 };

struct log_pump {
    int scratch[2];             /* empty between two looks; -1 = to be made */
    struct log_intent *intents; /* shared: INTENTS of them */
    struct log_intent *intent;  /* ours */
    char *bytes;
    struct buf batch;
};

static void barrier(void)
{
    /* The successor reads the page after we are dead: only the compiler could reorder. */
    __asm__ volatile("" ::: "memory");
}

static int intent_map(int run_dir_fd, struct log_intent **ret, struct error *err)
{
    cleanup_fd int fd =
        openat(run_dir_fd, "log-intent", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    void *page;

    if (fd < 0 || ftruncate(fd, INTENTS * sizeof(struct log_intent)) < 0)
        return error_sys(err, errno, "open \"log-intent\"");
    page =
        mmap(NULL, INTENTS * sizeof(struct log_intent), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return error_sys(err, errno, "map \"log-intent\"");
    *ret = page;
    return 0;
}

/* With all taken (keepers killed one after the other before they could recover) the last is lost.
 */
static struct log_intent *intent_free(struct log_intent *intents)
{
    for (int i = 0; i < INTENTS - 1; i++) {
        if (intents[i].n_bytes == 0)
            return &intents[i];
    }
    intents[INTENTS - 1].n_bytes = 0;
    return &intents[INTENTS - 1];
}

static void scratch_close(struct log_pump *pump)
{
    for (int i = 0; i < 2; i++) {
        if (pump->scratch[i] >= 0)
            close(pump->scratch[i]);
        pump->scratch[i] = -1;
    }
}

static int scratch_need(struct log_pump *pump, struct error *err)
{
    if (pump->scratch[0] >= 0)
        return 0;
    if (pipe2(pump->scratch, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_sys(err, errno, "make a pipe");
    /* Without privilege it stays at 64 KiB: smaller batches. */
    (void)fcntl(pump->scratch[1], F_SETPIPE_SZ, SCRATCH_BYTES);
    return 0;
}

int log_pump_new(int run_dir_fd, struct log_pump **ret, struct error *err)
{
    struct log_pump *pump = x_alloc(sizeof(*pump));

    pump->scratch[0] = pump->scratch[1] = -1;
    buf_init(&pump->batch, PUMP_BATCH_BYTES);
    if (intent_map(run_dir_fd, &pump->intents, err) < 0 || scratch_need(pump, err) < 0) {
        log_pump_free(pump);
        return -1;
    }
    pump->intent = intent_free(pump->intents);
    *ret = pump;
    return 0;
}

void log_pump_free(struct log_pump *pump)
{
    if (!pump)
        return;
    if (pump->intents)
        munmap(pump->intents, INTENTS * sizeof(*pump->intents));
    scratch_close(pump);
    free(pump->bytes);
    buf_release(&pump->batch);
    free(pump);
}

void log_pump_relax(struct log_pump *pump)
{
    free(pump->bytes);
    pump->bytes = NULL;
    buf_release(&pump->batch);
    buf_init(&pump->batch, PUMP_BATCH_BYTES);
}

static void pump_need_memory(struct log_pump *pump)
{
    if (!pump->bytes)
        pump->bytes = x_alloc(PUMP_READ_BYTES);
}

/* ------------------------------------------------------------------ taking bytes out of the pipe
 */

static void intent_set(struct log_intent *intent, const struct log_source *source, char first,
                       size_t n_bytes, size_t batch_bytes)
{
    memset(intent->id, 0, sizeof(intent->id));
    memcpy(intent->id, source->id, strnlen(source->id, CONTAINER_ID_MAX));
    intent->stream = (uint8_t)source->stream;
    intent->inverted = (uint8_t) ~(unsigned char)first;
    intent->first_byte = intent->inverted;
    intent->batch_bytes = (uint32_t)batch_bytes;
    intent->log_offset = source->file->size;
    barrier();
    intent->n_bytes = (uint32_t)n_bytes;
    barrier();
}

static void intent_clear(struct log_intent *intent)
{
    barrier();
    intent->n_bytes = 0;
    barrier();
}

/* Read away what was logged. We are its only reader, unless the container, whose end can read too,
 * takes bytes itself. In packet mode (it can set O_DIRECT) a read ends with a packet. */
static int discard(struct log_pump *pump, struct log_intent *intent, int fd, size_t n,
                   struct error *err)
{
    uint8_t rest;
    size_t done = 0;

    while (done < n) {
        struct iovec parts[2] = {
            {done == 0 ? (void *)(uintptr_t)&intent->first_byte : &rest, 1},
            {pump->bytes, n - done - 1},
        };
        ssize_t part = readv(fd, parts, n - done > 1 ? 2 : 1);

        if (part < 0 && errno == EAGAIN)
            return 0;
        if (part <= 0)
            return error_sys(err, part < 0 ? errno : EIO, "take %zu bytes out of a log pipe", n);
        done += (size_t)part;
    }
    return 0;
}

static bool intent_is_for(const struct log_intent *intent, const struct log_source *source)
{
    return intent->n_bytes > 0 && intent->n_bytes <= PUMP_READ_BYTES &&
           intent->stream == source->stream &&
           strncmp(intent->id, source->id, sizeof(intent->id)) == 0;
}

static int recover(struct log_pump *pump, struct log_intent *intent,
                   const struct log_source *source, struct error *err)
{
    int64_t end = intent->log_offset + intent->batch_bytes;
    int result = 0;

    pump_need_memory(pump);
    if (source->file->size < end) {
        if (source->file->size > intent->log_offset) {
            if (ftruncate(source->file->fd, intent->log_offset) < 0)
                return error_sys(err, errno, "cut off a torn batch of the log");
            source->file->size = intent->log_offset;
        }
    } else if (intent->first_byte == intent->inverted) {
        result = discard(pump, intent, source->fd, intent->n_bytes, err);
    }
    intent_clear(intent);
    return result;
}

int log_pump_recover(struct log_pump *pump, const struct log_source *source, struct error *err)
{
    for (int i = 0; i < INTENTS; i++) {
        struct log_intent *intent = &pump->intents[i];

        if (intent != pump->intent && intent_is_for(intent, source) &&
            recover(pump, intent, source, err) < 0)
            return -1;
    }
    return 0;
}

/* ------------------------------------------------------------------ pumping */

/* A copy of what the pipe holds, in pump->bytes; *ret_n = 0 when it holds nothing. A scratch pipe
 * that could not be read is thrown away: what is left in it would be taken for the beginning of the
 * next copy. */
static int peek(struct log_pump *pump, int fd, size_t *ret_n, struct error *err)
{
    size_t have = 0;
    ssize_t n;

    *ret_n = 0;
    if (scratch_need(pump, err) < 0)
        return -1;
    n = tee(fd, pump->scratch[1], PUMP_READ_BYTES, SPLICE_F_NONBLOCK);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n < 0)
        return error_sys(err, errno, "look into a log pipe");
    while (have < (size_t)n) {
        ssize_t part = fs_read(pump->scratch[0], pump->bytes + have, (size_t)n - have);

        if (part <= 0) {
            int errnum = part < 0 ? errno : EIO;

            scratch_close(pump);
            return error_sys(err, errnum, "read the copy of a log pipe");
        }
        have += (size_t)part;
    }
    *ret_n = have;
    return 0;
}

/* Does the pipe hold more than the copy could? */
static bool pipe_has_more(int fd, size_t have)
{
    int available = 0;

    return ioctl(fd, FIONREAD, &available) == 0 && (size_t)available > have;
}

/* The log can't take it (disk full): drop it, so that the container does not stop. */
static void drop_batch(struct log_file *file, struct error *why)
{
    trace(TRACE_KEEPER, "%s; dropped, %llu bytes so far, continuing", why->text,
          (unsigned long long)file->dropped);
}

/* One batch. Returns bytes taken, 0 when there is nothing whole, -1 on failure. */
static ssize_t pump_batch(struct log_pump *pump, const struct log_source *source, bool is_last,
                          struct error *err)
{
    unsigned flags = source->stream == LOG_STREAM_STDERR ? LOG_STDERR : 0;
    int64_t now_ns = clock_realtime_ns();
    struct error why = ERROR_INIT;
    size_t have, used;

    if (peek(pump, source->fd, &have, err) < 0)
        return -1;
    if (have == 0)
        return 0;
    buf_clear(&pump->batch);
    is_last = is_last && !pipe_has_more(source->fd, have);
    used = log_frame_lines(&pump->batch, flags, now_ns, pump->bytes, have, is_last);
    /* The pipe's slots are all taken by small writes and there is no newline in them: cut here, or
     * the writer would wait for ever. */
    if (used == 0 && pipe_has_more(source->fd, have)) {
        log_frame(&pump->batch, flags | LOG_PARTIAL, now_ns, pump->bytes, have);
        used = have;
    }
    if (used == 0)
        return 0;

    if (log_make_room(source->dir_fd, source->file, pump->batch.len, &why) < 0)
        trace(TRACE_KEEPER, "%s, continuing", why.text);
    intent_set(pump->intent, source, pump->bytes[0], used, pump->batch.len);
    if (log_append(source->file, pump->batch.data, pump->batch.len, &why) < 0)
        drop_batch(source->file, &why);
    if (discard(pump, pump->intent, source->fd, used, err) < 0)
        return -1;
    intent_clear(pump->intent);
    return (ssize_t)used;
}

/* A terminal can't be looked at without reading. Parts are shown as they come (a prompt has no
 * newline). */
static ssize_t pump_terminal(struct log_pump *pump, const struct log_source *source,
                             struct error *err)
{
    int64_t now_ns = clock_realtime_ns();
    ssize_t n = fs_read(source->fd, pump->bytes, LOG_CHUNK_MAX - 1);
    size_t used;

    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0) /* EIO: the last process has closed it */
        return 0;
    buf_clear(&pump->batch);
    used = log_frame_lines(&pump->batch, 0, now_ns, pump->bytes, (size_t)n, false);
    if (used < (size_t)n)
        log_frame(&pump->batch, LOG_PARTIAL, now_ns, pump->bytes + used, (size_t)n - used);
    if (log_make_room(source->dir_fd, source->file, pump->batch.len, err) < 0 ||
        log_append(source->file, pump->batch.data, pump->batch.len, err) < 0)
        return -1;
    return n;
}

int log_pump_run(struct log_pump *pump, const struct log_source *source, bool is_last,
                 struct error *err)
{
    size_t moved = 0;

    pump_need_memory(pump);
    while (moved < PUMP_TURN_BYTES) {
        ssize_t n = source->is_terminal ? pump_terminal(pump, source, err)
                                        : pump_batch(pump, source, is_last, err);

        if (n < 0)
            return -1;
        if (n == 0)
            return 0;
        moved += (size_t)n;
    }
    return 1;
}
