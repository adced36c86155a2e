/* Containers under supervision: carries out what the lifecycle asks for, and tells it what
 * happened. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/json.h"
#include "engine/base/sys.h"
#include "engine/base/trace.h"
#include "engine/base/units.h"
#include "engine/keeper/supervisor.h"
#include "engine/volume/volume.h"

enum { EXIT_UNKNOWN = -1, EXIT_POLLS_MAX = 500, DRAIN_TURNS_MAX = 8 };

static void timer_came(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    supervise_event(context, LIFE_TIMER);
}

struct supervised *supervised_new(struct keeper *keeper, const struct container_record *record)
{
    struct supervised *container = x_alloc(sizeof(*container));
    int stop_signal = SIGTERM;
    struct error ignored;

    container->keeper = keeper;
    memcpy(container->id, record->id, strnlen(record->id, CONTAINER_ID_SIZE - 1));
    container->name = x_strdup(record->name);
    container->publishes_ports = record->spec->n_ports > 0;
    container->dir_fd = container->pidfd = container->netns_fd = -1;
    container->cgroup = (struct cgroup)CGROUP_INIT;
    container->log = (struct log_file)LOG_FILE_INIT;
    for (int i = 0; i < LOG_STREAMS; i++)
        container->sources[i].fd = -1;
    list_init(&container->waiters);
    container->timer = evtimer_new(keeper->base, timer_came, container);
    /* An unreadable signal name in the image: TERM, as Docker. */
    (void)parse_signal(str_from(record->resolved.process.stop_signal), &stop_signal, &ignored);
    lifecycle_init(&container->life, record->spec, stop_signal);
    health_init(&container->health, &record->resolved.health);
    list_append(&keeper->containers, &container->link);
    return container;
}

void supervise_forget_process(struct supervised *container)
{
    if (container->pidfd_event)
        event_free(container->pidfd_event);
    container->pidfd_event = NULL;
    if (container->pidfd >= 0)
        close(container->pidfd);
    cgroup_release(&container->cgroup);
    container->pidfd = -1;
    container->pid = 0;
    container->start_ticks = 0;
    container->is_orphan = container->has_ended = false;
}

void supervised_free(struct supervised *container)
{
    struct error gone = {.code = ERROR_CANCELLED, .text = "the container was removed"};

    control_fail_waiters(container, &gone);
    probe_free(container);
    supervise_close_log(container);
    supervise_forget_process(container);
    attach_release(container);
    for (size_t i = 0; i < container->n_endpoints; i++)
        free(container->endpoints[i].network);
    free(container->endpoints);
    if (container->dir_fd >= 0)
        close(container->dir_fd);
    event_free(container->timer);
    free(container->health_output);
    free(container->name);
    list_remove(&container->link);
    free(container);
}

void supervise_changed(struct supervised *container)
{
    container->is_dirty = true;
    container->has_news = true;
}

/* ------------------------------------------------------------------ state on disk */

void supervised_state(const struct supervised *container, struct arena *arena,
                      struct container_state *ret)
{
    *ret = (struct container_state){
        .status = lifecycle_status(&container->life),
        .is_armed = container->life.state == LIFE_ARMED,
        .pid = container->pid,
        .start_ticks = container->start_ticks,
        .exit_code = container->life.exit_code,
        .oom_killed = container->is_oom_killed,
        .stopped_by_user = container->life.stopped_by_user,
        .tainted = container->is_tainted,
        .restarts = container->life.restarts,
        .started_ns = container->started_ns,
        .finished_ns = container->finished_ns,
        .health = container->health.status,
        .health_failing_streak = container->health.failing_streak,
        .health_output = container->health_output,
        .pipe_inodes = {container->pipe_inodes[0], container->pipe_inodes[1]},
        .endpoints = arena_new_array(arena, struct endpoint_info, container->n_endpoints),
        .n_endpoints = container->n_endpoints,
        .ports = arena_new_array(arena, struct published_port, container->n_ports),
        .n_ports = container->n_ports,
    };
    memcpy(ret->boot_id, container->keeper->boot_id, sizeof(ret->boot_id));
    for (size_t i = 0; i < container->n_endpoints; i++)
        ret->endpoints[i] = (struct endpoint_info){
            container->endpoints[i].network,
            container->endpoints[i].ip,
            container->endpoints[i].mac,
        };
    for (size_t i = 0; i < container->n_ports; i++)
        ret->ports[i] = (struct published_port){
            .host_ip = container->ports[i].host_ip,
            .host_port = container->ports[i].host_port,
            .container_port = container->ports[i].container_port,
            .protocol = port_protocol_names[container->ports[i].protocol],
        };
}

int supervise_write_state(struct supervised *container, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct container_state state;

    if (container->dir_fd < 0 && container_dir_open(container->keeper->place.state_fd,
                                                    container->id, &container->dir_fd, err) < 0)
        return -1;
    supervised_state(container, &arena, &state);
    return container_state_write(container->dir_fd, &state, err);
}

/* ------------------------------------------------------------------ logs */

static void log_readable(evutil_socket_t fd, short what, void *context)
{
    /* A pipe that is full makes no edge any more: what failed has to be tried again. */
    static const struct timeval moment = {0, 100000};
    struct log_source *source = context;
    struct supervised *container = container_of(source, struct supervised, sources[source->stream]);
    struct event *event = container->source_events[source->stream];
    struct error err = ERROR_INIT;
    int more = log_pump_run(container->keeper->pump, source, false, &err);

    (void)fd;
    if (more < 0) {
        if (!(what & EV_TIMEOUT)) /* once */
            keeper_log("log of \"%s\": %s, trying again", container->name, err.text);
        event_add(event, &moment);
    } else if (what & EV_TIMEOUT) {
        event_remove_timer(event);
    }
    container->has_more_log[source->stream] = more > 0;
}

/* Only between the turns of the loop: libevent runs what a callback activates in the same turn, and
 * a container that floods its log would be all that we ever serve. */
void supervise_go_on_logging(struct supervised *container)
{
    for (int i = 0; i < LOG_STREAMS; i++) {
        if (container->has_more_log[i] && container->source_events[i])
            event_active(container->source_events[i], EV_READ, 0);
        container->has_more_log[i] = false;
    }
}

static void close_source(struct supervised *container, enum log_stream stream)
{
    if (container->source_events[stream])
        event_free(container->source_events[stream]);
    container->source_events[stream] = NULL;
    if (container->sources[stream].fd >= 0)
        close(container->sources[stream].fd);
    container->sources[stream].fd = -1;
}

void supervise_watch_log(struct supervised *container, enum log_stream stream, int *fd,
                         bool is_terminal)
{
    struct log_source *source;
    struct stat status;
    struct error err = ERROR_INIT;

    close_source(container, stream);
    source = &container->sources[stream];
    *source = (struct log_source){
        .id = container->id,
        .dir_fd = container->dir_fd,
        .file = &container->log,
        .stream = stream,
        .fd = fd_take(fd),
        .is_terminal = is_terminal,
    };
    if (fstat(source->fd, &status) == 0)
        container->pipe_inodes[stream] = status.st_ino;
    (void)fcntl(source->fd, F_SETFL, O_RDONLY | O_NONBLOCK); /* blocking would only slow us down */
    if (container->log.fd < 0 && log_open(container->dir_fd, &container->log, &err) < 0)
        keeper_log("log of \"%s\": %s, continuing", container->name, err.text);
    if (!is_terminal && log_pump_recover(container->keeper->pump, source, &err) < 0)
        keeper_log("log of \"%s\": %s, continuing", container->name, err.text);
    container->source_events[stream] = event_new(
        container->keeper->base, source->fd, EV_READ | EV_PERSIST | EV_ET, log_readable, source);
    event_add(container->source_events[stream], NULL);
    /* Edge-triggered: what is in it already makes no edge. */
    event_active(container->source_events[stream], EV_READ, 0);
}

/* Take what is left, the last line without its end too. Who was given the pipe by the container may
 * still write: no more than a pipe holds. */
static void drain_logs(struct supervised *container)
{
    for (int i = 0; i < LOG_STREAMS; i++) {
        struct error err = ERROR_INIT;
        int more = container->sources[i].fd >= 0 ? 1 : 0;

        for (int turns = 0; more > 0 && turns < DRAIN_TURNS_MAX; turns++)
            more = log_pump_run(container->keeper->pump, &container->sources[i], true, &err);
        if (more < 0)
            keeper_log("log of \"%s\": %s, continuing", container->name, err.text);
    }
}

void supervise_close_log(struct supervised *container)
{
    for (int i = 0; i < LOG_STREAMS; i++)
        close_source(container, (enum log_stream)i);
    log_close(&container->log);
}

/* ------------------------------------------------------------------ requests */

/* The zygote knows one process per id: its last end has to be on disk and forgotten. */
static int forget_last_run(struct supervised *container, struct error *err)
{
    if (!container->has_to_forget)
        return 0;
    container->has_to_forget = false;
    if (supervise_write_state(container, err) < 0)
        return -1;
    return zygote_forget(&container->keeper->zygote, container->id, err);
}

static void act_build(struct supervised *container)
{
    struct error err = ERROR_INIT;

    container->failure.code = ERROR_NONE;
    container->is_oom_killed = container->is_tainted = false;
    if (forget_last_run(container, &err) < 0 || build_container(container, &err) < 0)
        supervise_failed(container, EXIT_UNKNOWN, &err);
}

static int publish(struct supervised *container, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct container_record record = {0};
    int result;

    if (!container->publishes_ports || container->n_ports > 0)
        return 0;
    if (container_record_read(container->keeper->place.state_fd, &arena, container->id, &record,
                              err) < 0)
        return -1;
    result = attach_ports(container, &record, err);
    container_record_release(&record);
    return result;
}

static void act_go(struct supervised *container)
{
    struct error err = ERROR_INIT;

    attach_set_running(container, true);
    if (publish(container, &err) < 0 ||
        zygote_go(&container->keeper->zygote, container->id, &err) < 0) {
        container->failure = err;
        container->is_tainted = true;
        supervise_changed(container);
        (void)cgroup_kill(&container->keeper->layout, container->keeper->place.project,
                          container->name, &err);
    }
}

static void kill_all(struct supervised *container)
{
    struct keeper *keeper = container->keeper;
    struct error err = ERROR_INIT;

    if (keeper->layout.has_kill && keeper->layout.v2_root) {
        if (cgroup_kill(&keeper->layout, keeper->place.project, container->name, &err) == 0)
            return;
        keeper_log("kill \"%s\": %s, continuing", container->name, err.text);
    }
    /* The end of the first process ends its pid namespace. */
    if (container->pidfd >= 0)
        (void)pidfd_send_signal(container->pidfd, SIGKILL, NULL, 0); /* gone: its end comes */
}

static void act_signal(struct supervised *container, int signal)
{
    if (container->pidfd < 0)
        return;
    if (container->life.state == LIFE_STOPPING && signal == container->life.stop_signal &&
        shield_ignores(container->pid, signal)) {
        trace(TRACE_KEEPER, "\"%s\" can't receive %s: killed at once", container->name,
              signal_name(signal));
        kill_all(container);
        return;
    }
    (void)pidfd_send_signal(container->pidfd, signal, NULL, 0); /* gone: its end comes */
}

static void act_timer(struct supervised *container, int64_t at_ns)
{
    int64_t wait_ns = at_ns - clock_monotonic_ns();
    struct timeval wait;

    event_del(container->timer);
    if (at_ns == 0)
        return;
    if (wait_ns < 0)
        wait_ns = 0;
    wait = (struct timeval){wait_ns / NS_PER_S, wait_ns % NS_PER_S / 1000};
    event_add(container->timer, &wait);
}

static void act_ended(struct supervised *container)
{
    struct keeper *keeper = container->keeper;

    container->is_oom_killed =
        container->pid > 0 &&
        cgroup_oom_count(&keeper->layout, keeper->place.project, container->name) > 0;
    probe_stop(container);
    attach_set_running(container, false);
    drain_logs(container);
    supervise_close_log(container);
    supervise_forget_process(container);
    container->finished_ns = clock_realtime_ns();
}

/* What a reader or a successor would see differently is written; what a watcher would, is told.
 * ("arming" and "starting" are neither: a successor learns of them from the zygote.) */
static void note_change(struct supervised *container, enum container_status before)
{
    container->has_waiters_to_check = true;
    if (lifecycle_status(&container->life) != before)
        supervise_changed(container);
    else if (container->life.state == LIFE_ARMED)
        container->is_dirty = true;
}

void supervise(struct supervised *container, const struct life_input *input)
{
    enum life_state before = container->life.state;
    enum container_status status = lifecycle_status(&container->life);
    struct life_requests requests;

    lifecycle_handle(&container->life, input, &requests);
    if (container->life.state != before) {
        trace(TRACE_KEEPER, "\"%s\" %s: %s -> %s", container->name, life_event_names[input->event],
              life_state_names[before], life_state_names[container->life.state]);
        note_change(container, status);
    }
    for (int i = 0; i < requests.n; i++) {
        const struct life_request *request = &requests.items[i];

        switch (request->kind) {
        case REQUEST_BUILD:
            act_build(container);
            break;
        case REQUEST_GO:
            act_go(container);
            break;
        case REQUEST_SIGNAL:
            act_signal(container, request->signal);
            break;
        case REQUEST_KILL:
            kill_all(container);
            break;
        case REQUEST_TIMER:
            act_timer(container, request->at_ns);
            break;
        case REQUEST_ENDED:
            act_ended(container);
            break;
        }
    }
    if (container->life.state == LIFE_EXITED && before != LIFE_EXITED)
        attach_release(container);
    patience_ask(container);
}

void supervise_event(struct supervised *container, enum life_event event)
{
    supervise(container, &(struct life_input){.event = event, .now_ns = clock_monotonic_ns()});
}

void supervise_failed(struct supervised *container, int exit_code, const struct error *why)
{
    struct life_input input = {
        .event = LIFE_FAILED, .now_ns = clock_monotonic_ns(), .exit_code = exit_code};

    if (container->failure.code == ERROR_NONE)
        container->failure = *why;
    container->is_tainted = container->is_dirty = true;
    supervise(container, &input);
}

void supervise_ended(struct supervised *container, int exit_code)
{
    struct life_input input = {
        .event = LIFE_EXIT, .now_ns = clock_monotonic_ns(), .exit_code = exit_code};

    supervise(container, &input);
}

/* ------------------------------------------------------------------ what the zygote says */

static void on_spawned(struct supervised *container, struct zygote_event *event)
{
    container->pid = event->pid;
    container->pidfd = fd_take(&event->pidfd);
    container->start_ticks = sys_process_start_ticks(event->pid);
    container->is_blind_retry = false;
    patience_watch_end(container);
    /* It was to die before it was born. */
    if (container->life.state == LIFE_STOPPING)
        kill_all(container);
}

static void on_armed(struct supervised *container, struct zygote_event *event)
{
    if (event->terminal_fd >= 0)
        supervise_watch_log(container, LOG_STREAM_STDOUT, &event->terminal_fd, true);
    if (container->is_in_inventory && container->netns_fd < 0)
        adopt_armed(container); /* spawned by our predecessor */
    supervise_event(container, LIFE_IS_ARMED);
}

static void on_started(struct supervised *container)
{
    container->started_ns = clock_realtime_ns();
    container->finished_ns = 0;
    if (container->life.state == LIFE_ARMED) { /* our predecessor let it go, and died */
        adopt_started(container);
        return;
    }
    supervise_event(container, LIFE_EXEC_OK);
    if (container->life.state == LIFE_RUNNING)
        probe_start(container);
}

void supervise_zygote_event(struct keeper *keeper, struct zygote_event *event)
{
    struct supervised *container;

    if (event->kind == ZYGOTE_INVENTORY_END) {
        adopt_inventory_end(keeper);
        return;
    }
    if (event->kind == ZYGOTE_ALIVE) {
        patience_rewarded(keeper);
        return;
    }
    if (exec_handle_event(keeper, event))
        return;
    container = keeper_find_id(keeper, event->id);
    if (!container) {
        struct error ignored;

        if (event->kind == ZYGOTE_EXITED || event->kind == ZYGOTE_FAILED)
            (void)zygote_forget(&keeper->zygote, event->id, &ignored);
        return;
    }
    switch (event->kind) {
    case ZYGOTE_SPAWNED:
        on_spawned(container, event);
        break;
    case ZYGOTE_ARMED:
        on_armed(container, event);
        break;
    case ZYGOTE_STARTED:
        on_started(container);
        break;
    case ZYGOTE_FAILED:
        container->has_to_forget = true;
        supervise_failed(container, event->exit_code, &event->error);
        break;
    case ZYGOTE_EXITED:
        container->has_to_forget = true;
        /* A keeper that was killed before the zygote could forget has recorded it. */
        if (!lifecycle_has_process(&container->life)) {
            container->is_dirty = true;
            break;
        }
        supervise_ended(container, event->exit_code);
        break;
    case ZYGOTE_INVENTORY:
        adopt_inventory(keeper, event);
        break;
    case ZYGOTE_INVENTORY_END:
    case ZYGOTE_ALIVE:
        break;
    }
}

/* ------------------------------------------------------------------ processes of somebody else */

/* The kernel tells the code once the process is reaped, a moment after it has ended: from then on
 * the event that watched the pidfd is a clock, and goes with the container all the same. */
static void ask_exit_code(evutil_socket_t fd, short what, void *context)
{
    static const struct timeval moment = {0, 2000};
    struct supervised *container = context;
    int exit_code = EXIT_UNKNOWN;

    (void)fd;
    (void)what;
    if (!container->is_orphan || container->pidfd < 0)
        return;
    if (adopt_exit_code(container->pidfd, container->pid, &exit_code) == 1 &&
        container->n_exit_polls++ < EXIT_POLLS_MAX) {
        if (container->n_exit_polls == 1)
            event_assign(container->pidfd_event, container->keeper->base, -1, 0, ask_exit_code,
                         container);
        event_add(container->pidfd_event, &moment);
        return;
    }
    supervise_ended(container, exit_code);
}

void supervise_watch_pidfd(struct supervised *container)
{
    if (container->pidfd_event)
        event_free(container->pidfd_event);
    container->is_orphan = true;
    container->n_exit_polls = 0;
    container->pidfd_event =
        event_new(container->keeper->base, container->pidfd, EV_READ, ask_exit_code, container);
    event_add(container->pidfd_event, NULL);
}

/* ------------------------------------------------------------------ removing */

void supervise_remove(struct supervised *container, bool with_volumes, struct error *ret_failure)
{
    struct keeper *keeper = container->keeper;
    cleanup_arena struct arena arena = ARENA_INIT;
    struct container_record record = {0};
    struct error one = ERROR_INIT;

    *ret_failure = (struct error)ERROR_INIT;
    if (container->n_endpoints == 0 &&
        container_record_read(keeper->place.state_fd, &arena, container->id, &record, &one) < 0 &&
        one.code != ERROR_NOT_FOUND)
        error_gather(ret_failure, &one);
    attach_detach(container, record.json ? &record : NULL);
    if (cgroup_remove(&keeper->layout, keeper->place.project, container->name, &one) < 0)
        error_gather(ret_failure, &one);
    if (with_volumes && volume_remove_anonymous(keeper->place.state_fd, container->name, &one) < 0)
        error_gather(ret_failure, &one);
    if (container_record_remove(keeper->place.state_fd, container->id, container->name,
                                keeper->place.project, &one) < 0)
        error_gather(ret_failure, &one);
    keeper->has_removed = true;
    container_record_release(&record);
    if (container->has_to_forget)
        (void)zygote_forget(&keeper->zygote, container->id, &one); /* its keeper knows no more */
}
