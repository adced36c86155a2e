/* Dependencies that other keys imply (compose.md 1.15): who links to a service, shares its
 * namespaces or mounts its volumes starts after it. */

#include <stdlib.h>
#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "engine/base/arena.h"
#include "engine/base/vec.h"

static const char service_prefix[] = "service:";
static const char container_prefix[] = "container:";

/* What is declared comes first, so that it wins. */
struct candidate {
    struct service_dependency dependency;
    size_t order;
};

struct candidates {
    VEC(struct candidate) items;
};

static void add(struct candidates *candidates, struct service_dependency dependency)
{
    vec_push(&candidates->items,
             (struct candidate){.dependency = dependency, .order = candidates->items.n});
}

static void imply(struct candidates *candidates, const char *service, bool restart,
                  struct span span)
{
    add(candidates, (struct service_dependency){
                        .service = service,
                        .condition = SERVICE_STARTED,
                        .restart = restart,
                        .required = true,
                        .span = span,
                    });
}

/* "NAME[:…]" items of a list. */
static void imply_items(struct load *load, const struct service *service, const char *key,
                        bool restart, struct candidates *candidates)
{
    const struct node *list = node_get(service->kept, key);

    for (size_t i = 0; list && i < list->n; i++) {
        const struct node_entry *entry = &list->entries[i];
        const char *text = entry->value->text;

        if (strncmp(text, container_prefix, strlen(container_prefix)) != 0)
            imply(candidates, arena_strndup(load->arena, text, strcspn(text, ":")), restart,
                  entry->span);
    }
}

static void imply_namespaces(const struct service *service, struct candidates *candidates)
{
    static const char *const keys[] = {"network_mode", "ipc", "pid", "uts", "cgroup"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const struct node_entry *entry = node_find(service->kept, keys[i]);

        if (entry && strncmp(entry->value->text, service_prefix, strlen(service_prefix)) == 0)
            imply(candidates, entry->value->text + strlen(service_prefix), true, entry->span);
    }
}

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *left = a;
    const struct candidate *right = b;
    int order = strcmp(left->dependency.service, right->dependency.service);

    return order != 0 ? order : (left->order > right->order) - (left->order < right->order);
}

void imply_dependencies(struct load *load, struct service *service)
{
    struct candidates candidates = {0};
    struct service_dependency *all;
    size_t n = 0;

    if (!service->kept)
        return;
    imply_namespaces(service, &candidates);
    imply_items(load, service, "links", true, &candidates);
    imply_items(load, service, "volumes_from", false, &candidates);
    if (candidates.items.n == 0)
        return;
    for (size_t i = 0; i < candidates.items.n; i++)
        candidates.items.items[i].order += service->n_depends_on;
    for (size_t i = 0; i < service->n_depends_on; i++)
        vec_push(&candidates.items,
                 (struct candidate){.dependency = service->depends_on[i], .order = i});
    qsort(candidates.items.items, candidates.items.n, sizeof(struct candidate), compare_candidates);
    all = arena_new_array(load->arena, struct service_dependency, candidates.items.n);
    for (size_t i = 0; i < candidates.items.n; i++) {
        const struct service_dependency *dependency = &candidates.items.items[i].dependency;

        if (n == 0 || strcmp(all[n - 1].service, dependency->service) != 0)
            all[n++] = *dependency;
    }
    service->depends_on = all;
    service->n_depends_on = n;
    vec_release(&candidates.items);
}
