#pragma once

/* "ls" of every group: one way to print a list as a table, as ids, as JSON. Private to the folder.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/cli/cli.h"

struct arena;
struct cli_context;
struct engine;
struct error;
struct table;

struct listing_options {
    bool quiet;
    int format;
};

extern const struct cli_option listing_flags[];

/* Items of one kind. `load` allocates them in the arena; the others look at one of them. */
struct listing {
    const char *const *headings;
    size_t item_size;
    int (*load)(struct engine *engine, struct arena *arena, void **ret_items, size_t *ret_n,
                struct error *err);
    const char *(*key)(const void *item); /* what --quiet prints */
    void (*add_rows)(struct table *table, struct arena *arena, const void *item);
    json_t *(*to_json)(const void *item); /* the caller owns it */
};

int listing_run(struct cli_context *context, const struct listing_options *options,
                const struct listing *listing, struct error *err);
