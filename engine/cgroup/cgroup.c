/* Making groups and setting their limits. */

#include "engine/cgroup/cgroup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/vec.h"
#include "engine/cgroup/device_program.h"
#include "engine/cgroup/group.h"
#include "engine/cgroup/limits.h"
#include "engine/security/security.h"

void cgroup_release(struct cgroup *group)
{
    cleanup_close_fd(&group->v2_fd);
    for (size_t i = 0; i < group->n_v1; i++)
        cleanup_close_fd(&group->v1_procs_fds[i]);
    *group = (struct cgroup)CGROUP_INIT;
}

/* What one cgroup_create or cgroup_update is about. */
struct change {
    const struct cgroup_layout *layout;
    const char *project, *name;
    const struct cgroup_limits *limits;
    uint32_t needed; /* controllers; bit per enum cgroup_controller */
};

static int check_controllers(const struct change *change, struct error *err)
{
    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++)
        if (change->needed & 1U << c && !(change->layout->v2_controllers & 1U << c) &&
            !change->layout->v1_roots[c])
            return error_set(err, ERROR_UNSUPPORTED,
                             "this kernel has no %s controller: %s of \"%s\" can't be honoured",
                             cgroup_controller_names[c], limits_key(c), change->name);
    return 0;
}

static int change_init(struct change *change, struct error *err)
{
    const struct cgroup_layout *layout = change->layout;

    if (group_check_name(change->project, "project", err) < 0 ||
        group_check_name(change->name, "container", err) < 0)
        return -1;
    if (change->limits->n_devices > DEVICE_PROGRAM_RULES_MAX - security_n_device_rules)
        return error_set(err, ERROR_INVALID, "\"%s\" has more than %d device rules", change->name,
                         DEVICE_PROGRAM_RULES_MAX);

    change->needed = limits_controllers(change->limits);
    if (!change->limits->all_devices && !layout->has_device_filter) {
        if (!layout->v1_roots[CGROUP_DEVICES])
            return error_set(err, ERROR_UNSUPPORTED,
                             "this host can't keep \"%s\" from its devices: neither BPF device "
                             "filters nor the devices controller can be used",
                             change->name);
        change->needed |= 1U << CGROUP_DEVICES;
    }
    if (!layout->v2_root)
        change->needed |= 1U << lifecycle_hierarchy(layout).controller;
    return check_controllers(change, err);
}

/* Does this hierarchy serve that controller? */
static bool serves(const struct cgroup_layout *layout, const struct hierarchy *hierarchy,
                   enum cgroup_controller controller)
{
    bool on_v2 = layout->v2_controllers & 1U << controller;

    if (hierarchy->is_v2)
        return on_v2;
    return !on_v2 && text_equal(layout->v1_roots[controller], hierarchy->root);
}

static bool is_needed(const struct change *change, const struct hierarchy *hierarchy)
{
    if (hierarchy->is_v2)
        return true;
    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++)
        if (change->needed & 1U << c && serves(change->layout, hierarchy, c))
            return true;
    return false;
}

/* ------------------------------------------------------------------ directories */

/* Hand the controllers down to the project's groups. Those already handed down cost nothing. */
static int enable_controllers(const struct change *change, struct error *err)
{
    cleanup_buf struct buf names = BUF_INIT;
    cleanup_fd int project_fd = -1;

    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++)
        if (change->layout->v2_controllers & 1U << c && c != CGROUP_CPUACCT)
            buf_printf(&names, "%s+%s", names.len ? " " : "", cgroup_controller_names[c]);
    for (int level = 0; level < 2; level++) {
        const char *project = level == 0 ? NULL : change->project;

        cleanup_close_fd(&project_fd);
        project_fd = -1;
        if (group_open(change->layout->v2_root, project, NULL, &project_fd, err) != 0)
            return error_wrap(err, "hand down controllers");

        int r = group_write(project_fd, "cgroup.subtree_control", buf_text(&names));

        if (r < 0)
            return error_sys(err, -r, "hand down the controllers \"%s\" to project \"%s\"",
                             buf_text(&names), change->project);
    }
    return 0;
}

static int make_directory(const char *root, const char *project, const char *name)
{
    cleanup_buf struct buf path = BUF_INIT;

    group_path(&path, root, project, name);
    return mkdir(buf_text(&path), CGROUP_DIRECTORY_MODE) == 0 ? 0 : -errno;
}

/* A new group of v1's cpuset has no CPUs and takes no process: start with the parent's. */
static int inherit_cpuset(const struct change *change, const char *root, struct error *err)
{
    static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
    const char *const projects[] = {NULL, change->project, change->project};
    const char *const names[] = {NULL, NULL, change->name};
    cleanup_fd int parent_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (size_t level = 0; level < 3; level++) {
        cleanup_fd int fd = -1;

        if (group_open(root, projects[level], names[level], &fd, err) != 0)
            return error_wrap(err, "cpuset");
        for (size_t i = 0; i < 2; i++) {
            cleanup_buf struct buf own = BUF_INIT, above = BUF_INIT;
            int r = group_read(fd, files[i], &own);

            if (r == 0 && str_trim(buf_str(&own)).len > 0)
                continue;
            if (r == 0)
                r = group_read(parent_fd, files[i], &above);
            if (r == 0)
                r = group_write(fd, files[i], buf_text(&above));
            if (r < 0)
                return error_sys(err, -r, "inherit %s", files[i]);
        }
        cleanup_close_fd(&parent_fd);
        parent_fd = fd_take(&fd);
    }
    return 0;
}

/* Make the group in one hierarchy, with what is above it. */
static int make_group(const struct change *change, const struct hierarchy *hierarchy,
                      bool *ret_is_new, int *ret_fd, struct error *err)
{
    enum { TRIES = 3 }; /* the project's group can go between two steps */
    int r = -ENOENT;

    for (int i = 0; i < TRIES && r == -ENOENT; i++) {
        r = make_directory(hierarchy->root, change->project, change->name);
        if (r != -ENOENT)
            break;
        (void)make_directory(hierarchy->root, NULL, NULL); /* told by the last one */
        (void)make_directory(hierarchy->root, change->project, NULL);
        r = make_directory(hierarchy->root, change->project, change->name);
    }
    if (r < 0 && r != -EEXIST)
        return error_sys(err, -r, "make control group \"" CGROUP_TOP "/%s/%s\" below %s",
                         change->project, change->name, hierarchy->root);
    *ret_is_new = r == 0;

    if (hierarchy->is_v2 && change->layout->v2_controllers && enable_controllers(change, err) < 0)
        return -1;
    if (serves(change->layout, hierarchy, CGROUP_CPUSET) && !hierarchy->is_v2 &&
        inherit_cpuset(change, hierarchy->root, err) < 0)
        return -1;

    r = group_open(hierarchy->root, change->project, change->name, ret_fd, err);
    if (r == 1)
        return error_set(err, ERROR_CONFLICT, "control group of \"%s\" vanished", change->name);
    return r;
}

static void remove_group(const struct change *change, const struct hierarchy *hierarchy)
{
    cleanup_buf struct buf path = BUF_INIT;

    group_path(&path, hierarchy->root, change->project, change->name);
    (void)rmdir(buf_text(&path)); /* rolling back: the first error is the one to tell */
}

/* ------------------------------------------------------------------ limits */

static int write_limit(int group_fd, const struct limit_write *write)
{
    int r = group_write(group_fd, write->file, write->text ? write->text : write->value);

    return r == -ENOENT && write->absent == LIMITS_ABSENT_IS_FINE ? 0 : r;
}

static int write_limits(const struct change *change, const struct hierarchy *hierarchy,
                        int group_fd, bool is_new, struct error *err)
{
    struct limit_writes writes;

    limits_make_writes(change->limits, hierarchy->is_v2, !is_new, &writes);
    for (size_t i = 0; i < writes.n; i++) {
        const struct limit_write *write = &writes.items[i];

        if (!serves(change->layout, hierarchy, write->controller))
            continue;

        int r = write_limit(group_fd, write);

        /* v1: memory may never be more than memory + swap, whichever was written last. The next
         * write raises that. */
        if (r == -EINVAL && write->controller == CGROUP_MEMORY && !hierarchy->is_v2 &&
            i + 1 < writes.n && write_limit(group_fd, write + 1) == 0)
            r = write_limit(group_fd, write);
        if (r < 0)
            return error_sys(err, -r, "%s of \"%s\": write \"%s\" to %s", write->key, change->name,
                             write->text ? write->text : write->value, write->file);
    }
    return 0;
}

/* ------------------------------------------------------------------ devices */

static size_t all_rules(const struct device_rule *extra, size_t n_extra,
                        struct device_rule ret[static DEVICE_PROGRAM_RULES_MAX])
{
    memcpy(ret, security_device_rules, security_n_device_rules * sizeof(*ret));
    if (n_extra > 0)
        memcpy(ret + security_n_device_rules, extra, n_extra * sizeof(*ret));
    return security_n_device_rules + n_extra;
}

int cgroup_device_filter_load(const struct cgroup_layout *layout, const struct device_rule *rules,
                              size_t n_rules, int *ret_fd, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    if (!layout->has_device_filter) {
        *ret_fd = -1;
        return 0;
    }
    if (n_rules > DEVICE_PROGRAM_RULES_MAX - security_n_device_rules)
        return error_set(err, ERROR_INVALID, "more than %d device rules", DEVICE_PROGRAM_RULES_MAX);

    struct device_rule *all = arena_new_array(&arena, struct device_rule, DEVICE_PROGRAM_RULES_MAX);
    struct bpf_insn *insns = arena_new_array(&arena, struct bpf_insn, DEVICE_PROGRAM_INSNS_MAX);
    size_t n_insns = device_program_make(all, all_rules(rules, n_rules, all), insns);

    return device_program_load(insns, n_insns, ret_fd, err);
}

static int set_device_filter(const struct change *change, int group_fd, bool is_new,
                             struct error *err)
{
    const struct cgroup_limits *limits = change->limits;
    cleanup_fd int loaded_fd = -1;

    if (limits->all_devices)
        return is_new ? 0 : device_program_detach(group_fd, err);
    if (limits->device_filter_fd < 0 &&
        cgroup_device_filter_load(change->layout, limits->devices, limits->n_devices, &loaded_fd,
                                  err) < 0)
        return -1;
    return device_program_attach(
        group_fd, limits->device_filter_fd >= 0 ? limits->device_filter_fd : loaded_fd, is_new,
        err);
}

/* v1: forbid all, then allow one by one. Processes come in only after. */
static int set_device_list(const struct change *change, int group_fd, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct device_rule *all = arena_new_array(&arena, struct device_rule, DEVICE_PROGRAM_RULES_MAX);
    size_t n = all_rules(change->limits->devices, change->limits->n_devices, all);
    int r = group_write(group_fd, "devices.deny", "a");

    for (size_t i = 0; i < n && r == 0; i++) {
        cleanup_buf struct buf rule = BUF_INIT;

        device_rule_print(&rule, &all[i]);
        r = group_write(group_fd, "devices.allow", buf_text(&rule));
    }
    return r < 0 ? error_sys(err, -r, "device rules of \"%s\"", change->name) : 0;
}

static int set_devices(const struct change *change, const struct hierarchy *hierarchy, int group_fd,
                       bool is_new, struct error *err)
{
    if (change->layout->has_device_filter)
        return hierarchy->is_v2 ? set_device_filter(change, group_fd, is_new, err) : 0;
    if (change->needed & 1U << CGROUP_DEVICES && serves(change->layout, hierarchy, CGROUP_DEVICES))
        return set_device_list(change, group_fd, err);
    return 0;
}

/* ------------------------------------------------------------------ create */

static int create_in(const struct change *change, const struct hierarchy *hierarchy,
                     bool *ret_is_new, struct cgroup *into, struct error *err)
{
    cleanup_fd int group_fd = -1;

    if (make_group(change, hierarchy, ret_is_new, &group_fd, err) < 0 ||
        write_limits(change, hierarchy, group_fd, *ret_is_new, err) < 0 ||
        set_devices(change, hierarchy, group_fd, *ret_is_new, err) < 0)
        return -1;

    if (hierarchy->is_v2) {
        into->v2_fd = fd_take(&group_fd);
        return 0;
    }

    int procs_fd = openat(group_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);

    if (procs_fd < 0)
        return error_sys(err, errno, "open cgroup.procs of \"%s\"", change->name);
    into->v1_procs_fds[into->n_v1++] = procs_fd;
    return 0;
}

int cgroup_create(const struct cgroup_layout *layout, const char *project, const char *name,
                  const struct cgroup_limits *limits, struct cgroup *ret, struct error *err)
{
    struct change change = {.layout = layout, .project = project, .name = name, .limits = limits};
    const struct hierarchies all = hierarchies_of(layout);
    cleanup_cgroup struct cgroup group = CGROUP_INIT;
    bool is_new[CGROUP_CONTROLLERS + 1] = {false};

    if (change_init(&change, err) < 0)
        return -1;
    for (size_t i = 0; i < all.n; i++) {
        if (!is_needed(&change, &all.items[i]))
            continue;
        if (create_in(&change, &all.items[i], &is_new[i], &group, err) < 0) {
            for (size_t k = 0; k <= i; k++)
                if (is_new[k])
                    remove_group(&change, &all.items[k]);
            return -1;
        }
    }
    *ret = group;
    group = (struct cgroup)CGROUP_INIT; /* moved out */
    return 0;
}

/* ------------------------------------------------------------------ update */

/* Move the container's processes into a v1 group that it needs from now on. Those forked meanwhile
 * are found by looking again until none is left outside. */
static int move_processes(const struct change *change, int group_fd, struct error *err)
{
    enum { ROUNDS = 100 };
    const struct hierarchy from = lifecycle_hierarchy(change->layout);
    cleanup_fd int from_fd = -1;

    if (group_open(from.root, change->project, change->name, &from_fd, err) != 0)
        return 0; /* not created yet: nobody to move */
    for (int round = 0; round < ROUNDS; round++) {
        cleanup_buf struct buf all = BUF_INIT, inside = BUF_INIT;
        struct str rest, line;

        if (group_read(from_fd, "cgroup.procs", &all) < 0 ||
            group_read(group_fd, "cgroup.procs", &inside) < 0)
            return error_set(err, ERROR_SYSTEM, "list the processes of \"%s\"", change->name);
        if (all.len == inside.len)
            return 0;
        for (rest = buf_str(&all); str_cut(rest, '\n', &line, &rest);) {
            char pid[24] = {0}; /* a number of 64 bits */

            if (line.len >= sizeof(pid))
                continue;
            memcpy(pid, line.data, line.len);

            int r = group_write(group_fd, "cgroup.procs", pid);

            if (r < 0 && r != -ESRCH)
                return error_sys(err, -r, "move process %s of \"%s\"", pid, change->name);
        }
    }
    return error_set(err, ERROR_CONFLICT, "\"%s\" forks faster than its processes can be moved",
                     change->name);
}

int cgroup_update(const struct cgroup_layout *layout, const char *project, const char *name,
                  const struct cgroup_limits *limits, struct error *err)
{
    struct change change = {.layout = layout, .project = project, .name = name, .limits = limits};
    const struct hierarchies all = hierarchies_of(layout);

    if (change_init(&change, err) < 0)
        return -1;
    for (size_t i = 0; i < all.n; i++) {
        cleanup_fd int group_fd = -1;
        bool is_new = false;
        int r = group_open(all.items[i].root, project, name, &group_fd, err);

        if (r < 0)
            return -1;
        if (r == 1) {
            if (!is_needed(&change, &all.items[i]))
                continue;
            if (make_group(&change, &all.items[i], &is_new, &group_fd, err) < 0)
                return -1;
        }
        if (write_limits(&change, &all.items[i], group_fd, is_new, err) < 0)
            return -1;
        if (is_new && !all.items[i].is_v2 && move_processes(&change, group_fd, err) < 0)
            return -1;
    }
    return 0;
}

int cgroup_join_keeper(const struct cgroup_layout *layout, const char *project, int pid,
                       struct error *err)
{
    struct change change = {.layout = layout, .project = project, .name = CGROUP_KEEPER};
    cleanup_fd int group_fd = -1;
    char text[16]; /* an int */
    bool is_new;

    if (!layout->v2_root || !layout->v2_controllers)
        return 0;
    if (group_check_name(project, "project", err) < 0)
        return -1;

    const struct hierarchy v2 = {layout->v2_root, true, CGROUP_CPU};

    if (make_group(&change, &v2, &is_new, &group_fd, err) < 0)
        return -1;
    (void)snprintf(text, sizeof(text), "%d", pid);

    int r = group_write(group_fd, "cgroup.procs", text);

    return r < 0 ? error_sys(err, -r, "move the keeper of \"%s\" to its group", project) : 0;
}
