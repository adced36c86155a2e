/* Builds that are killed, and builds that run at the same time. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/fs.h"
#include "engine/base/sys.h"
#include "engine/cgroup/cgroup.h"
#include "engine/network/network.h"
#include "tests/integration/build_world.h"
#include "tests/tap.h"

enum { WAIT_MS = 10000 };

/* Build in a child; dockerfile NULL = the one that is there. *ret_read gets a byte per line of
 * output, and ends with the child. */
static pid_t start_build(struct build_world *world, const char *dockerfile, int *ret_read)
{
    int ends[2];

    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    if (dockerfile != NULL)
        context_file(world, "Dockerfile", dockerfile, 0644);
    (void)fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        world->notify_fd = ends[1];
        int r = repeat_build(world);
        if (r < 0)
            fprintf(stderr, "# %s\n", world->err.text);
        _exit(r < 0 ? 1 : 0);
    }
    close(ends[1]);
    *ret_read = ends[0];
    return pid;
}

static void wait_readable(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};

    CHECK_INT(poll(&readable, 1, WAIT_MS), 1);
}

/* The group of a builder's containers, emptied by the guard. */
static void wait_until_gone(struct build_world *world, pid_t pid, uint64_t ticks)
{
    const char *name = arena_printf(&world->arena, "build-%d-%llu", pid, (unsigned long long)ticks);
    struct cgroup_layout layout;
    struct error err = ERROR_INIT;

    CHECK_OK(cgroup_detect(&world->arena, &layout, &err), &err);
    CHECK_OK(cgroup_wait_empty(&layout, "_build", name, WAIT_MS, &err), &err);
}

static size_t count_names(struct build_world *world, int dir_fd, const char *dir)
{
    struct strings names = {0};

    return fs_list(dir_fd, dir, &world->arena, &names, NULL) == 0 ? names.n : 0;
}

TEST(killing_the_builder_ends_its_containers_and_harms_nothing)
{
    struct build_world world;
    struct network_endpoints endpoints = {0};
    int read_fd;

    build_world_open(&world);
    pid_t pid = start_build(&world,
                            "FROM busybox:1\nRUN echo first > /1\n"
                            "RUN echo started; sleep 98765 & sleep 98766\n",
                            &read_fd);
    uint64_t ticks = sys_process_start_ticks(pid);
    wait_readable(read_fd);
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitpid(pid, NULL, 0) == pid);
    wait_until_gone(&world, pid, ticks);
    close(read_fd);

    build(&world, "FROM busybox:1\nRUN echo first > /1\nRUN echo second > /2\n");
    CHECK_INT(log_count(&world, "(cached)"), 1);
    CHECK_TEXT(built_file(&world, "/2"), "file 644 0:0 second");
    CHECK_INT(count_names(&world, world.state_fd, "staging"), 0);
    struct network_dirs dirs = {world.state_fd, world.run_fd};
    (void)network_list_endpoints(&world.arena, &dirs, "berth_build", &endpoints, NULL);
    CHECK_INT(endpoints.n, 0);
    build_world_close(&world);
}

/* At any moment: 30 builds, each killed a bit later than the one before. */
TEST(a_build_killed_at_any_moment_can_be_repeated)
{
    struct build_world world;
    const char *dockerfile = "FROM busybox:1\nWORKDIR /a\nCOPY . .\nRUN cat f > g\nRUN rm f\n";

    build_world_open(&world);
    context_file(&world, "f", "content", 0644);
    for (int i = 0; i < 30; i++) {
        struct timespec moment = {.tv_nsec = (long)i * 4 * 1000 * 1000};
        int read_fd;
        pid_t pid = start_build(&world, dockerfile, &read_fd);
        uint64_t ticks = sys_process_start_ticks(pid);
        nanosleep(&moment, NULL); /* the moment is what is varied */
        (void)kill(pid, SIGKILL);
        CHECK(waitpid(pid, NULL, 0) == pid);
        wait_until_gone(&world, pid, ticks);
        close(read_fd);
        if (i % 5 == 0)
            context_file(&world, "f", arena_printf(&world.arena, "content %d", i), 0644);
    }
    build(&world, dockerfile);
    CHECK_TEXT(built_file(&world, "/a/g"), "file 644 0:0 content 25");
    CHECK_TEXT(built_file(&world, "/a/f"), "absent");
    CHECK_INT(count_names(&world, world.state_fd, "staging"), 0);
    build_world_close(&world);
}

TEST(identical_builds_at_the_same_time_agree)
{
    struct build_world world;
    enum { BUILDS = 4 };
    pid_t pids[BUILDS];
    int fds[BUILDS];
    const char *dockerfile = "FROM busybox:1\nCOPY f /f\nRUN cat /f > /g\n";

    build_world_open(&world);
    context_file(&world, "f", "content", 0644);
    for (int i = 0; i < BUILDS; i++)
        pids[i] = start_build(&world, i == 0 ? dockerfile : NULL, &fds[i]);
    for (int i = 0; i < BUILDS; i++) {
        int status = -1;
        CHECK(waitpid(pids[i], &status, 0) == pids[i]);
        CHECK_INT(status, 0);
        close(fds[i]);
    }
    build(&world, dockerfile);
    CHECK_INT(log_count(&world, "(cached)"), 2);
    CHECK_TEXT(built_file(&world, "/g"), "file 644 0:0 content");
    build_world_close(&world);
}
