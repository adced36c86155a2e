#include "engine/keeper/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/keeper/log_pump.h"
#include "tests/tap.h"

static int dir_open(void)
{
    int fd = open(tap_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    CHECK(fd >= 0);
    return fd;
}

/* The lines of a batch: "o:text|" or "e:text+|" for a part. */
static const char *batch_text(const struct buf *batch)
{
    static struct buf text;
    size_t at = 0, size;

    buf_clear(&text);
    while ((size = log_record_size(batch->data + at, batch->len - at)) > 0) {
        struct log_header header;

        memcpy(&header, batch->data + at, sizeof(header));
        buf_printf(&text, "%c:%.*s%s|", header.flags & LOG_STDERR ? 'e' : 'o', (int)header.len,
                   batch->data + at + sizeof(header), header.flags & LOG_PARTIAL ? "+" : "");
        at += size;
    }
    CHECK_INT(at, batch->len);
    return buf_text(&text);
}

TEST(lines_are_framed_and_an_unfinished_one_waits)
{
    cleanup_buf struct buf batch = BUF_INIT;

    CHECK_INT(log_frame_lines(&batch, 0, 1, "a\n\nbc\nde", 8, false), 6);
    CHECK_TEXT(batch_text(&batch), "o:a|o:|o:bc|");
    CHECK_INT(log_frame_lines(&batch, LOG_STDERR, 1, "de", 2, true), 2);
    CHECK_TEXT(batch_text(&batch), "o:a|o:|o:bc|e:de|");
}

TEST(a_long_line_is_cut_into_parts)
{
    cleanup_buf struct buf batch = BUF_INIT;
    static char line[LOG_CHUNK_MAX + 10];
    struct log_header header;

    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    CHECK_INT(log_frame_lines(&batch, 0, 1, line, sizeof(line), false), sizeof(line));
    memcpy(&header, batch.data, sizeof(header));
    CHECK_INT(header.len, LOG_CHUNK_MAX);
    CHECK_INT(header.flags, LOG_PARTIAL);
    memcpy(&header, batch.data + LOG_CHUNK_MAX + LOG_OVERHEAD, sizeof(header));
    CHECK_INT(header.len, 9);
    CHECK_INT(header.flags, 0);
}

TEST(a_full_batch_takes_no_more)
{
    cleanup_buf struct buf batch = BUF_INIT;

    buf_init(&batch, LOG_OVERHEAD * 2 + 4);
    CHECK_INT(log_frame_lines(&batch, 0, 1, "ab\ncd\nef\n", 9, false), 6);
    CHECK_TEXT(batch_text(&batch), "o:ab|o:cd|");
}

TEST(a_torn_end_is_cut_off_when_the_log_is_opened)
{
    int dir = dir_open();
    struct log_file log = LOG_FILE_INIT;
    cleanup_buf struct buf batch = BUF_INIT;
    struct error err = ERROR_INIT;
    size_t whole;

    CHECK_OK(log_open(dir, &log, &err), &err);
    log_frame_lines(&batch, 0, 1, "one\ntwo\n", 8, false);
    whole = batch.len;
    log_frame_lines(&batch, 0, 1, "three\n", 6, false);
    for (size_t cut = 1; cut < batch.len - whole; cut++) {
        CHECK_OK(log_append(&log, batch.data, batch.len - cut, &err), &err);
        log_close(&log);
        CHECK_OK(log_open(dir, &log, &err), &err);
        CHECK_INT(log.size, whole);
        CHECK(ftruncate(log.fd, 0) == 0);
        log.size = 0;
    }
    log_close(&log);
}

TEST(a_full_file_is_rotated_and_the_third_is_forgotten)
{
    int dir = dir_open();
    struct log_file log = LOG_FILE_INIT;
    struct error err = ERROR_INIT;

    CHECK_OK(log_open(dir, &log, &err), &err);
    for (int i = 0; i < 5; i++) {
        CHECK_OK(log_make_room(dir, &log, LOG_FILE_MAX_BYTES, &err), &err);
        CHECK_INT(log.size, 0);
        CHECK_OK(log_append(&log, "12345678", 8, &err), &err);
    }
    CHECK(fs_exists(dir, "log") && fs_exists(dir, "log.1") && fs_exists(dir, "log.2"));
    CHECK(!fs_exists(dir, "log.3"));
    log_close(&log);
}

/* ------------------------------------------------------------------ the pump */

struct plumbing {
    int dir, ends[2];
    struct log_file log;
    struct log_pump *pump;
    struct log_source source;
};

static void plumb(struct plumbing *plumbing)
{
    struct error err = ERROR_INIT;

    *plumbing = (struct plumbing){.dir = dir_open(), .log = LOG_FILE_INIT};
    CHECK(pipe2(plumbing->ends, O_CLOEXEC | O_NONBLOCK) == 0);
    CHECK_OK(log_open(plumbing->dir, &plumbing->log, &err), &err);
    CHECK_OK(log_pump_new(plumbing->dir, &plumbing->pump, &err), &err);
    plumbing->source = (struct log_source){
        .id = "abc", .dir_fd = plumbing->dir, .file = &plumbing->log, .fd = plumbing->ends[0]};
}

static void unplumb(struct plumbing *plumbing)
{
    log_pump_free(plumbing->pump);
    log_close(&plumbing->log);
}
#define cleanup_plumbing __attribute__((cleanup(unplumb)))

static const char *log_text(struct plumbing *plumbing)
{
    static struct buf text;

    CHECK_OK(fs_read_file(plumbing->dir, "log", 1 << 20, &text, NULL), &(struct error){0});
    return batch_text(&text);
}

static void say(struct plumbing *plumbing, const char *text)
{
    CHECK(write(plumbing->ends[1], text, strlen(text)) == (ssize_t)strlen(text));
}

static void pump(struct plumbing *plumbing, bool is_last)
{
    struct error err = ERROR_INIT;

    CHECK_OK(log_pump_run(plumbing->pump, &plumbing->source, is_last, &err), &err);
}

TEST(a_line_stays_in_the_pipe_until_it_is_whole)
{
    cleanup_plumbing struct plumbing plumbing;

    plumb(&plumbing);
    say(&plumbing, "hel");
    pump(&plumbing, false);
    CHECK_TEXT(log_text(&plumbing), "");
    say(&plumbing, "lo\nwor");
    pump(&plumbing, false);
    CHECK_TEXT(log_text(&plumbing), "o:hello|");
    pump(&plumbing, true);
    CHECK_TEXT(log_text(&plumbing), "o:hello|o:wor|");
}

/* The states in which a kill leaves intent, log and pipe (log_pump.c): the layout of the intent is
 * private, so they are made by stopping the pump where it can be stopped: a log that can't be
 * written, and a copy of the intent from before. */
TEST(an_intent_whose_batch_is_in_the_log_takes_the_bytes_away)
{
    cleanup_plumbing struct plumbing plumbing;
    struct error err = ERROR_INIT;
    cleanup_buf struct buf before = BUF_INIT;
    struct {
        unsigned char bytes[1024];
    } page = {{0}};
    int fd;

    plumb(&plumbing);
    say(&plumbing, "one\n");
    pump(&plumbing, false);
    CHECK_OK(fs_read_file(plumbing.dir, "log-intent", 4096, &before, &err), &err);
    /* As if killed after the append of the next batch and before the read: the intent says so, the
     * log has it, the pipe still has it too. */
    memcpy(page.bytes, before.data, before.len);
    say(&plumbing, "one\n");
    log_pump_free(plumbing.pump);
    {
        struct layout { /* of struct log_intent */
            char id[65];
            unsigned char stream, inverted, first_byte;
            uint32_t batch_bytes;
            int64_t log_offset;
            uint32_t n_bytes;
        } *intent = (struct layout *)(void *)page.bytes;

        CHECK_TEXT(intent->id, "abc");
        CHECK_INT(intent->n_bytes, 0);
        intent->inverted = intent->first_byte = (unsigned char)~'o';
        intent->n_bytes = 4;
        intent->log_offset = 0;
    }
    fd = openat(plumbing.dir, "log-intent", O_WRONLY | O_CLOEXEC);
    CHECK(write(fd, page.bytes, before.len) == (ssize_t)before.len);
    close(fd);
    CHECK_OK(log_pump_new(plumbing.dir, &plumbing.pump, &err), &err);
    CHECK_OK(log_pump_recover(plumbing.pump, &plumbing.source, &err), &err);
    say(&plumbing, "two\n");
    pump(&plumbing, false);
    CHECK_TEXT(log_text(&plumbing), "o:one|o:two|");
}

/* The read end of the pump's own pipe: the only one that was made after ours. */
static int scratch_of(const struct plumbing *plumbing)
{
    for (int fd = plumbing->ends[1] + 1; fd < 64; fd++) {
        struct stat status;

        if (fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) &&
            (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
            return fd;
    }
    tap_fail(TAP_HERE, "the pump has no pipe");
}

TEST(a_look_into_the_pipe_that_failed_halfway_neither_loses_nor_doubles_a_line)
{
    cleanup_plumbing struct plumbing plumbing;
    struct error err = ERROR_INIT;
    struct stat now;
    int scratch, saved, deaf;

    plumb(&plumbing);
    scratch = scratch_of(&plumbing);
    saved = fcntl(scratch, F_DUPFD_CLOEXEC, 100);
    deaf = open("/dev/null", O_WRONLY | O_CLOEXEC);
    CHECK(saved >= 0 && deaf >= 0 && dup2(deaf, scratch) == scratch);
    say(&plumbing, "one\n");
    CHECK_FAILS(log_pump_run(plumbing.pump, &plumbing.source, false, &err), ERROR_SYSTEM,
                "the copy of a log pipe");
    CHECK_TEXT(log_text(&plumbing), "");
    /* It can read again, unless it has helped itself. */
    if (fstat(scratch, &now) == 0 && S_ISCHR(now.st_mode))
        CHECK(dup2(saved, scratch) == scratch);
    close(saved);
    say(&plumbing, "two\n");
    pump(&plumbing, false);
    CHECK_TEXT(log_text(&plumbing), "o:one|o:two|");
    say(&plumbing, "three\n");
    pump(&plumbing, false);
    CHECK_TEXT(log_text(&plumbing), "o:one|o:two|o:three|");
}

TEST(a_flood_is_moved_in_turns)
{
    cleanup_plumbing struct plumbing plumbing;
    static char flood[512 << 10];
    struct error err = ERROR_INIT;
    int turns = 0;

    plumb(&plumbing);
    CHECK(fcntl(plumbing.ends[1], F_SETPIPE_SZ, 1 << 20) > 0);
    for (size_t i = 0; i < sizeof(flood); i++)
        flood[i] = i % 64 == 63 ? '\n' : 'y';
    CHECK(write(plumbing.ends[1], flood, sizeof(flood)) == (ssize_t)sizeof(flood));
    while (log_pump_run(plumbing.pump, &plumbing.source, false, &err) == 1)
        turns++;
    CHECK(turns >= 1);
    CHECK_INT(plumbing.log.size, sizeof(flood) / 64 * (63 + LOG_OVERHEAD));
}
