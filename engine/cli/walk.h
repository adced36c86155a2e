#pragma once

/* All verbs of a tree, with the way to them. */

#include <stddef.h>

struct arena;
struct cli_verb;

struct cli_place {
    const struct cli_verb *verb;
    const char *path; /* "berth image ls" */
};

struct cli_places {
    struct cli_place *items;
    size_t n;
};

/* The root first, then each group before its verbs; hidden verbs and what is below them are left
 * out. */
struct cli_places cli_places_make(struct arena *arena, const struct cli_verb *root);
