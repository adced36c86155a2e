/* berth logs. */

#include <stdlib.h>

#include "compose/command/attach.h"
#include "compose/command/command.h"
#include "compose/command/verbs.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/units.h"

struct logs_options {
    bool follow, timestamps, no_prefix, no_colour;
    const char *tail, *since, *until;
};

static const struct logs_options logs_defaults = {.tail = "all"};

static const struct cli_option logs_flags[] = {
    {"follow", 'f', CLI_FLAG, offsetof(struct logs_options, follow), NULL,
     "go on until every container has ended"},
    {"tail", 'n', CLI_TEXT, offsetof(struct logs_options, tail), "N",
     "the last N lines of each container (default all)"},
    {"timestamps", 't', CLI_FLAG, offsetof(struct logs_options, timestamps), NULL,
     "show when each line was written"},
    {"since", 0, CLI_TEXT, offsetof(struct logs_options, since), "DURATION",
     "only what was written in the last DURATION, such as 10m"},
    {"until", 0, CLI_TEXT, offsetof(struct logs_options, until), "DURATION",
     "only what was written before the last DURATION"},
    {"no-log-prefix", 0, CLI_FLAG, offsetof(struct logs_options, no_prefix), NULL,
     "don't put the container's name in front of lines"},
    {"no-color", 0, CLI_FLAG, offsetof(struct logs_options, no_colour), NULL,
     "print without colours"},
    CLI_OPTIONS_END,
};

static int parse_ago(const char *flag, const char *text, int64_t *ret_ns, struct error *err)
{
    int64_t duration;

    *ret_ns = 0;
    if (!text)
        return 0;
    if (parse_duration_ns(str_from(text), &duration, err) < 0) {
        (void)error_wrap(err, "%s", flag);
        err->code = ERROR_USAGE;
        return -1;
    }
    *ret_ns = clock_realtime_ns() - duration;
    return 0;
}

static int read_options(const struct logs_options *options, struct attach_options *ret,
                        struct error *err)
{
    uint64_t tail = 0;

    *ret = (struct attach_options){
        .follow = options->follow,
        .timestamps = options->timestamps,
        .no_prefix = options->no_prefix,
        .no_colour = options->no_colour,
        .tail = -1,
    };
    if (!text_equal(options->tail, "all")) {
        if (parse_u64(str_from(options->tail), 0, INT64_MAX, &tail, err) < 0)
            return error_set(err, ERROR_USAGE, "--tail: \"%s\" is neither a number nor \"all\"",
                             options->tail);
        ret->tail = (int64_t)tail;
    }
    if (parse_ago("--since", options->since, &ret->since_ns, err) < 0)
        return -1;
    return parse_ago("--until", options->until, &ret->until_ns, err);
}

static int logs_run(struct cli_context *context, const void *void_options,
                    const struct strings *args, struct error *err)
{
    struct attach_options options;
    const struct project *project;
    struct containers containers;
    cleanup_fd int signals = -1;
    struct engine *engine;
    const char *name;
    int result;

    if (read_options(void_options, &options, err) < 0 ||
        command_load_name(context, args, &name, &project, err) < 0 ||
        command_engine(context, &engine, err) < 0)
        return -1;
    result = command_containers(context, engine, name, args, true, &containers, err);
    if (result == 0 && options.follow)
        result = command_signals(&signals, err);
    if (result == 0)
        result = attach_logs(context, engine, &containers, &options, signals, err);
    engine_close(engine);
    return result;
}

const struct cli_verb logs_verb = {
    .name = "logs",
    .summary = "show what containers printed",
    .arguments = "[SERVICE...]",
    .examples = "  berth logs -f web             follow one service\n"
                "  berth logs -t --tail 20       the last lines of each, with times\n"
                "  berth logs --since 5m",
    .options = logs_flags,
    .options_size = sizeof(struct logs_options),
    .defaults = &logs_defaults,
    .max_args = CLI_ANY_NUMBER,
    .run = logs_run,
};
