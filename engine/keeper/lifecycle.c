/* State × event table of a container's life; see lifecycle.h.
 *
 * Restart policy is Docker's: 100 ms doubling to one minute, forgotten after a run of ten seconds;
 * asking for a stop, or killing it, cancels it; on-failure counts. A failed build or exec counts as
 * an end with its exit code, but is not tried again: its cause (no such program, no such mount)
 * does not go away by itself, and whoever asked for the start gets the error. Only a start by
 * policy that fails is tried again, as another end.
 */
#include "engine/keeper/lifecycle.h"

#include <assert.h>
#include <signal.h>

#include "engine/base/clock.h"

static const int64_t BACKOFF_FIRST_NS = 100 * NS_PER_MS;
static const int64_t BACKOFF_MAX_NS = 60 * NS_PER_S;
static const int64_t RUN_FORGIVES_NS = 10 * NS_PER_S;

const char *const life_state_names[LIFE_STATES] = {
    [LIFE_CREATED] = "created",   [LIFE_ARMING] = "arming",   [LIFE_ARMED] = "armed",
    [LIFE_STARTING] = "starting", [LIFE_RUNNING] = "running", [LIFE_STOPPING] = "stopping",
    [LIFE_BACKOFF] = "back-off",  [LIFE_EXITED] = "exited",
};

const char *const life_event_names[LIFE_EVENTS] = {
    [LIFE_BUILD] = "build",  [LIFE_START] = "start",   [LIFE_IS_ARMED] = "armed",
    [LIFE_EXEC_OK] = "exec", [LIFE_FAILED] = "failed", [LIFE_EXIT] = "exit",
    [LIFE_STOP] = "stop",    [LIFE_KILL] = "kill",     [LIFE_TIMER] = "timer",
};

typedef void life_action(struct lifecycle *life, const struct life_input *input,
                         struct life_requests *requests);

static void request(struct life_requests *requests, struct life_request item)
{
    assert(requests->n < LIFE_REQUESTS_MAX);
    requests->items[requests->n++] = item;
}

static void ignore(struct lifecycle *life, const struct life_input *input,
                   struct life_requests *requests)
{
    (void)life;
    (void)input;
    (void)requests;
}

static void build(struct lifecycle *life, const struct life_input *input,
                  struct life_requests *requests)
{
    (void)input;
    life->state = LIFE_ARMING;
    request(requests, (struct life_request){.kind = REQUEST_BUILD});
}

/* A start that was asked for forgets what the policy counted. */
static void forget_policy(struct lifecycle *life)
{
    life->wants_run = true;
    life->stopped_by_user = false;
    life->restarts = 0;
    life->backoff_ns = 0;
}

static void build_to_run(struct lifecycle *life, const struct life_input *input,
                         struct life_requests *requests)
{
    forget_policy(life);
    request(requests, (struct life_request){.kind = REQUEST_TIMER});
    build(life, input, requests);
}

static void want_run(struct lifecycle *life, const struct life_input *input,
                     struct life_requests *requests)
{
    (void)input;
    (void)requests;
    forget_policy(life);
}

static void want_rest(struct lifecycle *life, const struct life_input *input,
                      struct life_requests *requests)
{
    (void)input;
    (void)requests;
    life->wants_run = false;
    life->stopped_by_user = true;
}

static void go(struct lifecycle *life, const struct life_input *input,
               struct life_requests *requests)
{
    (void)input;
    life->state = LIFE_STARTING;
    request(requests, (struct life_request){.kind = REQUEST_GO});
}

static void armed(struct lifecycle *life, const struct life_input *input,
                  struct life_requests *requests)
{
    life->state = LIFE_ARMED;
    if (life->wants_run)
        go(life, input, requests);
}

static void go_because_asked(struct lifecycle *life, const struct life_input *input,
                             struct life_requests *requests)
{
    forget_policy(life);
    go(life, input, requests);
}

static void became_up(struct lifecycle *life, const struct life_input *input,
                      struct life_requests *requests)
{
    (void)requests;
    life->state = LIFE_RUNNING;
    life->up_since_ns = input->now_ns;
}

static bool policy_wants_restart(const struct lifecycle *life)
{
    if (life->stopped_by_user)
        return false;
    switch (life->policy) {
    case RESTART_NO:
        return false;
    case RESTART_ALWAYS:
    case RESTART_UNLESS_STOPPED:
        return true;
    case RESTART_ON_FAILURE:
        return life->exit_code != 0 &&
               (life->max_retries == 0 || life->restarts < life->max_retries);
    }
    return false;
}

static void wait_to_restart(struct lifecycle *life, const struct life_input *input,
                            struct life_requests *requests)
{
    bool ran_long = life->up_since_ns && input->now_ns - life->up_since_ns >= RUN_FORGIVES_NS;

    if (life->backoff_ns == 0 || ran_long)
        life->backoff_ns = BACKOFF_FIRST_NS;
    else if (life->backoff_ns < BACKOFF_MAX_NS / 2)
        life->backoff_ns *= 2;
    else
        life->backoff_ns = BACKOFF_MAX_NS;
    life->up_since_ns = 0;
    life->state = LIFE_BACKOFF;
    life->restarts++;
    request(requests, (struct life_request){.kind = REQUEST_TIMER,
                                            .at_ns = input->now_ns + life->backoff_ns});
}

static void exited(struct lifecycle *life, const struct life_input *input,
                   struct life_requests *requests)
{
    bool start_again = life->state == LIFE_STOPPING && life->wants_run;

    life->exit_code = input->exit_code;
    request(requests, (struct life_request){.kind = REQUEST_TIMER});
    request(requests, (struct life_request){.kind = REQUEST_ENDED});
    if (start_again) {
        life->up_since_ns = 0;
        build_to_run(life, input, requests);
    } else if (policy_wants_restart(life)) {
        wait_to_restart(life, input, requests);
    } else {
        life->wants_run = false;
        life->up_since_ns = 0;
        life->state = LIFE_EXITED;
    }
}

static void failed(struct lifecycle *life, const struct life_input *input,
                   struct life_requests *requests)
{
    bool by_policy = life->restarts > 0;

    life->exit_code = input->exit_code;
    request(requests, (struct life_request){.kind = REQUEST_TIMER});
    request(requests, (struct life_request){.kind = REQUEST_ENDED});
    if (by_policy && policy_wants_restart(life)) {
        wait_to_restart(life, input, requests);
        return;
    }
    life->wants_run = false;
    life->state = LIFE_EXITED;
}

static void kill_now(struct lifecycle *life, const struct life_input *input,
                     struct life_requests *requests)
{
    if (input->event == LIFE_STOP)
        want_rest(life, input, requests);
    life->state = LIFE_STOPPING;
    request(requests, (struct life_request){.kind = REQUEST_KILL});
}

static void terminate(struct lifecycle *life, const struct life_input *input,
                      struct life_requests *requests)
{
    int64_t grace_ns = input->grace_ns < 0 ? life->grace_ns : input->grace_ns;

    if (grace_ns == 0) {
        kill_now(life, input, requests);
        return;
    }
    /* A second stop may shorten the grace time; the signal is sent once. */
    if (life->state != LIFE_STOPPING)
        request(requests,
                (struct life_request){.kind = REQUEST_SIGNAL, .signal = life->stop_signal});
    want_rest(life, input, requests);
    life->state = LIFE_STOPPING;
    request(requests,
            (struct life_request){.kind = REQUEST_TIMER, .at_ns = input->now_ns + grace_ns});
}

static void give_up(struct lifecycle *life, const struct life_input *input,
                    struct life_requests *requests)
{
    want_rest(life, input, requests);
    life->state = LIFE_EXITED;
    request(requests, (struct life_request){.kind = REQUEST_TIMER});
}

static void retry(struct lifecycle *life, const struct life_input *input,
                  struct life_requests *requests)
{
    life->wants_run = true;
    build(life, input, requests);
}

/* SIGKILL and the stop signal mean "end": no restart after them (as docker kill). */
static void send_signal(struct lifecycle *life, const struct life_input *input,
                        struct life_requests *requests)
{
    if (input->signal == SIGKILL || input->signal == life->stop_signal)
        want_rest(life, input, requests);
    request(requests, (struct life_request){.kind = REQUEST_SIGNAL, .signal = input->signal});
}

/* What is built but does not run has no process of the user's that could be asked. It stays built,
 * unless it was to run again by policy, or is to die. */
static void unwant(struct lifecycle *life, const struct life_input *input,
                   struct life_requests *requests)
{
    if (input->event == LIFE_KILL && input->signal != SIGKILL)
        return;
    want_rest(life, input, requests);
    if (input->event == LIFE_STOP && life->restarts == 0)
        return;
    life->state = LIFE_STOPPING;
    request(requests, (struct life_request){.kind = REQUEST_KILL});
}

static life_action *const life_table[LIFE_STATES][LIFE_EVENTS] = {
    /* clang-format off */
    /*                  BUILD   START             IS_ARMED  EXEC_OK    FAILED  EXIT    STOP       KILL         TIMER */
    [LIFE_CREATED]  = { build,  build_to_run,     ignore,   ignore,    ignore, ignore, ignore,    ignore,      ignore },
    [LIFE_ARMING]   = { ignore, want_run,         armed,    ignore,    failed, failed, unwant,    unwant,      ignore },
    [LIFE_ARMED]    = { ignore, go_because_asked, ignore,   ignore,    failed, failed, unwant,    unwant,      ignore },
    [LIFE_STARTING] = { ignore, ignore,           ignore,   became_up, failed, exited, kill_now,  send_signal, ignore },
    [LIFE_RUNNING]  = { ignore, ignore,           ignore,   ignore,    ignore, exited, terminate, send_signal, ignore },
    [LIFE_STOPPING] = { ignore, want_run,         ignore,   ignore,    exited, exited, terminate, send_signal, kill_now },
    [LIFE_BACKOFF]  = { ignore, build_to_run,     ignore,   ignore,    ignore, ignore, give_up,   give_up,     retry },
    [LIFE_EXITED]   = { ignore, build_to_run,     ignore,   ignore,    ignore, ignore, ignore,    ignore,      ignore },
    /* clang-format on */
};

void lifecycle_init(struct lifecycle *life, const struct container_spec *spec, int stop_signal)
{
    *life = (struct lifecycle){.state = LIFE_CREATED, .exit_code = -1};
    lifecycle_update(life, spec, stop_signal);
}

void lifecycle_update(struct lifecycle *life, const struct container_spec *spec, int stop_signal)
{
    life->policy = spec->restart;
    life->max_retries = spec->restart_max_retries;
    life->stop_signal = stop_signal > 0 ? stop_signal : SIGTERM;
    life->grace_ns =
        spec->stop_grace_ns < 0 ? LIFE_GRACE_DEFAULT_S * NS_PER_S : spec->stop_grace_ns;
}

void lifecycle_adopt(struct lifecycle *life, enum life_state state, int64_t up_since_ns)
{
    life->state = state;
    life->up_since_ns = up_since_ns;
    life->wants_run = state == LIFE_STARTING || state == LIFE_RUNNING || state == LIFE_BACKOFF;
}

void lifecycle_handle(struct lifecycle *life, const struct life_input *input,
                      struct life_requests *ret_requests)
{
    ret_requests->n = 0;
    life_table[life->state][input->event](life, input, ret_requests);
}

enum container_status lifecycle_status(const struct lifecycle *life)
{
    static const enum container_status statuses[LIFE_STATES] = {
        [LIFE_CREATED] = CONTAINER_CREATED,    [LIFE_ARMING] = CONTAINER_CREATED,
        [LIFE_ARMED] = CONTAINER_CREATED,      [LIFE_STARTING] = CONTAINER_CREATED,
        [LIFE_RUNNING] = CONTAINER_RUNNING,    [LIFE_STOPPING] = CONTAINER_STOPPING,
        [LIFE_BACKOFF] = CONTAINER_RESTARTING, [LIFE_EXITED] = CONTAINER_EXITED,
    };

    /* Being built again after an end is still the wait for its restart. */
    if (life->restarts > 0 && statuses[life->state] == CONTAINER_CREATED)
        return CONTAINER_RESTARTING;
    return statuses[life->state];
}

bool lifecycle_has_process(const struct lifecycle *life)
{
    switch (life->state) {
    case LIFE_ARMING:
    case LIFE_ARMED:
    case LIFE_STARTING:
    case LIFE_RUNNING:
    case LIFE_STOPPING:
        return true;
    case LIFE_CREATED:
    case LIFE_BACKOFF:
    case LIFE_EXITED:
        return false;
    }
    return false;
}

bool lifecycle_is_at_rest(const struct lifecycle *life)
{
    return life->state == LIFE_CREATED || life->state == LIFE_EXITED;
}
