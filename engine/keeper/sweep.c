/* Deleting the trees of removed containers. In a process of its own: the loop must not wait for a
 * large tree, and whoever asked for the removal needn't either. */

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/cleanup.h"
#include "engine/base/sys.h"
#include "engine/keeper/supervisor.h"

/* The rest of a `down` comes within this time; then one sweep does for all. */
static const struct timeval sweep_delay = {0, 100000};

static int sweeper_spawn(struct keeper *keeper, struct process *ret, struct error *err)
{
    static const char *const environment[] = {NULL};
    const char *const argv[] = {"/proc/self/exe",         "internal", "keeper", "--sweep",
                                keeper->place.state_root, NULL};
    struct process_options options = PROCESS_OPTIONS_INIT;

    options.argv = argv;
    options.envp = environment;
    options.new_session = true;
    return process_spawn(&options, ret, err);
}

static void forget_event(struct keeper *keeper)
{
    if (keeper->sweep_event)
        event_free(keeper->sweep_event);
    keeper->sweep_event = NULL;
}

static void sweeper_ended(evutil_socket_t fd, short what, void *context)
{
    struct keeper *keeper = context;
    struct error err = ERROR_INIT;
    int status;

    (void)fd;
    (void)what;
    forget_event(keeper);
    if (process_wait(&keeper->sweeper, &status, &err) < 0)
        keeper_log("%s, continuing", err.text);
}

static void sweep_now(evutil_socket_t fd, short what, void *context)
{
    struct keeper *keeper = context;
    struct error err = ERROR_INIT;

    (void)fd;
    (void)what;
    forget_event(keeper);
    keeper->has_removed = false;
    if (sweeper_spawn(keeper, &keeper->sweeper, &err) < 0) {
        keeper_log("%s, continuing", err.text);
        return;
    }
    keeper->sweep_event =
        event_new(keeper->base, keeper->sweeper.pidfd, EV_READ, sweeper_ended, keeper);
    event_add(keeper->sweep_event, NULL);
}

void sweep_soon(struct keeper *keeper)
{
    if (!keeper->has_removed || keeper->sweep_event)
        return;
    keeper->sweep_event = evtimer_new(keeper->base, sweep_now, keeper);
    event_add(keeper->sweep_event, &sweep_delay);
}

void sweep_at_end(struct keeper *keeper)
{
    struct process process = PROCESS_INIT;
    struct error err = ERROR_INIT;

    forget_event(keeper);
    if (keeper->has_removed && sweeper_spawn(keeper, &process, &err) < 0)
        keeper_log("%s, continuing", err.text);
    /* Not waited for: it outlives us. */
    if (process.pidfd >= 0)
        close(process.pidfd);
}

int sweep_main(int argc, char **argv, const char *state_root)
{
    cleanup_fd int state_fd = open(state_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct error err = ERROR_INIT;
    int result;

    sys_set_process_title(argc, argv, "berth sweep");
    if (state_fd < 0)
        return 1;
    result = container_records_collect(state_fd, &err);
    if (result < 0)
        keeper_log("delete half-made containers: %s", err.text);
    if (container_records_sweep(state_fd, &err) < 0) {
        keeper_log("delete removed containers: %s", err.text);
        result = -1;
    }
    return result < 0 ? 1 : 0;
}
