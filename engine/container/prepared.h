#pragma once

/* A program with its descriptors, between container_prepare and zygote_spawn. */

#include <stddef.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/container/wire.h"

struct setup_program;

struct container_prepared {
    struct arena arena;
    const struct setup_program *program;
    struct buf bytes;              /* encoded */
    int slots[WIRE_SLOTS_MAX];     /* one per slot of the program */
    bool is_owned[WIRE_SLOTS_MAX]; /* closed with us; else the caller's */
    int cgroup_fd, target_fd;      /* the caller's; -1 = none */
    int kept_fds[2];               /* the caller's; -1 = none */
};
