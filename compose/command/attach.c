/* Watching containers from the foreground. */

#include "compose/command/attach.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "compose/command/command.h"
#include "compose/command/log_stream.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/vec.h"

enum { EXIT_SIGNAL_BASE = 128 };

int64_t attach_now(void)
{
    return clock_realtime_ns();
}

/* A container in the foreground. */
struct watched {
    const char *name, *short_name, *service;
    bool has_ended;
    int exit_code;
};

struct foreground {
    struct cli_context *context;
    struct engine *engine;
    const struct desired *desired;
    const struct attach_options *options;
    int signal_fd;
    struct log_stream *logs;
    struct engine_session *session;
    struct watched *watched;
    size_t n_watched;
    size_t n_running;
    const struct watched *first_ended; /* that decides the exit code */
    int n_signals;
    int last_signal;
    bool wants_stop;
    bool has_more_logs; /* the last turn did not print all there is */
};

static int pump_all(struct log_stream *logs, struct error *err)
{
    int result;

    do
        result = log_stream_pump(logs, err);
    while (result > 0);
    return result;
}

/* ---- events -------------------------------------------------------------------------------------
 */

static void note_state(struct foreground *foreground, const struct session_event *event)
{
    for (size_t i = 0; i < foreground->n_watched; i++) {
        struct watched *watched = &foreground->watched[i];
        bool ended = event->status == CONTAINER_EXITED || event->status == CONTAINER_CREATED;

        if (!text_equal(watched->name, event->name) || watched->has_ended == ended)
            continue;
        watched->has_ended = ended;
        watched->exit_code = event->exit_code;
        if (!ended) {
            foreground->n_running++;
            continue;
        }
        foreground->n_running--;
        if (!foreground->first_ended)
            foreground->first_ended = watched;
        if (foreground->options->abort_on_exit)
            foreground->wants_stop = true;
        (void)log_stream_pump(foreground->logs, NULL); /* its last words stand before its end */
        dprintf(STDERR_FILENO, "%s exited with code %d%s\n", watched->short_name, event->exit_code,
                event->oom_killed ? " (out of memory)" : "");
    }
}

/* 1 when the keeper has gone: it does when everything has ended. */
static int read_session(struct foreground *foreground, struct error *err)
{
    struct session_event event;

    for (;;) {
        int result = engine_session_receive(foreground->session, 0, &event, err);

        if (result != 0)
            return result < 0 ? -1 : 0;
        if (event.kind == SESSION_CLOSED)
            return 1;
        if (event.kind == SESSION_STATE)
            note_state(foreground, &event);
    }
}

static void read_signal(struct foreground *foreground)
{
    struct signalfd_siginfo info;

    while (read(foreground->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        foreground->n_signals++;
        foreground->last_signal = (int)info.ssi_signo;
    }
}

static int open_session(struct foreground *foreground, struct error *err)
{
    struct error gone = ERROR_INIT;

    if (engine_session_open(foreground->engine, foreground->desired->project, false,
                            &foreground->session, &gone) == 0)
        return engine_session_watch(foreground->session, 0, err);
    if (gone.code == ERROR_NOT_FOUND) { /* everything has ended already */
        foreground->n_running = 0;
        return 0;
    }
    if (err)
        *err = gone;
    return -1;
}

/* The keeper went: either all is over, or it died and a successor takes over. */
static int reopen_session(struct foreground *foreground, struct error *err)
{
    engine_session_close(foreground->session);
    foreground->session = NULL;
    if (foreground->n_running == 0)
        return 0;
    return engine_session_open(foreground->engine, foreground->desired->project, true,
                               &foreground->session, err) < 0
               ? -1
               : engine_session_watch(foreground->session, 0, err);
}

/* One turn: returns when something happened. */
static int turn(struct foreground *foreground, struct error *err)
{
    size_t n_logs = log_stream_count(foreground->logs);
    VEC(struct pollfd) polls = VEC_INIT;
    int result = 0;

    for (size_t i = 0; i < n_logs + 2; i++)
        vec_push(&polls, (struct pollfd){.fd = -1});
    log_stream_polls(foreground->logs, polls.items);
    polls.items[n_logs] = (struct pollfd){
        .fd = foreground->session ? engine_session_fd(foreground->session) : -1, .events = POLLIN};
    polls.items[n_logs + 1] = (struct pollfd){.fd = foreground->signal_fd, .events = POLLIN};

    if (poll(polls.items, polls.n, foreground->has_more_logs ? 0 : -1) < 0 && errno != EINTR)
        result = error_sys(err, errno, "wait for logs");
    if (result == 0 && polls.items[n_logs + 1].revents != 0)
        read_signal(foreground);
    if (result == 0)
        result = log_stream_pump(foreground->logs, err);
    foreground->has_more_logs = result > 0;
    if (result >= 0 && polls.items[n_logs].revents != 0) {
        result = read_session(foreground, err);
        if (result > 0)
            result = reopen_session(foreground, err);
    }
    vec_release(&polls);
    return result < 0 ? -1 : 0;
}

/* ---- stopping
 * --------------------------------------------------------------------------------------- */

/* Stop through a plan: reverse order, grace. The signal fd cancels it: the second Ctrl-C. */
static int stop_gracefully(struct foreground *foreground, struct error *err)
{
    struct plan_options options = PLAN_OPTIONS_INIT;
    struct carry_out carry = {
        .engine = foreground->engine,
        .desired = foreground->desired,
        .verb = "stop",
        .signal_fd = foreground->signal_fd,
    };

    options.goal = PLAN_STOP;
    options.grace_ns = foreground->options->grace_ns;
    if (command_plan(foreground->context, foreground->engine, foreground->desired, &options,
                     &carry.plan, err) < 0)
        return -1;
    return command_carry_out(foreground->context, &carry, err);
}

static int kill_all(struct foreground *foreground, struct error *err)
{
    struct engine_session *session;
    struct session_event event;
    size_t n_sent = 0;

    if (engine_session_open(foreground->engine, foreground->desired->project, true, &session, err) <
        0)
        return -1;
    for (size_t i = 0; i < foreground->n_watched; i++) {
        if (engine_session_stop(session, (uint32_t)i, foreground->watched[i].name, 0, err) == 0)
            n_sent++;
    }
    while (n_sent > 0 && engine_session_receive(session, -1, &event, err) == 0) {
        if (event.kind == SESSION_CLOSED)
            break;
        if (event.kind == SESSION_DONE || event.kind == SESSION_FAILED)
            n_sent--;
    }
    engine_session_close(session);
    return 0;
}

static int stop_all(struct foreground *foreground, struct error *err)
{
    struct error stopped = ERROR_INIT;

    if (foreground->n_signals > 0)
        dprintf(STDERR_FILENO, "\nGracefully stopping... (press Ctrl+C again to force)\n");
    else
        dprintf(STDERR_FILENO, "Aborting on container exit...\n");
    if (foreground->n_signals < 2 && stop_gracefully(foreground, &stopped) == 0)
        return 0;
    if (stopped.code != ERROR_CANCELLED && stopped.code != ERROR_NONE) {
        if (err)
            *err = stopped;
        return -1;
    }
    dprintf(STDERR_FILENO, "Killing...\n");
    return kill_all(foreground, err);
}

/* ---- the foreground of up
 * ------------------------------------------------------------------------------ */

static int exit_code(struct foreground *foreground)
{
    if (foreground->options->exit_code_from) {
        for (size_t i = 0; i < foreground->n_watched; i++) {
            const struct watched *watched = &foreground->watched[i];

            if (!text_equal(watched->service, foreground->options->exit_code_from))
                continue;
            return watched->has_ended && watched->exit_code >= 0 ? watched->exit_code
                                                                 : EXIT_SIGNAL_BASE + SIGKILL;
        }
    }
    if (foreground->n_signals > 0)
        return EXIT_SIGNAL_BASE + foreground->last_signal;
    if (foreground->options->abort_on_exit && foreground->first_ended)
        return foreground->first_ended->exit_code < 0 ? 1 : foreground->first_ended->exit_code;
    return 0;
}

static int watch_containers(struct foreground *foreground, struct containers *ret,
                            struct error *err)
{
    struct arena *arena = &command_app(foreground->context)->arena;
    struct strings services = {
        .items = arena_new_array(arena, const char *, foreground->desired->n_containers)};

    for (size_t i = 0; i < foreground->desired->n_containers; i++)
        services.items[services.n++] = foreground->desired->containers[i].service;
    if (command_containers(foreground->context, foreground->engine, foreground->desired->project,
                           &services, true, ret, err) < 0)
        return -1;
    foreground->watched = arena_new_array(arena, struct watched, ret->n);
    foreground->n_watched = ret->n;
    foreground->n_running = ret->n;
    for (size_t i = 0; i < ret->n; i++)
        foreground->watched[i] = (struct watched){
            .name = ret->items[i].name,
            .short_name = container_short_name(&ret->items[i]),
            .service = container_service(&ret->items[i]),
        };
    return 0;
}

/* Those whose logs are shown; the others are waited for all the same. */
static struct containers attached_containers(struct arena *arena, const struct containers *all,
                                             const struct strings *unattached)
{
    struct containers shown = {.items =
                                   arena_memdup(arena, all->items, all->n * sizeof(all->items[0]))};

    for (size_t i = 0; i < all->n; i++) {
        if (!strings_contain(unattached, container_service(&all->items[i])))
            shown.items[shown.n++] = all->items[i];
    }
    return shown;
}

int attach_run(struct cli_context *context, struct engine *engine, const struct desired *desired,
               int signal_fd, const struct attach_options *options, struct error *err)
{
    struct attach_options log_options = *options;
    struct foreground foreground = {
        .context = context,
        .engine = engine,
        .desired = desired,
        .options = options,
        .signal_fd = signal_fd,
    };
    struct containers containers;
    struct containers shown;
    int result = 0;

    log_options.follow = true;
    log_options.tail = -1;
    if (watch_containers(&foreground, &containers, err) < 0)
        return -1;
    shown = attached_containers(&command_app(context)->arena, &containers, &options->unattached);
    if (log_stream_open(context, engine, &shown, &log_options, &foreground.logs, err) < 0)
        return -1;
    result = open_session(&foreground, err);
    while (result == 0 && foreground.n_running > 0 && foreground.n_signals == 0 &&
           !foreground.wants_stop)
        result = turn(&foreground, err);
    if (result == 0 && (foreground.n_signals > 0 || foreground.wants_stop)) {
        result = stop_all(&foreground, err);
        if (result == 0 && foreground.session) /* the codes of those just stopped */
            (void)read_session(&foreground, NULL);
    }
    if (result == 0)
        result = pump_all(foreground.logs, err);
    engine_session_close(foreground.session);
    log_stream_close(foreground.logs);
    return result < 0 ? -1 : exit_code(&foreground);
}

/* ---- logs
 * --------------------------------------------------------------------------------------------------
 */

static bool all_ended(struct cli_context *context, struct engine *engine,
                      const struct containers *containers)
{
    for (size_t i = 0; i < containers->n; i++) {
        struct container_info info;

        if (engine_container_find(engine, &command_app(context)->arena, containers->items[i].id,
                                  &info, NULL) == 0 &&
            info.status != CONTAINER_EXITED && info.status != CONTAINER_CREATED)
            return false;
    }
    return true;
}

int attach_logs(struct cli_context *context, struct engine *engine,
                const struct containers *containers, const struct attach_options *options,
                int signal_fd, struct error *err)
{
    enum { RECHECK_MS = 500 }; /* how late we may notice that the last container ended */
    struct log_stream *logs;
    VEC(struct pollfd) polls = VEC_INIT;
    int result;

    if (log_stream_open(context, engine, containers, options, &logs, err) < 0)
        return -1;
    for (size_t i = 0; i <= containers->n; i++)
        vec_push(&polls, (struct pollfd){.fd = -1});
    result = options->follow ? log_stream_pump(logs, err) : pump_all(logs, err);
    while (result >= 0 && options->follow) {
        bool ended = all_ended(context, engine, containers);

        log_stream_polls(logs, polls.items);
        polls.items[containers->n] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
        if (!ended && poll(polls.items, polls.n, result > 0 ? 0 : RECHECK_MS) < 0 && errno != EINTR)
            result = error_sys(err, errno, "wait for logs");
        else
            result = ended ? pump_all(logs, err) : log_stream_pump(logs, err);
        if (ended || polls.items[containers->n].revents != 0)
            break;
    }
    vec_release(&polls);
    log_stream_close(logs);
    return result < 0 ? -1 : 0; /* that there was more to print is no failure */
}
