/* Relative paths of a tree, made absolute while it is still known where they were written: what
 * extends takes from another file must not move to the project's directory (compose.md 1.13). */

#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "engine/base/arena.h"

/* The copy keeps the tag, too: it stands where `node` stood. */
static struct node *copy_tagged(struct load *load, const struct node *node)
{
    struct node *copy = node_copy(load->arena, node, 0);

    copy->tag = node->tag;
    copy->has_tags = node->has_tags;
    return copy;
}

/* `map` with another value under a key it has. */
static const struct node *replace(struct load *load, const struct node *map, const char *key,
                                  const struct node *value)
{
    const struct node_entry *entry = node_find(map, key);
    struct node *copy;

    if (!entry || entry->value == value)
        return map;
    copy = copy_tagged(load, map);
    copy->entries[entry - map->entries].value = value;
    return copy;
}

/* `map` with the path under `key` absolute. */
static const struct node *resolve_member(struct load *load, const struct node *map, const char *key)
{
    const struct node *path = node_get(map, key);
    struct node *resolved;

    if (!path || !node_is_text(path) || path->tag == NODE_RESET || !path->text[0] ||
        path->text[0] == '/' || load_is_remote(path->text))
        return map;
    resolved = node_new_text(load->arena, load_resolve_path(load, path->text), path->span);
    resolved->tag = path->tag;
    resolved->has_tags = path->has_tags;
    return replace(load, map, key, resolved);
}

static bool is_bind(const struct node *item)
{
    const struct node *type = node_get(item, "type");

    return type && node_is_text(type) && strcmp(type->text, "bind") == 0;
}

static bool is_any(const struct node *item)
{
    (void)item;
    return true;
}

/* `service` with the path under `member` absolute in those items of the list `key` that `applies`
 * chooses. */
static const struct node *resolve_items(struct load *load, const struct node *service,
                                        const char *key, const char *member,
                                        bool (*applies)(const struct node *item))
{
    const struct node *list = node_get(service, key);
    struct node *copy;

    if (!list || list->kind != NODE_LIST)
        return service;
    copy = copy_tagged(load, list);
    for (size_t i = 0; i < copy->n; i++) {
        if (applies(copy->entries[i].value))
            copy->entries[i].value = resolve_member(load, copy->entries[i].value, member);
    }
    return replace(load, service, key, copy);
}

static const struct node *resolve_service(struct load *load, const struct node *service)
{
    const struct node *build = node_get(service, "build");

    if (build)
        service = replace(load, service, "build", resolve_member(load, build, "context"));
    service = resolve_items(load, service, "volumes", "source", is_bind);
    return resolve_items(load, service, "env_file", "path", is_any);
}

const struct node *relative_resolve(struct load *load, const struct node *document,
                                    const char *directory)
{
    const struct node *services = node_get(document, "services");
    const char *project_directory = load->directory;
    struct node *copy;

    if (!services || services->kind != NODE_MAP)
        return document;
    load->directory = directory;
    copy = copy_tagged(load, services);
    for (size_t i = 0; i < copy->n; i++) {
        if (copy->entries[i].value->kind == NODE_MAP)
            copy->entries[i].value = resolve_service(load, copy->entries[i].value);
    }
    load->directory = project_directory;
    return replace(load, document, "services", copy);
}
