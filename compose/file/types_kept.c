/* Types of values that are kept: node in, checked, the form that is printed out. */

#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/types.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

static const struct node *text_at(struct load *load, const char *text, struct span span)
{
    return node_new_text(load->arena, text, span);
}

/* null where the type takes it; says nothing by itself, but stands in a mapping. */
static bool is_allowed_null(const struct field *field, const struct node *node)
{
    return node_is_null(node) && (field->type->schema.forms & SCHEMA_NULL);
}

/* ---- text -------------------------------------------------------------------------------------
 */

static void report_words(struct load *load, const struct field *field, const struct node *node)
{
    const char *const *words = field_schema(field).words;
    const char *pattern = field_schema(field).pattern;
    const char *hint;
    struct buf all;
    size_t n = 0;

    buf_init(&all, 1000);
    for (; words[n]; n++)
        buf_printf(&all, "%s\"%s\"", n > 0 ? ", " : "", words[n]);
    if (pattern)
        buf_printf(&all, ", or match \"%s\"", pattern);
    hint = report_did_you_mean(&load->report, node->text, words, n);
    report_error(&load->report, node->span, hint || !pattern ? hint : field->about,
                 n == 1 ? "%s: value must be %s" : "%s: value must be one of %s",
                 report_path(&load->report), buf_text(&all));
    buf_release(&all);
}

bool want_schema_text(struct load *load, const struct field *field, const struct node *node)
{
    struct schema schema = field_schema(field);

    if (schema.words) {
        for (size_t i = 0; schema.words[i]; i++) {
            if (strcmp(schema.words[i], node->text) == 0)
                return true;
        }
    }
    if ((!schema.words && !schema.pattern) ||
        (schema.pattern && patterns_match(&load->patterns, schema.pattern, node->text)))
        return true;
    if (schema.words) {
        report_words(load, field, node);
        return false;
    }
    report_error(&load->report, node->span, field->about,
                 "%s: \"%s\" does not match pattern \"%s\"", report_path(&load->report), node->text,
                 schema.pattern);
    return false;
}

static bool is_item(const struct load *load)
{
    return load->report.depth > 0 && !load->report.path[load->report.depth - 1].key;
}

static const struct node *keep_text(struct load *load, const struct field *field,
                                    const struct node *node)
{
    if (is_allowed_null(field, node))
        return node;
    if (!want_text(load, node))
        return NULL;
    /* a key that is "" says nothing; an item is one all the same */
    if ((*node->text || is_item(load)) && !want_schema_text(load, field, node))
        return NULL;
    return text_at(load, node->text, node->span);
}

const struct field_type kept_text = {.keep = keep_text,
                                     .schema = {.forms = SCHEMA_TEXT | SCHEMA_EMPTY}};
const struct field_type kept_text_or_null = {
    .keep = keep_text, .schema = {.forms = SCHEMA_TEXT | SCHEMA_EMPTY | SCHEMA_NULL}};

/* Any scalar, as text. */
static const struct node *keep_scalar(struct load *load, const struct field *field,
                                      const struct node *node)
{
    const char *text;

    (void)field;
    if (node->kind != NODE_SCALAR || node_is_null(node)) {
        wrong_type(load, node, "a boolean, number or string");
        return NULL;
    }
    text = want_scalar_text(load, node);
    return text ? text_at(load, text, node->span) : NULL;
}

/* null is "", as Compose reads it. */
static const struct node *keep_option(struct load *load, const struct field *field,
                                      const struct node *node)
{
    const char *text = want_scalar_text(load, node);

    (void)field;
    return text ? text_at(load, text, node->span) : NULL;
}

const struct field_type kept_scalar = {.keep = keep_scalar, .schema = {.forms = SCHEMA_SCALAR}};
const struct field_type kept_option = {.keep = keep_option,
                                       .schema = {.forms = SCHEMA_SCALAR | SCHEMA_NULL}};

/* ---- booleans and numbers ---------------------------------------------------------------------
 */

static const struct node *bool_at(struct load *load, bool value, struct span span)
{
    return node_new_scalar(load->arena, NODE_BOOL, value ? "true" : "false", span);
}

static const struct node *keep_bool(struct load *load, const struct field *field,
                                    const struct node *node)
{
    bool value;

    (void)field;
    return want_bool(load, node, &value) == 0 ? bool_at(load, value, node->span) : NULL;
}

static const struct node *keep_true(struct load *load, const struct field *field,
                                    const struct node *node)
{
    bool value;

    (void)field;
    if (want_bool(load, node, &value) < 0 || !value)
        return NULL;
    return bool_at(load, true, node->span);
}

const struct field_type kept_bool = {
    .keep = keep_bool, .schema = {.forms = SCHEMA_BOOL | SCHEMA_TEXT, .pattern = BOOL_PATTERN}};
const struct field_type kept_true = {
    .keep = keep_true, .schema = {.forms = SCHEMA_BOOL | SCHEMA_TEXT, .pattern = BOOL_PATTERN}};

static int want_ranged(struct load *load, const struct field *field, const struct node *node,
                       int64_t *ret)
{
    const struct schema_range *range = field_schema(field).range;

    return want_int(load, node, range ? range->min : INT64_MIN, range ? range->max : INT64_MAX,
                    ret);
}

static const struct node *int_at(struct load *load, int64_t value, struct span span)
{
    return node_new_scalar(load->arena, NODE_INT,
                           arena_printf(load->arena, "%lld", (long long)value), span);
}

static const struct node *keep_int(struct load *load, const struct field *field,
                                   const struct node *node)
{
    int64_t value;

    return want_ranged(load, field, node, &value) == 0 ? int_at(load, value, node->span) : NULL;
}

static const struct node *keep_nonzero(struct load *load, const struct field *field,
                                       const struct node *node)
{
    int64_t value;

    if (want_ranged(load, field, node, &value) < 0 || value == 0)
        return NULL;
    return int_at(load, value, node->span);
}

static const struct node *keep_int_text(struct load *load, const struct field *field,
                                        const struct node *node)
{
    int64_t value;

    if (want_ranged(load, field, node, &value) < 0)
        return NULL;
    return text_at(load, arena_printf(load->arena, "%lld", (long long)value), node->span);
}

const struct field_type kept_int = {
    .keep = keep_int, .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT, .pattern = INTEGER_PATTERN}};
const struct field_type kept_nonzero = {
    .keep = keep_nonzero,
    .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT, .pattern = INTEGER_PATTERN}};
const struct field_type kept_int_text = {
    .keep = keep_int_text,
    .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT, .pattern = INTEGER_PATTERN}};

/* ---- what bound types read and print ----------------------------------------------------------
 */

/* Check and print by a bound type, through a value of its own. */
static const struct node *keep_through(struct load *load, const struct field_type *type,
                                       const struct node *node, void *value)
{
    struct encoder encoder = {.arena = load->arena};
    struct field field = {.type = type};
    size_t n_errors = load->report.n_errors;

    type->decode(load, &field, node, value);
    return load->report.n_errors == n_errors ? type->encode(&encoder, &field, value) : NULL;
}

static const struct node *keep_number(struct load *load, const struct field *field,
                                      const struct node *node)
{
    const struct schema_range *range = field_schema(field).range;
    struct encoder encoder = {.arena = load->arena};
    struct field bound = {.type = &type_number};
    double value;

    if (want_number(load, node, range ? range->min : 0, range ? range->max : INT32_MAX, &value) < 0)
        return NULL;
    return value != 0 ? type_number.encode(&encoder, &bound, &value) : NULL;
}

static const struct node *keep_amount(struct load *load, const struct field *field,
                                      const struct node *node)
{
    size_t n_errors = load->report.n_errors;
    const struct node *kept = keep_number(load, field, node);

    if (kept || load->report.n_errors > n_errors)
        return kept;
    return node_new_scalar(load->arena, NODE_INT, "0", node->span);
}

static const struct node *keep_bytes(struct load *load, const struct field *field,
                                     const struct node *node)
{
    const struct schema_range *range = field_schema(field).range;
    int64_t value = -1;
    const struct node *kept;

    /* a size is not negative, but some mean "no limit" by -1 */
    if (range && range->min < 0 && node->kind == NODE_SCALAR && node->text[0] == '-')
        return want_ranged(load, field, node, &value) == 0 && value != 0
                   ? text_at(load, arena_printf(load->arena, "%lld", (long long)value), node->span)
                   : NULL;
    kept = keep_through(load, &type_bytes, node, &value);
    return value == 0 ? NULL : kept;
}

static const struct node *keep_duration(struct load *load, const struct field *field,
                                        const struct node *node)
{
    int64_t value = -1;

    (void)field;
    return keep_through(load, &type_duration, node, &value);
}

static const struct node *keep_pause(struct load *load, const struct field *field,
                                     const struct node *node)
{
    int64_t value = -1;
    const struct node *kept = keep_through(load, &type_duration, node, &value);

    (void)field;
    return value == 0 ? NULL : kept;
}

static const struct node *keep_file_mode(struct load *load, const struct field *field,
                                         const struct node *node)
{
    int64_t value = -1;

    (void)field;
    return keep_through(load, &type_file_mode, node, &value);
}

static const struct node *keep_address(struct load *load, const struct field *field,
                                       const struct node *node)
{
    const char *value = NULL;

    (void)field;
    return keep_through(load, &type_address, node, &value);
}

static const struct node *keep_command(struct load *load, const struct field *field,
                                       const struct node *node)
{
    struct service_command value = {.is_set = false};

    if (is_allowed_null(field, node))
        return node;
    return keep_through(load, &type_command, node, &value);
}

static const struct node *keep_extra_hosts(struct load *load, const struct field *field,
                                           const struct node *node)
{
    struct pairs value = {0};

    (void)field;
    return keep_through(load, &type_extra_hosts, node, &value);
}

static const struct node *keep_pairs(struct load *load, const struct field *field,
                                     const struct node *node)
{
    struct pairs value = {0};

    (void)field;
    return keep_through(load, &type_environment, node, &value);
}

static const struct node *keep_labels(struct load *load, const struct field *field,
                                      const struct node *node)
{
    struct pairs value = {0};

    (void)field;
    return keep_through(load, &type_labels, node, &value);
}

static struct node *pairs_canonical(struct load *load, const struct field *field,
                                    const struct node *node)
{
    return type_labels.canonical(load, field, node);
}

static struct node *extra_hosts_canonical(struct load *load, const struct field *field,
                                          const struct node *node)
{
    return type_extra_hosts.canonical(load, field, node);
}

static struct node *listify(struct load *load, const struct field *field, const struct node *node)
{
    return type_text_or_list.canonical(load, field, node);
}

static const struct schema text_schema = {.forms = SCHEMA_TEXT};
static const struct schema host_schema = {.forms = SCHEMA_TEXT | SCHEMA_LIST,
                                          .items = &text_schema};
static const struct schema scalar_schema = {.forms = SCHEMA_SCALAR | SCHEMA_NULL};

const struct field_type kept_number = {.keep = keep_number,
                                       .schema = {.forms = SCHEMA_NUMBER | SCHEMA_TEXT,
                                                  .pattern = NUMBER_PATTERN,
                                                  .range = RANGE(0, INT32_MAX)}};
const struct field_type kept_amount = {.keep = keep_amount,
                                       .schema = {.forms = SCHEMA_NUMBER | SCHEMA_TEXT,
                                                  .pattern = NUMBER_PATTERN,
                                                  .range = RANGE(0, INT32_MAX)}};
const struct field_type kept_bytes = {.keep = keep_bytes,
                                      .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT,
                                                 .pattern = BYTES_PATTERN,
                                                 .range = RANGE(0, INT64_MAX)}};
const struct field_type kept_duration = {.keep = keep_duration,
                                         .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT,
                                                    .pattern = DURATION_PATTERN,
                                                    .range = RANGE(0, 0)}};
const struct field_type kept_pause = {.keep = keep_pause,
                                      .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT,
                                                 .pattern = DURATION_PATTERN,
                                                 .range = RANGE(0, 0)}};
const struct field_type kept_file_mode = {.keep = keep_file_mode,
                                          .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT,
                                                     .pattern = FILE_MODE_PATTERN,
                                                     .range = RANGE(0, 07777)}};
const struct field_type kept_address = {
    .keep = keep_address, .schema = {.forms = SCHEMA_TEXT, .pattern = ADDRESS_PATTERN}};
const struct field_type kept_command = {
    .keep = keep_command,
    .schema = {.forms = SCHEMA_NULL | SCHEMA_TEXT | SCHEMA_LIST, .items = &text_schema}};
const struct field_type kept_extra_hosts = {
    .canonical = extra_hosts_canonical,
    .keep = keep_extra_hosts,
    .schema = {.forms = SCHEMA_LIST | SCHEMA_MAP, .items = &host_schema}};
const struct field_type kept_pairs = {
    .canonical = pairs_canonical,
    .keep = keep_pairs,
    .schema = {.forms = SCHEMA_LIST | SCHEMA_MAP, .items = &scalar_schema}};
const struct field_type kept_labels = {
    .canonical = pairs_canonical,
    .keep = keep_labels,
    .schema = {.forms = SCHEMA_LIST | SCHEMA_MAP, .items = &scalar_schema}};

/* ---- lists ------------------------------------------------------------------------------------
 */

static const struct field text_item = {.type = &kept_text};

static const struct node *keep_list(struct load *load, const struct field *field,
                                    const struct node *node)
{
    const struct field *each = field->shape ? field->shape->each : &text_item;
    struct node *list;

    if (!want_kind(load, node, WANT_LIST))
        return NULL;
    list = node_new(load->arena, NODE_LIST, node->span, node->n);
    for (size_t i = 0; i < node->n; i++) {
        const struct node *item;

        report_enter_index(&load->report, i);
        item = each->type->keep(load, each, node->entries[i].value);
        report_leave(&load->report);
        if (item)
            node_add(list, NULL, node->entries[i].span, item);
    }
    return list->n > 0 || field->is_required ? list : NULL;
}

static const struct node *keep_text_or_list(struct load *load, const struct field *field,
                                            const struct node *node)
{
    if (node->kind == NODE_LIST)
        return keep_list(load, field, node);
    wrong_type(load, node, "a list or string");
    return NULL;
}

const struct field_type kept_list = {.keep = keep_list,
                                     .schema = {.forms = SCHEMA_LIST, .items = &text_schema}};
const struct field_type kept_text_or_list = {
    .canonical = listify,
    .wraps_text = true,
    .keep = keep_text_or_list,
    .schema = {.forms = SCHEMA_TEXT | SCHEMA_LIST, .items = &text_schema}};

/* ---- mappings ---------------------------------------------------------------------------------
 */

static const struct field option_value = {.type = &kept_option};

/* By name, as the bound ones are. */
static const struct node *keep_map(struct load *load, const struct field *field,
                                   const struct node *node)
{
    const struct field *each = field->shape ? field->shape->each : &option_value;
    struct node_index index;
    struct node *map;

    if (is_allowed_null(field, node))
        return NULL;
    if (!want_kind(load, node, WANT_MAP))
        return NULL;
    index = node_index_make(load->arena, node);
    map = node_new(load->arena, NODE_MAP, node->span, node->n);
    for (size_t i = 0; i < index.n; i++) {
        const struct node *value;

        report_enter_key(&load->report, index.sorted[i]->key);
        value = each->type->keep(load, each, index.sorted[i]->value);
        report_leave(&load->report);
        if (value)
            node_add(map, index.sorted[i]->key, index.sorted[i]->span, value);
    }
    return map->n > 0 ? map : NULL;
}

static const struct node *keep_object(struct load *load, const struct field *field,
                                      const struct node *node)
{
    if (is_allowed_null(field, node))
        return node;
    return want_kind(load, node, WANT_MAP) ? shape_keep(load, field->shape, node) : NULL;
}

const struct field_type kept_map = {.keep = keep_map,
                                    .schema = {.forms = SCHEMA_MAP, .items = &scalar_schema}};
const struct field_type kept_object = {.keep = keep_object, .schema = {.forms = SCHEMA_MAP}};
const struct field_type kept_object_or_null = {.keep = keep_object,
                                               .schema = {.forms = SCHEMA_MAP | SCHEMA_NULL}};
