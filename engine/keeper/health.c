/* The schedule of health checks; see health.h. */

#include "engine/keeper/health.h"

#include <assert.h>

#include "engine/base/clock.h"

static const int64_t FIRST_DELAY_NS = 5 * NS_PER_MS;
static const int64_t MAX_DELAY_NS = 250 * NS_PER_MS;
/* While starting, a probe may run at most every this many times as long as it took. */
static const int64_t DUTY_FACTOR = 5;
/* … and waits for at least this part of the time that has passed: seen late by three percent. */
static const int64_t WAITED_PARTS = 32;

static int64_t min_ns(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max_ns(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void health_init(struct health *health, const struct health_spec *spec)
{
    *health = (struct health){.status = HEALTH_NONE};
    if (spec->disabled)
        return;
    health->interval_ns = spec->interval_ns;
    health->timeout_ns = spec->timeout_ns;
    health->start_period_ns = spec->start_period_ns;
    health->start_interval_ns = spec->start_interval_ns;
    health->retries = spec->retries;
    health->status = HEALTH_STARTING;
}

void health_start(struct health *health, int64_t now_ns)
{
    if (health->status == HEALTH_NONE)
        return;
    health->status = HEALTH_STARTING;
    health->failing_streak = 0;
    health->is_running = true;
    health->is_probing = health->was_poked = false;
    health->started_ns = now_ns;
    health->eager_since_ns = now_ns;
    health->next_ns = now_ns + FIRST_DELAY_NS;
}

void health_stop(struct health *health)
{
    health->is_running = health->is_probing = health->was_poked = false;
    health->next_ns = 0;
    if (health->status != HEALTH_NONE)
        health->status = HEALTH_UNHEALTHY;
}

void health_adopt(struct health *health, enum health_status status, int failing_streak,
                  int64_t now_ns)
{
    health_start(health, now_ns);
    if (health->status == HEALTH_NONE || status == HEALTH_NONE)
        return;
    health->status = status;
    health->failing_streak = failing_streak;
}

int64_t health_next_ns(const struct health *health)
{
    return health->is_running ? health->next_ns : 0;
}

enum health_action health_due(struct health *health, int64_t now_ns)
{
    if (!health->is_running || now_ns < health->next_ns)
        return HEALTH_WAIT;
    if (health->is_probing) {
        /* Asked again only if the kill does not help for another round. */
        health->next_ns = now_ns + health->timeout_ns;
        return HEALTH_KILL_PROBE;
    }
    health->is_probing = true;
    health->probe_started_ns = now_ns;
    health->next_ns = now_ns + health->timeout_ns;
    return HEALTH_PROBE;
}

/* Docker gives up after `retries` failures, an interval apart, that began after the start period.
 */
static bool start_time_is_over(const struct health *health, int64_t now_ns)
{
    return now_ns - health->started_ns >=
           health->start_period_ns + health->interval_ns * health->retries;
}

static int64_t delay_while_starting(const struct health *health, int64_t now_ns)
{
    bool in_start_period = now_ns - health->started_ns < health->start_period_ns;
    int64_t longest = in_start_period ? min_ns(health->start_interval_ns, health->interval_ns)
                                      : health->interval_ns;
    int64_t took = now_ns - health->probe_started_ns;
    int64_t part = (now_ns - health->eager_since_ns) / WAITED_PARTS;
    int64_t delay = min_ns(max_ns(part, FIRST_DELAY_NS), MAX_DELAY_NS);

    return min_ns(longest, max_ns(delay, took * DUTY_FACTOR));
}

static void schedule(struct health *health, int64_t now_ns)
{
    if (health->status != HEALTH_STARTING) {
        health->next_ns = now_ns + health->interval_ns;
    } else if (health->was_poked) {
        health->next_ns = now_ns;
    } else {
        health->next_ns = now_ns + delay_while_starting(health, now_ns);
    }
    health->was_poked = false;
}

static void failed(struct health *health, int64_t now_ns)
{
    if (health->status == HEALTH_STARTING) {
        if (!start_time_is_over(health, now_ns))
            return;
        health->failing_streak = health->retries;
        health->status = HEALTH_UNHEALTHY;
        return;
    }
    health->failing_streak++;
    if (health->failing_streak >= health->retries)
        health->status = HEALTH_UNHEALTHY;
}

bool health_probed(struct health *health, int64_t now_ns, bool has_passed)
{
    enum health_status before = health->status;

    if (!health->is_running || !health->is_probing)
        return false;
    health->is_probing = false;
    if (has_passed) {
        health->failing_streak = 0;
        health->status = HEALTH_HEALTHY;
    } else {
        failed(health, now_ns);
    }
    schedule(health, now_ns);
    return health->status != before;
}

void health_poke(struct health *health, int64_t now_ns)
{
    if (!health_wants_pokes(health))
        return;
    health->eager_since_ns = now_ns;
    if (health->is_probing)
        health->was_poked = true;
    else
        health->next_ns = now_ns;
}

bool health_wants_pokes(const struct health *health)
{
    return health->is_running && health->status == HEALTH_STARTING;
}
