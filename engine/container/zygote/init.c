/* `init: true`: the process stays PID 1, starts the workload as its child, hands signals on, reaps
 * whatever is orphaned, and ends with the workload's result. It has the same user, capabilities and
 * filter as the workload, and no file of the image is involved.
 *
 * It waits with rt_sigtimedwait over all signals, so nothing here is asynchronous. */

#include <asm/ioctls.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "engine/container/zygote/call.h"
#include "engine/container/zygote/child.h"

#define SIGNAL_BIT(n) (UINT64_C(1) << ((n)-1))

static const char init_title[] = "berth init";

static void take_title(struct child *child)
{
    memset(child->title, 0, child->title_size);
    (void)text_append(child->title, child->title_size, 0, init_title);
    (void)call(SYS_prctl, PR_SET_NAME, init_title, 0, 0, 0);
}

/* Reap everything that has ended; true when the workload is among it. */
static bool reap(int workload, int *ret_code)
{
    bool is_over = false;

    for (;;) {
        int status;
        long pid = call(SYS_wait4, -1, &status, WNOHANG, NULL);

        if (pid == -EINTR)
            continue;
        if (pid <= 0)
            return is_over;
        if (pid != workload)
            continue;
        *ret_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        is_over = true;
    }
}

_Noreturn static void watch(int workload, uint64_t signals)
{
    int code = 0;

    for (;;) {
        siginfo_t info;
        long number = call(SYS_rt_sigtimedwait, &signals, &info, NULL, sizeof(signals));

        if (number == SIGCHLD) {
            if (reap(workload, &code))
                end_process(code); /* the kernel kills what is left */
        } else if (number > 0 && number != SIGTSTP && number != SIGTTIN && number != SIGTTOU) {
            (void)call(SYS_kill, workload, number);
        }
    }
}

int step_init(struct child *child, const struct wire_step *step)
{
    uint64_t all =
        ~(SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGILL) |
          SIGNAL_BIT(SIGTRAP) | SIGNAL_BIT(SIGABRT) | SIGNAL_BIT(SIGSYS));
    uint64_t before;
    int self;
    long ret = call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof(all));

    (void)step;
    if (ret < 0)
        return (int)ret;
    /* clone, not clone3: the default filter answers clone3 with ENOSYS */
    ret = call(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (ret < 0)
        return (int)ret;
    if (ret > 0) {
        (void)call(SYS_close_range, 3, ~0U, 0); /* the channel too: its end is the workload's */
        (void)call(SYS_chdir, "/");
        take_title(child);
        watch((int)ret, all);
    }
    /* A group of its own, in the foreground if there is a terminal; TTOU is still blocked. */
    (void)call(SYS_setpgid, 0, 0);
    self = (int)call(SYS_getpid);
    (void)call(SYS_ioctl, 0, TIOCSPGRP, &self);
    (void)call(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
    return 0;
}
