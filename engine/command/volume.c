/* berth volume ls, create, rm. */

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/cli/app.h"
#include "engine/cli/cli.h"
#include "engine/cli/table.h"
#include "engine/command/command.h"
#include "engine/command/listing.h"
#include "engine/engine.h"

static int load(struct engine *engine, struct arena *arena, void **ret_items, size_t *ret_n,
                struct error *err)
{
    return engine_volumes_list(engine, arena, (struct volume_info **)ret_items, ret_n, err);
}

static const char *key(const void *item)
{
    const struct volume_info *volume = item;

    return volume->spec->name;
}

static void add_row(struct table *table, struct arena *arena, const void *item)
{
    const struct volume_info *volume = item;

    (void)arena;
    table_cell(table, "local");
    table_cell(table, volume->spec->name);
    table_cell(table, volume->path);
}

static json_t *to_json(const void *item)
{
    const struct volume_info *volume = item;
    json_t *json = json_object();

    json_set_text(json, "Name", volume->spec->name);
    json_set_text(json, "Driver", "local");
    json_set_text(json, "Mountpoint", volume->path);
    json_set_take(json, "Labels", json_object());
    json_set_pairs(json, "Labels", &volume->spec->labels);
    return json;
}

static int ls_run(struct cli_context *context, const void *options, const struct strings *args,
                  struct error *err)
{
    static const char *const headings[] = {"DRIVER", "VOLUME NAME", "PATH", NULL};
    static const struct listing listing = {headings, sizeof(struct volume_info), load, key, add_row,
                                           to_json};

    (void)args;
    return listing_run(context, options, &listing, err);
}

static int create_one(struct cli_context *context, struct engine *engine, const char *name,
                      struct error *err)
{
    struct volume_spec spec = {.name = name};

    (void)context;
    return engine_volume_create(engine, &spec, err);
}

static int create_run(struct cli_context *context, const void *options, const struct strings *args,
                      struct error *err)
{
    (void)options;
    return engine_command_each(context, args, create_one, err);
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

static int remove_one(struct cli_context *context, struct engine *engine, const char *name,
                      struct error *err)
{
    if (check_unused(context, engine, name, err) < 0)
        return -1;
    return engine_volume_remove(engine, name, err);
}

static int rm_run(struct cli_context *context, const void *options, const struct strings *args,
                  struct error *err)
{
    (void)options;
    return engine_command_each(context, args, remove_one, err);
}

static const struct cli_verb volume_verbs[] = {
    {
        .name = "ls",
        .aliases = "list",
        .summary = "list volumes",
        .options = listing_flags,
        .options_size = sizeof(struct listing_options),
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
