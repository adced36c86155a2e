/* Containers under a keeper: create, start, logs, exit codes, restart, stop, health. */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tests/integration/keeper_world.h"
#include "tests/tap.h"

TEST(a_container_runs_prints_and_ends_with_its_code)
{
    struct world *world = world_open();
    struct container_spec spec;
    struct container_info info;

    spec = world_spec(world, "one", "echo hello; echo oops >&2; printf end; exit 7");
    world_do(world, WORLD_CREATE, &spec);
    info = world_info(world, spec.name);
    CHECK_INT(info.status, CONTAINER_CREATED);
    CHECK_INT(info.pid, 0);
    world_do(world, WORLD_START, &spec);
    CHECK_INT(world_wait_status(world, spec.name, CONTAINER_EXITED).exit_code, 7);
    info = world_info(world, spec.name);
    CHECK_INT(info.exit_code, 7);
    CHECK_CONTAINS(world_log(world, spec.name), "hello\n");
    CHECK_CONTAINS(world_log(world, spec.name), "oops\n");
    CHECK_CONTAINS(world_log(world, spec.name), "end\n");
    world_do(world, WORLD_REMOVE, &spec);
}

TEST(creating_twice_is_creating_once)
{
    struct world *world = world_open();
    struct container_spec spec, other;
    struct error err = ERROR_INIT;

    spec = world_spec(world, "one", NULL);
    world_run(world, &spec);
    world_run(world, &spec);
    CHECK_INT(world_info(world, spec.name).status, CONTAINER_RUNNING);
    other = world_spec(world, "one", "echo other");
    CHECK_FAILS(world_try(world, WORLD_CREATE, &other, &err), ERROR_CONFLICT,
                "with another specification");
}

TEST(a_missing_program_is_127_and_says_so)
{
    struct world *world = world_open();
    struct container_spec spec;
    struct error err = ERROR_INIT;
    const char *argv[] = {"/bin/nothing"};

    spec = world_spec(world, "one", NULL);
    spec.has_command = true;
    spec.command = (struct strings){argv, 1};
    world_do(world, WORLD_CREATE, &spec);
    CHECK(world_try(world, WORLD_START, &spec, &err) < 0);
    CHECK_CONTAINS(err.text, "/bin/nothing");
    CHECK_INT(world_info(world, spec.name).exit_code, 127);
    CHECK_INT(world_info(world, spec.name).status, CONTAINER_EXITED);
}

TEST(a_first_process_that_cannot_hear_the_stop_signal_is_not_waited_for)
{
    struct world *world = world_open();
    struct container_spec spec;
    int64_t before;

    spec = world_spec(world, "one", NULL);
    world_run(world, &spec);
    before = world_now_ms();
    world_do(world, WORLD_STOP, &spec);
    CHECK(world_now_ms() - before < 1000);
    CHECK_INT(world_info(world, spec.name).exit_code, 137);
    CHECK(world_info(world, spec.name).stopped_by_user);
}

TEST(a_process_that_hears_the_stop_signal_may_end_as_it_likes)
{
    struct world *world = world_open();
    struct container_spec spec;

    spec = world_spec(world, "one",
                      "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.01; done");
    world_run(world, &spec);
    while (world_count_lines(world, spec.name, "up\n") == 0)
        usleep(1000);
    world_do(world, WORLD_STOP, &spec);
    CHECK_INT(world_info(world, spec.name).exit_code, 3);
    CHECK_TEXT(world_log(world, spec.name), "up\nbye\n");
}

TEST(who_does_not_end_in_time_is_killed)
{
    struct world *world = world_open();
    struct container_spec spec;
    int64_t before;

    spec = world_spec(world, "one", "trap 'echo no' TERM; echo up; while :; do sleep 0.01; done");
    spec.stop_grace_ns = 200 * NS_PER_MS;
    world_run(world, &spec);
    while (world_count_lines(world, spec.name, "up\n") == 0)
        usleep(1000);
    before = world_now_ms();
    world_do(world, WORLD_STOP, &spec);
    CHECK(world_now_ms() - before >= 199);
    CHECK(world_now_ms() - before < 2000);
    CHECK_INT(world_info(world, spec.name).exit_code, 137);
    CHECK_TEXT(world_log(world, spec.name), "up\nno\n");
}

TEST(on_failure_restarts_as_often_as_it_says)
{
    struct world *world = world_open();
    struct container_spec spec;

    spec = world_spec(world, "one", "echo try; exit 4");
    spec.restart = RESTART_ON_FAILURE;
    spec.restart_max_retries = 2;
    world_run(world, &spec);
    CHECK_INT(world_wait_status(world, spec.name, CONTAINER_EXITED).exit_code, 4);
    CHECK_INT(world_info(world, spec.name).restarts, 2);
    CHECK_TEXT(world_log(world, spec.name), "try\ntry\ntry\n");
}

TEST(a_stop_ends_restarting)
{
    struct world *world = world_open();
    struct container_spec spec;

    spec = world_spec(world, "one", "exit 1");
    spec.restart = RESTART_ALWAYS;
    world_run(world, &spec);
    (void)world_wait_status(world, spec.name, CONTAINER_RESTARTING);
    world_do(world, WORLD_STOP, &spec);
    CHECK_INT(world_info(world, spec.name).status, CONTAINER_EXITED);
    world_do(world, WORLD_START, &spec);
    (void)world_wait_status(world, spec.name, CONTAINER_RESTARTING);
}

TEST(removing_a_running_container_leaves_nothing)
{
    struct world *world = world_open();
    struct container_spec spec;
    struct container_info info;
    struct error err = ERROR_INIT;
    char path[300];

    spec = world_spec(world, "one", NULL);
    world_run(world, &spec);
    info = world_info(world, spec.name);
    (void)snprintf(path, sizeof(path), "/proc/%d", (int)info.pid);
    CHECK(access(path, F_OK) == 0);
    world_do(world, WORLD_REMOVE, &spec);
    CHECK(access(path, F_OK) != 0);
    CHECK_FAILS(engine_container_find(world->engine, &world->arena, spec.name, &info, &err),
                ERROR_NOT_FOUND, spec.name);
    world_do(world, WORLD_REMOVE, &spec);
}

TEST(what_is_removed_while_it_is_built_is_gone)
{
    struct world *world = world_open();
    struct container_spec spec = world_spec(world, "one", NULL);
    struct container_info info;
    struct error err = ERROR_INIT;

    for (int i = 0; i < 20; i++) {
        CHECK_OK(engine_session_create(world->session, ++world->last_tag, &spec, &err), &err);
        if (i % 2)
            CHECK_OK(engine_session_start(world->session, ++world->last_tag, spec.name, &err),
                     &err);
        world_do(world, WORLD_REMOVE, &spec);
        CHECK_FAILS(engine_container_find(world->engine, &world->arena, spec.name, &info, &err),
                    ERROR_NOT_FOUND, spec.name);
    }
}

TEST(the_keeper_ends_when_nothing_runs_and_nobody_is_connected)
{
    struct world *world = world_open();
    struct container_spec spec;
    pid_t keeper, zygote;

    spec = world_spec(world, "one", NULL);
    world_run(world, &spec);
    keeper = world_keeper_pid(world);
    zygote = world_zygote_pid(world);
    CHECK(keeper > 0 && zygote > 0);
    world_do(world, WORLD_STOP, &spec);
    engine_session_close(world->session);
    world->session = NULL;
    world_await_end(keeper);
    world_await_end(zygote);
    world_reconnect(world);
    world_do(world, WORLD_START, &spec);
    CHECK_INT(world_info(world, spec.name).status, CONTAINER_RUNNING);
}

/* ------------------------------------------------------------------ health */

static struct health_spec check(struct world *world, const char *line)
{
    struct health_spec health = {.is_set = true, .interval_ns = 30 * NS_PER_S, .retries = 3};

    health.test.items = arena_new_array(&world->arena, const char *, 2);
    health.test.items[0] = "CMD-SHELL";
    health.test.items[1] = line;
    health.test.n = 2;
    return health;
}

TEST(readiness_is_seen_when_a_socket_starts_to_listen)
{
    struct world *world = world_open();
    struct container_spec spec;
    struct container_info info;
    int64_t seen_ns, ready_ns;
    const char *text;

    spec =
        world_spec(world, "one", "sleep 0.7; while :; do date +%s.%N; nc -l -p 80 -e true; done");
    spec.health = check(world, "netstat -ltn | grep -q :80");
    world_run(world, &spec);
    CHECK_INT(world_info(world, spec.name).health, HEALTH_STARTING);
    (void)world_wait_health(world, spec.name, HEALTH_HEALTHY);
    seen_ns = clock_realtime_ns();
    info = world_info(world, spec.name);
    text = world_log(world, spec.name);
    (void)text;
    ready_ns = info.started_ns + 700 * NS_PER_MS;
    fprintf(stderr, "# seen %lld ms after the sleep\n",
            (long long)((seen_ns - ready_ns) / 1000000));
    CHECK(seen_ns - ready_ns < 100 * NS_PER_MS);
}

TEST(a_check_that_fails_for_too_long_makes_it_unhealthy_and_keeps_the_output)
{
    struct world *world = world_open();
    struct container_spec spec;

    spec = world_spec(world, "one", NULL);
    spec.health = check(world, "echo no way; exit 1");
    spec.health.interval_ns = 100 * NS_PER_MS;
    world_run(world, &spec);
    (void)world_wait_health(world, spec.name, HEALTH_UNHEALTHY);
    CHECK_CONTAINS(world_info(world, spec.name).health_output, "no way");
    CHECK_INT(world_info(world, spec.name).health_failing_streak, 3);
}

TEST(a_check_that_hangs_is_killed_at_its_timeout)
{
    struct world *world = world_open();
    struct container_spec spec;

    spec = world_spec(world, "one", NULL);
    spec.health = check(world, "sleep 1000");
    spec.health.interval_ns = 50 * NS_PER_MS;
    spec.health.timeout_ns = 100 * NS_PER_MS;
    world_run(world, &spec);
    (void)world_wait_health(world, spec.name, HEALTH_UNHEALTHY);
    CHECK_CONTAINS(world_info(world, spec.name).health_output, "exceeded timeout");
}

/* ------------------------------------------------------------------ exec */

TEST(exec_runs_in_the_container_and_returns_its_code)
{
    struct world *world = world_open();
    struct container_spec spec;
    const char *argv[] = {"/bin/sh", "-c", "echo $WHO-$$; hostname; exit 5"};
    struct pair pairs[] = {{"WHO", "me"}};
    struct exec_request request = {
        .argv = {argv, 3}, .environment = {pairs, 1}, .stdin_fd = -1, .stderr_fd = 2};
    struct error err = ERROR_INIT;
    char text[100] = "";
    int ends[2], code = -1;

    spec = world_spec(world, "one", NULL);
    spec.hostname = "somewhere";
    world_run(world, &spec);
    CHECK(pipe(ends) == 0);
    request.container = spec.name;
    request.stdout_fd = ends[1];
    CHECK_OK(engine_exec(world->engine, world->project, &request, &code, &err), &err);
    CHECK_INT(code, 5);
    CHECK(read(ends[0], text, sizeof(text) - 1) > 0);
    CHECK_CONTAINS(text, "me-");
    CHECK_CONTAINS(text, "somewhere\n");
    argv[0] = "/bin/missing";
    CHECK_OK(engine_exec(world->engine, world->project, &request, &code, &err), &err);
    CHECK_INT(code, 127);
}
