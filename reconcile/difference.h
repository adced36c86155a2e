#pragma once

/* How two specs of a container differ, leaf by leaf, and what each difference asks for. The table
 * of field classes is the only place that knows which change needs a new container. */

#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"

struct arena;
struct field_words;

enum field_class {
    FIELD_RECREATE, /* needs a new container */
    FIELD_LIVE,     /* applied to the running one */
    FIELD_INERT,    /* says nothing about the container */
};

struct difference {
    const char *field;               /* "environment.FOO", "command", "memory_bytes" */
    const char *word;                /* "environment.FOO", "command", "mem_limit" */
    const char *old_text, *new_text; /* NULL = unset on that side */
    enum field_class class;
};

struct differences {
    struct difference *items; /* in the order of the fields in the JSON, new ones last */
    size_t n;
    bool needs_recreate, needs_update;
};

/* Compare canonical JSON of two specs, and say it in these words (NULL: the specs' own). Pure. */
struct differences spec_difference(struct arena *arena, const struct field_words *words,
                                   json_t *old_spec, json_t *new_spec);

enum field_class field_class_of(const char *field);
