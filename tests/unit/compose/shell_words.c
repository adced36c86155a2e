/* shell_words.h */

#include "compose/file/shell_words.h"

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "tests/tap.h"

static const struct {
    const char *text;
    const char *want; /* joined by | */
    char stopped;
} good[] = {
    {"", "", 0},
    {"   \t\n", "", 0},
    {"a", "a", 0},
    {"  a   b\tc\nd ", "a|b|c|d", 0},
    {"'a b' \"c d\"", "a b|c d", 0},
    {"a'b'\"c\"d", "abcd", 0},
    {"'' \"\"", "|", 0},
    {"a\\ b", "a b", 0},
    {"'a\\b'", "a\\b", 0},
    {"\"a\\\"b\\\\c\"", "a\"b\\c", 0},
    {"echo '$HOME' $X", "echo|$HOME|$X", 0},
    {"echo a && b", "echo|a", '&'},
    {"echo 'a && b'", "echo|a && b", 0},
    {"echo a \\&\\& b", "echo|a|&&|b", 0},
    {"a;b", "a", ';'},
    {"a | b", "a", '|'},
    {"a 2>f", "a", '>'},
    {"a b>f", "a|b", '>'},
    {"x `y z` w", "x|`y z`|w", 0},
};

TEST(commands_split_into_words)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cleanup_arena struct arena arena = ARENA_INIT;
        cleanup_buf struct buf joined = BUF_INIT;
        struct strings words = {0};
        struct error err = ERROR_INIT;
        char stopped = 'x';

        CHECK_OK(shell_words_split(&arena, good[i].text, &words, &stopped, &err), &err);
        for (size_t k = 0; k < words.n; k++)
            buf_printf(&joined, "%s%s", k > 0 ? "|" : "", words.items[k]);
        CHECK_TEXT(buf_text(&joined), good[i].want);
        CHECK_INT(stopped, good[i].stopped);
    }
}

TEST(unfinished_commands_are_refused)
{
    static const struct {
        const char *text;
        const char *want;
    } bad[] = {{"'a", "quote is not closed"}, {"\"a", "quote is not closed"},
               {"`a", "quote is not closed"}, {"a\\", "ends with a backslash"},
               {"(a)", "unquoted \"(\""},     {"$(a)", "unquoted \"(\""}};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cleanup_arena struct arena arena = ARENA_INIT;
        struct strings words = {0};
        struct error err = ERROR_INIT;
        char stopped;

        CHECK_FAILS(shell_words_split(&arena, bad[i].text, &words, &stopped, &err), ERROR_INVALID,
                    bad[i].want);
    }
}
