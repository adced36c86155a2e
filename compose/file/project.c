/* The loaded project: finding things in it, printing it. */

#include "compose/file/project.h"

#include <stdlib.h>
#include <string.h>

#include "compose/file/as_written.h"
#include "compose/file/emit.h"
#include "compose/file/encode.h"
#include "compose/file/field.h"
#include "compose/file/node.h"
#include "compose/file/resource.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"

/* ---- finding ----------------------------------------------------------------------------------
 */

static int compare_service_name(const void *name, const void *item)
{
    return strcmp(name, ((const struct service *)item)->name);
}

#define FIND(key, items, n, compare)                                                               \
    ((n) > 0 ? bsearch((key), (items), (n), sizeof((items)[0]), (compare)) : NULL)

const struct service *project_find_service(const struct project *project, const char *name)
{
    return FIND(name, project->services, project->n_services, compare_service_name);
}

static const void *find_resource(const struct project *project, enum resource_kind kind,
                                 const char *key)
{
    return resource_find(&project->resources[kind], kind, key, strlen(key));
}

const struct network *project_find_network(const struct project *project, const char *key)
{
    return find_resource(project, RESOURCE_NETWORK, key);
}

const struct volume *project_find_volume(const struct project *project, const char *key)
{
    return find_resource(project, RESOURCE_VOLUME, key);
}

const struct file_object *project_find_secret(const struct project *project, const char *key)
{
    return find_resource(project, RESOURCE_SECRET, key);
}

const struct file_object *project_find_config(const struct project *project, const char *key)
{
    return find_resource(project, RESOURCE_CONFIG, key);
}

static int compare_pair_name(const void *name, const void *item)
{
    return strcmp(name, ((const struct pair *)item)->name);
}

/* Variables can come from env files, which the tree does not have. */
static const struct span *find_variable_span(const struct service *service, const char *name)
{
    const struct pairs *environment = &service->environment;
    const struct pair *found = NULL;

    if (service->environment_spans)
        found = FIND(name, environment->items, environment->n, compare_pair_name);
    return found ? &service->environment_spans[found - environment->items] : NULL;
}

struct span project_service_span(const struct service *service, const char *key, const char *member)
{
    const struct span *variable = NULL;
    const struct node_entry *entry = node_find(service->source, key);
    const struct node_entry *below = NULL;

    if (member && strcmp(key, "environment") == 0)
        variable = find_variable_span(service, member);
    if (variable)
        return *variable;
    if (entry && member)
        below = node_find(entry->value, member);
    if (below)
        return below->span;
    return entry ? entry->span : service->span;
}

void project_print_span(struct buf *out, const struct project *project, struct span span)
{
    if (span.line > 0 && span.file < project->n_sources)
        buf_printf(out, "%s:%u:%u", project->sources[span.file].name, span.line, span.column);
}

/* ---- printing ---------------------------------------------------------------------------------
 */

static const struct node *encode_services(const struct encoder *encoder,
                                          const struct project *project)
{
    struct node *map = encode_map(encoder, project->n_services);

    for (size_t i = 0; i < project->n_services; i++) {
        const struct service *service = &project->services[i];

        encode_put(map, service->name,
                   as_written(encoder, &service_shape, project->flags,
                              shape_encode(encoder, &service_shape, service), service->source));
    }
    return map;
}

static const struct node *encode_resources(const struct encoder *encoder,
                                           const struct project *project, enum resource_kind kind)
{
    const struct resource_list *list = &project->resources[kind];
    const struct shape *shape = resource_sections[kind].shape;
    struct node *map = encode_map(encoder, list->n);

    for (size_t i = 0; i < list->n; i++) {
        const struct resource *resource = resource_at(list, kind, i);

        encode_put(map, resource->key,
                   as_written(encoder, shape, project->flags,
                              shape_encode(encoder, shape, resource), resource->source));
    }
    return map->n > 0 ? map : NULL;
}

const struct node *project_encode(struct arena *arena, const struct project *project, bool is_json)
{
    const struct encoder *encoder = &(const struct encoder){.arena = arena, .is_json = is_json};
    const struct node *root = project->root;
    struct node *map = encode_object(encoder, 2 + RESOURCE_KINDS + root->n);

    map->is_ordered = !is_json;
    encode_put(map, "name", encode_text(encoder, project->name));
    encode_put(map, "services", encode_services(encoder, project));
    for (enum resource_kind kind = 0; kind < RESOURCE_KINDS; kind++)
        encode_put(map, resource_sections[kind].key, encode_resources(encoder, project, kind));
    for (size_t i = 0; i < root->n; i++) {
        if (key_is_extension(root->entries[i].key))
            encode_put(map, root->entries[i].key, root->entries[i].value);
    }
    return map;
}

/* Without interpolation, every $ is still one that the next load shall see. */
static enum dollars dollars_of(const struct project *project)
{
    return project->flags & PROJECT_NO_INTERPOLATE ? DOLLARS_PLAIN : DOLLARS_DOUBLED;
}

void project_print_yaml(struct buf *out, const struct project *project)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    node_print_yaml(out, project_encode(&arena, project, false), dollars_of(project));
}

void project_print_json(struct buf *out, const struct project *project)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    node_print_json(out, project_encode(&arena, project, true), dollars_of(project));
}

void project_print_images(struct buf *out, const struct project *project,
                          enum project_format format)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct encoder encoder = {.arena = &arena, .is_json = format == PROJECT_JSON};
    struct node *services = encode_map(&encoder, project->n_services);
    struct node *root = encode_map(&encoder, 1);

    for (size_t i = 0; i < project->n_services; i++) {
        struct node *service = encode_map(&encoder, 1);

        if (!project->services[i].image)
            continue;
        encode_put(service, "image", encode_text(&encoder, project->services[i].image));
        encode_put(services, project->services[i].name, service);
    }
    encode_put(root, "services", services);
    if (format == PROJECT_JSON)
        node_print_json(out, root, DOLLARS_DOUBLED);
    else
        node_print_yaml(out, root, DOLLARS_DOUBLED);
}
