/* Killing, freezing, waiting, removing. */

#include "engine/cgroup/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "engine/cgroup/group.h"

enum {
    REMOVE_WAIT_MS = 2000,
    KEEPER_WAIT_MS = 1000,
    FREEZE_WAIT_MS = 10000,
    KILL_ROUNDS = 1000, /* v1 without a freezer: a forking tree has to lose some time */
};

static int lifecycle_open(const struct cgroup_layout *layout, const char *project, const char *name,
                          int *ret_fd, struct error *err)
{
    return group_open(lifecycle_hierarchy(layout).root, project, name, ret_fd, err);
}

static int remaining_ms(int64_t deadline_ns)
{
    int64_t left_ns = deadline_ns - clock_monotonic_ns();

    if (deadline_ns < 0)
        return -1;
    return left_ns <= 0 ? 0 : (int)((left_ns + NS_PER_MS - 1) / NS_PER_MS);
}

static int64_t deadline_of(int timeout_ms)
{
    return timeout_ms < 0 ? -1 : clock_monotonic_ns() + timeout_ms * NS_PER_MS;
}

/* ------------------------------------------------------------------ processes, one by one
 * Only for hosts without cgroup.kill or without v2. */

/* First process of the group as a pidfd; 1 = there is none. */
static int first_process(int group_fd, int *ret_pidfd)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct str line, rest;
    int64_t pid;

    if (group_read(group_fd, "cgroup.procs", &text) < 0)
        return 1; /* the group went */
    for (rest = buf_str(&text); str_cut(rest, '\n', &line, &rest);) {
        if (parse_i64(line, 1, INT32_MAX, &pid, NULL) < 0)
            continue;

        int fd = pidfd_open((pid_t)pid, 0);

        if (fd < 0)
            continue; /* it ended */
        *ret_pidfd = fd;
        return 0;
    }
    return 1;
}

/* SIGKILL to every process listed. Returns how many there were. */
static size_t signal_listed(int group_fd)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct str line, rest;
    size_t n = 0;

    if (group_read(group_fd, "cgroup.procs", &text) < 0)
        return 0;
    for (rest = buf_str(&text); str_cut(rest, '\n', &line, &rest);) {
        int64_t pid;

        if (parse_i64(line, 1, INT32_MAX, &pid, NULL) < 0)
            continue;

        cleanup_fd int pidfd = pidfd_open((pid_t)pid, 0);

        if (pidfd >= 0 && pidfd_send_signal(pidfd, SIGKILL, NULL, 0) == 0)
            n++;
    }
    return n;
}

static size_t signal_tree(int group_fd, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct strings below = {NULL, 0};
    size_t n = signal_listed(group_fd);

    if (group_list_below(group_fd, &arena, &below, err) < 0)
        return n;
    for (size_t i = 0; i < below.n; i++) {
        cleanup_fd int fd = openat(group_fd, below.items[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd >= 0)
            n += signal_listed(fd);
    }
    return n;
}

static void set_frozen(int group_fd, bool is_v2, bool frozen)
{
    if (is_v2)
        (void)group_write(group_fd, "cgroup.freeze", frozen ? "1" : "0"); /* best effort: see use */
    else
        (void)group_write(group_fd, "freezer.state", frozen ? "FROZEN" : "THAWED");
}

/* Freezing stops forks, so that one round sees all; where it fails, rounds go on until none is
 * left. Always thawed at the end: a frozen v1 process doesn't die. */
static int kill_one_by_one(int group_fd, bool is_v2, struct error *err)
{
    struct error first = ERROR_INIT;

    for (int round = 0; round < KILL_ROUNDS; round++) {
        set_frozen(group_fd, is_v2, true);

        size_t n = signal_tree(group_fd, &first);

        set_frozen(group_fd, is_v2, false);
        if (n == 0)
            return 0;
        sched_yield();
    }
    if (first.code != ERROR_NONE && err)
        *err = first;
    return first.code != ERROR_NONE ? -1 : 0; /* signalled: they are on their way out */
}

int cgroup_kill(const struct cgroup_layout *layout, const char *project, const char *name,
                struct error *err)
{
    cleanup_fd int group_fd = -1;
    int r = lifecycle_open(layout, project, name, &group_fd, err);

    if (r != 0)
        return r == 1 ? 0 : -1;
    if (layout->v2_root && layout->has_kill) {
        r = group_write(group_fd, "cgroup.kill", "1");
        if (r == 0 || r == -ENODEV) /* ENODEV: the group was removed meanwhile */
            return 0;
        if (r != -ENOENT && r != -EOPNOTSUPP) /* threaded groups can't; try the other way */
            return error_sys(err, -r, "kill control group of \"%s\"", name);
    }
    return kill_one_by_one(group_fd, layout->v2_root != NULL, err);
}

/* ------------------------------------------------------------------ waiting */

/* Wait until a field of cgroup.events has the value. 1 = timeout. */
static int wait_for_event(int group_fd, const char *field, int64_t value, int timeout_ms,
                          struct error *err)
{
    cleanup_fd int events_fd = openat(group_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
    int64_t deadline_ns = deadline_of(timeout_ms);

    if (events_fd < 0)
        return errno == ENOENT ? 0 : error_sys(err, errno, "open cgroup.events");
    for (;;) {
        char text[256]; /* some short lines; the kernel has two */
        ssize_t len = pread(events_fd, text, sizeof(text), 0);
        struct pollfd poller = {.fd = events_fd, .events = POLLPRI};

        if (len < 0)
            return errno == ENODEV ? 0 : error_sys(err, errno, "read cgroup.events");

        struct str rest = {text, (size_t)len}, line, key, state;

        while (str_cut(rest, '\n', &line, &rest)) {
            int64_t now = 0;

            if (str_cut(line, ' ', &key, &state) && str_is(key, field) &&
                parse_i64(state, 0, 1, &now, NULL) == 0 && now == value)
                return 0;
        }

        int left_ms = remaining_ms(deadline_ns);

        if (left_ms == 0)
            return 1;
        if (poll(&poller, 1, left_ms) < 0 && errno != EINTR)
            return error_sys(err, errno, "wait for cgroup.events");
    }
}

/* v1 has no event: wait for one process after the other. */
static int wait_for_processes(int group_fd, int timeout_ms, struct error *err)
{
    int64_t deadline_ns = deadline_of(timeout_ms);

    for (;;) {
        cleanup_fd int pidfd = -1;

        if (first_process(group_fd, &pidfd) == 1)
            return 0;

        struct pollfd poller = {.fd = pidfd, .events = POLLIN};
        int left_ms = remaining_ms(deadline_ns);

        if (left_ms == 0)
            return 1;
        if (poll(&poller, 1, left_ms) < 0 && errno != EINTR)
            return error_sys(err, errno, "wait for a process");
    }
}

static int wait_empty_fd(const struct cgroup_layout *layout, int group_fd, int timeout_ms,
                         struct error *err)
{
    if (layout->v2_root)
        return wait_for_event(group_fd, "populated", 0, timeout_ms, err);
    return wait_for_processes(group_fd, timeout_ms, err);
}

int cgroup_wait_empty(const struct cgroup_layout *layout, const char *project, const char *name,
                      int timeout_ms, struct error *err)
{
    cleanup_fd int group_fd = -1;
    int r = lifecycle_open(layout, project, name, &group_fd, err);

    if (r != 0)
        return r == 1 ? 0 : -1;
    r = wait_empty_fd(layout, group_fd, timeout_ms, err);
    return r < 0 ? error_wrap(err, "control group of \"%s\"", name) : r;
}

int cgroup_open_events(const struct cgroup_layout *layout, const char *project, const char *name,
                       int *ret_fd, struct error *err)
{
    cleanup_fd int group_fd = -1;

    if (!layout->v2_root) {
        *ret_fd = -1;
        return 0;
    }

    int r = group_open(layout->v2_root, project, name, &group_fd, err);

    if (r == 1)
        return error_set(err, ERROR_NOT_FOUND, "\"%s\" has no control group", name);
    if (r < 0)
        return -1;

    cleanup_fd int fd = openat(group_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
    char ignored[256];

    /* poll reports changes since the last read */
    if (fd < 0 || read(fd, ignored, sizeof(ignored)) < 0)
        return error_sys(err, errno, "open cgroup.events of \"%s\"", name);
    *ret_fd = fd_take(&fd);
    return 0;
}

static int freeze_v1(int group_fd, bool frozen, const char *name, struct error *err)
{
    const char *want = frozen ? "FROZEN" : "THAWED";

    for (int round = 0; round < KILL_ROUNDS; round++) {
        cleanup_buf struct buf state = BUF_INIT;

        set_frozen(group_fd, false, frozen);
        if (group_read(group_fd, "freezer.state", &state) == 0 &&
            str_is(str_trim(buf_str(&state)), want))
            return 0;
        sched_yield(); /* "FREEZING": some process hasn't noticed yet; v1 sends no event */
    }
    set_frozen(group_fd, false, false);
    return error_set(err, ERROR_TIMEOUT, "\"%s\" can't be %s", name,
                     frozen ? "paused" : "unpaused");
}

int cgroup_freeze(const struct cgroup_layout *layout, const char *project, const char *name,
                  bool frozen, struct error *err)
{
    cleanup_fd int group_fd = -1;
    int r = lifecycle_open(layout, project, name, &group_fd, err);

    if (r != 0)
        return r == 1 ? 0 : -1;
    if (!layout->v2_root)
        return freeze_v1(group_fd, frozen, name, err);

    r = group_write(group_fd, "cgroup.freeze", frozen ? "1" : "0");
    if (r < 0)
        return error_sys(err, -r, "%s \"%s\"", frozen ? "pause" : "unpause", name);
    r = wait_for_event(group_fd, "frozen", frozen, FREEZE_WAIT_MS, err);
    if (r <= 0)
        return r;
    set_frozen(group_fd, true, false);
    return error_set(err, ERROR_TIMEOUT, "\"%s\" can't be paused: a process is stuck in the kernel",
                     name);
}

/* ------------------------------------------------------------------ removing */

/* 0 = gone, -EBUSY, or another -errno. */
static int remove_path(const char *path)
{
    if (rmdir(path) == 0 || errno == ENOENT)
        return 0;
    return -errno;
}

static int remove_tree(int group_fd, const char *path, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct strings below = {NULL, 0};

    if (group_list_below(group_fd, &arena, &below, err) < 0)
        return -EIO;
    for (size_t i = below.n; i-- > 0;) {
        if (unlinkat(group_fd, below.items[i], AT_REMOVEDIR) != 0 && errno != ENOENT)
            return -errno;
    }
    return remove_path(path);
}

/* One hierarchy. Processes that are ending keep a group busy until they are gone. */
static int remove_in(const struct cgroup_layout *layout, const struct hierarchy *hierarchy,
                     const char *project, const char *name, struct error *err)
{
    cleanup_buf struct buf path = BUF_INIT;
    cleanup_fd int group_fd = -1;
    int64_t deadline_ns = deadline_of(REMOVE_WAIT_MS);

    group_path(&path, hierarchy->root, project, name);
    if (remove_path(buf_text(&path)) == 0)
        return 0;

    int r = group_open(hierarchy->root, project, name, &group_fd, err);

    if (r != 0)
        return r == 1 ? 0 : -1;
    for (;;) {
        int left_ms = remaining_ms(deadline_ns);

        r = hierarchy->is_v2 ? wait_empty_fd(layout, group_fd, left_ms, err)
                             : wait_for_processes(group_fd, left_ms, err);
        if (r < 0)
            return -1;
        if (r == 1)
            return error_set(err, ERROR_CONFLICT,
                             "control group of \"%s\" can't be removed: it has processes", name);
        r = remove_tree(group_fd, buf_text(&path), err);
        if (r == 0)
            return 0;
        if (r != -EBUSY && r != -ENOTEMPTY)
            return error_sys(err, -r, "remove control group \"%s\"", buf_text(&path));
        if (left_ms == 0)
            return error_set(err, ERROR_CONFLICT, "control group \"%s\" stays busy",
                             buf_text(&path));
        sched_yield(); /* someone is still forking groups or leaving: look again */
    }
}

int cgroup_remove(const struct cgroup_layout *layout, const char *project, const char *name,
                  struct error *err)
{
    const struct hierarchies all = hierarchies_of(layout);
    struct error first = ERROR_INIT;

    if (group_check_name(project, "project", err) < 0 ||
        group_check_name(name, "container", err) < 0)
        return -1;
    for (size_t i = 0; i < all.n; i++) {
        struct error here = ERROR_INIT;

        if (remove_in(layout, &all.items[i], project, name, &here) < 0)
            error_gather(&first, &here);
    }
    if (first.code == ERROR_NONE)
        return 0;
    if (err)
        *err = first;
    return -1;
}

/* The caller, and what of it is still ending or deleting, go up to the root: the only group that
 * may hold processes beside controllers (below a delegated group there is none: then .keeper
 * stays). */
static void leave_keeper_group(const struct cgroup_layout *layout, const char *project)
{
    cleanup_fd int root_fd = open(layout->v2_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_fd int group_fd = -1;
    cleanup_buf struct buf pids = BUF_INIT;
    struct error ignored = ERROR_INIT; /* a group that stays busy isn't removed below */
    struct str line, rest;

    if (root_fd < 0 ||
        group_open(layout->v2_root, project, CGROUP_KEEPER, &group_fd, &ignored) != 0 ||
        group_read(group_fd, "cgroup.procs", &pids) < 0)
        return;
    rest = buf_str(&pids);
    while (str_cut(rest, '\n', &line, &rest)) {
        char pid[16];

        (void)snprintf(pid, sizeof(pid), "%.*s", (int)line.len, line.data);
        (void)group_write(root_fd, "cgroup.procs", pid); /* has ended: just as well */
    }
    (void)wait_empty_fd(layout, group_fd, KEEPER_WAIT_MS, &ignored);
}

int cgroup_remove_project(const struct cgroup_layout *layout, const char *project,
                          struct error *err)
{
    const struct hierarchies all = hierarchies_of(layout);
    int result = 0;

    if (group_check_name(project, "project", err) < 0)
        return -1;
    if (layout->v2_root && layout->v2_controllers)
        leave_keeper_group(layout, project);
    for (size_t i = 0; i < all.n; i++) {
        cleanup_buf struct buf keeper = BUF_INIT, path = BUF_INIT;

        group_path(&keeper, all.items[i].root, project, CGROUP_KEEPER);
        (void)remove_path(buf_text(&keeper)); /* if it is busy, so is the project */
        group_path(&path, all.items[i].root, project, NULL);

        int r = remove_path(buf_text(&path));

        if (r == -EBUSY || r == -ENOTEMPTY)
            result = 1;
        else if (r < 0)
            return error_sys(err, -r, "remove control group of project \"%s\"", project);
    }
    return result;
}
