/* Walking the tables: long forms, binding, printing. */

#include "compose/file/field.h"

#include <string.h>

#include "compose/file/item_tags.h"
#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/report.h"
#include "compose/file/unhonoured.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"

const struct field *shape_find(const struct shape *shape, const char *key)
{
    size_t len = strlen(key);

    for (size_t i = 0; i < shape->n_fields; i++) {
        const struct str *name = &shape->fields[i].name;

        if (name->len == len && name->data[0] == key[0] && memcmp(name->data, key, len) == 0)
            return &shape->fields[i];
    }
    return NULL;
}

const struct field *field_below(const struct field *field, const char *key)
{
    if (!field || !field->shape)
        return NULL;
    if (field->shape->each || !key)
        return field->shape->each;
    return shape_find(field->shape, key);
}

struct schema field_schema(const struct field *field)
{
    struct schema schema = field->type->schema;

    if (field->words)
        schema.words = field->words;
    if (field->pattern)
        schema.pattern = field->pattern;
    if (field->range)
        schema.range = field->range;
    return schema;
}

bool key_is_extension(const char *key)
{
    return key[0] == 'x' && key[1] == '-';
}

/* ---- long forms ------------------------------------------------------------------------------ */

struct node *list_unique(struct arena *arena, const struct field *field, struct node *list)
{
    struct node *keyed;

    if (!field->unique || list->n < 2)
        return list;
    keyed = node_new(arena, NODE_MAP, list->span, list->n);
    for (size_t i = 0; i < list->n; i++) {
        const char *key = field->unique(arena, list->entries[i].value);

        /* without a key: equal to nothing */
        node_add(keyed, key ? key : arena_printf(arena, "\001%zu", i), list->entries[i].span,
                 list->entries[i].value);
    }
    keyed = node_last_wins(arena, keyed);
    list = node_new(arena, NODE_LIST, list->span, keyed->n);
    for (size_t i = 0; i < keyed->n; i++)
        node_add(list, NULL, keyed->entries[i].span, keyed->entries[i].value);
    return list;
}

/* Children's long forms; a copy when one changed, else NULL. */
static struct node *canonical_children(struct load *load, const struct field *field,
                                       const struct node *node)
{
    struct node *changed = NULL;

    for (size_t i = 0; i < node->n; i++) {
        const struct node *value = node->entries[i].value;
        const struct field *below = field_below(field, node->entries[i].key);
        const struct node *longer;

        if (!below)
            continue;
        if (node->entries[i].key)
            report_enter_key(&load->report, node->entries[i].key);
        else
            report_enter_index(&load->report, i);
        longer = field_canonical(load, below, value);
        report_leave(&load->report);
        if (longer == value)
            continue;
        if (!changed)
            changed = node_copy(load->arena, node, 0);
        changed->entries[i].value = longer;
        changed->has_tags |= longer->has_tags;
    }
    return changed;
}

/* Where a text with variables would have to be split, which can't be done before they are filled
 * in. NAME=VALUE is split at the name. */
static bool keeps_short_form(const struct load *load, const struct field *field,
                             const struct node *node)
{
    if (!(load->options->flags & PROJECT_NO_INTERPOLATE) || !field->type->canonical ||
        field->type->wraps_text)
        return false;
    if (node->kind == NODE_SCALAR)
        return node_is_template(node);
    for (size_t i = 0; node->kind == NODE_LIST && i < node->n; i++) {
        const struct node *item = node->entries[i].value;

        if (item->kind == NODE_SCALAR && node_is_template(item) &&
            !(field->merge == MERGE_PAIRS && strcspn(item->text, "=") < strcspn(item->text, "$")))
            return true;
    }
    return false;
}

/* A short form becomes a part of its long form, which is what the tag is about: without it. */
static const struct node *untagged(struct load *load, const struct node *node)
{
    struct node *plain;

    if (node->tag == NODE_UNTAGGED || node->kind != NODE_SCALAR)
        return node;
    plain = arena_memdup(load->arena, node, sizeof(*node));
    plain->tag = NODE_UNTAGGED;
    plain->has_tags = false;
    return plain;
}

static struct node *mapping_of_text(struct load *load, const struct field *field,
                                    const struct node *text)
{
    struct node *map = node_new(load->arena, NODE_MAP, text->span, 1);

    node_add(map, field->type->text_key, text->span, text);
    return map;
}

const struct node *field_canonical(struct load *load, const struct field *field,
                                   const struct node *node)
{
    struct node *longer = NULL;
    struct node *deeper;

    if (node->tag == NODE_RESET || keeps_short_form(load, field, node))
        return node;
    if (item_tags_any(node))
        return item_tags_canonical(load, field, node);
    if (field->type->canonical)
        longer = field->type->canonical(load, field, untagged(load, node));
    if (!longer && field->type->text_key && node_is_text(node))
        longer = mapping_of_text(load, field, untagged(load, node));
    if (field->shape) {
        deeper = canonical_children(load, field, longer ? longer : node);
        longer = deeper ? deeper : longer;
    }
    if (field->unique && (longer ? longer : node)->kind == NODE_LIST)
        longer = list_unique(load->arena, field, longer ? longer : node_copy(load->arena, node, 0));
    if (!longer)
        return node;
    longer->tag = node->tag;
    longer->has_tags |= node->has_tags;
    return longer;
}

/* ---- binding --------------------------------------------------------------------------------- */

static void report_unknown(struct load *load, const struct shape *shape,
                           const struct node_entry *entry)
{
    const char **names;
    const char *hint;

    if (report_is_full(&load->report)) {
        report_error(&load->report, entry->span, NULL, "unknown key");
        return;
    }
    names = arena_new_array(load->arena, const char *, shape->n_fields + 1);
    for (size_t i = 0; i < shape->n_fields; i++)
        names[i] = shape->fields[i].name.data;
    hint = report_did_you_mean(&load->report, entry->key, names, shape->n_fields);
    if (load->report.depth == 0)
        report_error(&load->report, entry->span, hint, "unknown key \"%s\" at the top level",
                     entry->key);
    else if (load->report.depth == 2)
        report_error(&load->report, entry->span, hint, "%s: unknown key \"%s\"",
                     report_subject(&load->report), entry->key);
    else
        report_error(&load->report, entry->span, hint, "%s: unknown key \"%s\" in %s",
                     report_subject(&load->report), entry->key, report_path(&load->report));
}

/* Without interpolation, a service's or resource's key whose value has variables is neither checked
 * nor bound: it is printed from the node (as_written.h). */
static bool is_left_as_written(const struct load *load, const struct node *value)
{
    return (load->options->flags & PROJECT_NO_INTERPOLATE) && load->report.depth >= 2 &&
           node_is_template(value);
}

static void check_required(struct load *load, const struct shape *shape, const struct node *node)
{
    for (size_t i = 0; i < shape->n_fields; i++) {
        const struct field *field = &shape->fields[i];

        if (field->is_required && !node_find(node, field->name.data))
            report_error(&load->report, node->span, NULL, "%s: missing property \"%s\"",
                         report_path(&load->report), field->name.data);
    }
}

/* One key: bound into `object`, or its printed form returned. */
static const struct node *read_value(struct load *load, const struct field *field,
                                     const struct node_entry *entry, void *object)
{
    const struct node *kept = NULL;

    report_enter_key(&load->report, entry->key);
    if (field->type->keep) {
        kept = field->type->keep(load, field, entry->value);
        if (kept && kept->kind == NODE_SCALAR && !field->is_required &&
            (node_is_null(kept) || !*kept->text))
            kept = NULL; /* says nothing */
    } else if (object) {
        field->type->decode(load, field, entry->value, object);
    } else {
        BUG(); /* a bound type in a shape that is only kept: tests/unit/compose/shapes.c */
    }
    unhonoured_note(load, field, entry, field->type->keep ? kept : entry->value);
    report_leave(&load->report);
    return kept;
}

/* The keys' kept values and anybody's x-…, in the order of the file; NULL when there is none. */
static struct node *read_values(struct load *load, const struct shape *shape,
                                const struct node *node, void *object)
{
    struct node *all = NULL;

    check_required(load, shape, node);
    for (size_t i = 0; i < node->n; i++) {
        const struct node_entry *entry = &node->entries[i];
        const struct field *field = shape_find(shape, entry->key);
        const struct node *kept = NULL;

        if (strcmp(entry->key, "x-berth") == 0) {
            report_error(&load->report, entry->span, NULL,
                         "%s: `x-berth` is reserved, and this version knows nothing below it",
                         report_subject(&load->report));
        } else if (key_is_extension(entry->key) && !shape->is_closed) {
            kept = entry->value;
        } else if (!field) {
            report_unknown(load, shape, entry);
        } else if (is_left_as_written(load, entry->value)) {
            continue;
        } else {
            kept = read_value(load, field, entry, object);
        }
        if (kept && !all)
            all = node_new(load->arena, NODE_MAP, node->span, node->n);
        if (kept)
            node_add(all, entry->key, entry->span, kept);
    }
    return all;
}

void shape_decode(struct load *load, const struct shape *shape, const struct node *node,
                  void *object)
{
    const struct node *kept = read_values(load, shape, node, object);

    /* without a place there are no kept rows (tests/unit/compose/shapes.c), and x-… is not printed
     */
    if (kept && shape->kept_offset > 0)
        *(const struct node **)(void *)((char *)object + shape->kept_offset) = kept;
}

static void add_extensions(struct node *map, const struct node *from)
{
    for (size_t i = 0; from && i < from->n; i++) {
        if (key_is_extension(from->entries[i].key))
            node_add(map, from->entries[i].key, from->entries[i].span, from->entries[i].value);
    }
}

const struct node *shape_keep(struct load *load, const struct shape *shape, const struct node *node)
{
    const struct node *values = read_values(load, shape, node, NULL);
    struct node *map = node_new(load->arena, NODE_MAP, node->span, node->n);

    for (size_t i = 0; values && i < shape->n_fields; i++) {
        const struct node_entry *entry = node_find(values, shape->fields[i].name.data);

        if (entry)
            node_add(map, entry->key, entry->span, entry->value);
    }
    add_extensions(map, values);
    map->is_ordered = true;
    return map;
}

void shape_init(const struct shape *shape, void *object)
{
    if (shape->defaults)
        memcpy(object, shape->defaults, shape->size);
    else
        memset(object, 0, shape->size);
}

/* ---- printing -------------------------------------------------------------------------------- */

struct node *shape_encode(const struct encoder *encoder, const struct shape *shape,
                          const void *object)
{
    const struct node *kept = NULL;
    struct node *map;

    if (shape->kept_offset > 0)
        kept =
            *(const struct node *const *)(const void *)((const char *)object + shape->kept_offset);
    map = node_new(encoder->arena, NODE_MAP, (struct span){0},
                   shape->n_fields + (kept ? kept->n : 0));
    for (size_t i = 0; i < shape->n_fields; i++) {
        const struct field *field = &shape->fields[i];
        const struct node *value = NULL;

        if (field->type->encode)
            value = field->type->encode(encoder, field, object);
        else if (kept && field->type->keep)
            value = node_get(kept, field->name.data);
        if (value)
            node_add(map, field->name.data, map->span, value);
    }
    add_extensions(map, kept);
    map->is_ordered = true;
    return map;
}
