/* help, completion, man, table, colour, progress, terminal */

#include <fcntl.h>
#include <pty.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/fs.h"
#include "engine/base/process.h"
#include "engine/cli/cli.h"
#include "engine/cli/completion.h"
#include "engine/cli/help.h"
#include "engine/cli/man.h"
#include "engine/cli/progress.h"
#include "engine/cli/table.h"
#include "engine/cli/terminal.h"
#include "engine/cli/text.h"
#include "engine/cli/walk.h"
#include "tests/tap.h"

struct options {
    bool detach;
    int pull;
    const char *file;
};

static const char *const policies[] = {"missing", "always", NULL};
static const struct cli_option up_flags[] = {
    {"detach", 'd', CLI_FLAG, offsetof(struct options, detach), NULL,
     "return as soon as everything runs, and leave it running in the background for later"},
    {"pull", 0, CLI_CHOICE, offsetof(struct options, pull), "POLICY", "when to pull", policies},
    {"secret", 0, CLI_FLAG, offsetof(struct options, detach), NULL, "x", NULL, CLI_OPTION_HIDDEN},
    CLI_OPTIONS_END,
};
static const struct cli_option root_flags[] = {
    {"file", 'f', CLI_TEXT, offsetof(struct options, file), "FILE", "the project's file"},
    CLI_OPTIONS_END,
};

static int run_nothing(struct cli_context *context, const void *options, const struct strings *args,
                       struct error *err)
{
    (void)context, (void)options, (void)args, (void)err;
    return 0;
}

static const struct cli_verb image_verbs[] = {
    {.name = "ls", .aliases = "list", .summary = "list images", .run = run_nothing},
    {.name = "secret", .summary = "x", .flags = CLI_VERB_HIDDEN, .run = run_nothing},
    {.name = NULL},
};
static const struct cli_verb verbs[] = {
    {.name = "up",
     .heading = "Project commands",
     .summary = "create and start containers",
     .arguments = "[SERVICE...]",
     .description = "Makes the machine look like the file.\n\nSecond paragraph with a \\ in it.\n"
                    "Without --detach, or -d: the caf\xc3\xa9's log-in \xe2\x80\xa6",
     .examples = "berth up -d\n.hidden line",
     .options = up_flags,
     .options_size = sizeof(struct options),
     .max_args = CLI_ANY_NUMBER,
     .run = run_nothing},
    {.name = "image", .heading = "Engine commands", .summary = "images", .verbs = image_verbs},
    {.name = NULL},
};
static const struct cli_verb root = {.name = "berth",
                                     .summary = "Compose projects without a daemon",
                                     .options = root_flags,
                                     .options_size = sizeof(struct options),
                                     .verbs = verbs};

TEST(help_of_a_verb_is_complete_and_wrapped)
{
    cleanup_buf struct buf out = BUF_INIT;

    cli_print_help(&out, &root, &verbs[0], "berth up", 60);
    CHECK_TEXT(buf_text(&out), "Usage: berth up [OPTIONS] [SERVICE...]\n"
                               "\n"
                               "create and start containers\n"
                               "\n"
                               "Makes the machine look like the file.\n"
                               "\n"
                               "Second paragraph with a \\ in it.\n"
                               "Without --detach, or -d: the caf\xc3\xa9's log-in \xe2\x80\xa6\n"
                               "\n"
                               "Options:\n"
                               "  -d, --detach       return as soon as everything runs, and\n"
                               "                     leave it running in the background for\n"
                               "                     later\n"
                               "      --pull POLICY  when to pull (missing, always)\n"
                               "  -h, --help         print this help\n"
                               "\n"
                               "Examples:\n"
                               "  berth up -d\n"
                               "  .hidden line\n"
                               "\n"
                               "Global options: berth --help\n");
}

TEST(help_of_a_group_lists_its_verbs_by_heading)
{
    cleanup_buf struct buf out = BUF_INIT, group = BUF_INIT;

    cli_print_help(&out, &root, &root, "berth", 80);
    CHECK_CONTAINS(buf_text(&out), "\nProject commands:\n  up     create and start containers\n");
    CHECK_CONTAINS(buf_text(&out), "\nEngine commands:\n  image  images\n");
    CHECK_CONTAINS(buf_text(&out), "  -f, --file FILE  the project's file\n");
    cli_print_help(&group, &root, &verbs[1], "berth image", 80);
    CHECK_CONTAINS(buf_text(&group), "\nCommands:\n  ls      list images\n");
    CHECK(!strstr(buf_text(&group), "secret  "));
}

TEST(walking_leaves_hidden_verbs_out)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct cli_places places = cli_places_make(&arena, &root);

    CHECK_INT(places.n, 4);
    CHECK_TEXT(places.items[0].path, "berth");
    CHECK_TEXT(places.items[1].path, "berth up");
    CHECK_TEXT(places.items[2].path, "berth image");
    CHECK_TEXT(places.items[3].path, "berth image ls");
}

/* Let bash complete the words of a line, the last of which is the one being typed. */
static const char *complete(struct arena *arena, const char *line)
{
    cleanup_process struct process process = PROCESS_INIT;
    struct process_options options = PROCESS_OPTIONS_INIT;
    cleanup_buf struct buf script = BUF_INIT, out = BUF_INIT;
    struct error err = ERROR_INIT;
    const char *argv[] = {"bash", "-c", NULL, NULL};
    int fds[2], status;

    cli_print_completion_bash(&script, &root);
    buf_printf(&script,
               "berth() { echo web; echo db; }\n"
               "COMP_WORDS=(%s) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
               "_berth; echo \"${COMPREPLY[*]}\"",
               line);
    argv[2] = buf_text(&script);
    CHECK_OK(pipe2(fds, O_CLOEXEC), &err);
    options.argv = argv;
    options.stdout_fd = fds[1];
    CHECK_OK(process_spawn(&options, &process, &err), &err);
    close(fds[1]);
    CHECK_OK(fs_read_all(fds[0], &out, &err), &err);
    close(fds[0]);
    CHECK_OK(process_wait(&process, &status, &err), &err);
    return arena_strdup(arena, buf_text(&out));
}

TEST(bash_completes_verbs_flags_choices_and_services)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    CHECK_TEXT(complete(&arena, "berth ''"), "up image\n");
    CHECK_TEXT(complete(&arena, "berth i"), "image\n");
    CHECK_TEXT(complete(&arena, "berth image ''"), "ls\n");
    CHECK_TEXT(complete(&arena, "berth up --"), "--detach --pull --file --help\n");
    CHECK_TEXT(complete(&arena, "berth up --pull ''"), "missing always\n");
    CHECK_TEXT(complete(&arena, "berth up --pull = al"), "always\n");
    CHECK_TEXT(complete(&arena, "berth -f image up -d ''"), "web db\n");
    CHECK_TEXT(complete(&arena, "berth -f /etc/os-rel"), "/etc/os-release\n");
}

TEST(zsh_completion_has_a_function_for_every_verb)
{
    cleanup_buf struct buf out = BUF_INIT;

    cli_print_completion_zsh(&out, &root);
    CHECK_CONTAINS(buf_text(&out), "#compdef berth\n");
    CHECK_CONTAINS(buf_text(&out), "\n_berth_image_ls()\n");
    CHECK_CONTAINS(buf_text(&out), "'--pull[when to pull]:POLICY:(missing always)'");
    CHECK_CONTAINS(buf_text(&out),
                   "'(-f --file)'{-f,--file}'[the project'\\''s file]:FILE:_files'");
    CHECK_CONTAINS(buf_text(&out), "\n_berth \"$@\"\n");
    CHECK(!strstr(buf_text(&out), "secret"));
}

TEST(man_pages_escape_what_would_be_a_request)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct cli_places places = cli_places_make(&arena, &root);
    cleanup_buf struct buf out = BUF_INIT;

    cli_print_man(&out, &root, &places.items[1], "November 21, 2026");
    CHECK_CONTAINS(buf_text(&out), ".Dt BERTH-UP 1\n");
    CHECK_CONTAINS(buf_text(&out), ".Nm berth-up\n.Nd create and start containers\n");
    CHECK_CONTAINS(buf_text(&out),
                   "look like the file.\n.Pp\nSecond paragraph with a \\e in it.\n"
                   "Without \\-\\-detach, or \\-d: the caf\\[u00E9]'s log-in \\[u2026]\n");
    CHECK_CONTAINS(buf_text(&out), ".It Fl d , Fl \\-detach\n");
    CHECK_CONTAINS(buf_text(&out), "berth up \\-d\n\\&.hidden line\n");
}

TEST(man_pages_without_a_description_have_the_summary_as_a_sentence)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct cli_places places = cli_places_make(&arena, &root);
    cleanup_buf struct buf out = BUF_INIT;

    cli_print_man(&out, &root, &places.items[3], "November 21, 2026");
    CHECK_CONTAINS(buf_text(&out), ".Nd list images\n");
    CHECK_CONTAINS(buf_text(&out), ".Sh DESCRIPTION\nList images.\n");
}

TEST(man_pages_are_written_one_per_verb)
{
    cleanup_fd int dir = open(tap_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_arena struct arena arena = ARENA_INIT;
    struct error err = ERROR_INIT;
    struct strings names;

    CHECK_OK(cli_write_man(&root, dir, "November 21, 2026", &err), &err);
    CHECK_OK(fs_list(dir, ".", &arena, &names, &err), &err);
    CHECK_INT(names.n, 4);
    CHECK_TEXT(names.items[0], "berth-image-ls.1");
    CHECK_TEXT(names.items[3], "berth.1");
}

TEST(tables_align_by_columns_not_bytes)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;

    table_init(&table, &arena, (const char *const[]){"NAME", "STATUS", "PORTS", NULL});
    table_cell(&table, "w\xc3\xa4hb");
    table_cell_coloured(&table, COLOUR_GREEN, "running");
    table_cell_printf(&table, "%d", 80);
    table_cell(&table, "database");
    table_cell(&table, NULL);
    table_cell(&table, "a\033[2Jb\n");
    CHECK_INT(table_rows(&table), 2);
    table_print(&table, &out, 0);
    CHECK_TEXT(buf_text(&out), "NAME       STATUS    PORTS\n"
                               "w\xc3\xa4hb       running   80\n"
                               "database             a?[2Jb?\n");
}

TEST(control_characters_are_replaced_in_every_form)
{
    char text[] = "a\tb\033c\177d\xc2\x9b"
                  "e\xc3\xa4\n";

    text_clean(text, "\n");
    CHECK_TEXT(text, "a?b?c?d??e\xc3\xa4\n");
    CHECK_INT(text_columns("\xc3\xa4\xe2\x9c\x94z"), 3);
}

TEST(tables_can_have_colour_and_no_headings)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;

    table_init(&table, &arena, (const char *const[]){"NAME", "STATUS", NULL});
    table_cell_coloured(&table, COLOUR_RED, "a");
    table_cell(&table, "b");
    table_print(&table, &out, TABLE_COLOUR | TABLE_NO_HEADINGS);
    CHECK_TEXT(buf_text(&out), "\033[31ma\033[0m   b\n");
}

TEST(colour_follows_terminal_and_environment)
{
    CHECK(colour_is_wanted(true, NULL, NULL));
    CHECK(!colour_is_wanted(false, NULL, NULL));
    CHECK(!colour_is_wanted(true, "1", NULL));
    CHECK(colour_is_wanted(true, "", NULL));
    CHECK(colour_is_wanted(false, NULL, "1"));
    CHECK(!colour_is_wanted(false, NULL, "0"));
    CHECK(!colour_is_wanted(false, "1", "1"));
    CHECK(colour_for_log(0) != colour_for_log(1));
    CHECK_INT(colour_for_log(10), colour_for_log(0));
    for (size_t i = 0; i < 20; i++)
        CHECK(colour_for_log(i) != COLOUR_RED && colour_for_log(i) != COLOUR_NONE);
}

TEST(progress_on_a_pipe_prints_one_line_per_transition)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;
    struct progress *progress;
    int fds[2];

    CHECK_OK(pipe2(fds, O_CLOEXEC), &err);
    progress = progress_new(fds[1], PROGRESS_AUTO, false);
    progress_update(progress, "image x", PROGRESS_WORKING, "pulling 1MiB");
    progress_update(progress, "image x", PROGRESS_WORKING, "pulling 2MiB");
    progress_update(progress, "web", PROGRESS_WAITING, NULL);
    progress_log(progress, "a line");
    progress_tick(progress);
    progress_update(progress, "image x", PROGRESS_DONE, "pulled");
    progress_update(progress, "image x", PROGRESS_DONE, "pulled");
    progress_update(progress, "web", PROGRESS_ERROR, NULL);
    progress_finish(progress);
    close(fds[1]);
    CHECK_OK(fs_read_all(fds[0], &out, &err), &err);
    CHECK_TEXT(buf_text(&out), "image x: pulling 1MiB\nweb: waiting\na line\nimage x: pulled\n"
                               "web: failed\n");
}

TEST(quiet_progress_prints_only_log_lines)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;
    struct progress *progress;
    int fds[2];

    CHECK_OK(pipe2(fds, O_CLOEXEC), &err);
    progress = progress_new(fds[1], PROGRESS_QUIET, false);
    progress_update(progress, "web", PROGRESS_WORKING, "starting");
    progress_log(progress, "warning");
    progress_finish(progress);
    progress_finish(NULL);
    close(fds[1]);
    CHECK_OK(fs_read_all(fds[0], &out, &err), &err);
    CHECK_TEXT(buf_text(&out), "warning\n");
}

TEST(a_frame_is_aligned_and_cut_to_the_terminal)
{
    struct progress *progress = progress_new(open("/dev/null", O_WRONLY), PROGRESS_QUIET, false);
    cleanup_buf struct buf out = BUF_INIT;
    int64_t now_ns;

    progress_update(progress, "db", PROGRESS_WAITING, NULL);
    progress_update(progress, "container web", PROGRESS_WORKING, "starting with many words");
    now_ns = clock_monotonic_ns();
    progress_print_frame(progress, now_ns, 30, 24, &out);
    CHECK_CONTAINS(buf_text(&out), " db             waiting\n");
    CHECK_CONTAINS(buf_text(&out), " container web  starting wit\n");
    progress_finish(progress);
}

TEST(a_low_terminal_shows_what_is_not_over)
{
    struct progress *progress = progress_new(open("/dev/null", O_WRONLY), PROGRESS_QUIET, false);
    cleanup_buf struct buf out = BUF_INIT;
    struct str rest, line;
    size_t n_lines = 0;

    for (int i = 0; i < 50; i++) {
        char name[] = "s00";

        name[1] = (char)('0' + i / 10);
        name[2] = (char)('0' + i % 10);
        progress_update(progress, name, i == 44 ? PROGRESS_WORKING : PROGRESS_DONE, NULL);
    }
    progress_print_frame(progress, clock_monotonic_ns(), 80, 10, &out);
    CHECK_CONTAINS(buf_text(&out), "s44");
    CHECK_CONTAINS(buf_text(&out), "and 49 more\n");
    for (rest = buf_str(&out); rest.len; n_lines++)
        str_cut(rest, '\n', &line, &rest);
    CHECK(n_lines < 10);
    progress_finish(progress);
}

/* Reads what a program wrote to its terminal. */
static void read_terminal(int fd, struct buf *out)
{
    char bytes[4096];
    ssize_t n;

    /* A pseudo terminal whose other side is closed reads as EIO. */
    while ((n = fs_read(fd, bytes, sizeof(bytes))) > 0)
        buf_add(out, bytes, (size_t)n);
}

TEST(live_progress_redraws_in_place_and_shows_the_cursor_again)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;
    struct progress *progress;
    const char *end = "\033[?25h";
    int master, terminal;

    CHECK_OK(openpty(&master, &terminal, NULL, NULL, NULL), &err);
    progress = progress_new(terminal, PROGRESS_AUTO, true);
    progress_update(progress, "web", PROGRESS_WORKING, "starting");
    progress_update(progress, "db", PROGRESS_WAITING, NULL);
    progress_log(progress, "a line");
    progress_update(progress, "web", PROGRESS_DONE, "started");
    progress_finish(progress);
    close(terminal);
    read_terminal(master, &out);
    CHECK_CONTAINS(buf_text(&out),
                   "\033[1A\033[2Ka line\r\n");       /* above the one line drawn before */
    CHECK_CONTAINS(buf_text(&out), "\033[2A\033[2K"); /* then two lines */
    CHECK_CONTAINS(buf_text(&out), "web  started");
    CHECK_TEXT(buf_text(&out) + out.len - strlen(end), end);
}

TEST(raw_mode_is_left_as_it_was_found)
{
    struct terminal_raw raw = TERMINAL_RAW_INIT;
    struct termios before, inside, after;
    struct terminal_size size = {0};
    struct error err = ERROR_INIT;
    int master, terminal;

    CHECK_OK(openpty(&master, &terminal, NULL, NULL, NULL), &err);
    CHECK(terminal_is_tty(terminal));
    CHECK(!terminal_get_size(terminal, &size));
    CHECK_OK(terminal_set_size(terminal, (struct terminal_size){.columns = 100, .rows = 30}, &err),
             &err);
    CHECK(terminal_get_size(master, &size));
    CHECK_INT(size.columns, 100);
    CHECK_INT(size.rows, 30);

    tcgetattr(terminal, &before);
    CHECK_OK(terminal_raw_enter(terminal, &raw, &err), &err);
    tcgetattr(terminal, &inside);
    CHECK(!(inside.c_lflag & (tcflag_t)(ECHO | ISIG | ICANON)));
    terminal_raw_leave(&raw);
    terminal_raw_leave(&raw);
    tcgetattr(terminal, &after);
    CHECK_INT(after.c_lflag, before.c_lflag);
    CHECK_INT(after.c_iflag, before.c_iflag);
}

TEST(a_pipe_is_no_terminal)
{
    struct terminal_raw raw = TERMINAL_RAW_INIT;
    struct terminal_size size;
    struct error err = ERROR_INIT;
    int fds[2];

    CHECK_OK(pipe2(fds, O_CLOEXEC), &err);
    CHECK(!terminal_is_tty(fds[0]));
    CHECK(!terminal_get_size(fds[0], &size));
    CHECK_FAILS(terminal_raw_enter(fds[0], &raw, &err), ERROR_SYSTEM, "ENOTTY");
}
