/* berth network ls, create, rm. */

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

static void print_network_json(const struct network_info *network, struct buf *out)
{
    cleanup_json json_t *item = json_object();

    json_set_text(item, "Name", network->spec->name);
    json_set_text(item, "Driver", "bridge");
    json_set_text(item, "Interface", network->interface);
    json_set_text(item, "Subnet", network->subnet);
    json_set_text(item, "Gateway", network->gateway);
    json_set_bool(item, "Internal", network->spec->internal);
    json_set_bool(item, "Up", network->is_up);
    json_set_i64(item, "Endpoints", (int64_t)network->n_endpoints);
    json_set_take(item, "Labels", json_object());
    json_set_pairs(item, "Labels", &network->spec->labels);
    json_print(out, item);
    buf_add_char(out, '\n');
}

static void print_networks(struct cli_context *context, const struct network_info *networks,
                           size_t n, const struct ls_options *options, struct buf *out)
{
    static const char *const headings[] = {"NAME",  "DRIVER",     "SUBNET", "INTERFACE",
                                           "STATE", "CONTAINERS", NULL};
    struct table table;

    table_init(&table, &app_of(context)->arena, headings);
    for (size_t i = 0; i < n; i++) {
        if (options->quiet) {
            buf_printf(out, "%s\n", networks[i].spec->name);
        } else if (options->format == LS_JSON) {
            print_network_json(&networks[i], out);
        } else {
            table_cell(&table, networks[i].spec->name);
            table_cell(&table, networks[i].spec->internal ? "bridge, internal" : "bridge");
            table_cell(&table, networks[i].subnet);
            table_cell(&table, networks[i].interface);
            table_cell(&table, networks[i].is_up ? "up" : "down");
            table_cell_printf(&table, "%zu", networks[i].n_endpoints);
        }
    }
    if (!options->quiet && options->format == LS_TABLE)
        table_print(&table, out, context->stdout_colour ? TABLE_COLOUR : 0);
}

static int ls_run(struct cli_context *context, const void *options, const struct strings *args,
                  struct error *err)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct network_info *networks;
    struct engine *engine;
    size_t n;
    int result;

    (void)args;
    if (engine_command_open(context, &engine, err) < 0)
        return -1;
    result = engine_networks_list(engine, &app_of(context)->arena, &networks, &n, err);
    if (result == 0) {
        print_networks(context, networks, n, options, &out);
        result = fs_write_all(STDOUT_FILENO, buf_text(&out), out.len, err);
    }
    engine_close(engine);
    return result;
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

static int rm_run(struct cli_context *context, const void *options, const struct strings *args,
                  struct error *err)
{
    struct engine *engine;
    int result = 0;

    (void)options;
    if (engine_command_open(context, &engine, err) < 0)
        return -1;
    for (size_t i = 0; i < args->n && result == 0; i++) {
        result = engine_network_remove(engine, args->items[i], err);
        if (result == 0)
            printf("%s\n", args->items[i]);
    }
    engine_close(engine);
    return result;
}

static const struct cli_verb network_verbs[] = {
    {
        .name = "ls",
        .aliases = "list",
        .summary = "list networks",
        .options = ls_flags,
        .options_size = sizeof(struct ls_options),
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
