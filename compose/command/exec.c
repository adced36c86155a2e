/* berth exec. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compose/command/command.h"
#include "compose/command/verbs.h"
#include "engine/base/error.h"
#include "engine/cli/terminal.h"

struct exec_options {
    bool interactive, tty, no_tty, privileged;
    struct strings environment;
    const char *user, *working_dir;
    int64_t index;
};

static const struct exec_options exec_defaults = {.index = 1};

static const struct cli_option exec_flags[] = {
    {"interactive", 'i', CLI_FLAG, offsetof(struct exec_options, interactive), NULL,
     "pass standard input (always done)"},
    {"tty", 't', CLI_FLAG, offsetof(struct exec_options, tty), NULL,
     "give the command a terminal (the default when there is one)"},
    {"no-tty", 'T', CLI_FLAG, offsetof(struct exec_options, no_tty), NULL,
     "don't give it a terminal"},
    {"env", 'e', CLI_LIST, offsetof(struct exec_options, environment), "NAME=VALUE",
     "set a variable; NAME alone passes ours on"},
    {"user", 'u', CLI_TEXT, offsetof(struct exec_options, user), "USER[:GROUP]",
     "run as this user"},
    {"workdir", 'w', CLI_TEXT, offsetof(struct exec_options, working_dir), "DIR",
     "run in this directory"},
    {"privileged", 0, CLI_FLAG, offsetof(struct exec_options, privileged), NULL,
     "run with all capabilities"},
    {"index", 0, CLI_INT, offsetof(struct exec_options, index), "N",
     "which container of the service (default 1)"},
    CLI_OPTIONS_END,
};

static struct pairs read_environment(struct cli_context *context, const struct strings *list)
{
    struct app *app = command_app(context);
    struct pairs pairs = {.items = arena_new_array(&app->arena, struct pair, list->n)};

    for (size_t i = 0; i < list->n; i++) {
        struct str name, value;
        bool has_value = str_cut(str_from(list->items[i]), '=', &name, &value);
        const char *key = arena_strndup(&app->arena, name.data, name.len);
        const char *text = has_value ? arena_strndup(&app->arena, value.data, value.len)
                                     : pairs_find(&app->environment, key);

        if (text)
            pairs.items[pairs.n++] = (struct pair){.name = key, .value = text};
    }
    return pairs;
}

static int find_container(struct cli_context *context, struct engine *engine, const char *project,
                          const char *service, int64_t index, const char **ret, struct error *err)
{
    const char *one[] = {service};
    struct strings services = {.items = one, .n = 1};
    struct containers containers;

    if (command_containers(context, engine, project, &services, false, &containers, err) < 0)
        return -1;
    if (index < 1 || (size_t)index > containers.n)
        return error_set(
            err, ERROR_NOT_FOUND,
            "service \"%s\" is not running%s; see berth ps -a, start it with berth up -d", service,
            index > 1 ? " with that index" : "");
    *ret = containers.items[index - 1].name;
    return 0;
}

static int exec_run(struct cli_context *context, const void *void_options,
                    const struct strings *args, struct error *err)
{
    const struct exec_options *options = void_options;
    struct exec_request request = {
        .argv = {.items = args->items + 1, .n = args->n - 1},
        .user = options->user,
        .working_dir = options->working_dir,
        .privileged = options->privileged,
        .stdin_fd = STDIN_FILENO,
        .stdout_fd = STDOUT_FILENO,
        .stderr_fd = STDERR_FILENO,
    };
    const struct project *project;
    struct strings none = {0};
    struct engine *engine;
    const char *name;
    int code = 0, result;

    request.tty = !options->no_tty && terminal_is_tty(STDIN_FILENO) && context->stdout_is_tty;
    if (options->tty && !options->no_tty && !terminal_is_tty(STDIN_FILENO))
        return error_set(err, ERROR_USAGE, "-t: standard input is not a terminal");
    request.environment = read_environment(context, &options->environment);
    if (command_load_name(context, &none, &name, &project, err) < 0)
        return -1;
    if (project && !project_find_service(project, args->items[0]))
        return error_set(err, ERROR_NOT_FOUND, "no such service: %s", args->items[0]);
    if (command_engine(context, &engine, err) < 0)
        return -1;
    result = find_container(context, engine, name, args->items[0], options->index,
                            &request.container, err);
    if (result == 0)
        result = engine_exec(engine, name, &request, &code, err);
    engine_close(engine);
    return result < 0 ? -1 : code;
}

const struct cli_verb exec_verb = {
    .name = "exec",
    .summary = "run a command in a running container",
    .arguments = "SERVICE COMMAND [ARG...]",
    .description =
        "Exits with the command's own code; 126 if it can't be run, 127 if it is not there.",
    .examples = "  berth exec db psql -U postgres\n"
                "  berth exec -u root -w /srv web sh\n"
                "  echo 'select 1' | berth exec -T db psql",
    .options = exec_flags,
    .options_size = sizeof(struct exec_options),
    .defaults = &exec_defaults,
    .min_args = 2,
    .max_args = CLI_ANY_NUMBER,
    .flags = CLI_STOP_AT_ARGUMENT,
    .run = exec_run,
};
