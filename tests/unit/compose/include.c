/* Limits of what included files may ask for. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compose/file/project.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "tests/tap.h"

static void write_file(struct arena *arena, const char *name, const char *text)
{
    const char *path = arena_printf(arena, "%s/%s", tap_temp_dir(), name);
    struct error err = ERROR_INIT;

    CHECK_OK(fs_replace(AT_FDCWD, path, text, strlen(text), 0644, FS_VOLATILE, &err), &err);
}

static void check_refused(struct arena *arena, const char *what)
{
    struct project_options options = {.working_dir = tap_temp_dir(), .stdin_fd = -1, .name = "p"};
    cleanup_buf struct buf said = BUF_INIT;
    struct diagnostics diagnostics;
    const struct project *project;
    struct error err = ERROR_INIT;

    CHECK(project_load(arena, &options, &project, &diagnostics, &err) < 0);
    diagnostics_print(&said, &diagnostics, DIAGNOSTICS_PLAIN);
    CHECK_CONTAINS(buf_text(&said), what);
}

TEST(a_long_chain_of_includes_is_refused)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    write_file(&arena, "compose.yaml", "include: [f0.yaml]\n");
    for (int i = 0; i < 60; i++)
        write_file(&arena, arena_printf(&arena, "f%d.yaml", i),
                   arena_printf(&arena, "include: [f%d.yaml]\n", i + 1));
    check_refused(&arena, "f49.yaml:1:11: error: files include each other more than 50 deep");
}

TEST(files_that_include_the_next_one_twice_are_refused)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    write_file(&arena, "compose.yaml", "include: [f0.yaml, f0.yaml]\n");
    for (int i = 0; i < 30; i++)
        write_file(&arena, arena_printf(&arena, "f%d.yaml", i),
                   arena_printf(&arena,
                                "include: [f%d.yaml, f%d.yaml]\nservices: {s%d: {image: i}}\n",
                                i + 1, i + 1, i));
    write_file(&arena, "f30.yaml", "services: {last: {image: i}}\n");
    check_refused(&arena, "extends and include lead to more than 1000 files");
}

TEST(a_directory_that_contains_itself_ends_the_chain)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    CHECK(symlink(".", arena_printf(&arena, "%s/again", tap_temp_dir())) == 0);
    write_file(&arena, "compose.yaml", "include: [again/compose.yaml]\n");
    check_refused(&arena, "Too many levels of symbolic links");
}

TEST(one_large_file_included_often_is_counted_each_time)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf text = BUF_INIT;

    for (int i = 0; i < 50000; i++)
        buf_printf(&text, "x-%d: 1\n", i);
    write_file(&arena, "large.yaml", buf_text(&text));
    write_file(&arena, "compose.yaml",
               "include: [large.yaml, large.yaml, large.yaml, large.yaml, large.yaml]\n");
    check_refused(&arena, "make a project that is too large");
}

TEST(a_large_env_file_read_by_many_services_is_refused_once)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf env = BUF_INIT;
    cleanup_buf struct buf text = BUF_INIT;

    for (int i = 0; i < 4900; i++)
        buf_printf(&env, "V%d=%0800d\n", i, i);
    buf_add_text(&text, "services:\n");
    for (int i = 0; i < 3000; i++)
        buf_printf(&text, "  s%d: {image: i, env_file: e.env}\n", i);
    write_file(&arena, "e.env", buf_text(&env));
    write_file(&arena, "compose.yaml", buf_text(&text));
    check_refused(&arena, "error: more than 64 MB of env files are read");
}

TEST(files_that_are_large_together_are_refused)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf comment = BUF_INIT;
    cleanup_buf struct buf text = BUF_INIT;

    for (int i = 0; i < 200000; i++)
        buf_add_text(&comment, "# this line says nothing, and there are many of it\n");
    buf_add_text(&text, "include:\n");
    for (int i = 0; i < 8; i++) {
        const char *name = arena_printf(&arena, "f%d.yaml", i);

        write_file(&arena, name, buf_text(&comment));
        buf_printf(&text, "  - path: [%s, empty.yaml]\n", name);
    }
    write_file(&arena, "empty.yaml", "services: {}\n");
    write_file(&arena, "compose.yaml", buf_text(&text));
    check_refused(&arena, "the files are larger than 64 MB together");
}

TEST(tagged_items_that_cost_too_much_to_compare_are_refused)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf text = BUF_INIT;

    for (int k = 0; k < 2; k++) {
        buf_printf(&text, "%sx-list:\n", k ? "---\n" : "");
        for (int i = 0; i < 3000; i++)
            buf_printf(&text, "  - %sv%d\n", k ? "!reset " : "", i);
    }
    write_file(&arena, "compose.yaml", buf_text(&text));
    check_refused(&arena, "x-list: too many tagged items");
}

static const struct project *load_fine(struct arena *arena)
{
    struct project_options options = {
        .working_dir = tap_temp_dir(), .stdin_fd = -1, .name = "p", .flags = PROJECT_ALL_RESOURCES};
    struct diagnostics diagnostics;
    const struct project *project;
    struct error err = ERROR_INIT;

    CHECK_OK(project_load(arena, &options, &project, &diagnostics, &err), &err);
    return project;
}

TEST(secrets_and_configs_of_an_included_file_keep_the_values_that_it_sees)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const struct project *project;

    CHECK(mkdir(arena_printf(&arena, "%s/sub", tap_temp_dir()), 0755) == 0);
    write_file(&arena, "compose.yaml",
               "include: [sub/compose.yaml]\n"
               "services: {a: {image: i}}\n"
               "secrets: {own: {environment: V}, none: {environment: W}, both: {labels: [a=b]}}\n");
    write_file(&arena, "sub/compose.yaml",
               "secrets: {inner: {environment: V}, both: {environment: V}, gone: {file: f}}\n"
               "configs: {inner: {environment: W}}\n");
    write_file(&arena, ".env", "V=outer\n");
    write_file(&arena, "sub/.env", "V=sub\nW=inner\n");
    project = load_fine(&arena);
    CHECK_TEXT(project_find_secret(project, "own")->value, "outer");
    CHECK(project_find_secret(project, "none")->value == NULL);
    CHECK_TEXT(project_find_secret(project, "both")->value, "outer");
    CHECK_TEXT(project_find_secret(project, "inner")->value, "outer");
    CHECK(project_find_secret(project, "gone")->value == NULL);
    CHECK_TEXT(project_find_config(project, "inner")->value, "inner");
}
