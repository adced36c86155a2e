/* Types of single keys of a service that are kept. */

#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/types.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/units.h"

/* ---- devices ----------------------------------------------------------------------------------
 */

static void put_part(struct load *load, struct node *map, const char *key, struct str text,
                     struct span span)
{
    node_add(map, key, span,
             node_new_text(load->arena, arena_strndup(load->arena, text.data, text.len), span));
}

/* The target is the source, unless it is said. */
static struct node *complete_device(struct load *load, const struct node *device)
{
    const struct node *source = node_get(device, "source");
    struct node *map;

    if (!source || !node_is_text(source) ||
        (node_find(device, "target") && node_find(device, "permissions")))
        return NULL;
    map = node_copy(load->arena, device, 2);
    if (!node_find(device, "target"))
        node_add(map, "target", source->span, source);
    if (!node_find(device, "permissions"))
        put_part(load, map, "permissions", STR("rwm"), source->span);
    return map;
}

/* "SOURCE[:TARGET[:PERMISSIONS]]" */
static struct node *device_canonical(struct load *load, const struct field *field,
                                     const struct node *node)
{
    struct str parts[3] = {{0}, {0}, STR("rwm")};
    struct str rest;
    size_t n = 0;
    bool is_more = true;
    struct node *map;

    (void)field;
    if (node->kind == NODE_MAP)
        return complete_device(load, node);
    if (!node_is_text(node))
        return NULL;
    for (rest = str_from(node->text); is_more && n < 3; n++) {
        struct str tail = {0};

        is_more = str_cut(rest, ':', &parts[n], &tail);
        if (!is_more)
            parts[n] = rest;
        rest = tail;
    }
    if (is_more || parts[0].len == 0)
        return NULL; /* reported by keep */
    map = node_new(load->arena, NODE_MAP, node->span, 3);
    put_part(load, map, "source", parts[0], node->span);
    put_part(load, map, "target", parts[1].len > 0 ? parts[1] : parts[0], node->span);
    put_part(load, map, "permissions", parts[2], node->span);
    return map;
}

static const struct node *keep_device(struct load *load, const struct field *field,
                                      const struct node *node)
{
    if (node_is_text(node)) { /* the long form failed */
        report_error(&load->report, node->span, "write it as SOURCE:TARGET:rwm, or as a mapping",
                     "%s: confusing device mapping, please use long syntax: %s",
                     report_path(&load->report), node->text);
        return NULL;
    }
    if (node->kind != NODE_MAP) {
        wrong_type(load, node, "a string or mapping");
        return NULL;
    }
    return shape_keep(load, field->shape, node);
}

const struct field_type kept_device = {.canonical = device_canonical,
                                       .keep = keep_device,
                                       .schema = {.forms = SCHEMA_TEXT | SCHEMA_MAP}};

/* ---- times ------------------------------------------------------------------------------------
 */

/* The specification takes durations, too; Compose prints and the kernel counts microseconds. */
static const struct node *keep_microseconds(struct load *load, const struct field *field,
                                            const struct node *node)
{
    int64_t ns = 0;
    uint64_t number;
    struct error error = ERROR_INIT;

    if (!node_is_text(node) || parse_u64(str_from(node->text), 0, INT64_MAX, &number, NULL) == 0)
        return kept_nonzero.keep(load, field, node);
    if (parse_duration_ns(str_from(node->text), &ns, &error) < 0 || ns < 0) {
        report_error(&load->report, node->span, "write it as 950000 or 950ms", "%s: %s",
                     report_path(&load->report), ns < 0 ? "must not be negative" : error.text);
        return NULL;
    }
    return ns < 1000 ? NULL
                     : node_new_scalar(load->arena, NODE_INT,
                                       arena_printf(load->arena, "%lld", (long long)(ns / 1000)),
                                       node->span);
}

const struct field_type kept_microseconds = {
    .keep = keep_microseconds,
    .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT, .range = RANGE(0, INT64_MAX)}};

/* ---- pull_policy ------------------------------------------------------------------------------
 */

static const struct node *keep_pull_policy(struct load *load, const struct field *field,
                                           const struct node *node)
{
    const struct node *kept = kept_text.keep(load, field, node);

    if (kept && strcmp(kept->text, "if_not_present") == 0)
        return node_new_text(load->arena, "missing", node->span);
    return kept;
}

const struct field_type kept_pull_policy = {.keep = keep_pull_policy,
                                            .schema = {.forms = SCHEMA_TEXT}};
