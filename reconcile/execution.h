#pragma once

/* The state of one walk over a plan. Private to reconcile; execute.c walks, execute_op.c acts. */

#include "engine/base/error.h"
#include "engine/base/vec.h"
#include "reconcile/journal.h"
#include "reconcile/reconcile.h"

/* The last known state of a container, from the keeper. */
struct container_state {
    const char *name; /* borrowed from the plan */
    bool is_known;
    enum container_status status;
    enum health_status health;
    int exit_code;
    bool oom_killed;
};

struct execution_job {
    size_t node;
    struct engine_job *job;
};

struct execution {
    struct engine *engine;
    struct arena *arena;
    const struct plan *plan;
    const struct execute_options *options;
    struct execute_result *result;
    struct engine_session *session; /* NULL until a container node needs it */
    struct journal journal;
    enum node_state *states;            /* per node */
    size_t *n_pending;                  /* per node: nodes it still waits for */
    struct container_state *containers; /* per node: its container's state (shared by name) */
    VEC(struct execution_job) jobs;
    size_t n_running;
    size_t n_reconnects;
    bool is_cancelled;
    struct error first_failure;
};

/* Begin the effect of a node. Synchronous ones call execution_finish themselves. */
void execution_start_node(struct execution *execution, size_t node);

/* A node is over: error NULL = done. Lets dependents go, or skips them. */
void execution_finish(struct execution *execution, size_t node, const struct error *error);

void execution_report(const struct execution *execution, size_t node, enum node_state state,
                      const char *text);

/* Connect to the keeper (starting it), and watch states if the plan waits for any. */
int execution_connect(struct execution *execution, struct error *err);

/* Send what a running container node asks of the keeper: at its start and again after a reconnect.
 */
int execution_send(struct execution *execution, size_t node, struct error *err);

bool op_needs_session(enum op_kind kind);
bool op_is_wait(enum op_kind kind);
bool op_is_job(enum op_kind kind);

/* A state change came in: remember it and settle the waits it decides. */
void execution_note_state(struct execution *execution, const struct session_event *event);

/* Is this wait over? Finishes the node if so. */
void execution_check_wait(struct execution *execution, size_t node);
