/* Limits as writes to files of control groups. */

#include "engine/cgroup/limits.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    CPU_PERIOD_US = 100000,
    CPU_QUOTA_MIN_US = 1000,  /* the kernel takes no less */
    NANO_CPUS_PER_US = 10000, /* 10^9 nano CPUs are CPU_PERIOD_US of quota */
    CPU_SHARES_DEFAULT = 1024,
    CPU_WEIGHT_MAX = 10000,
};

static const char *const unlimited = "max";
static const char *const unlimited_v1 = "-1";

uint32_t limits_controllers(const struct cgroup_limits *limits)
{
    uint32_t set = 0;

    if (limits->memory_bytes || limits->memory_reservation_bytes || limits->memory_swap_bytes > 0)
        set |= 1U << CGROUP_MEMORY;
    if (limits->nano_cpus || limits->cpu_shares)
        set |= 1U << CGROUP_CPU;
    if (limits->pids_limit > 0)
        set |= 1U << CGROUP_PIDS;
    if (limits->cpuset_cpus || limits->cpuset_mems)
        set |= 1U << CGROUP_CPUSET;
    return set;
}

const char *limits_key(enum cgroup_controller controller)
{
    static const char *const keys[CGROUP_CONTROLLERS] = {
        [CGROUP_CPU] = "cpus",         [CGROUP_CPUACCT] = "cpus",    [CGROUP_CPUSET] = "cpuset",
        [CGROUP_MEMORY] = "mem_limit", [CGROUP_PIDS] = "pids_limit", [CGROUP_DEVICES] = "devices",
        [CGROUP_FREEZER] = "pause",
    };

    return keys[controller];
}

/* The formula of runc 1.3 and crun 1.23, weight = ceil(10^((L² + 125 L) / 612 − 7/34)) with
 * L = log2(shares), at the powers of two; straight lines between. */
uint64_t limits_cpu_weight(uint64_t shares)
{
    static const uint16_t at_power[] = {1,   1,   2,   3,   5,   8,    12,   21,   35,   59,
                                        100, 174, 303, 532, 942, 1681, 3023, 5478, 10000};
    enum { POWERS = sizeof(at_power) / sizeof(*at_power) };
    unsigned power = 0;

    if (shares < 2)
        return 1;
    while (power + 1 < POWERS && shares >> (power + 1))
        power++;
    if (power + 1 >= POWERS)
        return CPU_WEIGHT_MAX;

    uint64_t base = UINT64_C(1) << power;

    return at_power[power] +
           (shares - base) * (uint64_t)(at_power[power + 1] - at_power[power]) / base;
}

static struct limit_write *add(struct limit_writes *writes, enum cgroup_controller controller,
                               const char *file, const char *key)
{
    assert(writes->n < LIMIT_WRITES_MAX);

    struct limit_write *write = &writes->items[writes->n++];

    *write = (struct limit_write){.controller = controller, .file = file, .key = key};
    return write;
}

__attribute__((format(printf, 2, 3))) static void set_value(struct limit_write *write,
                                                            const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(write->value, sizeof(write->value), fmt, args); /* numbers: fits by its type */
    va_end(args);
    write->text = NULL;
}

/* Docker: who limits memory and says nothing of swap gets as much swap as memory. */
static int64_t memory_and_swap(const struct cgroup_limits *limits)
{
    int64_t both;

    if (limits->memory_swap_bytes != 0)
        return limits->memory_swap_bytes;
    if (limits->memory_bytes == 0 ||
        __builtin_mul_overflow(limits->memory_bytes, UINT64_C(2), &both))
        return -1;
    return both;
}

static void add_memory(const struct cgroup_limits *limits, bool is_v2, bool with_resets,
                       struct limit_writes *ret)
{
    const char *const none = is_v2 ? unlimited : unlimited_v1;
    int64_t both = memory_and_swap(limits);
    struct limit_write *write;

    if (limits->memory_bytes || with_resets) {
        write =
            add(ret, CGROUP_MEMORY, is_v2 ? "memory.max" : "memory.limit_in_bytes", "mem_limit");
        write->text = none;
        if (limits->memory_bytes)
            set_value(write, "%llu", (unsigned long long)limits->memory_bytes);

        write = add(ret, CGROUP_MEMORY, is_v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes",
                    "memswap_limit");
        write->text = none;
        /* without swap accounting the limit of memory stands alone */
        write->absent = limits->memory_swap_bytes > 0 ? LIMITS_ABSENT_FAILS : LIMITS_ABSENT_IS_FINE;
        if (both >= 0)
            set_value(write, "%lld",
                      (long long)(is_v2 ? both - (int64_t)limits->memory_bytes : both));
    }
    if (limits->memory_reservation_bytes || with_resets) {
        write = add(ret, CGROUP_MEMORY, is_v2 ? "memory.low" : "memory.soft_limit_in_bytes",
                    "mem_reservation");
        write->text = is_v2 ? "0" : unlimited_v1;
        if (limits->memory_reservation_bytes)
            set_value(write, "%llu", (unsigned long long)limits->memory_reservation_bytes);
    }
}

static void add_cpu(const struct cgroup_limits *limits, bool is_v2, bool with_resets,
                    struct limit_writes *ret)
{
    int64_t quota_us = limits->nano_cpus / NANO_CPUS_PER_US;
    struct limit_write *write;

    if (quota_us < CPU_QUOTA_MIN_US)
        quota_us = CPU_QUOTA_MIN_US;
    if (limits->nano_cpus || with_resets) {
        if (!is_v2)
            set_value(add(ret, CGROUP_CPU, "cpu.cfs_period_us", "cpus"), "%d", CPU_PERIOD_US);
        write = add(ret, CGROUP_CPU, is_v2 ? "cpu.max" : "cpu.cfs_quota_us", "cpus");
        write->text = is_v2 ? unlimited : unlimited_v1;
        if (limits->nano_cpus && is_v2)
            set_value(write, "%lld %d", (long long)quota_us, CPU_PERIOD_US);
        else if (limits->nano_cpus)
            set_value(write, "%lld", (long long)quota_us);
    }
    if (limits->cpu_shares || with_resets) {
        uint64_t shares = limits->cpu_shares ? limits->cpu_shares : CPU_SHARES_DEFAULT;

        write = add(ret, CGROUP_CPU, is_v2 ? "cpu.weight" : "cpu.shares", "cpu_shares");
        set_value(write, "%llu", (unsigned long long)(is_v2 ? limits_cpu_weight(shares) : shares));
    }
}

void limits_make_writes(const struct cgroup_limits *limits, bool is_v2, bool with_resets,
                        struct limit_writes *ret)
{
    ret->n = 0;
    add_memory(limits, is_v2, with_resets, ret);
    add_cpu(limits, is_v2, with_resets, ret);
    if (limits->pids_limit > 0 || with_resets) {
        struct limit_write *write = add(ret, CGROUP_PIDS, "pids.max", "pids_limit");

        write->text = unlimited;
        if (limits->pids_limit > 0)
            set_value(write, "%lld", (long long)limits->pids_limit);
    }
    if (limits->cpuset_cpus)
        add(ret, CGROUP_CPUSET, "cpuset.cpus", "cpuset")->text = limits->cpuset_cpus;
    if (limits->cpuset_mems)
        add(ret, CGROUP_CPUSET, "cpuset.mems", "cpuset_mems")->text = limits->cpuset_mems;
}
