/* A zygote that hangs is killed: nobody waits for it for ever. */

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tests/integration/keeper_world.h"
#include "tests/tap.h"

enum { PATIENCE_MS = 600, SOON_MS = 5000 };

static struct world *impatient_world(void)
{
    world_set_patience(PATIENCE_MS);
    return world_open();
}

static pid_t stop_zygote(struct world *world)
{
    pid_t zygote = world_zygote_pid(world);

    CHECK(zygote > 0);
    CHECK(kill(zygote, SIGSTOP) == 0);
    return zygote;
}

/* It is dead, and said to be. */
static void check_replaced(struct world *world, pid_t zygote)
{
    CHECK(world_zygote_pid(world) != zygote);
    CHECK_CONTAINS(world_keeper_log(world), "has not answered for 300 ms: killed");
    world_await_end(zygote);
}

TEST(a_stop_does_not_wait_for_a_zygote_that_hangs)
{
    struct world *world = impatient_world();
    struct container_spec spec = world_spec(world, "one", NULL);
    int64_t before;
    pid_t zygote;

    world_run(world, &spec);
    zygote = stop_zygote(world);
    before = world_now_ms();
    world_do(world, WORLD_STOP, &spec);
    CHECK(world_now_ms() - before < SOON_MS);
    CHECK_INT(world_info(world, spec.name).exit_code, 137);
    check_replaced(world, zygote);
    world_do(world, WORLD_START, &spec);
    CHECK_INT(world_info(world, spec.name).status, CONTAINER_RUNNING);
}

TEST(a_start_does_not_wait_for_a_zygote_that_hangs)
{
    struct world *world = impatient_world();
    struct container_spec one = world_spec(world, "one", NULL),
                          two = world_spec(world, "two", NULL);
    struct container_spec three = world_spec(world, "three", NULL);
    pid_t zygote, first;

    world_run(world, &one);
    world_do(world, WORLD_CREATE, &three);
    first = world_info(world, one.name).pid;
    zygote = stop_zygote(world);
    world_run(world, &two);
    world_do(world, WORLD_START, &three); /* armed by the one that hangs */
    check_replaced(world, zygote);
    CHECK_INT(world_info(world, one.name).pid, first);
    CHECK_INT(world_info(world, two.name).status, CONTAINER_RUNNING);
    CHECK_INT(world_info(world, three.name).status, CONTAINER_RUNNING);
    world_do(world, WORLD_STOP, &one);
    world_do(world, WORLD_STOP, &two);
    world_do(world, WORLD_STOP, &three);
}

TEST(an_armed_container_starts_under_the_next_zygote)
{
    struct world *world = impatient_world();
    struct container_spec spec = world_spec(world, "one", "echo here; exit 3");
    pid_t zygote;

    world_do(world, WORLD_CREATE, &spec);
    zygote = stop_zygote(world);
    world_do(world, WORLD_START, &spec);
    CHECK_INT(world_wait_status(world, spec.name, CONTAINER_EXITED).exit_code, 3);
    check_replaced(world, zygote);
    CHECK_TEXT(world_log(world, spec.name), "here\n");
}

TEST(what_is_removed_before_a_zygote_that_hangs_has_told_of_it_is_gone)
{
    struct world *world = impatient_world();
    struct container_spec one = world_spec(world, "one", NULL),
                          two = world_spec(world, "two", NULL);
    struct container_info info;
    struct error err = ERROR_INIT;
    pid_t zygote;

    world_run(world, &one);
    zygote = stop_zygote(world);
    CHECK_OK(engine_session_create(world->session, ++world->last_tag, &two, &err), &err);
    world_do(world, WORLD_REMOVE, &two);
    check_replaced(world, zygote);
    CHECK_FAILS(engine_container_find(world->engine, &world->arena, two.name, &info, &err),
                ERROR_NOT_FOUND, two.name);
    CHECK_INT(world_info(world, one.name).status, CONTAINER_RUNNING);
}

TEST(an_end_that_a_zygote_that_hangs_does_not_tell_is_noticed)
{
    struct world *world = impatient_world();
    struct container_spec spec = world_spec(
        world, "one", "trap 'echo bye; exit 7' USR1; echo up; while :; do sleep 0.01; done");
    pid_t zygote;

    world_run(world, &spec);
    while (world_count_lines(world, spec.name, "up\n") == 0)
        usleep(1000);
    zygote = stop_zygote(world);
    CHECK(kill(world_info(world, spec.name).pid, SIGUSR1) == 0);
    CHECK_INT(world_wait_status(world, spec.name, CONTAINER_EXITED).exit_code, 7);
    check_replaced(world, zygote);
    CHECK_TEXT(world_log(world, spec.name), "up\nbye\n");
}

TEST(an_exec_does_not_wait_for_a_zygote_that_hangs)
{
    struct world *world = impatient_world();
    struct container_spec spec = world_spec(world, "one", NULL);
    const char *argv[] = {"/bin/true"};
    struct exec_request request = {
        .argv = {argv, 1}, .container = spec.name, .stdin_fd = -1, .stdout_fd = 2, .stderr_fd = 2};
    struct error err = ERROR_INIT;
    pid_t zygote;
    int code = -1;

    world_run(world, &spec);
    zygote = stop_zygote(world);
    CHECK_FAILS(engine_exec(world->engine, world->project, &request, &code, &err), ERROR_SYSTEM,
                "its end is unknown");
    check_replaced(world, zygote);
    CHECK_OK(engine_exec(world->engine, world->project, &request, &code, &err), &err);
    CHECK_INT(code, 0);
}

/* More requests than its socket holds. */
TEST(many_starts_do_not_wait_for_a_zygote_that_hangs)
{
    enum { CONTAINERS = 60 };
    struct world *world = impatient_world();
    struct container_spec spec = world_spec(world, "one", NULL);
    const char *names[CONTAINERS];
    struct error err = ERROR_INIT;
    uint32_t first;
    pid_t zygote;

    world_run(world, &spec);
    zygote = stop_zygote(world);
    first = world->last_tag + 1;
    for (int i = 0; i < CONTAINERS; i++) {
        struct container_spec one =
            world_spec(world, arena_printf(&world->arena, "many%d", i), NULL);

        names[i] = one.name;
        CHECK_OK(engine_session_create(world->session, ++world->last_tag, &one, &err), &err);
    }
    world_answers(world, first, CONTAINERS);
    CHECK(world_zygote_pid(world) != zygote);
    for (int i = 0; i < CONTAINERS; i++)
        CHECK_INT(world_info(world, names[i]).status, CONTAINER_CREATED);
}

TEST(a_container_that_takes_its_time_does_not_cost_the_zygote_its_life)
{
    struct world *world = impatient_world();
    struct container_spec spec = world_spec(
        world, "one", "trap 'sleep 2; exit 5' TERM; echo up; while :; do sleep 0.01; done");
    pid_t zygote;

    world_run(world, &spec);
    zygote = world_zygote_pid(world);
    while (world_count_lines(world, spec.name, "up\n") == 0)
        usleep(1000);
    world_do(world, WORLD_STOP, &spec);
    CHECK_INT(world_info(world, spec.name).exit_code, 5);
    CHECK_INT(world_zygote_pid(world), zygote);
    CHECK_TEXT(world_keeper_log(world), "");
}

TEST(a_zygote_that_slept_as_long_as_its_keeper_is_given_time)
{
    struct world *world;
    struct container_spec one, two;
    struct error err = ERROR_INIT;
    pid_t zygote, keeper;

    world_set_patience(2000);
    world = world_open();
    one = world_spec(world, "one", NULL);
    two = world_spec(world, "two", NULL);
    world_run(world, &one);
    keeper = world_keeper_pid(world);
    (void)usleep(1200000); /* the clock of the start has run out */
    zygote = stop_zygote(world);
    /* It is asked after one second, and would be killed after two. */
    CHECK_OK(engine_session_create(world->session, ++world->last_tag, &two, &err), &err);
    (void)usleep(1500000);
    CHECK(kill(keeper, SIGSTOP) == 0);
    (void)usleep(1500000);
    CHECK(kill(keeper, SIGCONT) == 0);
    (void)usleep(100000);
    CHECK(kill(zygote, SIGCONT) == 0);
    CHECK_OK(world_answer(world, world->last_tag, &err), &err);
    CHECK_INT(world_zygote_pid(world), zygote);
    CHECK_TEXT(world_keeper_log(world), "");
}

/* Nobody starts the next keeper but a client that gave up waiting for it (ten seconds). */
TEST(a_zygote_that_does_not_replace_its_keeper_is_replaced_with_it)
{
    struct world *world = impatient_world();
    struct container_spec spec = world_spec(world, "one", NULL);
    pid_t zygote, keeper, first;

    world_run(world, &spec);
    first = world_info(world, spec.name).pid;
    keeper = world_keeper_pid(world);
    zygote = stop_zygote(world);
    CHECK(kill(keeper, SIGKILL) == 0);
    world_await_end(keeper);
    world_reconnect(world);
    world_await_end(zygote);
    CHECK_CONTAINS(world_keeper_log(world), "did not start another one: killed");
    CHECK_INT(world_info(world, spec.name).pid, first);
    world_do(world, WORLD_STOP, &spec);
    world_do(world, WORLD_START, &spec);
    CHECK_INT(world_info(world, spec.name).status, CONTAINER_RUNNING);
}
