/* berth start, stop, restart, kill: existing containers, in order. */

#include <signal.h>
#include <stdlib.h>

#include "compose/command/command.h"
#include "compose/command/verbs.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/units.h"

struct change_options {
    int64_t timeout_ns;
    bool no_deps, wait;
    const char *signal;
};

static const struct change_options change_defaults = {.timeout_ns = -1, .signal = "SIGKILL"};

#define TIMEOUT_FLAG                                                                               \
    {                                                                                              \
        "timeout", 't', CLI_SECONDS, offsetof(struct change_options, timeout_ns), "SECONDS",       \
            "time between stop signal and SIGKILL (default: each service's stop_grace_period)"     \
    }

static const struct cli_option start_flags[] = {
    {"wait", 0, CLI_FLAG, offsetof(struct change_options, wait), NULL,
     "return when every service is healthy (or running, without a health check)"},
    CLI_OPTIONS_END,
};
static const struct cli_option stop_flags[] = {TIMEOUT_FLAG, CLI_OPTIONS_END};
static const struct cli_option restart_flags[] = {
    TIMEOUT_FLAG,
    {"no-deps", 0, CLI_FLAG, offsetof(struct change_options, no_deps), NULL,
     "don't keep to the order of dependencies"},
    CLI_OPTIONS_END,
};
static const struct cli_option kill_flags[] = {
    {"signal", 's', CLI_TEXT, offsetof(struct change_options, signal), "SIGNAL",
     "signal to send (default SIGKILL)"},
    CLI_OPTIONS_END,
};

static int change(struct cli_context *context, const struct change_options *options,
                  const struct strings *args, enum plan_goal goal, const char *verb,
                  struct error *err)
{
    struct plan_options plan_options = PLAN_OPTIONS_INIT;
    struct loaded loaded;

    plan_options.goal = goal;
    plan_options.grace_ns = options->timeout_ns;
    plan_options.no_deps = options->no_deps;
    plan_options.wait = options->wait;
    if (command_load_or_recall(context, args, &loaded, err) < 0)
        return -1;
    return command_change(context, loaded.desired, &plan_options, verb, false, err);
}

static int start_run(struct cli_context *context, const void *options, const struct strings *args,
                     struct error *err)
{
    return change(context, options, args, PLAN_START, "start", err);
}

static int stop_run(struct cli_context *context, const void *options, const struct strings *args,
                    struct error *err)
{
    return change(context, options, args, PLAN_STOP, "stop", err);
}

static int restart_run(struct cli_context *context, const void *options, const struct strings *args,
                       struct error *err)
{
    return change(context, options, args, PLAN_RESTART, "restart", err);
}

/* ---- kill ---------------------------------------------------------------------------------------
 */

static int await_answers(struct engine_session *session, size_t n, struct error *err)
{
    struct error first = ERROR_INIT;
    struct session_event event;

    while (n > 0) {
        if (engine_session_receive(session, -1, &event, err) < 0)
            return -1;
        if (event.kind == SESSION_CLOSED)
            break;
        if (event.kind == SESSION_FAILED)
            error_gather(&first, event.error);
        if (event.kind == SESSION_DONE || event.kind == SESSION_FAILED)
            n--;
    }
    if (first.code == ERROR_NONE)
        return 0;
    if (err)
        *err = first;
    return -1;
}

static int kill_containers(struct engine *engine, const char *project,
                           const struct containers *containers, int signal, struct error *err)
{
    struct engine_session *session;
    int result = 0;

    if (engine_session_open(engine, project, true, &session, err) < 0)
        return -1;
    for (size_t i = 0; i < containers->n && result == 0; i++)
        result = engine_session_kill(session, (uint32_t)i, containers->items[i].name, signal, err);
    if (result == 0)
        result = await_answers(session, containers->n, err);
    engine_session_close(session);
    return result;
}

static int kill_run(struct cli_context *context, const void *void_options,
                    const struct strings *args, struct error *err)
{
    const struct change_options *options = void_options;
    struct containers containers;
    struct loaded loaded;
    struct engine *engine;
    cleanup_fd int lock = -1;
    int signal, result = -1;

    if (parse_signal(str_from(options->signal), &signal, err) < 0)
        return error_wrap(err, "--signal");
    if (command_load_or_recall(context, args, &loaded, err) < 0 ||
        command_engine(context, &engine, err) < 0)
        return -1;
    if (command_lock(context, engine, loaded.desired->project, "kill", &lock, err) == 0 &&
        command_containers(context, engine, loaded.desired->project, args, false, &containers,
                           err) == 0)
        result = containers.n == 0
                     ? 0
                     : kill_containers(engine, loaded.desired->project, &containers, signal, err);
    engine_project_unlock(engine, loaded.desired->project, &lock);
    engine_close(engine);
    return result;
}

/* ---- tables
 * ---------------------------------------------------------------------------------------- */

const struct cli_verb start_verb = {
    .name = "start",
    .heading = "Work with what exists",
    .summary = "start stopped containers",
    .arguments = "[SERVICE...]",
    .description =
        "Starts existing containers in the order of their dependencies. It creates nothing "
        "and takes no changes of the files into account: that is what up does.",
    .options = start_flags,
    .options_size = sizeof(struct change_options),
    .defaults = &change_defaults,
    .max_args = CLI_ANY_NUMBER,
    .run = start_run,
};

const struct cli_verb stop_verb = {
    .name = "stop",
    .summary = "stop containers, keep them",
    .arguments = "[SERVICE...]",
    .description =
        "Stops containers in reverse order of their dependencies. A stopped container is not "
        "restarted by its restart policy.",
    .options = stop_flags,
    .options_size = sizeof(struct change_options),
    .defaults = &change_defaults,
    .max_args = CLI_ANY_NUMBER,
    .run = stop_run,
};

const struct cli_verb restart_verb = {
    .name = "restart",
    .summary = "stop and start containers",
    .arguments = "[SERVICE...]",
    .options = restart_flags,
    .options_size = sizeof(struct change_options),
    .defaults = &change_defaults,
    .max_args = CLI_ANY_NUMBER,
    .run = restart_run,
};

const struct cli_verb kill_verb = {
    .name = "kill",
    .summary = "send a signal to containers",
    .arguments = "[SERVICE...]",
    .examples = "  berth kill -s HUP web     tell web to read its configuration again",
    .options = kill_flags,
    .options_size = sizeof(struct change_options),
    .defaults = &change_defaults,
    .max_args = CLI_ANY_NUMBER,
    .run = kill_run,
};
