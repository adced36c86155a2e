#pragma once

/* The tables the loader is built on (private to compose/file).
 *
 * A `struct shape` says what keys an object of the Compose file has; a `struct field` what one key
 * is: its type (how to bring it to its long form, check and bind it, and print it), how two files'
 * values merge, and where it goes in the model. A new key is a row in a table (shapes_*.c), and a
 * type where no existing one fits.
 *
 * What the engine honours is bound to a member of the model. What it doesn't honour yet is *kept*:
 * checked and brought to the form it is printed in, as a node, in the `kept` mapping of the object
 * it belongs to; `up` refuses it (project_refuse_unhonoured). What means something only elsewhere
 * (a swarm, another platform) is kept as well, and warned about. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* ---- what values look like --------------------------------------------------------------------
 */

enum schema_form {
    SCHEMA_NULL = 1 << 0,
    SCHEMA_BOOL = 1 << 1,
    SCHEMA_INT = 1 << 2,
    SCHEMA_NUMBER = 1 << 3, /* an integer or not */
    SCHEMA_TEXT = 1 << 4,
    SCHEMA_LIST = 1 << 5,
    SCHEMA_MAP = 1 << 6,
    SCHEMA_EMPTY = 1 << 7, /* beside words and patterns: text that says nothing */
    SCHEMA_SCALAR = SCHEMA_BOOL | SCHEMA_NUMBER | SCHEMA_TEXT,
    SCHEMA_ANY = SCHEMA_NULL | SCHEMA_SCALAR | SCHEMA_LIST | SCHEMA_MAP,
};

struct schema_range {
    int64_t min; /* INT64_MIN: none */
    int64_t max; /* INT64_MAX: none */
};

/* What may stand in the file, short forms too: for the JSON Schema, and for the checks of kept
 * values. A mapping has the keys of the field's shape, or names with values like the shape's `each`
 * where it has one; a list has such items. What no shape describes is `items`. */
struct schema {
    unsigned forms;            /* enum schema_form, or-ed */
    const char *const *words;  /* text: one of these, NULL at the end */
    const char *pattern;       /* text: an extended regular expression that ECMA 262 reads alike;
                                * with words: either */
    const char *names_pattern; /* of a mapping's names */
    size_t min_names;          /* of a mapping */
    const struct schema_range *range; /* numbers */
    const struct schema *items;       /* of a list, or of a mapping's values */
};

#define RANGE(min_, max_) (&(const struct schema_range){.min = (min_), .max = (max_)})

/* ---- types ------------------------------------------------------------------------------------
 */

struct field_type {
    /* Short forms → the long one; NULL when `node` is already, or is of a wrong type (that is
     * reported by decode or keep). */
    struct node *(*canonical)(struct load *load, const struct field *field,
                              const struct node *node);
    /* Bound: check and bind into `object`; everything wrong is reported. */
    void (*decode)(struct load *load, const struct field *field, const struct node *node,
                   void *object);
    /* Bound: NULL when there is nothing to print. */
    const struct node *(*encode)(const struct encoder *encoder, const struct field *field,
                                 const void *object);
    /* Kept, instead of the two above: check, and give the form that is printed. NULL when the
     * value says nothing (an empty list), or was reported. */
    const struct node *(*keep)(struct load *load, const struct field *field,
                               const struct node *node);
    const char *text_key; /* a text stands for a mapping that has it under this key */
    struct schema schema;
    bool judges;     /* notes itself which values are not honoured */
    bool wraps_text; /* the long form has a short text whole: its variables don't matter */
};

enum merge_rule {
    MERGE_GENERIC, /* mappings deep, lists appended (then unique), scalars replaced, null keeps */
    MERGE_REPLACE, /* the later one wins, even null */
    MERGE_PAIRS,   /* mapping of scalars: each later value wins, even null */
    MERGE_MAPS_OR_REPLACE, /* two mappings deep, else the later one */
    MERGE_SAME_DRIVER,     /* logging: mappings deep, unless both name a driver and another one */
    MERGE_POOLS,           /* ipam.config: by subnet; pools only the base has are dropped */
};

enum field_state {
    FIELD_HONOURED,  /* or a part of something that is judged as a whole */
    FIELD_KEPT,      /* not yet: `up` refuses it */
    FIELD_ELSEWHERE, /* means nothing on one Linux machine: a warning */
};

struct field {
    struct str name;
    const char *about; /* one line for somebody typing the key into an editor */
    const struct field_type *type;
    enum field_state state;
    enum merge_rule merge;
    bool is_required; /* in every object of this shape */
    size_t offset;
    const struct shape *shape; /* of objects, of a list's or a mapping's values */
    /* Lists: what must be unique; a later item replaces the earlier one. NULL: no such rule. */
    const char *(*unique)(struct arena *arena, const struct node *item);
    const char *no_effect; /* kept: the value that asks for what happens anyway, or is honoured by
                            * what else follows from it; not refused */
    /* Narrow the type's schema. */
    const char *const *words;
    const char *pattern;
    const struct schema_range *range;
};

struct shape {
    const struct field *fields;
    size_t n_fields;
    const struct field *each; /* a mapping of names: every value; or every item of a list */
    size_t size;              /* of the struct it binds to */
    const void *defaults;     /* such a struct, or NULL for zeros */
    size_t kept_offset;       /* of its `const struct node *kept`, with x-… too; 0: it has none */
    bool is_closed;           /* x-… is unknown in it, too */
};

#define SLOT(type, object, field) ((type *)(void *)((char *)(object) + (field)->offset))
#define SLOT_CONST(type, object, field)                                                            \
    ((type const *)(const void *)((const char *)(object) + (field)->offset))

/* NULL if the shape has no such key. */
const struct field *shape_find(const struct shape *shape, const char *key);
/* The field of what lies below `field` under `key` (NULL key: a list's item); NULL if untyped. */
const struct field *field_below(const struct field *field, const char *key);
/* The type's, narrowed by the row. */
struct schema field_schema(const struct field *field);

/* "x-…": anybody's. */
bool key_is_extension(const char *key);

/* Long forms everywhere below. Returns `node` when nothing changed. */
const struct node *field_canonical(struct load *load, const struct field *field,
                                   const struct node *node);

/* Keys of a mapping into `object` by the table; unknown and missing ones are reported, unhonoured
 * ones noted. */
void shape_decode(struct load *load, const struct shape *shape, const struct node *node,
                  void *object);
/* The same for a shape of which every key is kept; the printed form, in the table's order. */
const struct node *shape_keep(struct load *load, const struct shape *shape,
                              const struct node *node);
/* Zeroed and given the shape's defaults. */
void shape_init(const struct shape *shape, void *object);
/* The object's mapping in the table's order, empty fields left out, then its x-… keys. */
struct node *shape_encode(const struct encoder *encoder, const struct shape *shape,
                          const void *object);

/* List items unique by field->unique; the later replaces the earlier in its place. */
struct node *list_unique(struct arena *arena, const struct field *field, struct node *list);
