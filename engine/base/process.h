#pragma once

/* Child processes: the only place that forks ordinary programs (containers: engine/container). */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct error;

struct process {
    pid_t pid; /* 0 = none */
    int pidfd; /* -1 = none */
};

#define PROCESS_INIT                                                                               \
    {                                                                                              \
        0, -1                                                                                      \
    }
#define cleanup_process __attribute__((cleanup(process_release)))
void process_release(struct process *process); /* kills (SIGKILL) and reaps what still runs */

struct process_options {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH if it has no '/' */
    const char *const *envp; /* NULL = inherit */
    int exec_fd;             /* >= 0: fexecve this instead of argv[0]; else -1 */
    int stdin_fd, stdout_fd, stderr_fd; /* -1 = /dev/null for stdin, inherit for the others */
    const int *keep_fds;                /* passed on under numbers 3, 4, …; all else is closed */
    size_t n_keep_fds;
    const char *working_dir; /* NULL = stay */
    bool new_session;        /* setsid: detach from the terminal */
    bool die_with_parent;    /* PR_SET_PDEATHSIG SIGKILL */
};

#define PROCESS_OPTIONS_INIT                                                                       \
    {                                                                                              \
        .exec_fd = -1, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1                            \
    }

/* Fails with ERROR_NOT_FOUND when the program does not exist (the exec error is reported here). */
int process_spawn(const struct process_options *options, struct process *ret, struct error *err);

/* Wait for the end. *ret_status: exit code, or 128 + signal. Reaps; *process is empty after. */
int process_wait(struct process *process, int *ret_status, struct error *err);

/* Poll: returns 1 and leaves it alone while it still runs. */
int process_try_wait(struct process *process, int *ret_status, struct error *err);

int process_signal(const struct process *process, int signal, struct error *err);
