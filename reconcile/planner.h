#pragma once

/* What the makers of plans share: nodes under construction and one slot per desired container.
 * Private to reconcile. */

#include "engine/base/vec.h"
#include "reconcile/desired.h"
#include "reconcile/observed.h"
#include "reconcile/plan.h"

enum { NO_NODE = -1 };

enum slot_action {
    SLOT_KEEP,    /* nothing to do */
    SLOT_CREATE,  /* absent */
    SLOT_REPLACE, /* stop, remove, create, start */
    SLOT_UPDATE,  /* live fields change */
    SLOT_START,   /* exists, does not run */
};

/* A desired container, what exists of it, and the nodes made for it so far. */
struct slot {
    const struct desired_container *want;
    const struct observed_container *have; /* NULL = absent */
    const struct container_spec *spec;     /* want->spec with the image id filled in */
    enum slot_action action;
    bool restarts; /* stopped and started besides: a dependency goes (restart: true) */
    bool is_job;   /* someone waits for its successful end */
    const struct reason *reasons;
    size_t n_reasons;
    int stop, remove, create, update, start, healthy, exited; /* node indexes or NO_NODE */
};

struct planner {
    struct arena *arena;
    const struct desired *want;
    const struct observed *have;
    const struct plan_options *options;
    VEC(struct plan_node) nodes;
    VEC(struct confirmation) confirmations;
    VEC(struct plan_note) notes;
    struct slot *slots;     /* one per desired container, in the same order */
    size_t *order;          /* indexes of slots: a service stands behind all it depends on */
    int *image_nodes;       /* per desired image: pull or build node */
    int *network_nodes;     /* per desired network: create node */
    int *volume_nodes;      /* per desired volume: create node */
    bool *network_replaced; /* per desired network: removed and made again */
    size_t n_unchanged;
    struct span guilty; /* where a failure points */
};

/* Edges under construction. */
struct edges {
    VEC(uint32_t) list;
};

void edges_add(struct edges *edges, int node); /* NO_NODE is skipped */

/* Append a node; takes and releases the edges; sorts them and drops doubles. Returns its index. */
int planner_add(struct planner *planner, struct plan_node node, struct edges *edges);

const struct reason *planner_reason(struct planner *planner, struct reason reason);

/* In front of those it has: what forces a stop says so first. */
void planner_add_reason(struct planner *planner, struct slot *slot, struct reason reason);

bool container_is_running(const struct observed_container *container);

/* Order the slots by their services' dependencies; ERROR_CYCLE names the cycle. */
int planner_sort(struct planner *planner, struct error *err);

/* Is slot `other` a container of a service that `slot` depends on? NULL if not. */
const struct desired_dependency *slot_dependency(const struct slot *slot, const struct slot *other);

/* Whether `slot` waits for `other` in this plan at all. */
bool planner_follows(const struct planner *planner, const struct slot *slot,
                     const struct slot *other);

/* Observed containers that the desired value doesn't have: of a selected service (surplus), or of
 * no declared service (orphan). */
bool planner_is_orphan(const struct planner *planner, const struct observed_container *container);
bool planner_is_surplus(const struct planner *planner, const struct observed_container *container);

/* Stop nodes for slots in reverse order: dependents first. Only those `wants_stop` says. */
void planner_stop_slots(struct planner *planner, bool (*wants_stop)(const struct slot *));

/* Remove node of a slot, after its stop and `after`, for the slot's reasons. */
void planner_remove_slot(struct planner *planner, struct slot *slot, bool with_volumes,
                         struct edges *after);
/* The removal of a container made so far, or NO_NODE. */
int planner_removal_of(const struct planner *planner, const char *container);

/* Stop (if it runs) and remove a container that has no slot. Returns the remove node. */
int planner_remove_observed(struct planner *planner, const struct observed_container *container,
                            const struct reason *reason, bool with_volumes);

/* plan_ports.c: edges to those that let go of a host port the slot gets; updates are made before.
 */
void planner_follow_ports(const struct planner *planner, const struct slot *slot,
                          struct edges *after);
void planner_decide_ports(struct planner *planner);

/* Start node of a slot, behind all it depends on, with the wait nodes that needs. */
void planner_start_slot(struct planner *planner, struct slot *slot);

void planner_decide_up(struct planner *planner); /* fills slots' actions */
int plan_up(struct planner *planner, struct error *err);
int plan_images(struct planner *planner, struct error *err);
int plan_down(struct planner *planner, struct error *err);
int plan_stop_start(struct planner *planner, struct error *err); /* STOP, START, RESTART */
