/* Types of the keys of deploy, gpus, hooks, develop and provider. */

#include <stdlib.h>
#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"
#include "compose/file/unhonoured.h"
#include "engine/base/arena.h"
#include "engine/base/cleanup.h"
#include "engine/base/units.h"

static const struct schema text_schema = {.forms = SCHEMA_TEXT};
static const struct schema option_schema = {.forms = SCHEMA_SCALAR};

/* ---- deploy -----------------------------------------------------------------------------------
 */

static const struct {
    const char *word;
    enum service_restart restart;
} conditions[] = {
    {"none", SERVICE_RESTART_NO},
    {"on-failure", SERVICE_RESTART_ON_FAILURE},
    {"any", SERVICE_RESTART_ALWAYS},
};

/* How often is counted only after failures. */
static void bind_restart(struct load *load, const struct node *policy,
                         struct service_deploy *deploy)
{
    static const struct field refused = {.state = FIELD_KEPT};
    const struct node *condition = node_get(policy, "condition");
    const struct node_entry *attempts = node_find(policy, "max_attempts");

    for (size_t i = 0; condition && i < sizeof(conditions) / sizeof(conditions[0]); i++) {
        if (strcmp(condition->text, conditions[i].word) == 0)
            deploy->restart = conditions[i].restart;
    }
    if (!attempts)
        return;
    if (deploy->restart == SERVICE_RESTART_ON_FAILURE &&
        parse_i64(str_from(attempts->value->text), 0, INT32_MAX, &deploy->restart_retries, NULL) ==
            0)
        return;
    report_enter_key(&load->report, "restart_policy");
    report_enter_key(&load->report, "max_attempts");
    unhonoured_note(load, &refused, attempts, attempts->value);
    report_leave(&load->report);
    report_leave(&load->report);
}

static void bind_limits(const struct node *limits, struct service_deploy *deploy)
{
    const struct node *cpus = node_get(limits, "cpus");
    const struct node *memory = node_get(limits, "memory");
    const struct node *pids = node_get(limits, "pids");

    if (cpus)
        deploy->cpus = strtod(cpus->text, NULL);
    if (memory)
        (void)parse_i64(str_from(memory->text), 0, INT64_MAX, &deploy->mem_limit, NULL); /* kept */
    if (pids)
        (void)parse_i64(str_from(pids->text), -1, INT64_MAX, &deploy->pids_limit, NULL); /* kept */
}

static void deploy_decode(struct load *load, const struct field *field, const struct node *node,
                          void *object)
{
    struct service *service = object;

    if (node_is_null(node) || !want_kind(load, node, WANT_MAP))
        return;
    service->deploy.kept =
        node_new(load->arena, NODE_MAP, node->span, 0); /* also when it is empty */
    shape_decode(load, field->shape, node, object);
    bind_limits(node_get(node_get(service->deploy.kept, "resources"), "limits"), &service->deploy);
    bind_restart(load, node_get(service->deploy.kept, "restart_policy"), &service->deploy);
}

/* Sections that Compose prints as JSON even when nothing is in them, and as YAML only if there is.
 */
static bool is_plain_section(const struct field *field)
{
    return str_is(field->name, "resources") || str_is(field->name, "placement");
}

static const struct node *deploy_encode(const struct encoder *encoder, const struct field *field,
                                        const void *object)
{
    const struct service *service = object;
    const struct shape *shape = field->shape;
    struct node *map;

    if (!service->deploy.kept)
        return NULL;
    map = encode_object(encoder, shape->n_fields + service->deploy.kept->n);
    for (size_t i = 0; i < shape->n_fields; i++) {
        const struct node *value = node_get(service->deploy.kept, shape->fields[i].name.data);

        if (is_plain_section(&shape->fields[i]) && encoder->is_json && !value)
            value = encode_map(encoder, 0);
        else if (is_plain_section(&shape->fields[i]) && !encoder->is_json && value && value->n == 0)
            value = NULL;
        encode_put(map, shape->fields[i].name.data, value);
    }
    for (size_t i = 0; i < service->deploy.kept->n; i++) {
        if (key_is_extension(service->deploy.kept->entries[i].key))
            encode_put(map, service->deploy.kept->entries[i].key,
                       service->deploy.kept->entries[i].value);
    }
    return map;
}

const struct field_type type_deploy = {.decode = deploy_decode,
                                       .encode = deploy_encode,
                                       .schema = {.forms = SCHEMA_MAP | SCHEMA_NULL}};

/* limits and restart_policy: what of them is honoured was bound. */
static const struct node *keep_bound(struct load *load, const struct field *field,
                                     const struct node *node)
{
    return kept_object.keep(load, field, node);
}

const struct field_type kept_bound_object = {
    .keep = keep_bound, .schema = {.forms = SCHEMA_MAP}, .judges = true};

/* ---- requests for devices ---------------------------------------------------------------------
 */

static const char all_devices[] = "all";

static struct node *request_of_all(struct load *load, struct span span)
{
    struct node *map = node_new(load->arena, NODE_MAP, span, 1);

    node_add(map, "count", span, node_new_text(load->arena, all_devices, span));
    return map;
}

/* "all" → a list of one request. */
static struct node *gpus_canonical(struct load *load, const struct field *field,
                                   const struct node *node)
{
    struct node *list;

    (void)field;
    if (!node_is_text(node) || strcmp(node->text, all_devices) != 0)
        return NULL;
    list = node_new(load->arena, NODE_LIST, node->span, 1);
    node_add(list, NULL, node->span, request_of_all(load, node->span));
    return list;
}

static const struct node *keep_gpus(struct load *load, const struct field *field,
                                    const struct node *node)
{
    if (node->kind == NODE_LIST)
        return kept_list.keep(load, field, node);
    if (node_is_text(node))
        report_error(&load->report, node->span, "or write a list of requests",
                     "%s: value must be \"%s\"", report_path(&load->report), all_devices);
    else
        wrong_type(load, node, "a list or string");
    return NULL;
}

/* Printed as Compose does: -1 is all. */
static const struct node *keep_device_count(struct load *load, const struct field *field,
                                            const struct node *node)
{
    if (node_is_text(node) && strcasecmp(node->text, all_devices) == 0)
        return node_new_scalar(load->arena, NODE_INT, "-1", node->span);
    if (node->kind != NODE_SCALAR || node->type == NODE_NULL || node->type == NODE_BOOL) {
        wrong_type(load, node, "an integer or string");
        return NULL;
    }
    if (node->type == NODE_TEXT && node_type_of(str_from(node->text)) != NODE_INT) {
        report_error(&load->report, node->span, NULL,
                     "%s: invalid value \"%s\", the only value allowed is 'all' or a number",
                     report_path(&load->report), node->text);
        return NULL;
    }
    return kept_int.keep(load, field, node);
}

static const struct node *keep_device_request(struct load *load, const struct field *field,
                                              const struct node *node)
{
    const struct node_entry *count = node_find(node, "count");
    const struct node_entry *ids = node_find(node, "device_ids");

    if (!want_kind(load, node, WANT_MAP))
        return NULL;
    if (count && ids)
        report_error(&load->report, ids->span, NULL,
                     "%s: \"count\" and \"device_ids\" attributes are exclusive",
                     report_path(&load->report));
    if (!count && (!ids || ids->value->n == 0)) {
        struct node *copy = node_copy(load->arena, node, 1);

        node_add(copy, "count", node->span, node_new_text(load->arena, all_devices, node->span));
        node = copy;
    }
    return shape_keep(load, field->shape, node);
}

static const char *const gpus_words[] = {all_devices, NULL};

const struct field_type kept_gpus = {
    .canonical = gpus_canonical,
    .keep = keep_gpus,
    .schema = {.forms = SCHEMA_TEXT | SCHEMA_LIST, .words = gpus_words}};
const struct field_type kept_device_count = {
    .keep = keep_device_count,
    .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT, .range = RANGE(-1, INT64_MAX)}};
const struct field_type kept_device_request = {.keep = keep_device_request,
                                               .schema = {.forms = SCHEMA_MAP}};

/* ---- hooks ------------------------------------------------------------------------------------
 */

/* A hook in the container has no image's command to fall back on. */
static const struct node *keep_hook_command(struct load *load, const struct field *field,
                                            const struct node *node)
{
    (void)field;
    if (!node_is_null(node))
        return kept_command.keep(load, &(const struct field){.type = &kept_command}, node);
    wrong_type(load, node, "a list or string");
    return NULL;
}

const struct field_type kept_hook_command = {
    .keep = keep_hook_command,
    .schema = {.forms = SCHEMA_TEXT | SCHEMA_LIST, .items = &text_schema}};

/* ---- develop ----------------------------------------------------------------------------------
 */

/* Nothing that a container is made of: who does not watch is right not to look at it. */
static const struct node *keep_develop(struct load *load, const struct field *field,
                                       const struct node *node)
{
    return kept_object_or_null.keep(load, field, node);
}

/* Symbolic links are followed now, as changes are told by the path they lead to. */
static const struct node *keep_watch_path(struct load *load, const struct field *field,
                                          const struct node *node)
{
    cleanup_free char *followed = NULL;
    const char *path;

    (void)field;
    if (!want_text(load, node))
        return NULL;
    if (str_trim(str_from(node->text)).len == 0) {
        report_error(&load->report, node->span, NULL, "%s: value can't be blank",
                     report_path(&load->report));
        return NULL;
    }
    if (!(load->options->flags & PROJECT_NO_PATH_RESOLUTION) && node->text[0] == '/')
        followed = realpath(node->text, NULL);
    path = followed ? arena_strdup(load->arena, followed) : node->text;
    return node_new_text(load->arena, path, node->span);
}

const struct field_type kept_develop = {
    .keep = keep_develop, .schema = {.forms = SCHEMA_MAP | SCHEMA_NULL}, .judges = true};
const struct field_type kept_watch_path = {.keep = keep_watch_path,
                                           .schema = {.forms = SCHEMA_TEXT}};

/* ---- provider ---------------------------------------------------------------------------------
 */

/* A scalar or a list of them → list of text. */
static const struct node *keep_option_values(struct load *load, const struct field *field,
                                             const struct node *node)
{
    size_t n = node->kind == NODE_LIST ? node->n : 1;
    struct node *list = node_new(load->arena, NODE_LIST, node->span, n);

    if (node->kind == NODE_MAP || node_is_null(node)) {
        wrong_type(load, node, "a boolean, list, number or string");
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        const struct node *item = node;
        const struct node *text;

        if (node->kind == NODE_LIST) {
            item = node->entries[i].value;
            report_enter_index(&load->report, i);
        }
        text = kept_scalar.keep(load, field, item);
        if (node->kind == NODE_LIST)
            report_leave(&load->report);
        if (text)
            node_add(list, NULL, item->span, text);
    }
    return list;
}

const struct field_type kept_option_values = {
    .keep = keep_option_values,
    .schema = {.forms = SCHEMA_SCALAR | SCHEMA_LIST, .items = &option_schema}};
