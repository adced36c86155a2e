/* berth ps: what runs. Reads records only; no other process is asked. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compose/command/command.h"
#include "compose/command/verbs.h"
#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/units.h"
#include "engine/cli/table.h"

enum { COMMAND_SHOWN = 20 };

struct ps_options {
    bool all, quiet, services, no_trunc;
    int format; /* enum ps_format */
};

enum ps_format { PS_TABLE, PS_JSON };
static const char *const format_choices[] = {"table", "json", NULL};

static const struct cli_option ps_flags[] = {
    {"all", 'a', CLI_FLAG, offsetof(struct ps_options, all), NULL, "show stopped containers too"},
    {"format", 0, CLI_CHOICE, offsetof(struct ps_options, format), "FORMAT",
     "how to print; json is one object per line", format_choices},
    {"quiet", 'q', CLI_FLAG, offsetof(struct ps_options, quiet), NULL, "print ids only"},
    {"services", 0, CLI_FLAG, offsetof(struct ps_options, services), NULL,
     "print names of services only"},
    {"no-trunc", 0, CLI_FLAG, offsetof(struct ps_options, no_trunc), NULL,
     "don't shorten the command"},
    CLI_OPTIONS_END,
};

/* ---- words
 * ------------------------------------------------------------------------------------------ */

static void print_since(struct buf *out, int64_t since_ns)
{
    int64_t age = since_ns > 0 ? clock_realtime_ns() - since_ns : 0;

    print_age(out, age > 0 ? age : 0);
}

static void print_status(struct buf *out, const struct container_info *container)
{
    switch (container->status) {
    case CONTAINER_CREATED:
        buf_add_text(out, "Created");
        return;
    case CONTAINER_RUNNING:
    case CONTAINER_STOPPING:
        buf_add_text(out, "Up ");
        print_since(out, container->started_ns);
        if (container->status == CONTAINER_STOPPING)
            buf_add_text(out, " (stopping)");
        else if (container->health == HEALTH_STARTING)
            buf_add_text(out, " (health: starting)");
        else if (container->health != HEALTH_NONE)
            buf_printf(out, " (%s)", health_status_names[container->health]);
        return;
    case CONTAINER_RESTARTING:
        buf_printf(out, "Restarting (%d) ", container->exit_code);
        print_since(out, container->finished_ns);
        buf_add_text(out, " ago");
        return;
    case CONTAINER_EXITED:
        if (container->exit_code < 0)
            buf_add_text(out, "Exited (unknown) ");
        else
            buf_printf(out, "Exited (%d) ", container->exit_code);
        print_since(out, container->finished_ns);
        buf_printf(out, " ago%s", container->oom_killed ? " (out of memory)" : "");
        return;
    }
}

static void print_ports(struct buf *out, const struct container_info *container)
{
    for (size_t i = 0; i < container->n_ports; i++)
        buf_printf(out, "%s%s:%u->%u/%s", out->len > 0 ? ", " : "", container->ports[i].host_ip,
                   container->ports[i].host_port, container->ports[i].container_port,
                   container->ports[i].protocol);
    for (size_t i = 0; i < container->spec->expose.n; i++)
        buf_printf(out, "%s%s%s", out->len > 0 ? ", " : "", container->spec->expose.items[i],
                   strchr(container->spec->expose.items[i], '/') ? "" : "/tcp");
}

static void print_command(struct buf *out, const struct container_info *container, bool whole)
{
    cleanup_buf struct buf text = BUF_INIT;

    for (size_t i = 0; i < container->argv.n; i++)
        buf_printf(&text, "%s%s", i > 0 ? " " : "", container->argv.items[i]);
    if (whole || text.len <= COMMAND_SHOWN)
        buf_printf(out, "\"%s\"", buf_text(&text));
    else
        buf_printf(out, "\"%.*s…\"", COMMAND_SHOWN - 1, buf_text(&text));
}

/* ---- formats
 * ------------------------------------------------------------------------------------------ */

static enum colour status_colour(const struct container_info *container)
{
    if (container->health == HEALTH_UNHEALTHY ||
        (container->status == CONTAINER_EXITED && container->exit_code != 0))
        return COLOUR_RED;
    if (container->status == CONTAINER_RUNNING)
        return container->health == HEALTH_STARTING ? COLOUR_YELLOW : COLOUR_GREEN;
    return COLOUR_NONE;
}

static void print_table(struct cli_context *context, const struct containers *containers,
                        const struct ps_options *options, struct buf *out)
{
    static const char *const headings[] = {"NAME",    "IMAGE",  "COMMAND", "SERVICE",
                                           "CREATED", "STATUS", "PORTS",   NULL};
    struct table table;

    table_init(&table, &command_app(context)->arena, headings);
    for (size_t i = 0; i < containers->n; i++) {
        const struct container_info *container = &containers->items[i];
        cleanup_buf struct buf command = BUF_INIT, created = BUF_INIT, status = BUF_INIT,
                               ports = BUF_INIT;

        print_command(&command, container, options->no_trunc);
        print_since(&created, container->created_ns);
        print_status(&status, container);
        print_ports(&ports, container);
        table_cell(&table, container->name);
        table_cell(&table, container->spec->image);
        table_cell(&table, buf_text(&command));
        table_cell(&table, container_service(container));
        table_cell_printf(&table, "%s ago", buf_text(&created));
        table_cell_coloured(&table, status_colour(container), buf_text(&status));
        table_cell(&table, buf_text(&ports));
    }
    table_print(&table, out, context->stdout_colour ? TABLE_COLOUR : 0);
}

static json_t *publishers_to_json(const struct container_info *container)
{
    json_t *list = json_array();

    for (size_t i = 0; i < container->n_ports; i++) {
        json_t *item = json_object();

        json_set_text(item, "URL", container->ports[i].host_ip);
        json_set_i64(item, "TargetPort", container->ports[i].container_port);
        json_set_i64(item, "PublishedPort", container->ports[i].host_port);
        json_set_text(item, "Protocol", container->ports[i].protocol);
        json_array_append_new(list, item);
    }
    return list;
}

static json_t *networks_to_json(const struct container_info *container)
{
    json_t *networks = json_object();

    for (size_t i = 0; i < container->n_endpoints; i++)
        json_set_text(networks, container->endpoints[i].network,
                      container->endpoints[i].ipv4_address);
    return networks;
}

/* That of the last end, while it doesn't run again; -1 = unknown. */
static int exit_code_shown(const struct container_info *container)
{
    bool has_ended =
        container->status == CONTAINER_EXITED || container->status == CONTAINER_RESTARTING;

    return has_ended ? container->exit_code : 0;
}

static json_t *container_to_json(const struct container_info *container)
{
    cleanup_buf struct buf command = BUF_INIT, created = BUF_INIT, status = BUF_INIT,
                           ports = BUF_INIT, started = BUF_INIT;
    json_t *item = json_object();

    print_command(&command, container, true);
    print_status(&status, container);
    print_ports(&ports, container);
    clock_print_rfc3339(&created, container->created_ns);
    json_set_text(item, "ID", container->id);
    json_set_text(item, "Name", container->name);
    json_set_text(item, "Image", container->spec->image);
    json_set_text(item, "Command", buf_text(&command));
    json_set_text(item, "Project", container->project);
    json_set_text(item, "Service", container_service(container));
    json_set_text(item, "CreatedAt", buf_text(&created));
    if (container->started_ns > 0) {
        clock_print_rfc3339(&started, container->started_ns);
        json_set_text(item, "StartedAt", buf_text(&started));
    }
    json_set_text(item, "State", container_status_names[container->status]);
    json_set_text(item, "Status", buf_text(&status));
    json_set_take(item, "Health", json_string(health_status_names[container->health]));
    json_set_i64(item, "ExitCode", exit_code_shown(container));
    json_set_i64(item, "Restarts", container->restarts);
    json_set_i64(item, "Pid", container->pid);
    json_set_bool(item, "OOMKilled", container->oom_killed);
    json_set_text(item, "Ports", buf_text(&ports));
    json_set_take(item, "Publishers", publishers_to_json(container));
    json_set_take(item, "Networks", networks_to_json(container));
    json_set_take(item, "Labels", json_object());
    json_set_pairs(item, "Labels", &container->spec->labels);
    return item;
}

static void print_json(const struct containers *containers, struct buf *out)
{
    for (size_t i = 0; i < containers->n; i++) {
        cleanup_json json_t *item = container_to_json(&containers->items[i]);

        json_print(out, item);
        buf_add_char(out, '\n');
    }
}

static void print_list(const struct containers *containers, bool services, struct buf *out)
{
    const char *last = "";

    for (size_t i = 0; i < containers->n; i++) {
        const char *text =
            services ? container_service(&containers->items[i]) : containers->items[i].id;

        if (services && text_equal(text, last))
            continue;
        buf_printf(out, "%s\n", text);
        last = text;
    }
}

static int ps_run(struct cli_context *context, const void *void_options, const struct strings *args,
                  struct error *err)
{
    const struct ps_options *options = void_options;
    const struct project *project;
    struct containers containers;
    cleanup_buf struct buf out = BUF_INIT;
    struct engine *engine;
    const char *name;
    int result;

    if (command_load_name(context, args, &name, &project, err) < 0 ||
        command_engine(context, &engine, err) < 0)
        return -1;
    result = command_containers(context, engine, name, args, options->all, &containers, err);
    if (result == 0) {
        if (options->quiet || options->services)
            print_list(&containers, options->services, &out);
        else if (options->format == PS_JSON)
            print_json(&containers, &out);
        else
            print_table(context, &containers, options, &out);
        result = command_print(&out, err);
    }
    engine_close(engine);
    return result;
}

const struct cli_verb ps_verb = {
    .name = "ps",
    .heading = "Look",
    .summary = "list the project's containers",
    .arguments = "[SERVICE...]",
    .examples = "  berth ps -a                        also those that ended\n"
                "  berth ps --format json | jq .Health",
    .options = ps_flags,
    .options_size = sizeof(struct ps_options),
    .max_args = CLI_ANY_NUMBER,
    .run = ps_run,
};
