/* A container changes while it runs: what its record is to be (container.next.json) is done first,
 * then it is the record. What fails leaves both as they were. */

#include <signal.h>

#include "engine/base/arena.h"
#include "engine/base/cleanup.h"
#include "engine/base/json.h"
#include "engine/base/units.h"
#include "engine/keeper/supervisor.h"

static int set_limits(struct supervised *container, const struct container_spec *spec,
                      struct error *err)
{
    struct keeper *keeper = container->keeper;
    struct cgroup_limits limits = CGROUP_LIMITS_INIT;

    limits.memory_bytes = spec->memory_bytes;
    limits.nano_cpus = spec->nano_cpus;
    limits.pids_limit = spec->pids_limit;
    limits.all_devices = spec->privileged;
    return cgroup_update(&keeper->layout, keeper->place.project, container->name, &limits, err);
}

static bool has_other_check(const struct container_record *a, const struct container_record *b)
{
    return !json_equal(json_object_get(a->spec_json, "health"),
                       json_object_get(b->spec_json, "health"));
}

/* What can fail comes first, and is taken back. */
static int change(struct supervised *container, const struct container_record *old,
                  const struct container_record *record, struct error *err)
{
    const struct container_spec *spec = record->spec;
    bool is_running = container->life.state == LIFE_RUNNING;
    int stop_signal = SIGTERM;
    struct error ignored;

    if (lifecycle_has_process(&container->life) && set_limits(container, spec, err) < 0)
        return -1;
    if (is_running && attach_change_ports(container, old, record, err) < 0) {
        (void)set_limits(container, old->spec, &ignored); /* the first failure is told */
        return -1;
    }
    container->publishes_ports = spec->n_ports > 0;
    (void)parse_signal(str_from(record->resolved.process.stop_signal), &stop_signal, NULL);
    lifecycle_update(&container->life, spec, stop_signal);
    if (!is_running || !has_other_check(old, record))
        return 0;
    probe_free(container);
    probe_new(container, record);
    probe_start(container);
    return 0;
}

int update_container(struct supervised *container, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    int state_fd = container->keeper->place.state_fd;
    struct container_record old = {0}, record = {0};
    int result;

    result = container_record_read(state_fd, &arena, container->id, &old, err);
    if (result == 0)
        result = container_record_read_staged(state_fd, &arena, container->id, &record, err);
    if (result == 0)
        result = change(container, &old, &record, err);
    if (result == 0)
        result = container_record_commit(state_fd, container->id, err);
    container_record_release(&old);
    container_record_release(&record);
    return result;
}
