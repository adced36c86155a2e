#pragma once

/* YAML with positions: what every step of the loader reads and makes (private to compose/file).
 *
 * Nodes are arena-owned and never changed once they are in a tree: a step returns the node it was
 * given, or a new one. Trees are at most NODE_DEPTH_MAX deep and, aliases followed, weigh at most
 * NODES_MAX, so that walks may recurse. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/span.h"
#include "engine/base/str.h"

struct arena;
struct buf;

enum {
    NODE_DEPTH_MAX = 100,
    NODES_MAX = 250000,
    NODE_TEXT_WEIGHT = 64, /* so many bytes of text weigh as much as a node */
};

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

/* Of scalars: what YAML 1.2 says a plain one is. Quoted ones are text. */
enum node_type { NODE_NULL, NODE_BOOL, NODE_INT, NODE_FLOAT, NODE_TEXT };

enum node_tag { NODE_UNTAGGED, NODE_RESET, NODE_OVERRIDE };

struct node_entry {
    const char *key;  /* NULL in lists */
    struct span span; /* of the key; of the item in lists */
    const struct node *value;
};

struct node {
    enum node_kind kind;
    enum node_type type;
    enum node_tag tag;
    struct span span;
    const char *text; /* scalars: as written (NUL-terminated, without NULs inside); else NULL */
    size_t text_len;
    struct node_entry *entries; /* lists and maps */
    size_t n;
    size_t capacity;
    uint32_t weight; /* nodes below and including this one, and text; aliases followed */
    uint8_t depth;   /* levels below and including this one */
    bool has_tags;   /* !reset or !override at or below */
    bool is_ordered; /* maps: printed in the order of the entries; others are sorted */
};

/* Makers. A list or map has room for `capacity` entries; node_add may not go past it. */
struct node *node_new(struct arena *arena, enum node_kind kind, struct span span, size_t capacity);
struct node *node_new_text(struct arena *arena, const char *text, struct span span);
struct node *node_new_scalar(struct arena *arena, enum node_type type, const char *text,
                             struct span span);
void node_add(struct node *node, const char *key, struct span span, const struct node *value);
/* A map's or list's copy with room for `extra` more entries; the entries' values are shared. */
struct node *node_copy(struct arena *arena, const struct node *node, size_t extra);
/* The same with its tag, to give some entries other values: what stays of the document it is in. */
struct node *node_edit(struct arena *arena, const struct node *node);

/* A map's copy, with its tag, without `key`. */
struct node *node_without(struct arena *arena, const struct node *map, const char *key);
/* Without tags, and without what is tagged !reset below it; itself if it has none. */
const struct node *node_without_tags(struct arena *arena, const struct node *node);

/* A map without doubles: of entries of one key the last one stays, in the place of the first. */
struct node *node_last_wins(struct arena *arena, struct node *map);

/* NULL when `node` is no map or has no such key. */
const struct node_entry *node_find(const struct node *node, const char *key);
const struct node *node_get(const struct node *node, const char *key);

/* The same value, wherever it was written; a mapping's order does not count. */
bool node_equal(struct arena *arena, const struct node *a, const struct node *b);

/* The entry that a path begins with: the longest key that ends where the path does, or at a dot or
 * bracket (keys have dots), or an item's "[3]"; *ret_len is what it takes of the path. */
const struct node_entry *node_step(const struct node *node, const char *path, size_t *ret_len);

bool node_is_null(const struct node *node);
bool node_is_text(const struct node *node);

/* Entries sorted by key (ties in order), for maps too large to search one by one. */
struct node_index {
    const struct node_entry **sorted;
    size_t n;
};
struct node_index node_index_make(struct arena *arena, const struct node *node);
const struct node_entry *node_index_find(const struct node_index *index, const char *key);

/* What a plain scalar is. */
enum node_type node_type_of(struct str text);

/* Value of a NODE_INT ("0x1f", "0o17", "017", "1_000"); false when it does not fit. */
bool node_int_value(struct str text, int64_t *ret);
/* Value of a NODE_FLOAT (".5", "1_000.5", ".inf"). */
double node_float_value(struct str text);
/* Value of a NODE_BOOL. */
bool node_bool_value(const char *text);
/* A scalar as Compose turns it into text: 0755 → "493", 1.10 → "1.1", true → "true", text as it is.
 * NULL for null. */
const char *node_scalar_text(struct arena *arena, const struct node *node);

/* A NODE_INT or NODE_FLOAT as `config` prints it: 0x1f → 31, 1.50 → 1.5, 1e6 → 1e+06, .Inf → .inf;
 * for JSON, which has no infinity, NULL then. */
const char *node_yaml_number(struct arena *arena, const struct node *node);
const char *node_json_number(struct arena *arena, const struct node *node);

/* "a string", "a number", "a boolean", "null", "a list", "a mapping". */
const char *node_what(const struct node *node);
