#pragma once

/* The plan: what to do, in an order that respects every need, and why. A pure value.
 *
 * Nodes are in topological order; an edge is the index of an earlier node, so a cycle can't be
 * written down. The executor walks it without deciding anything. Reasons name the field, the values
 * and the line. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/span.h"
#include "engine/base/str.h"
#include "engine/engine.h"

struct arena;
struct buf;
struct desired;
struct error;
struct observed;

enum op_kind {
    OP_IMAGE_PULL,
    OP_IMAGE_BUILD,
    OP_NETWORK_REMOVE,
    OP_NETWORK_CREATE,
    OP_VOLUME_CREATE,
    OP_VOLUME_REMOVE,
    OP_CONTAINER_STOP,
    OP_CONTAINER_REMOVE,
    OP_CONTAINER_CREATE,
    OP_CONTAINER_UPDATE,
    OP_CONTAINER_START,
    OP_WAIT_HEALTHY,
    OP_WAIT_EXIT, /* with code 0 */
    OP_KINDS,
};
extern const char *const op_kind_names[OP_KINDS];

enum reason_kind {
    REASON_ABSENT,     /* it does not exist */
    REASON_CHANGED,    /* `field` differs */
    REASON_DRIFT,      /* the machine is not as the record says; `text` tells */
    REASON_ORPHAN,     /* no longer in the files */
    REASON_DEPENDENCY, /* of `text` */
    REASON_REQUESTED,  /* the user asked: --force-recreate, down, --build */
    REASON_KINDS,
};
extern const char *const reason_kind_names[REASON_KINDS];

struct reason {
    enum reason_kind kind;
    const char *field;    /* CHANGED */
    const char *old_text; /* CHANGED: NULL = was unset; secrets never pass here */
    const char *new_text; /* CHANGED: NULL = now unset */
    const char *text;     /* the others: in the user's words */
    struct span span;     /* line 0 = no source */
};

struct plan_node {
    enum op_kind kind;
    const char *subject; /* engine name of the object acted on, or image reference */
    const struct reason *reasons;
    size_t n_reasons;
    struct span span; /* the object in the files */
    union {
        const struct network_spec *network;      /* NETWORK_CREATE */
        const struct volume_spec *volume;        /* VOLUME_CREATE */
        const struct container_spec *container;  /* CONTAINER_CREATE, CONTAINER_UPDATE */
        const struct image_build_request *build; /* IMAGE_BUILD */
        struct {
            int64_t grace_ns; /* -1 = the container's own */
        } stop;
        struct {
            bool with_volumes; /* anonymous ones */
        } remove;
        struct {
            bool is_optional;      /* a failure does not fail its dependents */
            bool without_check_ok; /* running is enough when there is no health check */
        } wait;
    };
    const uint32_t *after; /* indexes of earlier nodes, ascending, unique */
    size_t n_after;
};

/* Something that destroys data: the command asks, or the user has said so with a flag. */
struct confirmation {
    const char *subject;
    const char *text;
};

/* Said with the plan, not part of it: kept orphans and the like. */
struct plan_note {
    const char *text;
    struct span span;
};

struct plan {
    const char *project;
    struct plan_node *nodes;
    size_t n_nodes;
    struct confirmation *confirmations;
    size_t n_confirmations;
    struct plan_note *notes;
    size_t n_notes;
    size_t n_unchanged; /* containers that stay as they are */
};

enum plan_goal {
    PLAN_UP,
    PLAN_CREATE,
    PLAN_DOWN,
    PLAN_STOP,
    PLAN_START,
    PLAN_RESTART,
    PLAN_IMAGES
};

struct plan_options {
    enum plan_goal goal;
    bool build; /* build images that can be built, even if present */
    bool force_recreate;
    bool no_recreate;
    bool no_deps; /* ignore dependencies between services (restart, start) */
    bool wait;    /* UP: end only when every service is healthy (or running without a check) */
    bool remove_orphans;
    bool remove_volumes; /* DOWN */
    int64_t grace_ns;    /* -1 = each container's own */
};

#define PLAN_OPTIONS_INIT                                                                          \
    {                                                                                              \
        .grace_ns = -1                                                                             \
    }

/* Decide how to go from `have` to `want`. Pure: no I/O, no clock, no allocation outside the arena;
 * equal inputs give equal plans. Fails with ERROR_NOT_FOUND (external object missing), ERROR_CYCLE
 * or ERROR_CONFLICT; `ret_span` (may be NULL) then points at the guilty line. */
int plan_make(struct arena *arena, const struct desired *want, const struct observed *have,
              const struct plan_options *options, const struct plan **ret, struct span *ret_span,
              struct error *err);

/* For people: one line per changed object, then reasons; `files` resolves spans. */
void plan_print(struct buf *out, const struct plan *plan, const struct strings *files, bool colour);

/* One line per node with its edges: for golden tests and --trace=plan. */
void plan_print_nodes(struct buf *out, const struct plan *plan, const struct strings *files);

json_t *plan_to_json(const struct plan *plan, const struct strings *files);
