/* Taking over: what a keeper finds when it starts, and what it does when its zygote dies.
 *
 *   keeper killed         the zygote starts this keeper and sends its inventory: a pidfd and the
 *                         read ends of the pipes of everything it watches
 *   zygote killed         its children become ours (we are their subreaper): watched by pidfd; what
 *                         was not running yet is built again
 *   both killed           processes are found by pid and start time in the records, pipes by their
 *                         inode in /proc/PID/fd; the end of such a process is told by its pidfd
 *                         (Linux 6.15), else its exit code is unknown
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/fs.h"
#include "engine/base/listener.h"
#include "engine/base/sys.h"
#include "engine/base/units.h"
#include "engine/keeper/supervisor.h"

enum { FDS_LOOKED_AT_MAX = 4096, STAT_MAX_BYTES = 4096 };

#ifndef PIPEFS_MAGIC
enum { PIPEFS_MAGIC = 0x50495045 };
#endif

/* ------------------------------------------------------------------ exit codes */

/* struct pidfd_info of Linux 6.15 (linux/pidfd.h), which is younger than our C library. */
struct pidfd_exit_info {
    uint64_t mask;
    uint64_t cgroup_id;
    uint32_t ids[11];  /* pid, tgid, ppid, four uids, four gids */
    int32_t exit_code; /* as from wait(2) */
};
static_assert(sizeof(struct pidfd_exit_info) == 64, "PIDFD_INFO_SIZE_VER0");

#define PIDFD_ASK_INFO _IOWR(0xFF, 11, struct pidfd_exit_info)
enum { PIDFD_ASK_EXIT = 1 << 3 };

static int code_of_status(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Its parent has not reaped it yet (a host's first process may take seconds): field 52 of
 * /proc/PID/stat. */
static int code_of_zombie(pid_t pid, int *ret_code)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct error ignored;
    struct str rest, last;
    char path[64]; /* "/proc/2147483647/stat" */
    uint64_t status;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (fs_read_file(AT_FDCWD, path, STAT_MAX_BYTES, &text, &ignored) < 0 ||
        !str_cut_last(buf_str(&text), ')', &(struct str){0}, &rest))
        return 1;
    rest = str_trim(rest);
    if (rest.len == 0 || rest.data[0] != 'Z' || !str_cut_last(rest, ' ', &rest, &last) ||
        parse_u64(last, 0, UINT16_MAX, &status, &ignored) < 0)
        return 1;
    *ret_code = code_of_status((int)status);
    return 0;
}

int adopt_exit_code(int pidfd, pid_t pid, int *ret_code)
{
    struct pidfd_exit_info info = {.mask = PIDFD_ASK_EXIT};
    siginfo_t end = {0};

    if (waitid(P_PIDFD, (id_t)pidfd, &end, WEXITED | WNOHANG) == 0) {
        if (end.si_pid == 0)
            return 1;
        *ret_code = end.si_code == CLD_EXITED ? end.si_status : 128 + end.si_status;
        return 0;
    }
    /* Not our child. */
    if (ioctl(pidfd, PIDFD_ASK_INFO, &info) == 0 && (info.mask & PIDFD_ASK_EXIT)) {
        *ret_code = code_of_status(info.exit_code);
        return 0;
    }
    return code_of_zombie(pid, ret_code);
}

/* ------------------------------------------------------------------ pipes of a running process */

/* Our end of a pipe that a process has open. It is opened through /proc, by what the container made
 * of its descriptor: only the pipe we know by its inode is taken. */
static int pipe_reopen(pid_t pid, const char *fd_name, uint64_t inode)
{
    char path[64]; /* "/proc/2147483647/fd/2147483647" */
    struct statfs where;
    struct stat status;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd/%.20s", (int)pid, fd_name);
    if (stat(path, &status) < 0 || !S_ISFIFO(status.st_mode) || status.st_ino != inode)
        return -1;
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) && status.st_ino == inode &&
        fstatfs(fd, &where) == 0 && where.f_type == PIPEFS_MAGIC)
        return fd;
    close(fd);
    return -1;
}

static int pipe_find(pid_t pid, uint64_t inode)
{
    cleanup_dir DIR *dir = NULL;
    const struct dirent *entry;
    char path[64]; /* "/proc/2147483647/fd" */
    int looked_at = 0;

    if (inode == 0)
        return -1;
    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    while (dir && (entry = readdir(dir)) && looked_at++ < FDS_LOOKED_AT_MAX) {
        int fd = entry->d_name[0] == '.' ? -1 : pipe_reopen(pid, entry->d_name, inode);

        if (fd >= 0)
            return fd;
    }
    return -1;
}

static void find_pipes(struct supervised *container)
{
    for (int i = 0; i < LOG_STREAMS; i++) {
        int fd;

        if (container->sources[i].fd >= 0)
            continue;
        fd = pipe_find(container->pid, container->pipe_inodes[i]);
        if (fd >= 0)
            supervise_watch_log(container, (enum log_stream)i, &fd, false);
    }
}

/* ------------------------------------------------------------------ a running container */

static void adopt_namespace(struct supervised *container, const struct container_record *record)
{
    char path[64]; /* "/proc/2147483647/ns/net" */
    struct error err = ERROR_INIT;

    if (container->netns_fd >= 0 ||
        (record->spec->network_mode && strcmp(record->spec->network_mode, "host") == 0))
        return;
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)container->pid);
    container->netns_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (container->netns_fd >= 0 && attach_resolver(container, record, &err) < 0)
        keeper_log("names for \"%s\": %s, continuing", container->name, err.text);
}

/* Our predecessor died before it could write where it had attached the container: the networks'
 * own records tell. */
static void adopt_endpoints(struct supervised *container, const struct container_record *record)
{
    const struct network_dirs dirs = keeper_network_dirs(container->keeper);
    const struct container_spec *spec = record->spec;
    struct error err = ERROR_INIT;

    if (container->n_endpoints > 0 || spec->n_networks == 0 || container->netns_fd < 0)
        return;
    free(container->endpoints);
    container->endpoints = x_alloc_array(spec->n_networks, sizeof(*container->endpoints));
    container->n_endpoints = spec->n_networks;
    for (size_t i = 0; i < spec->n_networks; i++) {
        cleanup_arena struct arena arena = ARENA_INIT;
        struct network_endpoints found = {0};

        container->endpoints[i].network = x_strdup(spec->networks[i].network);
        if (network_list_endpoints(&arena, &dirs, spec->networks[i].network, &found, &err) < 0)
            keeper_log("\"%s\": %s, continuing", container->name, err.text);
        for (size_t j = 0; j < found.n; j++) {
            if (strcmp(found.items[j].container, container->id) != 0)
                continue;
            memcpy(container->endpoints[i].ip, found.items[j].ip, sizeof(found.items[j].ip));
            memcpy(container->endpoints[i].mac, found.items[j].mac, sizeof(found.items[j].mac));
        }
    }
    supervise_changed(container);
}

/* It was built by our predecessor, and has not begun to run: what building would have given us. */
void adopt_armed(struct supervised *container)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct container_record record = {0};
    struct error err = ERROR_INIT;

    if (container_record_read(container->keeper->place.state_fd, &arena, container->id, &record,
                              &err) < 0) {
        keeper_log("\"%s\": %s, continuing", container->name, err.text);
    } else {
        probe_new(container, &record);
        adopt_namespace(container, &record);
        adopt_endpoints(container, &record);
    }
    container_record_release(&record);
}

/* The process runs: be its supervisor. Its pid and pidfd are set. */
static void adopt_running(struct supervised *container)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct keeper *keeper = container->keeper;
    struct container_record record = {0};
    struct error err = ERROR_INIT;
    enum health_status health = container->health.status;
    int streak = container->health.failing_streak;

    if (container_record_read(keeper->place.state_fd, &arena, container->id, &record, &err) < 0) {
        keeper_log("\"%s\": %s, continuing", container->name, err.text);
        return;
    }
    adopt_namespace(container, &record);
    adopt_endpoints(container, &record);
    attach_set_running(container, true);
    if (attach_ports(container, &record, &err) < 0)
        keeper_log("\"%s\": %s, continuing", container->name, err.text);
    probe_new(container, &record);
    probe_adopt(container, health, streak);
    container_record_release(&record);
}

void adopt_started(struct supervised *container)
{
    lifecycle_adopt(&container->life, LIFE_RUNNING, clock_monotonic_ns());
    adopt_running(container);
    container->has_waiters_to_check = true;
    supervise_changed(container);
}

/* ------------------------------------------------------------------ records */

static void load_state(struct supervised *container, const struct container_state *state)
{
    struct lifecycle *life = &container->life;

    life->exit_code = state->exit_code;
    life->restarts = state->restarts;
    life->stopped_by_user = state->stopped_by_user;
    container->is_tainted = state->tainted;
    container->is_oom_killed = state->oom_killed;
    container->started_ns = state->started_ns;
    container->finished_ns = state->finished_ns;
    /* The record says whether there is a check, the state what it found; a state from before the
     * first start has nothing to say. */
    if (container->health.status != HEALTH_NONE && state->health != HEALTH_NONE)
        container->health.status = state->health;
    container->health.failing_streak = state->health_failing_streak;
    container->health_output = state->health_output ? x_strdup(state->health_output) : NULL;
    memcpy(container->pipe_inodes, state->pipe_inodes, sizeof(container->pipe_inodes));
    container->endpoints = x_alloc_array(state->n_endpoints, sizeof(*container->endpoints));
    container->n_endpoints = state->n_endpoints;
    for (size_t i = 0; i < state->n_endpoints; i++) {
        const struct endpoint_info *info = &state->endpoints[i];
        struct supervised_endpoint *endpoint = &container->endpoints[i];

        endpoint->network = x_strdup(info->network);
        (void)snprintf(endpoint->ip, sizeof(endpoint->ip), "%s",
                       info->ipv4_address ? info->ipv4_address : "");
        (void)snprintf(endpoint->mac, sizeof(endpoint->mac), "%s",
                       info->mac_address ? info->mac_address : "");
    }
}

/* Only the numbers: attach_ports wants the same ones again. */
static void load_ports(struct supervised *container, const struct container_state *state)
{
    container->ports = x_alloc_array(state->n_ports, sizeof(*container->ports));
    container->n_ports = state->n_ports;
    for (size_t i = 0; i < state->n_ports; i++) {
        container->ports[i].reservation = (struct port_reservation)PORT_RESERVATION_INIT;
        container->ports[i].host_port = state->ports[i].host_port;
        container->ports[i].container_port = state->ports[i].container_port;
    }
}

/* What follows from the state of a container whose process may be known to the zygote, or to
 * nobody. */
static void resume(struct supervised *container, const struct container_state *state, bool is_alive)
{
    int64_t now_ns = clock_monotonic_ns();
    struct lifecycle *life = &container->life;

    switch (state->status) {
    case CONTAINER_CREATED:
        lifecycle_adopt(life, state->is_armed && is_alive ? LIFE_ARMED : LIFE_CREATED, now_ns);
        break;
    case CONTAINER_RUNNING:
        lifecycle_adopt(life, LIFE_RUNNING, now_ns);
        break;
    case CONTAINER_STOPPING:
        lifecycle_adopt(life, LIFE_STOPPING, now_ns);
        break;
    case CONTAINER_RESTARTING:
        lifecycle_adopt(life, LIFE_BACKOFF, now_ns);
        break;
    case CONTAINER_EXITED:
        lifecycle_adopt(life, LIFE_EXITED, now_ns);
        break;
    }
}

static void resume_timers(struct supervised *container)
{
    struct timeval wait = {0, 100000}; /* the first back-off */

    if (container->life.state == LIFE_STOPPING)
        wait = (struct timeval){container->life.grace_ns / NS_PER_S,
                                container->life.grace_ns % NS_PER_S / 1000};
    else if (container->life.state != LIFE_BACKOFF)
        return;
    event_add(container->timer, &wait);
}

/* Find the process by itself. Without a zygote that knows it. */
static void adopt_orphan(struct supervised *container, const struct container_state *state)
{
    int pidfd = pidfd_open(state->pid, 0);

    /* The pid may have been taken by another process just before pidfd_open. */
    if (pidfd >= 0 && sys_process_start_ticks(state->pid) != state->start_ticks) {
        close(pidfd);
        pidfd = -1;
    }
    if (pidfd < 0) {
        supervise_ended(container, -1);
        return;
    }
    if (container->life.state == LIFE_ARMED) {
        /* It waits for a byte from a zygote that is no more. Its end is not the container's: by
         * then that may run in another process. */
        lifecycle_adopt(&container->life, LIFE_CREATED, 0);
        (void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
        close(pidfd);
        return;
    }
    container->pid = state->pid;
    container->pidfd = pidfd;
    container->start_ticks = state->start_ticks;
    supervise_watch_pidfd(container);
    find_pipes(container);
    adopt_running(container);
}

static void adopt_record(struct keeper *keeper, const char *id)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct container_record record = {0};
    struct container_state state;
    struct supervised *container;
    struct error err = ERROR_INIT;
    bool is_alive;

    if (container_record_read(keeper->place.state_fd, &arena, id, &record, &err) < 0 ||
        container_state_read(keeper->place.state_fd, &arena, id, &state, &err) < 0) {
        keeper_log("container %.12s: %s, continuing", id, err.text);
        container_record_release(&record);
        return;
    }
    container = supervised_new(keeper, &record);
    container->has_old_cgroup = true;
    container_record_release(&record);
    is_alive = strcmp(state.boot_id, keeper->boot_id) == 0 && state.pid > 0 &&
               sys_process_start_ticks(state.pid) == state.start_ticks;
    /* With a zygote, an end that is not on disk yet comes with the inventory. */
    if (!keeper->is_adopting || strcmp(state.boot_id, keeper->boot_id) != 0)
        container->is_dirty = container_state_settle(&state, keeper->boot_id);
    load_state(container, &state);
    resume(container, &state, is_alive);
    if (container_dir_open(keeper->place.state_fd, id, &container->dir_fd, &err) < 0)
        keeper_log("container %.12s: %s, continuing", id, err.text);
    if (lifecycle_has_process(&container->life))
        load_ports(container, &state);
    if (is_alive && !keeper->is_adopting)
        adopt_orphan(container, &state);
    resume_timers(container);
}

int adopt_records(struct keeper *keeper, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct strings ids;

    if (container_ids_list(keeper->place.state_fd, &arena, keeper->place.project, &ids, err) < 0)
        return -1;
    for (size_t i = 0; i < ids.n && i < KEEPER_CONTAINERS_MAX; i++)
        adopt_record(keeper, ids.items[i]);
    return 0;
}

/* ------------------------------------------------------------------ the zygote's inventory */

static void take_fds(struct supervised *container, struct zygote_event *event)
{
    if (event->terminal_fd >= 0)
        supervise_watch_log(container, LOG_STREAM_STDOUT, &event->terminal_fd, true);
    for (int i = 0; i < LOG_STREAMS; i++) {
        if (event->kept_fds[i] >= 0)
            supervise_watch_log(container, (enum log_stream)i, &event->kept_fds[i], false);
    }
}

void adopt_inventory(struct keeper *keeper, struct zygote_event *event)
{
    struct supervised *container = keeper_find_id(keeper, event->id);
    struct lifecycle *life = &container->life;
    /* Its policy had it built again; nobody else would start it. */
    bool wants_run = life->state == LIFE_BACKOFF;

    container->is_in_inventory = true;
    if (event->pidfd >= 0) {
        container->pid = event->pid;
        container->pidfd = fd_take(&event->pidfd);
        container->start_ticks = sys_process_start_ticks(event->pid);
        patience_watch_end(container);
    }
    take_fds(container, event);
    switch (event->state) {
    case ZYGOTE_STATE_SPAWNED:
        lifecycle_adopt(life, LIFE_ARMING, 0);
        if (wants_run)
            supervise_event(container, LIFE_START);
        break;
    case ZYGOTE_STATE_ARMED:
        lifecycle_adopt(life, LIFE_ARMED, 0);
        adopt_armed(container);
        if (wants_run)
            supervise_event(container, LIFE_START);
        break;
    case ZYGOTE_STATE_STARTED:
        if (life->state != LIFE_STOPPING)
            lifecycle_adopt(life, LIFE_RUNNING, clock_monotonic_ns());
        if (container->started_ns == 0)
            container->started_ns = clock_realtime_ns();
        adopt_running(container);
        break;
    case ZYGOTE_STATE_ENDED:
        /* Its end follows. If the last keeper has recorded it, it is only to be forgotten. */
        if (life->state == LIFE_CREATED)
            lifecycle_adopt(life, LIFE_ARMING, 0);
        break;
    }
    supervise_changed(container);
    patience_ask(container);
}

/* The zygote doesn't know it: a child of a zygote before this one, or it has ended and was
 * forgotten, or nobody's. */
static void adopt_unknown(struct supervised *container)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const struct keeper *keeper = container->keeper;
    struct container_state state;
    struct error err = ERROR_INIT;

    if (container_state_read(keeper->place.state_fd, &arena, container->id, &state, &err) == 0 &&
        strcmp(state.boot_id, keeper->boot_id) == 0 && state.pid > 0)
        adopt_orphan(container, &state);
    else if (container->life.state == LIFE_ARMED)
        lifecycle_adopt(&container->life, LIFE_CREATED, 0);
    else
        supervise_ended(container, -1);
}

void adopt_inventory_end(struct keeper *keeper)
{
    struct error err = ERROR_INIT;

    keeper->is_adopting = false;
    if (keeper->listener && listener_on(keeper->listener, &err) < 0)
        keeper_log("%s, continuing", err.text);
    list_for_each (pos, &keeper->containers) {
        struct supervised *container = container_of(pos, struct supervised, link);

        if (!container->is_in_inventory && lifecycle_has_process(&container->life))
            adopt_unknown(container);
    }
}

/* ------------------------------------------------------------------ the zygote is dead */

static void rebuild(struct supervised *container)
{
    struct keeper *keeper = container->keeper;
    bool wants_run = container->life.wants_run;
    struct error err = ERROR_INIT;

    if (cgroup_kill(&keeper->layout, keeper->place.project, container->name, &err) < 0)
        keeper_log("\"%s\": %s, continuing", container->name, err.text);
    supervise_close_log(container);
    supervise_forget_process(container);
    lifecycle_adopt(&container->life, LIFE_CREATED, 0);
    supervise_event(container, wants_run ? LIFE_START : LIFE_BUILD);
}

/* It was to end before the zygote had told of it. */
static void never_born(struct supervised *container)
{
    struct keeper *keeper = container->keeper;
    struct error err = ERROR_INIT;

    if (cgroup_kill(&keeper->layout, keeper->place.project, container->name, &err) < 0)
        keeper_log("\"%s\": %s, continuing", container->name, err.text);
    supervise_ended(container, 128 + SIGKILL);
}

void adopt_zygote_death(struct keeper *keeper)
{
    exec_zygote_gone(keeper);
    list_for_each (pos, &keeper->containers) {
        struct supervised *container = container_of(pos, struct supervised, link);

        container->has_to_forget = false;
        switch (container->life.state) {
        case LIFE_ARMING:
        case LIFE_ARMED:
        case LIFE_STARTING:
            rebuild(container);
            break;
        case LIFE_RUNNING:
        case LIFE_STOPPING:
            if (container->pidfd < 0)
                never_born(container);
            else if (!container->is_orphan)
                supervise_watch_pidfd(container);
            break;
        case LIFE_CREATED:
        case LIFE_BACKOFF:
        case LIFE_EXITED:
            break;
        }
    }
}
