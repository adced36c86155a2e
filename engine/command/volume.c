/* berth volume ls, create, rm. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/cli/app.h"
#include "engine/cli/cli.h"
#include "engine/cli/table.h"
#include "engine/command/command.h"
#include "engine/engine.h"

struct ls_options {
    bool quiet;
    int format;
};

enum ls_format { LS_TABLE, LS_JSON };
static const char *const ls_formats[] = {"table", "json", NULL};

static const struct cli_option ls_flags[] = {
    {"quiet", 'q', CLI_FLAG, offsetof(struct ls_options, quiet), NULL, "print names only"},
    {"format", 0, CLI_CHOICE, offsetof(struct ls_options, format), "FORMAT",
     "table, or json: one object per line", ls_formats},
    CLI_OPTIONS_END,
};

static void print_volume_json(const struct volume_info *volume, struct buf *out)
{
    cleanup_json json_t *item = json_object();

    json_set_text(item, "Name", volume->spec->name);
    json_set_text(item, "Driver", "local");
    json_set_text(item, "Mountpoint", volume->path);
    json_set_take(item, "Labels", json_object());
    json_set_pairs(item, "Labels", &volume->spec->labels);
    json_print(out, item);
    buf_add_char(out, '\n');
}

static void print_volumes(struct cli_context *context, const struct volume_info *volumes, size_t n,
                          const struct ls_options *options, struct buf *out)
{
    static const char *const headings[] = {"DRIVER", "VOLUME NAME", "PATH", NULL};
    struct table table;

    table_init(&table, &app_of(context)->arena, headings);
    for (size_t i = 0; i < n; i++) {
        if (options->quiet) {
            buf_printf(out, "%s\n", volumes[i].spec->name);
        } else if (options->format == LS_JSON) {
            print_volume_json(&volumes[i], out);
        } else {
            table_cell(&table, "local");
            table_cell(&table, volumes[i].spec->name);
            table_cell(&table, volumes[i].path);
        }
    }
    if (!options->quiet && options->format == LS_TABLE)
        table_print(&table, out, context->stdout_colour ? TABLE_COLOUR : 0);
}

static int ls_run(struct cli_context *context, const void *options, const struct strings *args,
                  struct error *err)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct volume_info *volumes;
    struct engine *engine;
    size_t n;
    int result;

    (void)args;
    if (engine_command_open(context, &engine, err) < 0)
        return -1;
    result = engine_volumes_list(engine, &app_of(context)->arena, &volumes, &n, err);
    if (result == 0) {
        print_volumes(context, volumes, n, options, &out);
        result = fs_write_all(STDOUT_FILENO, buf_text(&out), out.len, err);
    }
    engine_close(engine);
    return result;
}

static int create_run(struct cli_context *context, const void *options, const struct strings *args,
                      struct error *err)
{
    struct volume_spec spec = {.name = args->items[0]};
    struct engine *engine;
    int result;

    (void)options;
    if (engine_command_open(context, &engine, err) < 0)
        return -1;
    result = engine_volume_create(engine, &spec, err);
    if (result == 0)
        printf("%s\n", spec.name);
    engine_close(engine);
    return result;
}

/* Names of containers that mount it: a volume in use stays. */
static int check_unused(struct cli_context *context, struct engine *engine, const char *name,
                        struct error *err)
{
    struct container_info *containers;
    size_t n;

    if (engine_containers_list(engine, &app_of(context)->arena, NULL, &containers, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        const struct container_spec *spec = containers[i].spec;

        for (size_t j = 0; j < spec->n_mounts; j++) {
            if (spec->mounts[j].kind == MOUNT_VOLUME && text_equal(spec->mounts[j].source, name))
                return error_set(err, ERROR_CONFLICT,
                                 "volume \"%s\" is in use by container \"%s\"; take it down first",
                                 name, containers[i].name);
        }
    }
    return 0;
}

static int rm_run(struct cli_context *context, const void *options, const struct strings *args,
                  struct error *err)
{
    struct engine *engine;
    int result = 0;

    (void)options;
    if (engine_command_open(context, &engine, err) < 0)
        return -1;
    for (size_t i = 0; i < args->n && result == 0; i++) {
        result = check_unused(context, engine, args->items[i], err);
        if (result == 0)
            result = engine_volume_remove(engine, args->items[i], err);
        if (result == 0)
            printf("%s\n", args->items[i]);
    }
    engine_close(engine);
    return result;
}

static const struct cli_verb volume_verbs[] = {
    {
        .name = "ls",
        .aliases = "list",
        .summary = "list volumes",
        .options = ls_flags,
        .options_size = sizeof(struct ls_options),
        .run = ls_run,
    },
    {
        .name = "create",
        .summary = "make a volume that projects can share as external",
        .arguments = "NAME",
        .min_args = 1,
        .max_args = 1,
        .run = create_run,
    },
    {
        .name = "rm",
        .aliases = "remove",
        .summary = "remove volumes and all data in them",
        .arguments = "NAME...",
        .min_args = 1,
        .max_args = CLI_ANY_NUMBER,
        .run = rm_run,
    },
    {.name = NULL},
};

const struct cli_verb volume_verb = {
    .name = "volume",
    .summary = "volumes: ls, create, rm",
    .verbs = volume_verbs,
};
