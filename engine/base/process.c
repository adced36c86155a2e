/* Child processes.
 *
 * The child is made with clone3 (a pidfd from the start, handlers reset in the kernel, so that none
 * of the parent's handlers can run in it) and reports a failure before or in exec through a pipe
 * that exec closes. Between clone and exec it only makes system calls. */

#include "engine/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/sys.h"

enum { EXIT_SPAWN_FAILED = 127, FIRST_KEPT_FD = 3 };

enum spawn_step { STEP_NONE, STEP_PARENT, STEP_SESSION, STEP_DIRECTORY, STEP_FDS, STEP_EXEC };

static const char *const step_texts[] = {
    [STEP_NONE] = "start",
    [STEP_PARENT] = "tie to its parent",
    [STEP_SESSION] = "make a session",
    [STEP_DIRECTORY] = "change to its working directory",
    [STEP_FDS] = "arrange its descriptors",
    [STEP_EXEC] = "execute",
};

/* What the child sends when it fails; smaller than PIPE_BUF, so one write. */
struct spawn_failure {
    enum spawn_step step;
    int errnum;
};

static int die_with_parent(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return -1;
    /* The parent may have died before prctl. */
    if (getppid() != parent) {
        errno = ESRCH;
        return -1;
    }
    return 0;
}

static void reset_signals(void)
{
    const struct sigaction defaults = {.sa_handler = SIG_DFL};
    sigset_t none;

    /* CLONE_CLEAR_SIGHAND leaves ignored signals ignored. SIGKILL, SIGSTOP and the C library's
     * own two refuse: no matter. */
    for (int i = 1; i < NSIG; i++)
        (void)sigaction(i, &defaults, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Bring `fd` to `target` past close-on-exec. Sources were moved above every target before. */
static int place_fd(int fd, int target)
{
    return dup3(fd, target, 0) < 0 ? -1 : 0;
}

/* A copy at `floor` or above, where no target overwrites it. */
static int lift_fd(int fd, int floor)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, floor);
}

/* What goes to 0, 1, 2, 3 …; -1 = /dev/null. Asked before we open anything ourselves, or a closed
 * stderr would be taken for open because our own pipe got its number. */
static void sources_find(const struct process_options *options, int *ret_sources)
{
    const int standard[FIRST_KEPT_FD] = {options->stdin_fd, options->stdout_fd, options->stderr_fd};

    for (int i = 0; i < FIRST_KEPT_FD; i++) {
        bool is_inherited = standard[i] < 0 && i != STDIN_FILENO && fcntl(i, F_GETFD) >= 0;

        ret_sources[i] = is_inherited ? i : standard[i];
    }
    for (size_t i = 0; i < options->n_keep_fds; i++)
        ret_sources[FIRST_KEPT_FD + i] = options->keep_fds[i];
}

/* sources[i] becomes i, for all below @floor; everything from @floor up is closed by exec. */
static int arrange_fds(int *sources, int floor)
{
    /* Never closed here: its number may be one that is arranged below. exec closes it. */
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null_fd < 0)
        return -1;
    for (int i = 0; i < floor; i++) {
        sources[i] = lift_fd(sources[i] < 0 ? null_fd : sources[i], floor);
        if (sources[i] < 0)
            return -1;
    }
    for (int i = 0; i < floor; i++)
        if (place_fd(sources[i], i) < 0)
            return -1;
    return close_range((unsigned)floor, ~0U, CLOSE_RANGE_CLOEXEC);
}

/* exec takes pointers to non-const text for historical reasons; it doesn't write to them. */
static char *const *exec_vector(const char *const *vector)
{
    char *const *plain;

    memcpy(&plain, &vector, sizeof(plain));
    return plain;
}

static enum spawn_step child_run(const struct process_options *options, pid_t parent, int *sources,
                                 int *failure_fd, int exec_fd)
{
    char *const *envp = options->envp ? exec_vector(options->envp) : environ;
    int floor = FIRST_KEPT_FD + (int)options->n_keep_fds;

    reset_signals();
    if (options->die_with_parent && die_with_parent(parent) < 0)
        return STEP_PARENT;
    if (options->new_session && setsid() < 0)
        return STEP_SESSION;
    if (options->working_dir && chdir(options->working_dir) < 0)
        return STEP_DIRECTORY;

    *failure_fd = lift_fd(*failure_fd, floor);
    if (exec_fd >= 0)
        exec_fd = lift_fd(exec_fd, floor);
    if (*failure_fd < 0 || arrange_fds(sources, floor) < 0)
        return STEP_FDS;

    if (exec_fd >= 0)
        fexecve(exec_fd, exec_vector(options->argv), envp);
    else
        execvpe(options->argv[0], exec_vector(options->argv), envp);
    return STEP_EXEC;
}

static _Noreturn void child_main(const struct process_options *options, pid_t parent, int *sources,
                                 int failure_fd)
{
    struct spawn_failure failure;

    failure.step = child_run(options, parent, sources, &failure_fd, options->exec_fd);
    failure.errnum = errno;
    /* If even this fails, the parent sees exit code 127. */
    if (write(failure_fd, &failure, sizeof(failure)) < 0)
        _exit(EXIT_SPAWN_FAILED);
    _exit(EXIT_SPAWN_FAILED);
}

/* Blocks until the child has exec'ed or failed. */
static int await_exec(const struct process_options *options, int failure_fd, struct error *err)
{
    const char *program = options->argv[0];
    struct spawn_failure failure;
    ssize_t n = fs_read(failure_fd, &failure, sizeof(failure));

    if (n == 0)
        return 0;
    if (n < 0)
        return error_sys(err, errno, "run \"%s\": read its start pipe", program);
    if (n != sizeof(failure) || failure.step > STEP_EXEC)
        return error_set(err, ERROR_SYSTEM, "run \"%s\": its start pipe is garbled", program);
    if (failure.step == STEP_DIRECTORY)
        return error_sys(err, failure.errnum, "run \"%s\": change to directory \"%s\"", program,
                         options->working_dir);
    return error_sys(err, failure.errnum, "run \"%s\": %s", program, step_texts[failure.step]);
}

int process_spawn(const struct process_options *options, struct process *ret, struct error *err)
{
    cleanup_process struct process process = PROCESS_INIT;
    cleanup_fd int read_fd = -1, write_fd = -1;
    cleanup_free int *sources =
        x_alloc_array(FIRST_KEPT_FD + options->n_keep_fds, sizeof(*sources));
    struct clone_args args = {.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
    pid_t pid, parent = getpid();
    int pidfd = -1, pipe_fds[2];

    sources_find(options, sources);
    args.pidfd = (uint64_t)(uintptr_t)&pidfd;
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_sys(err, errno, "run \"%s\": make a pipe", options->argv[0]);
    read_fd = pipe_fds[0];
    write_fd = pipe_fds[1];

    pid = sys_clone3(&args);
    if (pid < 0)
        return error_sys(err, errno, "run \"%s\": make a process", options->argv[0]);
    if (pid == 0)
        child_main(options, parent, sources, write_fd);

    process = (struct process){pid, pidfd};
    close(fd_take(&write_fd));
    if (await_exec(options, read_fd, err) < 0)
        return -1;

    *ret = process;
    process = (struct process)PROCESS_INIT;
    return 0;
}

/* waitid on the pidfd. Returns 1 while it runs (WNOHANG only), -1 with errno. */
static int process_reap(struct process *process, int flags, int *ret_status)
{
    siginfo_t info = {0};
    int result;

    do
        result = waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | flags);
    while (result < 0 && errno == EINTR);
    if (result < 0)
        return -1;
    if (info.si_pid == 0)
        return 1;

    *ret_status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
    close(process->pidfd);
    *process = (struct process)PROCESS_INIT;
    return 0;
}

void process_release(struct process *process)
{
    int status, saved = errno;

    if (process->pidfd >= 0) {
        (void)pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0); /* it may be dead already */
        (void)process_reap(process, 0, &status);                   /* ECHILD: not ours to reap */
        if (process->pidfd >= 0)
            close(process->pidfd);
    }
    *process = (struct process)PROCESS_INIT;
    errno = saved;
}

int process_wait(struct process *process, int *ret_status, struct error *err)
{
    if (process_reap(process, 0, ret_status) < 0)
        return error_sys(err, errno, "wait for process %d", (int)process->pid);
    return 0;
}

int process_try_wait(struct process *process, int *ret_status, struct error *err)
{
    int result = process_reap(process, WNOHANG, ret_status);

    if (result < 0)
        return error_sys(err, errno, "wait for process %d", (int)process->pid);
    return result;
}

int process_signal(const struct process *process, int signal, struct error *err)
{
    if (pidfd_send_signal(process->pidfd, signal, NULL, 0) < 0)
        return error_sys(err, errno, "signal process %d", (int)process->pid);
    return 0;
}
