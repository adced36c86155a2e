#pragma once

/* A small world for tests of the keeper: an engine with roots of its own, an image with busybox, a
 * project. The test program is its own keeper: started with `internal keeper …` it is one. What a
 * test leaves running is ended when the test ends. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/engine.h"

struct world {
    struct arena arena;
    struct engine *engine;
    struct engine_session *session; /* watching */
    char project[32];
    char state_root[200], run_root[200];
    uint32_t last_tag;
};

/* SKIPs without root or busybox. One per test; it goes when the test ends. */
struct world *world_open(void);
/* Before that: how long keepers let their zygote be silent (10 s if nobody says). */
void world_set_patience(int64_t ms);

/* A container of the image. `line` is for sh -c; NULL = the image's command (sleep for ever). */
struct container_spec world_spec(struct world *world, const char *name, const char *line);

/* A request and its answer. */
enum world_op { WORLD_CREATE, WORLD_START, WORLD_STOP, WORLD_REMOVE };
int world_try(struct world *world, enum world_op op, const struct container_spec *spec,
              struct error *err);
void world_do(struct world *world, enum world_op op, const struct container_spec *spec);
void world_run(struct world *world, const struct container_spec *spec); /* create and start */

/* Waits for an answer of that tag: 0 or -1 with its error. */
int world_answer(struct world *world, uint32_t tag, struct error *err);
/* The answers of `n` requests from that tag on, in any order; none may fail. */
void world_answers(struct world *world, uint32_t first, uint32_t n);

/* Wait until the watch tells this. Fails the test after ten seconds. */
struct session_event world_wait_status(struct world *world, const char *name,
                                       enum container_status status);
struct session_event world_wait_health(struct world *world, const char *name,
                                       enum health_status health);

struct container_info world_info(struct world *world, const char *name);
/* All lines of the log, each ended by a newline. Borrowed from the arena. */
const char *world_log(struct world *world, const char *name);
/* The same, and how many there are. */
size_t world_count_lines(struct world *world, const char *name, const char *text);

const char *world_keeper_log(struct world *world);

pid_t world_keeper_pid(struct world *world);
pid_t world_zygote_pid(struct world *world);
void world_reconnect(struct world *world); /* after the keeper was killed */
/* Wait for the end of a process that is not ours. */
void world_await_end(pid_t pid);

int64_t world_now_ms(void);
