/* extends: a service made from another one, of the same document or of another file (compose.md
 * 1.5).
 *
 * The base is followed first, so that chains end where nothing more is extended; then the service
 * is merged over it like an override file. Every service of a document is followed once. What an
 * extended file says beside the services that are asked for does not matter, and its include is not
 * followed. */

#include <string.h>

#include "compose/file/field.h"
#include "compose/file/history.h"
#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"
#include "compose/file/yaml.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/path.h"

enum { EXTENDS_DEPTH_MAX = 100 };

enum progress { NOT_YET, BUSY, DONE, FAILED };

struct outcome {
    enum progress progress;
    const struct node *service; /* when DONE */
};

/* One document with services: the one being loaded, or an extended file's. */
struct sheet {
    const struct sheet *next;
    const char *path;            /* extended files: absolute */
    const char *directory;       /* where its `file:` start */
    const struct node *services; /* NULL: the file can't be used, and that is reported */
    struct node_index index;
    struct outcome *outcomes; /* one for each service */
};

struct extender {
    struct load *load;
    const struct sheet *files; /* extended ones */
};

/* A service on the way from the first one to the one being followed. */
struct link {
    const struct link *outer;
    const struct sheet *sheet;
    const struct node_entry *service;
    size_t depth;
};

static const struct node *follow(struct extender *extender, const struct sheet *sheet,
                                 const struct node_entry *service, const struct link *outer);

static struct sheet *new_sheet(struct load *load, const struct node *services,
                               const char *directory)
{
    struct sheet *sheet = arena_new(load->arena, struct sheet);

    sheet->directory = directory;
    sheet->services = services;
    if (!services)
        return sheet;
    sheet->index = node_index_make(load->arena, services);
    sheet->outcomes = arena_new_array(load->arena, struct outcome, services->n + 1);
    return sheet;
}

/* ---- the other file ---------------------------------------------------------------------------
 */

/* Its documents in long form, with absolute paths, as one; NULL: reported. */
static const struct node *join_documents(struct load *load, const char *path, struct span at,
                                         const struct yaml_documents *documents)
{
    const char *directory = path_dir(load->arena, path);
    const struct node *joined = NULL;

    for (size_t i = 0; i < documents->n; i++) {
        const struct node *document = documents->items[i];

        if (load_count_document(load, document, at) < 0)
            return NULL;
        document = relative_resolve(load, load_document(load, document, directory), directory);
        joined = joined ? merge_below(load, &file_field, joined, document) : document;
    }
    return joined;
}

static const struct node *read_services(struct load *load, const char *path, struct span at,
                                        const struct yaml_documents *documents, uint32_t source)
{
    const struct node *document;
    const struct node *services;

    if (documents->n == 0) {
        report_error(&load->report, at, NULL, "cannot extend from %s: the file is empty",
                     report_source_name(&load->report, source));
        return NULL;
    }
    document = join_documents(load, path, at, documents);
    if (!document)
        return NULL;
    services = node_get(document, "services");
    if (!services || services->kind != NODE_MAP) {
        report_error(&load->report, services ? services->span : at, NULL,
                     services ? "cannot extend from %s: services must be a mapping"
                              : "cannot extend from %s: it has no services section",
                     report_source_name(&load->report, source));
        return NULL;
    }
    return services;
}

static const struct sheet *open_file(struct extender *extender, const char *directory,
                                     const char *file, struct span at)
{
    struct load *load = extender->load;
    struct yaml_documents documents = {0};
    const struct node *services = NULL;
    struct sheet *sheet;
    const char *path;
    uint32_t source = at.file;

    if (load_refuse_remote(load, file, at) < 0)
        return NULL;
    path = load_resolve_path(load, directory, file);
    for (const struct sheet *known = extender->files; known; known = known->next) {
        if (strcmp(known->path, path) == 0)
            return known;
    }
    if (load_named_file(load, path, at, &documents, &source) == 0)
        services = read_services(load, path, at, &documents, source);
    vec_release(&documents);
    sheet = new_sheet(load, services, path_dir(load->arena, path));
    sheet->path = path;
    sheet->next = extender->files;
    extender->files = sheet;
    return sheet;
}

/* ---- following --------------------------------------------------------------------------------
 */

/* "a (compose.yaml:4) -> b (base.yaml:9) -> a" */
static void report_cycle(struct load *load, const struct link *last, const struct sheet *sheet,
                         const struct node_entry *service)
{
    const struct link *links[EXTENDS_DEPTH_MAX + 1];
    size_t n = 0;
    struct buf chain;

    for (const struct link *link = last; link; link = link->outer) {
        links[n++] = link;
        if (link->sheet == sheet && link->service == service)
            break;
    }
    buf_init(&chain, ERROR_TEXT_MAX);
    for (size_t i = n; i > 0; i--)
        buf_printf(&chain, "%s (%s:%u) -> ", links[i - 1]->service->key,
                   report_source_name(&load->report, links[i - 1]->service->span.file),
                   links[i - 1]->service->span.line);
    buf_add_text(&chain, service->key);
    report_error(&load->report, node_find(last->service->value, "extends")->span,
                 "services must not extend each other in a circle", "extends cycle detected: %s",
                 buf_text(&chain));
    buf_release(&chain);
}

static int decode_extends(struct load *load, const char *service, const struct node *node,
                          struct extends *ret)
{
    size_t n_errors = load->report.n_errors;

    *ret = (struct extends){0};
    report_enter_key(&load->report, "services");
    report_enter_key(&load->report, service);
    report_enter_key(&load->report, "extends");
    if (node->kind != NODE_MAP)
        wrong_type(load, node, "a mapping or string");
    else
        shape_decode(load, &extends_shape, node, ret);
    if (load->report.n_errors == n_errors && !ret->service)
        report_error(&load->report, node->span, NULL, "%s: missing property \"service\"",
                     report_path(&load->report));
    report_leave(&load->report);
    report_leave(&load->report);
    report_leave(&load->report);
    return load->report.n_errors > n_errors ? -1 : 0;
}

static void report_missing(struct load *load, const struct sheet *sheet, const char *service,
                           const char *wanted, struct span at)
{
    const struct node *services = sheet->services;
    const char **names = arena_new_array(load->arena, const char *, services->n + 1);

    for (size_t i = 0; i < services->n; i++) {
        if (services->entries[i].value->tag != NODE_RESET)
            names[i] = services->entries[i].key;
    }
    report_error(&load->report, at, report_did_you_mean(&load->report, wanted, names, services->n),
                 "cannot extend service \"%s\": service \"%s\" not found in %s", service, wanted,
                 report_source_name(&load->report, sheet->services->span.file));
}

/* The base, itself followed; NULL: reported. */
static const struct node *find_base(struct extender *extender, const struct link *link,
                                    const struct node *node)
{
    struct load *load = extender->load;
    const struct sheet *sheet = link->sheet;
    const struct node_entry *entry;
    const struct node *base;
    struct extends extends;

    if (decode_extends(load, link->service->key, node, &extends) < 0)
        return NULL;
    if (link->depth >= EXTENDS_DEPTH_MAX) {
        report_error(&load->report, node->span, NULL, "more than %d services extend each other",
                     EXTENDS_DEPTH_MAX);
        return NULL;
    }
    if (extends.file)
        sheet = open_file(extender, sheet->directory, extends.file, node_get(node, "file")->span);
    if (!sheet || !sheet->services)
        return NULL;
    entry = node_index_find(&sheet->index, extends.service);
    if (!entry || entry->value->tag == NODE_RESET) {
        report_missing(load, sheet, link->service->key, extends.service,
                       node_get(node, "service")->span);
        return NULL;
    }
    history_add_extends(load->history, node->span, entry);
    base = follow(extender, sheet, entry, link);
    if (base && base->kind != NODE_MAP) {
        report_error(&load->report, node_get(node, "service")->span, NULL,
                     "cannot extend service \"%s\": service \"%s\" in %s is %s, not a mapping",
                     link->service->key, extends.service,
                     report_source_name(&load->report, sheet->services->span.file),
                     node_what(base));
        return NULL;
    }
    return base;
}

static const struct node *extend(struct extender *extender, const struct link *link,
                                 const struct node *extends)
{
    struct load *load = extender->load;
    const char *name = link->service->key;
    const struct node *base = find_base(extender, link, extends);
    const struct node *own = node_without(load->arena, link->service->value, "extends");
    const struct node *merged;

    if (!base || load_count_nodes(load, (size_t)base->weight + own->weight, extends->span) < 0)
        return NULL;
    report_enter_key(&load->report, "services");
    report_enter_key(&load->report, name);
    merged = merge_below(load, field_below(field_below(&file_field, "services"), name), base, own);
    report_leave(&load->report);
    report_leave(&load->report);
    return merged;
}

static const struct node *follow(struct extender *extender, const struct sheet *sheet,
                                 const struct node_entry *service, const struct link *outer)
{
    struct outcome *outcome = &sheet->outcomes[service - sheet->services->entries];
    const struct node *extends = node_get(service->value, "extends");
    struct link link = {outer, sheet, service, outer ? outer->depth + 1 : 0};

    if (outcome->progress == BUSY)
        report_cycle(extender->load, outer, sheet, service);
    if (outcome->progress != NOT_YET)
        return outcome->service;
    if (!extends || extends->tag == NODE_RESET) {
        outcome->service = service->value;
    } else {
        outcome->progress = BUSY;
        outcome->service = extend(extender, &link, extends);
    }
    outcome->progress = outcome->service ? DONE : FAILED;
    return outcome->service;
}

const struct node *extends_resolve(struct load *load, const struct node *document)
{
    const struct node_entry *entry = node_find(document, "services");
    struct extender extender = {.load = load};
    const struct sheet *sheet;
    struct node *services;
    struct node *copy;

    if (!entry || entry->value->kind != NODE_MAP)
        return document;
    sheet = new_sheet(load, entry->value, load->directory);
    services = node_edit(load->arena, entry->value);
    for (size_t i = 0; i < services->n; i++) {
        const struct node *service = follow(&extender, sheet, &entry->value->entries[i], NULL);

        if (service)
            services->entries[i].value = service;
        services->has_tags |= service && service->has_tags;
    }
    copy = node_edit(load->arena, document);
    copy->has_tags |= services->has_tags;
    copy->entries[entry - document->entries].value = services;
    return copy;
}

/* ---- the key ----------------------------------------------------------------------------------
 */

/* Only noted: most files have none. */
static struct node *extends_canonical(struct load *load, const struct field *field,
                                      const struct node *node)
{
    (void)field;
    (void)node;
    load->n_extends++;
    return NULL;
}

const struct field_type type_extends = {.canonical = extends_canonical,
                                        .text_key = "service",
                                        .decode = decode_nothing,
                                        .schema = {.forms = SCHEMA_TEXT | SCHEMA_MAP}};
