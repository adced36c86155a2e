/* Supervising without a machine: what a container leaves behind in the loop when it is freed. */

#include <sys/pidfd.h>
#include <unistd.h>

#include "engine/container/record.h"
#include "engine/engine.h"
#include "engine/keeper/supervisor.h"
#include "tests/tap.h"

static void keeper_make(struct keeper *keeper)
{
    *keeper = (struct keeper){.project_run_fd = -1, .zygote = ZYGOTE_INIT};
    list_init(&keeper->containers);
    list_init(&keeper->clients);
    list_init(&keeper->execs);
    keeper->base = event_base_new();
    CHECK(keeper->base);
}

static int turn(struct keeper *keeper)
{
    return event_base_loop(keeper->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/* Its process has ended, as far as its pidfd tells, and the kernel does not tell how yet. */
TEST(a_container_that_goes_while_its_exit_code_is_asked_for_leaves_no_timer)
{
    static const struct container_spec spec = {.name = "one", .project = "p", .stop_grace_ns = -1};
    static const struct container_record record = {
        .id = "abc",
        .name = "one",
        .project = "p",
        .spec = &spec,
        .resolved = {.process.stop_signal = "SIGTERM", .health.disabled = true},
    };
    struct supervised *container;
    struct keeper keeper;

    keeper_make(&keeper);
    container = supervised_new(&keeper, &record);
    lifecycle_adopt(&container->life, LIFE_RUNNING, 0);
    container->pid = getppid(); /* alive, and not our child: its end is unknown */
    container->pidfd = pidfd_open(container->pid, 0);
    CHECK(container->pidfd >= 0);
    supervise_watch_pidfd(container);
    event_active(container->pidfd_event, EV_READ, 0);
    (void)turn(&keeper);
    CHECK_INT(container->life.state, LIFE_RUNNING);
    CHECK_INT(container->n_exit_polls, 1);
    supervised_free(container);
    CHECK_INT(event_base_get_num_events(keeper.base, EVENT_BASE_COUNT_ADDED), 0);
    event_base_free(keeper.base);
}
