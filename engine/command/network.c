/* berth network ls, create, rm. */

#include <stdio.h>

#include "engine/base/json.h"
#include "engine/cli/cli.h"
#include "engine/cli/table.h"
#include "engine/command/command.h"
#include "engine/command/listing.h"
#include "engine/engine.h"

static int load(struct engine *engine, struct arena *arena, void **ret_items, size_t *ret_n,
                struct error *err)
{
    return engine_networks_list(engine, arena, (struct network_info **)ret_items, ret_n, err);
}

static const char *key(const void *item)
{
    const struct network_info *network = item;

    return network->spec->name;
}

static void add_row(struct table *table, struct arena *arena, const void *item)
{
    const struct network_info *network = item;

    (void)arena;
    table_cell(table, network->spec->name);
    table_cell(table, network->spec->internal ? "bridge, internal" : "bridge");
    table_cell(table, network->subnet);
    table_cell(table, network->interface);
    table_cell(table, network->is_up ? "up" : "down");
    table_cell_printf(table, "%zu", network->n_endpoints);
}

static json_t *to_json(const void *item)
{
    const struct network_info *network = item;
    json_t *json = json_object();

    json_set_text(json, "Name", network->spec->name);
    json_set_text(json, "Driver", "bridge");
    json_set_text(json, "Interface", network->interface);
    json_set_text(json, "Subnet", network->subnet);
    json_set_text(json, "Gateway", network->gateway);
    json_set_bool(json, "Internal", network->spec->internal);
    json_set_bool(json, "Up", network->is_up);
    json_set_i64(json, "Endpoints", (int64_t)network->n_endpoints);
    json_set_take(json, "Labels", json_object());
    json_set_pairs(json, "Labels", &network->spec->labels);
    return json;
}

static int ls_run(struct cli_context *context, const void *options, const struct strings *args,
                  struct error *err)
{
    static const char *const headings[] = {"NAME",  "DRIVER",     "SUBNET", "INTERFACE",
                                           "STATE", "CONTAINERS", NULL};
    static const struct listing listing = {
        headings, sizeof(struct network_info), load, key, add_row, to_json};

    (void)args;
    return listing_run(context, options, &listing, err);
}

struct create_options {
    const char *subnet, *gateway;
    bool internal;
};

static const struct cli_option create_flags[] = {
    {"subnet", 0, CLI_TEXT, offsetof(struct create_options, subnet), "CIDR",
     "addresses (default: a free /24)"},
    {"gateway", 0, CLI_TEXT, offsetof(struct create_options, gateway), "ADDRESS",
     "our own address in it (default: the first)"},
    {"internal", 0, CLI_FLAG, offsetof(struct create_options, internal), NULL,
     "no way out of the network"},
    CLI_OPTIONS_END,
};

static int create_run(struct cli_context *context, const void *void_options,
                      const struct strings *args, struct error *err)
{
    const struct create_options *options = void_options;
    struct network_spec spec = {
        .name = args->items[0],
        .subnet = options->subnet,
        .gateway = options->gateway,
        .internal = options->internal,
    };
    struct engine *engine;
    int result;

    if (engine_command_open(context, &engine, err) < 0)
        return -1;
    result = engine_network_create(engine, &spec, err);
    if (result == 0)
        printf("%s\n", spec.name);
    engine_close(engine);
    return result;
}

static int remove_one(struct cli_context *context, struct engine *engine, const char *name,
                      struct error *err)
{
    (void)context;
    return engine_network_remove(engine, name, err);
}

static int rm_run(struct cli_context *context, const void *options, const struct strings *args,
                  struct error *err)
{
    (void)options;
    return engine_command_each(context, args, remove_one, err);
}

static const struct cli_verb network_verbs[] = {
    {
        .name = "ls",
        .aliases = "list",
        .summary = "list networks",
        .options = listing_flags,
        .options_size = sizeof(struct listing_options),
        .run = ls_run,
    },
    {
        .name = "create",
        .summary = "make a network that projects can share as external",
        .arguments = "NAME",
        .options = create_flags,
        .options_size = sizeof(struct create_options),
        .min_args = 1,
        .max_args = 1,
        .run = create_run,
    },
    {
        .name = "rm",
        .aliases = "remove",
        .summary = "remove networks that no container is on",
        .arguments = "NAME...",
        .min_args = 1,
        .max_args = CLI_ANY_NUMBER,
        .run = rm_run,
    },
    {.name = NULL},
};

const struct cli_verb network_verb = {
    .name = "network",
    .summary = "networks: ls, create, rm",
    .verbs = network_verbs,
};
