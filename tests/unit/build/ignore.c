/* .dockerignore rules, and the patterns behind them. */

#include "engine/build/ignore.h"

#include "engine/base/arena.h"
#include "tests/tap.h"

struct match_case {
    const char *pattern, *path;
    bool want;
};

static const struct match_case ignore_cases[] = {
    {"a", "a", true},
    {"a", "ab", false},
    {"a/b", "a/b", true},
    {"*", "a", true},
    {"*", "a/b", false},
    {"*.go", "x.go", true},
    {"*.go", "x/y.go", false},
    {"?", "a", true},
    {"?", "/", false},
    {"a?c", "abc", true},
    {"**", "a", true},
    {"**", "a/b/c", true},
    {"**/foo", "foo", true},
    {"**/foo", "a/b/foo", true},
    {"**/foo", "barfoo", false},
    {"**foo", "barfoo", true},
    {"**foo", "x/barfoo", true},
    {"dir/**", "dir/a", true},
    {"dir/**", "dir/a/b", true},
    {"dir/**", "dir", false},
    {"dir/**", "dirt/a", false},
    {"a/**/b", "a/b", true},
    {"a/**/b", "a/x/y/b", true},
    {"a/**/b", "a/xb", false},
    {"a**b", "ab", true},
    {"a**b", "ax/b", true},
    {"a**b", "axb", false},
    {"**/*.txt", "x.txt", true},
    {"**/*.txt", "a/b/x.txt", true},
    {"**/*.txt", "a/b/x.txtt", false},
    {"[a-c]x", "bx", true},
    {"[a-c]x", "dx", false},
    {"[^a-c]x", "dx", true},
    {"[^a-c]x", "/x", false},
    {"[]a]", "]", true},
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"\\d", "d", true},
    {"a.b", "axb", false},
    {"(a)|b+$", "(a)|b+$", true},
};

TEST(patterns_match_as_moby_does)
{
    for (size_t i = 0; i < sizeof(ignore_cases) / sizeof(ignore_cases[0]); i++) {
        const struct match_case *c = &ignore_cases[i];
        cleanup_arena struct arena arena = ARENA_INIT;
        struct path_pattern pattern;
        struct error err = ERROR_INIT;
        CHECK_OK(path_pattern_parse(&arena, c->pattern, PATTERN_IGNORE, &pattern, &err), &err);
        if (path_pattern_matches(&pattern, c->path) != c->want)
            tap_fail(TAP_HERE, "\"%s\" and \"%s\": want %d", c->pattern, c->path, c->want);
    }
}

TEST(a_double_star_of_copy_is_a_star)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct path_pattern pattern;
    struct error err = ERROR_INIT;

    CHECK_OK(path_pattern_parse(&arena, "**.c", PATTERN_GLOB, &pattern, &err), &err);
    CHECK(path_pattern_matches(&pattern, "x.c"));
    CHECK(!path_pattern_matches(&pattern, "a/x.c"));
}

TEST(broken_patterns_are_refused)
{
    static const char *const patterns[] = {"[a", "[", "[a-", "a\\", "[\\"};

    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        cleanup_arena struct arena arena = ARENA_INIT;
        struct path_pattern pattern;
        struct error err = ERROR_INIT;
        CHECK_FAILS(path_pattern_parse(&arena, patterns[i], PATTERN_IGNORE, &pattern, &err),
                    ERROR_INVALID, "the pattern");
    }
}

TEST(a_pattern_made_to_explode_costs_little)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct path_pattern pattern;
    struct error err = ERROR_INIT;
    char text[801], path[4001];

    for (size_t i = 0; i < 800; i += 2)
        memcpy(text + i, "*a", 3);
    memset(path, 'a', 4000);
    path[3999] = 'b';
    path[4000] = '\0';
    CHECK_OK(path_pattern_parse(&arena, text, PATTERN_IGNORE, &pattern, &err), &err);
    CHECK(!path_pattern_matches(&pattern, path));
}

struct ignore_case {
    const char *rules, *path;
    bool want;
};

static const struct ignore_case rule_cases[] = {
    {"", "a", false},
    {"a", "a", true},
    {"a", "a/b/c", true},
    {"/a", "a", true},
    {"a/", "a/b", true},
    {"./a/../b", "b", true},
    {"# a\na", "a", true},
    {" # x", "# x", true},
    {"\r\na\r\n", "a", true},
    {"*\n!keep", "keep", false},
    {"*\n!keep", "other", true},
    {"*\n!keep", "keep/below", false},
    {"!keep\n*", "keep", true},
    {"dir\n!dir/keep", "dir/keep", false},
    {"dir\n!dir/keep", "dir/other", true},
    {"**/*.md\n!README.md", "README.md", false},
    {"**/*.md\n!README.md", "doc/README.md", true},
    {"*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true},
    {"*.md\n!README*.md\nREADME-secret.md", "README-x.md", false},
    {"! a \na", "a", true},
    {"a\n! a ", "a", false},
    {"/", "a", false},
};

TEST(the_last_rule_that_changes_something_wins)
{
    for (size_t i = 0; i < sizeof(rule_cases) / sizeof(rule_cases[0]); i++) {
        const struct ignore_case *c = &rule_cases[i];
        cleanup_arena struct arena arena = ARENA_INIT;
        struct ignore ignore;
        struct error err = ERROR_INIT;
        CHECK_OK(ignore_parse(&arena, ".dockerignore", str_from(c->rules), &ignore, &err), &err);
        uint8_t *marks = arena_alloc(&arena, ignore.n + 1);
        if (ignore_excludes_path(&arena, &ignore, c->path, marks) != c->want)
            tap_fail(TAP_HERE, "\"%s\" and \"%s\": want %d", c->rules, c->path, c->want);
    }
}

TEST(a_bad_rule_is_named_with_its_line)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct ignore ignore;
    struct error err = ERROR_INIT;

    CHECK_FAILS(ignore_parse(&arena, ".dockerignore", STR("a\n!\n"), &ignore, &err), ERROR_INVALID,
                ".dockerignore:2: a lone \"!\"");
    CHECK_FAILS(ignore_parse(&arena, ".dockerignore", STR("[x\n"), &ignore, &err), ERROR_INVALID,
                ".dockerignore:1: the pattern");
}

TEST(directories_are_pruned_only_if_nothing_below_can_come_back)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct ignore ignore;
    struct error err = ERROR_INIT;

    CHECK_OK(ignore_parse(&arena, "i", STR("*\n!src/a/b\n!**/x\n"), &ignore, &err), &err);
    CHECK(ignore_may_have_exceptions_below(&ignore, "src"));
    CHECK(ignore_may_have_exceptions_below(&ignore, "other")); /* because of the second one */
    CHECK_OK(ignore_parse(&arena, "i", STR("*\n!src/a/b\n"), &ignore, &err), &err);
    CHECK(ignore_may_have_exceptions_below(&ignore, "src"));
    CHECK(ignore_may_have_exceptions_below(&ignore, "src/a"));
    CHECK(!ignore_may_have_exceptions_below(&ignore, "srcs"));
    CHECK(!ignore_may_have_exceptions_below(&ignore, "other"));
}
