/* Plans that take things down, and those that stop and start what exists. */

#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "reconcile/planner.h"

static bool exists(const struct slot *slot)
{
    return slot->have != NULL;
}

/* ---- down -------------------------------------------------------------------------------------
 */

static void remove_containers(struct planner *planner, const struct reason *asked)
{
    for (size_t i = 0; i < planner->want->n_containers; i++) {
        planner->slots[i].reasons = asked;
        planner->slots[i].n_reasons = 1;
    }
    planner_stop_slots(planner, exists);
    for (size_t i = 0; i < planner->want->n_containers; i++) {
        struct slot *slot = &planner->slots[i];
        struct edges after = {.list = VEC_INIT};

        if (slot->have)
            planner_remove_slot(planner, slot, true, &after);
    }
}

static void remove_others(struct planner *planner, const struct reason *asked)
{
    for (size_t i = 0; i < planner->have->n_containers; i++) {
        const struct observed_container *container = &planner->have->containers[i];

        if (planner_is_surplus(planner, container))
            planner_remove_observed(planner, container, asked, true);
        else if (planner_is_orphan(planner, container) && planner->options->remove_orphans)
            planner_remove_observed(planner, container, asked, true);
        else if (planner_is_orphan(planner, container))
            vec_push(&planner->notes,
                     (struct plan_note){
                         .text = arena_printf(planner->arena,
                                              "container %s belongs to no service of the files and "
                                              "stays; --remove-orphans removes it",
                                              container->name)});
    }
}

static bool uses(const struct container_spec *spec, const char *network, const char *volume)
{
    for (size_t i = 0; network && i < spec->n_networks; i++) {
        if (text_equal(spec->networks[i].network, network))
            return true;
    }
    for (size_t i = 0; volume && i < spec->n_mounts; i++) {
        if (spec->mounts[i].kind == MOUNT_VOLUME && text_equal(spec->mounts[i].source, volume))
            return true;
    }
    return false;
}

/* Edges to the removals of all users, as networks and volumes go when their last user went; false
 * (and a note) when a user stays. */
static bool edges_of_users(struct planner *planner, const char *network, const char *volume,
                           struct edges *ret)
{
    for (size_t i = 0; i < planner->have->n_containers; i++) {
        const struct observed_container *container = &planner->have->containers[i];
        int removal = planner_removal_of(planner, container->name);

        if (!uses(&container->spec, network, volume))
            continue;
        if (removal == NO_NODE) {
            vec_release(&ret->list);
            vec_push(&planner->notes,
                     (struct plan_note){
                         .text = arena_printf(planner->arena, "%s %s stays: container %s uses it",
                                              network ? "network" : "volume",
                                              network ? network : volume, container->name)});
            return false;
        }
        edges_add(ret, removal);
    }
    return true;
}

static void remove_networks(struct planner *planner, const struct reason *asked)
{
    for (size_t i = 0; i < planner->want->n_networks; i++) {
        const struct desired_network *want = &planner->want->networks[i];
        struct edges after = {.list = VEC_INIT};
        struct plan_node node = {
            .kind = OP_NETWORK_REMOVE,
            .subject = want->spec.name,
            .span = want->span,
            .reasons = asked,
            .n_reasons = 1,
        };

        if (want->is_external || !observed_find_network(planner->have, want->spec.name))
            continue;
        if (edges_of_users(planner, want->spec.name, NULL, &after))
            planner_add(planner, node, &after);
    }
}

static void remove_volumes(struct planner *planner, const struct reason *asked)
{
    for (size_t i = 0; i < planner->want->n_volumes; i++) {
        const struct desired_volume *want = &planner->want->volumes[i];
        const char *name = want->spec.name;
        struct edges after = {.list = VEC_INIT};
        struct plan_node node = {
            .kind = OP_VOLUME_REMOVE,
            .subject = name,
            .span = want->span,
            .reasons = asked,
            .n_reasons = 1,
        };

        if (want->is_external || !strings_contain(&planner->have->volumes, name) ||
            !edges_of_users(planner, NULL, name, &after))
            continue;
        planner_add(planner, node, &after);
        vec_push(&planner->confirmations,
                 (struct confirmation){
                     .subject = name,
                     .text = arena_printf(planner->arena, "volume %s and all data in it", name)});
    }
}

int plan_down(struct planner *planner, struct error *err)
{
    const struct reason *asked =
        planner_reason(planner, (struct reason){.kind = REASON_REQUESTED, .text = "down"});

    (void)err;
    remove_containers(planner, asked);
    remove_others(planner, asked);
    remove_networks(planner, asked);
    if (planner->options->remove_volumes)
        remove_volumes(planner, asked);
    return 0;
}

/* ---- stop, start, restart
 * ------------------------------------------------------------------------- */

static bool is_startable(const struct planner *planner, const struct slot *slot)
{
    return slot->have && !slot->have->is_tainted &&
           (planner->options->goal == PLAN_RESTART || !container_is_running(slot->have));
}

int plan_stop_start(struct planner *planner, struct error *err)
{
    static const char *const verbs[] = {
        [PLAN_STOP] = "stop",
        [PLAN_START] = "start",
        [PLAN_RESTART] = "restart",
    };
    enum plan_goal goal = planner->options->goal;
    const struct reason *asked =
        planner_reason(planner, (struct reason){.kind = REASON_REQUESTED, .text = verbs[goal]});

    for (size_t i = 0; i < planner->want->n_containers; i++) {
        struct slot *slot = &planner->slots[i];

        slot->reasons = asked;
        slot->n_reasons = 1;
        slot->spec = &slot->want->spec;
        if (!slot->have && goal != PLAN_STOP) {
            planner->guilty = slot->want->span;
            return error_set(err, ERROR_NOT_FOUND,
                             "service \"%s\" has no container to %s; berth up creates it",
                             slot->want->service, verbs[goal]);
        }
    }
    if (goal != PLAN_START)
        planner_stop_slots(planner, exists);
    for (size_t i = 0; goal != PLAN_STOP && i < planner->want->n_containers; i++) {
        struct slot *slot = &planner->slots[planner->order[i]];

        if (is_startable(planner, slot))
            planner_start_slot(planner, slot);
    }
    return 0;
}
