/* Types with keys of their own: nested objects, and mappings from names to objects. */

#include <stdlib.h>
#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"
#include "compose/file/unhonoured.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"

static const struct schema text_schema = {.forms = SCHEMA_TEXT};
static const char *const env_formats[] = {"raw", NULL};

/* ---- objects ----------------------------------------------------------------------------------
 */

static void object_decode(struct load *load, const struct field *field, const struct node *node,
                          void *object)
{
    if (want_kind(load, node, WANT_MAP))
        shape_decode(load, field->shape, node, SLOT(char, object, field));
}

/* Printed by the type that holds it: only there it is known whether it says something. */
const struct field_type type_object = {.decode = object_decode, .schema = {.forms = SCHEMA_MAP}};

/* The same where null, or text, stands for one: read by the type of the list or mapping. */
const struct field_type type_object_or_null = {.decode = object_decode,
                                               .schema = {.forms = SCHEMA_MAP | SCHEMA_NULL}};
const struct field_type type_object_or_text = {.decode = object_decode,
                                               .schema = {.forms = SCHEMA_MAP | SCHEMA_TEXT}};

static void build_decode(struct load *load, const struct field *field, const struct node *node,
                         void *object)
{
    struct build *build = SLOT(struct build, object, field);

    if (node->kind != NODE_MAP) {
        wrong_type(load, node, "a mapping or string");
        return;
    }
    build->span = node->span;
    shape_decode(load, field->shape, node, build);
    if (!build->context || !*build->context)
        build->context = "."; /* an error was reported, or it is the default */
    if (!build->dockerfile && !node_get(build->kept, "dockerfile_inline"))
        build->dockerfile = "Dockerfile";
}

static const struct node *build_encode(const struct encoder *encoder, const struct field *field,
                                       const void *object)
{
    const struct build *build = SLOT_CONST(struct build, object, field);

    return build->context ? shape_encode(encoder, field->shape, build) : NULL;
}

const struct field_type type_build = {.text_key = "context",
                                      .decode = build_decode,
                                      .encode = build_encode,
                                      .schema = {.forms = SCHEMA_TEXT | SCHEMA_MAP}};

/* A directory; what is elsewhere can't be fetched yet. */
static void context_decode(struct load *load, const struct field *field, const struct node *node,
                           void *object)
{
    const char *text = want_text(load, node);

    if (text && load_is_remote(text))
        unhonoured_note_value(load, node);
    *SLOT(const char *, object, field) = text;
}

static const struct node *context_encode(const struct encoder *encoder, const struct field *field,
                                         const void *object)
{
    return encode_text(encoder, *SLOT_CONST(char *, object, field));
}

const struct field_type type_context = {
    .decode = context_decode, .encode = context_encode, .schema = {.forms = SCHEMA_TEXT}};

static void health_decode(struct load *load, const struct field *field, const struct node *node,
                          void *object)
{
    struct service_health *health = SLOT(struct service_health, object, field);

    if (!want_kind(load, node, WANT_MAP))
        return;
    health->is_set = true;
    shape_decode(load, field->shape, node, health);
}

static const struct node *health_encode(const struct encoder *encoder, const struct field *field,
                                        const void *object)
{
    const struct service_health *health = SLOT_CONST(struct service_health, object, field);

    return health->is_set ? shape_encode(encoder, field->shape, health) : NULL;
}

const struct field_type type_health = {
    .decode = health_decode, .encode = health_encode, .schema = {.forms = SCHEMA_MAP}};

/* ---- depends_on -------------------------------------------------------------------------------
 */

static const char *const condition_name[] = {
    [SERVICE_STARTED] = "service_started",
    [SERVICE_HEALTHY] = "service_healthy",
    [SERVICE_COMPLETED_SUCCESSFULLY] = "service_completed_successfully",
    NULL,
};

/* A list of names → a mapping whose values are made by `make`. */
static struct node *names_canonical(struct load *load, const struct node *node,
                                    const struct node *(*make)(struct load *, struct span))
{
    struct node *map;

    if (node->kind != NODE_LIST)
        return NULL;
    map = node_new(load->arena, NODE_MAP, node->span, node->n);
    for (size_t i = 0; i < node->n; i++) {
        const struct node *item = node->entries[i].value;

        if (!node_is_text(item))
            return NULL;
        node_add(map, item->text, item->span, make(load, item->span));
    }
    return node_last_wins(load->arena, map);
}

static const struct node *make_started(struct load *load, struct span span)
{
    struct node *map = node_new(load->arena, NODE_MAP, span, 2);

    node_add(map, "condition", span,
             node_new_text(load->arena, condition_name[SERVICE_STARTED], span));
    node_add(map, "required", span, node_new_scalar(load->arena, NODE_BOOL, "true", span));
    return map;
}

static struct node *depends_canonical(struct load *load, const struct field *field,
                                      const struct node *node)
{
    (void)field;
    return names_canonical(load, node, make_started);
}

static int compare_dependencies(const void *a, const void *b)
{
    return strcmp(((const struct service_dependency *)a)->service,
                  ((const struct service_dependency *)b)->service);
}

static void condition_decode(struct load *load, const struct field *field, const struct node *node,
                             void *object)
{
    struct service_dependency *dependency = object;
    const char *text = want_text(load, node);

    (void)field;
    for (size_t i = 0; text && condition_name[i]; i++) {
        if (strcmp(text, condition_name[i]) == 0) {
            dependency->condition = (enum service_condition)i;
            return;
        }
    }
    if (text)
        report_error(&load->report, node->span,
                     report_did_you_mean(&load->report, text, condition_name, 3),
                     "%s: value must be one of \"%s\", \"%s\", \"%s\"", report_path(&load->report),
                     condition_name[0], condition_name[1], condition_name[2]);
}

static const struct node *condition_encode(const struct encoder *encoder, const struct field *field,
                                           const void *object)
{
    const struct service_dependency *dependency = object;

    (void)field;
    return encode_text(encoder, condition_name[dependency->condition]);
}

const struct field_type type_condition = {
    .decode = condition_decode,
    .encode = condition_encode,
    .schema = {.forms = SCHEMA_TEXT, .words = condition_name}};

/* A mapping of names, or the list the long form failed on. */
static bool want_names(struct load *load, const struct node *node)
{
    if (node->kind == NODE_MAP)
        return true;
    if (node->kind != NODE_LIST) {
        wrong_type(load, node, "a list or mapping");
        return false;
    }
    for (size_t i = 0; i < node->n; i++) {
        report_enter_index(&load->report, i);
        (void)want_text(load, node->entries[i].value); /* reported */
        report_leave(&load->report);
    }
    return false;
}

static void depends_decode(struct load *load, const struct field *field, const struct node *node,
                           void *object)
{
    struct service *service = object;

    if (!want_names(load, node))
        return;
    service->depends_on = arena_new_array(load->arena, struct service_dependency, node->n + 1);
    for (size_t i = 0; i < node->n; i++) {
        const struct node_entry *entry = &node->entries[i];
        struct service_dependency *dependency = &service->depends_on[service->n_depends_on++];

        shape_init(field->shape, dependency);
        dependency->service = entry->key;
        dependency->span = entry->span;
        report_enter_key(&load->report, entry->key);
        if (want_kind(load, entry->value, WANT_MAP)) {
            shape_decode(load, field->shape, entry->value, dependency);
        }
        report_leave(&load->report);
    }
    qsort(service->depends_on, service->n_depends_on, sizeof(service->depends_on[0]),
          compare_dependencies);
}

static const struct node *depends_encode(const struct encoder *encoder, const struct field *field,
                                         const void *object)
{
    const struct service *service = object;
    struct node *map = encode_map(encoder, service->n_depends_on);

    for (size_t i = 0; i < service->n_depends_on; i++)
        encode_put(map, service->depends_on[i].service,
                   shape_encode(encoder, field->shape, &service->depends_on[i]));
    return map->n > 0 ? map : NULL;
}

const struct field_type type_depends_on = {.canonical = depends_canonical,
                                           .decode = depends_decode,
                                           .encode = depends_encode,
                                           .schema = {.forms = SCHEMA_LIST | SCHEMA_MAP}};

/* ---- networks of a service --------------------------------------------------------------------
 */

static const struct node *make_null(struct load *load, struct span span)
{
    return node_new_scalar(load->arena, NODE_NULL, "", span);
}

static struct node *attachments_canonical(struct load *load, const struct field *field,
                                          const struct node *node)
{
    (void)field;
    return names_canonical(load, node, make_null);
}

static int compare_attachments(const void *a, const void *b)
{
    return strcmp(((const struct service_network *)a)->key,
                  ((const struct service_network *)b)->key);
}

static void attachments_decode(struct load *load, const struct field *field,
                               const struct node *node, void *object)
{
    struct service *service = object;

    if (!want_names(load, node))
        return;
    service->networks = arena_new_array(load->arena, struct service_network, node->n + 1);
    for (size_t i = 0; i < node->n; i++) {
        const struct node_entry *entry = &node->entries[i];
        struct service_network *network = &service->networks[service->n_networks++];

        shape_init(field->shape, network);
        network->key = entry->key;
        network->span = entry->span;
        report_enter_key(&load->report, entry->key);
        network->has_section = !node_is_null(entry->value);
        if (network->has_section && want_kind(load, entry->value, WANT_MAP))
            shape_decode(load, field->shape, entry->value, network);
        report_leave(&load->report);
    }
    qsort(service->networks, service->n_networks, sizeof(service->networks[0]),
          compare_attachments);
}

static const struct node *attachments_encode(const struct encoder *encoder,
                                             const struct field *field, const void *object)
{
    const struct service *service = object;
    struct node *map = encode_map(encoder, service->n_networks);

    for (size_t i = 0; i < service->n_networks; i++) {
        struct node *value = shape_encode(encoder, field->shape, &service->networks[i]);

        encode_put(map, service->networks[i].key,
                   service->networks[i].has_section ? value : encode_null(encoder));
    }
    return map->n > 0 ? map : NULL;
}

const struct field_type type_attachments = {.canonical = attachments_canonical,
                                            .decode = attachments_decode,
                                            .encode = attachments_encode,
                                            .schema = {.forms = SCHEMA_LIST | SCHEMA_MAP}};

/* ---- ulimits ----------------------------------------------------------------------------------
 */

static const char *const ulimit_names[] = {
    "as",   "core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue",
    "nice", "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack",
};

static void limit_decode(struct load *load, const struct field *field, const struct node *node,
                         void *object)
{
    (void)want_int(load, node, -1, INT64_MAX, SLOT(int64_t, object, field)); /* reported */
}

static const struct node *limit_encode(const struct encoder *encoder, const struct field *field,
                                       const void *object)
{
    return encode_int(encoder, *SLOT_CONST(int64_t, object, field));
}

const struct field_type type_limit = {.decode = limit_decode,
                                      .encode = limit_encode,
                                      .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT,
                                                 .pattern = INTEGER_PATTERN,
                                                 .range = RANGE(-1, INT64_MAX)}};

static int compare_ulimits(const void *a, const void *b)
{
    return strcmp(((const struct service_ulimit *)a)->name,
                  ((const struct service_ulimit *)b)->name);
}

static void decode_ulimit(struct load *load, const struct field *field,
                          const struct node_entry *entry, struct service_ulimit *limit)
{
    size_t n_names = sizeof(ulimit_names) / sizeof(ulimit_names[0]);
    bool is_known = false;

    limit->name = entry->key;
    for (size_t i = 0; i < n_names; i++)
        is_known |= strcmp(entry->key, ulimit_names[i]) == 0;
    if (!is_known)
        report_error(&load->report, entry->span,
                     report_did_you_mean(&load->report, entry->key, ulimit_names, n_names),
                     "%s: unknown limit", report_path(&load->report));
    if (entry->value->kind != NODE_MAP) {
        limit->is_single = true;
        if (want_int(load, entry->value, -1, INT64_MAX, &limit->soft) == 0)
            limit->hard = limit->soft;
        return;
    }
    shape_decode(load, field->shape, entry->value, limit);
    if (node_get(entry->value, "hard") && node_get(entry->value, "soft") && limit->hard >= 0 &&
        (limit->soft > limit->hard || limit->soft < 0))
        report_error(&load->report, entry->span, NULL, "%s: soft limit above the hard limit",
                     report_path(&load->report));
}

static void ulimits_decode(struct load *load, const struct field *field, const struct node *node,
                           void *object)
{
    struct service *service = object;

    if (!want_kind(load, node, WANT_MAP))
        return;
    service->ulimits = arena_new_array(load->arena, struct service_ulimit, node->n + 1);
    for (size_t i = 0; i < node->n; i++) {
        report_enter_key(&load->report, node->entries[i].key);
        decode_ulimit(load, field, &node->entries[i], &service->ulimits[service->n_ulimits++]);
        report_leave(&load->report);
    }
    qsort(service->ulimits, service->n_ulimits, sizeof(service->ulimits[0]), compare_ulimits);
}

static const struct node *ulimits_encode(const struct encoder *encoder, const struct field *field,
                                         const void *object)
{
    const struct service *service = object;
    struct node *map = encode_map(encoder, service->n_ulimits);

    for (size_t i = 0; i < service->n_ulimits; i++) {
        const struct service_ulimit *limit = &service->ulimits[i];

        encode_put(map, limit->name,
                   limit->is_single ? encode_int(encoder, limit->soft)
                                    : shape_encode(encoder, field->shape, limit));
    }
    return map->n > 0 ? map : NULL;
}

const struct field_type type_ulimits = {
    .decode = ulimits_decode,
    .encode = ulimits_encode,
    .schema = {.forms = SCHEMA_MAP, .names_pattern = ULIMITS_PATTERN}};

/* One number for both, or both; read by the one above. */
const struct field_type type_ulimit = {.decode = object_decode,
                                       .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT | SCHEMA_MAP,
                                                  .pattern = INTEGER_PATTERN,
                                                  .range = RANGE(-1, INT64_MAX)}};

/* ---- env_file ---------------------------------------------------------------------------------
 */

static struct node *env_file_canonical(struct load *load, const struct field *field,
                                       const struct node *node)
{
    size_t n = node->kind == NODE_LIST ? node->n : 1;
    struct node *list;

    (void)field;
    if (node->kind == NODE_MAP || node_is_null(node))
        return NULL;
    list = node_new(load->arena, NODE_LIST, node->span, n);
    for (size_t i = 0; i < n; i++) {
        const struct node *item = node->kind == NODE_LIST ? node->entries[i].value : node;
        struct node *map = node_new(load->arena, NODE_MAP, item->span, 1);

        if (node_is_text(item))
            node_add(map, "path", item->span, item);
        node_add(list, NULL, item->span, node_is_text(item) ? map : item);
    }
    return list;
}

static void env_file_decode(struct load *load, const struct field *field, const struct node *node,
                            void *object)
{
    struct draft *draft = object;

    if (node->kind != NODE_LIST) {
        wrong_type(load, node, "a list or string");
        return;
    }
    draft->env_files = arena_new_array(load->arena, struct env_file, node->n + 1);
    for (size_t i = 0; i < node->n; i++) {
        const struct node *item = node->entries[i].value;
        struct env_file *file = &draft->env_files[draft->n_env_files];

        report_enter_index(&load->report, i);
        if (item->kind != NODE_MAP) {
            wrong_type(load, item, "a mapping or string");
        } else {
            shape_init(field->shape, file);
            file->span = item->span;
            shape_decode(load, field->shape, item, file);
            draft->n_env_files += file->path != NULL;
        }
        report_leave(&load->report);
    }
}

const struct field_type type_env_file = {
    .canonical = env_file_canonical,
    .wraps_text = true,
    .decode = env_file_decode,
    .schema = {.forms = SCHEMA_TEXT | SCHEMA_LIST, .items = &text_schema}};

static void env_format_decode(struct load *load, const struct field *field, const struct node *node,
                              void *object)
{
    const char *text = want_text(load, node);

    if (text && *text && strcmp(text, "raw") != 0)
        report_error(&load->report, node->span, "leave it out, or write raw",
                     "%s: unsupported env_file format \"%s\"", report_path(&load->report), text);
    *SLOT(const char *, object, field) = text && *text ? text : NULL;
}

const struct field_type type_env_format = {
    .decode = env_format_decode,
    .schema = {.forms = SCHEMA_TEXT | SCHEMA_EMPTY, .words = env_formats}};
