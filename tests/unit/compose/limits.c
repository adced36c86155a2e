/* Files that are made to cost much: each loads, or is refused with a clear error, within a second
 * of processor time and ARENA_MAX_BYTES. Nesting, plain alias bombs and wide models are in
 * tests/golden/compose.c. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "compose/file/project.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/path.h"
#include "tests/compose_laws.h"
#include "tests/tap.h"

/* CPU_MAX_MS: ten times what it takes here, for busy machines. */
enum { CPU_MAX_MS = 1000, ARENA_MAX_BYTES = 600 << 20 };

/* Sanitizers and debug builds are slower, and say nothing about speed. */
#ifdef BERTH_DEBUG
static const bool is_optimised = false;
#else
static const bool is_optimised = true;
#endif

static const char service[] = "services:\n  a:\n    image: b\n";

static struct arena arena; /* a test is a process: never released */

static struct project_options options_here(void)
{
    static struct pair home = {"HOME", "/home/user"};

    return (struct project_options){
        .working_dir = tap_temp_dir(), .name = "p", .environment = {&home, 1}, .stdin_fd = -1};
}

static int64_t cpu_ms(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* `wanted` is part of what is said; NULL: it loads. */
static void check_cost(int64_t start_ms, int result, const struct diagnostics *diagnostics,
                       const struct error *err, const char *wanted)
{
    int64_t spent_ms = cpu_ms() - start_ms;
    cleanup_buf struct buf said = BUF_INIT;

    diagnostics_print(&said, diagnostics, DIAGNOSTICS_PLAIN);
    if (!wanted && result < 0)
        tap_fail(TAP_HERE, "%s\n%s", err->text, buf_text(&said));
    if (wanted) {
        CHECK(result < 0);
        CHECK_CONTAINS(buf_text(&said), wanted);
    }
    if (is_optimised && spent_ms > CPU_MAX_MS)
        tap_fail(TAP_HERE, "took %lld ms", (long long)spent_ms);
    if (arena.used_bytes > ARENA_MAX_BYTES)
        tap_fail(TAP_HERE, "took %zu MB", arena.used_bytes >> 20);
}

static const struct project *check_text(const struct buf *text, const char *wanted)
{
    struct project_options options = options_here();
    struct diagnostics diagnostics;
    const struct project *project = NULL;
    struct error err = ERROR_INIT;
    int64_t start_ms = cpu_ms();
    int result = load_text(&arena, &options, buf_str(text), &project, &diagnostics, &err);

    check_cost(start_ms, result, &diagnostics, &err, wanted);
    return project;
}

static void repeat(struct buf *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_add_text(out, text);
}

static void write_file(const char *name, const struct buf *text)
{
    const char *path = path_join(&arena, tap_temp_dir(), name);
    struct error err = ERROR_INIT;

    CHECK_OK(fs_replace(AT_FDCWD, path, buf_text(text), text->len, 0644, FS_VOLATILE, &err), &err);
}

/* The file of the test's directory. */
static void check_file(const char *name, const char *wanted)
{
    struct project_options options = options_here();
    struct diagnostics diagnostics;
    const struct project *project = NULL;
    struct error err = ERROR_INIT;
    int64_t start_ms = cpu_ms();

    options.files = (struct strings){&name, 1};
    check_cost(start_ms, project_load(&arena, &options, &project, &diagnostics, &err), &diagnostics,
               &err, wanted);
}

/* ---- texts ------------------------------------------------------------------------------------
 */

TEST(a_text_of_a_megabyte_is_taken)
{
    cleanup_buf struct buf text = BUF_INIT;

    buf_add_text(&text, service);
    buf_add_text(&text, "    working_dir: \"/");
    repeat(&text, "w", 1 << 20);
    buf_add_text(&text, "\"\n    command: |\n");
    repeat(&text, "      word word word\n", 50000);
    CHECK_INT(check_text(&text, NULL)->services[0].command.argv.n, 150000);
}

TEST(errors_about_a_text_of_a_megabyte_are_short)
{
    static const char *const keys[] = {"restart", "ports", "mem_limit", "volumes", "environment"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        cleanup_buf struct buf text = BUF_INIT;
        struct project_options options = options_here();
        struct diagnostics diagnostics;
        const struct project *project = NULL;
        cleanup_buf struct buf said = BUF_INIT;
        struct error err = ERROR_INIT;

        buf_printf(&text, "%s    %s: [{a: \"", service, keys[i]);
        repeat(&text, "w", 1 << 20);
        buf_add_text(&text, "\"}]\n");
        CHECK(load_text(&arena, &options, buf_str(&text), &project, &diagnostics, &err) < 0);
        diagnostics_print(&said, &diagnostics, DIAGNOSTICS_PLAIN);
        CHECK(said.len < 5000);
    }
}

TEST(a_long_text_that_many_aliases_repeat_is_refused)
{
    cleanup_buf struct buf text = BUF_INIT;

    buf_add_text(&text, "x-t: &t \"");
    repeat(&text, "y", 100000);
    buf_printf(&text, "\"\n%s    command: [*t", service);
    repeat(&text, ", *t", 50000);
    buf_add_text(&text, "]\n");
    (void)check_text(&text, "too large");
}

TEST(a_long_key_that_many_aliases_repeat_is_refused)
{
    cleanup_buf struct buf text = BUF_INIT;

    buf_add_text(&text, "x-t: &t {? \"");
    repeat(&text, "y", 100000);
    buf_add_text(&text, "\" : 1}\nx-u: [*t");
    repeat(&text, ", *t", 50000);
    buf_add_text(&text, "]\n");
    buf_add_text(&text, service);
    (void)check_text(&text, "too large");
}

/* ---- interpolation ----------------------------------------------------------------------------
 */

TEST(ten_thousand_nested_interpolations_are_refused)
{
    cleanup_buf struct buf closed = BUF_INIT;
    cleanup_buf struct buf open = BUF_INIT;

    buf_printf(&closed, "%s    user: \"", service);
    repeat(&closed, "${A:-", 10000);
    repeat(&closed, "}", 10000);
    buf_add_text(&closed, "\"\n");
    buf_printf(&open, "%s    user: \"", service);
    repeat(&open, "${A:-", 10000);
    buf_add_text(&open, "\"\n");
    (void)check_text(&closed, "nested more than");
    (void)check_text(&open, "is not closed");
}

TEST(fifty_thousand_interpolated_values_are_taken)
{
    cleanup_buf struct buf text = BUF_INIT;

    buf_printf(&text, "%s    environment:\n", service);
    for (int i = 0; i < 50000; i++)
        buf_printf(&text, "      K%d: ${A%d:-${B%d-x}}\n", i, i, i);
    CHECK_INT(check_text(&text, NULL)->services[0].environment.n, 50000);
}

TEST(a_value_that_expands_to_more_than_a_megabyte_is_refused)
{
    cleanup_buf struct buf text = BUF_INIT;

    buf_printf(&text, "%s    user: \"", service);
    repeat(&text, "$HOME", 200000);
    buf_add_text(&text, "\"\n");
    (void)check_text(&text, "expands to more than 1048576 bytes");
}

/* ---- sizes ------------------------------------------------------------------------------------
 */

TEST(a_file_of_a_hundred_megabytes_is_refused)
{
    cleanup_fd int fd = open(path_join(&arena, tap_temp_dir(), "compose.yaml"),
                             O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

    CHECK(ftruncate(fd, 100 << 20) == 0);
    check_file("compose.yaml", "compose.yaml is larger than 10 MB");
}

TEST(a_hundred_thousand_services_are_refused)
{
    cleanup_buf struct buf text = BUF_INIT;

    buf_add_text(&text, "services:\n");
    for (int i = 0; i < 100000; i++)
        buf_printf(&text, "  s%d: {image: b}\n", i);
    (void)check_text(&text, "more than 50000 services");
}

TEST(twenty_thousand_services_in_a_row_are_taken)
{
    cleanup_buf struct buf text = BUF_INIT;

    buf_add_text(&text, "services:\n  s0: {image: b}\n");
    for (int i = 1; i < 20000; i++)
        buf_printf(&text, "  s%d: {image: b, depends_on: [s%d]}\n", i, i - 1);
    CHECK_INT(check_text(&text, NULL)->n_services, 20000);
}

TEST(more_than_a_thousand_address_pools_are_not_merged)
{
    cleanup_buf struct buf text = BUF_INIT;

    buf_printf(&text, "%snetworks: {n: {ipam: {config: [", service);
    repeat(&text, "{gateway: 10.0.0.1}, ", 1001);
    buf_add_text(&text, "]}}}\n---\nnetworks: {n: {ipam: {config: [{gateway: 10.0.0.1}]}}}\n");
    (void)check_text(&text, "more than 1000 address pools");
}

TEST(an_env_file_of_too_many_variables_is_refused)
{
    cleanup_buf struct buf text = BUF_INIT, env = BUF_INIT;

    buf_printf(&text, "%s    env_file: many.env\n", service);
    repeat(&env, "A=\n", 5001);
    write_file("compose.yaml", &text);
    write_file("many.env", &env);
    check_file("compose.yaml", "too many variables in one file");
}

TEST(more_than_a_hundred_compose_files_are_refused)
{
    static const char *names[101];
    struct project_options options = options_here();
    struct diagnostics diagnostics;
    const struct project *project = NULL;
    struct error err = ERROR_INIT;
    int64_t start_ms = cpu_ms();

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        names[i] = "compose.yaml";
    options.files = (struct strings){names, sizeof(names) / sizeof(names[0])};
    check_cost(start_ms, project_load(&arena, &options, &project, &diagnostics, &err), &diagnostics,
               &err, "more than 100 compose files");
}

TEST(a_thousand_documents_that_each_add_much_are_refused)
{
    cleanup_buf struct buf text = BUF_INIT;

    for (int i = 0; i < 600; i++) {
        buf_add_text(&text, "---\nservices: {a: {image: b, environment: {");
        for (int k = 0; k < 200; k++)
            buf_printf(&text, "K%dx%d: v, ", k, i);
        buf_add_text(&text, "}}}\n");
    }
    (void)check_text(&text, "merged into each other are too many");
}

TEST(a_thousand_documents_that_each_add_little_are_taken)
{
    cleanup_buf struct buf text = BUF_INIT;

    for (int i = 0; i < 900; i++)
        buf_printf(&text, "---\nservices: {s%d: {image: b, environment: {K%d: v}}}\n", i % 300, i);
    CHECK_INT(check_text(&text, NULL)->n_services, 300);
}

/* ---- files that lead to others ----------------------------------------------------------------
 */

TEST(circles_of_files_are_refused)
{
    cleanup_buf struct buf includes = BUF_INIT;
    cleanup_buf struct buf extends = BUF_INIT;

    buf_add_text(&includes, "include: [a.yaml]\n");
    buf_add_text(&includes, service);
    write_file("a.yaml", &includes);
    buf_add_text(&extends, "services: {a: {image: b, extends: {service: a, file: b.yaml}}}\n");
    write_file("b.yaml", &extends);
    check_file("a.yaml", "include cycle detected");
    check_file("b.yaml", "extends cycle detected");
}

TEST(long_chains_of_files_and_services_are_refused)
{
    cleanup_buf struct buf services = BUF_INIT;

    for (int i = 0; i < 200; i++) {
        cleanup_buf struct buf text = BUF_INIT;

        buf_printf(&text, "include: [%d.yaml]\nservices: {s%d: {image: b}}\n", i + 1, i);
        write_file(arena_printf(&arena, "%d.yaml", i), &text);
    }
    buf_add_text(&services, "services:\n");
    for (int i = 0; i < 10000; i++)
        buf_printf(&services, "  s%d: {image: b, extends: s%d}\n", i, i + 1);
    buf_add_text(&services, "  s10000: {image: b}\n");
    check_file("0.yaml", "include each other more than");
    (void)check_text(&services, "services extend each other");
}

TEST(files_that_include_two_others_each_are_refused)
{
    cleanup_buf struct buf last = BUF_INIT;

    buf_add_text(&last, service);
    write_file("a30.yaml", &last);
    for (int i = 0; i < 30; i++) {
        cleanup_buf struct buf text = BUF_INIT;

        buf_printf(&text,
                   "include: [a%d.yaml, {path: a%d.yaml, project_directory: .}, a%d.yaml]\n"
                   "services: {s%d: {image: b}}\n",
                   i + 1, i + 1, i + 1, i);
        write_file(arena_printf(&arena, "a%d.yaml", i), &text);
    }
    check_file("a0.yaml", "lead to more than 1000 files");
}
