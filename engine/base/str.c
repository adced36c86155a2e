/* Strings to look at. */

#include "engine/base/str.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/cleanup.h"

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_from(const char *text)
{
    return (struct str){text ? text : "", text ? strlen(text) : 0};
}

bool str_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool str_is(struct str s, const char *text)
{
    return str_equal(s, str_from(text));
}

int str_compare(struct str a, struct str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.data, b.data, common) : 0;

    if (order)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

bool str_starts_with(struct str s, const char *prefix)
{
    size_t n = strlen(prefix);

    return n == 0 || (s.len >= n && memcmp(s.data, prefix, n) == 0);
}

bool str_ends_with(struct str s, const char *suffix)
{
    size_t n = strlen(suffix);

    return n == 0 || (s.len >= n && memcmp(s.data + s.len - n, suffix, n) == 0);
}

struct str str_trim(struct str s)
{
    while (s.len && is_space(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len && is_space(s.data[s.len - 1]))
        s.len--;
    return s;
}

static bool cut_at(struct str s, const char *at, struct str *ret_head, struct str *ret_tail)
{
    struct str head, tail;

    if (!at) {
        *ret_head = s;
        *ret_tail = (struct str){"", 0};
        return false;
    }

    head = (struct str){s.data, (size_t)(at - s.data)};
    tail = (struct str){at + 1, s.len - head.len - 1};
    *ret_head = head;
    *ret_tail = tail;
    return true;
}

bool str_cut(struct str s, char separator, struct str *ret_head, struct str *ret_tail)
{
    return cut_at(s, s.len ? memchr(s.data, separator, s.len) : NULL, ret_head, ret_tail);
}

bool str_cut_last(struct str s, char separator, struct str *ret_head, struct str *ret_tail)
{
    return cut_at(s, s.len ? memrchr(s.data, separator, s.len) : NULL, ret_head, ret_tail);
}

uint32_t str_first_character(struct str text, size_t *ret_len)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000}; /* of so many bytes */
    const unsigned char *data = (const unsigned char *)text.data;
    size_t n = data[0] < 0xc2 ? 1 : data[0] < 0xe0 ? 2 : data[0] < 0xf0 ? 3 : 4;
    uint32_t value = n == 1 ? data[0] : data[0] & (0x7fU >> n);

    *ret_len = 1;
    if (n > text.len || data[0] > 0xf4 || (n == 1 && data[0] >= 0x80))
        return 0xfffd;
    for (size_t i = 1; i < n; i++) {
        if ((data[i] & 0xc0) != 0x80)
            return 0xfffd;
        value = (value << 6) | (data[i] & 0x3fU);
    }
    if (value < smallest[n] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0xfffd;
    *ret_len = n;
    return value;
}

bool str_is_utf8(struct str s)
{
    size_t len;

    for (; s.len > 0; s = (struct str){s.data + len, s.len - len}) {
        if (str_first_character(s, &len) == 0xfffd && len == 1)
            return false;
    }
    return true;
}

bool text_equal(const char *a, const char *b)
{
    if (!a || !b)
        return a == b;
    return strcmp(a, b) == 0;
}

bool text_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends_with(const char *text, const char *suffix)
{
    return str_ends_with(str_from(text), suffix);
}

size_t text_distance(const char *a, const char *b, size_t limit)
{
    size_t n_a = strlen(a), n_b = strlen(b);
    cleanup_free size_t *row = NULL;
    size_t distance;

    /* The difference in length is a lower bound; it also keeps long texts cheap. */
    if ((n_a > n_b ? n_a - n_b : n_b - n_a) >= limit)
        return limit;

    row = x_alloc_array(n_b + 1, sizeof(*row));
    for (size_t j = 0; j <= n_b; j++)
        row[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t replace = diagonal + (a[i - 1] != b[j - 1]);
            size_t edit = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

            diagonal = row[j];
            row[j] = replace < edit ? replace : edit;
        }
    }
    distance = row[n_b];
    return distance < limit ? distance : limit;
}

bool strings_contain(const struct strings *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++)
        if (text_equal(list->items[i], text))
            return true;
    return false;
}

bool strings_equal(const struct strings *a, const struct strings *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!text_equal(a->items[i], b->items[i]))
            return false;
    return true;
}

static int compare_texts(const void *a, const void *b)
{
    const char *const *text_a = a, *const *text_b = b;

    return strcmp(*text_a, *text_b);
}

void strings_sort(struct strings *list)
{
    if (list->n > 1)
        qsort(list->items, list->n, sizeof(*list->items), compare_texts);
}

struct strings strings_copy(struct arena *arena, const struct strings *list)
{
    struct strings copy = {arena_new_array(arena, const char *, list->n), list->n};

    for (size_t i = 0; i < list->n; i++)
        copy.items[i] = arena_strdup(arena, list->items[i]);
    return copy;
}

static const struct pair *pairs_find_pair(const struct pairs *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (text_equal(list->items[i].name, name))
            return &list->items[i];
    return NULL;
}

const char *pairs_find(const struct pairs *list, const char *name)
{
    const struct pair *pair = pairs_find_pair(list, name);

    return pair ? pair->value : NULL;
}

bool pairs_have(const struct pairs *list, const char *name)
{
    return pairs_find_pair(list, name) != NULL;
}

/* qsort promises no stability: the old place decides between equals. */
struct placed_pair {
    struct pair pair;
    size_t place;
};

static int compare_placed(const void *a, const void *b)
{
    const struct placed_pair *pair_a = a, *pair_b = b;
    int order = strcmp(pair_a->pair.name, pair_b->pair.name);

    if (order)
        return order;
    return pair_a->place < pair_b->place ? -1 : pair_a->place > pair_b->place;
}

void pairs_sort(struct pairs *list)
{
    cleanup_free struct placed_pair *placed = x_alloc_array(list->n, sizeof(*placed));

    for (size_t i = 0; i < list->n; i++)
        placed[i] = (struct placed_pair){list->items[i], i};
    qsort(placed, list->n, sizeof(*placed), compare_placed);
    for (size_t i = 0; i < list->n; i++)
        list->items[i] = placed[i].pair;
}

struct pairs pairs_copy(struct arena *arena, const struct pairs *list)
{
    struct pairs copy = {arena_new_array(arena, struct pair, list->n), list->n};

    for (size_t i = 0; i < list->n; i++) {
        copy.items[i].name = arena_strdup(arena, list->items[i].name);
        copy.items[i].value = arena_strdup(arena, list->items[i].value);
    }
    return copy;
}
