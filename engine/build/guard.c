/* The guard is a fork that does nothing but read from a pipe. A program of its own would need a
 * verb, an exec and the same arguments in text; fork keeps what has to be freed in memory. It holds
 * none of the builder's other descriptors: locks of the image store go with the builder. */

#include "engine/build/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>

#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"

enum { END_TIMEOUT_MS = 5000, GUARD_FDS = 3 };

int guard_free(const struct guard_duty *duty, struct error *err)
{
    struct error why = ERROR_INIT, first = ERROR_INIT;

    if (cgroup_kill(duty->layout, duty->project, duty->name, &why) < 0)
        error_gather(&first, &why);
    if (cgroup_wait_empty(duty->layout, duty->project, duty->name, END_TIMEOUT_MS, &why) < 0)
        error_gather(&first, &why);
    if (cgroup_remove(duty->layout, duty->project, duty->name, &why) < 0)
        error_gather(&first, &why);
    (void)cgroup_remove_project(duty->layout, duty->project, NULL); /* another build may use it */
    if (duty->network != NULL) {
        if (network_detach(&duty->dirs, duty->network, duty->container, &why) < 0)
            error_gather(&first, &why);
        (void)network_remove(&duty->dirs, duty->network, NULL); /* likewise */
    }
    return first.code != ERROR_NONE ? error_set(err, first.code, "%s", first.text) : 0;
}

/* Keep the three descriptors we need, as 3, 4 and 5, and nothing else. */
static int keep_only(const int fds[static GUARD_FDS])
{
    int high[GUARD_FDS];

    for (int i = 0; i < GUARD_FDS; i++) {
        high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3 + GUARD_FDS);
        if (high[i] < 0)
            return -1;
    }
    for (int i = 0; i < GUARD_FDS; i++)
        if (dup3(high[i], 3 + i, O_CLOEXEC) < 0)
            return -1;
    return close_range(3 + GUARD_FDS, ~0U, 0);
}

static _Noreturn void guard_main(const struct guard_duty *duty, int pipe_fd)
{
    const int fds[GUARD_FDS] = {pipe_fd, duty->dirs.state_fd, duty->dirs.run_fd};
    struct guard_duty own = *duty;
    char byte;

    (void)prctl(PR_SET_NAME, "berth-guard");
    (void)prctl(PR_SET_PDEATHSIG, 0);
    (void)setsid(); /* Ctrl-C is for the builder */
    if (keep_only(fds) < 0)
        _exit(1);
    (void)close_range(0, 2, 0);
    own.dirs.state_fd = 4;
    own.dirs.run_fd = 5;
    if (fs_read(3, &byte, 1) == 0)
        (void)guard_free(&own, NULL); /* nobody left to tell */
    _exit(0);
}

int guard_start(const struct guard_duty *duty, struct guard *ret, struct error *err)
{
    cleanup_fd int ours = -1;
    cleanup_fd int theirs = -1;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_sys(err, errno, "make a pipe");
    theirs = ends[0];
    ours = ends[1];
    pid_t pid = fork();
    if (pid < 0)
        return error_sys(err, errno, "start the guard of the build");
    if (pid == 0) {
        (void)close(fd_take(&ours)); /* else it would wait for itself */
        guard_main(duty, theirs);
    }
    *ret = (struct guard){.pid = pid, .pipe_fd = fd_take(&ours)};
    return 0;
}

void guard_stop(struct guard *guard)
{
    if (guard->pid <= 0)
        return;
    (void)fs_write_all(guard->pipe_fd, "x", 1, NULL);
    (void)close(guard->pipe_fd);
    (void)waitpid(guard->pid, NULL, 0);
    *guard = (struct guard)GUARD_INIT;
}
