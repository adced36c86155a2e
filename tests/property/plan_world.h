#pragma once

/* Random projects, and a simulated machine that plans are applied to. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconcile/desired.h"
#include "reconcile/observed.h"
#include "reconcile/plan.h"

struct arena;

enum { SERVICES_MAX = 7 };

struct random {
    uint64_t state;
};

uint32_t random_below(struct random *random, uint32_t n);
bool random_one_in(struct random *random, uint32_t n);
const struct desired *random_desired(struct arena *arena, struct random *random);

/* When what happened last to the container of a service: 0 = before the machine was looked at. */
struct moments {
    uint64_t created, started;
};

struct machine {
    struct arena *arena;
    struct observed state;
    uint64_t seed; /* for messages */
    uint64_t clock;
    struct moments moments[SERVICES_MAX];
};

void machine_init(struct machine *machine, struct arena *arena, uint64_t seed);
/* Execute up to `limit` nodes, each time a random one whose prerequisites are done. Fails the test
 * when a node can't be done. */
void machine_run(struct machine *machine, struct random *random, const struct plan *plan,
                 const struct desired *desired, size_t limit);
void machine_broken(const struct machine *machine, const struct plan_node *node, const char *what);
struct observed_container *machine_find(struct machine *machine, const char *name); /* or NULL */
struct moments *machine_moments(struct machine *machine, const char *container);
const char *machine_image_id(struct machine *machine, const char *reference);
bool container_runs(const struct observed_container *container);
