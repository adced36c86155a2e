/* Which services: profiles, then the names on the command line (compose.md 1.16). */

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "compose/file/field.h"
#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/resource.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/vec.h"

/* ---- patterns ---------------------------------------------------------------------------------
 */

/* A name on the command line: "web", or a pattern as the shell has them ("web-*", "db?"). */
static bool is_named(const char *pattern, const char *service)
{
    return strcmp(pattern, service) == 0 || fnmatch(pattern, service, 0) == 0;
}

/* ---- profiles ---------------------------------------------------------------------------------
 */

/* --profile, else COMPOSE_PROFILES, and those of the services that were named: not those that a
 * pattern matches, which are found among the enabled ones. */
static struct strings active_profiles(struct load *load, const struct model *model)
{
    const struct strings *named = &load->options->services;
    const char *listed = variables_find_sorted(&load->environment, STR("COMPOSE_PROFILES"));
    struct strings result;
    VEC(const char *) profiles = VEC_INIT;
    struct str rest = load->options->profiles.n == 0 ? str_from(listed) : (struct str){0};

    for (size_t i = 0; i < load->options->profiles.n; i++)
        vec_push(&profiles, load->options->profiles.items[i]);
    while (rest.len > 0) {
        struct str head;
        struct str tail = {0};

        if (!str_cut(rest, ',', &head, &tail))
            head = rest;
        head = str_trim(head);
        if (head.len > 0)
            vec_push(&profiles, arena_strndup(load->arena, head.data, head.len));
        rest = tail;
    }
    for (size_t i = 0; named->n > 0 && i < model->n_drafts; i++) {
        const struct service *service = &model->drafts[i].service;

        if (service->profiles.n == 0 || !strings_contain(named, service->name))
            continue;
        for (size_t k = 0; k < service->profiles.n; k++)
            vec_push(&profiles, service->profiles.items[k]);
    }
    result = (struct strings){.items = vec_to_arena(&profiles, load->arena), .n = profiles.n};
    vec_release(&profiles);
    return result;
}

static bool is_enabled(const struct service *service, const struct strings *active)
{
    if (service->profiles.n == 0 || strings_contain(active, "*"))
        return true;
    for (size_t i = 0; i < service->profiles.n; i++) {
        const char *profile = service->profiles.items[i];

        /* "" is active when no other one is */
        if (strings_contain(active, profile) || (!*profile && active->n == 0))
            return true;
    }
    return false;
}

void select_profiles(struct load *load, struct model *model, struct strings *ret_profiles,
                     size_t *ret_n_enabled)
{
    struct strings active = active_profiles(load, model);
    struct draft *sorted = arena_new_array(load->arena, struct draft, model->n_drafts + 1);
    size_t n = 0;
    size_t n_enabled = 0;

    for (int want = 1; want >= 0; want--) {
        for (size_t i = 0; i < model->n_drafts; i++) {
            if (is_enabled(&model->drafts[i].service, &active) == (want == 1))
                sorted[n++] = model->drafts[i];
        }
        if (want == 1)
            n_enabled = n;
    }
    model->drafts = sorted;
    *ret_profiles = active;
    *ret_n_enabled = n_enabled;
}

/* ---- resources --------------------------------------------------------------------------------
 */

struct use {
    const struct project *project;
    bool *used[RESOURCE_KINDS];
};

static void mark_used(void *context, const struct resource_reference *reference)
{
    struct use *use = context;
    enum resource_kind kind = reference->kind;
    const struct resource_list *list = &use->project->resources[kind];
    const struct resource *found =
        resource_find(list, kind, reference->key, strlen(reference->key));

    if (found)
        use->used[kind][resource_index(list, kind, found)] = true;
}

/* A link is gone with the dependency that allowed its service to be missing. */
static void drop_links(struct arena *arena, struct service *service, const char *name)
{
    const struct node_entry *links = node_find(service->kept, "links");
    struct node *left;
    struct node *kept;

    if (!links)
        return;
    left = node_new(arena, NODE_LIST, links->value->span, links->value->n);
    for (size_t i = 0; i < links->value->n; i++) {
        const struct node_entry *link = &links->value->entries[i];
        size_t len = strcspn(link->value->text, ":");

        if (strlen(name) != len || strncmp(link->value->text, name, len) != 0)
            node_add(left, NULL, link->span, link->value);
    }
    kept = left->n > 0 ? node_copy(arena, service->kept, 0)
                       : node_without(arena, service->kept, links->key);
    if (left->n > 0)
        kept->entries[links - service->kept->entries].value = left;
    service->kept = kept;
}

/* Edges to services that are not here are gone. */
static void drop_edges(struct arena *arena, struct project *project)
{
    struct service *services =
        arena_memdup(arena, project->services, project->n_services * sizeof(struct service));

    for (size_t i = 0; i < project->n_services; i++) {
        struct service *service = &services[i];
        struct service_dependency *kept =
            arena_new_array(arena, struct service_dependency, service->n_depends_on + 1);
        size_t n = 0;

        for (size_t k = 0; k < service->n_depends_on; k++) {
            const struct service_dependency *edge = &service->depends_on[k];

            /* with an edge to nowhere, only printing goes on */
            if ((project->flags & PROJECT_NO_CONSISTENCY) ||
                project_find_service(project, edge->service))
                kept[n++] = *edge;
            else if (!edge->required)
                drop_links(arena, service, edge->service);
        }
        service->depends_on = kept;
        service->n_depends_on = n;
    }
    project->services = services;
}

static struct resource_list keep_used(struct arena *arena, const struct resource_list *list,
                                      enum resource_kind kind, const bool *used)
{
    size_t size = resource_sections[kind].shape->size;
    struct resource_list kept = {.items = arena_alloc_array(arena, list->n + 1, size)};

    for (size_t i = 0; i < list->n; i++) {
        if (used[i])
            memcpy(resource_at(&kept, kind, kept.n++), resource_at(list, kind, i), size);
    }
    return kept;
}

void select_used(struct arena *arena, struct project *project)
{
    struct use use = {.project = project};

    drop_edges(arena, project);
    for (enum resource_kind kind = 0; kind < RESOURCE_KINDS; kind++)
        use.used[kind] = arena_new_array(arena, bool, project->resources[kind].n + 1);
    for (size_t i = 0; i < project->n_services; i++)
        resource_references(&project->services[i], mark_used, &use);
    for (enum resource_kind kind = 0; kind < RESOURCE_KINDS; kind++)
        project->resources[kind] =
            keep_used(arena, &project->resources[kind], kind, use.used[kind]);
}

/* ---- names ------------------------------------------------------------------------------------
 */

static int fail_unknown(struct arena *arena, const struct project *project, const char *name,
                        struct error *err)
{
    size_t limit = strlen(name) <= 3 ? 2 : 3;
    const char *nearest = NULL;

    (void)arena;
    for (size_t i = 0; i < project->n_disabled_services; i++) {
        if (strcmp(project->disabled_services[i].name, name) == 0)
            return error_set(err, ERROR_NOT_FOUND,
                             "service \"%s\" is not enabled: no active profile has it", name);
    }
    for (size_t i = 0; i < project->n_services && strlen(name) < 64; i++) {
        size_t distance = text_distance(name, project->services[i].name, limit);

        if (distance < limit && distance < strlen(name)) {
            limit = distance;
            nearest = project->services[i].name;
        }
    }
    if (nearest)
        return error_set(err, ERROR_NOT_FOUND, "no such service: %s: did you mean \"%s\"?", name,
                         nearest);
    return error_set(err, ERROR_NOT_FOUND, "no such service: %s", name);
}

/* Marks service `index` and, if wanted, all it depends on. */
static void mark(const struct project *project, size_t index, bool with_dependencies, bool *marked,
                 size_t *stack)
{
    size_t n = 0;

    if (marked[index])
        return;
    marked[index] = true;
    stack[n++] = index;
    while (n > 0 && with_dependencies) {
        const struct service *service = &project->services[stack[--n]];

        for (size_t i = 0; i < service->n_depends_on; i++) {
            const struct service *needed =
                project_find_service(project, service->depends_on[i].service);
            size_t next = needed ? (size_t)(needed - project->services) : 0;

            if (!needed || marked[next])
                continue;
            marked[next] = true;
            stack[n++] = next;
        }
    }
}

static int compare_services(const void *a, const void *b)
{
    return strcmp(((const struct service *)a)->name, ((const struct service *)b)->name);
}

static struct project *keep_marked(struct arena *arena, const struct project *project,
                                   const bool *marked)
{
    size_t n_all = project->n_services + project->n_disabled_services;
    struct project *selected = arena_memdup(arena, project, sizeof(*project));

    selected->services = arena_new_array(arena, struct service, project->n_services + 1);
    selected->disabled_services = arena_new_array(arena, struct service, n_all + 1);
    selected->n_services = 0;
    selected->n_disabled_services = 0;
    for (size_t i = 0; i < project->n_services; i++) {
        if (marked[i])
            selected->services[selected->n_services++] = project->services[i];
        else
            selected->disabled_services[selected->n_disabled_services++] = project->services[i];
    }
    for (size_t i = 0; i < project->n_disabled_services; i++)
        selected->disabled_services[selected->n_disabled_services++] =
            project->disabled_services[i];
    qsort(selected->disabled_services, selected->n_disabled_services,
          sizeof(selected->disabled_services[0]), compare_services);
    select_used(arena, selected);
    return selected;
}

int project_select(struct arena *arena, const struct project *project,
                   const struct strings *services, bool with_dependencies,
                   const struct project **ret, struct error *err)
{
    bool *marked = arena_new_array(arena, bool, project->n_services + 1);
    size_t *stack = arena_new_array(arena, size_t, project->n_services + 1);

    if (services->n == 0) {
        *ret = project;
        return 0;
    }
    for (size_t i = 0; i < services->n; i++) {
        bool is_known = false;

        for (size_t k = 0; k < project->n_services; k++) {
            if (!is_named(services->items[i], project->services[k].name))
                continue;
            is_known = true;
            mark(project, k, with_dependencies, marked, stack);
        }
        if (!is_known)
            return fail_unknown(arena, project, services->items[i], err);
    }
    *ret = keep_marked(arena, project, marked);
    return 0;
}
