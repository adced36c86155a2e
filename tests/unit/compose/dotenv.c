/* dotenv.h */

#include "compose/file/dotenv.h"

#include "compose/file/interpolate.h"
#include "compose/file/report.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "tests/tap.h"

static int parse(struct arena *arena, const char *text, enum dotenv_format format, struct buf *out)
{
    cleanup_report struct report report;
    struct pair outer_items[] = {{"HOME", "/home/user"}, {"SHELL", "outer"}};
    struct pair earlier_items[] = {{"EARLY", "e"}, {"SHELL", "early"}};
    struct pairs outer_pairs = {outer_items, 2};
    struct pairs earlier_pairs = {earlier_items, 2};
    struct variables outer = {.find = variables_find_sorted, .context = &outer_pairs};
    struct variables earlier = {.find = variables_find_sorted, .context = &earlier_pairs};
    struct dotenv_scope scope = {.outer = &outer, .earlier = &earlier};
    struct dotenv parsed = {0};
    uint32_t file;
    int result;

    report_init(&report, arena);
    file = report_add_source(&report, "x.env", "/x.env", str_from(text));
    result = dotenv_parse(&report, file, format, &scope, &parsed);
    for (size_t i = 0; i < parsed.n; i++) {
        if (parsed.items[i].value)
            buf_printf(out, "%s=%s;", parsed.items[i].name, parsed.items[i].value);
        else
            buf_printf(out, "%s;", parsed.items[i].name);
    }
    if (result < 0)
        buf_printf(out, "%u: %s", report.items.items[0].span.line, report.items.items[0].message);
    return result;
}

struct sample {
    const char *text;
    const char *want;
};

static void check(const struct sample *samples, size_t n, enum dotenv_format format)
{
    for (size_t i = 0; i < n; i++) {
        cleanup_arena struct arena arena = ARENA_INIT;
        cleanup_buf struct buf out = BUF_INIT;

        (void)parse(&arena, samples[i].text, format, &out);
        CHECK_TEXT(buf_text(&out), samples[i].want);
    }
}

TEST(dotenv_values)
{
    static const struct sample samples[] = {
        {"", ""},
        {"\n  # c\n\t#d\n", ""},
        {"A=1 # c", "A=1;"},
        {"A=1# c", "A=1# c;"},
        {"A=1\t# c", "A=1\t# c;"},
        {"A= #c", "A=#c;"},
        {"A=\"x # y\" # c", "A=x # y;"},
        {"A='it\\'s'", "A=it's;"},
        {"A='$B'", "A=$B;"},
        {"A=\"\\$B\"", "A=$B;"},
        {"A=$$B", "A=$B;"},
        {"B=2\nA=${B}-$B", "B=2;A=2-2;"},
        {"B=2\nA=\"${B}\\n\"", "B=2;A=2\n;"},
        {"A=\"l1\nl2\"\nB=1", "A=l1\nl2;B=1;"},
        {"A='l1\nl2'", "A=l1\nl2;"},
        {"A: v", "A=v;"},
        {"export A=v", "A=v;"},
        {"export\tA=v", "A=v;"},
        {"exported=v", "exported=v;"},
        {"  A = v  ", "A=v;"},
        {"A.b-c[0]=v", "A.b-c[0]=v;"},
        {"1A=v", "1A=v;"},
        {"A=\nB=  \nC", "A=;B=;C;"},
        {"A # comment\n", "A;"},
        {"A={\"k\":\"v\"}", "A={\"k\":\"v\"};"},
        {"A=a=b", "A=a=b;"},
        {"A=http://h:1", "A=http://h:1;"},
        {"\xef\xbb\xbf"
         "A=1\r\nB=\"2\"\r\n",
         "A=1;B=2;"},
        {"A=a\\tb", "A=a\\tb;"},
        {"A=\"a\\tb\\x\\u\"", "A=a\tb\\x\\u;"},
        {"A=\"\\0101\\0\"", "A=A\\0;"},
        {"A=$SHELL-$EARLY-$HOME", "A=outer-e-/home/user;"},
        {"EARLY=own\nA=$EARLY", "EARLY=own;A=own;"},
        {"SHELL=own\nA=$SHELL", "SHELL=own;A=outer;"},
        {"A=1\nA=2\nB=$A", "A=1;A=2;B=2;"},
        {"ü=1", "ü=1;"},
    };

    check(samples, sizeof(samples) / sizeof(samples[0]), DOTENV_COMPOSE);
}

TEST(dotenv_errors_have_lines)
{
    static const struct sample samples[] = {
        {"A=1\nB=\"x", "2: unterminated quoted value"},
        {"\n\nA B=1", "3: key cannot contain a space"},
        {"A$=1", "1: unexpected character \"$\" in variable name \"A$\""},
        {"=1", "1: a variable name is missing"},
        {"A=\"x\" y", "1: unexpected text after the closing quote"},
        {"A=\"l1\nl2\" y", "2: unexpected text after the closing quote"},
        {"A=${B", "1: invalid template: \"${B\" is not closed"},
        {"A=${B:?no}", "1: required variable B is missing a value: no"},
    };

    check(samples, sizeof(samples) / sizeof(samples[0]), DOTENV_COMPOSE);
}

TEST(names_are_utf8)
{
    static const struct sample samples[] = {
        {"\xc3\xa9=1", "\xc3\xa9=1;"},
        {"A=1\nB\xdf=1", "2: a variable name is not valid UTF-8"},
        {"A=1\nB\xdf", "2: a variable name is not valid UTF-8"},
        {"A=\xdf", "A=\xdf;"},
    };

    check(samples, sizeof(samples) / sizeof(samples[0]), DOTENV_COMPOSE);
}

TEST(raw_values)
{
    static const struct sample samples[] = {
        {"A=1 # c", "A=1 # c;"},
        {"  A=\"x\"  ", "A=\"x\"  ;"},
        {"# c\nA=$B\r\n", "A=$B;"},
        {"A\nB=", "A;B=;"},
        {"=x", "1: no variable name on line \"=x\""},
        {"A=1\nA B=1", "2: variable \"A B\" contains whitespaces"},
        {"A=1\nB\xdf=1", "2: a variable name is not valid UTF-8"},
    };

    check(samples, sizeof(samples) / sizeof(samples[0]), DOTENV_RAW);
}

TEST(a_nul_is_refused)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_report struct report report;
    struct variables none = {.find = variables_find_sorted, .context = &(struct pairs){0}};
    struct dotenv_scope scope = {.outer = &none, .earlier = &none};
    struct dotenv parsed;

    report_init(&report, &arena);
    (void)report_add_source(&report, "x.env", "/x.env", STR("A=1\0"));
    CHECK(dotenv_parse(&report, 0, DOTENV_COMPOSE, &scope, &parsed) < 0);
}
