/* Plans that bring things up: what to do with each container, then the nodes in an order that
 * holds. */

#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "reconcile/difference.h"
#include "reconcile/planner.h"

/* ---- decide ---------------------------------------------------------------------------------- */

static void slot_decide(struct planner *planner, struct slot *slot, enum slot_action action,
                        struct reason reason)
{
    slot->action = action;
    slot->reasons = planner_reason(planner, reason);
    slot->n_reasons = 1;
}

static size_t image_index(const struct planner *planner, const char *reference)
{
    for (size_t i = 0; i < planner->want->n_images; i++) {
        if (text_equal(planner->want->images[i].reference, reference))
            return i;
    }
    return planner->want->n_images;
}

/* The spec as it will be recorded: with the image's id, unless this plan makes the image. */
static const struct container_spec *spec_resolve(struct planner *planner,
                                                 const struct desired_container *want)
{
    struct container_spec *spec = arena_memdup(planner->arena, &want->spec, sizeof(want->spec));
    const struct observed_image *image = observed_find_image(planner->have, want->spec.image);
    size_t index = image_index(planner, want->spec.image);
    bool is_made_here = index < planner->want->n_images && planner->image_nodes[index] != NO_NODE;

    spec->image_id = image && !is_made_here ? image->id : NULL;
    return spec;
}

static bool uses_replaced_network(const struct planner *planner, const struct slot *slot,
                                  const char **ret_network)
{
    for (size_t i = 0; i < planner->want->n_networks; i++) {
        if (!planner->network_replaced[i])
            continue;
        for (size_t j = 0; j < slot->want->spec.n_networks; j++) {
            if (text_equal(slot->want->spec.networks[j].network,
                           planner->want->networks[i].spec.name)) {
                *ret_network = planner->want->networks[i].spec.name;
                return true;
            }
        }
    }
    return false;
}

/* Reasons for changed fields; true if there are any of the class that needs a new container. */
static void decide_by_difference(struct planner *planner, struct slot *slot)
{
    cleanup_json json_t *wanted = container_spec_to_json(slot->spec);
    struct differences differences =
        spec_difference(planner->arena, &planner->want->words, slot->have->spec_json, wanted);
    struct reason *reasons;

    if (!differences.needs_recreate && !differences.needs_update)
        return;
    reasons = arena_new_array(planner->arena, struct reason, differences.n);
    for (size_t i = 0; i < differences.n; i++) {
        const struct difference *difference = &differences.items[i];

        reasons[i] = (struct reason){
            .kind = REASON_CHANGED,
            .field = difference->word,
            .old_text = difference->old_text,
            .new_text = difference->new_text,
            .span = field_origins_find(&slot->want->origins, difference->field, slot->want->span),
        };
    }
    slot->reasons = reasons;
    slot->n_reasons = differences.n;
    slot->action = differences.needs_recreate ? SLOT_REPLACE : SLOT_UPDATE;
}

/* A job that was stopped is not done, however it ended. */
static bool needs_start(const struct slot *slot)
{
    if (slot->have->status == CONTAINER_EXITED && slot->is_job && slot->have->exit_code == 0 &&
        !slot->have->was_stopped)
        return false;
    return !container_is_running(slot->have) || slot->have->status == CONTAINER_STOPPING;
}

static void decide_existing(struct planner *planner, struct slot *slot)
{
    const struct plan_options *options = planner->options;
    size_t image = image_index(planner, slot->want->spec.image);
    const char *network = NULL;

    if (slot->have->is_tainted) {
        slot_decide(planner, slot, SLOT_REPLACE,
                    (struct reason){.kind = REASON_DRIFT, .text = "its creation was interrupted"});
    } else if (options->force_recreate) {
        slot_decide(planner, slot, SLOT_REPLACE,
                    (struct reason){.kind = REASON_REQUESTED, .text = "--force-recreate"});
    } else if (uses_replaced_network(planner, slot, &network)) {
        slot_decide(planner, slot, SLOT_REPLACE,
                    (struct reason){
                        .kind = REASON_DEPENDENCY,
                        .text = arena_printf(planner->arena, "network %s is replaced", network)});
    } else if (image < planner->want->n_images && planner->image_nodes[image] != NO_NODE &&
               !options->no_recreate) {
        slot_decide(planner, slot, SLOT_REPLACE,
                    (struct reason){.kind = REASON_DEPENDENCY,
                                    .text = arena_printf(planner->arena, "image %s is made anew",
                                                         slot->want->spec.image)});
    } else if (!options->no_recreate) {
        decide_by_difference(planner, slot);
    }

    if (slot->action == SLOT_KEEP && needs_start(slot))
        slot_decide(
            planner, slot, SLOT_START,
            (struct reason){.kind = REASON_DRIFT,
                            .text = arena_printf(planner->arena, "it is %s",
                                                 container_status_names[slot->have->status])});
}

/* restart: true in depends_on: when the dependency goes, its dependent is restarted. In order, so
 * that it carries on through chains. */
static void decide_restarts(struct planner *planner)
{
    for (size_t i = 0; i < planner->want->n_containers; i++) {
        struct slot *slot = &planner->slots[planner->order[i]];

        bool stays = slot->action == SLOT_KEEP || slot->action == SLOT_UPDATE;

        for (size_t j = 0; j < i && stays && !slot->restarts; j++) {
            const struct slot *other = &planner->slots[planner->order[j]];
            const struct desired_dependency *dependency = slot_dependency(slot, other);
            bool other_goes = other->action == SLOT_REPLACE || other->restarts;

            if (!dependency || !dependency->restart || !other_goes || planner->options->no_deps ||
                !container_is_running(slot->have))
                continue;
            slot->restarts = true;
            planner_add_reason(planner, slot,
                               (struct reason){.kind = REASON_DEPENDENCY,
                                               .text = arena_printf(
                                                   planner->arena, "%s is replaced (restart: true)",
                                                   dependency->service),
                                               .span = dependency->span});
        }
    }
}

void planner_decide_up(struct planner *planner)
{
    for (size_t i = 0; i < planner->want->n_containers; i++) {
        struct slot *slot = &planner->slots[i];

        slot->spec = spec_resolve(planner, slot->want);
        if (slot->have)
            decide_existing(planner, slot);
        else
            slot_decide(planner, slot, SLOT_CREATE,
                        (struct reason){.kind = REASON_ABSENT, .text = "not found"});
    }
    planner_decide_ports(planner);
    decide_restarts(planner);
}

/* ---- images, networks, volumes ----------------------------------------------------------------
 */

static bool image_is_used(const struct planner *planner, const char *reference)
{
    for (size_t i = 0; i < planner->want->n_containers; i++) {
        if (text_equal(planner->want->containers[i].spec.image, reference))
            return true;
    }
    return false;
}

int plan_images(struct planner *planner, struct error *err)
{
    (void)err;
    for (size_t i = 0; i < planner->want->n_images; i++) {
        const struct desired_image *image = &planner->want->images[i];
        bool exists = observed_find_image(planner->have, image->reference) != NULL;
        bool is_asked = image->build && planner->options->build;
        struct edges none = {.list = VEC_INIT};
        struct plan_node node = {
            .kind = image->build ? OP_IMAGE_BUILD : OP_IMAGE_PULL,
            .subject = image->reference,
            .span = image->span,
            .n_reasons = 1,
        };

        if ((exists && !is_asked) || !image_is_used(planner, image->reference))
            continue;
        node.reasons = planner_reason(
            planner, exists ? (struct reason){.kind = REASON_REQUESTED, .text = "--build"}
                            : (struct reason){.kind = REASON_ABSENT, .text = "not found"});
        if (image->build)
            node.build = image->build;
        planner->image_nodes[i] = planner_add(planner, node, &none);
    }
    return 0;
}

static bool network_spec_equal(const struct network_spec *a, const struct network_spec *b)
{
    cleanup_json json_t *json_a = network_spec_to_json(a), *json_b = network_spec_to_json(b);

    return json_equal(json_a, json_b);
}

static int decide_networks(struct planner *planner, struct error *err)
{
    for (size_t i = 0; i < planner->want->n_networks; i++) {
        const struct desired_network *want = &planner->want->networks[i];
        const struct observed_network *have = observed_find_network(planner->have, want->spec.name);

        if (want->is_external) {
            if (have)
                continue;
            planner->guilty = want->span;
            return error_set(
                err, ERROR_NOT_FOUND,
                "network \"%s\" is declared as external, but there is no such network; "
                "create it with: berth network create %s",
                want->spec.name, want->spec.name);
        }
        planner->network_replaced[i] = have && !network_spec_equal(&have->spec, &want->spec);
    }
    for (size_t i = 0; i < planner->want->n_volumes; i++) {
        const struct desired_volume *want = &planner->want->volumes[i];

        if (!want->is_external || strings_contain(&planner->have->volumes, want->spec.name))
            continue;
        planner->guilty = want->span;
        return error_set(err, ERROR_NOT_FOUND,
                         "volume \"%s\" is declared as external, but there is no such volume; "
                         "create it with: berth volume create %s",
                         want->spec.name, want->spec.name);
    }
    return 0;
}

static bool observed_uses_network(const struct observed_container *container, const char *network)
{
    for (size_t i = 0; i < container->spec.n_networks; i++) {
        if (text_equal(container->spec.networks[i].network, network))
            return true;
    }
    return false;
}

/* A network that differs is removed when the containers on it are gone. One that is held by a
 * container which stays can't be replaced. */
static int replace_network(struct planner *planner, size_t index, struct error *err)
{
    const struct desired_network *want = &planner->want->networks[index];
    struct edges after = {.list = VEC_INIT};
    struct plan_node node = {
        .kind = OP_NETWORK_REMOVE,
        .subject = want->spec.name,
        .span = want->span,
        .reasons = planner_reason(planner, (struct reason){.kind = REASON_CHANGED,
                                                           .field = "network",
                                                           .old_text = "another definition",
                                                           .new_text = "as in the files",
                                                           .span = want->span}),
        .n_reasons = 1,
    };

    for (size_t i = 0; i < planner->have->n_containers; i++) {
        const struct observed_container *container = &planner->have->containers[i];
        const struct slot *slot = NULL;

        if (!observed_uses_network(container, want->spec.name))
            continue;
        for (size_t j = 0; j < planner->want->n_containers; j++) {
            if (planner->slots[j].have == container)
                slot = &planner->slots[j];
        }
        if (slot && slot->remove != NO_NODE) {
            edges_add(&after, slot->remove);
            continue;
        }
        if (planner_is_surplus(planner, container) ||
            (planner_is_orphan(planner, container) && planner->options->remove_orphans)) {
            edges_add(&after, planner_removal_of(planner, container->name));
            continue;
        }
        vec_release(&after.list);
        planner->guilty = want->span;
        return error_set(
            err, ERROR_CONFLICT,
            "network \"%s\" has changed, but container \"%s\" is on it and is not part "
            "of this command; include its service, or take it down first",
            want->spec.name, container->name);
    }
    return planner_add(planner, node, &after);
}

static int add_networks(struct planner *planner, struct error *err)
{
    for (size_t i = 0; i < planner->want->n_networks; i++) {
        const struct desired_network *want = &planner->want->networks[i];
        const struct observed_network *have = observed_find_network(planner->have, want->spec.name);
        struct edges after = {.list = VEC_INIT};
        struct plan_node node = {
            .kind = OP_NETWORK_CREATE,
            .subject = want->spec.name,
            .span = want->span,
            .network = &want->spec,
            .n_reasons = 1,
        };
        int removal = NO_NODE;

        if (want->is_external || (have && have->is_up && !planner->network_replaced[i]))
            continue;
        if (planner->network_replaced[i]) {
            removal = replace_network(planner, i, err);
            if (removal < 0)
                return -1;
        }
        node.reasons = planner_reason(
            planner,
            have && !planner->network_replaced[i]
                ? (struct reason){.kind = REASON_DRIFT, .text = "its bridge or firewall is missing"}
                : (struct reason){.kind = REASON_ABSENT, .text = "not found"});
        edges_add(&after, removal);
        planner->network_nodes[i] = planner_add(planner, node, &after);
    }
    return 0;
}

static void add_volumes(struct planner *planner)
{
    for (size_t i = 0; i < planner->want->n_volumes; i++) {
        const struct desired_volume *want = &planner->want->volumes[i];
        struct edges none = {.list = VEC_INIT};
        struct plan_node node = {
            .kind = OP_VOLUME_CREATE,
            .subject = want->spec.name,
            .span = want->span,
            .volume = &want->spec,
            .reasons = planner_reason(planner,
                                      (struct reason){.kind = REASON_ABSENT, .text = "not found"}),
            .n_reasons = 1,
        };

        if (!want->is_external && !strings_contain(&planner->have->volumes, want->spec.name))
            planner->volume_nodes[i] = planner_add(planner, node, &none);
    }
}

/* ---- containers -------------------------------------------------------------------------------
 */

static bool goes_down_first(const struct slot *slot)
{
    return slot->action == SLOT_REPLACE || slot->restarts ||
           (slot->action == SLOT_START && slot->have->status == CONTAINER_STOPPING);
}

/* Whoever restarts with it stops before it goes, also when it does not run any more: so whoever is
 * killed here leaves either the old dependency or dependents that are to be started. */
static void follow_dependents(const struct planner *planner, const struct slot *slot,
                              struct edges *after)
{
    for (size_t i = 0; i < planner->want->n_containers; i++) {
        const struct slot *dependent = &planner->slots[i];

        if (planner_follows(planner, dependent, slot) && slot_dependency(dependent, slot)->restart)
            edges_add(after, dependent->stop);
    }
}

static void add_removals(struct planner *planner)
{
    planner_stop_slots(planner, goes_down_first);
    for (size_t i = 0; i < planner->want->n_containers; i++) {
        struct slot *slot = &planner->slots[i];
        struct edges after = {.list = VEC_INIT};

        if (slot->action != SLOT_REPLACE)
            continue;
        if (slot->stop == NO_NODE)
            follow_dependents(planner, slot, &after);
        planner_remove_slot(planner, slot, false, &after);
    }
    for (size_t i = 0; i < planner->have->n_containers; i++) {
        const struct observed_container *container = &planner->have->containers[i];

        if (planner_is_surplus(planner, container)) {
            planner_remove_observed(
                planner, container,
                planner_reason(planner, (struct reason){.kind = REASON_ORPHAN,
                                                        .text = "its service has another name or "
                                                                "fewer containers now"}),
                true);
        } else if (planner_is_orphan(planner, container) && planner->options->remove_orphans) {
            planner_remove_observed(
                planner, container,
                planner_reason(planner, (struct reason){.kind = REASON_ORPHAN,
                                                        .text = "its service is not in the "
                                                                "files"}),
                true);
        } else if (planner_is_orphan(planner, container)) {
            vec_push(&planner->notes,
                     (struct plan_note){
                         .text = arena_printf(planner->arena,
                                              "container %s belongs to no service of the files; "
                                              "--remove-orphans removes it",
                                              container->name)});
        }
    }
}

static void create_edges(const struct planner *planner, const struct slot *slot,
                         struct edges *after)
{
    const struct container_spec *spec = &slot->want->spec;
    size_t image = image_index(planner, spec->image);

    edges_add(after, slot->remove);
    if (image < planner->want->n_images)
        edges_add(after, planner->image_nodes[image]);
    for (size_t i = 0; i < planner->want->n_networks; i++) {
        for (size_t j = 0; j < spec->n_networks; j++) {
            if (text_equal(spec->networks[j].network, planner->want->networks[i].spec.name))
                edges_add(after, planner->network_nodes[i]);
        }
    }
    for (size_t i = 0; i < planner->want->n_volumes; i++) {
        for (size_t j = 0; j < spec->n_mounts; j++) {
            if (spec->mounts[j].kind == MOUNT_VOLUME &&
                text_equal(spec->mounts[j].source, planner->want->volumes[i].spec.name))
                edges_add(after, planner->volume_nodes[i]);
        }
    }
}

/* Before all that starts: who gets a port may wait for one that changes away from it. */
static void add_updates(struct planner *planner)
{
    for (size_t i = 0; i < planner->want->n_containers; i++) {
        struct slot *slot = &planner->slots[planner->order[i]];
        struct edges after = {.list = VEC_INIT};
        struct plan_node node = {
            .kind = OP_CONTAINER_UPDATE,
            .subject = slot->want->spec.name,
            .span = slot->want->span,
            .container = slot->spec,
            .reasons = slot->reasons,
            .n_reasons = slot->n_reasons,
        };

        if (slot->action != SLOT_UPDATE)
            continue;
        planner_follow_ports(planner, slot, &after);
        slot->update = planner_add(planner, node, &after);
    }
}

static void add_container(struct planner *planner, struct slot *slot)
{
    struct edges after = {.list = VEC_INIT};
    struct plan_node node = {
        .subject = slot->want->spec.name,
        .span = slot->want->span,
        .container = slot->spec,
        .reasons = slot->reasons,
        .n_reasons = slot->n_reasons,
    };
    bool starts = planner->options->goal != PLAN_CREATE;

    switch (slot->action) {
    case SLOT_KEEP:
        if (!slot->restarts)
            planner->n_unchanged++;
        starts = starts && slot->restarts;
        break;
    case SLOT_CREATE:
    case SLOT_REPLACE:
        create_edges(planner, slot, &after);
        node.kind = OP_CONTAINER_CREATE;
        slot->create = planner_add(planner, node, &after);
        break;
    case SLOT_UPDATE:
        starts = starts && (slot->restarts || needs_start(slot));
        break;
    case SLOT_START:
        break;
    }
    if (starts)
        planner_start_slot(planner, slot);
}

/* --wait: the plan ends when every container is ready, whoever depends on it. */
static void add_final_waits(struct planner *planner)
{
    for (size_t i = 0; i < planner->want->n_containers; i++) {
        struct slot *slot = &planner->slots[i];
        struct edges after = {.list = VEC_INIT};
        struct plan_node node = {
            .kind = slot->is_job ? OP_WAIT_EXIT : OP_WAIT_HEALTHY,
            .subject = slot->want->spec.name,
            .span = slot->want->span,
            .reasons = planner_reason(planner,
                                      (struct reason){.kind = REASON_REQUESTED, .text = "--wait"}),
            .n_reasons = 1,
            .wait.without_check_ok = true,
        };
        bool is_ready =
            slot->action == SLOT_KEEP && (slot->is_job ? slot->have->status == CONTAINER_EXITED
                                                       : slot->have->health == HEALTH_HEALTHY ||
                                                             slot->have->health == HEALTH_NONE);

        if (is_ready || slot->healthy != NO_NODE || slot->exited != NO_NODE)
            continue;
        edges_add(&after, slot->start);
        planner_add(planner, node, &after);
    }
}

int plan_up(struct planner *planner, struct error *err)
{
    if (plan_images(planner, err) < 0 || decide_networks(planner, err) < 0)
        return -1;

    planner_decide_up(planner);
    add_removals(planner);
    if (add_networks(planner, err) < 0)
        return -1;
    add_volumes(planner);
    add_updates(planner);
    for (size_t i = 0; i < planner->want->n_containers; i++)
        add_container(planner, &planner->slots[planner->order[i]]);
    if (planner->options->wait)
        add_final_waits(planner);
    return 0;
}
