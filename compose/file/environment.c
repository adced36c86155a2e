/* A service's environment: its env files in order, overlaid by what it says itself (compose.md
 * 1.14). */

#include <stdlib.h>
#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "engine/base/arena.h"
#include "engine/base/vec.h"

struct variable {
    const char *name;
    const char *value; /* NULL: remove the image's */
    struct span span;
    size_t order; /* a later one wins */
};

struct collector {
    struct load *load;
    const struct service *service;
    VEC(struct variable) variables;
};

/* The project's environment, then the service's own. */
static const char *find_outer(const void *context, struct str name)
{
    const struct collector *collector = context;
    const char *value = variables_find_sorted(&collector->load->environment, name);

    return value ? value : variables_find_sorted(&collector->service->environment, name);
}

/* What earlier env files defined; the last definition holds. */
static const char *find_earlier(const void *context, struct str name)
{
    const struct collector *collector = context;
    const char *value = NULL;

    for (size_t i = collector->variables.n; i > 0 && !value; i--) {
        if (str_is(name, collector->variables.items[i - 1].name))
            value = collector->variables.items[i - 1].value;
    }
    return value;
}

static void add(struct collector *collector, const char *name, const char *value, struct span span)
{
    vec_push(&collector->variables,
             (struct variable){
                 .name = name, .value = value, .span = span, .order = collector->variables.n});
}

static void read_env_file(struct collector *collector, const struct env_file *file)
{
    struct load *load = collector->load;
    struct variables outer = {.find = find_outer, .context = collector};
    struct variables earlier = {.find = find_earlier, .context = collector};
    struct dotenv_scope scope = {.outer = &outer, .earlier = &earlier};
    struct dotenv parsed = {0};
    uint32_t source;
    int result = load_source(load, file->path, DOTENV_FILE_MAX, LOAD_OPTIONAL, file->span, &source);

    if (result > 0 && file->required)
        report_error(&load->report, file->span,
                     "write {path: …, required: false} if it may be missing",
                     "service \"%s\": env file %s not found", collector->service->name, file->path);
    if (result != 0)
        return;
    if (dotenv_parse(&load->report, source, file->format ? DOTENV_RAW : DOTENV_COMPOSE, &scope,
                     &parsed) < 0)
        return;
    for (size_t i = 0; i < parsed.n; i++) {
        const struct dotenv_entry *entry = &parsed.items[i];
        const char *value = entry->value;

        if (!value)
            value = variables_find_sorted(&load->environment, str_from(entry->name));
        if (value)
            add(collector, entry->name, value, (struct span){source, entry->line, 1});
    }
}

static int compare_variables(const void *a, const void *b)
{
    const struct variable *left = a;
    const struct variable *right = b;
    int order = strcmp(left->name, right->name);

    return order != 0 ? order : (left->order > right->order) - (left->order < right->order);
}

static void add_own(struct collector *collector)
{
    const struct service *service = collector->service;
    const struct node *section = node_get(service->source, "environment");
    struct node_index index = {0};

    if (section && section->kind == NODE_MAP)
        index = node_index_make(collector->load->arena, section);
    for (size_t i = 0; i < service->environment.n; i++) {
        const struct pair *pair = &service->environment.items[i];
        const struct node_entry *entry = node_index_find(&index, pair->name);
        const char *value = pair->value;

        if (!value)
            value = variables_find_sorted(&collector->load->environment, str_from(pair->name));
        add(collector, pair->name, value, entry ? entry->span : service->span);
    }
}

void environment_resolve(struct load *load, const struct draft *draft, struct service *service)
{
    struct collector collector = {.load = load, .service = service};
    struct pairs environment = {0};
    struct span *spans;

    for (size_t i = 0; i < draft->n_env_files; i++)
        read_env_file(&collector, &draft->env_files[i]);
    add_own(&collector);
    if (collector.variables.n > 1)
        qsort(collector.variables.items, collector.variables.n,
              sizeof(collector.variables.items[0]), compare_variables);
    environment.items = arena_new_array(load->arena, struct pair, collector.variables.n + 1);
    spans = arena_new_array(load->arena, struct span, collector.variables.n + 1);
    for (size_t i = 0; i < collector.variables.n; i++) {
        const struct variable *variable = &collector.variables.items[i];

        if (i + 1 < collector.variables.n &&
            strcmp(variable->name, collector.variables.items[i + 1].name) == 0)
            continue;
        spans[environment.n] = variable->span;
        environment.items[environment.n++] =
            (struct pair){.name = variable->name, .value = variable->value};
    }
    service->environment = environment;
    service->environment_spans = spans;
    vec_release(&collector.variables);
}
