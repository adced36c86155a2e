#pragma once

/* A small process that outlives the builder by some milliseconds: when the builder is killed, it
 * ends the containers and frees control group and network address. Nobody else could: the builder
 * is their keeper, and SIGKILL asks nobody. */

#include <sys/types.h>

#include "engine/cgroup/cgroup.h"
#include "engine/network/network.h"

struct error;

/* What to free. */
struct guard_duty {
    const struct cgroup_layout *layout;
    const char *project, *name; /* of the control group */
    struct network_dirs dirs;
    const char *network;   /* NULL: none */
    const char *container; /* its endpoint there */
};

struct guard {
    pid_t pid;
    int pipe_fd; /* closed by our death */
};

#define GUARD_INIT                                                                                 \
    {                                                                                              \
        0, -1                                                                                      \
    }

int guard_start(const struct guard_duty *duty, struct guard *ret, struct error *err);
/* Relieve it: everything is freed by the caller. */
void guard_stop(struct guard *guard);

/* Free everything: idempotent. Errors are kept (first one) while the rest goes on. */
int guard_free(const struct guard_duty *duty, struct error *err);
