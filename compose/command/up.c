/* berth up, create. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compose/command/attach.h"
#include "compose/command/command.h"
#include "compose/command/verbs.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"

struct up_options {
    bool detach, wait, build, no_build, force_recreate, no_recreate, no_deps, no_start;
    bool remove_orphans;
    bool abort_on_exit;
    const char *exit_code_from;
    int64_t timeout_ns;
    struct attach_options attach;
};

static const struct up_options up_defaults = {.timeout_ns = -1};

/* What creating has to be told, whether it starts anything or not. */
/* clang-format off */
#define CREATION_FLAGS                                                                             \
    {"build", 0, CLI_FLAG, offsetof(struct up_options, build), NULL,                               \
     "build images first, even if they exist"},                                                    \
    {"force-recreate", 0, CLI_FLAG, offsetof(struct up_options, force_recreate), NULL,             \
     "replace containers even if nothing changed"},                                                \
    {"no-recreate", 0, CLI_FLAG, offsetof(struct up_options, no_recreate), NULL,                   \
     "keep existing containers even if they differ from the files"},                               \
    {"remove-orphans", 0, CLI_FLAG, offsetof(struct up_options, remove_orphans), NULL,             \
     "remove containers of services that are no longer in the files"}
/* clang-format on */

static const struct cli_option up_flags[] = {
    {"detach", 'd', CLI_FLAG, offsetof(struct up_options, detach), NULL,
     "return when everything is started, leave it running"},
    {"wait", 0, CLI_FLAG, offsetof(struct up_options, wait), NULL,
     "return when every service is healthy (or running, without a health check); implies -d"},
    CREATION_FLAGS,
    {"no-build", 0, CLI_FLAG, offsetof(struct up_options, no_build), NULL,
     "fail instead of building a missing image"},
    {"no-deps", 0, CLI_FLAG, offsetof(struct up_options, no_deps), NULL,
     "only the named services, not what they depend on"},
    {"no-start", 0, CLI_FLAG, offsetof(struct up_options, no_start), NULL, "create, don't start"},
    {"abort-on-container-exit", 0, CLI_FLAG, offsetof(struct up_options, abort_on_exit), NULL,
     "stop everything when one container ends, and exit with its code"},
    {"exit-code-from", 0, CLI_TEXT, offsetof(struct up_options, exit_code_from), "SERVICE",
     "exit with this service's code; implies --abort-on-container-exit"},
    {"timeout", 't', CLI_SECONDS, offsetof(struct up_options, timeout_ns), "SECONDS",
     "time between stop signal and SIGKILL (default: each service's stop_grace_period)"},
    {"no-log-prefix", 0, CLI_FLAG, offsetof(struct up_options, attach.no_prefix), NULL,
     "don't put the container's name in front of log lines"},
    {"timestamps", 0, CLI_FLAG, offsetof(struct up_options, attach.timestamps), NULL,
     "show when each log line was written"},
    CLI_OPTIONS_END,
};

static const struct {
    size_t a, b;
    const char *text;
} conflicts[] = {
    {offsetof(struct up_options, build), offsetof(struct up_options, no_build),
     "--build and --no-build are incompatible"},
    {offsetof(struct up_options, force_recreate), offsetof(struct up_options, no_recreate),
     "--force-recreate and --no-recreate are incompatible"},
    {offsetof(struct up_options, detach), offsetof(struct up_options, abort_on_exit),
     "--detach and --abort-on-container-exit are incompatible"},
    {offsetof(struct up_options, wait), offsetof(struct up_options, abort_on_exit),
     "--wait and --abort-on-container-exit are incompatible"},
    {offsetof(struct up_options, wait), offsetof(struct up_options, no_start),
     "--wait and --no-start are incompatible"},
};

static int check_conflicts(const struct up_options *options, struct error *err)
{
    for (size_t i = 0; i < sizeof(conflicts) / sizeof(*conflicts); i++) {
        const bool *a = (const bool *)((const char *)options + conflicts[i].a);
        const bool *b = (const bool *)((const char *)options + conflicts[i].b);

        if (*a && *b)
            return error_set(err, ERROR_USAGE, "%s", conflicts[i].text);
    }
    if (options->exit_code_from && (options->detach || options->wait))
        return error_set(err, ERROR_USAGE,
                         "--exit-code-from needs an attached up (no -d, no --wait)");
    return 0;
}

static struct plan_options plan_options_of(const struct up_options *options)
{
    struct plan_options plan = PLAN_OPTIONS_INIT;

    plan.goal = options->no_start ? PLAN_CREATE : PLAN_UP;
    plan.build = options->build;
    plan.force_recreate = options->force_recreate;
    plan.no_recreate = options->no_recreate;
    plan.no_deps = options->no_deps;
    plan.wait = options->wait;
    plan.remove_orphans = options->remove_orphans;
    plan.grace_ns = options->timeout_ns;
    return plan;
}

/* Whether an image that exists in containers is to be built: the planner can only tell what a new
 * image changes once it is there, so those are built first, in a plan of their own. */
static bool must_build_first(const struct plan *plan)
{
    bool builds = false, replaces = false;

    for (size_t i = 0; i < plan->n_nodes; i++) {
        builds |= plan->nodes[i].kind == OP_IMAGE_BUILD || plan->nodes[i].kind == OP_IMAGE_PULL;
        replaces |= plan->nodes[i].kind == OP_CONTAINER_REMOVE;
    }
    return builds && replaces;
}

static int refuse_builds(const struct plan *plan, struct error *err)
{
    for (size_t i = 0; i < plan->n_nodes; i++) {
        if (plan->nodes[i].kind == OP_IMAGE_BUILD)
            return error_set(err, ERROR_NOT_FOUND,
                             "image \"%s\" does not exist and --no-build forbids building it",
                             plan->nodes[i].subject);
    }
    return 0;
}

static int bring_up(struct cli_context *context, struct carry_out *carry,
                    const struct up_options *options, struct error *err)
{
    struct plan_options plan_options = plan_options_of(options);

    if (command_plan(context, carry->engine, carry->desired, &plan_options, &carry->plan, err) < 0)
        return -1;
    if (options->no_build && refuse_builds(carry->plan, err) < 0)
        return -1;
    if (must_build_first(carry->plan) && !command_globals(context)->dry_run) {
        plan_options.goal = PLAN_IMAGES;
        carry->records_generation = false;
        if (command_plan(context, carry->engine, carry->desired, &plan_options, &carry->plan, err) <
                0 ||
            command_carry_out(context, carry, err) < 0)
            return -1;
        plan_options = plan_options_of(options);
        plan_options.build = false;
        if (command_plan(context, carry->engine, carry->desired, &plan_options, &carry->plan, err) <
            0)
            return -1;
    }
    carry->records_generation = true;
    return command_carry_out(context, carry, err);
}

/* `attach: false` */
static struct strings unattached_services(struct cli_context *context,
                                          const struct project *project)
{
    struct strings services = {.items = arena_new_array(&command_app(context)->arena, const char *,
                                                        project->n_services + 1)};

    for (size_t i = 0; i < project->n_services; i++) {
        if (project->services[i].attach == 0)
            services.items[services.n++] = project->services[i].name;
    }
    return services;
}

static int run_attached(struct cli_context *context, struct carry_out *carry,
                        const struct up_options *options, const struct project *project,
                        int64_t since_ns, struct error *err)
{
    struct attach_options attach = options->attach;

    attach.unattached = unattached_services(context, project);
    attach.since_ns = since_ns;
    attach.abort_on_exit = options->abort_on_exit || options->exit_code_from;
    attach.exit_code_from = options->exit_code_from;
    attach.grace_ns = options->timeout_ns;
    return attach_run(context, carry->engine, carry->desired, carry->signal_fd, &attach, err);
}

static int check_exit_code_from(const struct up_options *options, const struct loaded *loaded,
                                struct error *err)
{
    if (options->exit_code_from && !project_find_service(loaded->project, options->exit_code_from))
        return error_set(err, ERROR_USAGE, "--exit-code-from: no such service: %s",
                         options->exit_code_from);
    return 0;
}

static int up_run(struct cli_context *context, const void *void_options, const struct strings *args,
                  struct error *err)
{
    const struct up_options *options = void_options;
    struct carry_out carry = {.verb = "up", .signal_fd = -1};
    struct loaded loaded;
    cleanup_fd int lock = -1, signals = -1;
    int64_t since_ns = attach_now();
    int result = -1;
    bool attached = !options->detach && !options->wait && !options->no_start &&
                    !command_globals(context)->dry_run;

    if (check_conflicts(options, err) < 0 ||
        command_load(context, args, options->no_deps ? 0 : PROJECT_WITH_DEPENDENCIES, &loaded,
                     err) < 0 ||
        command_refuse_unhonoured(context, loaded.project, PROJECT_USE_UP, err) < 0 ||
        check_exit_code_from(options, &loaded, err) < 0)
        return -1;
    carry.desired = loaded.desired;
    if (command_engine(context, &carry.engine, err) < 0)
        return -1;
    if (command_signals(&signals, err) == 0 &&
        command_lock(context, carry.engine, loaded.desired->project, "up", &lock, err) == 0) {
        carry.signal_fd = signals;
        result = bring_up(context, &carry, options, err);
    }
    /* Others may work on the project while we only watch. */
    engine_project_unlock(carry.engine, loaded.desired->project, &lock);
    if (result == 0 && attached)
        result = run_attached(context, &carry, options, loaded.project, since_ns, err);
    engine_close(carry.engine);
    return result;
}

const struct cli_verb up_verb = {
    .name = "up",
    .heading = "Bring up and take down",
    .summary = "create and start what the files say",
    .arguments = "[SERVICE...]",
    .description =
        "Compares the files with what runs and does what is missing: builds images, makes "
        "networks and volumes, creates, replaces and starts containers, each as soon as "
        "what it needs is ready. Doing it twice does nothing the second time.\n\n"
        "Without -d it shows the logs; the first Ctrl-C stops the containers, the second "
        "kills them.",
    .examples = "  berth up -d                  start everything in the background\n"
                "  berth up --wait              return when everything is healthy\n"
                "  berth up -d --build web      rebuild and restart one service\n"
                "  berth --dry-run up           show what would be done, and why",
    .options = up_flags,
    .options_size = sizeof(struct up_options),
    .defaults = &up_defaults,
    .max_args = CLI_ANY_NUMBER,
    .run = up_run,
};

static int create_run(struct cli_context *context, const void *void_options,
                      const struct strings *args, struct error *err)
{
    struct up_options options = *(const struct up_options *)void_options;

    options.no_start = true;
    return up_run(context, &options, args, err);
}

static const struct cli_option create_flags[] = {CREATION_FLAGS, CLI_OPTIONS_END};

const struct cli_verb create_verb = {
    .name = "create",
    .summary = "create containers, don't start them",
    .arguments = "[SERVICE...]",
    .options = create_flags,
    .options_size = sizeof(struct up_options),
    .defaults = &up_defaults,
    .max_args = CLI_ANY_NUMBER,
    .run = create_run,
};
