/* From main to the verb. */

#include "engine/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/units.h"
#include "engine/cli/colour.h"
#include "engine/cli/help.h"
#include "engine/cli/parse.h"
#include "engine/cli/terminal.h"
#include "engine/cli/text.h"

enum { EXIT_USAGE = 2, EXIT_CANCELLED = 130, COLUMNS_DEFAULT = 80 };

const struct cli_verb *cli_verb_at(const struct cli_verb *group, size_t i)
{
    if (group->members)
        return group->members[i];
    return group->verbs && group->verbs[i].name ? &group->verbs[i] : NULL;
}

bool cli_is_group(const struct cli_verb *verb)
{
    return verb->members || verb->verbs;
}

static size_t terminal_columns(void)
{
    const char *text = getenv("COLUMNS");
    struct terminal_size size;
    uint64_t columns;

    if (text && parse_u64(str_from(text), 1, 10000, &columns, NULL) == 0)
        return (size_t)columns;
    if (terminal_get_size(STDOUT_FILENO, &size) || terminal_get_size(STDERR_FILENO, &size))
        return size.columns;
    return COLUMNS_DEFAULT;
}

void cli_context_init(struct cli_context *context, const struct cli_verb *root)
{
    const char *no_color = getenv("NO_COLOR"), *force = getenv("CLICOLOR_FORCE");

    *context = (struct cli_context){.root = root, .path = root->name};
    context->stdout_is_tty = terminal_is_tty(STDOUT_FILENO);
    context->stderr_is_tty = terminal_is_tty(STDERR_FILENO);
    context->stdout_colour = colour_is_wanted(context->stdout_is_tty, no_color, force);
    context->stderr_colour = colour_is_wanted(context->stderr_is_tty, no_color, force);
    context->columns = terminal_columns();
}

int cli_exit_code(const struct error *err)
{
    switch (err->code) {
    case ERROR_USAGE:
    case ERROR_INVALID:
        return EXIT_USAGE;
    case ERROR_CANCELLED:
        return EXIT_CANCELLED;
    case ERROR_NONE:
    case ERROR_NOT_FOUND:
    case ERROR_CONFLICT:
    case ERROR_CYCLE:
    case ERROR_DENIED:
    case ERROR_UNSUPPORTED:
    case ERROR_TIMEOUT:
    case ERROR_REMOTE:
    case ERROR_SYSTEM:
        return 1;
    }
    BUG();
}

static int print_help(const struct cli_context *context, const struct cli_parsed *parsed,
                      struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;

    cli_print_help(&text, context->root, parsed->verb, parsed->path, context->columns);
    return fs_write_all(STDOUT_FILENO, text.data, text.len, err);
}

/* "berth: text", and where to read more when the line itself was wrong. */
static void print_error(const char *program, const char *path, struct error *err)
{
    text_clean(err->text, "\n\t");
    fprintf(stderr, "%s: %s\n", program, err->text);
    if (err->code == ERROR_USAGE)
        fprintf(stderr, "%s --help tells more.\n", path);
}

int cli_run(struct cli_context *context, int argc, char **argv)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct error err = ERROR_INIT;
    struct cli_parsed parsed;
    int result;

    if (cli_parse(&arena, context->root, argc, argv, &parsed, &err) < 0) {
        print_error(context->root->name, parsed.path, &err);
        return EXIT_USAGE;
    }

    context->globals = parsed.globals;
    context->path = parsed.path;
    if (context->on_globals)
        context->on_globals(context);
    if (parsed.wants_help || !parsed.verb->run)
        result = print_help(context, &parsed, &err);
    else
        result = parsed.verb->run(context, parsed.options, &parsed.args, &err);
    if (result >= 0)
        return result;

    print_error(context->root->name, parsed.path, &err);
    return cli_exit_code(&err);
}
