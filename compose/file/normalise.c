/* What the file leaves open: absolute paths, the default network, final names (compose.md 1.11,
 * 1.13, 1.15). */

#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/resource.h"
#include "compose/file/types.h"
#include "engine/base/arena.h"
#include "engine/base/path.h"

/* ---- paths ------------------------------------------------------------------------------------
 */

bool load_is_remote(const char *path)
{
    static const char *const prefixes[] = {"https://", "http://",     "git://",
                                           "ssh://",   "github.com/", "git@"};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (text_starts_with(path, prefixes[i]))
            return true;
    }
    return false;
}

/* The one that nobody wrote is the directory; those that stand in a file are absolute already. */
static void resolve_context(struct load *load, struct build *build)
{
    if (build->context && build->context[0] != '/' && !load_is_remote(build->context))
        build->context = load_resolve_path(load, load->directory, build->context);
}

static void resolve_build(struct load *load, struct build *build)
{
    size_t n = 0;

    if (!build->context)
        return;
    if (load->options->flags & PROJECT_NO_NORMALIZE)
        return;
    for (size_t i = 0; i < build->args.n; i++) {
        struct pair arg = build->args.items[i];

        if (!arg.value)
            arg.value = variables_find_sorted(&load->environment, str_from(arg.name));
        if (arg.value)
            build->args.items[n++] = arg;
    }
    build->args.n = n;
}

/* ---- networks ---------------------------------------------------------------------------------
 */

static const char *const default_key = "default";

static void attach_default(struct load *load, struct service *service)
{
    static const char *const others[] = {"networks", "network_mode", "provider"};

    if (service->n_networks > 0 || node_get(service->kept, "network_mode") ||
        node_get(service->kept, "provider"))
        return;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        const struct node *written = node_get(service->source, others[i]);

        if (written && node_is_template(written)) /* without interpolation: there, but unknown */
            return;
    }
    service->networks = arena_new_array(load->arena, struct service_network, 1);
    service->networks[0] = (struct service_network){.key = default_key, .span = service->span};
    service->n_networks = 1;
}

static bool is_default_used(const struct model *model)
{
    for (size_t i = 0; i < model->n_drafts; i++) {
        const struct service *service = &model->drafts[i].service;

        for (size_t k = 0; k < service->n_networks; k++) {
            if (strcmp(service->networks[k].key, default_key) == 0)
                return true;
        }
    }
    return false;
}

/* Insert the default network, in order, unless the file has it or nobody uses it. */
static void add_default(struct load *load, struct model *model)
{
    struct resource_list *list = &model->resources[RESOURCE_NETWORK];
    const struct network *before = list->items;
    struct network *networks;
    size_t at = 0;

    while (at < list->n && strcmp(before[at].key, default_key) < 0)
        at++;
    if ((at < list->n && strcmp(before[at].key, default_key) == 0) || !is_default_used(model))
        return;
    networks = arena_new_array(load->arena, struct network, list->n + 1);
    for (size_t i = 0; i < list->n; i++)
        networks[i < at ? i : i + 1] = before[i];
    networks[at].key = default_key;
    list->items = networks;
    list->n++;
}

/* ---- hooks ------------------------------------------------------------------------------------
 */

/* `map` with one more key, at a place. */
static const struct node *insert_key(struct load *load, const struct node *map, size_t at,
                                     const char *key, const struct node *value)
{
    struct node *copy = node_new(load->arena, NODE_MAP, map->span, map->n + 1);

    for (size_t i = 0; i <= map->n; i++) {
        if (i == at)
            node_add(copy, key, value->span, value);
        if (i < map->n)
            node_add(copy, map->entries[i].key, map->entries[i].span, map->entries[i].value);
    }
    copy->is_ordered = map->is_ordered;
    return copy;
}

/* The container of a hook before the start is one of the service's image, unless it says another.
 */
static void complete_hooks(struct load *load, struct service *service)
{
    const struct node_entry *hooks = node_find(service->kept, "pre_start");
    struct node *kept;
    struct node *list;

    if (!hooks || !service->image)
        return;
    kept = node_copy(load->arena, service->kept, 0);
    list = node_copy(load->arena, hooks->value, 0);
    for (size_t i = 0; i < list->n; i++) {
        const struct node *hook = list->entries[i].value;

        if (!node_find(hook, "image"))
            list->entries[i].value =
                insert_key(load, hook, node_find(hook, "command") ? 1 : 0, "image",
                           node_new_text(load->arena, service->image, hook->span));
    }
    kept->entries[hooks - service->kept->entries].value = list;
    service->kept = kept;
}

/* ---- names ------------------------------------------------------------------------------------
 */

static const char *final_name(struct load *load, const char *key, const char *name, bool external)
{
    if (name)
        return name;
    return external ? key : arena_printf(load->arena, "%s_%s", load->name, key);
}

/* The last one holds. */
static void read_security_opts(struct service *service)
{
    const struct node *options = node_get(service->kept, "security_opt");

    for (size_t i = 0; options && i < options->n; i++)
        (void)security_opt_is_no_new_privileges(options->entries[i].value->text,
                                                &service->no_new_privileges);
}

void normalise_model(struct load *load, struct model *model)
{
    unsigned flags = load->options->flags;

    for (size_t i = 0; i < model->n_drafts; i++) {
        read_security_opts(&model->drafts[i].service);
        resolve_build(load, &model->drafts[i].service.build);
        if (!(flags & PROJECT_NO_PATH_RESOLUTION))
            resolve_context(load, &model->drafts[i].service.build);
        if (flags & PROJECT_NO_NORMALIZE)
            continue;
        attach_default(load, &model->drafts[i].service);
        complete_hooks(load, &model->drafts[i].service);
        imply_dependencies(load, &model->drafts[i].service);
    }
    if (flags & PROJECT_NO_NORMALIZE)
        return;
    add_default(load, model);
    for (enum resource_kind kind = 0; kind < RESOURCE_KINDS; kind++) {
        const struct resource_list *list = &model->resources[kind];

        for (size_t i = 0; resource_sections[kind].has_final_name && i < list->n; i++) {
            struct resource *resource = resource_at(list, kind, i);

            resource->name = final_name(load, resource->key, resource->name, resource->external);
        }
    }
}
