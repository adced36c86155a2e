/* The merged tree → services, networks, volumes, each sorted by name. */

#include <stdlib.h>
#include <string.h>

#include "compose/file/field.h"
#include "compose/file/load.h"
#include "compose/file/node.h"
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

/* ---- networks ---------------------------------------------------------------------------------
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

static void networks_decode(struct load *load, const struct field *field, const struct node *node,
                            void *object)
{
    const struct shape *shape = field->shape->each->shape;
    struct model *model = object;
    const struct node_entry **entries;

    if (!want_kind(load, node, WANT_MAP))
        return;
    entries = sorted_entries(load, node, &model->n_networks);
    model->networks = arena_new_array(load->arena, struct network, model->n_networks + 1);
    for (size_t i = 0; i < model->n_networks; i++) {
        struct network *network = &model->networks[i];

        shape_init(shape, network);
        network->key = entries[i]->key;
        network->span = entries[i]->span;
        network->source = entries[i]->value;
        report_enter_key(&load->report, entries[i]->key);
        if (!node_is_null(entries[i]->value) && want_kind(load, entries[i]->value, WANT_MAP))
            shape_decode(load, shape, entries[i]->value, network);
        if (network->external)
            check_external(load, entries[i]->value);
        report_leave(&load->report);
    }
}

const struct field_type type_networks = {
    .decode = networks_decode, .schema = {.forms = SCHEMA_MAP, .names_pattern = NAMES_PATTERN}};

/* ---- volumes ----------------------------------------------------------------------------------
 */

static void volumes_decode(struct load *load, const struct field *field, const struct node *node,
                           void *object)
{
    const struct shape *shape = field->shape->each->shape;
    struct model *model = object;
    const struct node_entry **entries;

    if (!want_kind(load, node, WANT_MAP))
        return;
    entries = sorted_entries(load, node, &model->n_volumes);
    model->volumes = arena_new_array(load->arena, struct volume, model->n_volumes + 1);
    for (size_t i = 0; i < model->n_volumes; i++) {
        struct volume *volume = &model->volumes[i];

        shape_init(shape, volume);
        volume->key = entries[i]->key;
        volume->span = entries[i]->span;
        volume->source = entries[i]->value;
        report_enter_key(&load->report, entries[i]->key);
        if (!node_is_null(entries[i]->value) && want_kind(load, entries[i]->value, WANT_MAP))
            shape_decode(load, shape, entries[i]->value, volume);
        if (volume->external)
            check_external(load, entries[i]->value);
        report_leave(&load->report);
    }
}

const struct field_type type_volumes = {
    .decode = volumes_decode, .schema = {.forms = SCHEMA_MAP, .names_pattern = NAMES_PATTERN}};

void model_decode(struct load *load, const struct node *root, struct model *ret)
{
    *ret = (struct model){0};
    shape_decode(load, &file_shape, root, ret);
}
