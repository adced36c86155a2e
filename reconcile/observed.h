#pragma once

/* What exists, as a plain value: read from records and the kernel by observe.c, printed to JSON for
 * a bug report, loaded from JSON by tests and `internal replay`. Arena-owned. */

#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"

struct arena;
struct error;

struct observed_container {
    const char *name;
    const char *service; /* "" = made by hand, belongs to no service */
    int number;
    struct container_spec spec; /* as applied */
    json_t *spec_json;          /* the same; borrowed from the observed value's holder */
    enum container_status status;
    enum health_status health;
    int exit_code;
    bool is_tainted;
    bool was_stopped; /* by somebody: how it exited says nothing */
};

struct observed_network {
    const char *name;
    struct network_spec spec;
    bool is_up; /* the kernel has its bridge */
};

struct observed_image {
    const char *reference; /* familiar form, as desired writes it */
    const char *id;
};

struct observed {
    struct observed_container *containers; /* of the project, sorted by name */
    size_t n_containers;
    struct observed_network *networks; /* of the machine, sorted by name */
    size_t n_networks;
    struct strings volumes; /* names, of the machine, sorted */
    struct observed_image
        *images; /* those that desired names and that exist, sorted by reference */
    size_t n_images;
    json_t *holder; /* owns the JSON values borrowed above */
};

#define OBSERVED_INIT                                                                              \
    {                                                                                              \
        0                                                                                          \
    }
#define cleanup_observed __attribute__((cleanup(observed_release)))
void observed_release(struct observed *observed); /* the arena's memory stays */

const struct observed_container *observed_find_container(const struct observed *observed,
                                                         const char *name);
const struct observed_network *observed_find_network(const struct observed *observed,
                                                     const char *name);
const struct observed_image *observed_find_image(const struct observed *observed,
                                                 const char *reference);

json_t *observed_to_json(const struct observed *observed); /* the caller owns it */
int observed_from_json(struct arena *arena, json_t *json, struct observed *ret, struct error *err);
