/* interpolate.h */

#include "compose/file/interpolate.h"

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "tests/tap.h"

static struct pair known[] = {{"BAR", ""}, {"FOO", "first"}, {"NEST", "$FOO"}};
static const struct pairs environment = {known, 3};

static void remember(void *context, struct str name)
{
    struct buf *unset = context;

    buf_printf(unset, STR_FMT " ", STR_ARG(name));
}

static int expand(const char *text, struct buf *out, struct buf *unset, struct error *err)
{
    struct variables variables = {
        .find = variables_find_sorted,
        .context = &environment,
        .warn_unset = unset ? remember : NULL,
        .warn_context = unset,
    };

    buf_clear(out);
    return interpolate_text(str_from(text), &variables, out, err);
}

static const struct {
    const char *text;
    const char *want;
    const char *unset;
} good[] = {
    {"", "", ""},
    {"plain", "plain", ""},
    {"$${FOO}", "${FOO}", ""},
    {"$$$FOO", "$first", ""},
    {"a $ b", "a $ b", ""},
    {"$}", "$}", ""},
    {"^x$", "^x$", ""},
    {"cost $5", "cost $5", ""},
    {"$FOO-bar", "first-bar", ""},
    {"${FOO}bar", "firstbar", ""},
    {"$FOObar", "", "FOObar "},
    {"${BAR-d}", "", ""},
    {"${BAR:-d}", "d", ""},
    {"${U-d}", "d", ""},
    {"${U:-d}", "d", ""},
    {"${U:-}", "", ""},
    {"${FOO:+p}", "p", ""},
    {"${BAR:+p}", "", ""},
    {"${BAR+p}", "p", ""},
    {"${U+p}", "", ""},
    {"${U:+p}", "", ""},
    {"${U:-${BAR:-x}/${FOO}}", "x/first", ""},
    {"${U-${FOO} ${FOO}}", "first first", ""},
    {"${U-a:-b}", "a:-b", ""},
    {"${U:-a-b?c}", "a-b?c", ""},
    {"${FOO}-${U:-{\"k\":1}}", "first-{\"k\":1}", ""},
    {"${U:-{}} ${FOO}", "{} first", ""},
    {"${A:+${A},}B", "B", ""},
    {"${BAR?x}", "", ""},
    {"${FOO:?x}", "first", ""},
    {"${FOO:-$U}", "first", ""}, /* lazily: no warning */
    {"${U:-one\ntwo}", "one\ntwo", ""},
    {"${U}${V}", "", "U V "},
    {"$NEST", "$FOO", ""}, /* values are not expanded again */
    {"${_a1}", "", "_a1 "},
    {"ü$FOO☃", "üfirst☃", ""},
};

TEST(templates_expand)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cleanup_buf struct buf out = BUF_INIT;
        cleanup_buf struct buf unset = BUF_INIT;
        struct error err = ERROR_INIT;

        CHECK_OK(expand(good[i].text, &out, &unset, &err), &err);
        CHECK_TEXT(buf_text(&out), good[i].want);
        CHECK_TEXT(buf_text(&unset), good[i].unset);
    }
}

static const struct {
    const char *text;
    const char *want;
} bad[] = {
    {"${U:?need $FOO}", "required variable U is missing a value: need first"},
    {"${BAR:?}", "required variable BAR is missing a value"},
    {"${U?gone}", "required variable U is missing a value: gone"},
    {"${", "is not closed"},
    {"${}", "no variable name"},
    {"${FOO", "is not closed"},
    {"${FOO }", "may follow the name"},
    {"${ FOO}", "no variable name"},
    {"${FOO!}", "may follow the name"},
    {"${FOO:}", "may follow the name"},
    {"${FOO:x}", "may follow the name"},
    {"${1}", "no variable name"},
    {"${FOO/a/b}", "may follow the name"},
    {"${#FOO}", "no variable name"},
    {"${U:-${1}}", "no variable name"},
    {"${U:-${FOO}", "is not closed"},
};

TEST(bad_templates_are_refused)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cleanup_buf struct buf out = BUF_INIT;
        struct error err = ERROR_INIT;

        CHECK_FAILS(expand(bad[i].text, &out, NULL, &err), ERROR_INVALID, bad[i].want);
    }
}

static void nest(struct buf *text, int depth)
{
    for (int i = 0; i < depth; i++)
        buf_add_text(text, "${U:-");
    buf_add_text(text, "x");
    for (int i = 0; i < depth; i++)
        buf_add_char(text, '}');
}

TEST(nesting_and_size_have_limits)
{
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_buf struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;

    nest(&text, INTERPOLATE_DEPTH_MAX);
    CHECK_OK(expand(buf_text(&text), &out, NULL, &err), &err);
    CHECK_TEXT(buf_text(&out), "x");
    buf_clear(&text);
    nest(&text, INTERPOLATE_DEPTH_MAX + 1);
    CHECK_FAILS(expand(buf_text(&text), &out, NULL, &err), ERROR_INVALID, "levels deep");

    buf_clear(&text);
    buf_release(&out);
    buf_init(&out, 1000);
    for (int i = 0; i < 1000; i++)
        buf_add_text(&text, "$FOO");
    CHECK_FAILS(expand(buf_text(&text), &out, NULL, &err), ERROR_INVALID, "more than 1000 bytes");
}
