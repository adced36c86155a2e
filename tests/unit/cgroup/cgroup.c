/* Control groups against this kernel. Needs root; everything happens in a project of its own. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/cgroup/cgroup.h"
#include "engine/cgroup/group.h"
#include "engine/security/security.h"
#include "tests/tap.h"

#define NAME "web-1"

static struct arena arena;
static struct cgroup_layout layout;
static char project[40];

static void set_up(void)
{
    struct error err = ERROR_INIT;

    if (geteuid() != 0)
        SKIP("needs root");
    (void)snprintf(project, sizeof(project), "test-cgroup-%d", (int)getpid());
    CHECK_OK(cgroup_detect(&arena, &layout, &err), &err);
}

static void check_nothing_left(void)
{
    struct hierarchies all = hierarchies_of(&layout);
    struct error err = ERROR_INIT;

    CHECK_OK(cgroup_remove(&layout, project, NAME, &err), &err);
    CHECK_OK(cgroup_remove_project(&layout, project, &err), &err);
    for (size_t i = 0; i < all.n; i++) {
        struct buf path = BUF_INIT;

        group_path(&path, all.items[i].root, project, NULL);
        CHECK(access(buf_text(&path), F_OK) != 0);
        buf_release(&path);
    }
    arena_release(&arena);
}

static void join(const struct cgroup *group)
{
    if (group->v2_fd >= 0 && group_write(group->v2_fd, "cgroup.procs", "0") < 0)
        _exit(90);
    for (size_t i = 0; i < group->n_v1; i++)
        if (write(group->v1_procs_fds[i], "0", 1) != 1)
            _exit(91);
}

/* Run `body` in the group: exit code, or 128 + signal. */
static int run_in(const struct cgroup *group, int (*body)(void))
{
    int status = 0;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        join(group);
        _exit(body());
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static struct cgroup create(const struct cgroup_limits *limits)
{
    struct error err = ERROR_INIT;
    struct cgroup group = CGROUP_INIT;

    CHECK_OK(cgroup_create(&layout, project, NAME, limits, &group, &err), &err);
    return group;
}

/* Content of a file of the group, in the hierarchy that has the controller. */
static void check_file(enum cgroup_controller controller, const char *v1_file, const char *v1_text,
                       const char *v2_file, const char *v2_text)
{
    bool is_v2 = layout.v2_controllers & 1U << controller;
    struct buf text = BUF_INIT;
    struct error err = ERROR_INIT;
    cleanup_fd int fd = -1;

    CHECK_OK(
        group_open(is_v2 ? layout.v2_root : layout.v1_roots[controller], project, NAME, &fd, &err),
        &err);
    CHECK_INT(group_read(fd, is_v2 ? v2_file : v1_file, &text), 0);
    buf_add_char(&text, '\0');
    text.data[strcspn(text.data, "\n")] = '\0';
    CHECK_TEXT(text.data, is_v2 ? v2_text : v1_text);
    buf_release(&text);
}

TEST(what_was_detected_survives_the_features_file)
{
    struct error err = ERROR_INIT;
    struct cgroup_layout again;

    set_up();

    json_t *json = cgroup_layout_to_json(&layout);

    CHECK_OK(cgroup_layout_from_json(&arena, json, &again, &err), &err);

    json_t *second = cgroup_layout_to_json(&again);

    CHECK(json_equal(json, second));
    json_decref(json);
    json_decref(second);
    CHECK(layout.v2_root || layout.v1_roots[CGROUP_FREEZER]);
    arena_release(&arena);
}

static int eat_memory(void)
{
    enum { SIZE = 64 << 20, STEP = 4096 };
    char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return 1;
    for (size_t i = 0; i < SIZE; i += STEP)
        memory[i] = 1;
    return 0;
}

TEST(who_eats_more_memory_than_allowed_is_killed_and_counted)
{
    struct cgroup_limits limits = CGROUP_LIMITS_INIT;

    set_up();
    if (!(layout.v2_controllers & 1U << CGROUP_MEMORY) && !layout.v1_roots[CGROUP_MEMORY])
        SKIP("no memory controller");
    limits.memory_bytes = 16 << 20;
    limits.memory_swap_bytes = 16 << 20;

    struct cgroup group = create(&limits);

    CHECK_INT(cgroup_oom_count(&layout, project, NAME), 0);
    CHECK_INT(run_in(&group, eat_memory), 128 + SIGKILL);
    CHECK_INT(cgroup_oom_count(&layout, project, NAME), 1);
    cgroup_release(&group);
    check_nothing_left();
}

static int fork_twenty(void)
{
    int forked = 0;

    for (int i = 0; i < 20; i++) {
        pid_t child = fork();

        if (child == 0) {
            pause();
            _exit(0);
        }
        if (child < 0)
            return errno == EAGAIN ? forked : 99;
        forked++;
    }
    return 98;
}

TEST(pids_limit_stops_a_fork_bomb)
{
    struct error err = ERROR_INIT;
    struct cgroup_limits limits = CGROUP_LIMITS_INIT;

    set_up();
    if (!(layout.v2_controllers & 1U << CGROUP_PIDS) && !layout.v1_roots[CGROUP_PIDS])
        SKIP("no pids controller");
    limits.pids_limit = 5;

    struct cgroup group = create(&limits);

    CHECK_INT(run_in(&group, fork_twenty), 4);
    CHECK_INT(cgroup_wait_empty(&layout, project, NAME, 0, &err), 1);
    CHECK_OK(cgroup_kill(&layout, project, NAME, &err), &err);
    CHECK_OK(cgroup_wait_empty(&layout, project, NAME, 5000, &err), &err);
    cgroup_release(&group);
    check_nothing_left();
}

TEST(limits_are_set_changed_and_taken_back)
{
    struct error err = ERROR_INIT;
    struct cgroup_limits limits = CGROUP_LIMITS_INIT;

    set_up();
    limits.memory_bytes = 32 << 20;
    limits.nano_cpus = 500000000;
    limits.pids_limit = 7;

    struct cgroup group = create(&limits);

    check_file(CGROUP_MEMORY, "memory.limit_in_bytes", "33554432", "memory.max", "33554432");
    check_file(CGROUP_CPU, "cpu.cfs_quota_us", "50000", "cpu.max", "50000 100000");
    check_file(CGROUP_PIDS, "pids.max", "7", "pids.max", "7");

    limits.memory_bytes = 128 << 20; /* up: memory + swap has to go first on v1 */
    limits.nano_cpus = 2000000000;
    CHECK_OK(cgroup_update(&layout, project, NAME, &limits, &err), &err);
    check_file(CGROUP_MEMORY, "memory.limit_in_bytes", "134217728", "memory.max", "134217728");
    check_file(CGROUP_CPU, "cpu.cfs_quota_us", "200000", "cpu.max", "200000 100000");

    limits.memory_bytes = 8 << 20; /* down: the other way round */
    CHECK_OK(cgroup_update(&layout, project, NAME, &limits, &err), &err);
    check_file(CGROUP_MEMORY, "memory.limit_in_bytes", "8388608", "memory.max", "8388608");

    limits = (struct cgroup_limits)CGROUP_LIMITS_INIT;
    CHECK_OK(cgroup_update(&layout, project, NAME, &limits, &err), &err);
    check_file(CGROUP_PIDS, "pids.max", "max", "pids.max", "max");
    check_file(CGROUP_CPU, "cpu.cfs_quota_us", "-1", "cpu.max", "max 100000");
    cgroup_release(&group);
    check_nothing_left();
}

TEST(an_update_reaches_processes_that_run_already)
{
    struct error err = ERROR_INIT;
    struct cgroup_limits limits = CGROUP_LIMITS_INIT;
    int ready[2];
    char byte;

    set_up();

    struct cgroup group = create(&limits);

    CHECK_INT(pipe(ready), 0);

    pid_t child = fork();

    if (child == 0) {
        join(&group);
        close(ready[0]);
        close(ready[1]);
        pause();
        _exit(0);
    }
    close(ready[1]);
    CHECK_INT(read(ready[0], &byte, 1), 0); /* end of file: it has joined */
    close(ready[0]);

    limits.pids_limit = 9;
    CHECK_OK(cgroup_update(&layout, project, NAME, &limits, &err), &err);

    struct cgroup_stats stats;

    CHECK_OK(cgroup_stats(&layout, project, NAME, &stats, &err), &err);
    CHECK_INT(stats.pids, 1);
    CHECK(stats.cpu_ns >= 0);

    char want[16];

    (void)snprintf(want, sizeof(want), "%d", (int)child);
    check_file(CGROUP_PIDS, "cgroup.procs", want, "cgroup.procs", want);
    CHECK_OK(cgroup_kill(&layout, project, NAME, &err), &err);
    CHECK_INT(waitpid(child, NULL, 0), child);
    cgroup_release(&group);
    check_nothing_left();
}

/* A tree that forks as fast as it can. */
static int fork_for_ever(void)
{
    for (;;) {
        pid_t child = fork();

        if (child > 0)
            _exit(0); /* the child goes on: a chain that no list of pids catches */
    }
}

TEST(a_tree_that_forks_all_the_time_is_killed_whole)
{
    struct error err = ERROR_INIT;
    struct cgroup_limits limits = CGROUP_LIMITS_INIT;

    set_up();

    struct cgroup group = create(&limits);

    CHECK_INT(run_in(&group, fork_for_ever), 0);
    CHECK_INT(cgroup_wait_empty(&layout, project, NAME, 0, &err), 1);
    CHECK_OK(cgroup_kill(&layout, project, NAME, &err), &err);
    CHECK_OK(cgroup_wait_empty(&layout, project, NAME, 5000, &err), &err);
    cgroup_release(&group);
    check_nothing_left();
}

TEST(without_cgroup_kill_the_freezer_does_it)
{
    struct error err = ERROR_INIT;
    struct cgroup_limits limits = CGROUP_LIMITS_INIT;

    set_up();
    layout.has_kill = false;

    struct cgroup group = create(&limits);

    CHECK_INT(run_in(&group, fork_for_ever), 0);
    CHECK_OK(cgroup_kill(&layout, project, NAME, &err), &err);
    CHECK_OK(cgroup_wait_empty(&layout, project, NAME, 5000, &err), &err);
    cgroup_release(&group);
    check_nothing_left();
}

TEST(a_host_without_v2_works_on_v1_alone)
{
    struct error err = ERROR_INIT;
    struct cgroup_limits limits = CGROUP_LIMITS_INIT;

    set_up();
    if (!layout.v1_roots[CGROUP_FREEZER] || !layout.v1_roots[CGROUP_DEVICES] ||
        !layout.v1_roots[CGROUP_PIDS])
        SKIP("no v1 hierarchies");
    layout.v2_root = NULL;
    layout.v2_controllers = 0;
    layout.has_kill = layout.has_device_filter = false;
    limits.pids_limit = 5;

    struct cgroup group = create(&limits);

    CHECK_INT(group.v2_fd, -1);
    CHECK_INT(group.n_v1, 3); /* freezer, pids, devices */
    CHECK_INT(run_in(&group, fork_twenty), 4);
    CHECK_OK(cgroup_freeze(&layout, project, NAME, true, &err), &err);
    CHECK_OK(cgroup_freeze(&layout, project, NAME, false, &err), &err);
    CHECK_OK(cgroup_kill(&layout, project, NAME, &err), &err);
    CHECK_OK(cgroup_wait_empty(&layout, project, NAME, 5000, &err), &err);
    cgroup_release(&group);
    check_nothing_left();
}

static int try_devices(void)
{
    char path[] = "/dev/shm/test-cgroup-node-XXXXXX";
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int result = 0;

    if (fd < 0)
        return 1;
    close(fd);
    fd = mkstemp(path);
    close(fd);
    unlink(path);
    /* /dev/kmsg: making the node is allowed, opening it is not */
    if (mknod(path, S_IFCHR | 0600, makedev(1, 11)) != 0)
        return 2;
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0)
        result = 3;
    else if (errno != EPERM)
        result = 4;
    unlink(path);
    return result;
}

TEST(only_the_default_devices_can_be_opened)
{
    struct error err = ERROR_INIT;
    struct cgroup_limits limits = CGROUP_LIMITS_INIT;
    const struct device_rule kmsg = {'c', 1, 11, DEVICE_READ};

    set_up();

    struct cgroup group = create(&limits);

    CHECK_INT(run_in(&group, try_devices), 0);
    cgroup_release(&group);

    /* again, with a rule more: replaced, not stacked */
    limits.devices = &kmsg;
    limits.n_devices = 1;
    group = create(&limits);
    CHECK_INT(run_in(&group, try_devices), 3);
    cgroup_release(&group);

    limits.n_devices = 0;
    group = create(&limits);
    CHECK_INT(run_in(&group, try_devices), 0);
    cgroup_release(&group);

    limits.all_devices = true;
    group = create(&limits);
    CHECK_INT(run_in(&group, try_devices), 3);
    cgroup_release(&group);
    CHECK_OK(cgroup_remove(&layout, project, NAME, &err), &err);
    check_nothing_left();
}

TEST(one_device_filter_serves_many_groups)
{
    struct error err = ERROR_INIT;
    struct cgroup_limits limits = CGROUP_LIMITS_INIT;

    set_up();
    CHECK_OK(cgroup_device_filter_load(&layout, NULL, 0, &limits.device_filter_fd, &err), &err);
    if (limits.device_filter_fd < 0)
        SKIP("no BPF device filter");
    for (int i = 0; i < 3; i++) {
        struct cgroup group = create(&limits); /* the same program again is fine */

        CHECK_INT(run_in(&group, try_devices), 0);
        cgroup_release(&group);
    }
    close(limits.device_filter_fd);
    check_nothing_left();
}

TEST(groups_that_a_container_made_go_with_it)
{
    struct error err = ERROR_INIT;
    struct cgroup_limits limits = CGROUP_LIMITS_INIT;

    set_up();

    struct cgroup group = create(&limits);

    CHECK(group.v2_fd >= 0);
    CHECK_OK(fs_make_dirs(group.v2_fd, "a/b/c", 0755, &err), &err);
    CHECK_OK(fs_make_dirs(group.v2_fd, "d", 0755, &err), &err);
    cgroup_release(&group);
    check_nothing_left();
}

TEST(a_group_with_processes_is_not_removed_and_says_so)
{
    struct error err = ERROR_INIT;
    struct cgroup_limits limits = CGROUP_LIMITS_INIT;
    int go[2];
    char byte;

    set_up();
    CHECK_INT(pipe(go), 0);

    struct cgroup group = create(&limits);
    pid_t child = fork();

    if (child == 0) {
        join(&group);
        close(go[0]);
        close(go[1]);
        pause();
        _exit(0);
    }
    close(go[1]);
    CHECK_INT(read(go[0], &byte, 1), 0);
    CHECK_INT(cgroup_remove_project(&layout, project, &err), 1);
    CHECK_FAILS(cgroup_remove(&layout, project, NAME, &err), ERROR_CONFLICT, "processes");
    CHECK_OK(cgroup_kill(&layout, project, NAME, &err), &err);
    /* not reaped yet: waiting is the kernel's event, not ours */
    CHECK_OK(cgroup_remove(&layout, project, NAME, &err), &err);
    CHECK_INT(waitpid(child, NULL, 0), child);
    cgroup_release(&group);
    check_nothing_left();
}

TEST(the_end_of_the_last_process_wakes_an_event_loop)
{
    struct error err = ERROR_INIT;
    struct cgroup_limits limits = CGROUP_LIMITS_INIT;
    int events_fd = -1;

    set_up();
    if (!layout.v2_root)
        SKIP("no v2");

    struct cgroup group = create(&limits);
    pid_t child = fork();

    if (child == 0) {
        join(&group);
        pause();
        _exit(0);
    }
    while (cgroup_wait_empty(&layout, project, NAME, 0, &err) == 0)
        sched_yield(); /* until it has joined */
    CHECK_OK(cgroup_open_events(&layout, project, NAME, &events_fd, &err), &err);
    CHECK_OK(cgroup_kill(&layout, project, NAME, &err), &err);

    struct pollfd poller = {.fd = events_fd, .events = POLLPRI};

    CHECK_INT(poll(&poller, 1, 5000), 1);
    CHECK_OK(cgroup_wait_empty(&layout, project, NAME, 5000, &err), &err);
    CHECK_INT(waitpid(child, NULL, 0), child);
    close(events_fd);
    cgroup_release(&group);
    check_nothing_left();
}

TEST(pausing_stops_and_goes_on)
{
    struct error err = ERROR_INIT;
    struct cgroup_limits limits = CGROUP_LIMITS_INIT;

    set_up();

    struct cgroup group = create(&limits);

    CHECK_INT(run_in(&group, fork_for_ever), 0);
    CHECK_OK(cgroup_freeze(&layout, project, NAME, true, &err), &err);
    CHECK_OK(cgroup_freeze(&layout, project, NAME, false, &err), &err);
    CHECK_OK(cgroup_freeze(&layout, project, NAME, true, &err), &err);
    CHECK_OK(cgroup_kill(&layout, project, NAME, &err), &err); /* also while frozen */
    CHECK_OK(cgroup_wait_empty(&layout, project, NAME, 5000, &err), &err);
    cgroup_release(&group);
    check_nothing_left();
}

TEST(a_missing_controller_is_an_error_that_names_the_key)
{
    struct error err = ERROR_INIT;
    struct cgroup_limits limits = CGROUP_LIMITS_INIT;
    struct cgroup group = CGROUP_INIT;

    set_up();
    layout.v1_roots[CGROUP_PIDS] = NULL;
    layout.v2_controllers &= ~(1U << CGROUP_PIDS);
    limits.pids_limit = 10;
    CHECK_FAILS(cgroup_create(&layout, project, NAME, &limits, &group, &err), ERROR_UNSUPPORTED,
                "no pids controller: pids_limit of \"web-1\" can't be honoured");
    arena_release(&arena);
}

TEST(what_does_not_exist_is_empty_killed_and_removed)
{
    struct error err = ERROR_INIT;

    set_up();
    CHECK_OK(cgroup_kill(&layout, project, "nobody", &err), &err);
    CHECK_OK(cgroup_wait_empty(&layout, project, "nobody", -1, &err), &err);
    CHECK_OK(cgroup_remove(&layout, project, "nobody", &err), &err);
    CHECK_INT(cgroup_oom_count(&layout, project, "nobody"), 0);
    CHECK_FAILS(cgroup_remove(&layout, "../x", "y", &err), ERROR_INVALID, "../x");
    check_nothing_left();
}
