#pragma once

/* A stage while it is built: root filesystem and config, changed step by step. Private to the
 * folder's orchestration (build, stage, configure, copy_step, run_step). */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/vec.h"
#include "engine/build/build.h"
#include "engine/build/cache.h"
#include "engine/build/dockerfile.h"
#include "engine/build/graph.h"
#include "engine/build/ignore.h"
#include "engine/build/selection.h"
#include "engine/image/image.h"

struct error;
struct image_info;
struct runner;
struct stage;

/* One build: what all its stages share. */
struct builder {
    struct arena arena;
    int state_fd, run_fd;   /* borrowed */
    const char *state_path; /* absolute */
    const struct image_build_request *request;
    build_event_fn *on_event;
    void *event_context;

    struct dockerfile file;
    struct build_graph graph;
    struct ignore ignore;
    struct source_tree context; /* root_fd -1 until a step needs it */
    struct image_lease lease;
    struct stage *stages;  /* like graph.stages */
    size_t n_steps, step;  /* of the needed stages: for progress */
    struct runner *runner; /* NULL until a RUN has to run */
    bool has_stored;       /* something new is in the cache */
};

struct string_list {
    VEC(const char *) list;
};

struct stage {
    struct builder *builder;
    const struct build_stage *plan;
    json_t *image;                     /* config document: {"config":{…},"history":[…],…} */
    struct string_list layers;         /* diff ids, bottom first */
    VEC(struct pair) variables;        /* ENV and ARG, in order: later ones win */
    const char *created;               /* RFC 3339, of the newest step with a layer; NULL: none */
    bool has_cmd;                      /* CMD was set in this stage: ENTRYPOINT leaves it alone */
    const struct instruction *current; /* for errors and progress */
};

/* Find an image, pull it when it isn't there (or the request says so), and keep it from being
 * collected while we build. */
int builder_need_image(struct builder *builder, const char *reference, struct image_info *ret,
                       struct error *err);

struct strings stage_layers(const struct stage *stage);
const char *stage_config_text(const struct stage *stage, const char *key); /* "" when unset */
const char *stage_working_dir(const struct stage *stage);                  /* "/" when unset */
struct strings stage_shell(const struct stage *stage);

int stage_expand(const struct stage *stage, const char *word, const char **ret, struct error *err);
int stage_expand_all(const struct stage *stage, const struct strings *words, struct strings *ret,
                     struct error *err);
void stage_set_variable(struct stage *stage, const char *name, const char *value);

void builder_event(const struct builder *builder, enum build_event_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Append to the config's history. created NULL: nothing is said. */
void stage_add_history(struct stage *stage, const char *created_by, const char *created,
                       bool is_empty_layer);

/* ------------------------------------------------------------------ steps */

/* What a step works on. */
struct layer_work {
    struct layer_stage *layer;
    int root_fd;  /* the stage's root with the new layer on top; -1 for RUN, which makes its own */
    int upper_fd; /* the new layer's tree */
};

struct layer_step {
    const char *created_by; /* for the history */
    const char *key;        /* hex */
    bool needs_root;        /* open root_fd */
    /* Fill the layer. */
    int (*work)(struct stage *stage, const struct layer_work *work, void *context,
                struct error *err);
    void *context;
};

/* From the cache, or by doing the work; appends layer and history. */
int stage_layer_step(struct stage *stage, const struct layer_step *step, struct error *err);

/* A key that begins with what every step sees: the layers below. */
void stage_key_begin(const struct stage *stage, const char *what, struct cache_key *ret);

/* The instructions. Errors without position: the caller adds it. */
int stage_configure(struct stage *stage, const struct build_step *step, struct error *err);
int stage_arg(struct stage *stage, const struct build_step *step, struct error *err);
int stage_copy(struct stage *stage, const struct build_step *step, struct error *err);
int stage_run(struct stage *stage, const struct build_step *step, struct error *err);
int stage_workdir(struct stage *stage, const struct build_step *step, struct error *err);
