/* What the loader makes of Compose files.
 *
 * tests/golden/compose/CASE/ holds compose.yaml and what else the case needs; `args` (optional)
 * says how it is loaded, a word and a value per line; want.txt is the diagnostics, the printed
 * project, and what `up` would refuse of it. tests/golden/compose-bad/NAME.yaml are files that must
 * be refused at a line; want.txt there lists what is said about each. GOLDEN_ACCEPT=1 rewrites
 * both. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "compose/file/explain.h"
#include "compose/file/project.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/path.h"
#include "tests/compose_args.h"
#include "tests/explain_laws.h"
#include "tests/tap.h"

static const char good_dir[] = "tests/golden/compose";
static const char bad_dir[] = "tests/golden/compose-bad";

enum { ARGS_MAX = 50, BAD_CPU_MAX_MS = 300 };

struct request {
    struct project_options options;
    const char *items[6][ARGS_MAX];
    struct pair environment[ARGS_MAX];
    bool is_json;
    bool has_selinux;       /* the kernel that `up` would run on */
    struct strings explain; /* paths: explained instead of printing the project */
    const char *stdin_file;
};

static const char *root_dir(struct arena *arena)
{
    static char root[4000];

    CHECK(getcwd(root, sizeof(root)) != NULL);
    return arena_strdup(arena, root);
}

static void add(struct strings *list, const char **items, const char *value)
{
    CHECK(list->n < ARGS_MAX);
    list->items = items;
    items[list->n++] = value;
}

static void add_variable(struct request *request, struct arena *arena, struct str definition)
{
    struct str name;
    struct str value = {0};

    (void)str_cut(definition, '=', &name, &value);
    CHECK(request->options.environment.n < ARGS_MAX);
    request->environment[request->options.environment.n++] = (struct pair){
        arena_strndup(arena, name.data, name.len), arena_strndup(arena, value.data, value.len)};
}

static void read_arg(struct request *request, struct arena *arena, struct str line)
{
    struct project_options *options = &request->options;
    struct str word;
    struct str rest = {0};
    const char *value;

    (void)str_cut(line, ' ', &word, &rest);
    value = arena_strndup(arena, rest.data ? rest.data : "", rest.len);
    if (str_is(word, "file"))
        add(&options->files, request->items[0], value);
    else if (str_is(word, "profile"))
        add(&options->profiles, request->items[1], value);
    else if (str_is(word, "env-file"))
        add(&options->env_files, request->items[2], value);
    else if (str_is(word, "service"))
        add(&options->services, request->items[3], value);
    else if (str_is(word, "env"))
        add_variable(request, arena, rest);
    else if (str_is(word, "name"))
        options->name = value;
    else if (str_is(word, "dir"))
        options->project_directory = value;
    else if (str_is(word, "in"))
        options->working_dir = path_join(arena, options->working_dir, value);
    else if (str_is(word, "stdin"))
        request->stdin_file = value;
    else if (str_is(word, "explain"))
        add(&request->explain, request->items[4], value);
    else if (args_flag(word) != 0)
        options->flags |= args_flag(word);
    else if (str_is(word, "json"))
        request->is_json = true;
    else if (str_is(word, "selinux"))
        request->has_selinux = true;
    else
        tap_fail(TAP_HERE, "unknown word in args: " STR_FMT, STR_ARG(line));
}

static void read_request(struct request *request, struct arena *arena, const char *case_dir)
{
    cleanup_buf struct buf args = BUF_INIT;
    struct str rest;

    request->options.working_dir = case_dir;
    request->options.stdin_fd = -1;
    request->options.environment.items = request->environment;
    add_variable(request, arena, STR("HOME=/home/user"));
    (void)fs_read_file(AT_FDCWD, path_join(arena, case_dir, "args"), 10000, &args, NULL);
    rest = buf_str(&args);
    while (rest.len > 0) {
        struct str line;
        struct str tail = {0};

        if (!str_cut(rest, '\n', &line, &tail))
            line = rest;
        if (line.len > 0)
            read_arg(request, arena,
                     (struct str){arena_strndup(arena, line.data, line.len), line.len});
        rest = tail;
    }
    if (request->stdin_file) {
        request->options.stdin_fd =
            open(path_join(arena, case_dir, request->stdin_file), O_RDONLY | O_CLOEXEC);
        CHECK(request->options.stdin_fd >= 0);
    }
}

static void print_project(struct buf *out, const struct project *project, bool is_json)
{
    if (is_json)
        project_print_json(out, project);
    else
        project_print_yaml(out, project);
}

static void explain(struct arena *arena, const struct project *project,
                    const struct request *request, struct buf *out)
{
    for (size_t i = 0; i < request->explain.n; i++) {
        struct explanation explanation;
        struct error err = ERROR_INIT;

        buf_add_text(out, i > 0 ? "\n" : "");
        if (project_explain(arena, project, request->explain.items[i], &explanation, &err) < 0)
            buf_printf(out, "%s: failed (%s): %s\n", request->explain.items[i],
                       err.code == ERROR_NOT_FOUND ? "not found" : "other", err.text);
        else if (request->is_json)
            explanation_print_json(out, project, &explanation);
        else
            explanation_print(out, project, &explanation, DIAGNOSTICS_PLAIN);
    }
}

/* The text with the checkout's own directory written as /CASES. */
static void replace_dir(struct buf *text, const char *dir)
{
    struct buf replaced = BUF_INIT;
    const char *from = buf_text(text);
    const char *found;

    while ((found = strstr(from, dir))) {
        buf_add(&replaced, from, (size_t)(found - from));
        buf_add_text(&replaced, "/CASES");
        from = found + strlen(dir);
    }
    buf_add_text(&replaced, from);
    buf_release(text);
    *text = replaced;
}

/* Loads a printed project in the place of its files. */
static int load_printed(struct arena *arena, const struct request *request, unsigned flags,
                        const struct project *project, const struct buf *text,
                        const struct project **ret, struct error *err)
{
    cleanup_fd int fd = memfd_create("compose", MFD_CLOEXEC);
    struct project_options options = request->options;
    struct diagnostics diagnostics;
    const char *minus = "-";

    CHECK(fd >= 0);
    CHECK_OK(fs_write_all(fd, text->data, text->len, err), err);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    options.files = (struct strings){.items = &minus, .n = 1};
    options.project_directory = project->directory;
    options.stdin_fd = fd;
    options.flags = flags;
    options.environment = project->environment;
    return project_load(arena, &options, ret, &diagnostics, err);
}

/* `text`, loaded with `flags`, must print as `want`. */
static bool prints(struct arena *arena, const struct request *request, unsigned flags,
                   const struct project *project, const struct buf *text, const struct buf *want,
                   const char *what)
{
    cleanup_buf struct buf got = BUF_INIT;
    const struct project *again;
    struct error err = ERROR_INIT;

    if (load_printed(arena, request, flags, project, text, &again, &err) < 0) {
        fprintf(stderr, "# %s: what we print does not load: %s\n%s", what, err.text,
                buf_text(text));
        return false;
    }
    print_project(&got, again, want->data && want->data[0] == '{');
    if (strcmp(buf_text(want), buf_text(&got)) == 0)
        return true;
    fprintf(stderr, "# %s: printed, loaded and printed again:\n%s# instead of:\n%s", what,
            buf_text(&got), buf_text(want));
    return false;
}

/* What is printed must load, and print the same again: as YAML, as JSON; and what is printed
 * without variables filled in must become the same once they are. */
static bool loads_again(struct arena *arena, const struct request *request,
                        const struct project *project, const char *case_name)
{
    cleanup_buf struct buf yaml = BUF_INIT, json = BUF_INIT, raw = BUF_INIT;
    struct project_options options = request->options;
    unsigned flags = options.flags;
    struct diagnostics diagnostics;
    const struct project *uninterpolated;
    struct error err = ERROR_INIT;
    bool is_good;

    print_project(&yaml, project, false);
    print_project(&json, project, true);
    is_good = prints(arena, request, flags, project, &yaml, &yaml, case_name) &&
              prints(arena, request, flags, project, &json, &json, case_name);
    if (!is_good || request->stdin_file || flags & ~(unsigned)PROJECT_WITH_DEPENDENCIES)
        return is_good;
    options.flags = flags | PROJECT_NO_INTERPOLATE;
    if (project_load(arena, &options, &uninterpolated, &diagnostics, &err) < 0) {
        fprintf(stderr, "# %s: does not load without interpolation: %s\n", case_name, err.text);
        return false;
    }
    print_project(&raw, uninterpolated, false);
    if (!prints(arena, request, flags, project, &raw, &yaml, case_name))
        return false;
    buf_clear(&raw);
    print_project(&raw, uninterpolated, true);
    return prints(arena, request, flags, project, &raw, &json, case_name);
}

/* ---- explanations -----------------------------------------------------------------------------
 */

/* With its history the project is the same, and everything in it has an explanation. */
static bool explains_all(struct arena *arena, const struct request *request,
                         const struct project *project, const char *case_name)
{
    cleanup_buf struct buf without = BUF_INIT, with = BUF_INIT;
    struct project_options options = request->options;
    struct diagnostics diagnostics;
    const struct project *traced;
    const char *broken;
    struct error err = ERROR_INIT;

    if (request->stdin_file)
        return true;
    options.flags |= PROJECT_WITH_HISTORY;
    CHECK_OK(project_load(arena, &options, &traced, &diagnostics, &err), &err);
    print_project(&without, project, false);
    print_project(&with, traced, false);
    CHECK_TEXT(buf_text(&with), buf_text(&without));
    broken = law_explains(arena, traced);
    if (!broken)
        return true;
    fprintf(stderr, "# %s: %s\n", case_name, broken);
    return false;
}

static bool compare(struct arena *arena, const char *want_path, const struct buf *got,
                    const char *name)
{
    cleanup_buf struct buf want = BUF_INIT;
    struct error err = ERROR_INIT;

    if (getenv("GOLDEN_ACCEPT")) {
        CHECK_OK(fs_replace(AT_FDCWD, want_path, buf_text(got), got->len, 0644, FS_VOLATILE, &err),
                 &err);
        return true;
    }
    (void)arena;
    (void)fs_read_file(AT_FDCWD, want_path, 10 << 20, &want, NULL);
    if (strcmp(buf_text(got), buf_text(&want)) == 0)
        return true;
    fprintf(stderr, "# %s: want:\n%s# got:\n%s", name, buf_text(&want), buf_text(got));
    return false;
}

/* What making containers would refuse. */
static void print_refused(struct buf *out, struct arena *arena, const struct request *request,
                          const struct project *project)
{
    enum project_use use = request->has_selinux ? PROJECT_USE_UP_SELINUX : PROJECT_USE_UP;
    struct diagnostics diagnostics;
    struct error err = ERROR_INIT;

    if (project_refuse_unhonoured(arena, project, use, &diagnostics, &err) == 0)
        return;
    buf_printf(out, "--- up: %s\n", err.text);
    diagnostics_print(out, &diagnostics, DIAGNOSTICS_PLAIN);
}

static bool run_case(const char *cases_dir, const char *name)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf got = BUF_INIT;
    const char *case_dir = path_join(&arena, cases_dir, name);
    struct request request = {.is_json = false};
    struct diagnostics diagnostics;
    const struct project *project = NULL;
    struct error err = ERROR_INIT;
    bool is_same = true;

    read_request(&request, &arena, case_dir);
    if (request.explain.n > 0)
        request.options.flags |= PROJECT_WITH_HISTORY | PROJECT_ALL_RESOURCES;
    if (project_load(&arena, &request.options, &project, &diagnostics, &err) < 0)
        buf_printf(&got, "failed (%s): %s\n", err.code == ERROR_INVALID ? "invalid" : "other",
                   err.text);
    diagnostics_print(&got, &diagnostics, DIAGNOSTICS_PLAIN);
    if (project) {
        buf_add_text(&got, got.len > 0 ? "---\n" : "");
        if (request.explain.n > 0)
            explain(&arena, project, &request, &got);
        else
            print_project(&got, project, request.is_json);
        is_same = loads_again(&arena, &request, project, name) &&
                  explains_all(&arena, &request, project, name);
    }
    if (project)
        print_refused(&got, &arena, &request, project);
    replace_dir(&got, cases_dir);
    if (request.options.stdin_fd >= 0)
        (void)close(request.options.stdin_fd); /* read-only */
    return compare(&arena, path_join(&arena, case_dir, "want.txt"), &got, name) && is_same;
}

TEST(projects_print_as_accepted_and_load_again_as_printed)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const char *cases_dir = path_join(&arena, root_dir(&arena), good_dir);
    struct strings cases = {0};
    struct error err = ERROR_INIT;
    size_t n_failed = 0;

    CHECK_OK(fs_list(AT_FDCWD, good_dir, &arena, &cases, &err), &err);
    for (size_t i = 0; i < cases.n; i++)
        n_failed += !run_case(cases_dir, cases.items[i]);
    CHECK(cases.n >= 60);
    CHECK_INT(n_failed, 0);
}

/* ---- files that must be refused ---------------------------------------------------------------
 */

static int64_t cpu_ns(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Sanitizers and debug builds are slower, and say nothing about speed. */
static bool is_optimised(void)
{
#ifdef BERTH_DEBUG
    return false;
#else
    return true;
#endif
}

static bool has_line(const struct diagnostics *diagnostics)
{
    for (size_t i = 0; i < diagnostics->n; i++) {
        if (diagnostics->items[i].severity == SEVERITY_ERROR && diagnostics->items[i].span.line > 0)
            return true;
    }
    return false;
}

/* Loads one file that must be refused, quickly, at a line; prints what was said. */
static bool refuses(const char *dir, const char *file, int stdin_fd, const char *name,
                    struct buf *out)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct pair home = {"HOME", "/home/user"};
    struct project_options options = {
        .files = {.items = &file, .n = 1},
        .working_dir = dir,
        .environment = {&home, 1},
        .stdin_fd = stdin_fd,
        .name = "bad",
    };
    struct diagnostics diagnostics;
    const struct project *project;
    struct error err = ERROR_INIT;
    int64_t start = cpu_ns();
    int result = project_load(&arena, &options, &project, &diagnostics, &err);
    int64_t spent_ms = (cpu_ns() - start) / 1000000;

    diagnostics_print(out, &diagnostics, DIAGNOSTICS_PLAIN);
    if (result == 0 || err.code != ERROR_INVALID || !has_line(&diagnostics)) {
        fprintf(stderr, "# %s: %s: %s\n", name,
                result == 0 ? "was taken" : "was refused without a line", err.text);
        return false;
    }
    if (is_optimised() && spent_ms > BAD_CPU_MAX_MS) {
        fprintf(stderr, "# %s: took %lld ms\n", name, (long long)spent_ms);
        return false;
    }
    return true;
}

TEST(malformed_files_are_refused_at_a_line_within_100_ms)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf got = BUF_INIT;
    const char *dir = path_join(&arena, root_dir(&arena), bad_dir);
    struct strings files = {0};
    struct error err = ERROR_INIT;
    size_t n_failed = 0;
    size_t n_files = 0;

    CHECK_OK(fs_list(AT_FDCWD, bad_dir, &arena, &files, &err), &err);
    for (size_t i = 0; i < files.n; i++) {
        if (!text_ends_with(files.items[i], ".yaml"))
            continue;
        n_files++;
        buf_printf(&got, "== %s\n", files.items[i]);
        n_failed += !refuses(dir, files.items[i], -1, files.items[i], &got);
    }
    replace_dir(&got, dir);
    CHECK(n_files >= 100);
    CHECK_INT(n_failed, 0);
    CHECK(compare(&arena, path_join(&arena, dir, "want.txt"), &got, "compose-bad"));
}

static bool refuses_text(const struct buf *text, const char *name, const char *part)
{
    cleanup_fd int fd = memfd_create("compose", MFD_CLOEXEC);
    cleanup_buf struct buf said = BUF_INIT;
    struct error err = ERROR_INIT;
    bool is_refused;

    CHECK(fd >= 0);
    CHECK_OK(fs_write_all(fd, buf_text(text), text->len, &err), &err);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    is_refused = refuses("/", "-", fd, name, &said);
    if (is_refused)
        CHECK_CONTAINS(buf_text(&said), part);
    return is_refused;
}

static void repeat(struct buf *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_add_text(out, text);
}

TEST(deep_nesting_is_refused)
{
    static const char *const openers[] = {"[", "{a: ", "- ", "- ? ", "[a, [b, {c: "};

    for (size_t i = 0; i < sizeof(openers) / sizeof(openers[0]); i++) {
        cleanup_buf struct buf text = BUF_INIT;

        buf_add_text(&text, i < 2 || i == 4 ? "x-a: " : "x-a:\n  ");
        repeat(&text, openers[i], 100000);
        CHECK(refuses_text(&text, openers[i], i == 3 ? "error:" : "levels deep"));
    }
}

TEST(alias_bombs_are_refused)
{
    cleanup_buf struct buf wide = BUF_INIT;
    cleanup_buf struct buf maps = BUF_INIT;
    cleanup_buf struct buf many = BUF_INIT;

    buf_add_text(&wide, "x-a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    buf_add_text(&maps, "x-a0: &a0 {k: v}\n");
    for (int i = 1; i < 60; i++) {
        buf_printf(&wide, "x-a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i,
                   i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
        buf_printf(&maps, "x-a%d: &a%d\n  <<: *a%d\n  k%d: *a%d\n  l%d: *a%d\n", i, i, i - 1, i,
                   i - 1, i, i - 1);
    }
    for (int i = 0; i < 100000; i++)
        buf_printf(&many, "x-b%d: &b%d y\n", i, i);
    CHECK(refuses_text(&wide, "wide", "too large"));
    CHECK(refuses_text(&maps, "maps", "too large"));
    CHECK(refuses_text(&many, "many", "anchors"));
}

TEST(large_files_are_refused_quickly)
{
    cleanup_buf struct buf items = BUF_INIT;
    cleanup_buf struct buf keys = BUF_INIT;
    cleanup_buf struct buf doubles = BUF_INIT;
    cleanup_buf struct buf flow = BUF_INIT;

    buf_add_text(&items, "services:\n  a:\n    image: b\n    cap_add:\n");
    repeat(&items, "    - x\n", 1200000);
    for (int i = 0; i < 300000; i++)
        buf_printf(&keys, "x-%d: 1\n", i);
    repeat(&doubles, "a: 1\n", 100000);
    buf_add_text(&flow, "x-a: [");
    repeat(&flow, "a,", 4000000);
    CHECK(refuses_text(&items, "items", "too large"));
    CHECK(refuses_text(&keys, "keys", "too large"));
    CHECK(refuses_text(&doubles, "doubles", "already defined"));
    CHECK(refuses_text(&flow, "flow", "too large"));
}

TEST(wide_models_are_refused_quickly)
{
    cleanup_buf struct buf ports = BUF_INIT;
    cleanup_buf struct buf edges = BUF_INIT;
    cleanup_buf struct buf dollars = BUF_INIT;

    buf_add_text(&ports, "x-p: &p [\"1-65535:1-65535\"]\nservices:\n");
    for (int i = 0; i < 500; i++)
        buf_printf(&ports, "  s%d: {image: x, ports: *p}\n", i);
    buf_add_text(&edges, "services:\n");
    for (int i = 0; i < 5000; i++)
        buf_printf(&edges, "  s%d: {image: x, depends_on: [s0, s%d, no%d]}\n", i, (i + 1) % 5000,
                   i);
    buf_add_text(&dollars, "x-a: \"");
    repeat(&dollars, "$X", 3000000);
    buf_add_text(&dollars, "\"\n");
    CHECK(refuses_text(&ports, "ports", "more than 70000 ports"));
    CHECK(refuses_text(&edges, "edges", "more errors"));
    CHECK(refuses_text(&dollars, "dollars", "longer than 1048576 bytes"));
}

TEST(a_file_above_the_size_limit_is_refused_unread)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_fd int dir = open(tap_temp_dir(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    cleanup_fd int fd = openat(dir, "compose.yaml", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    struct project_options options = {.working_dir = tap_temp_dir(), .stdin_fd = -1};
    struct diagnostics diagnostics;
    const struct project *project;
    struct error err = ERROR_INIT;
    int64_t start;

    CHECK(ftruncate(fd, 100 << 20) == 0);
    start = cpu_ns();
    CHECK_FAILS(project_load(&arena, &options, &project, &diagnostics, &err), ERROR_INVALID,
                "compose.yaml is larger than 10 MB");
    CHECK((cpu_ns() - start) / 1000000 < BAD_CPU_MAX_MS);
}

TEST(every_byte_of_a_file_can_be_broken)
{
    cleanup_buf struct buf good = BUF_INIT;
    struct error err = ERROR_INIT;

    CHECK_OK(fs_read_file(AT_FDCWD, "tests/golden/compose/kitchen-sink/compose.yaml", 100000, &good,
                          &err),
             &err);
    for (size_t i = 0; i < good.len; i += 7) {
        cleanup_buf struct buf bad = BUF_INIT;

        buf_add(&bad, good.data, good.len);
        bad.data[i] = '\0';
        CHECK(refuses_text(&bad, "NUL", "NUL byte"));
        bad.data[i] = '\xff';
        CHECK(refuses_text(&bad, "0xff", "not valid UTF-8"));
    }
}
