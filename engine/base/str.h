#pragma once

/* Strings to look at. `struct str` is a borrowed slice (not NUL-terminated); values in models are
 * NUL-terminated `const char *`, lists of them `struct strings`, name/value lists `struct pairs`.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

struct str {
    const char *data;
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_FMT      "%.*s"
#define STR_ARG(s)   (int)(s).len, (s).data

struct str str_from(const char *text); /* NULL gives the empty str */
bool str_equal(struct str a, struct str b);
bool str_is(struct str s, const char *text);
int str_compare(struct str a, struct str b); /* bytewise */
bool str_starts_with(struct str s, const char *prefix);
bool str_ends_with(struct str s, const char *suffix);
struct str str_trim(struct str s); /* ASCII white space at both ends */

/* Split at the first (last) `separator`: true and both halves, or false and *ret_head = s. */
bool str_cut(struct str s, char separator, struct str *ret_head, struct str *ret_tail);
bool str_cut_last(struct str s, char separator, struct str *ret_head, struct str *ret_tail);

/* Of ASCII, whatever the locale. */
static inline bool char_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The UTF-8 character at the front of what is not empty, and its length; 0xfffd and 1 for a byte
 * that is no UTF-8 (overlong, surrogate, or past U+10FFFF, too). */
uint32_t str_first_character(struct str text, size_t *ret_len);
bool str_is_utf8(struct str s);

bool text_equal(const char *a, const char *b); /* NULL equals only NULL */
bool text_starts_with(const char *text, const char *prefix);
bool text_ends_with(const char *text, const char *suffix);

/* Levenshtein distance, for "did you mean"; counts at most `limit`. */
size_t text_distance(const char *a, const char *b, size_t limit);

struct strings {
    const char **items;
    size_t n;
};

bool strings_contain(const struct strings *list, const char *text);
bool strings_equal(const struct strings *a, const struct strings *b);
void strings_sort(struct strings *list);
struct strings strings_copy(struct arena *arena, const struct strings *list);

struct pair {
    const char *name;
    const char *value; /* NULL means "named, without a value" where the field's comment says so */
};

struct pairs {
    struct pair *items;
    size_t n;
};

const char *pairs_find(const struct pairs *list, const char *name); /* value, or NULL */
bool pairs_have(const struct pairs *list, const char *name);
void pairs_sort(struct pairs *list); /* by name, bytewise; keeps order of equals */
struct pairs pairs_copy(struct arena *arena, const struct pairs *list);
