#pragma once

/* What must exist, in engine words and with final names. Made by a front end (compose/lower.c),
 * owned by its arena, never edited. The reconciler knows nothing of where it came from but file
 * names and spans. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/span.h"
#include "engine/base/str.h"
#include "engine/engine.h"

struct buf;

/* Where a field of a spec was written. `field` is the spec's own name for it, as in its JSON, with
 * ".KEY" for a member ("environment.FOO") or without. Sorted by field. */
struct field_origin {
    const char *field;
    struct span span;
};

struct field_origins {
    const struct field_origin *items;
    size_t n;
};

/* What the front end calls a field of a container's spec, and in which unit the spec counts. A row
 * holds for the members of its field too. */
enum field_unit { UNIT_NONE, UNIT_BYTES, UNIT_DURATION_NS, UNIT_NANO };

struct field_word {
    const char *field, *word; /* "health.interval_ns", "healthcheck.interval" */
    enum field_unit unit;
};

struct field_words {
    const struct field_word *items;
    size_t n;
};

enum dependency_condition { DEPENDS_STARTED, DEPENDS_HEALTHY, DEPENDS_COMPLETED };
extern const char *const dependency_condition_names[];

struct desired_dependency {
    const char *service;
    enum dependency_condition condition;
    bool restart;  /* restart the dependent when the dependency is replaced */
    bool required; /* false: a failure of the dependency does not stop the dependent */
    struct span span;
};

struct desired_image {
    const char *reference;
    const struct image_build_request *build; /* NULL = to be pulled when missing */
    struct span span;
};

struct desired_container {
    struct container_spec spec; /* image_id is NULL: the reconciler resolves it */
    const char *service;
    int number;                                    /* from 1 */
    const struct desired_dependency *dependencies; /* sorted by service */
    size_t n_dependencies;
    struct span span;
    struct field_origins origins;
};

struct desired_network {
    struct network_spec spec;
    bool is_external; /* must exist, is never touched */
    struct span span;
    struct field_origins origins;
};

struct desired_volume {
    struct volume_spec spec;
    bool is_external;
    struct span span;
};

struct desired {
    const char *project;
    struct strings files;    /* span.file indexes this */
    struct strings services; /* every service declared, selected or not: the rest are orphans */
    struct field_words words;
    const struct desired_image *images; /* sorted by reference */
    size_t n_images;
    const struct desired_network *networks; /* sorted by name */
    size_t n_networks;
    const struct desired_volume *volumes; /* sorted by name */
    size_t n_volumes;
    const struct desired_container
        *containers; /* sorted by service, then number; only selected ones */
    size_t n_containers;
};

/* As JSON, for records of generations and for people. The caller owns the result. */
json_t *desired_to_json(const struct desired *desired);

/* Span of a field, or of the nearest enclosing field, or `fallback`. */
struct span field_origins_find(const struct field_origins *origins, const char *field,
                               struct span fallback);
