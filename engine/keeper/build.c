/* From a container's record to the zygote: network, mounts, control group, filter, pipes. The same
 * way for a first start, a restart and a start after a crash. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/trace.h"
#include "engine/image/image.h"
#include "engine/keeper/supervisor.h"
#include "engine/security/security.h"

enum { LOG_PIPE_BYTES = 256 << 10, LEFTOVER_WAIT_MS = 1000 };

/* What one build holds open until the zygote has it. */
struct build_state {
    struct arena arena;
    struct container_record record;
    struct container_prepared *prepared;
    struct buf seccomp;
    int read_fds[LOG_STREAMS];
    int stdio_fds[3];
    struct container_build build;
};

static void build_state_release(struct build_state *state)
{
    container_prepared_release(state->prepared);
    container_record_release(&state->record);
    buf_release(&state->seccomp);
    for (int i = 0; i < LOG_STREAMS; i++) {
        if (state->read_fds[i] >= 0)
            close(state->read_fds[i]);
    }
    for (int i = 0; i < 3; i++) {
        if (state->stdio_fds[i] >= 0)
            close(state->stdio_fds[i]);
    }
    arena_release(&state->arena);
}

/* The container's end is open for reading too: without a keeper it blocks when it is full instead
 * of dying of SIGPIPE. */
static int pipe_new(int *ret_read, int *ret_container, struct error *err)
{
    int ends[2];
    char path[32]; /* "/proc/self/fd/2147483647" */
    int both, errnum;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_sys(err, errno, "make a pipe");
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[1]);
    both = open(path, O_RDWR | O_CLOEXEC);
    errnum = errno;
    close(ends[1]);
    if (both < 0) {
        close(ends[0]);
        return error_sys(err, errnum, "open a pipe for reading and writing");
    }
    /* Past the user's allowance it stays at 64 KiB. */
    (void)fcntl(ends[0], F_SETPIPE_SZ, LOG_PIPE_BYTES);
    *ret_read = ends[0];
    *ret_container = both;
    return 0;
}

static int make_pipes(struct build_state *state, struct error *err)
{
    const struct container_spec *spec = state->record.spec;
    int unused;

    if (spec->tty)
        return 0;
    for (int i = 0; i < LOG_STREAMS; i++) {
        if (pipe_new(&state->read_fds[i], &state->stdio_fds[i + 1], err) < 0)
            return -1;
        state->build.kept_fds[i] = state->read_fds[i];
        state->build.stdio_fds[i + 1] = state->stdio_fds[i + 1];
    }
    if (!spec->stdin_open)
        return 0;
    /* Nothing is ever written to it, and it never ends. */
    if (pipe_new(&unused, &state->stdio_fds[0], err) < 0)
        return -1;
    close(unused);
    state->build.stdio_fds[0] = state->stdio_fds[0];
    return 0;
}

/* ------------------------------------------------------------------ control group */

/* A new group for every run. One that cgroup.kill was used on can't be cloned into again: since
 * Linux 6.14 such a child is taken for one that escaped the kill and dies at once (the kernel
 * compares the kill counts of the parent's group and of the target). And a keeper that was killed
 * together with its zygote may have left processes that no record knows of. */
static int remove_old_cgroup(struct supervised *container, struct error *err)
{
    struct keeper *keeper = container->keeper;
    const char *project = keeper->place.project;

    if (!container->has_old_cgroup)
        return 0;
    if (cgroup_wait_empty(&keeper->layout, project, container->name, 0, err) != 0) {
        if (cgroup_kill(&keeper->layout, project, container->name, err) < 0)
            return -1;
        if (cgroup_wait_empty(&keeper->layout, project, container->name, LEFTOVER_WAIT_MS, err) !=
            0)
            return error_set(err, ERROR_TIMEOUT, "its former processes don't end");
    }
    return cgroup_remove(&keeper->layout, project, container->name, err);
}

/* All containers have the same device rules, so one program serves them all: the kernel takes 0.4
 * ms to check each that is loaded. */
static int need_device_filter(struct keeper *keeper, struct error *err)
{
    if (keeper->device_filter_fd >= 0)
        return 0;
    return cgroup_device_filter_load(&keeper->layout, NULL, 0, &keeper->device_filter_fd, err);
}

int build_cgroup(struct supervised *container, const struct container_spec *spec, struct error *err)
{
    struct keeper *keeper = container->keeper;
    struct cgroup_limits limits = CGROUP_LIMITS_INIT;

    if (container->cgroup.v2_fd >= 0 || container->cgroup.n_v1 > 0)
        return 0;
    if (!spec->privileged && need_device_filter(keeper, err) < 0)
        return -1;
    limits.memory_bytes = spec->memory_bytes;
    limits.nano_cpus = spec->nano_cpus;
    limits.pids_limit = spec->pids_limit;
    limits.all_devices = spec->privileged;
    limits.device_filter_fd = keeper->device_filter_fd;
    return cgroup_create(&keeper->layout, keeper->place.project, container->name, &limits,
                         &container->cgroup, err);
}

static int make_cgroup(struct supervised *container, struct build_state *state, struct error *err)
{
    if (remove_old_cgroup(container, err) < 0)
        return -1;
    container->has_old_cgroup = true;
    if (build_cgroup(container, state->record.spec, err) < 0)
        return -1;
    state->build.cgroup2_fd = container->cgroup.v2_fd;
    state->build.cgroup1_fds = container->cgroup.v1_procs_fds;
    state->build.n_cgroup1_fds = container->cgroup.n_v1;
    return 0;
}

/* The v1 hierarchies a container is shown, as mount options: controllers on one mount are one. */
static struct strings shown_hierarchies(struct arena *arena, const struct cgroup_layout *layout)
{
    struct strings list = {arena_new_array(arena, const char *, CGROUP_CONTROLLERS), 0};
    bool done[CGROUP_CONTROLLERS] = {false};

    for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
        const char *options;

        if (done[i] || !layout->v1_roots[i])
            continue;
        options = cgroup_controller_names[i];
        for (int j = i + 1; j < CGROUP_CONTROLLERS; j++) {
            if (!layout->v1_roots[j] || strcmp(layout->v1_roots[i], layout->v1_roots[j]) != 0)
                continue;
            options = arena_printf(arena, "%s,%s", options, cgroup_controller_names[j]);
            done[j] = true;
        }
        list.items[list.n++] = options;
    }
    return list;
}

/* ------------------------------------------------------------------ security */

int build_seccomp(struct keeper *keeper, const struct container_spec *spec, uint64_t capabilities,
                  struct buf *ret, struct error *err)
{
    int result;

    if (spec->privileged)
        return 0;
    result = seccomp_filter_read(keeper->place.run_fd, capabilities, ret, err);
    if (result == 1) /* the cache was emptied under us */
        result = seccomp_filter_get(keeper->place.run_fd, capabilities, ret, err);
    return result;
}

static int set_paths(struct keeper *keeper, struct container_build *build, struct error *err)
{
    if (keeper->masked_paths.n == 0 &&
        container_default_paths(&keeper->arena, &keeper->masked_paths, &keeper->read_only_paths,
                                err) < 0)
        return -1;
    build->masked_paths = keeper->masked_paths;
    build->read_only_paths = keeper->read_only_paths;
    return 0;
}

static int set_security(struct supervised *container, struct build_state *state, struct error *err)
{
    const struct container_spec *spec = state->record.spec;
    struct container_build *build = &state->build;

    if (capability_set(&spec->cap_add, &spec->cap_drop, spec->privileged, &build->capabilities,
                       err) < 0 ||
        build_seccomp(container->keeper, spec, build->capabilities, &state->seccomp, err) < 0)
        return -1;
    build->seccomp = state->seccomp.data;
    build->seccomp_size = state->seccomp.len;
    return spec->privileged ? 0 : set_paths(container->keeper, build, err);
}

/* ------------------------------------------------------------------ all of it */

static int set_files(struct supervised *container, struct build_state *state, struct error *err)
{
    struct keeper *keeper = container->keeper;
    struct container_build *build = &state->build;
    const struct strings *layers = &state->record.resolved.layers;
    struct build_mount *mounts;

    build->layers =
        (struct strings){arena_new_array(&state->arena, const char *, layers->n), layers->n};
    for (size_t i = 0; i < layers->n; i++) {
        if (!digest_is_valid(layers->items[i]))
            return error_set(err, ERROR_INVALID, "layer \"%s\" is no digest", layers->items[i]);
        build->layers.items[i] = arena_printf(&state->arena, "%s/%s", keeper->place.state_root,
                                              layer_path(&state->arena, layers->items[i]));
    }
    if (volumes_open(keeper, &state->arena, &state->record, &mounts, &build->n_mounts, err) < 0)
        return -1;
    build->mounts = mounts;
    if (attach_name_files(container, &state->record, err) < 0)
        return -1;
    build->has_hosts = build->has_resolv_conf = build->has_hostname = true;
    return 0;
}

static int gather(struct supervised *container, struct build_state *state, struct error *err)
{
    struct keeper *keeper = container->keeper;
    struct container_build *build = &state->build;

    if (container_record_read(keeper->place.state_fd, &state->arena, container->id, &state->record,
                              err) < 0)
        return -1;
    if (container->dir_fd < 0 &&
        container_dir_open(keeper->place.state_fd, container->id, &container->dir_fd, err) < 0)
        return -1;
    build->id = container->id;
    build->spec = state->record.spec;
    build->process = &state->record.resolved.process;
    build->dir_fd = container->dir_fd;
    if (make_cgroup(container, state, err) < 0 ||
        attach_networks(container, &state->record, err) < 0 ||
        attach_resolver(container, &state->record, err) < 0 ||
        set_files(container, state, err) < 0 || set_security(container, state, err) < 0 ||
        make_pipes(state, err) < 0)
        return -1;
    build->netns_fd = container->netns_fd;
    if (container->netns_fd >= 0 || build->spec->hostname)
        build->hostname = state->record.resolved.hostname;
    build->cgroup1_hierarchies = shown_hierarchies(&state->arena, &keeper->layout);
    return 0;
}

int build_container(struct supervised *container, struct error *err)
{
    struct build_state state = {
        .read_fds = {-1, -1},
        .stdio_fds = {-1, -1, -1},
        .build = CONTAINER_BUILD_INIT,
    };
    struct error why = ERROR_INIT;
    int result;

    result = keeper_zygote_need(container->keeper, err);
    if (result == 0)
        result = gather(container, &state, err);
    if (result == 0)
        result = container_prepare(&state.build, &state.prepared, err);
    if (result == 0) {
        probe_new(container, &state.record);
        result = zygote_spawn(&container->keeper->zygote, container->id, state.prepared, &why);
    }
    /* It has died, or was killed because it does not read: when that is noticed the container is
     * built again (adopt_zygote_death). Once: there may be a reason for its death. */
    if (result < 0 && why.code == ERROR_NOT_FOUND && !container->is_blind_retry) {
        container->is_blind_retry = true;
        result = 0;
    } else if (result < 0 && why.code != ERROR_NONE) {
        *err = why;
    }
    for (int i = 0; i < LOG_STREAMS && result == 0; i++) {
        if (state.read_fds[i] >= 0)
            supervise_watch_log(container, (enum log_stream)i, &state.read_fds[i], false);
    }
    build_state_release(&state);
    return result;
}
