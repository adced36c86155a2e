#pragma once

/* Instructions → stages and what they need of each other. Pure.
 *
 * A stage refers to earlier ones only, so the order of the file is an order in which everything can
 * be built, and there are no cycles. Only what the target needs is marked. */

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/str.h"

struct arena;
struct dockerfile;
struct error;
struct instruction;

enum { GRAPH_STAGES_MAX = 500 };

enum origin_kind {
    ORIGIN_SCRATCH, /* FROM: an empty root. COPY, ADD: the context */
    ORIGIN_STAGE,
    ORIGIN_IMAGE,
};

/* Where a root filesystem comes from. */
struct build_origin {
    enum origin_kind kind;
    size_t stage;      /* index */
    const char *image; /* reference as written, expanded */
};

struct build_step {
    const struct instruction *instruction;
    struct build_origin from; /* COPY --from */
};

struct build_stage {
    const char *name;               /* lower case; NULL: none */
    const struct instruction *from; /* its FROM */
    struct build_origin base;
    struct build_step *steps;
    size_t n_steps;
    bool is_needed;
};

struct build_graph {
    struct build_stage *stages;
    size_t n_stages;
    size_t target;
    struct pairs global_args;   /* ARGs before the first FROM, and those that are always there */
    struct strings unused_args; /* given, but no ARG of a needed stage asks for them */
};

struct graph_options {
    const struct pairs *args; /* --build-arg; NULL value = not given */
    const char *target;       /* NULL = the last stage; a name, or a number */
    const char *architecture; /* of this machine: "amd64" */
};

/* ERROR_INVALID with file:line; ERROR_NOT_FOUND for a target that is not there. */
int build_graph_make(struct arena *arena, const struct dockerfile *file,
                     const struct graph_options *options, struct build_graph *ret,
                     struct error *err);

/* HTTP_PROXY and friends: given to RUN without ARG, kept out of cache keys and history. */
bool build_arg_is_proxy(const char *name);
