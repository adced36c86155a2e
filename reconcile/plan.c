/* plan_make: sets up the planner and hands over to the maker of the goal. */

#include "reconcile/plan.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "reconcile/planner.h"

const char *const op_kind_names[OP_KINDS] = {
    [OP_IMAGE_PULL] = "pull",
    [OP_IMAGE_BUILD] = "build",
    [OP_NETWORK_REMOVE] = "remove-network",
    [OP_NETWORK_CREATE] = "create-network",
    [OP_VOLUME_CREATE] = "create-volume",
    [OP_VOLUME_REMOVE] = "remove-volume",
    [OP_CONTAINER_STOP] = "stop",
    [OP_CONTAINER_REMOVE] = "remove",
    [OP_CONTAINER_CREATE] = "create",
    [OP_CONTAINER_UPDATE] = "update",
    [OP_CONTAINER_START] = "start",
    [OP_WAIT_HEALTHY] = "wait-healthy",
    [OP_WAIT_EXIT] = "wait-exit",
};

const char *const reason_kind_names[REASON_KINDS] = {
    [REASON_ABSENT] = "absent",         [REASON_CHANGED] = "changed",
    [REASON_DRIFT] = "drift",           [REASON_ORPHAN] = "orphan",
    [REASON_DEPENDENCY] = "dependency", [REASON_REQUESTED] = "requested",
};

static int *new_node_indexes(struct arena *arena, size_t n)
{
    int *indexes = arena_new_array(arena, int, n);

    for (size_t i = 0; i < n; i++)
        indexes[i] = NO_NODE;
    return indexes;
}

static bool is_awaited_job(const struct desired *want, const char *service)
{
    for (size_t i = 0; i < want->n_containers; i++) {
        for (size_t j = 0; j < want->containers[i].n_dependencies; j++) {
            const struct desired_dependency *dependency = &want->containers[i].dependencies[j];

            if (dependency->condition == DEPENDS_COMPLETED &&
                text_equal(dependency->service, service))
                return true;
        }
    }
    return false;
}

static void planner_init(struct planner *planner)
{
    const struct desired *want = planner->want;

    planner->image_nodes = new_node_indexes(planner->arena, want->n_images);
    planner->network_nodes = new_node_indexes(planner->arena, want->n_networks);
    planner->volume_nodes = new_node_indexes(planner->arena, want->n_volumes);
    planner->network_replaced = arena_new_array(planner->arena, bool, want->n_networks);
    planner->slots = arena_new_array(planner->arena, struct slot, want->n_containers);
    for (size_t i = 0; i < want->n_containers; i++) {
        const struct desired_container *container = &want->containers[i];

        planner->slots[i] = (struct slot){
            .want = container,
            .have = observed_find_container(planner->have, container->spec.name),
            .is_job = is_awaited_job(want, container->service),
            .stop = NO_NODE,
            .remove = NO_NODE,
            .create = NO_NODE,
            .update = NO_NODE,
            .start = NO_NODE,
            .healthy = NO_NODE,
            .exited = NO_NODE,
        };
    }
}

static int make(struct planner *planner, struct error *err)
{
    switch (planner->options->goal) {
    case PLAN_UP:
    case PLAN_CREATE:
        return plan_up(planner, err);
    case PLAN_IMAGES:
        return plan_images(planner, err);
    case PLAN_DOWN:
        return plan_down(planner, err);
    case PLAN_STOP:
    case PLAN_START:
    case PLAN_RESTART:
        return plan_stop_start(planner, err);
    }
    BUG();
}

static const struct plan *planner_finish(struct planner *planner)
{
    struct plan *plan = arena_new(planner->arena, struct plan);

    plan->project = planner->want->project;
    plan->n_nodes = planner->nodes.n;
    plan->nodes = vec_to_arena(&planner->nodes, planner->arena);
    plan->n_confirmations = planner->confirmations.n;
    plan->confirmations = vec_to_arena(&planner->confirmations, planner->arena);
    plan->n_notes = planner->notes.n;
    plan->notes = vec_to_arena(&planner->notes, planner->arena);
    plan->n_unchanged = planner->n_unchanged;
    return plan;
}

int plan_make(struct arena *arena, const struct desired *want, const struct observed *have,
              const struct plan_options *options, const struct plan **ret, struct span *ret_span,
              struct error *err)
{
    struct planner planner = {.arena = arena, .want = want, .have = have, .options = options};
    int result;

    planner_init(&planner);
    result = planner_sort(&planner, err);
    if (result == 0)
        result = make(&planner, err);
    if (result == 0)
        *ret = planner_finish(&planner);
    else if (ret_span)
        *ret_span = planner.guilty;

    vec_release(&planner.nodes);
    vec_release(&planner.confirmations);
    vec_release(&planner.notes);
    return result;
}
