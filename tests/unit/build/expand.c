/* Words as Dockerfiles write them. The table follows upstream's documented behaviour. */

#include "engine/build/expand.h"

#include "engine/base/arena.h"
#include "tests/tap.h"

static const struct pair values[] = {
    {"NAME", "old"},      {"EMPTY", ""},
    {"NAME", "value"},    {"PATHS", "/usr/lib/x.so.1"},
    {"UNSET", NULL},      {"AAA", "aaa"},
    {"1", "one"},         {"TWO", "a b"},
    {"FILE", "a.tar.gz"}, {"UNI", "\xc3\xa9t\xc3\xa9"},
};
static const struct expand_scope scope = {values, sizeof(values) / sizeof(values[0]), '\\'};

struct expansion {
    const char *word, *want;
};

static const struct expansion good[] = {
    {"", ""},
    {"plain", "plain"},
    {"$NAME", "value"},
    {"${NAME}", "value"},
    {"a${NAME}b", "avalueb"},
    {"$NAMEb", ""},
    {"$NAME-b", "value-b"},
    {"\\$NAME", "$NAME"},
    {"a\\b", "ab"},
    {"\\\\", "\\"},
    {"end\\", "end"},
    {"$", "$"},
    {"$ x", "$ x"},
    {"a$%", "a$%"},
    {"$1x", "onex"},
    {"$@", ""},
    {"'$NAME'", "$NAME"},
    {"'a\\b'", "a\\b"},
    {"\"$NAME\"", "value"},
    {"\"a\\$b\"", "a$b"},
    {"\"a\\\"b\"", "a\"b"},
    {"\"a\\xb\"", "a\\xb"},
    {"a'b'\"c\"d", "abcd"},
    {"${UNSET}", ""},
    {"${NAME:-word}", "value"},
    {"${EMPTY:-word}", "word"},
    {"${EMPTY-word}", ""},
    {"${UNSET-word}", "word"},
    {"${NONE:-$NAME}", "value"},
    {"${NONE:-${NONE2:-deep}}", "deep"},
    {"${NONE:-'a}b'}", "a}b"},
    {"${NAME:+word}", "word"},
    {"${EMPTY:+word}", ""},
    {"${EMPTY+word}", "word"},
    {"${UNSET+word}", ""},
    {"${NAME:?gone}", "value"},
    {"${PATHS#*/}", "usr/lib/x.so.1"},
    {"${PATHS##*/}", "x.so.1"},
    {"${PATHS%/*}", "/usr/lib"},
    {"${PATHS%%/*}", ""},
    {"${FILE%.gz}", "a.tar"},
    {"${FILE%%.*}", "a"},
    {"${FILE#x}", "a.tar.gz"},
    {"${AAA/a/b}", "baa"},
    {"${AAA//a/b}", "bbb"},
    {"${AAA/a*/b}", "b"},
    {"${AAA/x/b}", "aaa"},
    {"${PATHS//\\//-}", "-usr-lib-x.so.1"},
    {"${FILE/?/X}", "X.tar.gz"},
    {"${FILE/\\?/X}", "a.tar.gz"},
    {"$TWO", "a b"},
    {"${UNI}", "\xc3\xa9t\xc3\xa9"},
};

TEST(words_expand_as_in_dockerfiles)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cleanup_arena struct arena arena = ARENA_INIT;
        struct error err = ERROR_INIT;
        const char *got = NULL;
        if (expand_word(&arena, &scope, good[i].word, &got, &err) < 0)
            tap_fail(TAP_HERE, "%s: %s", good[i].word, err.text);
        if (!text_equal(got, good[i].want))
            tap_fail(TAP_HERE, "%s: got \"%s\", want \"%s\"", good[i].word, got, good[i].want);
    }
}

static const struct expansion wrong[] = {
    {"'open", "single quote"},
    {"\"open", "double quote"},
    {"\"open\\", "double quote"},
    {"${NAME", "missing \"}\""},
    {"${", "missing \"}\""},
    {"${}", "bad substitution"},
    {"${:-x}", "bad substitution"},
    {"${NAME:=x}", "unsupported modifier"},
    {"${NAME=x}", "unsupported modifier"},
    {"${NAME:", "unsupported modifier"},
    {"${NAME:-x", "missing \"}\""},
    {"${NONE:?is missing}", "NONE: is missing"},
    {"${NONE:?}", "NONE: is not allowed to be empty"},
    {"${NAME/x}", "missing \"/\""},
    {"${NAME#\\a}", "invalid escape"},
};

TEST(what_is_wrong_with_a_word_is_said)
{
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cleanup_arena struct arena arena = ARENA_INIT;
        struct error err = ERROR_INIT;
        const char *got = NULL;
        if (expand_word(&arena, &scope, wrong[i].word, &got, &err) == 0)
            tap_fail(TAP_HERE, "%s: accepted as \"%s\"", wrong[i].word, got);
        CHECK_CONTAINS(err.text, wrong[i].want);
    }
}

TEST(the_backtick_can_be_the_escape)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct expand_scope windows = {values, scope.n, '`'};
    struct error err = ERROR_INIT;
    const char *got = NULL;

    CHECK_OK(expand_word(&arena, &windows, "c:\\a`$NAME", &got, &err), &err);
    CHECK_TEXT(got, "c:\\a$NAME");
}

TEST(here_documents_keep_their_quotes)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct error err = ERROR_INIT;
    const char *got = NULL;

    CHECK_OK(expand_text(&arena, &scope, "a=\"$NAME\" '\\n' \\$NAME\n", &got, &err), &err);
    CHECK_TEXT(got, "a=\"value\" '\\n' $NAME\n");
}

TEST(a_value_that_doubles_itself_meets_the_limit)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct error err = ERROR_INIT;
    const char *value = "xxxxxxxxxxxxxxxx";
    int r = 0;

    for (int i = 0; i < 40 && r == 0; i++) {
        const struct pair item = {"A", value};
        struct expand_scope one = {&item, 1, '\\'};
        r = expand_word(&arena, &one, "$A$A", &value, &err);
    }
    CHECK_FAILS(r, ERROR_INVALID, "too long");
}

TEST(nesting_has_a_limit)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct error err = ERROR_INIT;
    char word[1000] = "";
    const char *got = NULL;

    for (size_t i = 0; i < 100; i++)
        memcpy(word + 5 * i, "${A:-", 6);
    CHECK_FAILS(expand_word(&arena, &scope, word, &got, &err), ERROR_INVALID, "too deep");
}
