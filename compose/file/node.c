/* YAML nodes: making and finding. */

#include "compose/file/node.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/units.h"

struct node *node_new(struct arena *arena, enum node_kind kind, struct span span, size_t capacity)
{
    struct node *node = arena_new(arena, struct node);

    node->kind = kind;
    node->type = NODE_TEXT;
    node->span = span;
    node->weight = 1;
    node->depth = 1;
    if (capacity > 0)
        node->entries = arena_new_array(arena, struct node_entry, capacity);
    node->capacity = capacity;
    return node;
}

struct node *node_new_scalar(struct arena *arena, enum node_type type, const char *text,
                             struct span span)
{
    struct node *node = node_new(arena, NODE_SCALAR, span, 0);

    node->type = type;
    node->text = text;
    node->text_len = strlen(text);
    node->weight += (uint32_t)(node->text_len / NODE_TEXT_WEIGHT);
    return node;
}

struct node *node_new_text(struct arena *arena, const char *text, struct span span)
{
    return node_new_scalar(arena, NODE_TEXT, text, span);
}

static void add_weight(struct node *node, size_t more)
{
    if (__builtin_add_overflow(node->weight, more, &node->weight))
        node->weight = UINT32_MAX;
}

void node_add(struct node *node, const char *key, struct span span, const struct node *value)
{
    if (node->n == node->capacity)
        BUG();
    node->entries[node->n++] = (struct node_entry){.key = key, .span = span, .value = value};
    if (key)
        add_weight(node, strlen(key) / NODE_TEXT_WEIGHT);
    add_weight(node, value->weight);
    if (node->depth <= value->depth && value->depth < UINT8_MAX)
        node->depth = (uint8_t)(value->depth + 1);
    node->has_tags |= value->has_tags;
}

struct node *node_copy(struct arena *arena, const struct node *node, size_t extra)
{
    struct node *copy = node_new(arena, node->kind, node->span, node->n + extra);

    copy->is_ordered = node->is_ordered;
    for (size_t i = 0; i < node->n; i++)
        node_add(copy, node->entries[i].key, node->entries[i].span, node->entries[i].value);
    return copy;
}

struct node *node_edit(struct arena *arena, const struct node *node)
{
    struct node *copy = node_copy(arena, node, 0);

    copy->tag = node->tag;
    copy->has_tags = node->has_tags;
    return copy;
}

struct node *node_without(struct arena *arena, const struct node *map, const char *key)
{
    struct node *copy = node_new(arena, NODE_MAP, map->span, map->n);

    for (size_t i = 0; i < map->n; i++) {
        const struct node_entry *entry = &map->entries[i];

        if (strcmp(entry->key, key) != 0)
            node_add(copy, entry->key, entry->span, entry->value);
    }
    copy->tag = map->tag;
    copy->has_tags |= map->tag != NODE_UNTAGGED;
    copy->is_ordered = map->is_ordered;
    return copy;
}

const struct node *node_without_tags(struct arena *arena, const struct node *node)
{
    struct node *stripped;

    if (!node->has_tags)
        return node;
    stripped = node_new(arena, node->kind, node->span, node->n);
    stripped->type = node->type;
    stripped->text = node->text;
    stripped->text_len = node->text_len;
    for (size_t i = 0; i < node->n; i++) {
        const struct node_entry *entry = &node->entries[i];

        if (entry->value->tag != NODE_RESET)
            node_add(stripped, entry->key, entry->span, node_without_tags(arena, entry->value));
    }
    return stripped;
}

const struct node_entry *node_find(const struct node *node, const char *key)
{
    if (!node || node->kind != NODE_MAP)
        return NULL;
    for (size_t i = 0; i < node->n; i++) {
        const char *candidate = node->entries[i].key;

        if (candidate[0] == key[0] && strcmp(candidate, key) == 0) /* most differ at once */
            return &node->entries[i];
    }
    return NULL;
}

const struct node *node_get(const struct node *node, const char *key)
{
    const struct node_entry *entry = node_find(node, key);

    return entry ? entry->value : NULL;
}

const struct node_entry *node_step(const struct node *node, const char *path, size_t *ret_len)
{
    const struct node_entry *best = NULL;
    uint64_t index;

    *ret_len = 0;
    for (size_t i = 0; node->kind == NODE_MAP && i < node->n; i++) {
        size_t len = strlen(node->entries[i].key);

        if ((len > *ret_len || !best) && strncmp(node->entries[i].key, path, len) == 0 &&
            (!path[len] || path[len] == '.' || path[len] == '[')) {
            best = &node->entries[i];
            *ret_len = len;
        }
    }
    if (node->kind == NODE_LIST && path[0] == '[' && node->n > 0) {
        size_t n_digits = strspn(path + 1, "0123456789");

        if (path[n_digits + 1] == ']' &&
            parse_u64((struct str){path + 1, n_digits}, 0, node->n - 1, &index, NULL) == 0) {
            best = &node->entries[index];
            *ret_len = n_digits + 2;
        }
    }
    return best;
}

bool node_is_null(const struct node *node)
{
    return node->kind == NODE_SCALAR && node->type == NODE_NULL;
}

bool node_is_text(const struct node *node)
{
    return node->kind == NODE_SCALAR && node->type == NODE_TEXT;
}

static int compare_entries(const void *a, const void *b)
{
    const struct node_entry *left = *(const struct node_entry *const *)a;
    const struct node_entry *right = *(const struct node_entry *const *)b;
    int order = strcmp(left->key, right->key);

    if (order != 0)
        return order;
    return (left > right) - (left < right); /* same array: keeps the order of equals */
}

struct node_index node_index_make(struct arena *arena, const struct node *node)
{
    struct node_index index = {
        .sorted = arena_new_array(arena, const struct node_entry *, node->n + 1),
        .n = node->n,
    };

    for (size_t i = 0; i < node->n; i++)
        index.sorted[i] = &node->entries[i];
    qsort(index.sorted, index.n, sizeof(index.sorted[0]), compare_entries);
    return index;
}

const struct node_entry *node_index_find(const struct node_index *index, const char *key)
{
    size_t low = 0;
    size_t high = index->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(key, index->sorted[middle]->key);

        if (order == 0)
            return index->sorted[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

enum { SMALL_MAP = 16 };

/* Two maps of as many entries. */
static bool equal_maps(struct arena *arena, const struct node *a, const struct node *b)
{
    struct node_index left;
    struct node_index right;

    for (size_t i = 0; a->n <= SMALL_MAP && i < a->n; i++) {
        const struct node *other = node_get(b, a->entries[i].key);

        if (!other || !node_equal(arena, a->entries[i].value, other))
            return false;
    }
    if (a->n <= SMALL_MAP)
        return true;
    left = node_index_make(arena, a);
    right = node_index_make(arena, b);
    for (size_t i = 0; i < left.n; i++) {
        if (strcmp(left.sorted[i]->key, right.sorted[i]->key) != 0 ||
            !node_equal(arena, left.sorted[i]->value, right.sorted[i]->value))
            return false;
    }
    return true;
}

/* Of one type: `~` is null, and 0xa is 10. */
static bool equal_scalars(const struct node *a, const struct node *b)
{
    int64_t first;
    int64_t second;

    if (a->type == NODE_NULL)
        return true;
    if (a->type == NODE_BOOL)
        return node_bool_value(a->text) == node_bool_value(b->text);
    if (a->type == NODE_INT && node_int_value((struct str){a->text, a->text_len}, &first) &&
        node_int_value((struct str){b->text, b->text_len}, &second))
        return first == second;
    return a->text_len == b->text_len && memcmp(a->text, b->text, a->text_len) == 0;
}

bool node_equal(struct arena *arena, const struct node *a, const struct node *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->n != b->n || (a->kind == NODE_SCALAR && a->type != b->type))
        return false;
    if (a->kind == NODE_SCALAR)
        return equal_scalars(a, b);
    if (a->kind == NODE_MAP)
        return equal_maps(arena, a, b);
    for (size_t i = 0; i < a->n; i++) {
        if (!node_equal(arena, a->entries[i].value, b->entries[i].value))
            return false;
    }
    return true;
}

struct node *node_last_wins(struct arena *arena, struct node *map)
{
    struct node_index index;
    const struct node_entry **winners;
    struct node *unique;

    if (map->n < 2)
        return map;
    index = node_index_make(arena, map);
    winners = arena_new_array(arena, const struct node_entry *, map->n);
    for (size_t i = 0; i < index.n; i++) {
        size_t first = i;

        while (i + 1 < index.n && strcmp(index.sorted[i]->key, index.sorted[i + 1]->key) == 0)
            i++;
        winners[index.sorted[first] - map->entries] = index.sorted[i];
    }
    unique = node_new(arena, NODE_MAP, map->span, map->n);
    for (size_t i = 0; i < map->n; i++) {
        if (winners[i])
            node_add(unique, winners[i]->key, winners[i]->span, winners[i]->value);
    }
    return unique;
}

const char *node_what(const struct node *node)
{
    static const char *const scalars[] = {
        [NODE_NULL] = "null",      [NODE_BOOL] = "a boolean", [NODE_INT] = "a number",
        [NODE_FLOAT] = "a number", [NODE_TEXT] = "a string",
    };

    if (node->kind == NODE_LIST)
        return "a list";
    return node->kind == NODE_MAP ? "a mapping" : scalars[node->type];
}
