/* berth plan: what up would do, and why. Changes nothing. */

#include <stdlib.h>

#include "compose/command/command.h"
#include "compose/command/verbs.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"

struct plan_flags {
    bool detailed_exitcode, build, remove_orphans, force_recreate, nodes;
    int format;
};

enum plan_format { PLAN_TEXT, PLAN_JSON };
enum { EXIT_CHANGES = 2 };
static const char *const format_choices[] = {"text", "json", NULL};

static const struct cli_option plan_cli_flags[] = {
    {"format", 0, CLI_CHOICE, offsetof(struct plan_flags, format), "FORMAT",
     "how to print; json has nodes with reasons and edges", format_choices},
    {"detailed-exitcode", 0, CLI_FLAG, offsetof(struct plan_flags, detailed_exitcode), NULL,
     "exit with 0 if there is nothing to do, 2 if there is"},
    {"build", 0, CLI_FLAG, offsetof(struct plan_flags, build), NULL, "as for up --build"},
    {"force-recreate", 0, CLI_FLAG, offsetof(struct plan_flags, force_recreate), NULL,
     "as for up --force-recreate"},
    {"remove-orphans", 0, CLI_FLAG, offsetof(struct plan_flags, remove_orphans), NULL,
     "as for up --remove-orphans"},
    {"nodes", 0, CLI_FLAG, offsetof(struct plan_flags, nodes), NULL,
     "print every step with the steps it waits for"},
    CLI_OPTIONS_END,
};

static int plan_run(struct cli_context *context, const void *void_options,
                    const struct strings *args, struct error *err)
{
    const struct plan_flags *flags = void_options;
    struct plan_options options = PLAN_OPTIONS_INIT;
    cleanup_buf struct buf out = BUF_INIT;
    const struct plan *plan;
    struct loaded loaded;
    struct engine *engine;
    int result;

    options.build = flags->build;
    options.force_recreate = flags->force_recreate;
    options.remove_orphans = flags->remove_orphans;
    if (command_load(context, args, PROJECT_WITH_DEPENDENCIES, &loaded, err) < 0 ||
        command_refuse_unhonoured(context, loaded.project, PROJECT_USE_UP, err) < 0 ||
        command_engine(context, &engine, err) < 0)
        return -1;
    result = command_plan(context, engine, loaded.desired, &options, &plan, err);
    engine_close(engine);
    if (result < 0)
        return -1;

    if (flags->format == PLAN_JSON) {
        cleanup_json json_t *json = plan_to_json(plan, &loaded.desired->files);

        json_print_pretty(&out, json);
    } else if (flags->nodes) {
        plan_print_nodes(&out, plan, &loaded.desired->files);
    } else {
        plan_print(&out, plan, &loaded.desired->files, context->stdout_colour);
    }
    if (command_print(&out, err) < 0)
        return -1;
    return flags->detailed_exitcode && plan->n_nodes > 0 ? EXIT_CHANGES : 0;
}

const struct cli_verb plan_verb = {
    .name = "plan",
    .summary = "show what up would do, and why",
    .arguments = "[SERVICE...]",
    .description =
        "Every line names the object, what happens to it, and the reason: the field that "
        "changed, its old and new value, and the line of the file. Nothing is changed.",
    .examples = "  berth plan --detailed-exitcode || echo 'the machine differs from the files'",
    .options = plan_cli_flags,
    .options_size = sizeof(struct plan_flags),
    .max_args = CLI_ANY_NUMBER,
    .run = plan_run,
};
