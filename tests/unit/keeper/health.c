#include "engine/keeper/health.h"

#include "engine/base/clock.h"
#include "tests/tap.h"

#define MS NS_PER_MS

static struct health health_of(int64_t interval_ms, int retries, int64_t start_period_ms)
{
    struct health_spec spec = {.is_set = true,
                               .interval_ns = interval_ms * MS,
                               .timeout_ns = 1000 * MS,
                               .start_period_ns = start_period_ms * MS,
                               .start_interval_ns = 5000 * MS,
                               .retries = retries};
    struct health health;

    health_init(&health, &spec);
    return health;
}

/* The next probe: when it starts. It takes `took` and passes or not. */
static int64_t probe(struct health *health, int64_t took_ms, bool passes)
{
    int64_t now = health_next_ns(health);

    CHECK_INT(health_due(health, now), HEALTH_PROBE);
    (void)health_probed(health, now + took_ms * MS, passes);
    return now / MS;
}

/* However long it takes to get ready, a probe comes at most 5 ms or a 32nd of that time later. */
TEST(probes_while_it_starts_are_late_by_a_small_part_of_the_wait)
{
    struct health health = health_of(30000, 3, 0);
    int64_t before = 0, at = 0;

    health_start(&health, 0);
    while (at < 20000) {
        at = probe(&health, 0, false);
        CHECK(at - before <= 5 + before / 32);
        CHECK(at - before <= 250);
        CHECK(at - before >= 5);
        before = at;
    }
    CHECK_INT(health.status, HEALTH_STARTING);
}

TEST(a_slow_probe_takes_a_sixth_of_the_time)
{
    struct health health = health_of(30000, 3, 0);

    health_start(&health, 0);
    CHECK_INT(probe(&health, 100, false), 5);
    CHECK_INT(probe(&health, 100, false), 5 + 100 + 500);
}

TEST(never_rarer_than_the_file_says)
{
    struct health health = health_of(50, 100, 0);

    health_start(&health, 0);
    CHECK_INT(probe(&health, 20, false), 5);
    CHECK_INT(probe(&health, 20, false), 5 + 20 + 50);
}

TEST(the_first_success_is_healthy_and_then_the_interval_holds)
{
    struct health health = health_of(30000, 3, 0);

    health_start(&health, 0);
    probe(&health, 0, false);
    CHECK_INT(probe(&health, 1, true), 10);
    CHECK_INT(health.status, HEALTH_HEALTHY);
    CHECK_INT(probe(&health, 0, true), 10 + 1 + 30000);
}

TEST(unhealthy_comes_after_retries_failures_in_a_row)
{
    struct health health = health_of(1000, 3, 0);

    health_start(&health, 0);
    probe(&health, 0, true);
    probe(&health, 0, false);
    probe(&health, 0, false);
    CHECK_INT(health.status, HEALTH_HEALTHY);
    CHECK_INT(health.failing_streak, 2);
    probe(&health, 0, true);
    CHECK_INT(health.failing_streak, 0);
    for (int i = 0; i < 3; i++)
        probe(&health, 0, false);
    CHECK_INT(health.status, HEALTH_UNHEALTHY);
    probe(&health, 0, true);
    CHECK_INT(health.status, HEALTH_HEALTHY);
}

TEST(failures_while_starting_count_as_time_and_not_earlier_than_docker)
{
    struct health health = health_of(1000, 3, 2000);
    int64_t at = 0;

    health_start(&health, 0);
    while (health.status == HEALTH_STARTING)
        at = probe(&health, 0, false);
    CHECK_INT(health.status, HEALTH_UNHEALTHY);
    CHECK_INT(health.failing_streak, 3);
    CHECK(at >= 5000 && at <= 5250);
}

TEST(a_poke_probes_at_once_and_quickly_after)
{
    struct health health = health_of(30000, 3, 0);

    health_start(&health, 0);
    while (health_next_ns(&health) < 2000 * MS)
        probe(&health, 0, false);
    health_poke(&health, 2000 * MS);
    CHECK_INT(probe(&health, 0, false), 2000);
    CHECK_INT(probe(&health, 0, false), 2005);
}

TEST(a_poke_during_a_probe_makes_another_one_follow)
{
    struct health health = health_of(30000, 3, 0);

    health_start(&health, 0);
    CHECK_INT(health_due(&health, 5 * MS), HEALTH_PROBE);
    health_poke(&health, 6 * MS);
    (void)health_probed(&health, 8 * MS, false);
    CHECK_INT(health_next_ns(&health) / MS, 8);
}

TEST(a_probe_that_hangs_is_killed_and_has_failed)
{
    struct health health = health_of(10, 1, 0);

    health_start(&health, 0);
    CHECK_INT(health_due(&health, 5 * MS), HEALTH_PROBE);
    CHECK_INT(health_due(&health, 900 * MS), HEALTH_WAIT);
    CHECK_INT(health_due(&health, 1005 * MS), HEALTH_KILL_PROBE);
    CHECK(health_probed(&health, 1006 * MS, false));
    CHECK_INT(health.status, HEALTH_UNHEALTHY);
}

TEST(without_a_check_nothing_is_due)
{
    struct health_spec none = {.disabled = true};
    struct health health;

    health_init(&health, &none);
    health_start(&health, 0);
    CHECK_INT(health.status, HEALTH_NONE);
    CHECK_INT(health_next_ns(&health), 0);
    CHECK_INT(health_due(&health, 1000), HEALTH_WAIT);
}

TEST(a_stopped_container_is_not_probed)
{
    struct health health = health_of(1000, 3, 0);

    health_start(&health, 0);
    CHECK_INT(health_due(&health, 5 * MS), HEALTH_PROBE);
    health_stop(&health);
    CHECK(!health_probed(&health, 6 * MS, true));
    CHECK_INT(health_next_ns(&health), 0);
    health_start(&health, 100 * MS);
    CHECK_INT(health.status, HEALTH_STARTING);
}
