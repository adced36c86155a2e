#pragma once

/* The layers of a pull: download, unpack and commit those that are missing, several at a time. */

#include <stddef.h>

#include "engine/base/str.h"
#include "engine/worker/manifest.h"

struct error;
struct fetch;
struct registry;

struct layers_order {
    int state_fd;
    struct fetch *fetch;
    const struct registry *registry;
    const char *name; /* for progress */
    const struct manifest *manifest;
    const struct strings *diff_ids; /* one per layer of the manifest */
};

/* The diff ids must be under a lease. On success all layers are in the store, durably. */
int layers_get(const struct layers_order *order, struct error *err);
