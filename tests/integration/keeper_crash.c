/* kill -9 of the keeper, of the zygote and of both: no container, log line or exit code is lost. */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tests/integration/keeper_world.h"
#include "tests/tap.h"

enum { LINES = 30000, KILLS = 12 };

static const char counting[] =
    "i=0; while [ $i -lt 30000 ]; do echo \"line $i\"; i=$((i+1)); done; "
    "exit 9";

static void kill_and_wait(pid_t pid)
{
    CHECK(pid > 0);
    CHECK(kill(pid, SIGKILL) == 0);
    world_await_end(pid);
}

/* Every line once, in order. */
static void check_count(struct world *world, const char *name)
{
    struct log_options options = {.tail = -1};
    struct container_info info = world_info(world, name);
    struct engine_log *log;
    struct log_line line;
    struct error err = ERROR_INIT;
    int n = 0;

    CHECK_OK(engine_log_open(world->engine, info.id, &options, &log, &err), &err);
    while (engine_log_read(log, &line, &err) == 0) {
        char want[40];

        (void)snprintf(want, sizeof(want), "line %d", n++);
        if (line.text.len != strlen(want) || memcmp(line.text.data, want, line.text.len) != 0)
            tap_fail(TAP_HERE, "got \"%.*s\", want \"%s\"", (int)line.text.len, line.text.data,
                     want);
    }
    CHECK_INT(n, LINES);
    engine_log_close(log);
}

static void wait_for_lines(struct world *world, const char *name)
{
    while (world_count_lines(world, name, "line 10\n") == 0)
        usleep(500);
}

static void wait_for_exit(struct world *world, const char *name)
{
    struct container_info info;

    world_reconnect(world);
    info = world_info(world, name);
    if (info.status != CONTAINER_EXITED)
        (void)world_wait_status(world, name, CONTAINER_EXITED);
}

TEST(a_killed_keeper_loses_no_line_and_no_exit_code)
{
    struct world *world = world_open();
    struct container_spec spec = world_spec(world, "one", counting);

    world_run(world, &spec);
    wait_for_lines(world, spec.name);
    for (int i = 0; i < KILLS; i++) {
        kill_and_wait(world_keeper_pid(world));
        world_reconnect(world);
        usleep((useconds_t)(i * 700));
    }
    wait_for_exit(world, spec.name);
    CHECK_INT(world_info(world, spec.name).exit_code, 9);
    check_count(world, spec.name);
}

TEST(an_end_while_there_is_no_keeper_is_known_to_the_next)
{
    struct world *world = world_open();
    struct container_spec spec = world_spec(world, "one", "sleep 0.2; echo done; exit 6");
    pid_t keeper;

    world_run(world, &spec);
    keeper = world_keeper_pid(world);
    CHECK(kill(world_zygote_pid(world), SIGSTOP) == 0); /* so that no new keeper comes yet */
    kill_and_wait(keeper);
    usleep(400000);
    CHECK(kill(world_zygote_pid(world), SIGCONT) == 0);
    wait_for_exit(world, spec.name);
    CHECK_INT(world_info(world, spec.name).exit_code, 6);
    CHECK_TEXT(world_log(world, spec.name), "done\n");
}

TEST(a_killed_zygote_loses_no_line_and_no_exit_code)
{
    struct world *world = world_open();
    struct container_spec spec = world_spec(world, "one", counting);
    struct container_spec other = world_spec(world, "other", NULL);

    world_do(world, WORLD_CREATE, &other);
    world_run(world, &spec);
    wait_for_lines(world, spec.name);
    kill_and_wait(world_zygote_pid(world));
    CHECK_INT(world_wait_status(world, spec.name, CONTAINER_EXITED).exit_code, 9);
    check_count(world, spec.name);
    /* One that was only built is built again. */
    world_do(world, WORLD_START, &other);
    CHECK_INT(world_info(world, other.name).status, CONTAINER_RUNNING);
}

TEST(exec_and_health_checks_go_on_without_the_first_zygote)
{
    struct world *world = world_open();
    struct container_spec spec = world_spec(world, "one", NULL);
    const char *test[] = {"CMD", "test", "!", "-e", "/sick"};
    const char *argv[] = {"touch", "/sick"};
    struct exec_request request = {
        .argv = {argv, 2}, .stdin_fd = -1, .stdout_fd = 2, .stderr_fd = 2};
    struct error err = ERROR_INIT;
    int code = -1;

    spec.health = (struct health_spec){
        .is_set = true, .test = {test, 5}, .interval_ns = 50 * NS_PER_MS, .retries = 2};
    world_run(world, &spec);
    (void)world_wait_health(world, spec.name, HEALTH_HEALTHY);
    kill_and_wait(world_zygote_pid(world));
    request.container = spec.name;
    CHECK_OK(engine_exec(world->engine, world->project, &request, &code, &err), &err);
    CHECK_INT(code, 0);
    (void)world_wait_health(world, spec.name, HEALTH_UNHEALTHY);
    argv[0] = "rm";
    CHECK_OK(engine_exec(world->engine, world->project, &request, &code, &err), &err);
    (void)world_wait_health(world, spec.name, HEALTH_HEALTHY);
}

/* A zombie of an exec that nobody reaps would keep the container's pid namespace from ending. */
TEST(a_container_ends_although_an_exec_lost_its_zygote)
{
    struct world *world = world_open();
    struct container_spec spec = world_spec(world, "one", NULL);
    const char *test[] = {"CMD", "sh", "-c", "echo checking > /proc/1/fd/1; exec sleep 1000"};

    spec.health = (struct health_spec){.is_set = true, .test = {test, 4}};
    world_run(world, &spec);
    while (world_count_lines(world, spec.name, "checking\n") == 0)
        usleep(500);
    kill_and_wait(world_zygote_pid(world));
    world_do(world, WORLD_REMOVE, &spec);
}

TEST(keeper_and_zygote_killed_lose_no_line_and_no_exit_code)
{
    struct world *world = world_open();
    struct container_spec spec = world_spec(world, "one", counting);
    pid_t keeper, zygote;

    world_run(world, &spec);
    wait_for_lines(world, spec.name);
    keeper = world_keeper_pid(world);
    zygote = world_zygote_pid(world);
    CHECK(kill(keeper, SIGSTOP) == 0);
    kill_and_wait(zygote);
    kill_and_wait(keeper);
    world_reconnect(world);
    CHECK(world_keeper_pid(world) != keeper);
    CHECK_INT(world_wait_status(world, spec.name, CONTAINER_EXITED).exit_code, 9);
    check_count(world, spec.name);
}

/* The end of what was built before the kill is not the end of what is started after it. */
TEST(one_that_was_only_built_starts_after_both_were_killed)
{
    enum { N = 6, ROUNDS = 6 };
    struct world *world = world_open();
    struct container_spec specs[N];

    for (int round = 0; round < ROUNDS; round++) {
        pid_t keeper, zygote;

        for (int i = 0; i < N; i++) {
            specs[i] = world_spec(world, arena_printf(&world->arena, "c%d", i), NULL);
            world_do(world, WORLD_CREATE, &specs[i]);
        }
        keeper = world_keeper_pid(world);
        zygote = world_zygote_pid(world);
        CHECK(kill(keeper, SIGSTOP) == 0);
        kill_and_wait(zygote);
        kill_and_wait(keeper);
        world_reconnect(world);
        for (int i = 0; i < N; i++)
            world_do(world, WORLD_START, &specs[i]);
        usleep(20000);
        for (int i = 0; i < N; i++) {
            CHECK_INT(world_info(world, specs[i].name).status, CONTAINER_RUNNING);
            world_do(world, WORLD_REMOVE, &specs[i]);
        }
    }
}

TEST(a_killed_keeper_goes_on_restarting_stopping_and_probing)
{
    struct world *world = world_open();
    struct container_spec fails = world_spec(world, "fails", "sleep 0.05; exit 1");
    struct container_spec runs = world_spec(world, "runs",
                                            "trap 'exit 0' TERM; echo up; "
                                            "while :; do sleep 0.01; done");
    int before;

    fails.restart = RESTART_ALWAYS;
    world_run(world, &fails);
    world_run(world, &runs);
    while (world_count_lines(world, runs.name, "up\n") == 0)
        usleep(1000);
    kill_and_wait(world_keeper_pid(world));
    world_reconnect(world);
    before = world_info(world, fails.name).restarts;
    while (world_info(world, fails.name).restarts < before + 2)
        usleep(1000);
    world_do(world, WORLD_STOP, &runs);
    CHECK_INT(world_info(world, runs.name).exit_code, 0);
}

TEST(a_keeper_killed_in_the_middle_of_everything_leaves_nothing_half_made)
{
    struct world *world = world_open();
    struct container_spec specs[6];

    for (int i = 0; i < 6; i++) {
        char name[8];

        (void)snprintf(name, sizeof(name), "c%d", i);
        specs[i] = world_spec(world, name, NULL);
    }
    for (int round = 0; round < 8; round++) {
        struct error err = ERROR_INIT;

        for (int i = 0; i < 6; i++) {
            (void)engine_session_create(world->session, 1000, &specs[i], &err);
            (void)engine_session_start(world->session, 1001, specs[i].name, &err);
        }
        usleep((useconds_t)(round * 1500));
        kill_and_wait(world_keeper_pid(world));
        world_reconnect(world);
        for (int i = 0; i < 6; i++) {
            world_run(world, &specs[i]);
            CHECK_INT(world_info(world, specs[i].name).status, CONTAINER_RUNNING);
        }
        for (int i = 0; i < 6; i++)
            world_do(world, WORLD_REMOVE, &specs[i]);
    }
}
