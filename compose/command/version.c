/* berth version. */

#include <stdlib.h>

#include "compose/command/command.h"
#include "compose/command/verbs.h"
#include "engine/base/buf.h"
#include "engine/cli/version.h"

struct version_options {
    bool is_short;
    int format;
};

enum version_format { VERSION_TEXT, VERSION_JSON };
static const char *const format_choices[] = {"pretty", "json", NULL};

static const struct cli_option version_flags[] = {
    {"short", 0, CLI_FLAG, offsetof(struct version_options, is_short), NULL,
     "print the number only"},
    {"format", 'f', CLI_CHOICE, offsetof(struct version_options, format), "FORMAT", "how to print",
     format_choices},
    CLI_OPTIONS_END,
};

static int version_run(struct cli_context *context, const void *void_options,
                       const struct strings *args, struct error *err)
{
    const struct version_options *options = void_options;
    cleanup_buf struct buf out = BUF_INIT;

    (void)context;
    (void)args;
    if (options->is_short)
        buf_add_text(&out, BERTH_VERSION "\n");
    else if (options->format == VERSION_JSON)
        buf_add_text(&out, "{\"version\":\"" BERTH_VERSION "\"}\n");
    else
        buf_add_text(&out, "berth version " BERTH_VERSION "\n");
    return command_print(&out, err);
}

const struct cli_verb version_verb = {
    .name = "version",
    .heading = "About berth",
    .summary = "print the version",
    .options = version_flags,
    .options_size = sizeof(struct version_options),
    .run = version_run,
};
