#pragma once

/* What main hands to every verb through cli_context.user, and the global options that every layer
 * of verbs understands. The environment is read once, in main. */

#include <stdbool.h>

#include "engine/base/arena.h"
#include "engine/base/str.h"

struct cli_context;
struct error;

struct app {
    struct arena arena;       /* lives as long as the process */
    struct pairs environment; /* of the process */
    const char *working_dir;  /* absolute */
};

/* The first member of the root verb's options. */
struct app_options {
    const char *root, *run_root; /* NULL = BERTH_ROOT, BERTH_RUN, or the defaults */
    const char *trace;           /* NULL = BERTH_TRACE */
};

struct app *app_of(const struct cli_context *context);
const struct app_options *app_options_of(const struct cli_context *context);

const char *app_state_root(const struct cli_context *context); /* NULL = default */
const char *app_run_root(const struct cli_context *context);   /* NULL = default */

/* --trace, or BERTH_TRACE. Idempotent. */
int app_enable_trace(const struct cli_context *context, struct error *err);
