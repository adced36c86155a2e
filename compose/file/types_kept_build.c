/* Types of keys of a build section that are kept. */

#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/types.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"

static const struct schema value_schema = {.forms = SCHEMA_SCALAR | SCHEMA_NULL};

static const struct node *text_at(struct load *load, const char *text, struct span span)
{
    return node_new_text(load->arena, text, span);
}

/* ---- provenance, sbom -------------------------------------------------------------------------
 */

static const struct node *keep_switch(struct load *load, const struct field *field,
                                      const struct node *node)
{
    (void)field;
    if (node_is_text(node))
        return text_at(load, node->text, node->span);
    if (node->kind == NODE_SCALAR && node->type == NODE_BOOL)
        return text_at(load, node_bool_value(node->text) ? "true" : "false", node->span);
    wrong_type(load, node, "a boolean or string");
    return NULL;
}

const struct field_type kept_switch = {.keep = keep_switch,
                                       .schema = {.forms = SCHEMA_BOOL | SCHEMA_TEXT}};

/* ---- additional_contexts ----------------------------------------------------------------------
 */

/* The list of "NAME=CONTEXT", or what is wrong with it. */
static void check_contexts(struct load *load, const struct node *list)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct node *item = list->entries[i].value;

        report_enter_index(&load->report, i);
        if (want_text(load, item) && !strchr(item->text, '='))
            report_error(&load->report, item->span, NULL,
                         "%s: invalid value %s, expected key=value", report_path(&load->report),
                         item->text);
        report_leave(&load->report);
    }
}

static struct node *contexts_canonical(struct load *load, const struct field *field,
                                       const struct node *node)
{
    for (size_t i = 0; node->kind == NODE_LIST && i < node->n; i++) {
        const struct node *item = node->entries[i].value;

        if (!node_is_text(item) || !strchr(item->text, '='))
            return NULL; /* reported by keep */
    }
    return type_labels.canonical(load, field, node);
}

static const struct node *keep_contexts(struct load *load, const struct field *field,
                                        const struct node *node)
{
    const struct node *kept;
    struct node *map;

    if (node->kind == NODE_LIST) {
        check_contexts(load, node);
        return NULL;
    }
    kept = kept_map.keep(load, field, node);
    if (!kept)
        return NULL;
    map = node_new(load->arena, NODE_MAP, kept->span, kept->n);
    for (size_t i = 0; i < kept->n; i++) {
        const struct node_entry *entry = &kept->entries[i];
        const char *context = node_is_null(entry->value) ? "" : entry->value->text;

        node_add(map, entry->key, entry->span, text_at(load, context, entry->value->span));
    }
    return map;
}

const struct field_type kept_contexts = {
    .canonical = contexts_canonical,
    .keep = keep_contexts,
    .schema = {.forms = SCHEMA_LIST | SCHEMA_MAP, .items = &value_schema}};

/* ---- ssh --------------------------------------------------------------------------------------
 */

/* "default", "ID=PATH" or "ID" items → a mapping. */
static struct node *ssh_canonical(struct load *load, const struct field *field,
                                  const struct node *node)
{
    return type_environment.canonical(load, field, node);
}

/* Printed as a list that loads again. */
static const struct node *keep_ssh(struct load *load, const struct field *field,
                                   const struct node *node)
{
    const struct node *map = kept_pairs.keep(load, field, node);
    struct node *list;

    if (!map)
        return NULL;
    list = node_new(load->arena, NODE_LIST, map->span, map->n);
    for (size_t i = 0; i < map->n; i++) {
        const struct node_entry *entry = &map->entries[i];
        bool has_path = !node_is_null(entry->value) && *entry->value->text;
        const struct node_entry *written = node_find(node, entry->key);
        struct span span = written ? written->span : node->span;

        if (!has_path && strcmp(entry->key, "default") != 0)
            report_error(&load->report, span, "write it as ID=PATH, or default for the agent",
                         "%s: invalid ssh key \"%s\"", report_path(&load->report), entry->key);
        node_add(list, NULL, span,
                 text_at(load,
                         has_path
                             ? arena_printf(load->arena, "%s=%s", entry->key, entry->value->text)
                             : entry->key,
                         span));
    }
    return list;
}

const struct field_type kept_ssh = {
    .canonical = ssh_canonical,
    .keep = keep_ssh,
    .schema = {.forms = SCHEMA_LIST | SCHEMA_MAP, .items = &value_schema}};

/* ---- secrets ----------------------------------------------------------------------------------
 */

static const struct node *keep_secret(struct load *load, const struct field *field,
                                      const struct node *node)
{
    if (node->kind == NODE_MAP)
        return shape_keep(load, field->shape, node);
    wrong_type(load, node, "a mapping or string");
    return NULL;
}

const char *unique_build_secret(struct arena *arena, const struct node *item)
{
    const struct node *target = node_get(item, "target");

    (void)arena;
    if (!target)
        target = node_get(item, "source");
    return target && target->kind == NODE_SCALAR ? target->text : NULL;
}

const struct field_type kept_build_secret = {
    .text_key = "source", .keep = keep_secret, .schema = {.forms = SCHEMA_TEXT | SCHEMA_MAP}};

/* ---- ulimits ----------------------------------------------------------------------------------
 */

static const struct node *keep_ulimits(struct load *load, const struct field *field,
                                       const struct node *node)
{
    struct encoder encoder = {.arena = load->arena};
    struct service *holder = arena_new(load->arena, struct service);
    size_t n_errors = load->report.n_errors;

    type_ulimits.decode(load, field, node, holder);
    return load->report.n_errors == n_errors ? type_ulimits.encode(&encoder, field, holder) : NULL;
}

const struct field_type kept_ulimits = {
    .keep = keep_ulimits, .schema = {.forms = SCHEMA_MAP, .names_pattern = ULIMITS_PATTERN}};
