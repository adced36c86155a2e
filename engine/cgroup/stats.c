/* What a group has used. */

#include "engine/cgroup/cgroup.h"

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/cgroup/group.h"

enum { NS_PER_US = 1000 };

/* v1 says "no limit" with a number near 2^63, rounded down to pages. */
static const int64_t v1_no_limit = INT64_C(1) << 62;

/* The group in the hierarchy of a controller: fd and which kind; -1 = there is none. */
static int open_for(const struct cgroup_layout *layout, enum cgroup_controller controller,
                    const char *project, const char *name, bool *ret_is_v2)
{
    bool is_v2 = layout->v2_controllers & 1U << controller;
    const char *root = is_v2 ? layout->v2_root : layout->v1_roots[controller];
    int fd = -1;

    *ret_is_v2 = is_v2;
    if (!root || group_open(root, project, name, &fd, NULL) != 0)
        return -1;
    return fd;
}

uint64_t cgroup_oom_count(const struct cgroup_layout *layout, const char *project, const char *name)
{
    bool is_v2;
    cleanup_fd int fd = open_for(layout, CGROUP_MEMORY, project, name, &is_v2);

    if (fd < 0)
        return 0;
    return (uint64_t)group_read_field(fd, is_v2 ? "memory.events" : "memory.oom_control",
                                      "oom_kill", 0);
}

static void read_memory(const struct cgroup_layout *layout, const char *project, const char *name,
                        struct cgroup_stats *ret)
{
    bool is_v2;
    cleanup_fd int fd = open_for(layout, CGROUP_MEMORY, project, name, &is_v2);

    if (fd < 0)
        return;

    int64_t used = group_read_number(fd, is_v2 ? "memory.current" : "memory.usage_in_bytes", -1);
    int64_t cache =
        group_read_field(fd, "memory.stat", is_v2 ? "inactive_file" : "total_inactive_file", 0);
    int64_t limit = group_read_number(fd, is_v2 ? "memory.max" : "memory.limit_in_bytes", -1);

    ret->memory_bytes = used > cache ? used - cache : used;
    ret->memory_limit_bytes = limit < v1_no_limit ? limit : -1;
}

static int64_t count_lines(int group_fd, const char *file)
{
    cleanup_buf struct buf text = BUF_INIT;
    int64_t n = 0;

    if (group_read(group_fd, file, &text) < 0)
        return -1;
    for (size_t i = 0; i < text.len; i++)
        n += text.data[i] == '\n';
    return n;
}

int cgroup_stats(const struct cgroup_layout *layout, const char *project, const char *name,
                 struct cgroup_stats *ret, struct error *err)
{
    struct cgroup_stats stats = {-1, -1, -1, -1};
    cleanup_fd int group_fd = -1;
    int r = group_open(lifecycle_hierarchy(layout).root, project, name, &group_fd, err);

    if (r < 0)
        return -1;
    if (r == 1)
        return error_set(err, ERROR_NOT_FOUND, "\"%s\" has no control group", name);

    read_memory(layout, project, name, &stats);
    if (layout->v2_root) {
        /* cpu.stat is there even without the controller */
        int64_t usage_us = group_read_field(group_fd, "cpu.stat", "usage_usec", -1);

        stats.cpu_ns = usage_us >= 0 ? usage_us * NS_PER_US : -1;
    } else {
        bool is_v2;
        cleanup_fd int cpu_fd = open_for(layout, CGROUP_CPUACCT, project, name, &is_v2);

        stats.cpu_ns = cpu_fd >= 0 ? group_read_number(cpu_fd, "cpuacct.usage", -1) : -1;
    }
    stats.pids = group_read_number(group_fd, "pids.current", -1);
    if (stats.pids < 0)
        stats.pids = count_lines(group_fd, "cgroup.procs");
    *ret = stats;
    return 0;
}
