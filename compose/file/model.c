/* The merged tree → services and resources, each sorted by name. */

#include <stdlib.h>
#include <string.h>

#include "compose/file/field.h"
#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/resource.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"
#include "engine/base/arena.h"

/* ^[a-zA-Z0-9._-]+$ */
static void check_key(struct load *load, const struct node_entry *entry)
{
    bool is_good = *entry->key != 0;

    for (const char *c = entry->key; *c && is_good; c++)
        is_good = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                  (*c >= '0' && *c <= '9') || strchr("._-", *c);
    if (!is_good || strlen(entry->key) > 200)
        report_error(&load->report, entry->span, NULL,
                     "%s: \"%s\" is no name: letters, digits, '.', '_' and '-', at most 200",
                     report_path(&load->report), entry->key);
}

/* A section's entries, sorted. Every key is a name here, even "x-…". */
static const struct node_entry **sorted_entries(struct load *load, const struct node *section,
                                                size_t *ret_n)
{
    struct node_index index = node_index_make(load->arena, section);

    for (size_t i = 0; i < index.n; i++)
        check_key(load, index.sorted[i]);
    *ret_n = index.n;
    return index.sorted;
}

/* ---- services ---------------------------------------------------------------------------------
 */

static void services_decode(struct load *load, const struct field *field, const struct node *node,
                            void *object)
{
    const struct shape *shape = field->shape->each->shape;
    struct model *model = object;
    const struct node_entry **entries;

    if (!want_kind(load, node, WANT_MAP))
        return;
    if (node->n > LOAD_SERVICES_MAX) {
        report_error(&load->report, node->entries[LOAD_SERVICES_MAX].span, NULL,
                     "more than %d services", LOAD_SERVICES_MAX);
        return;
    }
    entries = sorted_entries(load, node, &model->n_drafts);
    model->drafts = arena_new_array(load->arena, struct draft, model->n_drafts + 1);
    for (size_t i = 0; i < model->n_drafts; i++) {
        struct draft *draft = &model->drafts[i];

        shape_init(shape, draft);
        draft->service.name = entries[i]->key;
        draft->service.span = entries[i]->span;
        draft->service.source = entries[i]->value;
        report_enter_key(&load->report, entries[i]->key);
        if (want_kind(load, entries[i]->value, WANT_MAP))
            shape_decode(load, shape, entries[i]->value, draft);
        report_leave(&load->report);
    }
}

const struct field_type type_services = {
    .decode = services_decode, .schema = {.forms = SCHEMA_MAP, .names_pattern = NAMES_PATTERN}};

/* ---- resources --------------------------------------------------------------------------------
 */

/* External resources are somebody else's: only a name may stand beside. */
static void check_external(struct load *load, const struct node *node)
{
    for (size_t i = 0; i < node->n; i++) {
        const struct node_entry *entry = &node->entries[i];

        if (strcmp(entry->key, "external") == 0 || strcmp(entry->key, "name") == 0 ||
            key_is_extension(entry->key) ||
            (entry->value->kind == NODE_MAP && entry->value->n == 0))
            continue;
        report_error(&load->report, entry->span, NULL,
                     "%s: conflicting parameters \"external\" and \"%s\" specified",
                     report_path(&load->report), entry->key);
    }
}

static const char *join_words(struct load *load, const char *const *words)
{
    const char *all = words[0];

    for (size_t i = 1; words[i]; i++)
        all = arena_printf(load->arena, "%s|%s", all, words[i]);
    return all;
}

/* A secret or config says once where it comes from, unless somebody else keeps it. */
static void check_origins(struct load *load, const char *const *origins,
                          const struct resource *resource)
{
    const struct node *node = resource->source;
    size_t n = 0;

    for (size_t i = 0; i < node->n; i++) {
        bool is_origin = false;

        for (size_t k = 0; origins[k]; k++)
            is_origin |= strcmp(node->entries[i].key, origins[k]) == 0;
        if (is_origin && ++n == 2)
            report_error(&load->report, node->entries[i].span, NULL,
                         "%s: %s attributes are mutually exclusive", report_path(&load->report),
                         join_words(load, origins));
    }
    if (n == 0 && !resource->external && !node_get(node, "driver"))
        report_error(&load->report, resource->span, NULL, "%s: one of %s must be set",
                     report_path(&load->report), join_words(load, origins));
}

/* The variable that a secret or config comes from has the value that it has where it is named. */
static void bind_value(struct load *load, struct file_object *object)
{
    const struct node *origin = node_get(object->kept, "environment");

    if (!origin)
        return;
    object->value = variables_find_sorted(&load->environment, str_from(origin->text));
    for (size_t i = 0; i < load->included_values.n; i++) {
        const struct included_value *included = &load->included_values.items[i];

        if (span_equal(included->span, origin->span))
            object->value = included->value;
    }
}

static void decode_resource(struct load *load, const struct field *each,
                            const struct resource_section *section, const struct node_entry *entry,
                            struct resource *resource)
{
    const struct node *node = entry->value;

    shape_init(each->shape, resource);
    resource->key = entry->key;
    resource->span = entry->span;
    resource->source = node;
    if (node_is_null(node) && (each->type->schema.forms & SCHEMA_NULL))
        return;
    if (!want_kind(load, node, WANT_MAP))
        return;
    shape_decode(load, each->shape, node, resource);
    if (resource->external)
        check_external(load, node);
    else if (section->origins)
        check_origins(load, section->origins, resource);
    if (section->origins)
        bind_value(load, (struct file_object *)resource);
}

static void resources_decode(struct load *load, const struct field *field, const struct node *node,
                             void *object)
{
    enum resource_kind kind = resource_kind_of(field->name.data);
    const struct field *each = field->shape->each;
    struct model *model = object;
    struct resource_list *list = &model->resources[kind];
    const struct node_entry **entries;

    if (!want_kind(load, node, WANT_MAP))
        return;
    entries = sorted_entries(load, node, &list->n);
    list->items = arena_alloc_array(load->arena, list->n + 1, each->shape->size);
    for (size_t i = 0; i < list->n; i++) {
        report_enter_key(&load->report, entries[i]->key);
        decode_resource(load, each, &resource_sections[kind], entries[i],
                        resource_at(list, kind, i));
        report_leave(&load->report);
    }
}

const struct field_type type_resources = {
    .decode = resources_decode, .schema = {.forms = SCHEMA_MAP, .names_pattern = NAMES_PATTERN}};

void model_decode(struct load *load, const struct node *root, struct model *ret)
{
    *ret = (struct model){0};
    shape_decode(load, &file_shape, root, ret);
}
