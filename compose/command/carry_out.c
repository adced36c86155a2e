/* Executing a plan in front of people: progress, build output, failures told once. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compose/command/command.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/cli/progress.h"

/* What a node is called while it works and when it's done. Waiting shows with its container. */
static const struct {
    const char *kind, *working, *done;
} words[OP_KINDS] = {
    [OP_IMAGE_PULL] = {"Image", "Pulling", "Pulled"},
    [OP_IMAGE_BUILD] = {"Image", "Building", "Built"},
    [OP_NETWORK_REMOVE] = {"Network", "Removing", "Removed"},
    [OP_NETWORK_CREATE] = {"Network", "Creating", "Created"},
    [OP_VOLUME_CREATE] = {"Volume", "Creating", "Created"},
    [OP_VOLUME_REMOVE] = {"Volume", "Removing", "Removed"},
    [OP_CONTAINER_STOP] = {"Container", "Stopping", "Stopped"},
    [OP_CONTAINER_REMOVE] = {"Container", "Removing", "Removed"},
    [OP_CONTAINER_CREATE] = {"Container", "Creating", "Created"},
    [OP_CONTAINER_UPDATE] = {"Container", "Updating", "Updated"},
    [OP_CONTAINER_START] = {"Container", "Starting", "Started"},
    [OP_WAIT_HEALTHY] = {"Container", "Waiting", "Healthy"},
    [OP_WAIT_EXIT] = {"Container", "Waiting", "Exited"},
};

struct display {
    struct progress *progress;
    struct arena *arena;
    size_t *last_nodes; /* per node: the last node of the plan that concerns the same object */
};

static bool same_subject(const struct plan *plan, size_t a, size_t b)
{
    return strcmp(words[plan->nodes[a].kind].kind, words[plan->nodes[b].kind].kind) == 0 &&
           text_equal(plan->nodes[a].subject, plan->nodes[b].subject);
}

static void show_node(void *context, const struct plan *plan, size_t node, enum node_state state,
                      const char *text)
{
    static const enum progress_state states[] = {
        [NODE_WAITING] = PROGRESS_WAITING, [NODE_RUNNING] = PROGRESS_WORKING,
        [NODE_DONE] = PROGRESS_DONE,       [NODE_FAILED] = PROGRESS_ERROR,
        [NODE_SKIPPED] = PROGRESS_SKIPPED,
    };
    struct display *display = context;
    enum op_kind kind = plan->nodes[node].kind;
    char subject[400];
    const char *shown = text;
    enum progress_state progress_state = states[state];

    (void)snprintf(subject, sizeof(subject), "%s %s", words[kind].kind, plan->nodes[node].subject);
    if (!shown)
        shown = state == NODE_DONE ? words[kind].done : words[kind].working;
    /* An object is done when its last node is: until then its line keeps on working. */
    if (state == NODE_DONE && display->last_nodes[node] != node)
        progress_state = PROGRESS_WORKING;
    progress_update(display->progress, subject, progress_state, shown);
}

static void show_log(void *context, const struct plan *plan, size_t node, const char *line)
{
    struct display *display = context;
    cleanup_buf struct buf text = BUF_INIT;

    buf_printf(&text, "%s | %s", plan->nodes[node].subject, line);
    progress_log(display->progress, buf_text(&text));
}

static void tick(void *context)
{
    struct display *display = context;

    progress_tick(display->progress);
}

static void find_last_nodes(struct display *display, const struct plan *plan)
{
    display->last_nodes = arena_new_array(display->arena, size_t, plan->n_nodes);
    for (size_t i = 0; i < plan->n_nodes; i++) {
        display->last_nodes[i] = i;
        for (size_t j = i + 1; j < plan->n_nodes; j++) {
            if (same_subject(plan, i, j))
                display->last_nodes[i] = j;
        }
    }
}

static enum progress_mode progress_mode(const struct cli_context *context)
{
    const struct global_options *globals = command_globals(context);

    switch ((enum global_progress)globals->progress) {
    case GLOBAL_PROGRESS_AUTO: /* live lines are drawn with escapes */
        return globals->ansi == GLOBAL_ANSI_NEVER ? PROGRESS_PLAIN : PROGRESS_AUTO;
    case GLOBAL_PROGRESS_TTY:
        return PROGRESS_LIVE;
    case GLOBAL_PROGRESS_PLAIN:
        return PROGRESS_PLAIN;
    case GLOBAL_PROGRESS_QUIET:
        return PROGRESS_QUIET;
    }
    return PROGRESS_AUTO;
}

/* The first cause is what the command fails with; further causes are printed here. */
static void tell_failures(const struct execute_result *result)
{
    for (size_t i = 1; i < result->n_failures; i++)
        dprintf(STDERR_FILENO, "berth: %s\n", result->failures[i]);
    if (result->n_skipped > 0)
        dprintf(STDERR_FILENO, "%zu step%s skipped because of that\n", result->n_skipped,
                result->n_skipped == 1 ? "" : "s");
}

static int print_dry_run(struct cli_context *context, const struct carry_out *carry,
                         struct error *err)
{
    cleanup_buf struct buf out = BUF_INIT;

    plan_print(&out, carry->plan, &carry->desired->files, context->stdout_colour);
    return command_print(&out, err);
}

int command_carry_out(struct cli_context *context, const struct carry_out *carry, struct error *err)
{
    struct display display = {.arena = &command_app(context)->arena};
    struct execute_options options = EXECUTE_OPTIONS_INIT;
    struct execute_result result;
    int status;

    if (command_globals(context)->dry_run)
        return print_dry_run(context, carry, err);
    for (size_t i = 0; i < carry->plan->n_notes; i++)
        dprintf(STDERR_FILENO, "note: %s\n", carry->plan->notes[i].text);
    if (carry->plan->n_nodes == 0) {
        if (carry->plan->n_unchanged > 0)
            dprintf(STDERR_FILENO, "project %s is up to date: %zu container%s unchanged\n",
                    carry->plan->project, carry->plan->n_unchanged,
                    carry->plan->n_unchanged == 1 ? "" : "s");
        return 0;
    }

    find_last_nodes(&display, carry->plan);
    display.progress = progress_new(STDERR_FILENO, progress_mode(context), context->stderr_colour);
    options.parallel = (int)command_globals(context)->parallel;
    options.cancel_fd = carry->signal_fd;
    options.on_node = show_node;
    options.on_log = show_log;
    options.on_tick = context->stderr_is_tty ? tick : NULL;
    options.context = &display;
    status = execute(carry->engine, display.arena, carry->plan, &options, &result, err);
    progress_finish(display.progress);

    if (status < 0) {
        tell_failures(&result);
        return -1;
    }
    if (carry->records_generation)
        return generation_record(carry->engine, carry->desired, carry->plan, &carry->desired->files,
                                 err);
    return 0;
}
