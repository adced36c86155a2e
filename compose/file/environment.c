/* A service's environment: its env files in order, overlaid by what it says itself; its labels and
 * label files likewise (compose.md 1.14). */

#include <stdlib.h>
#include <string.h>

#include "compose/file/history.h"
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
    const struct pairs *own; /* seen by the files' values behind the project's environment, or NULL
                              */
    VEC(struct variable) variables;
};

/* The project's environment, then the service's own. */
static const char *find_outer(const void *context, struct str name)
{
    const struct collector *collector = context;
    const char *value = variables_find_sorted(&collector->load->environment, name);

    return value || !collector->own ? value : variables_find_sorted(collector->own, name);
}

/* What earlier files defined; the last definition holds. */
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

static const char *resolved_path(const struct collector *collector, const struct env_file *file)
{
    return load_resolve_path(collector->load, collector->load->directory, file->path);
}

/* The file's definitions. 1: there is no such file. */
static int read_definitions(struct collector *collector, const struct env_file *file)
{
    struct load *load = collector->load;
    struct variables outer = {.find = find_outer, .context = collector};
    struct variables earlier = {.find = find_earlier, .context = collector};
    struct dotenv_scope scope = {.outer = &outer, .earlier = &earlier};
    struct dotenv parsed = {0};
    uint32_t source;
    int result = load_source(load, resolved_path(collector, file), DOTENV_FILE_MAX, LOAD_OPTIONAL,
                             file->span, &source);

    if (result != 0)
        return result;
    if (load_count_env_bytes(load, source, file->span) < 0 ||
        dotenv_parse(&load->report, source, file->format ? DOTENV_RAW : DOTENV_COMPOSE, &scope,
                     &parsed) < 0)
        return -1;
    for (size_t i = 0; i < parsed.n; i++) {
        const struct dotenv_entry *entry = &parsed.items[i];
        const char *value = entry->value;

        if (!value)
            value = variables_find_sorted(&load->environment, str_from(entry->name));
        if (!value)
            continue;
        add(collector, entry->name, value, (struct span){source, entry->line, 1});
        history_add_definition(load->history, collector->service->name,
                               collector->own ? "environment" : "labels",
                               &(struct pair){.name = entry->name, .value = value},
                               (struct span){source, entry->line, 1});
    }
    return 0;
}

static void read_env_file(struct collector *collector, const struct env_file *file)
{
    if (read_definitions(collector, file) > 0 && file->required)
        report_error(&collector->load->report, file->span,
                     "write {path: …, required: false} if it may be missing",
                     "service \"%s\": env file %s not found", collector->service->name,
                     resolved_path(collector, file));
}

static void read_label_file(struct collector *collector, const char *path, struct span span)
{
    struct env_file file = {.path = path, .span = span};

    if (read_definitions(collector, &file) > 0)
        report_error(&collector->load->report, span, NULL,
                     "service \"%s\": label file %s not found", collector->service->name,
                     resolved_path(collector, &file));
}

static int compare_variables(const void *a, const void *b)
{
    const struct variable *left = a;
    const struct variable *right = b;
    int order = strcmp(left->name, right->name);

    return order != 0 ? order : (left->order > right->order) - (left->order < right->order);
}

/* Sorted, the last definition of each name; and where it stands. */
static struct pairs resolve(struct collector *collector, struct span **ret_spans)
{
    struct arena *arena = collector->load->arena;
    const struct variable *variables = collector->variables.items;
    size_t n = collector->variables.n;
    struct pairs pairs = {.items = arena_new_array(arena, struct pair, n + 1)};

    *ret_spans = arena_new_array(arena, struct span, n + 1);
    if (n > 1)
        qsort(collector->variables.items, n, sizeof(variables[0]), compare_variables);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && strcmp(variables[i].name, variables[i + 1].name) == 0)
            continue;
        (*ret_spans)[pairs.n] = variables[i].span;
        pairs.items[pairs.n++] =
            (struct pair){.name = variables[i].name, .value = variables[i].value};
    }
    return pairs;
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

static void resolve_labels(struct load *load, const struct draft *draft, struct service *service)
{
    const struct node *files = node_get(service->source, "label_file");
    struct collector collector = {.load = load, .service = service};
    struct span *spans;

    if (draft->label_files.n == 0)
        return;
    for (size_t i = 0; i < draft->label_files.n; i++)
        read_label_file(&collector, draft->label_files.items[i], files->entries[i].span);
    for (size_t i = 0; i < service->labels.n; i++)
        add(&collector, service->labels.items[i].name, service->labels.items[i].value,
            service->span);
    service->labels = resolve(&collector, &spans);
    vec_release(&collector.variables);
}

void environment_resolve(struct load *load, const struct draft *draft, struct service *service)
{
    struct collector collector = {.load = load, .service = service, .own = &service->environment};
    struct span *spans;

    for (size_t i = 0; i < draft->n_env_files; i++)
        read_env_file(&collector, &draft->env_files[i]);
    add_own(&collector);
    service->environment = resolve(&collector, &spans);
    service->environment_spans = spans;
    vec_release(&collector.variables);
    resolve_labels(load, draft, service);
}
