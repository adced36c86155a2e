/* Host ports that pass from one container to another: who gets one waits until the other has let go
 * of it. */

#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/str.h"
#include "reconcile/planner.h"

/* The engine picks a number that is free: no conflict. */
static bool ports_overlap(const struct port_spec *a, const struct port_spec *b)
{
    uint16_t a_last = a->host_last ? a->host_last : a->host_first;
    uint16_t b_last = b->host_last ? b->host_last : b->host_first;

    return a->host_first > 0 && b->host_first > 0 && a->host_first <= b_last &&
           b->host_first <= a_last && text_equal(a->protocol, b->protocol) &&
           (host_ip_is_any(a->host_ip) || host_ip_is_any(b->host_ip) ||
            text_equal(a->host_ip, b->host_ip));
}

/* What an update of the running container leaves as it is: which port of a range it has got is its
 * own affair. */
static bool keeps_port(const struct slot *slot, const struct port_spec *port)
{
    if (slot->action != SLOT_UPDATE || slot->restarts || !container_is_running(slot->have))
        return false;
    for (size_t i = 0; i < slot->have->spec.n_ports; i++) {
        const struct port_spec *has = &slot->have->spec.ports[i];

        if (has->host_first == port->host_first && has->host_last == port->host_last &&
            text_equal(has->host_ip, port->host_ip) && text_equal(has->protocol, port->protocol))
            return true;
    }
    return false;
}

static bool wants_port_of(const struct slot *slot, const struct container_spec *other)
{
    const struct container_spec *spec = slot->spec ? slot->spec : &slot->want->spec;

    for (size_t i = 0; i < spec->n_ports; i++) {
        if (keeps_port(slot, &spec->ports[i]))
            continue;
        for (size_t j = 0; j < other->n_ports; j++) {
            if (ports_overlap(&spec->ports[i], &other->ports[j]))
                return true;
        }
    }
    return false;
}

static const struct slot *slot_of(const struct planner *planner,
                                  const struct observed_container *container)
{
    for (size_t i = 0; i < planner->want->n_containers; i++) {
        if (planner->slots[i].have == container)
            return &planner->slots[i];
    }
    return NULL;
}

void planner_follow_ports(const struct planner *planner, const struct slot *slot,
                          struct edges *after)
{
    for (size_t i = 0; i < planner->have->n_containers; i++) {
        const struct observed_container *other = &planner->have->containers[i];
        const struct slot *holder;

        if (other == slot->have || !container_is_running(other) ||
            !wants_port_of(slot, &other->spec))
            continue;
        holder = slot_of(planner, other);
        edges_add(after, holder && holder->action == SLOT_UPDATE
                             ? holder->update
                             : planner_removal_of(planner, other->name));
    }
}

/* Two that exchange their ports can't both wait for the other: who would get a port that another
 * one changes away from is replaced, as removals come first. */
void planner_decide_ports(struct planner *planner)
{
    for (size_t i = 0; i < planner->want->n_containers; i++) {
        struct slot *slot = &planner->slots[i];

        for (size_t j = 0; j < planner->want->n_containers && slot->action == SLOT_UPDATE; j++) {
            const struct slot *other = &planner->slots[j];

            if (other == slot || other->action != SLOT_UPDATE ||
                !container_is_running(other->have) || !wants_port_of(slot, &other->have->spec))
                continue;
            slot->action = SLOT_REPLACE;
            planner_add_reason(
                planner, slot,
                (struct reason){.kind = REASON_DEPENDENCY,
                                .text = arena_printf(planner->arena, "it gets a port of %s",
                                                     other->want->service)});
        }
    }
}
