/* Whose container has a host port? To the kernel it is some keeper's. */

#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/keeper/supervisor.h"

static bool may_overlap(const char *a, const char *b)
{
    return host_ip_is_any(a) || host_ip_is_any(b) || strcmp(a, b) == 0;
}

/* Ours: what they have just got is not on disk yet. */
static const char *find_among_ours(const struct supervised *asking,
                                   const struct port_request *wanted)
{
    list_for_each (pos, &asking->keeper->containers) {
        const struct supervised *other = container_of(pos, struct supervised, link);

        for (size_t i = 0; other != asking && i < other->n_ports; i++) {
            const struct supervised_port *port = &other->ports[i];

            if (port->host_port == wanted->first && port->protocol == wanted->protocol &&
                may_overlap(port->host_ip, wanted->host_ip))
                return other->id;
        }
    }
    return NULL;
}

static bool is_published(const struct container_state *state, const struct port_request *wanted)
{
    for (size_t i = 0; i < state->n_ports; i++) {
        const struct published_port *port = &state->ports[i];

        if (port->host_port == wanted->first &&
            strcmp(port->protocol, port_protocol_names[wanted->protocol]) == 0 &&
            may_overlap(port->host_ip, wanted->host_ip))
            return true;
    }
    return false;
}

static const char *find_on_disk(struct arena *arena, const struct supervised *asking,
                                const struct port_request *wanted)
{
    int state_fd = asking->keeper->place.state_fd;
    struct container_state state;
    struct strings ids;
    struct error ignored; /* one that can't be read is none that we could name */

    if (container_ids_list(state_fd, arena, NULL, &ids, &ignored) < 0)
        return NULL;
    for (size_t i = 0; i < ids.n; i++) {
        if (strcmp(ids.items[i], asking->id) != 0 &&
            container_state_read(state_fd, arena, ids.items[i], &state, &ignored) == 0 &&
            state.pid > 0 && strcmp(state.boot_id, asking->keeper->boot_id) == 0 &&
            is_published(&state, wanted))
            return ids.items[i];
    }
    return NULL;
}

bool port_holder_find(const struct supervised *asking, const struct port_request *wanted,
                      struct buf *ret_text)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct container_record record = {0};
    const char *id = find_among_ours(asking, wanted), *service;
    struct error ignored;

    if (!id)
        id = find_on_disk(&arena, asking, wanted);
    if (!id ||
        container_record_read(asking->keeper->place.state_fd, &arena, id, &record, &ignored) < 0)
        return false;
    service = pairs_find(&record.spec->labels, "com.docker.compose.service");
    buf_printf(ret_text, "container \"%s\"", record.name);
    if (service && record.project)
        buf_printf(ret_text, " (service \"%s\" of project \"%s\")", service, record.project);
    container_record_release(&record);
    return true;
}
