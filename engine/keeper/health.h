#pragma once

/* When to probe a container and what the answers mean. Pure: the time is an argument, what to do
 * comes back as data; probe.c runs the probes.
 *
 * The states are Docker's. The timing while "starting" is ours, so that readiness is seen when it
 * comes and not at the next tick of an interval made for a running service: the first probe 5 ms
 * after exec, the next ones a 32nd of the time waited so far apart (5 to 250 ms), so that readiness
 * is seen at most three percent late; a slow probe runs at most a sixth of the time, and none rarer
 * than the file's own interval would. Something that opened a listening socket is probed at once
 * (health_poke), and the delays grow anew. Failures while starting count against time, not against
 * retries: unhealthy comes when Docker would have given up, after start_period and then retries
 * intervals. */

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

struct health {
    int64_t interval_ns, timeout_ns, start_period_ns, start_interval_ns;
    int retries;

    enum health_status status; /* HEALTH_NONE: no check */
    int failing_streak;
    bool is_running; /* between health_start and health_stop */
    bool is_probing;
    bool was_poked; /* probe again as soon as the running one has ended */
    int64_t started_ns;
    int64_t eager_since_ns; /* the delays while starting grow from here: the start or a poke */
    int64_t next_ns;        /* of the next probe; while probing: when it times out */
    int64_t probe_started_ns;
};

enum health_action { HEALTH_WAIT, HEALTH_PROBE, HEALTH_KILL_PROBE };

/* `spec` is complete (container_resolved.health). */
void health_init(struct health *health, const struct health_spec *spec);

void health_start(struct health *health, int64_t now_ns); /* the process has exec'ed */
void health_stop(struct health *health);                  /* it has ended */
/* Go on with what is known of a container that was found running. */
void health_adopt(struct health *health, enum health_status status, int failing_streak,
                  int64_t now_ns);

/* When health_due has to be asked again; 0 = never. */
int64_t health_next_ns(const struct health *health);
/* PROBE: start one and call health_probed when it has ended. KILL_PROBE: it took too long; kill it,
 * then call health_probed with a failure. */
enum health_action health_due(struct health *health, int64_t now_ns);

/* A probe has ended. Returns true when the status changed. */
bool health_probed(struct health *health, int64_t now_ns, bool has_passed);

/* Something happened that may have made it ready: probe at once. */
void health_poke(struct health *health, int64_t now_ns);
bool health_wants_pokes(const struct health *health);
