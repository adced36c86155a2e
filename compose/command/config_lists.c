/* berth config --services, --hash, --variables …: one aspect of the project, sorted. */

#include <string.h>

#include "compose/command/command.h"
#include "compose/command/config.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/sha256.h"
#include "engine/cli/table.h"

/* ---- names ------------------------------------------------------------------------------------
 */

/* Sorted, each once; as lines, or as a JSON list. */
static int print_texts(struct strings *texts, enum config_format format, struct buf *out)
{
    cleanup_json json_t *list = json_array();
    const char *last = NULL;

    strings_sort(texts);
    for (size_t i = 0; i < texts->n; i++) {
        if (text_equal(last, texts->items[i]))
            continue;
        last = texts->items[i];
        if (format == CONFIG_JSON)
            json_array_append_new(list, json_text(last));
        else
            buf_printf(out, "%s\n", last);
    }
    if (format == CONFIG_JSON)
        json_print_pretty(out, list);
    return 0;
}

static struct strings new_texts(struct cli_context *context, size_t capacity)
{
    return (struct strings){
        .items = arena_new_array(&command_app(context)->arena, const char *, capacity + 1)};
}

static int print_services(struct cli_context *context, const struct project *project,
                          const char *argument, enum config_format format, struct buf *out,
                          struct error *err)
{
    struct strings names = new_texts(context, project->n_services);

    (void)argument;
    (void)err;
    for (size_t i = 0; i < project->n_services; i++)
        names.items[names.n++] = project->services[i].name;
    return print_texts(&names, format, out);
}

static int print_volumes(struct cli_context *context, const struct project *project,
                         const char *argument, enum config_format format, struct buf *out,
                         struct error *err)
{
    struct strings names = new_texts(context, project->n_volumes);

    (void)argument;
    (void)err;
    for (size_t i = 0; i < project->n_volumes; i++)
        names.items[names.n++] = project->volumes[i].key;
    return print_texts(&names, format, out);
}

static int print_networks(struct cli_context *context, const struct project *project,
                          const char *argument, enum config_format format, struct buf *out,
                          struct error *err)
{
    struct strings names = new_texts(context, project->n_networks);

    (void)argument;
    (void)err;
    for (size_t i = 0; i < project->n_networks; i++)
        names.items[names.n++] = project->networks[i].key;
    return print_texts(&names, format, out);
}

static int print_models(struct cli_context *context, const struct project *project,
                        const char *argument, enum config_format format, struct buf *out,
                        struct error *err)
{
    struct strings names = new_texts(context, project->n_models);

    (void)argument;
    (void)err;
    for (size_t i = 0; i < project->n_models; i++)
        names.items[names.n++] = project->models[i].key;
    return print_texts(&names, format, out);
}

/* What is only built is called PROJECT-SERVICE. */
static int print_images(struct cli_context *context, const struct project *project,
                        const char *argument, enum config_format format, struct buf *out,
                        struct error *err)
{
    struct strings images = new_texts(context, project->n_services);

    (void)argument;
    (void)err;
    for (size_t i = 0; i < project->n_services; i++) {
        const struct service *service = &project->services[i];

        if (!service->image && !service->build.context)
            continue;
        images.items[images.n++] =
            service->image
                ? service->image
                : arena_printf(&command_app(context)->arena, "%s-%s", project->name, service->name);
    }
    return print_texts(&images, format, out);
}

static int print_profiles(struct cli_context *context, const struct project *project,
                          const char *argument, enum config_format format, struct buf *out,
                          struct error *err)
{
    size_t n_services = project->n_services + project->n_disabled_services;
    struct strings profiles;
    size_t n = 0;

    (void)argument;
    (void)err;
    for (size_t i = 0; i < n_services; i++)
        n += i < project->n_services
                 ? project->services[i].profiles.n
                 : project->disabled_services[i - project->n_services].profiles.n;
    profiles = new_texts(context, n);
    for (size_t i = 0; i < n_services; i++) {
        const struct service *service = i < project->n_services
                                            ? &project->services[i]
                                            : &project->disabled_services[i - project->n_services];

        for (size_t k = 0; k < service->profiles.n; k++)
            profiles.items[profiles.n++] = service->profiles.items[k];
    }
    return print_texts(&profiles, format, out);
}

/* ---- hashes -----------------------------------------------------------------------------------
 */

static bool is_listed(const char *list, const char *name)
{
    struct str rest = str_from(list);
    struct str head;
    struct str tail = {0};

    for (bool is_more = true; is_more; rest = tail) {
        is_more = str_cut(rest, ',', &head, &tail);
        if (str_is(str_trim(is_more ? head : rest), name))
            return true;
    }
    return false;
}

static int check_listed(struct arena *arena, const struct project *project, const char *list,
                        struct error *err)
{
    struct str rest = str_from(list);
    struct str head;
    struct str tail = {0};

    for (bool is_more = true; is_more; rest = tail) {
        is_more = str_cut(rest, ',', &head, &tail);
        head = str_trim(is_more ? head : rest);
        if (!project_find_service(project, arena_strndup(arena, head.data, head.len)))
            return error_set(err, ERROR_NOT_FOUND, "no such service: " STR_FMT, STR_ARG(head));
    }
    return 0;
}

static int print_hashes(struct cli_context *context, const struct project *project,
                        const char *argument, enum config_format format, struct buf *out,
                        struct error *err)
{
    cleanup_json json_t *object = json_object();
    bool wants_all = strcmp(argument, "*") == 0;

    if (!wants_all && check_listed(&command_app(context)->arena, project, argument, err) < 0)
        return -1;
    for (size_t i = 0; i < project->n_services; i++) {
        const char *name = project->services[i].name;
        cleanup_buf struct buf hashed = BUF_INIT;
        char hash[SHA256_HEX_SIZE];

        if (!wants_all && !is_listed(argument, name))
            continue;
        project_print_hashed(&hashed, &project->services[i]);
        sha256_hex(hashed.data, hashed.len, hash);
        json_set_text(object, name, hash);
        if (format != CONFIG_JSON)
            buf_printf(out, "%s %s\n", name, hash);
    }
    if (format == CONFIG_JSON)
        json_print_pretty(out, object);
    return 0;
}

/* ---- variables --------------------------------------------------------------------------------
 */

static int print_environment(struct cli_context *context, const struct project *project,
                             const char *argument, enum config_format format, struct buf *out,
                             struct error *err)
{
    cleanup_json json_t *object = json_object();

    (void)context;
    (void)argument;
    (void)err;
    for (size_t i = 0; i < project->environment.n; i++) { /* sorted */
        const struct pair *pair = &project->environment.items[i];

        if (format == CONFIG_JSON)
            json_set_text(object, pair->name, pair->value);
        else
            buf_printf(out, "%s=%s\n", pair->name, pair->value ? pair->value : "");
    }
    if (format == CONFIG_JSON)
        json_print_pretty(out, object);
    return 0;
}

static json_t *variable_to_json(const struct project_variable *variable)
{
    json_t *object = json_object();

    json_set_text(object, "Name", variable->name);
    json_set_text(object, "DefaultValue", variable->default_ ? variable->default_ : "");
    json_set_text(object, "PresenceValue", variable->alternative ? variable->alternative : "");
    json_set_bool(object, "Required", variable->is_required);
    return object;
}

static int print_variables(struct cli_context *context, const struct project *project,
                           const char *argument, enum config_format format, struct buf *out,
                           struct error *err)
{
    static const char *const headings[] = {"NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE",
                                           NULL};
    struct arena *arena = &command_app(context)->arena;
    cleanup_json json_t *object = json_object();
    struct project_variable *variables;
    struct table table;
    size_t n;

    (void)argument;
    (void)err;
    project_variables(arena, project, &variables, &n);
    table_init(&table, arena, headings);
    for (size_t i = 0; i < n; i++) {
        json_set_take(object, variables[i].name, variable_to_json(&variables[i]));
        table_cell(&table, variables[i].name);
        table_cell(&table, variables[i].is_required ? "true" : "false");
        table_cell(&table, variables[i].default_);
        table_cell(&table, variables[i].alternative);
    }
    if (format == CONFIG_JSON)
        json_print_pretty(out, object);
    else
        table_print(&table, out, context->stdout_colour ? TABLE_COLOUR : 0);
    return 0;
}

const struct config_list config_lists[CONFIG_N_LISTS] = {
    [CONFIG_SERVICES] = {"services", 0, false, print_services},
    [CONFIG_VOLUMES] = {"volumes", 0, false, print_volumes},
    [CONFIG_NETWORKS] = {"networks", 0, false, print_networks},
    [CONFIG_MODELS] = {"models", 0, false, print_models},
    [CONFIG_IMAGES] = {"images", 0, true, print_images},
    [CONFIG_PROFILES] = {"profiles", 0, true, print_profiles},
    [CONFIG_HASH] = {"hash", 0, true, print_hashes},
    [CONFIG_ENVIRONMENT] = {"environment", 0, false, print_environment},
    [CONFIG_VARIABLES] = {"variables", PROJECT_NO_INTERPOLATE, false, print_variables},
};
