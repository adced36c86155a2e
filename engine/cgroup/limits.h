#pragma once

/* Limits as writes to files of control groups. Pure. Private to engine/cgroup. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/cgroup/cgroup.h"

enum limits_absent { LIMITS_ABSENT_FAILS, LIMITS_ABSENT_IS_FINE };

struct limit_write {
    enum cgroup_controller controller;
    const char *file;
    const char *key;           /* the Compose key behind it, for messages */
    char value[48];            /* two 64-bit numbers and a space */
    const char *text;          /* instead of value, if not NULL */
    enum limits_absent absent; /* what a missing file means */
};

enum { LIMIT_WRITES_MAX = 12 };

struct limit_writes {
    struct limit_write items[LIMIT_WRITES_MAX];
    size_t n;
};

/* Controllers that the limits need; bit per enum cgroup_controller. Devices are not among them. */
uint32_t limits_controllers(const struct cgroup_limits *limits);

/* The Compose key that needs a controller: "pids_limit". */
const char *limits_key(enum cgroup_controller controller);

/* What to write. `with_resets`: also "no limit" for what isn't set, for groups that had limits. */
void limits_make_writes(const struct cgroup_limits *limits, bool is_v2, bool with_resets,
                        struct limit_writes *ret);

/* cpu.weight (v2) for cpu.shares (v1): 1024 → 100. */
uint64_t limits_cpu_weight(uint64_t shares);
