/* What each kind of node does. No decisions: the plan made them. */

#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "reconcile/execution.h"

bool op_needs_session(enum op_kind kind)
{
    return kind >= OP_CONTAINER_STOP;
}

bool op_is_wait(enum op_kind kind)
{
    return kind == OP_WAIT_HEALTHY || kind == OP_WAIT_EXIT;
}

bool op_is_job(enum op_kind kind)
{
    return kind == OP_IMAGE_PULL || kind == OP_IMAGE_BUILD;
}

/* ---- images, networks, volumes ------------------------------------------------------------------
 */

static int start_job(struct execution *execution, size_t index, struct error *err)
{
    const struct plan_node *node = &execution->plan->nodes[index];
    struct execution_job job = {.node = index};
    struct image_pull_request pull = {.reference = node->subject};

    if (node->kind == OP_IMAGE_BUILD) {
        if (engine_image_build(execution->engine, node->build, &job.job, err) < 0)
            return -1;
    } else if (engine_image_pull(execution->engine, &pull, &job.job, err) < 0) {
        return -1;
    }
    vec_push(&execution->jobs, job);
    return 0;
}

static int run_resource(struct execution *execution, const struct plan_node *node,
                        struct error *err)
{
    switch (node->kind) {
    case OP_NETWORK_CREATE:
        return engine_network_create(execution->engine, node->network, err);
    case OP_NETWORK_REMOVE:
        return engine_network_remove(execution->engine, node->subject, err);
    case OP_VOLUME_CREATE:
        return engine_volume_create(execution->engine, node->volume, err);
    case OP_VOLUME_REMOVE:
        return engine_volume_remove(execution->engine, node->subject, err);
    case OP_IMAGE_PULL:
    case OP_IMAGE_BUILD:
    case OP_CONTAINER_STOP:
    case OP_CONTAINER_REMOVE:
    case OP_CONTAINER_CREATE:
    case OP_CONTAINER_UPDATE:
    case OP_CONTAINER_START:
    case OP_WAIT_HEALTHY:
    case OP_WAIT_EXIT:
    case OP_KINDS:
        break;
    }
    BUG();
}

/* ---- containers ---------------------------------------------------------------------------------
 */

/* An image made by this plan had no id when the plan was made. */
static int resolve_image(struct execution *execution, const struct container_spec *spec,
                         const struct container_spec **ret, struct error *err)
{
    struct container_spec *resolved;
    struct image_info image;

    if (spec->image_id) {
        *ret = spec;
        return 0;
    }
    if (engine_image_find(execution->engine, execution->arena, spec->image, &image, err) < 0)
        return -1;
    resolved = arena_memdup(execution->arena, spec, sizeof(*spec));
    resolved->image_id = image.id;
    *ret = resolved;
    return 0;
}

/* What it was before the start says nothing of after. One that runs already stays as it is, and no
 * news of it would come: its start is repeated, because a keeper died before it could answer. */
static void forget_state(struct execution *execution, const char *name)
{
    for (size_t i = 0; i < execution->plan->n_nodes; i++) {
        struct container_state *state = &execution->containers[i];

        if (text_equal(state->name, name) && state->status != CONTAINER_RUNNING)
            state->is_known = false;
    }
}

int execution_send(struct execution *execution, size_t index, struct error *err)
{
    const struct plan_node *node = &execution->plan->nodes[index];
    struct engine_session *session = execution->session;
    const struct container_spec *spec = NULL;
    uint32_t tag = (uint32_t)index;

    switch (node->kind) {
    case OP_CONTAINER_CREATE:
    case OP_CONTAINER_UPDATE:
        if (resolve_image(execution, node->container, &spec, err) < 0)
            return -1;
        return node->kind == OP_CONTAINER_CREATE ? engine_session_create(session, tag, spec, err)
                                                 : engine_session_update(session, tag, spec, err);
    case OP_CONTAINER_START:
        forget_state(execution, node->subject);
        return engine_session_start(session, tag, node->subject, err);
    case OP_CONTAINER_STOP:
        return engine_session_stop(session, tag, node->subject, node->stop.grace_ns, err);
    case OP_CONTAINER_REMOVE:
        return engine_session_remove(session, tag, node->subject, node->remove.with_volumes, err);
    case OP_WAIT_HEALTHY:
    case OP_WAIT_EXIT:
        return 0;
    case OP_IMAGE_PULL:
    case OP_IMAGE_BUILD:
    case OP_NETWORK_REMOVE:
    case OP_NETWORK_CREATE:
    case OP_VOLUME_CREATE:
    case OP_VOLUME_REMOVE:
    case OP_KINDS:
        break;
    }
    BUG();
}

/* ---- waits --------------------------------------------------------------------------------------
 */

static const char *how_it_ended(struct execution *execution, const struct container_state *state)
{
    if (state->oom_killed)
        return "was killed: out of memory (raise its mem_limit)";
    if (state->exit_code < 0)
        return "ended with an unknown exit code";
    return arena_printf(execution->arena, "exited with code %d", state->exit_code);
}

/* What the last health check printed, for the end of a message: ": connection refused", or "". */
static const char *last_words_of_check(struct execution *execution, const char *name)
{
    struct container_info info;
    struct str output;

    if (engine_container_find(execution->engine, execution->arena, name, &info, NULL) < 0 ||
        !info.health_output)
        return "";
    output = str_trim(str_from(info.health_output));
    return output.len > 0
               ? arena_printf(execution->arena, ": its check says: " STR_FMT, STR_ARG(output))
               : "";
}

enum verdict { VERDICT_WAIT, VERDICT_HOLDS, VERDICT_FAILED };

static enum verdict judge_healthy(struct execution *execution, const struct plan_node *node,
                                  const struct container_state *state, struct error *err)
{
    bool is_up = state->status == CONTAINER_RUNNING;

    if (is_up && state->health == HEALTH_HEALTHY)
        return VERDICT_HOLDS;
    if (is_up && state->health == HEALTH_NONE && node->wait.without_check_ok)
        return VERDICT_HOLDS;
    if (is_up && state->health == HEALTH_NONE)
        error_set(
            err, ERROR_INVALID,
            "container \"%s\" has no health check, so nobody can wait for it to be healthy; give "
            "its service a healthcheck, or use condition: service_started",
            node->subject);
    else if (state->health == HEALTH_UNHEALTHY)
        error_set(err, ERROR_REMOTE, "container \"%s\" is unhealthy%s", node->subject,
                  last_words_of_check(execution, node->subject));
    else if (state->status == CONTAINER_EXITED && node->wait.without_check_ok &&
             state->exit_code == 0)
        return VERDICT_HOLDS;
    else if (state->status == CONTAINER_EXITED)
        error_set(err, ERROR_REMOTE, "container \"%s\" %s before it was healthy", node->subject,
                  how_it_ended(execution, state));
    else
        return VERDICT_WAIT;
    return VERDICT_FAILED;
}

static enum verdict judge_exit(struct execution *execution, const struct plan_node *node,
                               const struct container_state *state, struct error *err)
{
    if (state->status != CONTAINER_EXITED)
        return VERDICT_WAIT;
    if (state->exit_code == 0)
        return VERDICT_HOLDS;
    error_set(err, ERROR_REMOTE, "container \"%s\" %s", node->subject,
              how_it_ended(execution, state));
    return VERDICT_FAILED;
}

void execution_check_wait(struct execution *execution, size_t index)
{
    const struct plan_node *node = &execution->plan->nodes[index];
    const struct container_state *state = &execution->containers[index];
    struct error error = ERROR_INIT;
    enum verdict verdict;

    /* Connecting to the keeper brings the first states, which may have settled it already. */
    if (!state->is_known || execution->states[index] != NODE_RUNNING)
        return;
    verdict = node->kind == OP_WAIT_EXIT ? judge_exit(execution, node, state, &error)
                                         : judge_healthy(execution, node, state, &error);
    if (verdict != VERDICT_WAIT)
        execution_finish(execution, index, verdict == VERDICT_FAILED ? &error : NULL);
}

void execution_note_state(struct execution *execution, const struct session_event *event)
{
    for (size_t i = 0; i < execution->plan->n_nodes; i++) {
        struct container_state *state = &execution->containers[i];

        if (!text_equal(state->name, event->name))
            continue;
        state->is_known = true;
        state->status = event->status;
        state->health = event->health;
        state->exit_code = event->exit_code;
        state->oom_killed = event->oom_killed;
        if (execution->states[i] == NODE_RUNNING && op_is_wait(execution->plan->nodes[i].kind))
            execution_check_wait(execution, i);
    }
}

/* ---- begin
 * ---------------------------------------------------------------------------------------- */

static int begin(struct execution *execution, size_t index, struct error *err)
{
    const struct plan_node *node = &execution->plan->nodes[index];

    if (op_is_job(node->kind))
        return start_job(execution, index, err);
    if (!op_needs_session(node->kind)) {
        if (run_resource(execution, node, err) < 0)
            return -1;
        execution_finish(execution, index, NULL);
        return 0;
    }
    if (!execution->session && execution_connect(execution, err) < 0)
        return -1;
    if (execution_send(execution, index, err) < 0)
        return -1;
    /* Connecting takes in states, which may have ended this wait already. */
    if (op_is_wait(node->kind) && execution->states[index] == NODE_RUNNING)
        execution_check_wait(execution, index);
    return 0;
}

void execution_start_node(struct execution *execution, size_t index)
{
    struct error error = ERROR_INIT;

    execution->states[index] = NODE_RUNNING;
    execution->n_running++;
    if (!op_is_wait(execution->plan->nodes[index].kind))
        journal_begin(&execution->journal, execution->plan, index);
    execution_report(execution, index, NODE_RUNNING, NULL);
    if (begin(execution, index, &error) < 0 && execution->states[index] == NODE_RUNNING)
        execution_finish(execution, index, &error);
}
