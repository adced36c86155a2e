/* Clients that misbehave, live updates, terminals, killed clients. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tests/integration/keeper_world.h"
#include "tests/tap.h"

/* A bare connection; the greeting is read. */
static int connect_bare(struct world *world)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    char hello[100] = "";

    char *path =
        arena_printf(&world->arena, "%s/projects/%s/keeper.sock", world->run_root, world->project);

    CHECK(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(read(fd, hello, sizeof(hello) - 1) > 0);
    CHECK_TEXT(hello, "{\"hello\":1}");
    return fd;
}

TEST(a_client_that_talks_nonsense_is_disconnected_and_harms_nobody)
{
    static const char *const nonsense[] = {
        "", "x", "{", "[1]", "null", "{\"tag\":1,\"tag\":2}", "\"text\"", "{\"op\":\"\xff\"}"};
    static char huge[300 << 10];
    struct world *world = world_open();
    struct container_spec spec = world_spec(world, "one", NULL);
    pid_t keeper;

    world_run(world, &spec);
    keeper = world_keeper_pid(world);
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        int fd = connect_bare(world);
        char byte;

        CHECK(send(fd, nonsense[i], strlen(nonsense[i]), 0) == (ssize_t)strlen(nonsense[i]));
        CHECK_INT(read(fd, &byte, 1), 0);
        close(fd);
    }
    {
        int fd = connect_bare(world), bytes = sizeof(huge) * 2;
        char byte;

        CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) == 0);
        memset(huge, ' ', sizeof(huge));
        CHECK(send(fd, huge, sizeof(huge), 0) == (ssize_t)sizeof(huge));
        CHECK_INT(read(fd, &byte, 1), 0);
        close(fd);
    }
    CHECK_INT(world_keeper_pid(world), keeper);
    world_do(world, WORLD_STOP, &spec);
}

static long ticks_used(pid_t pid)
{
    char path[64], text[1024] = "";
    unsigned long user = 0, system = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    CHECK(file && fgets(text, sizeof(text), file));
    (void)fclose(file);
    CHECK(sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                 &system) == 2);
    return (long)(user + system);
}

TEST(a_keeper_without_descriptors_lets_clients_wait_and_does_not_spin)
{
    struct world *world = world_open();
    struct container_spec spec = world_spec(world, "one", NULL);
    struct rlimit few = {.rlim_cur = 3}, before;
    pid_t keeper = world_keeper_pid(world);
    struct engine_session *session = NULL;
    struct error err = ERROR_INIT;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char hello[100] = "";
    long ticks;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    char *path =
        arena_printf(&world->arena, "%s/projects/%s/keeper.sock", world->run_root, world->project);

    world_run(world, &spec);
    memcpy(address.sun_path, path, strlen(path));
    CHECK(prlimit(keeper, RLIMIT_NOFILE, NULL, &before) == 0);
    few.rlim_max = before.rlim_max;
    CHECK(prlimit(keeper, RLIMIT_NOFILE, &few, NULL) == 0);
    ticks = ticks_used(keeper);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    (void)usleep(600000);
    CHECK(ticks_used(keeper) - ticks < 10); /* of 60 */
    CHECK_INT(recv(fd, hello, sizeof(hello), MSG_DONTWAIT), -1);
    CHECK(prlimit(keeper, RLIMIT_NOFILE, &before, NULL) == 0);
    CHECK(read(fd, hello, sizeof(hello) - 1) > 0);
    CHECK_TEXT(hello, "{\"hello\":1}");
    CHECK_OK(engine_session_open(world->engine, world->project, false, &session, &err), &err);
    engine_session_close(session);
    {
        const char *log = world_keeper_log(world), *found = strstr(log, "clients wait");

        CHECK_CONTAINS(log, "Too many open files");
        CHECK(found && !strstr(found + 1, "clients wait")); /* once */
    }
    close(fd);
    CHECK_INT(world_keeper_pid(world), keeper);
}

TEST(wrong_requests_are_answered_with_errors)
{
    static const char *const wrong[][2] = {
        {"{\"tag\":1}", "knows no request"},
        {"{\"tag\":1,\"op\":\"dance\"}", "dance"},
        {"{\"tag\":1,\"op\":\"start\"}", "name"},
        {"{\"tag\":1,\"op\":\"start\",\"name\":\"nobody\"}", "nobody"},
        {"{\"tag\":1,\"op\":\"create\",\"name\":\"x\",\"id\":\"../../etc\"}", "no container id"},
        {"{\"tag\":1,\"op\":\"exec\",\"name\":\"x\",\"argv\":[\"a\"]}", "descriptors"},
        {"{\"tag\":1,\"op\":\"kill\",\"name\":\"nobody\",\"signal\":99}", "nobody"},
    };
    struct world *world = world_open();
    int fd = connect_bare(world);

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char answer[2000] = "";

        CHECK(send(fd, wrong[i][0], strlen(wrong[i][0]), 0) > 0);
        CHECK(read(fd, answer, sizeof(answer) - 1) > 0);
        CHECK_CONTAINS(answer, "\"error\"");
        CHECK_CONTAINS(answer, wrong[i][1]);
    }
    close(fd);
}

TEST(a_client_that_does_not_read_is_disconnected_and_nobody_waits_for_it)
{
    enum { MORE_THAN_FITS = 100000 };
    struct world *world = world_open();
    struct container_spec spec = world_spec(world, "one", NULL);
    static const char watch[] = "{\"tag\":1,\"op\":\"watch\"}";
    int fd = connect_bare(world), n = 0;

    world_do(world, WORLD_CREATE, &spec);
    while (n < MORE_THAN_FITS && send(fd, watch, strlen(watch), MSG_NOSIGNAL) > 0)
        n++;
    CHECK(n < MORE_THAN_FITS);
    world_do(world, WORLD_START, &spec);
    CHECK_INT(world_info(world, spec.name).status, CONTAINER_RUNNING);
    close(fd);
}

TEST(restart_policy_and_health_check_change_while_it_runs)
{
    struct world *world = world_open();
    struct container_spec spec = world_spec(world, "one", NULL);
    struct container_info before, after;
    const char *test[] = {"CMD", "true"};
    struct error err = ERROR_INIT;
    uint32_t tag;

    world_run(world, &spec);
    before = world_info(world, spec.name);
    CHECK_INT(before.health, HEALTH_NONE);
    spec.restart = RESTART_ALWAYS;
    spec.health = (struct health_spec){.is_set = true, .test = {test, 2}};
    tag = ++world->last_tag;
    CHECK_OK(engine_session_update(world->session, tag, &spec, &err), &err);
    CHECK_OK(world_answer(world, tag, &err), &err);
    (void)world_wait_health(world, spec.name, HEALTH_HEALTHY);
    after = world_info(world, spec.name);
    CHECK_INT(after.pid, before.pid);
    CHECK_INT(after.spec->restart, RESTART_ALWAYS);
    CHECK(kill(after.pid, SIGKILL) == 0);
    (void)world_wait_status(world, spec.name, CONTAINER_RESTARTING);
    (void)world_wait_status(world, spec.name, CONTAINER_RUNNING);
}

TEST(a_container_with_a_terminal_has_one_and_its_output_is_logged)
{
    struct world *world = world_open();
    struct container_spec spec = world_spec(world, "one", "test -t 0 && test -t 1 && echo yes");

    spec.tty = true;
    world_run(world, &spec);
    CHECK_INT(world_wait_status(world, spec.name, CONTAINER_EXITED).exit_code, 0);
    CHECK_CONTAINS(world_log(world, spec.name), "yes");
}

/* A client that dies has asked for nothing that the keeper hasn't begun; the lock of the project is
 * got when what was begun is done. */
TEST(what_a_killed_client_began_is_done_before_the_next_change)
{
    struct world *world = world_open();
    struct container_spec spec =
        world_spec(world, "one",
                   "trap 'sleep 0.3; exit 0' TERM; echo up; while :; do sleep 0.01; "
                   "done");
    static const char stop[] = "{\"tag\":1,\"op\":\"stop\",\"name\":\"%s\",\"grace_ns\":-1}";
    char request[200];
    struct error err = ERROR_INIT;
    int fd, lock;

    world_run(world, &spec);
    while (world_count_lines(world, spec.name, "up\n") == 0)
        usleep(1000);
    fd = connect_bare(world);
    (void)snprintf(request, sizeof(request), stop, spec.name);
    CHECK(send(fd, request, strlen(request), 0) > 0);
    while (world_info(world, spec.name).status != CONTAINER_STOPPING)
        usleep(500);
    close(fd);
    CHECK_OK(engine_project_lock(world->engine, world->project, "test", 5000, &lock, &err), &err);
    CHECK_INT(world_info(world, spec.name).status, CONTAINER_EXITED);
    close(lock);
}
