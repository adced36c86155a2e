/* Supervising without a machine: what a container leaves behind in the loop when it is freed. */

#include <fcntl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
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

static struct supervised *container_make(struct keeper *keeper)
{
    static const struct container_spec spec = {.name = "one", .project = "p", .stop_grace_ns = -1};
    static const struct container_record record = {
        .id = "abc",
        .name = "one",
        .project = "p",
        .spec = &spec,
        .resolved = {.process.stop_signal = "SIGTERM", .health.disabled = true},
    };

    return supervised_new(keeper, &record);
}

/* Its process has ended, as far as its pidfd tells, and the kernel does not tell how yet. */
TEST(a_container_that_goes_while_its_exit_code_is_asked_for_leaves_no_timer)
{
    struct supervised *container;
    struct keeper keeper;

    keeper_make(&keeper);
    container = container_make(&keeper);
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

static int newest_reading_pipe(void)
{
    struct stat status;
    int found = -1;

    for (int fd = 3; fd < 100; fd++) {
        if (fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) &&
            (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
            found = fd;
    }
    return found;
}

/* The pipe is watched by its edges: nobody may ever write to it again. */
TEST(a_line_that_could_not_be_logged_is_logged_a_moment_later)
{
    struct supervised *container;
    struct keeper keeper;
    struct error err = ERROR_INIT;
    int scratch, ends[2], dir = open(tap_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int deaf = open("/dev/null", O_WRONLY | O_CLOEXEC);

    keeper_make(&keeper);
    CHECK_OK(log_pump_new(dir, &keeper.pump, &err), &err);
    scratch = newest_reading_pipe();
    CHECK(scratch >= 0 &&
          fcntl(scratch, F_DUPFD_CLOEXEC, 200) >= 0); /* else looking would end with SIGPIPE */
    CHECK(deaf >= 0 && dup2(deaf, scratch) == scratch);
    container = container_make(&keeper);
    container->dir_fd = dir;
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    CHECK(write(ends[1], "one\n", 4) == 4);
    supervise_watch_log(container, LOG_STREAM_STDOUT, &ends[0], false);
    (void)turn(&keeper);
    CHECK_INT(container->log.size, 0);
    for (int i = 0; i < 500 && container->log.size == 0; i++) {
        (void)usleep(2000);
        (void)turn(&keeper);
    }
    CHECK_INT(container->log.size, 3 + LOG_OVERHEAD);
    supervised_free(container);
    CHECK_INT(event_base_get_num_events(keeper.base, EVENT_BASE_COUNT_ADDED), 0);
    log_pump_free(keeper.pump);
    event_base_free(keeper.base);
    close(ends[1]);
}
