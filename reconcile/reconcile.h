#pragma once

/* up = load (pure) → observe (reads only) → plan (pure) → execute (dumb) → record. This is the last
 * four. */

#include "reconcile/desired.h"
#include "reconcile/observed.h"
#include "reconcile/plan.h"

struct engine;

/* Read what exists: all that carries the project's name, and what `want` names beyond that. Reads
 * only. */
int observe(struct engine *engine, struct arena *arena, const struct desired *want,
            struct observed *ret, struct error *err);

enum node_state { NODE_WAITING, NODE_RUNNING, NODE_DONE, NODE_FAILED, NODE_SKIPPED };

struct execute_options {
    int parallel;  /* long jobs (builds, pulls) at once; 0 = 4 */
    int cancel_fd; /* readable = start nothing new, end what runs, return ERROR_CANCELLED; -1 = none
                    */
    /* Called on each change of a node; text is a short state ("pulling 40%") or a failure. May be
     * NULL. */
    void (*on_node)(void *context, const struct plan *plan, size_t node, enum node_state state,
                    const char *text);
    /* A line of output of a build. May be NULL. */
    void (*on_log)(void *context, const struct plan *plan, size_t node, const char *line);
    /* Called about ten times a second while something runs, for spinners. May be NULL. */
    void (*on_tick)(void *context);
    void *context;
};

#define EXECUTE_OPTIONS_INIT                                                                       \
    {                                                                                              \
        .cancel_fd = -1                                                                            \
    }

struct execute_result {
    size_t n_done, n_failed, n_skipped;
    const char **failures; /* root causes, one line each, in the arena */
    size_t n_failures;
};

/* Walk the plan: a node starts when all nodes it names are done. A failed node skips what needs it;
 * the rest goes on. The caller holds the project's lock. 0 = all done. Fails with the first root
 * cause; ret_result is filled either way. */
int execute(struct engine *engine, struct arena *arena, const struct plan *plan,
            const struct execute_options *options, struct execute_result *ret_result,
            struct error *err);

/* Record what was applied: state/projects/P/generations/N, `current` points at it. Ten are kept. */
int generation_record(struct engine *engine, const struct desired *want, const struct plan *plan,
                      const struct strings *files, struct error *err);
/* Number of the current generation, 0 = none. */
int generation_current(struct engine *engine, const char *project, int64_t *ret, struct error *err);
