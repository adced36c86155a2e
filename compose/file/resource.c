#include "compose/file/resource.h"

#include <assert.h>
#include <string.h>

#include "compose/file/field.h"
#include "compose/file/node.h"
#include "compose/file/shapes.h"

static const char *const secret_origins[] = {"file", "environment", NULL};
static const char *const config_origins[] = {"file", "environment", "content", NULL};

const struct resource_section resource_sections[RESOURCE_KINDS] = {
    [RESOURCE_NETWORK] = {"networks", "network", &network_shape, true, NULL},
    [RESOURCE_VOLUME] = {"volumes", "volume", &volume_shape, true, NULL},
    [RESOURCE_SECRET] = {"secrets", "secret", &secret_shape, true, secret_origins},
    [RESOURCE_CONFIG] = {"configs", "config", &config_shape, true, config_origins},
    [RESOURCE_MODEL] = {"models", "model", &model_shape, false, NULL},
};

/* They are reached through struct resource, and in the project both by kind and by name. */
static_assert(offsetof(struct network, resource) == 0, "a network begins as a resource");
static_assert(offsetof(struct volume, resource) == 0, "a volume begins as a resource");
static_assert(offsetof(struct file_object, resource) == 0, "a file object begins as a resource");
static_assert(offsetof(struct ai_model, resource) == 0, "a model begins as a resource");
static_assert(offsetof(struct project, n_models) ==
                  offsetof(struct project, resources[RESOURCE_MODEL].n),
              "the lists stand in the order of enum resource_kind");

enum resource_kind resource_kind_of(const char *section)
{
    enum resource_kind kind = 0;

    while (kind < RESOURCE_KINDS && strcmp(resource_sections[kind].key, section) != 0)
        kind++;
    return kind;
}

struct resource *resource_at(const struct resource_list *list, enum resource_kind kind, size_t i)
{
    return (void *)((char *)list->items + i * resource_sections[kind].shape->size);
}

size_t resource_index(const struct resource_list *list, enum resource_kind kind,
                      const struct resource *resource)
{
    return (size_t)((const char *)resource - (const char *)list->items) /
           resource_sections[kind].shape->size;
}

const struct resource *resource_find(const struct resource_list *list, enum resource_kind kind,
                                     const char *key, size_t len)
{
    size_t low = 0;
    size_t high = list->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct resource *resource = resource_at(list, kind, middle);
        int order = strncmp(key, resource->key, len);

        if (order == 0 && !resource->key[len])
            return resource;
        if (order > 0)
            low = middle + 1;
        else
            high = middle; /* a longer key comes after those that begin it */
    }
    return NULL;
}

/* ---- references -------------------------------------------------------------------------------
 */

static void visit_files(const struct service_file *files, size_t n, enum resource_kind kind,
                        resource_reference_fn visit, void *context)
{
    for (size_t i = 0; i < n; i++) {
        struct resource_reference reference = {kind, files[i].source, resource_sections[kind].noun,
                                               files[i].span};

        if (files[i].source)
            visit(context, &reference);
    }
}

/* In what is kept: a mapping's keys, or the `source` of a list's items. */
static void visit_kept(const struct node *kept, struct resource_reference reference,
                       resource_reference_fn visit, void *context)
{
    for (size_t i = 0; kept && i < kept->n; i++) {
        const struct node *source = node_get(kept->entries[i].value, "source");

        reference.key = kept->kind == NODE_MAP ? kept->entries[i].key : source ? source->text : "";
        reference.span = kept->entries[i].span;
        visit(context, &reference);
    }
}

void resource_references(const struct service *service, resource_reference_fn visit, void *context)
{
    for (size_t i = 0; i < service->n_networks; i++) {
        struct resource_reference reference = {RESOURCE_NETWORK, service->networks[i].key,
                                               "network", service->networks[i].span};

        visit(context, &reference);
    }
    for (size_t i = 0; i < service->n_volumes; i++) {
        const struct service_mount *mount = &service->volumes[i];
        struct resource_reference reference = {RESOURCE_VOLUME, mount->source, "volume",
                                               mount->span};

        if (mount->type == SERVICE_MOUNT_VOLUME && mount->source)
            visit(context, &reference);
    }
    visit_files(service->secrets, service->n_secrets, RESOURCE_SECRET, visit, context);
    visit_files(service->configs, service->n_configs, RESOURCE_CONFIG, visit, context);
    visit_kept(node_get(service->build.kept, "secrets"),
               (struct resource_reference){.kind = RESOURCE_SECRET, .what = "build secret"}, visit,
               context);
    visit_kept(node_get(service->kept, "models"),
               (struct resource_reference){.kind = RESOURCE_MODEL, .what = "model"}, visit,
               context);
}
