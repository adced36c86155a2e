/* Finding out where a value came from.
 *
 * The path is looked up in what `config` prints, and beside it in the merged tree, which knows
 * spans. Then it is looked up in every layer (history.h), in the order in which they were merged:
 * a layer that has it contributed, and the rules of merging (compose.md 1.6) say whether what came
 * before is still there. Below an `extends` stand layers of their own. Env files come before all.
 * What no layer has is a default. */

#include "compose/file/explain.h"

#include <string.h>

#include "compose/file/encode.h"
#include "compose/file/explain_origin.h"
#include "compose/file/field.h"
#include "compose/file/history.h"
#include "compose/file/node.h"
#include "compose/file/shapes.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/vec.h"

/* STEPS_MAX: of a path; trees are not deeper. EXTENDS_MAX: as in extends.c. */
enum { STEPS_MAX = 128, EXTENDS_MAX = 100 };

/* One element of the path. */
struct path_step {
    const char *key; /* NULL: an item */
    size_t index;
    const char *text_key;      /* an item printed as KEY=VALUE of what is a mapping; else NULL */
    const struct node *merged; /* in the merged tree; NULL: not there */
    const struct field *field; /* NULL: none */
};

struct explainer {
    struct arena *arena;
    const struct project *project;
    const struct history *history;
    struct path_step steps[STEPS_MAX];
    size_t n;
    VEC(struct explain_step) found;
    VEC(enum node_kind) kinds; /* of what each found step says */
};

/* ---- the path ---------------------------------------------------------------------------------
 */

/* The merged node of an item that is printed: lists are printed item by item, but ports expand
 * ranges, and some mappings are printed as lists. */
static const struct node *merged_item(const struct explainer *explainer, const struct node *merged,
                                      const struct node *printed, struct path_step *step)
{
    const struct service *service = NULL;
    const struct node *item = printed->entries[step->index].value;

    if (merged->kind == NODE_MAP && node_is_text(item)) {
        step->text_key = arena_strndup(explainer->arena, item->text, strcspn(item->text, "="));
        return node_get(merged, step->text_key);
    }
    if (merged->kind != NODE_LIST)
        return NULL;
    if (merged->n == printed->n)
        return merged->entries[step->index].value;
    if (explainer->n == 3 && strcmp(explainer->steps[2].key, "ports") == 0)
        service = project_find_service(explainer->project, explainer->steps[1].key);
    for (size_t i = 0; service && step->index < service->n_ports && i < merged->n; i++) {
        if (span_equal(merged->entries[i].value->span, service->ports[step->index].span))
            return merged->entries[i].value;
    }
    return NULL;
}

/* Follow the path in `tree`: 0, or 1 where it ends too early: *ret_node is the last node on the
 * way, *ret_rest what is left. */
static int follow_path(struct explainer *explainer, const struct node *tree, const char *path,
                       const struct node **ret_node, const char **ret_rest)
{
    const struct node *merged = explainer->project->root;
    const struct field *field = &file_field;

    explainer->n = 0;
    while (*path) {
        size_t len;
        const struct node_entry *entry = node_step(tree, path, &len);
        struct path_step step = {0};

        if (!entry || explainer->n == STEPS_MAX)
            break;
        step.key = entry->key;
        step.index = (size_t)(entry - tree->entries);
        if (!merged)
            step.merged = NULL;
        else if (tree->kind == NODE_LIST)
            step.merged = merged_item(explainer, merged, tree, &step);
        else
            step.merged = node_get(merged, step.key);
        field = field_below(field, step.key);
        step.field = field;
        merged = step.merged;
        tree = entry->value;
        explainer->steps[explainer->n++] = step;
        path += len;
        path += path[0] == '.' && path[1] ? 1 : 0;
    }
    *ret_node = tree;
    *ret_rest = path;
    return *path ? 1 : 0;
}

/* ---- one layer --------------------------------------------------------------------------------
 */

struct hit {
    const struct node *node; /* NULL: it is not there */
    struct span span;
    enum node_tag tag; /* there or above: what came before is gone */
    bool is_replaced;  /* the same by a rule of merging */
    bool keeps_null;   /* a null says that there is nothing */
};

/* The item of a layer's list that became the one of the merged list. */
static const struct node_entry *find_item(struct arena *arena, const struct node *list,
                                          const struct path_step *step, const struct field *field)
{
    const struct node *merged = step->merged;
    const char *key = merged && field && field->unique ? field->unique(arena, merged) : NULL;

    for (size_t i = 0; merged && i < list->n; i++) {
        if (list->entries[i].value == merged)
            return &list->entries[i];
    }
    if (merged && step->index < list->n &&
        span_equal(list->entries[step->index].value->span, merged->span))
        return &list->entries[step->index];
    for (size_t i = 0; merged && i < list->n; i++) {
        const struct node *item = list->entries[i].value;
        const char *other = key ? field->unique(arena, item) : NULL;

        if (span_equal(item->span, merged->span) || (other && strcmp(key, other) == 0))
            return &list->entries[i];
    }
    return NULL;
}

static const struct node_entry *layer_entry(struct arena *arena, const struct node *node,
                                            const struct path_step *step,
                                            const struct field *parent)
{
    if (node->kind == NODE_LIST && !step->key)
        return find_item(arena, node, step, parent);
    if (node->kind == NODE_MAP)
        return node_find(node, step->key ? step->key : (step->text_key ? step->text_key : ""));
    return NULL;
}

/* Look the steps from `first` on up below `node`. The tag of `untagged` (may be NULL) is not
 * looked at. */
static struct hit look_up(const struct explainer *explainer, const struct node *node, size_t first,
                          struct span span, const struct node *untagged)
{
    struct hit hit = {.span = span};

    for (size_t i = first;; i++) {
        const struct field *parent = i > 0 ? explainer->steps[i - 1].field : NULL;
        const struct node_entry *entry;

        if (node->tag != NODE_UNTAGGED && node != untagged)
            hit.tag = node->tag;
        hit.is_replaced |= parent && parent->merge == MERGE_REPLACE;
        if (i == explainer->n || hit.tag == NODE_RESET) {
            hit.node = node;
            return hit;
        }
        entry = layer_entry(explainer->arena, node, &explainer->steps[i], parent);
        if (!entry && node->kind == NODE_SCALAR && !node_is_null(node) && i > first) {
            hit.node = node; /* a command line: its words are below it only where it is printed */
            hit.is_replaced = true;
        }
        if (!entry)
            return hit;
        hit.is_replaced |= node->kind == NODE_LIST || (parent && parent->merge == MERGE_PAIRS);
        hit.keeps_null = parent && parent->merge == MERGE_PAIRS;
        node = entry->value;
        hit.span = node->kind == NODE_SCALAR && !node_is_null(node) ? node->span : entry->span;
        if (node->kind != NODE_SCALAR && node->span.line == entry->span.line && !entry->key)
            hit.span = node->span;
    }
}

/* ---- steps of the explanation -----------------------------------------------------------------
 */

/* Nothing is left of the steps from `first` on; false: nothing was, before. */
static bool override_from(struct explainer *explainer, size_t first)
{
    bool was_any = false;

    for (size_t i = first; i < explainer->found.n; i++) {
        struct explain_step *step = &explainer->found.items[i];

        was_any |= !step->is_overridden && step->effect != EXPLAIN_REMOVES;
        step->is_overridden = true;
    }
    return was_any;
}

/* The last step that still counts; NULL: none. */
static const enum node_kind *last_kind(const struct explainer *explainer)
{
    for (size_t i = explainer->found.n; i > 0; i--) {
        const struct explain_step *step = &explainer->found.items[i - 1];

        if (!step->is_overridden && step->effect != EXPLAIN_REMOVES)
            return &explainer->kinds.items[i - 1];
    }
    return NULL;
}

static void add_step(struct explainer *explainer, struct explain_step step, enum node_kind kind)
{
    vec_push(&explainer->found, step);
    vec_push(&explainer->kinds, kind);
}

/* The variables behind it. */
static void explain_node(struct explainer *explainer, const struct hit *hit,
                         struct explain_step *step)
{
    const struct path_step *last = &explainer->steps[explainer->n - 1];
    const struct node *given = last->merged; /* by an include's environment: there it has a text */
    const char *value = NULL;

    if (given && node_is_text(given) && span_equal(given->span, hit->node->span))
        value = given->text;
    if (node_is_null(hit->node) && hit->keeps_null && explainer->n > 2 &&
        (strcmp(explainer->steps[explainer->n - 2].key, "environment") == 0 ||
         strcmp(explainer->steps[explainer->n - 2].key, "args") == 0))
        explain_inherited(explainer->arena, explainer->project, last->key, value, step);
    else
        explain_templates(explainer->arena, explainer->history, hit->node, step);
}

/* A tag acts on the steps from `tagged_from` on. */
static void add_hit(struct explainer *explainer, const struct hit *hit, struct explain_step step,
                    size_t tagged_from)
{
    const enum node_kind *earlier = last_kind(explainer);
    const struct node *node = hit->node;
    bool was_any = hit->tag != NODE_UNTAGGED && override_from(explainer, tagged_from);
    bool is_gone = hit->tag == NODE_RESET || !node;
    bool is_null = node && node_is_null(node) && !hit->keeps_null && !hit->is_replaced && !was_any;

    step.span = hit->span;
    if (is_gone && !was_any && hit->is_replaced)
        was_any = override_from(explainer, 0);
    if (is_gone) {
        step.effect = EXPLAIN_REMOVES;
        if (was_any && !last_kind(explainer))
            add_step(explainer, step, NODE_SCALAR);
        return;
    }
    if (earlier && is_null) {
        step.effect = EXPLAIN_KEEPS;
    } else if (earlier && !was_any && !hit->is_replaced && node->kind != NODE_SCALAR &&
               *earlier == node->kind) {
        step.effect = EXPLAIN_ADDS;
    } else {
        bool keeps_others = was_any && last_kind(explainer) && node->kind != NODE_SCALAR;

        step.effect = was_any || earlier ? EXPLAIN_REPLACES : EXPLAIN_SETS;
        if (!keeps_others)
            (void)override_from(explainer, 0);
    }
    explain_node(explainer, hit, &step);
    add_step(explainer, step, is_null && earlier ? *earlier : node->kind);
}

static const struct history_extends *find_extends(const struct history *history, struct span at)
{
    for (const struct history_extends *known = history->extensions; known; known = known->next) {
        if (span_equal(known->at, at))
            return known;
    }
    return NULL;
}

/* What the service extends, the last base of the chain first. A base's tags act on the bases before
 * it, and no further. */
static void add_bases(struct explainer *explainer, const struct node *service)
{
    const struct history_extends *chain[EXTENDS_MAX];
    size_t n = 0;

    while (n < EXTENDS_MAX) {
        const struct node *extends = node_get(service, "extends");
        const struct history_extends *known =
            extends ? find_extends(explainer->history, extends->span) : NULL;

        if (!known)
            break;
        chain[n++] = known;
        service = known->service;
    }
    for (size_t first = explainer->found.n; n > 0; n--) {
        const struct history_extends *base = chain[n - 1];
        struct hit hit = look_up(explainer, base->service, 2, base->service_span, base->service);

        add_hit(explainer, &hit,
                (struct explain_step){.source = EXPLAIN_EXTENDS, .cause = base->at}, first);
    }
}

static void add_layer(struct explainer *explainer, const struct history_layer *layer)
{
    const struct node *services = node_get(layer->tree, "services");
    struct explain_step step = {
        .source = layer->included_at.line > 0 ? EXPLAIN_INCLUDE : EXPLAIN_FILE,
        .cause = layer->included_at,
    };
    const struct node_entry *service = NULL;
    bool was_any = false;
    struct hit hit;

    if (explainer->n >= 2 && strcmp(explainer->steps[0].key, "services") == 0)
        service = node_find(services, explainer->steps[1].key);
    if (service && node_get(service->value, "extends")) {
        /* a tag of the service or around it is for what stands before it and its bases */
        bool is_tagged = layer->tree->tag != NODE_UNTAGGED || services->tag != NODE_UNTAGGED ||
                         service->value->tag != NODE_UNTAGGED;

        was_any = is_tagged && override_from(explainer, 0);
        add_bases(explainer, service->value);
        hit = look_up(explainer, service->value, 2, service->span, service->value);
    } else {
        hit = look_up(explainer, layer->tree, 0, layer->tree->span, NULL);
    }
    add_hit(explainer, &hit, step, 0);
    if (was_any && !last_kind(explainer)) {
        step.effect = EXPLAIN_REMOVES;
        step.span = service->span;
        add_step(explainer, step, NODE_SCALAR);
    }
}

/* Lines of env files and label files; of a whole section the first line of each file. */
static void add_definitions(struct explainer *explainer)
{
    const struct history_definition *last = NULL;
    const struct path_step *steps = explainer->steps;
    size_t n = explainer->n;

    if (n < 3 || n > 4 || strcmp(steps[0].key, "services") != 0)
        return;
    for (const struct history_definition *known = explainer->history->definitions; known;
         known = known->next) {
        bool is_label = known->section && strcmp(known->section, "labels") == 0;
        struct explain_step step = {.source = is_label ? EXPLAIN_LABEL_FILE : EXPLAIN_ENV_FILE,
                                    .span = known->span};

        if (!known->service || strcmp(known->service, steps[1].key) != 0 ||
            strcmp(known->section, steps[2].key) != 0 ||
            (n == 4 ? strcmp(known->name, steps[3].key) != 0
                    : last && last->span.file == known->span.file))
            continue;
        if (n == 4 && last)
            (void)override_from(explainer, 0);
        step.effect = !last ? EXPLAIN_SETS : (n == 4 ? EXPLAIN_REPLACES : EXPLAIN_ADDS);
        if (n == 4)
            explain_line(explainer->arena, explainer->project, known, &step);
        add_step(explainer, step, n == 4 ? NODE_SCALAR : NODE_MAP);
        last = known;
    }
}

/* A scalar is the one whose span the merged tree has, whatever rule decided it. */
static void settle(struct explainer *explainer, const struct node *merged)
{
    size_t winner = explainer->found.n;

    for (size_t i = 0; i < explainer->found.n; i++) {
        if (span_equal(explainer->found.items[i].span, merged->span))
            winner = i;
    }
    if (winner == explainer->found.n || merged->kind != NODE_SCALAR || node_is_null(merged))
        return;
    for (size_t i = 0; i < explainer->found.n; i++) {
        struct explain_step *step = &explainer->found.items[i];

        if (i > winner && !step->is_overridden && step->effect == EXPLAIN_REPLACES)
            step->effect = EXPLAIN_REPEATS;
        step->is_overridden = i < winner || (i > winner && step->is_overridden);
    }
    explainer->found.items[winner].is_overridden = false;
}

/* ---- what is not there ------------------------------------------------------------------------
 */

/* The nearer one of `candidate` and `nearest` (may be NULL), which is `*limit` away. */
static const char *nearer(const char *name, const char *candidate, const char *nearest,
                          size_t *limit)
{
    size_t distance = strlen(name) < 64 ? text_distance(name, candidate, *limit) : *limit;

    if (distance >= *limit || distance >= strlen(name))
        return nearest;
    *limit = distance;
    return candidate;
}

static const char *did_you_mean(struct arena *arena, const struct node *map,
                                const struct field *field, const char *name)
{
    size_t limit = strlen(name) <= 3 ? 2 : 4;
    const char *nearest = NULL;
    const struct shape *shape = field && field->shape && !field->shape->each ? field->shape : NULL;

    if (shape && shape_find(shape, name))
        return ": it is not set";
    for (size_t i = 0; map->kind == NODE_MAP && i < map->n; i++)
        nearest = nearer(name, map->entries[i].key, nearest, &limit);
    for (size_t i = 0; shape && i < shape->n_fields; i++)
        nearest = nearer(name, shape->fields[i].name.data, nearest, &limit);
    return nearest ? arena_printf(arena, ": did you mean \"%s\"?", nearest) : "";
}

static int fail_unknown(struct explainer *explainer, const char *path, struct error *err)
{
    const struct node *printed = project_encode(explainer->arena, explainer->project, false);
    const struct node *node;
    const char *rest;
    const char *name;
    const char *where;
    size_t len;

    (void)follow_path(explainer, printed, path, &node, &rest);
    len = (size_t)(rest - path);
    while (len > 0 && path[len - 1] == '.')
        len--;
    where = len > 0 ? arena_strndup(explainer->arena, path, len) : "the project";
    name = arena_strndup(explainer->arena, rest,
                         strcspn(rest + (*rest == '['), ".[") + (*rest == '['));
    if (node->kind == NODE_SCALAR)
        return error_set(err, ERROR_NOT_FOUND, "%s is %s: there is nothing below it", where,
                         node_what(node));
    if (node->kind == NODE_LIST)
        return error_set(err, ERROR_NOT_FOUND, "%s has %zu item%s, and no %s", where, node->n,
                         node->n == 1 ? "" : "s", name);
    for (size_t i = 0; explainer->n == 1 && i < explainer->project->n_disabled_services; i++) {
        if (strcmp(explainer->project->disabled_services[i].name, name) == 0)
            return error_set(err, ERROR_NOT_FOUND,
                             "service \"%s\" is not enabled: no active profile has it", name);
    }
    return error_set(
        err, ERROR_NOT_FOUND, "%s has no \"%s\"%s", where, name,
        did_you_mean(explainer->arena, node,
                     explainer->n > 0 ? explainer->steps[explainer->n - 1].field : &file_field,
                     name));
}

/* A document whose only service is the base of an `extends`, in the place of the one that extends
 * it. */
static const struct node *as_document(struct arena *arena, const char *service,
                                      const struct node *base)
{
    struct node *services = node_new(arena, NODE_MAP, base->span, 1);
    struct node *document = node_new(arena, NODE_MAP, base->span, 1);

    node_add(services, service, base->span, base);
    node_add(document, "services", base->span, services);
    return document;
}

/* Some layer has it, and the merged tree doesn't. */
static bool was_there(struct explainer *explainer, const char *path)
{
    const struct project *project = explainer->project;
    const struct node *node;
    const char *rest;

    for (const struct history_layer *layer = explainer->history->layers; layer;
         layer = layer->next) {
        if (follow_path(explainer, layer->tree, path, &node, &rest) == 0 && explainer->n > 1)
            return !explainer->steps[explainer->n - 1].merged;
    }
    (void)follow_path(explainer, project->root, path, &node, &rest);
    if (explainer->n < 2 || strcmp(explainer->steps[0].key, "services") != 0)
        return false;
    for (const struct history_extends *known = explainer->history->extensions; known;
         known = known->next) {
        const char *service = explainer->steps[1].key;

        if (follow_path(explainer, as_document(explainer->arena, service, known->service), path,
                        &node, &rest) == 0)
            return !explainer->steps[explainer->n - 1].merged;
    }
    return false;
}

/* In what is printed; in the merged tree (env_file is there, but not printed); or in what a layer
 * said and a later one removed. */
static int find_value(struct explainer *explainer, const char *path, const struct node **ret,
                      struct error *err)
{
    const struct node *printed = project_encode(explainer->arena, explainer->project, false);
    const struct node *node;
    const char *rest;

    if (!*path)
        return error_set(err, ERROR_USAGE, "an empty path explains nothing");
    if (follow_path(explainer, printed, path, ret, &rest) == 0)
        return 0;
    if (follow_path(explainer, explainer->project->root, path, &node, &rest) == 0 &&
        (explainer->n < 2 || strcmp(explainer->steps[0].key, "services") != 0 ||
         project_find_service(explainer->project, explainer->steps[1].key))) {
        *ret = node;
        return 0;
    }
    if (was_there(explainer, path)) {
        *ret = NULL;
        return 0;
    }
    return fail_unknown(explainer, path, err);
}

static struct strings path_keys(const struct explainer *explainer)
{
    struct strings keys = {.items = arena_new_array(explainer->arena, const char *, explainer->n)};

    for (; keys.n < explainer->n; keys.n++)
        keys.items[keys.n] = explainer->steps[keys.n].key ? explainer->steps[keys.n].key : "[]";
    return keys;
}

int project_explain(struct arena *arena, const struct project *project, const char *path,
                    struct explanation *ret, struct error *err)
{
    struct explainer explainer = {.arena = arena, .project = project, .history = project->history};
    struct explanation explanation = {.path = path};
    const struct node *merged;
    struct explain_step origin;
    struct strings keys;
    bool is_written;

    if (find_value(&explainer, path, &explanation.value, err) < 0)
        return -1;
    keys = path_keys(&explainer);
    add_definitions(&explainer);
    for (const struct history_layer *layer = project->history->layers; layer; layer = layer->next)
        add_layer(&explainer, layer);
    if (!explanation.value && explainer.found.n == 0)
        return fail_unknown(&explainer, path, err);
    merged = explainer.steps[explainer.n - 1].merged;
    if (merged)
        settle(&explainer, merged);
    /* what is there after all, though the files removed what they said, is a default */
    is_written = !explanation.value || last_kind(&explainer);
    if (explain_decision(arena, project, &keys, is_written, &origin)) {
        (void)override_from(&explainer, 0);
        add_step(&explainer, origin, NODE_SCALAR);
    }
    explanation.steps = vec_to_arena(&explainer.found, arena);
    explanation.n_steps = explainer.found.n;
    vec_release(&explainer.found);
    vec_release(&explainer.kinds);
    *ret = explanation;
    return 0;
}
