/* Patterns over paths. */

#include "engine/build/pattern.h"

#include <stdint.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/str.h"
#include "engine/base/vec.h"

enum item_kind {
    ITEM_CHAR,
    ITEM_ANY_CHAR,    /* ?: not '/' */
    ITEM_CLASS,       /* […]: not '/' */
    ITEM_RUN,         /* *: not '/' */
    ITEM_ANYTHING,    /* '/' too */
    ITEM_DIRS,        /* nothing, or something that ends with '/': at its start */
    ITEM_INSIDE_DIRS, /* the same, within */
};

struct class_range {
    unsigned char first, last;
};

struct path_pattern_item {
    enum item_kind kind;
    char c;
    bool is_negated;
    const struct class_range *ranges;
    size_t n_ranges;
};

struct pattern_parser {
    struct arena *arena;
    const char *text, *at;
    struct error *err;
    VEC(struct path_pattern_item) items;
};

static int bad_pattern(struct pattern_parser *parser, const char *what)
{
    return error_set(parser->err, ERROR_INVALID, "the pattern \"%.200s\" %s", parser->text, what);
}

/* One character of a class, with its escape. */
static int take_class_char(struct pattern_parser *parser, unsigned char *ret)
{
    if (*parser->at == '\\')
        parser->at++;
    if (*parser->at == '\0')
        return bad_pattern(parser, "has no end of its \"[\"");
    *ret = (unsigned char)*parser->at++;
    return 0;
}

static int take_class(struct pattern_parser *parser, struct path_pattern_item *ret)
{
    VEC(struct class_range) ranges = VEC_INIT;
    int r = 0;

    *ret = (struct path_pattern_item){.kind = ITEM_CLASS};
    parser->at++; /* [ */
    if (*parser->at == '^') {
        ret->is_negated = true;
        parser->at++;
    }
    while (r == 0 && (*parser->at != ']' || ranges.n == 0)) {
        struct class_range range = {0, 0};
        r = take_class_char(parser, &range.first);
        range.last = range.first;
        if (r == 0 && *parser->at == '-' && parser->at[1] != ']') {
            parser->at++;
            r = take_class_char(parser, &range.last);
        }
        vec_push(&ranges, range);
    }
    if (r == 0)
        parser->at++; /* ] */
    ret->ranges = vec_to_arena(&ranges, parser->arena);
    ret->n_ranges = ranges.n;
    vec_release(&ranges);
    return r;
}

static bool has_special_after(const char *text)
{
    return strpbrk(text, "*?[\\") != NULL;
}

/* "**", with the '/' that follows it. */
static void take_double_star(struct pattern_parser *parser)
{
    bool is_first = parser->at == parser->text;

    while (*parser->at == '*')
        parser->at++;
    bool has_slash = *parser->at == '/';
    if (has_slash)
        parser->at++;
    if (*parser->at == '\0' || (is_first && !has_slash && !has_special_after(parser->at))) {
        vec_push(&parser->items, (struct path_pattern_item){.kind = ITEM_ANYTHING});
        return;
    }
    vec_push(&parser->items, (struct path_pattern_item){.kind = ITEM_DIRS});
    vec_push(&parser->items, (struct path_pattern_item){.kind = ITEM_INSIDE_DIRS});
}

static int take_item(struct pattern_parser *parser, enum pattern_kind kind)
{
    struct path_pattern_item item = {.kind = ITEM_CHAR};

    switch (*parser->at) {
    case '*':
        if (kind == PATTERN_IGNORE && parser->at[1] == '*') {
            take_double_star(parser);
            return 0;
        }
        item.kind = ITEM_RUN;
        parser->at++;
        break;
    case '?':
        item.kind = ITEM_ANY_CHAR;
        parser->at++;
        break;
    case '[':
        if (take_class(parser, &item) < 0)
            return -1;
        break;
    case '\\':
        parser->at++;
        if (*parser->at == '\0')
            return bad_pattern(parser, "ends with a backslash");
        item.c = *parser->at++;
        break;
    default:
        item.c = *parser->at++;
        break;
    }
    vec_push(&parser->items, item);
    return 0;
}

int path_pattern_parse(struct arena *arena, const char *text, enum pattern_kind kind,
                       struct path_pattern *ret, struct error *err)
{
    struct pattern_parser parser = {.arena = arena, .text = text, .at = text, .err = err};
    int r = 0;

    while (r == 0 && *parser.at != '\0') {
        r = take_item(&parser, kind);
        if (r == 0 && parser.items.n > PATTERN_ITEMS_MAX)
            r = bad_pattern(&parser, "is too long");
    }
    if (r == 0) {
        size_t n = 0;
        while (n < parser.items.n && parser.items.items[n].kind == ITEM_CHAR)
            n++;
        char *prefix = arena_alloc(arena, n + 1);
        for (size_t i = 0; i < n; i++)
            prefix[i] = parser.items.items[i].c;
        *ret = (struct path_pattern){.items = vec_to_arena(&parser.items, arena),
                                     .n_items = parser.items.n,
                                     .prefix = prefix,
                                     .prefix_len = n,
                                     .is_literal = n == parser.items.n};
    }
    vec_release(&parser.items);
    return r;
}

/* ------------------------------------------------------------------ matching */

/* Which positions of the pattern are reachable; n_items is the end. */
struct match_state {
    bool on[PATTERN_ITEMS_MAX + 3];
};

static bool class_has(const struct path_pattern_item *item, unsigned char c)
{
    for (size_t i = 0; i < item->n_ranges; i++)
        if (c >= item->ranges[i].first && c <= item->ranges[i].last)
            return !item->is_negated;
    return item->is_negated;
}

/* Mark a position and those that are reached from it without a character. */
static void reach(const struct path_pattern *pattern, struct match_state *state, size_t i)
{
    while (!state->on[i]) {
        state->on[i] = true;
        if (i == pattern->n_items)
            return;
        enum item_kind kind = pattern->items[i].kind;
        if (kind == ITEM_RUN || kind == ITEM_ANYTHING)
            i++;
        else if (kind == ITEM_DIRS)
            i += 2;
        else
            return;
    }
}

static void step(const struct path_pattern *pattern, size_t i, char c, struct match_state *next)
{
    const struct path_pattern_item *item = &pattern->items[i];

    switch (item->kind) {
    case ITEM_CHAR:
        if (item->c == c)
            reach(pattern, next, i + 1);
        break;
    case ITEM_ANY_CHAR:
        if (c != '/')
            reach(pattern, next, i + 1);
        break;
    case ITEM_CLASS:
        if (c != '/' && class_has(item, (unsigned char)c))
            reach(pattern, next, i + 1);
        break;
    case ITEM_RUN:
        if (c != '/')
            reach(pattern, next, i);
        break;
    case ITEM_ANYTHING:
        reach(pattern, next, i);
        break;
    case ITEM_DIRS:
        reach(pattern, next, i + 1);
        if (c == '/')
            reach(pattern, next, i + 2);
        break;
    case ITEM_INSIDE_DIRS:
        reach(pattern, next, i);
        if (c == '/')
            reach(pattern, next, i + 1);
        break;
    }
}

bool path_pattern_matches(const struct path_pattern *pattern, const char *path)
{
    if (strncmp(path, pattern->prefix, pattern->prefix_len) != 0)
        return false;
    path += pattern->prefix_len;
    if (pattern->is_literal)
        return *path == '\0';

    struct match_state states[2];
    struct match_state *now = &states[0], *next = &states[1];
    size_t n = pattern->n_items + 1;

    memset(now->on, 0, n + 1);
    reach(pattern, now, pattern->prefix_len);
    for (; *path != '\0'; path++) {
        bool alive = false;
        memset(next->on, 0, n + 1);
        for (size_t i = pattern->prefix_len; i < pattern->n_items; i++) {
            if (now->on[i]) {
                step(pattern, i, *path, next);
                alive = true;
            }
        }
        if (!alive)
            return false;
        struct match_state *swap = now;
        now = next;
        next = swap;
    }
    return now->on[pattern->n_items];
}

bool path_has_wildcard(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' && text[1] != '\0')
            text++;
        else if (strchr("*?[", *text) != NULL)
            return true;
    }
    return false;
}
