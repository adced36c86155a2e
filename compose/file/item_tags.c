#include "compose/file/item_tags.h"

#include <string.h>

#include "compose/file/field.h"
#include "compose/file/load.h"
#include "compose/file/node.h"
#include "engine/base/arena.h"

/* Tagged items × values of the list they act on: what comparing them may cost. */
enum { COMPARISONS_MAX = 2000000 };

bool item_tags_any(const struct node *node)
{
    if (node->kind != NODE_LIST || !node->has_tags)
        return false;
    for (size_t i = 0; i < node->n; i++) {
        if (node->entries[i].value->tag != NODE_UNTAGGED)
            return true;
    }
    return false;
}

/* A copy with this tag in place of its own. */
static struct node *with_tag(struct load *load, const struct node *node, enum node_tag tag)
{
    struct node *copy = arena_memdup(load->arena, node, sizeof(*node));

    copy->tag = tag;
    copy->has_tags = tag != NODE_UNTAGGED;
    for (size_t i = 0; i < node->n; i++)
        copy->has_tags |= node->entries[i].value->has_tags;
    return copy;
}

/* ---- long forms ------------------------------------------------------------------------------ */

/* One item's long form: it can be several, or a mapping's entries. */
static const struct node *canonical_item(struct load *load, const struct field *field,
                                         const struct node_entry *entry)
{
    struct node *single = node_new(load->arena, NODE_LIST, entry->span, 1);

    node_add(single, NULL, entry->span, with_tag(load, entry->value, NODE_UNTAGGED));
    return field_canonical(load, field, single);
}

/* The items without a tag, or all, as if they had none. */
enum which { WHICH_PLAIN, WHICH_ALL };

static const struct node *canonical_plain(struct load *load, const struct field *field,
                                          const struct node *list, enum which which)
{
    struct node *plain = node_new(load->arena, NODE_LIST, list->span, list->n);

    for (size_t i = 0; i < list->n; i++) {
        if (which == WHICH_ALL || list->entries[i].value->tag == NODE_UNTAGGED)
            node_add(plain, NULL, list->entries[i].span,
                     with_tag(load, list->entries[i].value, NODE_UNTAGGED));
    }
    return field_canonical(load, field, plain);
}

/* A name can't be reset and given in one list that stands for a mapping. */
static void check_doubles(struct load *load, const struct node *map)
{
    struct node_index index = node_index_make(load->arena, map);

    for (size_t i = 1; i < index.n; i++) {
        if (strcmp(index.sorted[i - 1]->key, index.sorted[i]->key) == 0)
            report_error(&load->report, index.sorted[i]->span, NULL,
                         "%s: \"%s\" stands here twice, once with a tag",
                         report_path(&load->report), index.sorted[i]->key);
    }
}

/* Nor can one item be put in its place and given: which of them would stay? */
static void check_double_items(struct load *load, const struct field *field,
                               const struct node *list)
{
    struct node *keyed = node_new(load->arena, NODE_MAP, list->span, list->n);
    struct node_index index;

    for (size_t i = 0; field->unique && i < list->n; i++) {
        const struct node_entry *entry = &list->entries[i];
        const char *key = field->unique(load->arena, entry->value);

        if (key && entry->value->tag != NODE_RESET)
            node_add(keyed, key, entry->value->span, entry->value);
    }
    index = node_index_make(load->arena, keyed);
    for (size_t i = 1; i < index.n; i++) {
        if (strcmp(index.sorted[i - 1]->key, index.sorted[i]->key) == 0)
            report_error(&load->report, index.sorted[i]->span, NULL,
                         "%s: this item stands here twice, once with a tag",
                         report_path(&load->report));
    }
}

static bool takes_tags(struct load *load, const struct field *field, const struct node *list)
{
    if (field->merge != MERGE_REPLACE && field->merge != MERGE_POOLS)
        return true;
    report_error(&load->report, list->span, "tag the key, or write the whole list",
                 "%s is replaced as a whole: its items can't be tagged",
                 report_path(&load->report));
    return false;
}

const struct node *item_tags_canonical(struct load *load, const struct field *field,
                                       const struct node *list)
{
    enum which which = takes_tags(load, field, list) ? WHICH_PLAIN : WHICH_ALL;
    const struct node *plain = canonical_plain(load, field, list, which);
    const struct node **longer = arena_new_array(load->arena, const struct node *, list->n);
    struct node *result;
    size_t n = plain->n;

    if (which == WHICH_ALL)
        return plain;
    for (size_t i = 0; i < list->n; i++) {
        if (list->entries[i].value->tag != NODE_UNTAGGED) {
            longer[i] = canonical_item(load, field, &list->entries[i]);
            n += longer[i]->n;
        }
    }
    result = node_copy(load->arena, plain, n - plain->n);
    for (size_t i = 0; i < list->n; i++) {
        enum node_tag tag = list->entries[i].value->tag;

        if (longer[i] && longer[i]->kind != result->kind) {
            report_error(&load->report, list->entries[i].span, NULL,
                         "%s: this item is of another kind than the others",
                         report_path(&load->report));
            continue;
        }
        for (size_t k = 0; longer[i] && k < longer[i]->n; k++)
            node_add(result, longer[i]->entries[k].key, longer[i]->entries[k].span,
                     with_tag(load, longer[i]->entries[k].value, tag));
    }
    if (result->kind == NODE_MAP)
        check_doubles(load, result);
    else
        check_double_items(load, field, result);
    result->tag = list->tag;
    result->has_tags = true;
    return result;
}

/* ---- merging --------------------------------------------------------------------------------- */

/* What an item is told by: NULL, the whole of it. */
static const char *key_of(struct load *load, const struct field *field, const struct node *item)
{
    return field && field->unique ? field->unique(load->arena, item) : NULL;
}

static const char **keys_of(struct load *load, const struct field *field, const struct node *list)
{
    const char **keys = arena_new_array(load->arena, const char *, list->n + 1);

    for (size_t i = 0; i < list->n; i++)
        keys[i] = key_of(load, field, list->entries[i].value);
    return keys;
}

static bool is_same(struct load *load, const char *key, const struct node *item,
                    const char *other_key, const struct node *other)
{
    if (key || other_key)
        return key && other_key && strcmp(key, other_key) == 0;
    return node_equal(load->arena, item, other);
}

static size_t count_tagged(const struct node *list)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++)
        n += list->entries[i].value->tag != NODE_UNTAGGED;
    return n;
}

static bool are_too_many(struct load *load, const struct node *base, const struct node *over)
{
    size_t n = count_tagged(over);

    if (n == 0 || base->weight <= COMPARISONS_MAX / n)
        return false;
    report_error(&load->report, over->span, "tag the whole list", "%s: too many tagged items",
                 report_path(&load->report));
    return true;
}

struct node *item_tags_apply(struct load *load, const struct field *field, const struct node *base,
                             const struct node *over)
{
    const char **keys = keys_of(load, field, base);
    struct node *edited = node_copy(load->arena, base, 0);
    struct node *result = node_new(load->arena, NODE_LIST, base->span, base->n + over->n);

    if (are_too_many(load, base, over))
        return edited;
    for (size_t i = 0; i < over->n; i++) {
        const struct node *item = over->entries[i].value;
        const struct node *plain;
        const char *key;
        bool is_new = true;

        if (item->tag == NODE_UNTAGGED)
            continue;
        plain = node_without_tags(load->arena, item);
        key = key_of(load, field, plain);
        for (size_t k = 0; k < base->n; k++) {
            struct node_entry *entry = &edited->entries[k];

            if (!entry->value || !is_same(load, key, plain, keys[k], base->entries[k].value))
                continue;
            entry->value = item->tag == NODE_OVERRIDE && is_new ? plain : NULL;
            entry->span = over->entries[i].span;
            is_new = false;
        }
        if (is_new && item->tag == NODE_OVERRIDE)
            node_add(result, NULL, over->entries[i].span, plain);
    }
    base = result; /* new ones, which stand behind the others */
    result = node_new(load->arena, NODE_LIST, edited->span, edited->n + base->n);
    for (size_t i = 0; i < edited->n; i++) {
        if (edited->entries[i].value)
            node_add(result, NULL, edited->entries[i].span, edited->entries[i].value);
    }
    for (size_t i = 0; i < base->n; i++)
        node_add(result, NULL, base->entries[i].span, base->entries[i].value);
    return result;
}

void item_tags_keep(struct load *load, const struct field *field, struct node *list,
                    const struct node *over)
{
    const char **keys = keys_of(load, field, list);
    size_t n = list->n;

    if (are_too_many(load, list, over))
        return;
    for (size_t i = 0; i < over->n; i++) {
        const struct node *item = over->entries[i].value;
        const struct node *plain = with_tag(load, item, NODE_UNTAGGED);
        const char *key = item->tag == NODE_OVERRIDE ? key_of(load, field, plain) : NULL;

        if (item->tag == NODE_RESET)
            node_add(list, NULL, over->entries[i].span, item);
        for (size_t k = 0; item->tag == NODE_OVERRIDE && k < n; k++) {
            if (is_same(load, key, plain, keys[k], list->entries[k].value))
                list->entries[k].value = with_tag(load, list->entries[k].value, NODE_OVERRIDE);
        }
    }
    list->has_tags = true;
}
