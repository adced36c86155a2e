#include "engine/keeper/lifecycle.h"

#include <signal.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/units.h"
#include "tests/tap.h"

static const char *const request_names[] = {
    [REQUEST_BUILD] = "build", [REQUEST_GO] = "go",       [REQUEST_SIGNAL] = "signal",
    [REQUEST_KILL] = "kill",   [REQUEST_TIMER] = "timer", [REQUEST_ENDED] = "ended",
};

static struct arena arena;

/* One event, and what it asks for, as text: "timer+100 ended". Times are relative, in ms. */
static const char *feed(struct lifecycle *life, int64_t now_ms, struct life_input input)
{
    struct life_requests requests;
    cleanup_buf struct buf text = BUF_INIT;

    input.now_ns = now_ms * NS_PER_MS;
    lifecycle_handle(life, &input, &requests);
    for (int i = 0; i < requests.n; i++) {
        const struct life_request *request = &requests.items[i];

        buf_printf(&text, "%s%s", i ? " " : "", request_names[request->kind]);
        if (request->kind == REQUEST_SIGNAL)
            buf_printf(&text, ":%s", signal_name(request->signal));
        if (request->kind == REQUEST_TIMER && request->at_ns)
            buf_printf(&text, "+%lld", (long long)(request->at_ns / NS_PER_MS - now_ms));
    }
    return arena_strdup(&arena, buf_text(&text));
}

static const char *event(struct lifecycle *life, int64_t now_ms, enum life_event kind)
{
    return feed(life, now_ms, (struct life_input){.event = kind, .grace_ns = -1});
}

static const char *ends(struct lifecycle *life, int64_t now_ms, int code)
{
    return feed(life, now_ms, (struct life_input){.event = LIFE_EXIT, .exit_code = code});
}

static struct lifecycle life_of(enum restart_policy policy, int retries)
{
    struct container_spec spec = {
        .restart = policy, .restart_max_retries = retries, .stop_grace_ns = -1};
    struct lifecycle life;

    lifecycle_init(&life, &spec, SIGTERM);
    return life;
}

static void run(struct lifecycle *life, int64_t now_ms)
{
    event(life, now_ms, LIFE_START);
    event(life, now_ms, LIFE_IS_ARMED);
    event(life, now_ms, LIFE_EXEC_OK);
    CHECK_INT(life->state, LIFE_RUNNING);
}

TEST(a_container_is_built_then_started)
{
    struct lifecycle life = life_of(RESTART_NO, 0);

    CHECK_TEXT(event(&life, 0, LIFE_BUILD), "build");
    CHECK_INT(lifecycle_status(&life), CONTAINER_CREATED);
    CHECK_TEXT(event(&life, 1, LIFE_IS_ARMED), "");
    CHECK_INT(life.state, LIFE_ARMED);
    CHECK_TEXT(event(&life, 2, LIFE_START), "go");
    CHECK_TEXT(event(&life, 3, LIFE_EXEC_OK), "");
    CHECK_INT(lifecycle_status(&life), CONTAINER_RUNNING);
    CHECK_TEXT(ends(&life, 4, 3), "timer ended");
    CHECK_INT(lifecycle_status(&life), CONTAINER_EXITED);
    CHECK_INT(life.exit_code, 3);
}

TEST(a_start_that_comes_while_it_is_built_is_remembered)
{
    struct lifecycle life = life_of(RESTART_NO, 0);

    event(&life, 0, LIFE_BUILD);
    CHECK_TEXT(event(&life, 0, LIFE_START), "");
    CHECK_TEXT(event(&life, 0, LIFE_IS_ARMED), "go");
}

TEST(stopping_sends_the_signal_and_kills_when_the_grace_time_is_over)
{
    struct lifecycle life = life_of(RESTART_ALWAYS, 0);

    run(&life, 0);
    CHECK_TEXT(event(&life, 100, LIFE_STOP), "signal:SIGTERM timer+10000");
    CHECK_INT(lifecycle_status(&life), CONTAINER_STOPPING);
    CHECK_TEXT(event(&life, 10100, LIFE_TIMER), "kill");
    CHECK_TEXT(ends(&life, 10101, 137), "timer ended");
    CHECK_INT(life.state, LIFE_EXITED);
    CHECK(life.stopped_by_user);
}

TEST(a_second_stop_changes_the_grace_time_and_sends_nothing)
{
    struct lifecycle life = life_of(RESTART_NO, 0);

    run(&life, 0);
    event(&life, 0, LIFE_STOP);
    CHECK_TEXT(feed(&life, 50, (struct life_input){.event = LIFE_STOP, .grace_ns = NS_PER_S}),
               "timer+1000");
    CHECK_TEXT(feed(&life, 60, (struct life_input){.event = LIFE_STOP, .grace_ns = 0}), "kill");
}

TEST(always_waits_longer_and_longer_and_forgets_after_ten_seconds)
{
    struct lifecycle life = life_of(RESTART_ALWAYS, 0);
    static const char *const want[] = {"100",  "200",   "400",   "800",   "1600",  "3200",
                                       "6400", "12800", "25600", "51200", "60000", "60000"};
    int64_t now = 0;

    run(&life, now);
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        const char *text = ends(&life, now, 0);

        CHECK_TEXT(text, arena_printf(&arena, "timer ended timer+%s", want[i]));
        CHECK_INT(lifecycle_status(&life), CONTAINER_RESTARTING);
        CHECK_TEXT(event(&life, now, LIFE_TIMER), "build");
        CHECK_INT(lifecycle_status(&life), CONTAINER_RESTARTING);
        CHECK_TEXT(event(&life, now, LIFE_IS_ARMED), "go");
        event(&life, now, LIFE_EXEC_OK);
        now += 5000;
    }
    CHECK_INT(life.restarts, 12);
    now += 10000;
    CHECK_TEXT(ends(&life, now, 0), "timer ended timer+100");
}

TEST(on_failure_counts_and_leaves_success_alone)
{
    struct lifecycle life = life_of(RESTART_ON_FAILURE, 1);

    run(&life, 0);
    CHECK_TEXT(ends(&life, 1, 5), "timer ended timer+100");
    event(&life, 101, LIFE_TIMER);
    event(&life, 101, LIFE_IS_ARMED);
    event(&life, 101, LIFE_EXEC_OK);
    CHECK_TEXT(ends(&life, 102, 5), "timer ended");
    CHECK_INT(life.state, LIFE_EXITED);
    CHECK_INT(life.restarts, 1);
    run(&life, 200);
    CHECK_INT(life.restarts, 0);
    CHECK_TEXT(ends(&life, 201, 0), "timer ended");
}

TEST(a_stop_gives_up_the_back_off)
{
    struct lifecycle life = life_of(RESTART_UNLESS_STOPPED, 0);

    run(&life, 0);
    ends(&life, 1, 1);
    CHECK_INT(life.state, LIFE_BACKOFF);
    CHECK_TEXT(event(&life, 2, LIFE_STOP), "timer");
    CHECK_INT(life.state, LIFE_EXITED);
    CHECK_TEXT(event(&life, 3, LIFE_TIMER), "");
}

TEST(a_start_that_fails_is_not_tried_again_but_a_restart_that_fails_is)
{
    struct lifecycle life = life_of(RESTART_ALWAYS, 0);
    struct life_input failed = {.event = LIFE_FAILED, .exit_code = 127};

    event(&life, 0, LIFE_START);
    CHECK_TEXT(feed(&life, 0, failed), "timer ended");
    CHECK_INT(life.state, LIFE_EXITED);
    CHECK_INT(life.exit_code, 127);

    run(&life, 0);
    ends(&life, 1, 0);
    event(&life, 101, LIFE_TIMER);
    CHECK_TEXT(feed(&life, 102, failed), "timer ended timer+200");
}

TEST(kill_with_the_stop_signal_ends_restarting_and_other_signals_do_not)
{
    struct lifecycle life = life_of(RESTART_ALWAYS, 0);

    run(&life, 0);
    CHECK_TEXT(feed(&life, 1, (struct life_input){.event = LIFE_KILL, .signal = SIGUSR1}),
               "signal:SIGUSR1");
    CHECK_TEXT(ends(&life, 2, 138), "timer ended timer+100");
    run(&life, 200);
    CHECK_TEXT(feed(&life, 201, (struct life_input){.event = LIFE_KILL, .signal = SIGKILL}),
               "signal:SIGKILL");
    CHECK_TEXT(ends(&life, 202, 137), "timer ended");
    CHECK_INT(life.state, LIFE_EXITED);
}

TEST(a_start_while_it_stops_starts_it_again_afterwards)
{
    struct lifecycle life = life_of(RESTART_NO, 0);

    run(&life, 0);
    event(&life, 0, LIFE_STOP);
    CHECK_TEXT(event(&life, 1, LIFE_START), "");
    CHECK_TEXT(ends(&life, 2, 0), "timer ended timer build");
    CHECK_TEXT(event(&life, 3, LIFE_IS_ARMED), "go");
}

TEST(what_is_built_but_not_started_stays_when_stopped_and_goes_when_killed)
{
    struct lifecycle life = life_of(RESTART_NO, 0);

    event(&life, 0, LIFE_BUILD);
    event(&life, 0, LIFE_IS_ARMED);
    CHECK_TEXT(event(&life, 0, LIFE_STOP), "");
    CHECK_INT(life.state, LIFE_ARMED);
    CHECK_TEXT(feed(&life, 0, (struct life_input){.event = LIFE_KILL, .signal = SIGKILL}), "kill");
    CHECK_INT(life.state, LIFE_STOPPING);
    feed(&life, 1, (struct life_input){.event = LIFE_FAILED, .exit_code = -1});
    CHECK_INT(life.state, LIFE_EXITED);
}

TEST(every_state_takes_every_event)
{
    for (int state = 0; state < LIFE_STATES; state++) {
        for (int kind = 0; kind < LIFE_EVENTS; kind++) {
            struct lifecycle life = life_of(RESTART_ALWAYS, 0);

            lifecycle_adopt(&life, (enum life_state)state, 0);
            (void)event(&life, 1, (enum life_event)kind);
            CHECK((int)life.state >= 0 && (int)life.state < LIFE_STATES);
        }
    }
}
