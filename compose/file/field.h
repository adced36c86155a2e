#pragma once

/* The tables the loader is built on (private to compose/file).
 *
 * A `struct shape` says what keys an object of the Compose file has; a `struct field` what one key
 * is: its type (how to bring it to its long form, check and bind it, and print it), how two files'
 * values merge, and where it goes in the model. A new key is a row in a table (shapes_*.c), and a
 * type where no existing one fits. */

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/str.h"

struct arena;
struct load;
struct node;
struct field;
struct shape;

/* What `config` output is made with. */
struct encoder {
    struct arena *arena;
    bool is_json;
};

struct field_type {
    /* Short forms → the long one; NULL when `node` is already, or is of a wrong type (that is
     * reported by decode). */
    struct node *(*canonical)(struct load *load, const struct field *field,
                              const struct node *node);
    /* Check and bind into `object`; everything wrong is reported. */
    void (*decode)(struct load *load, const struct field *field, const struct node *node,
                   void *object);
    /* NULL when there is nothing to print. */
    const struct node *(*encode)(const struct encoder *encoder, const struct field *field,
                                 const void *object);
};

enum merge_rule {
    MERGE_GENERIC, /* mappings deep, lists appended (then unique), scalars replaced, null keeps */
    MERGE_REPLACE, /* the later one wins, even null */
    MERGE_PAIRS,   /* mapping of scalars: each later value wins, even null */
    MERGE_MAPS_OR_REPLACE, /* two mappings deep, else the later one */
    MERGE_POOLS,           /* ipam.config: by subnet; pools only the base has are dropped */
};

struct field {
    struct str name;
    const struct field_type *type; /* NULL: in the specification, not supported yet */
    enum merge_rule merge;
    size_t offset;
    const struct shape *shape; /* of objects, of a list's or a mapping's values */
    /* Lists: what must be unique; a later item replaces the earlier one. NULL: no such rule. */
    const char *(*unique)(struct arena *arena, const struct node *item);
};

struct shape {
    const struct field *fields;
    size_t n_fields;
    const struct field *each; /* a mapping of names: every value; or every item of a list */
    size_t size;              /* of the struct it binds to */
    const void *defaults;     /* such a struct, or NULL for zeros */
};

#define SLOT(type, object, field) ((type *)(void *)((char *)(object) + (field)->offset))
#define SLOT_CONST(type, object, field)                                                            \
    ((type const *)(const void *)((const char *)(object) + (field)->offset))

/* NULL if the shape has no such key. */
const struct field *shape_find(const struct shape *shape, const char *key);
/* The field of what lies below `field` under `key` (NULL key: a list's item); NULL if untyped. */
const struct field *field_below(const struct field *field, const char *key);

/* "x-…": anybody's. */
bool key_is_extension(const char *key);

/* Long forms everywhere below. Returns `node` when nothing changed. */
const struct node *field_canonical(struct load *load, const struct field *field,
                                   const struct node *node);

/* Keys of a mapping into `object` by the table; unknown and unsupported ones are reported. */
void shape_decode(struct load *load, const struct shape *shape, const struct node *node,
                  void *object);
/* Zeroed and given the shape's defaults. */
void shape_init(const struct shape *shape, void *object);
/* The object's mapping in the table's order, empty fields left out. `extensions` (its source, or
 * NULL) gives the x-… keys. */
struct node *shape_encode(const struct encoder *encoder, const struct shape *shape,
                          const void *object, const struct node *extensions);

/* List items unique by field->unique; the later replaces the earlier in its place. */
struct node *list_unique(struct arena *arena, const struct field *field, struct node *list);
