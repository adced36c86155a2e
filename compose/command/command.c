/* What all project verbs share. */

#include "compose/command/command.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "compose/lower.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/trace.h"
#include "engine/cli/progress.h"

static const char *const progress_choices[] = {"auto", "tty", "plain", "quiet", NULL};
static const char *const ansi_choices[] = {"auto", "never", "always", NULL};

enum { LOCK_NOTICE_MS = 300, LOCK_TIMEOUT_MS = 60000 };

const struct global_options global_defaults = {0};

const struct cli_option global_flags[] = {
    {"file", 'f', CLI_LIST, offsetof(struct global_options, files), "FILE",
     "Compose file; given again, later ones override (- = standard input)"},
    {"project-name", 'p', CLI_TEXT, offsetof(struct global_options, project_name), "NAME",
     "project name (default: name: in the file, or the directory's name)"},
    {"project-directory", 0, CLI_TEXT, offsetof(struct global_options, project_directory), "DIR",
     "what relative paths are relative to (default: the first file's directory)"},
    {"env-file", 0, CLI_LIST, offsetof(struct global_options, env_files), "FILE",
     "variables for the Compose files, instead of .env"},
    {"profile", 0, CLI_LIST, offsetof(struct global_options, profiles), "NAME", "enable a profile"},
    {"progress", 0, CLI_CHOICE, offsetof(struct global_options, progress), "MODE",
     "how to show progress", progress_choices},
    {"ansi", 0, CLI_CHOICE, offsetof(struct global_options, ansi), "WHEN", "when to use colour",
     ansi_choices},
    {"parallel", 0, CLI_INT, offsetof(struct global_options, parallel), "N",
     "builds and pulls at the same time (default 4)"},
    {"dry-run", 0, CLI_FLAG, offsetof(struct global_options, dry_run), NULL,
     "print the plan, change nothing"},
    {"all-resources", 0, CLI_FLAG, offsetof(struct global_options, all_resources), NULL,
     "keep networks and volumes that no service uses"},
    {"root", 0, CLI_TEXT, offsetof(struct global_options, app.root), "DIR",
     "state directory (default /var/lib/berth, or BERTH_ROOT)"},
    {"run-root", 0, CLI_TEXT, offsetof(struct global_options, app.run_root), "DIR",
     "runtime directory (default /run/berth, or BERTH_RUN)"},
    {"trace", 0, CLI_TEXT, offsetof(struct global_options, app.trace), "TOPICS",
     "print what happens inside: plan,net,mount … or all (also BERTH_TRACE)"},
    CLI_OPTIONS_END,
};

void command_apply_globals(struct cli_context *context)
{
    int ansi = command_globals(context)->ansi;

    if (ansi == GLOBAL_ANSI_AUTO)
        return;
    context->stdout_colour = ansi == GLOBAL_ANSI_ALWAYS;
    context->stderr_colour = ansi == GLOBAL_ANSI_ALWAYS;
}

struct app *command_app(const struct cli_context *context)
{
    return app_of(context);
}

const struct global_options *command_globals(const struct cli_context *context)
{
    return context->globals;
}

/* ---- loading
 * ------------------------------------------------------------------------------------- */

static struct project_options load_options(struct cli_context *context,
                                           const struct strings *services, unsigned flags)
{
    const struct global_options *globals = command_globals(context);
    struct app *app = command_app(context);

    return (struct project_options){
        .files = globals->files,
        .project_directory = globals->project_directory,
        .name = globals->project_name,
        .env_files = globals->env_files,
        .profiles = globals->profiles,
        .services = *services,
        .environment = app->environment,
        .working_dir = app->working_dir,
        .stdin_fd = STDIN_FILENO,
        .flags = flags | (globals->all_resources ? PROJECT_ALL_RESOURCES : 0U),
    };
}

static void print_diagnostics(struct cli_context *context, const struct diagnostics *diagnostics)
{
    cleanup_buf struct buf text = BUF_INIT;

    diagnostics_print(&text, diagnostics,
                      context->stderr_colour ? DIAGNOSTICS_COLOUR : DIAGNOSTICS_PLAIN);
    if (text.len > 0)
        (void)fs_write_all(STDERR_FILENO, text.data, text.len, NULL); /* nowhere to tell it */
}

int command_load_project(struct cli_context *context, const struct strings *services,
                         unsigned flags, const struct project **ret, struct error *err)
{
    struct project_options options = load_options(context, services, flags);
    struct diagnostics diagnostics = {0};
    int result;

    if (app_enable_trace(context, err) < 0)
        return -1;
    result = project_load(&command_app(context)->arena, &options, ret, &diagnostics, err);
    print_diagnostics(context, &diagnostics);
    return result;
}

int command_load(struct cli_context *context, const struct strings *services, unsigned flags,
                 struct loaded *ret, struct error *err)
{
    if (command_load_project(context, services, flags, &ret->project, err) < 0)
        return -1;
    return lower_project(&command_app(context)->arena, ret->project, &ret->desired, err);
}

int command_refuse_unhonoured(struct cli_context *context, const struct project *project,
                              enum project_use use, struct error *err)
{
    struct diagnostics diagnostics = {0};
    int result;

    if (use == PROJECT_USE_UP && access("/sys/fs/selinux/enforce", F_OK) == 0)
        use = PROJECT_USE_UP_SELINUX;
    result =
        project_refuse_unhonoured(&command_app(context)->arena, project, use, &diagnostics, err);

    print_diagnostics(context, &diagnostics);
    return result;
}

int command_load_name(struct cli_context *context, const struct strings *services,
                      const char **ret_name, const struct project **ret_project, struct error *err)
{
    const struct global_options *globals = command_globals(context);
    const char *name = globals->project_name;

    *ret_project = NULL;
    if (!name && globals->files.n == 0)
        name = pairs_find(&command_app(context)->environment, "COMPOSE_PROJECT_NAME");
    if (name && globals->files.n == 0 && name[0] != '\0') {
        *ret_name = name;
        return 0;
    }
    if (command_load_project(context, services, PROJECT_KEEP_ALL, ret_project, err) < 0)
        return -1;
    *ret_name = (*ret_project)->name;
    return 0;
}

int command_engine(struct cli_context *context, struct engine **ret, struct error *err)
{
    struct engine_options options = {
        .state_root = app_state_root(context),
        .run_root = app_run_root(context),
    };

    if (app_enable_trace(context, err) < 0)
        return -1;
    return engine_open(&options, ret, err);
}

/* ---- signals
 * ---------------------------------------------------------------------------------------- */

int command_signals(int *ret_fd, struct error *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return error_sys(err, errno, "block signals");
    *ret_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (*ret_fd < 0)
        return error_sys(err, errno, "watch for signals");
    return 0;
}

/* ---- plans
 * -------------------------------------------------------------------------------------------- */

int command_lock(struct cli_context *context, struct engine *engine, const char *project,
                 const char *verb, int *ret_fd, struct error *err)
{
    struct error busy = ERROR_INIT;

    (void)context;
    if (engine_project_lock(engine, project, verb, LOCK_NOTICE_MS, ret_fd, &busy) == 0)
        return 0;
    if (busy.code != ERROR_TIMEOUT) {
        if (err)
            *err = busy;
        return -1;
    }
    dprintf(STDERR_FILENO, "waiting: %s\n", busy.text);
    return engine_project_lock(engine, project, verb, LOCK_TIMEOUT_MS, ret_fd, err);
}

/* "compose.yaml:31:7: " in front of what the planner said. */
static void prefix_place(const struct desired *desired, struct span span, struct error *err)
{
    if (span.line > 0 && span.file < desired->files.n)
        (void)error_wrap(err, "%s:%u:%u", desired->files.items[span.file], span.line, span.column);
}

int command_plan(struct cli_context *context, struct engine *engine, const struct desired *desired,
                 const struct plan_options *options, const struct plan **ret, struct error *err)
{
    struct arena *arena = &command_app(context)->arena;
    cleanup_observed struct observed observed = OBSERVED_INIT;
    struct span guilty = {0};
    cleanup_buf struct buf nodes = BUF_INIT;

    if (observe(engine, arena, desired, &observed, err) < 0)
        return -1;
    if (plan_make(arena, desired, &observed, options, ret, &guilty, err) < 0) {
        prefix_place(desired, guilty, err);
        return -1;
    }
    if (trace_is_on(TRACE_PLAN)) {
        plan_print_nodes(&nodes, *ret, &desired->files);
        trace(TRACE_PLAN, "%s", buf_text(&nodes));
    }
    return 0;
}

int command_change(struct cli_context *context, const struct desired *desired,
                   const struct plan_options *options, const char *verb, bool records_generation,
                   struct error *err)
{
    struct carry_out carry = {.desired = desired,
                              .verb = verb,
                              .signal_fd = -1,
                              .records_generation = records_generation};
    cleanup_fd int lock = -1, signals = -1;
    int result = -1;

    if (command_engine(context, &carry.engine, err) < 0)
        return -1;
    if (command_signals(&signals, err) == 0 &&
        command_lock(context, carry.engine, desired->project, verb, &lock, err) == 0 &&
        command_plan(context, carry.engine, desired, options, &carry.plan, err) == 0) {
        carry.signal_fd = signals;
        result = command_carry_out(context, &carry, err);
    }
    engine_project_unlock(carry.engine, desired->project, &lock);
    engine_close(carry.engine);
    return result;
}

int command_print(const struct buf *out, struct error *err)
{
    return fs_write_all(STDOUT_FILENO, buf_text(out), out->len, err);
}

/* ---- containers
 * ------------------------------------------------------------------------------------------ */

const char *container_service(const struct container_info *container)
{
    const char *service = pairs_find(&container->spec->labels, "com.docker.compose.service");

    return service ? service : "";
}

const char *container_short_name(const struct container_info *container)
{
    size_t len = strlen(container->project);

    if (strncmp(container->name, container->project, len) == 0 && container->name[len] == '-')
        return container->name + len + 1;
    return container->name;
}

static bool is_up(const struct container_info *container)
{
    return container->status != CONTAINER_CREATED && container->status != CONTAINER_EXITED;
}

int command_containers(struct cli_context *context, struct engine *engine, const char *project,
                       const struct strings *services, bool all, struct containers *ret,
                       struct error *err)
{
    struct container_info *found;
    size_t n, n_kept = 0;

    if (engine_containers_list(engine, &command_app(context)->arena, project, &found, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        bool wanted = services->n == 0 || strings_contain(services, container_service(&found[i]));

        if (wanted && (all || is_up(&found[i])))
            found[n_kept++] = found[i];
    }
    *ret = (struct containers){.items = found, .n = n_kept};
    return 0;
}
