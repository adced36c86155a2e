/* Shell words. */

#include "compose/file/shell_words.h"

#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/vec.h"

struct splitter {
    struct arena *arena;
    struct buf word;
    bool in_word;
    char quote; /* ' or " or `, or 0 */
    bool escaped;
    VEC(const char *) words;
};

static void end_word(struct splitter *splitter)
{
    if (!splitter->in_word)
        return;
    vec_push(&splitter->words, arena_strdup(splitter->arena, buf_text(&splitter->word)));
    buf_clear(&splitter->word);
    splitter->in_word = false;
}

static void add_char(struct splitter *splitter, char c)
{
    buf_add_char(&splitter->word, c);
    splitter->in_word = true;
    splitter->escaped = false;
}

static void take_char(struct splitter *splitter, char c)
{
    if (splitter->escaped) {
        add_char(splitter, c);
    } else if (c == '\\' && splitter->quote != '\'') {
        splitter->escaped = true;
    } else if (splitter->quote && c == splitter->quote) {
        if (c == '`')
            add_char(splitter, c);
        splitter->quote = 0;
        splitter->in_word = true;
    } else if (!splitter->quote && (c == '\'' || c == '"' || c == '`')) {
        if (c == '`')
            add_char(splitter, c);
        splitter->quote = c;
    } else if (!splitter->quote && strchr(" \t\r\n", c)) {
        end_word(splitter);
    } else {
        add_char(splitter, c);
    }
}

/* Works on splitter->words until the end or an operator. */
static int split(struct splitter *splitter, const char *text, char *ret_stopped, struct error *err)
{
    for (; *text; text++) {
        bool is_bare = !splitter->escaped && !splitter->quote;

        if (is_bare && *text == '(')
            return error_set(err, ERROR_INVALID, "invalid command line: unquoted \"(\"");
        if (is_bare && strchr(";&|<>", *text)) {
            /* "2>file": the digit belongs to the operator */
            if (*text == '>' && splitter->word.len > 0 && splitter->word.data[0] >= '0' &&
                splitter->word.data[0] <= '9')
                splitter->in_word = false;
            *ret_stopped = *text;
            break;
        }
        take_char(splitter, *text);
    }
    if (splitter->quote || splitter->escaped)
        return error_set(err, ERROR_INVALID, "invalid command line: %s",
                         splitter->quote ? "a quote is not closed" : "ends with a backslash");
    end_word(splitter);
    return 0;
}

int shell_words_split(struct arena *arena, const char *text, struct strings *ret, char *ret_stopped,
                      struct error *err)
{
    struct splitter splitter = {.arena = arena};
    char stopped = 0;
    int result = split(&splitter, text, &stopped, err);

    if (result == 0) {
        *ret =
            (struct strings){.items = vec_to_arena(&splitter.words, arena), .n = splitter.words.n};
        *ret_stopped = stopped;
    }
    vec_release(&splitter.words);
    buf_release(&splitter.word);
    return result;
}
