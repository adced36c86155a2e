/* Merging a later document over what the earlier ones gave (compose.md 1.6, 1.7).
 *
 * Both are in long form, so that the rules are few: the table says which holds for a key. !reset
 * removes what the earlier files gave, !override replaces it; for list items see item_tags.h. */

#include <string.h>

#include "compose/file/field.h"
#include "compose/file/item_tags.h"
#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"
#include "engine/base/arena.h"

enum { POOLS_MAX = 1000 };

static const struct node *merge(struct load *load, const struct field *field,
                                const struct node *base, const struct node *over);

/* `depends_on: [db]` stands for db's condition service_started, which then replaces what an earlier
 * file asked for: as the reference does it, but hardly what was meant (compose.md 10). */
static void warn_lost_condition(struct load *load, const struct node_entry *base,
                                const struct node_entry *over)
{
    const struct node *before = node_get(base->value, "condition");
    const struct node *after = node_get(over->value, "condition");
    bool is_short = after && span_equal(after->span, over->span);

    if (is_short && before && node_is_text(before) && strcmp(before->text, after->text) != 0)
        report_warning(&load->report, over->span,
                       "write it as a mapping with its condition, or mark it !override",
                       "%s.%s: the short form replaces the condition %s of %s:%u by %s",
                       report_path(&load->report), over->key, before->text,
                       report_source_name(&load->report, before->span.file), before->span.line,
                       after->text);
}

static void merge_entry(struct load *load, const struct field *field, struct node_entry *into,
                        const struct node_entry *over)
{
    const struct field *below = field_below(field, over->key);

    if (over->value->tag == NODE_RESET) {
        into->value = NULL;
        return;
    }
    if (over->value->tag == NODE_OVERRIDE || !into->value ||
        (field && field->merge == MERGE_PAIRS)) {
        into->value = node_without_tags(load->arena, over->value);
        into->span = over->span;
        return;
    }
    if (field && field->type == &type_depends_on)
        warn_lost_condition(load, into, over);
    report_enter_key(&load->report, over->key);
    into->value = merge(load, below, into->value, over->value);
    report_leave(&load->report);
    if (into->value == over->value)
        into->span = over->span;
}

static const struct node *merge_maps(struct load *load, const struct field *field,
                                     const struct node *base, const struct node *over)
{
    struct node *working = node_copy(load->arena, base, 0);
    struct node *merged = node_new(load->arena, NODE_MAP, base->span, base->n + over->n);
    struct node_index index = node_index_make(load->arena, working);

    for (size_t i = 0; i < over->n; i++) {
        const struct node_entry *known = node_index_find(&index, over->entries[i].key);

        if (known)
            merge_entry(load, field, &working->entries[known - working->entries],
                        &over->entries[i]);
    }
    for (size_t i = 0; i < working->n; i++) {
        const struct node_entry *entry = &working->entries[i];

        if (entry->value)
            node_add(merged, entry->key, entry->span, entry->value);
    }
    for (size_t i = 0; i < over->n; i++) {
        const struct node_entry *entry = &over->entries[i];

        if (!node_index_find(&index, entry->key) && entry->value->tag != NODE_RESET)
            node_add(merged, entry->key, entry->span, node_without_tags(load->arena, entry->value));
    }
    return merged;
}

static const struct node *append_lists(struct load *load, const struct field *field,
                                       const struct node *base, const struct node *over)
{
    struct node *list;

    if (item_tags_any(over))
        base = item_tags_apply(load, field, base, over);
    list = node_copy(load->arena, base, over->n);
    for (size_t i = 0; i < over->n; i++) {
        if (over->entries[i].value->tag == NODE_UNTAGGED)
            node_add(list, NULL, over->entries[i].span,
                     node_without_tags(load->arena, over->entries[i].value));
    }
    return field && field->unique ? list_unique(load->arena, field, list) : list;
}

static const struct node *pool_of_subnet(const struct node *pools, const struct node *subnet)
{
    for (size_t i = 0; subnet && node_is_text(subnet) && i < pools->n; i++) {
        const struct node *candidate = node_get(pools->entries[i].value, "subnet");

        if (candidate && node_is_text(candidate) && strcmp(candidate->text, subnet->text) == 0)
            return pools->entries[i].value;
    }
    return NULL;
}

static const struct node *merge_pools(struct load *load, const struct node *base,
                                      const struct node *over)
{
    struct node *pools = node_new(load->arena, NODE_LIST, over->span, over->n);

    if (base->n > POOLS_MAX || over->n > POOLS_MAX) {
        report_error(&load->report, over->span, NULL, "more than %d address pools", POOLS_MAX);
        return over;
    }
    for (size_t i = 0; i < over->n; i++) {
        const struct node *pool = over->entries[i].value;
        const struct node *earlier = pool_of_subnet(base, node_get(pool, "subnet"));

        node_add(pools, NULL, pool->span,
                 earlier ? merge_maps(load, NULL, earlier, pool)
                         : node_without_tags(load->arena, pool));
    }
    return pools;
}

/* The options of one logging driver mean nothing to another. */
static bool is_other_driver(const struct node *base, const struct node *over)
{
    const struct node *before = node_get(base, "driver");
    const struct node *after = node_get(over, "driver");

    return before && after && node_is_text(before) && node_is_text(after) &&
           strcmp(before->text, after->text) != 0;
}

/* Every merge copies what was there before: a thousand documents that each add a little must not
 * cost a million times as much. Reported once; then nothing is merged any more. */
static bool can_merge(struct load *load, const struct node *base, const struct node *over)
{
    bool could = load->n_merged <= LOAD_MERGED_MAX;

    load->n_merged += base->n + over->n;
    if (load->n_merged <= LOAD_MERGED_MAX)
        return true;
    if (could)
        report_error(&load->report, over->span, "make one file of them",
                     "the documents merged into each other are too many, or too large");
    return false;
}

static const struct node *merge(struct load *load, const struct field *field,
                                const struct node *base, const struct node *over)
{
    enum merge_rule rule = field ? field->merge : MERGE_GENERIC;

    if (over->tag == NODE_OVERRIDE || rule == MERGE_REPLACE || node_is_null(base))
        return node_without_tags(load->arena, over);
    if (rule == MERGE_SAME_DRIVER && is_other_driver(base, over))
        return node_without_tags(load->arena, over);
    if (node_is_null(over))
        return base;
    if (over->kind != base->kind && rule == MERGE_MAPS_OR_REPLACE)
        return node_without_tags(load->arena, over);
    if (over->kind != base->kind) {
        report_error(
            &load->report, over->span, NULL, "cannot override %s: it is %s at %s:%u, and %s here",
            report_path(&load->report), node_what(base),
            report_source_name(&load->report, base->span.file), base->span.line, node_what(over));
        return base;
    }
    if (!can_merge(load, base, over))
        return base;
    switch (over->kind) {
    case NODE_SCALAR:
        return node_without_tags(load->arena, over);
    case NODE_LIST:
        return rule == MERGE_POOLS ? merge_pools(load, base, over)
                                   : append_lists(load, field, base, over);
    case NODE_MAP:
        return merge_maps(load, field, base, over);
    }
    return base;
}

const struct node *merge_documents(struct load *load, const struct node *base,
                                   const struct node *over)
{
    return base ? merge(load, &file_field, base, over) : node_without_tags(load->arena, over);
}

/* ---- tags that outlive a merge ----------------------------------------------------------------
 */

static struct node *copy_node(struct load *load, const struct node *node, size_t extra)
{
    struct node *copy = node_copy(load->arena, node, extra);

    copy->type = node->type;
    copy->text = node->text;
    copy->text_len = node->text_len;
    return copy;
}

/* `merged` with the tags of `over`, from which it was made. */
static const struct node *keep_tags(struct load *load, const struct field *field,
                                    const struct node *merged, const struct node *over)
{
    struct node_index index;
    struct node *copy;

    if (!over->has_tags)
        return merged;
    copy = copy_node(load, merged, over->n);
    copy->tag = over->tag;
    copy->has_tags |= over->tag != NODE_UNTAGGED;
    if (over->tag == NODE_OVERRIDE || over->kind != merged->kind || over->kind == NODE_SCALAR)
        return copy;
    if (over->kind == NODE_LIST) {
        if (item_tags_any(over))
            item_tags_keep(load, field, copy, over);
        return copy;
    }
    index = node_index_make(load->arena, merged);
    for (size_t i = 0; i < over->n; i++) {
        const struct node_entry *entry = &over->entries[i];
        const struct node_entry *known = node_index_find(&index, entry->key);

        if (!known && entry->value->tag == NODE_RESET) {
            node_add(copy, entry->key, entry->span, entry->value);
        } else if (known && entry->value->has_tags) {
            struct node_entry *into = &copy->entries[known - merged->entries];

            into->value =
                keep_tags(load, field_below(field, entry->key), into->value, entry->value);
            copy->has_tags = true;
        }
    }
    return copy;
}

const struct node *merge_below(struct load *load, const struct field *field,
                               const struct node *base, const struct node *over)
{
    struct node *plain = copy_node(load, over, 0); /* its own tag is for what comes below both */

    return keep_tags(load, field, merge(load, field, node_without_tags(load->arena, base), plain),
                     over);
}
