/* A zygote that does not answer.
 *
 * One that is dead is noticed by its pidfd; one that hangs (stopped by a signal, or stuck in the
 * kernel) is not, and all who wait for what it should tell would wait for ever. So while somebody
 * waits (is_waiting) a clock runs: at each tick the zygote is asked for a sign of life, which it
 * gives whatever its children do, and at the next one it has given it, or it is killed. Then it is
 * dead, and all goes on as with every dead one (adopt_zygote_death): what it had not told of is
 * built again or found out, and a new one is started. Nobody waits, no clock: an idle keeper
 * sleeps.
 *
 * Ends that it does not report are noticed by the processes' pidfds. */

#include <signal.h>
#include <sys/pidfd.h>

#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/keeper/files.h"
#include "engine/keeper/supervisor.h"

static bool is_waiting_for_zygote(const struct supervised *container)
{
    if (container->is_orphan)
        return false;
    switch (container->life.state) {
    case LIFE_ARMING:
    case LIFE_STARTING:
    case LIFE_STOPPING:
        return true;
    case LIFE_CREATED:
    case LIFE_ARMED:
    case LIFE_RUNNING:
    case LIFE_BACKOFF:
    case LIFE_EXITED:
        break;
    }
    return container->has_ended;
}

static bool is_waiting(const struct keeper *keeper)
{
    if (keeper->is_adopting || !list_is_empty(&keeper->execs))
        return true;
    list_for_each (pos, &keeper->containers) {
        if (is_waiting_for_zygote(container_of(pos, struct supervised, link)))
            return true;
    }
    return false;
}

static void start_clock(struct keeper *keeper)
{
    int64_t half_us = keeper->patience_ms * 1000 / 2;
    struct timeval wait = {half_us / 1000000, half_us % 1000000};

    event_add(keeper->patience_timer, &wait);
    keeper->patience_due_ns = clock_monotonic_ns() + half_us * 1000;
}

/* We did not run ourselves (a machine that was paused, a frozen group): the zygote neither, and may
 * come to it a moment later. */
static bool did_oversleep(const struct keeper *keeper)
{
    return clock_monotonic_ns() - keeper->patience_due_ns > keeper->patience_ms * NS_PER_MS / 4;
}

/* It may be where not even SIGKILL reaches it: the second time nobody waits for its death. */
static void lose_patience(struct keeper *keeper)
{
    if (keeper->is_zygote_killed) {
        keeper_log("the zygote of \"%s\" does not even die, continuing without it",
                   keeper->place.project);
        keeper_zygote_lost(keeper);
        return;
    }
    keeper_log("the zygote of \"%s\" has not answered for %lld ms: killed", keeper->place.project,
               (long long)keeper->patience_ms / 2);
    keeper->is_zygote_killed = true;
    (void)pidfd_send_signal(keeper->zygote.pidfd, SIGKILL, NULL, 0); /* gone: its death comes */
    start_clock(keeper);
}

static void tick(evutil_socket_t fd, short what, void *context)
{
    struct keeper *keeper = context;
    struct error err = ERROR_INIT;

    (void)fd;
    (void)what;
    if (!keeper->has_zygote)
        return;
    if (keeper->is_asked_for_life && did_oversleep(keeper)) {
        start_clock(keeper);
        return;
    }
    if (keeper->is_asked_for_life) {
        lose_patience(keeper);
        return;
    }
    if (!is_waiting(keeper))
        return;
    /* Could not even be asked: its socket is full, or it is dead. */
    keeper->is_asked_for_life = true;
    if (zygote_ping(&keeper->zygote, &err) < 0)
        keeper_log("zygote: %s, continuing", err.text);
    start_clock(keeper);
}

void patience_start(struct keeper *keeper)
{
    if (!keeper->patience_timer)
        keeper->patience_timer = evtimer_new(keeper->base, tick, keeper);
    if (!event_pending(keeper->patience_timer, EV_TIMEOUT, NULL))
        start_clock(keeper);
}

void patience_ask(struct supervised *container)
{
    if (is_waiting_for_zygote(container))
        patience_start(container->keeper);
}

void patience_rewarded(struct keeper *keeper)
{
    keeper->is_asked_for_life = false;
}

void patience_stop(struct keeper *keeper)
{
    keeper->is_asked_for_life = keeper->is_zygote_killed = false;
    if (keeper->patience_timer)
        event_free(keeper->patience_timer);
    keeper->patience_timer = NULL;
}

/* ------------------------------------------------------------------ ends */

static void has_ended(evutil_socket_t fd, short what, void *context)
{
    struct supervised *container = context;

    (void)fd;
    (void)what;
    container->has_ended = true;
    patience_start(container->keeper);
}

void patience_watch_end(struct supervised *container)
{
    if (container->pidfd_event)
        event_free(container->pidfd_event);
    container->has_ended = false;
    container->pidfd_event =
        event_new(container->keeper->base, container->pidfd, EV_READ, has_ended, container);
    event_add(container->pidfd_event, NULL);
}

/* ------------------------------------------------------------------ the last keeper's zygote */

/* A keeper that is started by a client has none; one that is alive was to start a keeper itself,
 * and has not: it would take what is ours for its own when it goes on. */
void patience_end_predecessor(struct keeper *keeper)
{
    pid_t pid = keeper_living_process(keeper->project_run_fd, KEEPER_ZYGOTE_FILE);
    cleanup_fd int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;

    /* The pid may have been taken by another process just before pidfd_open. */
    if (pidfd < 0 || keeper_living_process(keeper->project_run_fd, KEEPER_ZYGOTE_FILE) != pid)
        return;
    keeper_log("the zygote of the last keeper of \"%s\" did not start another one: killed",
               keeper->place.project);
    (void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0); /* gone: as well */
}
