/* Health checks: runs what health.c schedules. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/fs.h"
#include "engine/base/trace.h"
#include "engine/keeper/supervisor.h"

/* While a container starts: how often its listening sockets are looked at. */
enum { PIPE_BYTES = 64 << 10 };

static const int64_t SOCKET_TICK_NS = 5 * NS_PER_MS;

struct probe {
    struct supervised *container;
    struct event *timer;
    struct container_prepared *prepared; /* the same for every probe of a run */
    struct exec *exec;                   /* running */
    bool has_timed_out;
    int read_fd, write_fd; /* what probes print */
    struct event *read_event;
    struct buf output; /* of the running probe */
    struct socket_watch *sockets;
};

static void schedule(struct probe *probe)
{
    struct health *health = &probe->container->health;
    int64_t next_ns = health_next_ns(health), wait_ns;
    struct timeval wait;

    event_del(probe->timer);
    if (next_ns == 0)
        return;
    wait_ns = next_ns - clock_monotonic_ns();
    if (probe->sockets && health_wants_pokes(health) && wait_ns > SOCKET_TICK_NS)
        wait_ns = SOCKET_TICK_NS;
    if (wait_ns < 0)
        wait_ns = 0;
    wait = (struct timeval){wait_ns / NS_PER_S, wait_ns % NS_PER_S / 1000};
    event_add(probe->timer, &wait);
}

/* ------------------------------------------------------------------ output */

/* At most what a pipe holds: a probe that floods us is not all that we serve. */
static void read_output(struct probe *probe)
{
    char chunk[HEALTH_OUTPUT_MAX];
    size_t total = 0;
    ssize_t n;

    while (total < PIPE_BYTES && (n = fs_read(probe->read_fd, chunk, sizeof(chunk))) > 0) {
        total += (size_t)n;
        buf_add(&probe->output, chunk, (size_t)n);
        if (probe->output.len > HEALTH_OUTPUT_MAX)
            buf_consume(&probe->output, probe->output.len - HEALTH_OUTPUT_MAX);
    }
}

static void output_readable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    read_output(context);
}

/* Records are UTF-8: anything else a probe prints becomes '?'. */
static void keep_output(struct probe *probe, const struct error *failure)
{
    struct supervised *container = probe->container;

    read_output(probe);
    free(container->health_output);
    if (failure) {
        container->health_output = x_strdup(failure->text);
    } else {
        container->health_output = x_strndup(buf_text(&probe->output), probe->output.len);
        for (char *at = container->health_output; *at; at++) {
            if ((unsigned char)*at >= 0x80 || ((unsigned char)*at < ' ' && !strchr("\n\t", *at)))
                *at = '?';
        }
    }
    buf_release(&probe->output);
}

/* ------------------------------------------------------------------ one probe */

static void probe_done(void *context, int exit_code, const struct error *failure)
{
    struct probe *probe = context;
    struct supervised *container = probe->container;
    struct error late = ERROR_INIT;
    int streak = container->health.failing_streak;
    bool changed;

    probe->exec = NULL;
    if (probe->has_timed_out) {
        error_set(&late, ERROR_TIMEOUT, "health check exceeded timeout (%lld ms)",
                  (long long)(container->health.timeout_ns / NS_PER_MS));
        failure = &late;
    }
    probe->has_timed_out = false;
    keep_output(probe, failure);
    changed = health_probed(&container->health, clock_monotonic_ns(), !failure && exit_code == 0);
    trace(TRACE_HEALTH, "\"%s\": probe %d, %s", container->name, exit_code,
          health_status_names[container->health.status]);
    if (changed || streak != container->health.failing_streak)
        supervise_changed(container);
    schedule(probe);
}

static int open_output(struct probe *probe, struct error *err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_sys(err, errno, "make a pipe");
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    probe->read_fd = ends[0];
    probe->read_event = event_new(probe->container->keeper->base, ends[0], EV_READ | EV_PERSIST,
                                  output_readable, probe);
    event_add(probe->read_event, NULL);
    probe->write_fd = ends[1];
    return 0;
}

static struct strings probe_argv(struct arena *arena, const struct strings *test)
{
    struct strings argv = {arena_new_array(arena, const char *, test->n + 2), 0};

    if (strcmp(test->items[0], "CMD-SHELL") == 0) {
        argv.items[argv.n++] = "/bin/sh";
        argv.items[argv.n++] = "-c";
    }
    for (size_t i = 1; i < test->n; i++)
        argv.items[argv.n++] = test->items[i];
    return argv;
}

static int prepare(struct probe *probe, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct supervised *container = probe->container;
    struct container_record record = {0};
    struct exec_build build = EXEC_BUILD_INIT;
    int result;

    if (container_record_read(container->keeper->place.state_fd, &arena, container->id, &record,
                              err) < 0)
        return -1;
    result = open_output(probe, err);
    if (result == 0) {
        build.argv = probe_argv(&arena, &record.resolved.health.test);
        build.environment = record.resolved.process.environment;
        build.user = record.resolved.process.user;
        build.working_dir = record.resolved.process.working_dir;
        build.stdio_fds[1] = build.stdio_fds[2] = probe->write_fd;
        result = exec_prepare(container, &record, &build, &probe->prepared, err);
    }
    container_record_release(&record);
    return result;
}

static int run(struct probe *probe, struct error *err)
{
    struct exec_options options = {
        .container = probe->container, .done = probe_done, .context = probe};

    if (!probe->prepared && prepare(probe, err) < 0)
        return -1;
    options.prepared = probe->prepared;
    return exec_start(&options, &probe->exec, err);
}

static void probe_tick(evutil_socket_t fd, short what, void *context)
{
    struct probe *probe = context;
    struct health *health = &probe->container->health;
    struct error err = ERROR_INIT;

    (void)fd;
    (void)what;
    if (probe->sockets && health_wants_pokes(health) && socket_watch_has_new(probe->sockets))
        health_poke(health, clock_monotonic_ns());
    switch (health_due(health, clock_monotonic_ns())) {
    case HEALTH_WAIT:
        break;
    case HEALTH_PROBE:
        if (run(probe, &err) < 0) {
            probe_done(probe, -1, &err);
            return;
        }
        break;
    case HEALTH_KILL_PROBE:
        probe->has_timed_out = true;
        if (probe->exec)
            exec_kill(probe->exec, SIGKILL);
        break;
    }
    if (!health_wants_pokes(health)) {
        socket_watch_free(probe->sockets);
        probe->sockets = NULL;
    }
    schedule(probe);
}

/* ------------------------------------------------------------------ doors */

void probe_new(struct supervised *container, const struct container_record *record)
{
    struct probe *probe = container->probe;

    health_init(&container->health, &record->resolved.health);
    if (container->health.status == HEALTH_NONE) {
        probe_free(container);
        return;
    }
    if (!probe) {
        probe = x_alloc(sizeof(*probe));
        probe->container = container;
        probe->read_fd = probe->write_fd = -1;
        probe->timer = evtimer_new(container->keeper->base, probe_tick, probe);
        container->probe = probe;
    }
}

void probe_start(struct supervised *container)
{
    struct probe *probe = container->probe;
    struct error err = ERROR_INIT;

    if (!probe)
        return;
    health_start(&container->health, clock_monotonic_ns());
    if (container->netns_fd >= 0 &&
        socket_watch_new(container->netns_fd, &probe->sockets, &err) < 0)
        trace(TRACE_HEALTH, "\"%s\": %s, probed by the clock alone", container->name, err.text);
    supervise_changed(container);
    schedule(probe);
}

void probe_adopt(struct supervised *container, enum health_status status, int streak)
{
    probe_start(container);
    if (container->probe)
        health_adopt(&container->health, status, streak, clock_monotonic_ns());
}

void probe_stop(struct supervised *container)
{
    struct probe *probe = container->probe;

    if (!probe)
        return;
    health_stop(&container->health);
    event_del(probe->timer);
    if (probe->exec)
        exec_orphan(probe->exec);
    probe->exec = NULL;
    probe->has_timed_out = false;
    if (probe->read_event)
        event_free(probe->read_event);
    probe->read_event = NULL;
    container_prepared_release(probe->prepared);
    probe->prepared = NULL;
    if (probe->read_fd >= 0)
        close(probe->read_fd);
    if (probe->write_fd >= 0)
        close(probe->write_fd);
    probe->read_fd = probe->write_fd = -1;
    socket_watch_free(probe->sockets);
    probe->sockets = NULL;
    buf_release(&probe->output);
}

void probe_free(struct supervised *container)
{
    if (!container->probe)
        return;
    probe_stop(container);
    event_free(container->probe->timer);
    free(container->probe);
    container->probe = NULL;
}
