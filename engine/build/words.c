/* Splitting the arguments of an instruction. */

#include "engine/build/words.h"

#include "engine/base/arena.h"
#include "engine/base/vec.h"

int word_is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct strings words_split(struct arena *arena, struct str text)
{
    VEC(const char *) words = VEC_INIT;
    size_t at = 0;

    while (at < text.len) {
        while (at < text.len && word_is_blank(text.data[at]))
            at++;
        size_t start = at;
        while (at < text.len && !word_is_blank(text.data[at]))
            at++;
        if (at > start)
            vec_push(&words, arena_strndup(arena, text.data + start, at - start));
    }

    struct strings result = {vec_to_arena(&words, arena), words.n};
    vec_release(&words);
    return result;
}

/* End of the quoted or bare word that starts at `at`. */
static size_t quoted_word_end(struct str text, size_t at, char escape)
{
    char quote = 0;

    for (; at < text.len; at++) {
        char c = text.data[at];
        if (c == escape && quote != '\'' && at + 1 < text.len)
            at++;
        else if (quote != 0 && c == quote)
            quote = 0;
        else if (quote == 0 && (c == '\'' || c == '"'))
            quote = c;
        else if (quote == 0 && word_is_blank(c))
            break;
    }
    return at < text.len ? at : text.len;
}

struct strings words_split_quoted(struct arena *arena, struct str text, char escape)
{
    VEC(const char *) words = VEC_INIT;
    size_t at = 0;

    while (at < text.len) {
        while (at < text.len && word_is_blank(text.data[at]))
            at++;
        size_t start = at;
        at = quoted_word_end(text, at, escape);
        if (at > start)
            vec_push(&words, arena_strndup(arena, text.data + start, at - start));
    }

    struct strings result = {vec_to_arena(&words, arena), words.n};
    vec_release(&words);
    return result;
}
