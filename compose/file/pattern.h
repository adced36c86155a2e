#pragma once

/* The patterns of the tables (field.h), compiled once per load (private to compose/file). */

#include <stdbool.h>

#include "engine/base/vec.h"

struct arena;
struct compiled_pattern;

struct patterns {
    struct arena *arena;
    VEC(struct compiled_pattern *) items;
};

void patterns_release(struct patterns *patterns);

/* Whether `pattern`, an extended regular expression of static storage that compiles, matches. */
bool patterns_match(struct patterns *patterns, const char *pattern, const char *text);
