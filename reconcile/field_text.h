#pragma once

/* Fields of specs and their values as people read them: by the front end's names, with units. */

#include <stddef.h>

#include "engine/engine.h"
#include "reconcile/desired.h"

struct arena;

/* "mem_limit" for "memory_bytes", "healthcheck.interval" for "health.interval_ns"; a member of
 * something that has a word keeps its name ("environment.FOO"); what has none is said as it is. */
const char *field_word(struct arena *arena, const struct field_words *words, const char *field);

/* One short line each; NULL for what is not there. Of two lists of things (ports, mounts, …) only
 * what the other one does not have. */
struct field_texts {
    const char *old_text, *new_text;
};
struct field_texts field_texts(struct arena *arena, const struct field_words *words,
                               const char *field, const json_t *old_value, const json_t *new_value);
