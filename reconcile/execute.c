/* The walk over a plan: pending counters, one poll loop, no decisions. */

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/trace.h"
#include "reconcile/execution.h"

enum { PARALLEL_DEFAULT = 4, RECONNECTS_MAX = 5, TICK_MS = 100 };

void execution_report(const struct execution *execution, size_t node, enum node_state state,
                      const char *text)
{
    trace(TRACE_EXECUTE, "node %zu %s %s: %d %s", node,
          op_kind_names[execution->plan->nodes[node].kind], execution->plan->nodes[node].subject,
          (int)state, text ? text : "");
    if (execution->options->on_node)
        execution->options->on_node(execution->options->context, execution->plan, node, state,
                                    text);
}

/* ---- ends of nodes
 * -------------------------------------------------------------------------------- */

/* All that needs a failed node, directly or not, is skipped before anything else can start. Edges
 * point backwards, so one pass in order finds the whole closure. */
static void skip_dependents(struct execution *execution, size_t failed)
{
    const struct plan *plan = execution->plan;

    for (size_t i = failed + 1; i < plan->n_nodes; i++) {
        const struct plan_node *node = &plan->nodes[i];

        if (execution->states[i] != NODE_WAITING)
            continue;
        for (size_t j = 0; j < node->n_after; j++) {
            enum node_state needed = execution->states[node->after[j]];

            if (needed != NODE_FAILED && needed != NODE_SKIPPED)
                continue;
            execution->states[i] = NODE_SKIPPED;
            execution->result->n_skipped++;
            execution_report(
                execution, i, NODE_SKIPPED,
                arena_printf(execution->arena, "because of %s", plan->nodes[failed].subject));
            break;
        }
    }
}

static void release_dependents(struct execution *execution, size_t done)
{
    for (size_t i = done + 1; i < execution->plan->n_nodes; i++) {
        const struct plan_node *node = &execution->plan->nodes[i];

        for (size_t j = 0; j < node->n_after; j++) {
            if (node->after[j] == done)
                execution->n_pending[i]--;
        }
    }
}

static void note_failure(struct execution *execution, size_t node, const struct error *error)
{
    struct execute_result *result = execution->result;

    result->failures[result->n_failures++] = arena_strdup(execution->arena, error->text);
    error_gather(&execution->first_failure, error);
    result->n_failed++;
    execution->states[node] = NODE_FAILED;
    execution_report(execution, node, NODE_FAILED, error->text);
    skip_dependents(execution, node);
}

void execution_finish(struct execution *execution, size_t index, const struct error *error)
{
    const struct plan_node *node = &execution->plan->nodes[index];

    assert(execution->states[index] == NODE_RUNNING);
    execution->n_running--;
    if (!op_is_wait(node->kind))
        journal_end(&execution->journal, index, error == NULL);
    if (error && !(op_is_wait(node->kind) && node->wait.is_optional)) {
        note_failure(execution, index, error);
        return;
    }
    execution->states[index] = NODE_DONE;
    execution->result->n_done++;
    execution_report(execution, index, NODE_DONE, error ? error->text : NULL);
    release_dependents(execution, index);
}

/* ---- the keeper
 * ------------------------------------------------------------------------------------ */

static bool plan_waits(const struct plan *plan)
{
    for (size_t i = 0; i < plan->n_nodes; i++) {
        if (op_is_wait(plan->nodes[i].kind))
            return true;
    }
    return false;
}

/* Watch states, and take in the states as they stand before anything is started: a state from
 * before a start must not be taken for one after it. */
static int watch(struct execution *execution, struct error *err)
{
    uint32_t tag = (uint32_t)execution->plan->n_nodes; /* no node has it */
    struct session_event event;

    if (engine_session_watch(execution->session, tag, err) < 0)
        return -1;
    for (;;) {
        if (engine_session_receive(execution->session, -1, &event, err) < 0)
            return -1;
        if (event.kind == SESSION_STATE)
            execution_note_state(execution, &event);
        else if (event.kind == SESSION_DONE && event.tag == tag)
            return 0;
        else if (event.kind == SESSION_CLOSED)
            return error_set(err, ERROR_REMOTE, "the keeper of project \"%s\" went away",
                             execution->plan->project);
        else if (event.kind == SESSION_FAILED && event.tag == tag) {
            if (err)
                *err = *event.error;
            return -1;
        }
    }
}

int execution_connect(struct execution *execution, struct error *err)
{
    if (engine_session_open(execution->engine, execution->plan->project, true, &execution->session,
                            err) < 0)
        return -1;
    if (plan_waits(execution->plan) && watch(execution, err) < 0) {
        engine_session_close(execution->session);
        execution->session = NULL;
        return -1;
    }
    return 0;
}

/* The keeper died: its successor knows the same records, and every request can be repeated. */
static void reconnect(struct execution *execution)
{
    struct error error = ERROR_INIT;
    bool is_back;

    engine_session_close(execution->session);
    execution->session = NULL;
    is_back =
        execution->n_reconnects++ < RECONNECTS_MAX && execution_connect(execution, &error) == 0;
    if (!is_back && error.code == ERROR_NONE)
        error_set(&error, ERROR_REMOTE,
                  "the keeper of project \"%s\" keeps dying; see its keeper.log",
                  execution->plan->project);

    for (size_t i = 0; i < execution->plan->n_nodes; i++) {
        bool concerned = execution->states[i] == NODE_RUNNING &&
                         op_needs_session(execution->plan->nodes[i].kind);

        if (!concerned)
            continue;
        if (!is_back || execution_send(execution, i, &error) < 0)
            execution_finish(execution, i, &error);
        else if (op_is_wait(execution->plan->nodes[i].kind))
            execution_check_wait(execution, i);
    }
}

static void take_event(struct execution *execution, const struct session_event *event)
{
    size_t node = event->tag;

    switch (event->kind) {
    case SESSION_DONE:
    case SESSION_FAILED:
        if (node < execution->plan->n_nodes && execution->states[node] == NODE_RUNNING)
            execution_finish(execution, node, event->kind == SESSION_FAILED ? event->error : NULL);
        return;
    case SESSION_STATE:
        execution_note_state(execution, event);
        return;
    case SESSION_CLOSED:
        reconnect(execution);
        return;
    }
}

static void read_session(struct execution *execution)
{
    struct session_event event;
    struct error error = ERROR_INIT;

    while (execution->session) {
        int result = engine_session_receive(execution->session, 0, &event, &error);

        if (result > 0)
            return;
        if (result < 0)
            event = (struct session_event){.kind = SESSION_CLOSED};
        take_event(execution, &event);
    }
}

/* ---- jobs
 * ------------------------------------------------------------------------------------------- */

/* Events of one job; true when it's over (and closed). */
static bool read_job(struct execution *execution, struct execution_job *job)
{
    struct job_event event;
    struct error error = ERROR_INIT;

    for (;;) {
        int result = engine_job_read(job->job, &event, &error);

        if (result > 0)
            return false;
        if (result < 0 || event.kind == JOB_FAILED) {
            execution_finish(execution, job->node, result < 0 ? &error : event.error);
            break;
        }
        if (event.kind == JOB_DONE) {
            execution_finish(execution, job->node, NULL);
            break;
        }
        if (event.kind == JOB_PROGRESS)
            execution_report(execution, job->node, NODE_RUNNING, event.text);
        else if (execution->options->on_log)
            execution->options->on_log(execution->options->context, execution->plan, job->node,
                                       event.text);
    }
    engine_job_close(job->job);
    return true;
}

static void read_jobs(struct execution *execution, const struct pollfd *polls)
{
    size_t n_kept = 0, n = execution->jobs.n;

    for (size_t i = 0; i < n; i++) {
        struct execution_job job = execution->jobs.items[i];

        if (polls[i].revents == 0 || !read_job(execution, &job))
            execution->jobs.items[n_kept++] = job;
    }
    execution->jobs.n = n_kept;
}

/* ---- the walk
 * ---------------------------------------------------------------------------------------- */

static void start_ready(struct execution *execution)
{
    size_t limit =
        execution->options->parallel > 0 ? (size_t)execution->options->parallel : PARALLEL_DEFAULT;

    /* Synchronous nodes finish inside and free others behind them, never before them. */
    for (size_t i = 0; i < execution->plan->n_nodes && !execution->is_cancelled; i++) {
        bool is_ready = execution->states[i] == NODE_WAITING && execution->n_pending[i] == 0;
        bool must_queue = op_is_job(execution->plan->nodes[i].kind) && execution->jobs.n >= limit;

        if (is_ready && !must_queue)
            execution_start_node(execution, i);
    }
}

/* Start nothing new. Jobs are killed and waits dropped; what the keeper has begun is let end (it's
 * short), but for stopping: the keeper goes on with it, and nobody waits for its grace. */
static void cancel(struct execution *execution)
{
    struct error error = ERROR_INIT;

    error_set(&error, ERROR_CANCELLED, "cancelled; run the command again to finish");
    execution->is_cancelled = true;
    for (size_t i = 0; i < execution->jobs.n; i++)
        engine_job_close(execution->jobs.items[i].job);
    execution->jobs.n = 0;
    for (size_t i = 0; i < execution->plan->n_nodes; i++) {
        enum op_kind kind = execution->plan->nodes[i].kind;

        if (execution->states[i] == NODE_RUNNING &&
            (op_is_job(kind) || op_is_wait(kind) || kind == OP_CONTAINER_STOP))
            execution_finish(execution, i, &error);
    }
    error_gather(&execution->first_failure, &error);
}

static void wait_for_events(struct execution *execution)
{
    VEC(struct pollfd) polls = VEC_INIT;
    size_t n_jobs = execution->jobs.n;
    int session_fd = execution->session ? engine_session_fd(execution->session) : -1;
    int cancel_fd = execution->is_cancelled ? -1 : execution->options->cancel_fd;

    for (size_t i = 0; i < n_jobs; i++)
        vec_push(&polls, (struct pollfd){.fd = engine_job_fd(execution->jobs.items[i].job),
                                         .events = POLLIN});
    vec_push(&polls, (struct pollfd){.fd = session_fd, .events = POLLIN});
    vec_push(&polls, (struct pollfd){.fd = cancel_fd, .events = POLLIN});

    if (execution->options->on_tick)
        execution->options->on_tick(execution->options->context);
    if (execution->session && engine_session_has_more(execution->session))
        read_session(execution);
    else if (poll(polls.items, polls.n, execution->options->on_tick ? TICK_MS : -1) > 0) {
        if (polls.items[n_jobs + 1].revents != 0) {
            cancel(execution);
        } else {
            read_jobs(execution, polls.items);
            if (polls.items[n_jobs].revents != 0)
                read_session(execution);
        }
    }
    vec_release(&polls);
}

static void execution_init(struct execution *execution)
{
    const struct plan *plan = execution->plan;

    execution->states = arena_new_array(execution->arena, enum node_state, plan->n_nodes);
    execution->n_pending = arena_new_array(execution->arena, size_t, plan->n_nodes);
    execution->containers =
        arena_new_array(execution->arena, struct container_state, plan->n_nodes);
    execution->result->failures =
        arena_new_array(execution->arena, const char *, plan->n_nodes + 1);
    for (size_t i = 0; i < plan->n_nodes; i++) {
        execution->n_pending[i] = plan->nodes[i].n_after;
        if (op_needs_session(plan->nodes[i].kind))
            execution->containers[i].name = plan->nodes[i].subject;
    }
}

int execute(struct engine *engine, struct arena *arena, const struct plan *plan,
            const struct execute_options *options, struct execute_result *ret_result,
            struct error *err)
{
    struct execution execution = {
        .engine = engine,
        .arena = arena,
        .plan = plan,
        .options = options,
        .result = ret_result,
        .journal = JOURNAL_INIT,
    };

    *ret_result = (struct execute_result){0};
    if (plan->n_nodes == 0)
        return 0;
    execution_init(&execution);
    if (journal_open(engine, plan, &execution.journal, err) < 0)
        return -1;

    for (;;) {
        start_ready(&execution);
        if (execution.n_running == 0)
            break;
        wait_for_events(&execution);
    }

    journal_close_clean(&execution.journal);
    engine_session_close(execution.session);
    vec_release(&execution.jobs);
    if (execution.first_failure.code == ERROR_NONE)
        return 0;
    if (err)
        *err = execution.first_failure;
    return -1;
}
