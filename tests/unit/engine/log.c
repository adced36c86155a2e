/* Reading logs: engine_log_* over files made here. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/engine.h"
#include "engine/keeper/log.h"
#include "tests/tap.h"

static const char id[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

struct fixture {
    struct arena arena;
    struct engine *engine;
    int dir;
    struct log_file file;
};

static void set_up(struct fixture *fixture)
{
    struct error err = ERROR_INIT;
    struct engine_options options;

    *fixture = (struct fixture){.file = LOG_FILE_INIT};
    options.state_root = arena_printf(&fixture->arena, "%s/state", tap_temp_dir());
    options.run_root = arena_printf(&fixture->arena, "%s/run", tap_temp_dir());
    CHECK_OK(engine_open(&options, &fixture->engine, &err), &err);
    CHECK_OK(fs_open_dirs(AT_FDCWD,
                          arena_printf(&fixture->arena, "%s/containers/%s", options.state_root, id),
                          0700, &fixture->dir, &err),
             &err);
    CHECK_OK(log_open(fixture->dir, &fixture->file, &err), &err);
}

static void tear_down(struct fixture *fixture)
{
    log_close(&fixture->file);
    close(fixture->dir);
    engine_close(fixture->engine);
    arena_release(&fixture->arena);
}

/* A line at a time; a text that ends with '+' is a part. */
static void add(struct fixture *fixture, int64_t time_ns, const char *text)
{
    cleanup_buf struct buf batch = BUF_INIT;
    struct error err = ERROR_INIT;
    size_t len = strlen(text);
    bool is_part = len > 0 && text[len - 1] == '+';

    log_frame(&batch, is_part ? LOG_PARTIAL : 0, time_ns, text, is_part ? len - 1 : len);
    CHECK_OK(log_append(&fixture->file, batch.data, batch.len, &err), &err);
}

static void rotate(struct fixture *fixture)
{
    struct error err = ERROR_INIT;

    CHECK_OK(log_make_room(fixture->dir, &fixture->file, LOG_FILE_MAX_BYTES, &err), &err);
    CHECK_INT(fixture->file.size, 0);
}

/* What there is now: "a|b+|c|". */
static const char *rest(struct fixture *fixture, struct engine_log *log)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct error err = ERROR_INIT;
    struct log_line line;

    while (engine_log_read(log, &line, &err) == 0) {
        buf_add_str(&text, line.text);
        buf_add_text(&text, line.is_partial ? "+|" : "|");
    }
    return arena_strdup(&fixture->arena, buf_text(&text));
}

static const char *read_all(struct fixture *fixture, struct log_options options)
{
    struct error err = ERROR_INIT;
    struct engine_log *log;
    const char *text;

    CHECK_OK(engine_log_open(fixture->engine, id, &options, &log, &err), &err);
    text = rest(fixture, log);
    engine_log_close(log);
    return text;
}

TEST(all_lines_of_all_files_come_oldest_first)
{
    struct fixture fixture;

    set_up(&fixture);
    CHECK_TEXT(read_all(&fixture, (struct log_options){.tail = -1}), "");
    add(&fixture, 1, "a");
    rotate(&fixture);
    add(&fixture, 2, "b");
    rotate(&fixture);
    add(&fixture, 3, "c");
    CHECK_TEXT(read_all(&fixture, (struct log_options){.tail = -1}), "a|b|c|");
    rotate(&fixture);
    add(&fixture, 4, "d");
    CHECK_TEXT(read_all(&fixture, (struct log_options){.tail = -1}), "b|c|d|");
    tear_down(&fixture);
}

TEST(tail_counts_lines_across_files_and_keeps_parts_together)
{
    struct fixture fixture;

    set_up(&fixture);
    add(&fixture, 1, "a");
    add(&fixture, 2, "b1+");
    add(&fixture, 3, "b2");
    rotate(&fixture);
    add(&fixture, 4, "c");
    CHECK_TEXT(read_all(&fixture, (struct log_options){.tail = 0}), "");
    CHECK_TEXT(read_all(&fixture, (struct log_options){.tail = 1}), "c|");
    CHECK_TEXT(read_all(&fixture, (struct log_options){.tail = 2}), "b1+|b2|c|");
    CHECK_TEXT(read_all(&fixture, (struct log_options){.tail = 3}), "a|b1+|b2|c|");
    CHECK_TEXT(read_all(&fixture, (struct log_options){.tail = 100}), "a|b1+|b2|c|");
    tear_down(&fixture);
}

TEST(since_and_until_are_inclusive_and_tail_counts_within_them)
{
    struct fixture fixture;

    set_up(&fixture);
    for (int i = 1; i <= 5; i++)
        add(&fixture, i * 10, arena_printf(&fixture.arena, "%d", i));
    CHECK_TEXT(read_all(&fixture, (struct log_options){.tail = -1, .since_ns = 30}), "3|4|5|");
    CHECK_TEXT(read_all(&fixture, (struct log_options){.tail = -1, .until_ns = 30}), "1|2|3|");
    CHECK_TEXT(read_all(&fixture, (struct log_options){.tail = 2, .until_ns = 30}), "2|3|");
    CHECK_TEXT(read_all(&fixture, (struct log_options){.tail = 9, .since_ns = 20, .until_ns = 30}),
               "2|3|");
    tear_down(&fixture);
}

TEST(a_torn_record_is_skipped)
{
    struct fixture fixture;
    struct error err = ERROR_INIT;

    set_up(&fixture);
    add(&fixture, 1, "a");
    CHECK_OK(log_append(&fixture.file, "BL\0\0\50\0\0\0 torn", 13, &err), &err);
    add(&fixture, 2, "b");
    CHECK_TEXT(read_all(&fixture, (struct log_options){.tail = -1}), "a|b|");
    CHECK_TEXT(read_all(&fixture, (struct log_options){.tail = 2}), "a|b|");
    tear_down(&fixture);
}

TEST(a_follower_is_woken_and_follows_through_rotations)
{
    struct fixture fixture;
    struct log_options options = {.tail = -1, .follow = true};
    struct error err = ERROR_INIT;
    struct engine_log *log;
    struct pollfd wait;

    set_up(&fixture);
    add(&fixture, 1, "a");
    CHECK_OK(engine_log_open(fixture.engine, id, &options, &log, &err), &err);
    wait = (struct pollfd){.fd = engine_log_fd(log), .events = POLLIN};
    CHECK_TEXT(rest(&fixture, log), "a|");
    CHECK_INT(poll(&wait, 1, 0), 0);
    add(&fixture, 2, "b");
    CHECK_INT(poll(&wait, 1, 1000), 1);
    CHECK_TEXT(rest(&fixture, log), "b|");
    add(&fixture, 3, "c");
    rotate(&fixture);
    add(&fixture, 4, "d");
    rotate(&fixture);
    add(&fixture, 5, "e");
    CHECK_INT(poll(&wait, 1, 1000), 1);
    CHECK_TEXT(rest(&fixture, log), "c|d|e|");
    /* Two rotations more, and what it had open is gone from the directory. */
    rotate(&fixture);
    rotate(&fixture);
    rotate(&fixture);
    add(&fixture, 6, "f");
    CHECK_TEXT(rest(&fixture, log), "f|");
    engine_log_close(log);
    tear_down(&fixture);
}

TEST(a_large_log_is_read_whole_and_its_tail_is_found)
{
    struct fixture fixture;
    struct error err = ERROR_INIT;
    struct log_options options = {.tail = -1};
    struct engine_log *log;
    struct log_line line;
    cleanup_buf struct buf batch = BUF_INIT;
    int n = 0;

    set_up(&fixture);
    for (int i = 0; i < 50000; i++) {
        const char *text = arena_printf(&fixture.arena, "line %d", i);

        log_frame(&batch, 0, i + 1, text, strlen(text));
    }
    CHECK_OK(log_append(&fixture.file, batch.data, batch.len, &err), &err);
    CHECK_OK(engine_log_open(fixture.engine, id, &options, &log, &err), &err);
    while (engine_log_read(log, &line, &err) == 0) {
        CHECK_INT(line.time_ns, n + 1);
        n++;
    }
    CHECK_INT(n, 50000);
    engine_log_close(log);
    CHECK_TEXT(read_all(&fixture, (struct log_options){.tail = 2}), "line 49998|line 49999|");
    tear_down(&fixture);
}

/* The end is what was there when it was opened, however much is written while it is read. */
TEST(who_does_not_follow_comes_to_an_end_while_lines_pour_in)
{
    struct fixture fixture;
    struct log_options options = {.tail = -1};
    struct error err = ERROR_INIT;
    struct engine_log *log;
    struct log_line line;
    int n = 0;

    set_up(&fixture);
    for (int i = 1; i <= 3; i++)
        add(&fixture, i, "before");
    CHECK_OK(engine_log_open(fixture.engine, id, &options, &log, &err), &err);
    add(&fixture, 4, "after");
    while (engine_log_read(log, &line, &err) == 0) {
        CHECK(++n < 10);
        CHECK(str_equal(line.text, str_from("before")));
        add(&fixture, 5, "after");
    }
    CHECK_INT(n, 3);
    CHECK_INT(engine_log_read(log, &line, &err), 1);
    engine_log_close(log);
    tear_down(&fixture);
}

TEST(rotations_do_not_move_the_end)
{
    struct fixture fixture;
    struct log_options options = {.tail = -1};
    struct error err = ERROR_INIT;
    struct engine_log *log;

    set_up(&fixture);
    add(&fixture, 1, "a");
    rotate(&fixture);
    add(&fixture, 2, "b");
    CHECK_OK(engine_log_open(fixture.engine, id, &options, &log, &err), &err);
    add(&fixture, 3, "later");
    rotate(&fixture);
    add(&fixture, 4, "later");
    CHECK_TEXT(rest(&fixture, log), "a|b|");
    engine_log_close(log);
    /* All that was there is gone from the directory: what is held open is still shown. */
    CHECK_OK(engine_log_open(fixture.engine, id, &options, &log, &err), &err);
    for (int i = 0; i < 4; i++) {
        rotate(&fixture);
        add(&fixture, 5, "even later");
    }
    CHECK_TEXT(rest(&fixture, log), "a|b|later|later|");
    engine_log_close(log);
    tear_down(&fixture);
}

TEST(a_log_that_begins_after_it_was_opened_is_empty)
{
    struct fixture fixture;
    struct log_options options = {.tail = -1};
    struct error err = ERROR_INIT;
    struct engine_log *log;

    set_up(&fixture);
    CHECK(unlinkat(fixture.dir, log_file_names[0], 0) == 0);
    CHECK_OK(engine_log_open(fixture.engine, id, &options, &log, &err), &err);
    log_close(&fixture.file);
    CHECK_OK(log_open(fixture.dir, &fixture.file, &err), &err);
    add(&fixture, 1, "later");
    CHECK_TEXT(rest(&fixture, log), "");
    engine_log_close(log);
    tear_down(&fixture);
}
