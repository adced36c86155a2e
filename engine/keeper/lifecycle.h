#pragma once

/* The life of one container as a state × event table. Pure: events and the time go in, requests
 * come out as data; the supervisor (supervise.c) carries them out. Here, and nowhere else, is
 * decided whether a container is started again. */

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

enum life_state {
    LIFE_CREATED,  /* a record, nothing in the kernel */
    LIFE_ARMING,   /* being built: namespaces, mounts, network */
    LIFE_ARMED,    /* built, waits for the byte that lets it exec */
    LIFE_STARTING, /* the byte was sent; exec not confirmed */
    LIFE_RUNNING,
    LIFE_STOPPING, /* stop signal sent, the grace time runs */
    LIFE_BACKOFF,  /* ended, waits to be started again */
    LIFE_EXITED,
};
enum { LIFE_STATES = LIFE_EXITED + 1 };
extern const char *const life_state_names[LIFE_STATES];

enum life_event {
    LIFE_BUILD, /* asked: make it, don't run it */
    LIFE_START, /* asked: run it */
    LIFE_IS_ARMED,
    LIFE_EXEC_OK,
    LIFE_FAILED, /* setup or exec failed; life_input.exit_code says 126, 127 or -1 */
    LIFE_EXIT,   /* the first process ended; life_input.exit_code */
    LIFE_STOP,   /* asked: end it, politely; life_input.grace_ns */
    LIFE_KILL,   /* asked: send life_input.signal */
    LIFE_TIMER,  /* the time of the last REQUEST_TIMER has come */
};
enum { LIFE_EVENTS = LIFE_TIMER + 1 };
extern const char *const life_event_names[LIFE_EVENTS];

struct life_input {
    enum life_event event;
    int64_t now_ns;   /* monotonic */
    int exit_code;    /* EXIT, FAILED */
    int64_t grace_ns; /* STOP; 0 kills at once, < 0: the container's own */
    int signal;       /* KILL */
};

enum life_request_kind {
    REQUEST_BUILD,  /* prepare and spawn */
    REQUEST_GO,     /* let it exec */
    REQUEST_SIGNAL, /* to the first process */
    REQUEST_KILL,   /* SIGKILL to every process of it */
    REQUEST_TIMER,  /* call back with LIFE_TIMER at `at_ns`; replaces the last one; 0 = none */
    REQUEST_ENDED,  /* its process is gone: names and health stop */
};

struct life_request {
    enum life_request_kind kind;
    int signal;
    int64_t at_ns;
};

enum { LIFE_REQUESTS_MAX = 6 };
struct life_requests {
    struct life_request items[LIFE_REQUESTS_MAX];
    int n;
};

struct lifecycle {
    enum life_state state;
    enum restart_policy policy;
    int max_retries; /* on-failure: 0 = no limit */
    int stop_signal;
    int64_t grace_ns;

    bool wants_run;       /* go as soon as armed; start again after stopping */
    bool stopped_by_user; /* stop or kill was asked since the last start */
    int exit_code;        /* of the last end; -1 = none or unknown */
    int restarts;         /* by policy, since the last start that was asked */
    int64_t backoff_ns;   /* what was waited last; 0 = nothing yet */
    int64_t up_since_ns;  /* monotonic, of the last exec */
};

enum { LIFE_GRACE_DEFAULT_S = 10 };

void lifecycle_init(struct lifecycle *life, const struct container_spec *spec, int stop_signal);

/* Live change of policy, signal and grace. */
void lifecycle_update(struct lifecycle *life, const struct container_spec *spec, int stop_signal);

/* Put a container that was found into a state (after a keeper's death). */
void lifecycle_adopt(struct lifecycle *life, enum life_state state, int64_t up_since_ns);

/* *requests is filled, in the order in which they have to be done. */
void lifecycle_handle(struct lifecycle *life, const struct life_input *input,
                      struct life_requests *ret_requests);

/* What the outside calls it. */
enum container_status lifecycle_status(const struct lifecycle *life);
bool lifecycle_has_process(const struct lifecycle *life);
/* Nothing will happen to it without being asked. */
bool lifecycle_is_at_rest(const struct lifecycle *life);
