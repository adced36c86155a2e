/* What is going on, on stderr. */

#include "engine/cli/progress.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/str.h"
#include "engine/base/vec.h"
#include "engine/cli/colour.h"
#include "engine/cli/terminal.h"
#include "engine/cli/text.h"

enum { COLUMNS_DEFAULT = 80, ROWS_DEFAULT = 24, LAST_FRAME_WAIT_MS = 200 };

struct subject {
    char *name;
    char *text; /* never NULL */
    enum progress_state state;
    int64_t since_ns; /* first seen working */
    int64_t ended_ns; /* 0 while it lasts */
};

struct progress {
    int fd;
    enum progress_mode mode; /* never PROGRESS_AUTO */
    bool use_colour;
    VEC(struct subject) subjects;
    size_t n_drawn;   /* lines of the last frame, above the cursor */
    int64_t drawn_ns; /* when; 0 = never */
};

struct state_look {
    const char *mark;
    const char *word; /* plain lines, when there is no text */
    enum colour colour;
};

static const struct state_look looks[] = {
    [PROGRESS_WAITING] = {"\xc2\xb7", "waiting", COLOUR_DIM},     /* · */
    [PROGRESS_WORKING] = {"", "working", COLOUR_CYAN},            /* the spinner */
    [PROGRESS_DONE] = {"\xe2\x9c\x94", "done", COLOUR_GREEN},     /* ✔ */
    [PROGRESS_ERROR] = {"\xe2\x9c\x98", "failed", COLOUR_RED},    /* ✘ */
    [PROGRESS_SKIPPED] = {"\xe2\x88\x92", "skipped", COLOUR_DIM}, /* − */
};
static_assert(sizeof(looks) / sizeof(looks[0]) == PROGRESS_SKIPPED + 1, "every state has a look");

/* Braille dots that turn, eight of three bytes each: ⠋⠙⠹⠸⠼⠴⠦⠧ */
static const char spinner[8][4] = {
    "\xe2\xa0\x8b", "\xe2\xa0\x99", "\xe2\xa0\xb9", "\xe2\xa0\xb8",
    "\xe2\xa0\xbc", "\xe2\xa0\xb4", "\xe2\xa0\xa6", "\xe2\xa0\xa7",
};

static bool is_over(enum progress_state state)
{
    return state == PROGRESS_DONE || state == PROGRESS_ERROR || state == PROGRESS_SKIPPED;
}

struct progress *progress_new(int fd, enum progress_mode mode, bool use_colour)
{
    struct progress *progress = x_alloc(sizeof(*progress));

    if (mode == PROGRESS_AUTO)
        mode = terminal_is_tty(fd) ? PROGRESS_LIVE : PROGRESS_PLAIN;
    progress->fd = fd;
    progress->mode = mode;
    progress->use_colour = use_colour;
    return progress;
}

/* Names and texts come from outside too: no control characters on a terminal. One line has room for
 * the first line of an error. */
static char *clean_copy(const char *text)
{
    char *copy = x_strndup(text, strcspn(text, "\n"));

    text_clean(copy, "");
    return copy;
}

static struct subject *subject_get(struct progress *progress, const char *subject_name)
{
    cleanup_free char *name = clean_copy(subject_name);

    for (size_t i = 0; i < progress->subjects.n; i++)
        if (text_equal(progress->subjects.items[i].name, name))
            return &progress->subjects.items[i];
    vec_push(&progress->subjects, (struct subject){.name = ptr_take(&name), .text = x_strdup("")});
    return vec_last(&progress->subjects);
}

/* The first `columns` columns of a line. */
static void print_cut(struct buf *out, struct str line, size_t columns)
{
    size_t n = 0, column = 0;

    for (; n < line.len; n++) {
        bool starts_character = ((unsigned char)line.data[n] & 0xc0) != 0x80;

        if (starts_character && column++ == columns)
            break;
    }
    buf_add(out, line.data, n);
}

/* "✔ container shop-web-1  started  0.2s" */
static void print_subject(const struct progress *progress, const struct subject *subject,
                          size_t name_width, int64_t now_ns, size_t columns, struct buf *out)
{
    const struct state_look *look = &looks[subject->state];
    enum colour colour = progress->use_colour ? look->colour : COLOUR_NONE;
    int64_t end_ns = subject->ended_ns ? subject->ended_ns : now_ns;
    size_t turn = (size_t)(now_ns / (PROGRESS_TICK_MS * NS_PER_MS)) % 8;
    const char *mark = look->mark[0] ? look->mark : spinner[turn];
    cleanup_buf struct buf line = BUF_INIT;

    buf_printf(&line, "%s%*s  %s", subject->name, (int)(name_width - text_columns(subject->name)),
               "", subject->text[0] ? subject->text : look->word);
    if (subject->since_ns && end_ns > subject->since_ns)
        buf_printf(&line, "  %.1fs", (double)(end_ns - subject->since_ns) / (double)NS_PER_S);

    buf_printf(out, "%s%s%s ", colour_start(colour), mark, colour_end(colour));
    print_cut(out, buf_str(&line), columns > 3 ? columns - 3 : 1);
}

/* A terminal too low for all shows what is not over, then the rest as a count. */
static bool is_shown(const struct progress *progress, const struct subject *subject, size_t rows)
{
    return progress->subjects.n <= rows || !is_over(subject->state);
}

void progress_print_frame(const struct progress *progress, int64_t now_ns, size_t columns,
                          size_t rows, struct buf *out)
{
    size_t name_width = 0, n_shown = 0, room = rows > 2 ? rows - 2 : 1;

    for (size_t i = 0; i < progress->subjects.n; i++) {
        size_t width = text_columns(progress->subjects.items[i].name);

        name_width = width > name_width ? width : name_width;
    }
    for (size_t i = 0; i < progress->subjects.n && n_shown < room; i++) {
        const struct subject *subject = &progress->subjects.items[i];

        if (!is_shown(progress, subject, room))
            continue;
        print_subject(progress, subject, name_width, now_ns, columns, out);
        buf_add_char(out, '\n');
        n_shown++;
    }
    if (n_shown < progress->subjects.n)
        buf_printf(out, "  and %zu more\n", progress->subjects.n - n_shown);
}

/* Can the other side take a frame now? */
static bool is_writable(int fd, int wait_ms)
{
    struct pollfd out = {.fd = fd, .events = POLLOUT};

    return poll(&out, 1, wait_ms) == 1 && out.revents & POLLOUT;
}

/* @log: a line to leave above the frame, or NULL. */
static void draw(struct progress *progress, const char *log, int wait_ms)
{
    struct terminal_size size = {COLUMNS_DEFAULT, ROWS_DEFAULT};
    cleanup_buf struct buf frame = BUF_INIT, out = BUF_INIT;
    int64_t now_ns = clock_monotonic_ns();
    struct str rest, line;

    if (!is_writable(progress->fd, wait_ms))
        return;
    (void)terminal_get_size(progress->fd, &size); /* no size: the default */
    progress_print_frame(progress, now_ns, size.columns, size.rows, &frame);

    buf_add_text(&out, "\033[?25l"); /* hide the cursor while it jumps */
    if (progress->n_drawn)
        buf_printf(&out, "\033[%zuA", progress->n_drawn);
    if (log)
        buf_printf(&out, "\033[2K%s\n", log);
    progress->n_drawn = 0;
    for (rest = buf_str(&frame); rest.len; progress->n_drawn++) {
        str_cut(rest, '\n', &line, &rest);
        buf_printf(&out, "\033[2K" STR_FMT "\n", STR_ARG(line));
    }
    buf_add_text(&out, "\033[J\033[?25h"); /* what a higher frame left below; the cursor again */

    (void)fs_write_all(progress->fd, out.data, out.len,
                       NULL); /* a lost frame is nobody's failure */
    progress->drawn_ns = now_ns;
}

static void print_plain(const struct progress *progress, const struct subject *subject)
{
    cleanup_buf struct buf line = BUF_INIT;

    buf_printf(&line, "%s: %s\n", subject->name,
               subject->text[0] ? subject->text : looks[subject->state].word);
    (void)fs_write_all(progress->fd, line.data, line.len, NULL); /* as above */
}

/* Texts that differ only behind the first word are the same transition: "pulling 3MiB". */
static bool is_same_word(const char *a, const char *b)
{
    size_t n_a = strcspn(a, " "), n_b = strcspn(b, " ");

    return n_a == n_b && strncmp(a, b, n_a) == 0;
}

void progress_update(struct progress *progress, const char *subject_name, enum progress_state state,
                     const char *text)
{
    struct subject *subject = subject_get(progress, subject_name);
    int64_t now_ns = clock_monotonic_ns();
    bool is_transition;

    text = text ? text : "";
    is_transition =
        !subject->text[0] || subject->state != state || !is_same_word(subject->text, text);
    free(subject->text);
    subject->text = clean_copy(text);
    subject->state = state;
    if (state == PROGRESS_WORKING && (!subject->since_ns || subject->ended_ns))
        subject->since_ns = now_ns;
    subject->ended_ns = is_over(state) ? now_ns : 0;

    if (progress->mode == PROGRESS_PLAIN && is_transition)
        print_plain(progress, subject);
    else if (progress->mode == PROGRESS_LIVE)
        progress_tick(progress);
}

void progress_log(struct progress *progress, const char *line)
{
    cleanup_buf struct buf out = BUF_INIT;

    if (progress->mode == PROGRESS_LIVE && is_writable(progress->fd, LAST_FRAME_WAIT_MS)) {
        draw(progress, line, 0);
        return;
    }
    buf_printf(&out, "%s\n", line);
    (void)fs_write_all(progress->fd, out.data, out.len, NULL); /* stderr is gone: no one reads */
}

void progress_tick(struct progress *progress)
{
    int64_t due_ns = progress->drawn_ns + PROGRESS_TICK_MS * NS_PER_MS / 2;

    if (progress->mode != PROGRESS_LIVE || !progress->subjects.n)
        return;
    if (!progress->drawn_ns || clock_monotonic_ns() >= due_ns)
        draw(progress, NULL, 0);
}

void progress_finish(struct progress *progress)
{
    if (!progress)
        return;
    if (progress->mode == PROGRESS_LIVE && progress->subjects.n)
        draw(progress, NULL, LAST_FRAME_WAIT_MS);
    for (size_t i = 0; i < progress->subjects.n; i++) {
        free(progress->subjects.items[i].name);
        free(progress->subjects.items[i].text);
    }
    vec_release(&progress->subjects);
    free(progress);
}
