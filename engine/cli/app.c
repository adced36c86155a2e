/* What every verb knows of its process. */

#include "engine/cli/app.h"

#include "engine/base/trace.h"
#include "engine/cli/cli.h"

struct app *app_of(const struct cli_context *context)
{
    return context->user;
}

const struct app_options *app_options_of(const struct cli_context *context)
{
    return context->globals;
}

static const char *option_or_variable(const struct cli_context *context, const char *option,
                                      const char *variable)
{
    const char *value = option ? option : pairs_find(&app_of(context)->environment, variable);

    return value && value[0] != '\0' ? value : NULL;
}

const char *app_state_root(const struct cli_context *context)
{
    return option_or_variable(context, app_options_of(context)->root, "BERTH_ROOT");
}

const char *app_run_root(const struct cli_context *context)
{
    return option_or_variable(context, app_options_of(context)->run_root, "BERTH_RUN");
}

int app_enable_trace(const struct cli_context *context, struct error *err)
{
    const char *topics = option_or_variable(context, app_options_of(context)->trace, "BERTH_TRACE");

    return topics ? trace_enable(topics, err) : 0;
}
