/* Plans for people, for golden tests, and as JSON. */

#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/json.h"
#include "engine/base/path.h"
#include "reconcile/plan.h"

enum { NAME_WIDTH = 24 };

static const char *file_name(const struct strings *files, struct span span)
{
    return files && span.file < files->n ? path_base(files->items[span.file]) : "?";
}

static void print_span(struct buf *out, const struct strings *files, struct span span)
{
    if (span.line > 0)
        buf_printf(out, "%s:%u", file_name(files, span), span.line);
}

/* ---- for people --------------------------------------------------------------------------------
 */

/* How an object as a whole changes: what its nodes add up to. */
enum change {
    CHANGE_NONE,
    CHANGE_CREATE,
    CHANGE_REMOVE,
    CHANGE_REPLACE,
    CHANGE_UPDATE,
    CHANGE_START,
    CHANGE_STOP,
    CHANGE_RESTART,
    CHANGE_PULL,
    CHANGE_BUILD,
    CHANGES
};

static const struct {
    const char *sign, *word, *colour;
} changes[CHANGES] = {
    [CHANGE_NONE] = {" ", "", ""},
    [CHANGE_CREATE] = {"+", "create", "\033[32m"},
    [CHANGE_REMOVE] = {"-", "remove", "\033[31m"},
    [CHANGE_REPLACE] = {"±", "replace", "\033[33m"},
    [CHANGE_UPDATE] = {"~", "update", "\033[36m"},
    [CHANGE_START] = {"▸", "start", "\033[32m"},
    [CHANGE_STOP] = {"▪", "stop", "\033[31m"},
    [CHANGE_RESTART] = {"↻", "restart", "\033[33m"},
    [CHANGE_PULL] = {"↓", "pull", "\033[36m"},
    [CHANGE_BUILD] = {"*", "build", "\033[36m"},
};

static bool is_wait(enum op_kind kind)
{
    return kind == OP_WAIT_HEALTHY || kind == OP_WAIT_EXIT;
}

static const char *object_kind(enum op_kind kind)
{
    switch (kind) {
    case OP_IMAGE_PULL:
    case OP_IMAGE_BUILD:
        return "image";
    case OP_NETWORK_REMOVE:
    case OP_NETWORK_CREATE:
        return "network";
    case OP_VOLUME_CREATE:
    case OP_VOLUME_REMOVE:
        return "volume";
    case OP_CONTAINER_STOP:
    case OP_CONTAINER_REMOVE:
    case OP_CONTAINER_CREATE:
    case OP_CONTAINER_UPDATE:
    case OP_CONTAINER_START:
    case OP_WAIT_HEALTHY:
    case OP_WAIT_EXIT:
    case OP_KINDS:
        return "container";
    }
    return "container";
}

static bool same_object(const struct plan_node *a, const struct plan_node *b)
{
    return text_equal(a->subject, b->subject) &&
           text_equal(object_kind(a->kind), object_kind(b->kind));
}

static enum change change_of(const struct plan *plan, const struct plan_node *object)
{
    bool has[OP_KINDS] = {false};

    for (size_t i = 0; i < plan->n_nodes; i++) {
        if (same_object(&plan->nodes[i], object))
            has[plan->nodes[i].kind] = true;
    }
    if (has[OP_IMAGE_PULL] || has[OP_IMAGE_BUILD])
        return has[OP_IMAGE_PULL] ? CHANGE_PULL : CHANGE_BUILD;
    if (has[OP_NETWORK_REMOVE] || has[OP_VOLUME_REMOVE] || has[OP_CONTAINER_REMOVE])
        return has[OP_NETWORK_CREATE] || has[OP_CONTAINER_CREATE] ? CHANGE_REPLACE : CHANGE_REMOVE;
    if (has[OP_NETWORK_CREATE] || has[OP_VOLUME_CREATE] || has[OP_CONTAINER_CREATE])
        return CHANGE_CREATE;
    if (has[OP_CONTAINER_STOP])
        return has[OP_CONTAINER_START] ? CHANGE_RESTART : CHANGE_STOP;
    if (has[OP_CONTAINER_UPDATE])
        return CHANGE_UPDATE;
    return has[OP_CONTAINER_START] ? CHANGE_START : CHANGE_NONE;
}

static void print_reason(struct buf *out, const struct reason *reason)
{
    if (reason->kind == REASON_CHANGED)
        buf_printf(out, "%s %s -> %s", reason->field,
                   reason->old_text ? reason->old_text : "(unset)",
                   reason->new_text ? reason->new_text : "(unset)");
    else
        buf_printf(out, "%s", reason->text);
}

static void print_object(struct buf *out, const struct plan_node *node, enum change change,
                         const struct strings *files, bool colour)
{
    buf_printf(out, "  %s%s%s %-9s %-8s %-*s", colour ? changes[change].colour : "",
               changes[change].sign, colour ? "\033[0m" : "", object_kind(node->kind),
               changes[change].word, NAME_WIDTH, node->subject);
    for (size_t i = 0; i < node->n_reasons; i++) {
        struct span span = node->reasons[i].span.line ? node->reasons[i].span : node->span;

        if (i > 0)
            buf_printf(out, "\n%*s", NAME_WIDTH + 23, "");
        buf_add_char(out, ' ');
        print_reason(out, &node->reasons[i]);
        if (span.line > 0) {
            buf_add_text(out, "  ");
            print_span(out, files, span);
        }
    }
    buf_add_char(out, '\n');
}

/* Is this node the first that speaks of its object? Waiting is no change. */
static bool is_first(const struct plan *plan, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (!is_wait(plan->nodes[i].kind) && same_object(&plan->nodes[i], &plan->nodes[index]))
            return false;
    }
    return !is_wait(plan->nodes[index].kind);
}

static void print_summary(struct buf *out, const struct plan *plan, const size_t *counts)
{
    const char *separator = "";

    buf_add_text(out, "plan: ");
    for (size_t i = CHANGE_CREATE; i < CHANGES; i++) {
        if (counts[i] == 0)
            continue;
        buf_printf(out, "%s%zu %s", separator, counts[i], changes[i].word);
        separator = ", ";
    }
    if (plan->n_nodes == 0)
        buf_add_text(out, "nothing to do");
    if (plan->n_unchanged > 0)
        buf_printf(out, ", %zu unchanged", plan->n_unchanged);
    buf_add_char(out, '\n');
}

void plan_print(struct buf *out, const struct plan *plan, const struct strings *files, bool colour)
{
    size_t counts[CHANGES] = {0};

    buf_printf(out, "project %s\n", plan->project);
    for (size_t i = 0; i < plan->n_nodes; i++) {
        enum change change;

        if (!is_first(plan, i))
            continue;
        change = change_of(plan, &plan->nodes[i]);
        counts[change]++;
        print_object(out, &plan->nodes[i], change, files, colour);
    }
    for (size_t i = 0; i < plan->n_confirmations; i++)
        buf_printf(out, "  ! deletes %s\n", plan->confirmations[i].text);
    for (size_t i = 0; i < plan->n_notes; i++)
        buf_printf(out, "  note: %s\n", plan->notes[i].text);
    print_summary(out, plan, counts);
}

/* ---- nodes --------------------------------------------------------------------------------------
 */

void plan_print_nodes(struct buf *out, const struct plan *plan, const struct strings *files)
{
    for (size_t i = 0; i < plan->n_nodes; i++) {
        const struct plan_node *node = &plan->nodes[i];

        buf_printf(out, "%zu %s %s", i, op_kind_names[node->kind], node->subject);
        for (size_t j = 0; j < node->n_reasons; j++) {
            buf_add_text(out, j == 0 ? " (" : "; ");
            print_reason(out, &node->reasons[j]);
            if (node->reasons[j].span.line > 0) {
                buf_add_text(out, " at ");
                print_span(out, files, node->reasons[j].span);
            }
        }
        if (node->n_reasons > 0)
            buf_add_char(out, ')');
        for (size_t j = 0; j < node->n_after; j++)
            buf_printf(out, "%s%u", j == 0 ? " after " : ",", node->after[j]);
        buf_add_char(out, '\n');
    }
    for (size_t i = 0; i < plan->n_confirmations; i++)
        buf_printf(out, "confirm %s\n", plan->confirmations[i].text);
    for (size_t i = 0; i < plan->n_notes; i++)
        buf_printf(out, "note %s\n", plan->notes[i].text);
}

/* ---- JSON ---------------------------------------------------------------------------------------
 */

static void set_where(json_t *object, const struct strings *files, struct span span)
{
    json_t *where;

    if (span.line == 0)
        return;
    where = json_object();
    json_set_text(where, "file", file_name(files, span));
    json_set_i64(where, "line", span.line);
    json_set_i64(where, "column", span.column);
    json_set_take(object, "where", where);
}

static json_t *reasons_to_json(const struct plan_node *node, const struct strings *files)
{
    json_t *list = json_array();

    for (size_t i = 0; i < node->n_reasons; i++) {
        const struct reason *reason = &node->reasons[i];
        json_t *item = json_object();

        json_set_text(item, "kind", reason_kind_names[reason->kind]);
        json_set_text(item, "field", reason->field);
        json_set_text(item, "old", reason->old_text);
        json_set_text(item, "new", reason->new_text);
        json_set_text(item, "text", reason->text);
        set_where(item, files, reason->span);
        json_array_append_new(list, item);
    }
    return list;
}

static json_t *nodes_to_json(const struct plan *plan, const struct strings *files)
{
    json_t *list = json_array();

    for (size_t i = 0; i < plan->n_nodes; i++) {
        const struct plan_node *node = &plan->nodes[i];
        json_t *item = json_object(), *after = json_array();

        json_set_i64(item, "id", (int64_t)i);
        json_set_text(item, "op", op_kind_names[node->kind]);
        json_set_text(item, "object", object_kind(node->kind));
        json_set_text(item, "subject", node->subject);
        json_set_take(item, "reasons", reasons_to_json(node, files));
        set_where(item, files, node->span);
        for (size_t j = 0; j < node->n_after; j++)
            json_array_append_new(after, json_integer(node->after[j]));
        json_set_take(item, "after", after);
        json_array_append_new(list, item);
    }
    return list;
}

json_t *plan_to_json(const struct plan *plan, const struct strings *files)
{
    json_t *root = json_object(), *confirmations = json_array(), *notes = json_array();

    json_set_i64(root, "format", 1);
    json_set_text(root, "project", plan->project);
    json_set_take(root, "nodes", nodes_to_json(plan, files));
    for (size_t i = 0; i < plan->n_confirmations; i++)
        json_array_append_new(confirmations, json_string(plan->confirmations[i].text));
    json_set_take(root, "confirmations", confirmations);
    for (size_t i = 0; i < plan->n_notes; i++)
        json_array_append_new(notes, json_string(plan->notes[i].text));
    json_set_take(root, "notes", notes);
    json_set_i64(root, "unchanged", (int64_t)plan->n_unchanged);
    return root;
}
