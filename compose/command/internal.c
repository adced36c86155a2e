/* berth internal: what packages and shells call, printed from the tables. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "compose/command/command.h"
#include "compose/command/verbs.h"
#include "compose/file/schema.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/cli/cli.h"
#include "engine/cli/completion.h"
#include "engine/cli/man.h"

/* Printed in the pages; fixed, so that builds are reproducible. */
static const char man_date[] = "November 21, 2026";

static int completion_run(struct cli_context *context, const void *options,
                          const struct strings *args, struct error *err)
{
    cleanup_buf struct buf out = BUF_INIT;

    (void)options;
    if (text_equal(args->items[0], "bash"))
        cli_print_completion_bash(&out, context->root);
    else if (text_equal(args->items[0], "zsh"))
        cli_print_completion_zsh(&out, context->root);
    else
        return error_set(err, ERROR_USAGE, "no completion for \"%s\"; there is bash and zsh",
                         args->items[0]);
    return command_print(&out, err);
}

static int man_run(struct cli_context *context, const void *options, const struct strings *args,
                   struct error *err)
{
    cleanup_fd int dir = open(args->items[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)options;
    if (dir < 0)
        return error_sys(err, errno, "open directory \"%s\"", args->items[0]);
    return cli_write_man(context->root, dir, man_date, err);
}

static int schema_run(struct cli_context *context, const void *options, const struct strings *args,
                      struct error *err)
{
    cleanup_buf struct buf out = BUF_INIT;

    (void)context;
    (void)options;
    (void)args;
    compose_schema_print(&out);
    return command_print(&out, err);
}

static const struct cli_verb internal_verbs[] = {
    {
        .name = "completion",
        .summary = "print completions for a shell: bash, zsh",
        .arguments = "SHELL",
        .min_args = 1,
        .max_args = 1,
        .run = completion_run,
    },
    {
        .name = "print-man",
        .summary = "write the man pages into a directory",
        .arguments = "DIR",
        .min_args = 1,
        .max_args = 1,
        .run = man_run,
    },
    {
        .name = "print-schema",
        .summary = "print the JSON Schema of Compose files",
        .run = schema_run,
    },
    {.name = NULL},
};

const struct cli_verb internal_verb = {
    .name = "internal",
    .summary = "for packages and shells",
    .flags = CLI_VERB_HIDDEN,
    .verbs = internal_verbs,
};
