#pragma once

/* What all project verbs share: global options, loading, the engine, plans carried out with
 * progress. Each verb is a struct cli_verb in a file of its own; verbs.c lists them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compose/file/project.h"
#include "engine/base/arena.h"
#include "engine/base/str.h"
#include "engine/cli/app.h"
#include "engine/cli/cli.h"
#include "engine/engine.h"
#include "reconcile/reconcile.h"

struct buf;
struct error;

/* Options before the verb. */
struct global_options {
    struct app_options app; /* first: engine/cli/app.h */
    struct strings files;
    const char *project_name;
    const char *project_directory;
    struct strings env_files;
    struct strings profiles;
    int progress; /* enum global_progress */
    int ansi;     /* enum global_ansi */
    int64_t parallel;
    bool dry_run;
    bool all_resources;
};

enum global_progress {
    GLOBAL_PROGRESS_AUTO,
    GLOBAL_PROGRESS_TTY,
    GLOBAL_PROGRESS_PLAIN,
    GLOBAL_PROGRESS_QUIET
};
enum global_ansi { GLOBAL_ANSI_AUTO, GLOBAL_ANSI_NEVER, GLOBAL_ANSI_ALWAYS };

/* --ansi decides about colours. */
void command_apply_globals(struct cli_context *context);

struct app *command_app(const struct cli_context *context);
const struct global_options *command_globals(const struct cli_context *context);

/* ---- loading --------------------------------------------------------------------------------- */

struct loaded {
    const struct project *project;
    const struct desired *desired;
};

/* Load the files, print diagnostics to stderr, lower. `services` may be empty (all); `flags` are
 * enum project_flags. Errors have been printed with their lines; *err summarises. */
int command_load(struct cli_context *context, const struct strings *services, unsigned flags,
                 struct loaded *ret, struct error *err);

/* The same without lowering: for verbs that only look at the files. */
int command_load_project(struct cli_context *context, const struct strings *services,
                         unsigned flags, const struct project **ret, struct error *err);

/* Print an error for each key of the project that berth doesn't honour yet, and fail if there is
 * one: what makes containers calls it before it makes anything. `use` says what it is needed for.
 */
int command_refuse_unhonoured(struct cli_context *context, const struct project *project,
                              enum project_use use, struct error *err);

/* The project's name only: from -p and COMPOSE_PROJECT_NAME without any file, else by loading. A
 * verb that works from records (ps, logs, down -p NAME) needs no file. `ret_project` is NULL then.
 */
int command_load_name(struct cli_context *context, const struct strings *services,
                      const char **ret_name, const struct project **ret_project, struct error *err);

/* Load; with a project name and no file to be found, recall the project from the labels of what
 * exists. */
int command_load_or_recall(struct cli_context *context, const struct strings *services,
                           struct loaded *ret, struct error *err);

int command_engine(struct cli_context *context, struct engine **ret, struct error *err);

/* ---- carrying out a plan
 * -------------------------------------------------------------------------- */

/* SIGINT and SIGTERM as a readable fd, for as long as the process lives. */
int command_signals(int *ret_fd, struct error *err);

struct carry_out {
    struct engine *engine;
    const struct desired *desired;
    const struct plan *plan;
    const char *verb; /* "up" */
    int signal_fd;    /* -1 = signals have their default effect */
    bool records_generation;
};

/* Execute with live progress on stderr. Failures are printed once, with what was skipped because of
 * them. */
int command_carry_out(struct cli_context *context, const struct carry_out *carry,
                      struct error *err);

/* Lock the project; says on stderr whom it waits for. */
int command_lock(struct cli_context *context, struct engine *engine, const char *project,
                 const char *verb, int *ret_fd, struct error *err);

/* Observe and plan. Planning errors get the place in front. */
int command_plan(struct cli_context *context, struct engine *engine, const struct desired *desired,
                 const struct plan_options *options, const struct plan **ret, struct error *err);

/* Lock, observe, plan, carry out: verbs that need nothing else. */
int command_change(struct cli_context *context, const struct desired *desired,
                   const struct plan_options *options, const char *verb, bool records_generation,
                   struct error *err);

/* Buffered result to stdout. */
int command_print(const struct buf *out, struct error *err);

/* ---- containers of the project
 * --------------------------------------------------------------------- */

struct containers {
    struct container_info *items;
    size_t n;
};

/* Containers of the named services (all if none), running ones only unless `all`. The caller has
 * checked that the services exist. */
int command_containers(struct cli_context *context, struct engine *engine, const char *project,
                       const struct strings *services, bool all, struct containers *ret,
                       struct error *err);
const char *container_service(const struct container_info *container); /* "" if none */

/* "web-1" for shop-web-1 of project shop; the name itself for others. */
const char *container_short_name(const struct container_info *container);

extern const struct cli_option global_flags[];
extern const struct global_options global_defaults;
