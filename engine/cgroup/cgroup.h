#pragma once

/* Control groups: limits, counting, killing.
 *
 * Theory
 *   A container has the group berth/PROJECT/NAME. Lifecycle (clone into it, kill, "is it empty?",
 *   device filter) is the v2 hierarchy's work wherever one is mounted, also on hybrid hosts where
 * it has no controllers. Limits are written wherever the kernel has the controller: on v2, or on
 * the v1 hierarchy of that controller under the same relative path. A v1 hierarchy is joined only
 *   if a limit needs it, because each one costs the new process a locked migration.
 *
 *   Where the host's root group can't be written (we are in a container ourselves), everything is
 *   below our own group.
 *
 * Everything here finds groups by (layout, project, name) and keeps nothing open, so a new
 * keeper picks up where the old one was. Nothing sleeps: waiting is polling cgroup.events. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct device_rule;
struct error;

enum cgroup_controller {
    CGROUP_CPU,
    CGROUP_CPUACCT, /* v2: the cpu controller's */
    CGROUP_CPUSET,
    CGROUP_MEMORY,
    CGROUP_PIDS,
    CGROUP_DEVICES, /* v1 only; on v2 a BPF program does it */
    CGROUP_FREEZER, /* v2: always there */
    CGROUP_CONTROLLERS,
};

extern const char *const cgroup_controller_names[CGROUP_CONTROLLERS]; /* "cpu", … */

/* What this host has. Strings live in the arena. Never changes while the machine runs: keep it in
 * the features file. */
struct cgroup_layout {
    const char *v2_root;     /* directory in which "berth" is made; NULL = no v2 hierarchy */
    uint32_t v2_controllers; /* bit per enum cgroup_controller: v2 has it */
    const char *v1_roots[CGROUP_CONTROLLERS]; /* the same per v1 hierarchy; NULL = not on v1 */
    bool has_kill;                            /* cgroup.kill (Linux 5.14) */
    bool has_device_filter;                   /* BPF device programs attach to v2 groups */
};

/* Read mountinfo and /proc/self/cgroup, probe what can't be read. Makes the berth directories. */
int cgroup_detect(struct arena *arena, struct cgroup_layout *ret, struct error *err);

/* For the features file. The caller owns the result. */
json_t *cgroup_layout_to_json(const struct cgroup_layout *layout);
int cgroup_layout_from_json(struct arena *arena, const json_t *json, struct cgroup_layout *ret,
                            struct error *err);

/* ------------------------------------------------------------------ limits */

struct cgroup_limits {
    uint64_t memory_bytes;             /* 0 = unlimited */
    int64_t memory_swap_bytes;         /* memory + swap; 0 = twice memory_bytes, -1 = unlimited */
    uint64_t memory_reservation_bytes; /* 0 = none */
    int64_t nano_cpus;                 /* 10^9 = one CPU; 0 = unlimited */
    uint64_t cpu_shares;               /* Docker's 2…262144; 0 = unset */
    int64_t pids_limit;                /* 0 = unset, -1 = unlimited */
    const char *cpuset_cpus;           /* "0-3,5"; NULL = every */
    const char *cpuset_mems;
    bool all_devices;                  /* privileged: no device filter */
    const struct device_rule *devices; /* besides security_device_rules */
    size_t n_devices;
    int device_filter_fd; /* from cgroup_device_filter_load for the same rules; -1 = load one */
};

#define CGROUP_LIMITS_INIT                                                                         \
    {                                                                                              \
        .device_filter_fd = -1                                                                     \
    }

/* Where a new process goes. */
struct cgroup {
    int v2_fd;                            /* for CLONE_INTO_CGROUP; -1 = no v2 */
    int v1_procs_fds[CGROUP_CONTROLLERS]; /* the child writes "0" to each of the first n */
    size_t n_v1;
};

#define CGROUP_INIT                                                                                \
    {                                                                                              \
        .v2_fd = -1                                                                                \
    }
#define cleanup_cgroup __attribute__((cleanup(cgroup_release)))
void cgroup_release(struct cgroup *group); /* closes; removes nothing */

/* Make the group (all hierarchies it needs) and set its limits. If it is there already the limits
 * are set anew. A limit whose controller this kernel hasn't got is ERROR_UNSUPPORTED naming the
 * key. On failure nothing new is left behind. */
int cgroup_create(const struct cgroup_layout *layout, const char *project, const char *name,
                  const struct cgroup_limits *limits, struct cgroup *ret, struct error *err);

/* Change limits of a group whose processes run. On v1, a hierarchy that wasn't needed before is
 * joined by the processes that are in the v2 group now. The device rules are left as they are. */
int cgroup_update(const struct cgroup_layout *layout, const char *project, const char *name,
                  const struct cgroup_limits *limits, struct error *err);

/* Compile the rules (the default ones + these) into a BPF program, once for many groups.
 * *ret_fd = -1 when the layout has no device filter (v1's devices controller is used then). */
int cgroup_device_filter_load(const struct cgroup_layout *layout, const struct device_rule *rules,
                              size_t n_rules, int *ret_fd, struct error *err);

/* Keeper and zygote on hosts with controllers on v2: into berth/PROJECT/.keeper, since an inner
 * node with controllers may hold no process. On other hosts: stays where it is. pid 0 = the caller.
 */
int cgroup_join_keeper(const struct cgroup_layout *layout, const char *project, int pid,
                       struct error *err);

/* ------------------------------------------------------------------ lifecycle
 * Groups that don't exist are empty, killed and removed already: 0. */

/* SIGKILL to every process, also those being forked. Returns before they are gone. */
int cgroup_kill(const struct cgroup_layout *layout, const char *project, const char *name,
                struct error *err);

/* Freeze or thaw every process (pause). Waits until the kernel says it is so. */
int cgroup_freeze(const struct cgroup_layout *layout, const char *project, const char *name,
                  bool frozen, struct error *err);

/* 0 = empty; 1 = timeout_ms passed (-1 = wait for ever, 0 = look once). */
int cgroup_wait_empty(const struct cgroup_layout *layout, const char *project, const char *name,
                      int timeout_ms, struct error *err);

/* For event loops: fd of cgroup.events; POLLPRI (EPOLLPRI|EPOLLERR) when "populated" may have
 * changed, then ask cgroup_wait_empty(…, 0). -1 with 0 returned on hosts without v2. */
int cgroup_open_events(const struct cgroup_layout *layout, const char *project, const char *name,
                       int *ret_fd, struct error *err);

/* Remove the group and all below it, in every hierarchy, deepest first. Waits up to 2 s for
 * processes that are ending; ERROR_CONFLICT if some live on (call cgroup_kill before). */
int cgroup_remove(const struct cgroup_layout *layout, const char *project, const char *name,
                  struct error *err);

/* Remove the project's group with .keeper in it, for a keeper that ends: the calling process leaves
 * .keeper for the hierarchy's root and waits a moment for the zygote's end. 1 = processes or
 * containers are left in it. */
int cgroup_remove_project(const struct cgroup_layout *layout, const char *project,
                          struct error *err);

/* ------------------------------------------------------------------ counting */

/* How many processes the OOM killer has killed in it. Read it before cgroup_remove. 0 if unknown.
 */
uint64_t cgroup_oom_count(const struct cgroup_layout *layout, const char *project,
                          const char *name);

struct cgroup_stats {
    int64_t memory_bytes;       /* used, less the inactive page cache; -1 = not counted */
    int64_t memory_limit_bytes; /* -1 = none */
    int64_t cpu_ns;             /* consumed so far; -1 = not counted */
    int64_t pids;               /* -1 = not counted */
};

int cgroup_stats(const struct cgroup_layout *layout, const char *project, const char *name,
                 struct cgroup_stats *ret, struct error *err);
