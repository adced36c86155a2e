/* Nodes, edges, order of services: what the makers of plans share. */

#include "reconcile/planner.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

void edges_add(struct edges *edges, int node)
{
    if (node != NO_NODE)
        vec_push(&edges->list, (uint32_t)node);
}

static int compare_indexes(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

int planner_add(struct planner *planner, struct plan_node node, struct edges *edges)
{
    uint32_t *after = arena_new_array(planner->arena, uint32_t, edges->list.n);
    size_t n = 0;

    if (edges->list.n > 0)
        qsort(edges->list.items, edges->list.n, sizeof(*edges->list.items), compare_indexes);
    for (size_t i = 0; i < edges->list.n; i++) {
        if (n == 0 || after[n - 1] != edges->list.items[i])
            after[n++] = edges->list.items[i];
    }
    vec_release(&edges->list);

    node.after = after;
    node.n_after = n;
    vec_push(&planner->nodes, node);
    return (int)planner->nodes.n - 1;
}

const struct reason *planner_reason(struct planner *planner, struct reason reason)
{
    return arena_memdup(planner->arena, &reason, sizeof(reason));
}

void planner_add_reason(struct planner *planner, struct slot *slot, struct reason reason)
{
    struct reason *reasons = arena_new_array(planner->arena, struct reason, slot->n_reasons + 1);

    reasons[0] = reason;
    if (slot->n_reasons > 0)
        memcpy(reasons + 1, slot->reasons, slot->n_reasons * sizeof(*reasons));
    slot->reasons = reasons;
    slot->n_reasons++;
}

bool container_is_running(const struct observed_container *container)
{
    return container &&
           (container->status == CONTAINER_RUNNING || container->status == CONTAINER_RESTARTING ||
            container->status == CONTAINER_STOPPING);
}

const struct desired_dependency *slot_dependency(const struct slot *slot, const struct slot *other)
{
    for (size_t i = 0; i < slot->want->n_dependencies; i++) {
        if (text_equal(slot->want->dependencies[i].service, other->want->service))
            return &slot->want->dependencies[i];
    }
    return NULL;
}

bool planner_follows(const struct planner *planner, const struct slot *slot,
                     const struct slot *other)
{
    return !planner->options->no_deps && slot_dependency(slot, other) != NULL;
}

/* ---- order --------------------------------------------------------------------------------- */

enum visit { VISIT_NEW, VISIT_OPEN, VISIT_DONE };

struct sorter {
    struct planner *planner;
    enum visit *visits; /* per slot */
    size_t n_ordered;
    size_t *path; /* slots that are open, outermost first */
    size_t n_path;
};

static int cycle_error(struct sorter *sorter, size_t slot, struct error *err)
{
    struct planner *planner = sorter->planner;
    cleanup_buf struct buf text = BUF_INIT;
    size_t first = 0;

    while (first < sorter->n_path && sorter->path[first] != slot)
        first++;
    for (size_t i = first; i < sorter->n_path; i++)
        buf_printf(&text, "%s → ", planner->slots[sorter->path[i]].want->service);
    buf_add_text(&text, planner->slots[slot].want->service);
    planner->guilty = planner->slots[slot].want->span;
    return error_set(err, ERROR_CYCLE, "services depend on each other in a circle: %s",
                     buf_text(&text));
}

/* Depth-first with a stack of its own, so that a long chain from outside can't overflow ours: a
 * slot is pushed open, its unvisited dependencies on top of it, and ordered when it comes up again.
 */
static int visit(struct sorter *sorter, size_t root, struct error *err)
{
    struct planner *planner = sorter->planner;
    VEC(size_t) stack = VEC_INIT;
    int result = 0;

    vec_push(&stack, root);
    while (stack.n > 0 && result == 0) {
        size_t current = *vec_last(&stack);
        const struct slot *slot = &planner->slots[current];

        if (sorter->visits[current] != VISIT_NEW) {
            stack.n--;
            if (sorter->visits[current] == VISIT_OPEN) {
                sorter->visits[current] = VISIT_DONE;
                sorter->n_path--;
                planner->order[sorter->n_ordered++] = current;
            }
            continue;
        }
        sorter->visits[current] = VISIT_OPEN;
        sorter->path[sorter->n_path++] = current;
        for (size_t i = planner->want->n_containers; i-- > 0 && result == 0;) {
            if (!slot_dependency(slot, &planner->slots[i]))
                continue;
            if (sorter->visits[i] == VISIT_OPEN)
                result = cycle_error(sorter, i, err);
            else if (sorter->visits[i] == VISIT_NEW)
                vec_push(&stack, i);
        }
    }
    vec_release(&stack);
    return result;
}

int planner_sort(struct planner *planner, struct error *err)
{
    size_t n = planner->want->n_containers;
    struct sorter sorter = {
        .planner = planner,
        .visits = arena_new_array(planner->arena, enum visit, n),
        .path = arena_new_array(planner->arena, size_t, n),
    };

    planner->order = arena_new_array(planner->arena, size_t, n);
    for (size_t i = 0; i < n; i++) {
        if (sorter.visits[i] == VISIT_NEW && visit(&sorter, i, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- containers without a slot --------------------------------------------------------------- */

static bool is_desired(const struct planner *planner, const char *name)
{
    for (size_t i = 0; i < planner->want->n_containers; i++) {
        if (text_equal(planner->want->containers[i].spec.name, name))
            return true;
    }
    return false;
}

bool planner_is_orphan(const struct planner *planner, const struct observed_container *container)
{
    return !strings_contain(&planner->want->services, container->service);
}

bool planner_is_surplus(const struct planner *planner, const struct observed_container *container)
{
    if (planner_is_orphan(planner, container) || is_desired(planner, container->name))
        return false;
    for (size_t i = 0; i < planner->want->n_containers; i++) {
        if (text_equal(planner->want->containers[i].service, container->service))
            return true;
    }
    return false;
}

void planner_remove_slot(struct planner *planner, struct slot *slot, bool with_volumes,
                         struct edges *after)
{
    struct plan_node node = {
        .kind = OP_CONTAINER_REMOVE,
        .subject = slot->want->spec.name,
        .span = slot->want->span,
        .reasons = slot->reasons,
        .n_reasons = slot->n_reasons,
        .remove.with_volumes = with_volumes,
    };

    edges_add(after, slot->stop);
    slot->remove = planner_add(planner, node, after);
}

int planner_removal_of(const struct planner *planner, const char *container)
{
    for (size_t i = 0; i < planner->nodes.n; i++) {
        if (planner->nodes.items[i].kind == OP_CONTAINER_REMOVE &&
            text_equal(planner->nodes.items[i].subject, container))
            return (int)i;
    }
    return NO_NODE;
}

int planner_remove_observed(struct planner *planner, const struct observed_container *container,
                            const struct reason *reason, bool with_volumes)
{
    struct edges none = {.list = VEC_INIT}, after = {.list = VEC_INIT};
    struct plan_node stop = {
        .kind = OP_CONTAINER_STOP,
        .subject = container->name,
        .reasons = reason,
        .n_reasons = 1,
        .stop.grace_ns = planner->options->grace_ns,
    };
    struct plan_node removal = {
        .kind = OP_CONTAINER_REMOVE,
        .subject = container->name,
        .reasons = reason,
        .n_reasons = 1,
        .remove.with_volumes = with_volumes,
    };

    if (container_is_running(container))
        edges_add(&after, planner_add(planner, stop, &none));
    return planner_add(planner, removal, &after);
}

/* ---- stop and start of slots -------------------------------------------------------------------
 */

void planner_stop_slots(struct planner *planner, bool (*wants_stop)(const struct slot *))
{
    for (size_t i = planner->want->n_containers; i-- > 0;) {
        struct slot *slot = &planner->slots[planner->order[i]];
        struct edges after = {.list = VEC_INIT};
        struct plan_node node = {
            .kind = OP_CONTAINER_STOP,
            .subject = slot->want->spec.name,
            .reasons = slot->reasons,
            .n_reasons = slot->n_reasons,
            .span = slot->want->span,
            .stop.grace_ns = planner->options->grace_ns,
        };

        if (!wants_stop(slot) || !container_is_running(slot->have))
            continue;
        for (size_t j = i + 1; j < planner->want->n_containers; j++) {
            const struct slot *dependent = &planner->slots[planner->order[j]];

            if (planner_follows(planner, dependent, slot))
                edges_add(&after, dependent->stop);
        }
        slot->stop = planner_add(planner, node, &after);
    }
}

/* The node after which a dependency's condition holds, made when it's first needed; NO_NODE if it
 * holds already. */
static int condition_node(struct planner *planner, struct slot *slot,
                          const struct desired_dependency *dependency)
{
    struct edges after = {.list = VEC_INIT};
    bool wants_exit = dependency->condition == DEPENDS_COMPLETED;
    int *made = wants_exit ? &slot->exited : &slot->healthy;
    struct plan_node node = {
        .kind = wants_exit ? OP_WAIT_EXIT : OP_WAIT_HEALTHY,
        .subject = slot->want->spec.name,
        .span = dependency->span,
        .wait.is_optional = !dependency->required,
    };
    bool is_settled = slot->start == NO_NODE && slot->action != SLOT_CREATE;

    if (dependency->condition == DEPENDS_STARTED)
        return slot->start;
    if (is_settled && slot->have) {
        if (wants_exit && slot->have->status == CONTAINER_EXITED && slot->have->exit_code == 0)
            return NO_NODE;
        if (!wants_exit && slot->have->health == HEALTH_HEALTHY)
            return NO_NODE;
    }
    if (*made != NO_NODE) {
        if (dependency->required)
            planner->nodes.items[*made].wait.is_optional = false;
        return *made;
    }
    node.reasons = planner_reason(
        planner, (struct reason){
                     .kind = REASON_DEPENDENCY,
                     .text = arena_printf(planner->arena, "depends_on %s: %s", dependency->service,
                                          dependency_condition_names[dependency->condition]),
                     .span = dependency->span});
    node.n_reasons = 1;
    edges_add(&after, slot->start);
    *made = planner_add(planner, node, &after);
    return *made;
}

void planner_start_slot(struct planner *planner, struct slot *slot)
{
    struct edges after = {.list = VEC_INIT};
    struct plan_node node = {
        .kind = OP_CONTAINER_START,
        .subject = slot->want->spec.name,
        .reasons = slot->reasons,
        .n_reasons = slot->n_reasons,
        .span = slot->want->span,
    };

    for (size_t i = 0; i < planner->want->n_containers; i++) {
        struct slot *other = &planner->slots[i];

        if (planner_follows(planner, slot, other))
            edges_add(&after, condition_node(planner, other, slot_dependency(slot, other)));
    }
    planner_follow_ports(planner, slot, &after);
    edges_add(&after, slot->stop);
    edges_add(&after, slot->create);
    edges_add(&after, slot->update);
    slot->start = planner_add(planner, node, &after);
}
