/* berth down. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "compose/command/command.h"
#include "compose/command/verbs.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"

struct down_options {
    bool remove_orphans, volumes;
    int64_t timeout_ns;
};

static const struct down_options down_defaults = {.timeout_ns = -1};

static const struct cli_option down_flags[] = {
    {"volumes", 'v', CLI_FLAG, offsetof(struct down_options, volumes), NULL,
     "remove the project's named volumes too, with all their data"},
    {"remove-orphans", 0, CLI_FLAG, offsetof(struct down_options, remove_orphans), NULL,
     "remove containers of services that are not in the files"},
    {"timeout", 't', CLI_SECONDS, offsetof(struct down_options, timeout_ns), "SECONDS",
     "time between stop signal and SIGKILL (default: each service's stop_grace_period)"},
    CLI_OPTIONS_END,
};

/* What stays (orphans, services of profiles that are off) keeps the project's directories. */
static int forget(struct engine *engine, const char *project, struct error *err)
{
    struct error failure = ERROR_INIT;

    if (engine_project_forget(engine, project, &failure) == 0 || failure.code == ERROR_CONFLICT)
        return 0;
    if (err)
        *err = failure;
    return -1;
}

static int down_run(struct cli_context *context, const void *void_options,
                    const struct strings *args, struct error *err)
{
    const struct down_options *options = void_options;
    struct plan_options plan_options = PLAN_OPTIONS_INIT;
    struct carry_out carry = {.verb = "down", .signal_fd = -1};
    struct loaded loaded;
    cleanup_fd int lock = -1, signals = -1;
    int result = -1;

    plan_options.goal = PLAN_DOWN;
    plan_options.remove_orphans = options->remove_orphans;
    plan_options.remove_volumes = options->volumes;
    plan_options.grace_ns = options->timeout_ns;
    if (command_load_or_recall(context, args, &loaded, err) < 0)
        return -1;
    carry.desired = loaded.desired;
    if (command_engine(context, &carry.engine, err) < 0)
        return -1;
    if (command_signals(&signals, err) == 0 &&
        command_lock(context, carry.engine, carry.desired->project, "down", &lock, err) == 0 &&
        command_plan(context, carry.engine, carry.desired, &plan_options, &carry.plan, err) == 0) {
        carry.signal_fd = signals;
        if (carry.plan->n_nodes == 0)
            dprintf(STDERR_FILENO, "nothing to take down for project \"%s\"\n",
                    carry.desired->project);
        result = command_carry_out(context, &carry, err);
    }
    if (result == 0 && !command_globals(context)->dry_run)
        result = forget(carry.engine, carry.desired->project, err);
    engine_project_unlock(carry.engine, carry.desired->project, &lock);
    engine_close(carry.engine);
    return result;
}

const struct cli_verb down_verb = {
    .name = "down",
    .summary = "stop and remove containers and networks",
    .arguments = "[SERVICE...]",
    .description =
        "Stops containers in reverse order of their dependencies and removes them with their "
        "anonymous volumes, then the project's networks. Named volumes stay unless -v is given. A "
        "main "
        "process that can't receive the stop signal is killed at once instead of after the grace "
        "period.",
    .examples = "  berth down          take the stack down, keep its data\n"
                "  berth down -v       and remove its volumes",
    .options = down_flags,
    .options_size = sizeof(struct down_options),
    .defaults = &down_defaults,
    .max_args = CLI_ANY_NUMBER,
    .run = down_run,
};
