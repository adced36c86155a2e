/* Children that nobody waits for.
 *
 * We are a subreaper: when our zygote is killed, everything it had started becomes ours. Containers
 * are watched (adopt.c), but there are also processes of exec and of health checks. While one of
 * those is a zombie, the kernel does not end the pid namespace it is in: zap_pid_ns_processes waits
 * for it, and the container would never be over. */

#include <signal.h>
#include <sys/wait.h>

#include "engine/keeper/supervisor.h"

/* Its death has not been looked at yet: what it told us last may name more of our children. */
static bool is_zygote_dead(const struct keeper *keeper)
{
    siginfo_t end = {0};

    return keeper->has_zygote &&
           waitid(P_PIDFD, (id_t)keeper->zygote.pidfd, &end, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           end.si_pid != 0;
}

/* Its own event reaps it, and tells its end. */
static bool is_waited_for(const struct keeper *keeper, pid_t pid)
{
    if (keeper->sweeper.pid == pid || is_zygote_dead(keeper))
        return true;
    list_for_each (pos, &keeper->containers) {
        const struct supervised *container = container_of(pos, struct supervised, link);

        if (container->pid == pid)
            return true;
    }
    return false;
}

static void reap_children(evutil_socket_t signal, short what, void *context)
{
    static const struct timeval moment = {0, 20000};
    struct keeper *keeper = context;

    (void)signal;
    (void)what;
    while (true) {
        siginfo_t end = {0};

        if (waitid(P_ALL, 0, &end, WEXITED | WNOHANG | WNOWAIT) < 0 || end.si_pid == 0)
            return;
        if (is_waited_for(keeper, end.si_pid)) {
            /* Others may be behind it: waitid shows one zombie at a time. */
            event_base_once(keeper->base, -1, EV_TIMEOUT, reap_children, keeper, &moment);
            return;
        }
        (void)waitid(P_PID, (id_t)end.si_pid, &end, WEXITED | WNOHANG);
    }
}

void reap_start(struct keeper *keeper)
{
    keeper->child_event = evsignal_new(keeper->base, SIGCHLD, reap_children, keeper);
    event_add(keeper->child_event, NULL);
    reap_children(SIGCHLD, EV_SIGNAL, keeper); /* whoever ended before */
}

void reap_stop(struct keeper *keeper)
{
    if (keeper->child_event)
        event_free(keeper->child_event);
    keeper->child_event = NULL;
}
