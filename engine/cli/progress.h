#pragma once

/* What is going on, on stderr.
 *
 * On a terminal: one line per subject, redrawn in place, with a spinner and the time it took. On a
 * pipe: one plain line per transition. The cursor is hidden only while a frame is written, so that
 * it is visible whenever we die. A terminal that takes nothing (^S) is skipped, not waited for. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct progress;

enum progress_mode {
    PROGRESS_AUTO, /* live on a terminal, else plain */
    PROGRESS_LIVE,
    PROGRESS_PLAIN,
    PROGRESS_QUIET, /* nothing but progress_log */
};

enum progress_state {
    PROGRESS_WAITING,
    PROGRESS_WORKING,
    PROGRESS_DONE,
    PROGRESS_ERROR,
    PROGRESS_SKIPPED,
};

/* @fd is borrowed. Never NULL. */
struct progress *progress_new(int fd, enum progress_mode mode, bool use_colour);

/* @subject: "container shop-web-1"; lines keep the order of first appearance. @text: "starting",
 * "started", "pulling 3.1MiB/12MiB"; or NULL; up to its first newline. A pipe gets a line when the
 * state changes, or the text of a state that lasts is another word than before (numbers may run on
 * quietly). */
void progress_update(struct progress *progress, const char *subject, enum progress_state state,
                     const char *text);

/* A line of its own: above the live lines, or in between. No newline at the end. */
void progress_log(struct progress *progress, const char *line);

/* Let spinners turn; call every PROGRESS_TICK_MS when a frame is due. Cheap otherwise. */
enum { PROGRESS_TICK_MS = 100 };
void progress_tick(struct progress *progress);

/* Draws the last frame and leaves the cursor below it. NULL is fine. */
void progress_finish(struct progress *progress);

/* The frame as text, for tests: what progress_tick would draw at that time. */
void progress_print_frame(const struct progress *progress, int64_t now_ns, size_t columns,
                          size_t rows, struct buf *out);
