/* Can a process notice a signal?
 *
 * The first process of a pid namespace gets no signal that it has no handler for, not even from
 * outside (SIGKILL and SIGSTOP excepted): pid_namespaces(7). Waiting the whole grace time for such
 * a process is pure loss. But it may also take the signal from a signalfd (then it is blocked) or
 * from sigwait (then a thread is inside rt_sigtimedwait, and nothing shows in its masks). */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/units.h"
#include "engine/keeper/supervisor.h"

enum { PROC_FILE_MAX_BYTES = 64 << 10 };

/* The mask in a line "SigCgt:\t0000000000004a07" of /proc/PID/status. All ones when unreadable. */
static uint64_t mask_in(const char *status, const char *key)
{
    const char *line = strstr(status, key);
    uint64_t mask = 0;

    if (!line)
        return UINT64_MAX;
    for (line += strlen(key); *line == ':' || *line == '\t'; line++) {
    }
    for (; *line && strchr("0123456789abcdef", *line); line++) {
        unsigned digit = *line <= '9' ? (unsigned)(*line - '0') : (unsigned)(*line - 'a') + 10;

        mask = mask << 4 | digit;
    }
    return mask;
}

static bool thread_may_take(int tasks_fd, const char *thread, uint64_t bit)
{
    cleanup_buf struct buf text = BUF_INIT;
    char path[64]; /* a number and a short word */
    struct error ignored;

    (void)snprintf(path, sizeof(path), "%.20s/status", thread);
    if (fs_read_file(tasks_fd, path, PROC_FILE_MAX_BYTES, &text, &ignored) < 0)
        return false; /* it has ended */
    if ((mask_in(buf_text(&text), "\nSigCgt") | mask_in(buf_text(&text), "\nSigBlk")) & bit)
        return true;
    (void)snprintf(path, sizeof(path), "%.20s/syscall", thread);
    if (fs_read_file(tasks_fd, path, PROC_FILE_MAX_BYTES, &text, &ignored) < 0)
        return true; /* can't tell */
    (void)snprintf(path, sizeof(path), "%d ", (int)SYS_rt_sigtimedwait);
    return strncmp(buf_text(&text), path, strlen(path)) == 0;
}

bool shield_ignores(pid_t pid, int signal)
{
    cleanup_dir DIR *dir = NULL;
    const struct dirent *entry;
    char path[64]; /* "/proc/2147483647/task" */
    bool has_thread = false;

    if (signal < 1 || signal > 64)
        return false;
    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        has_thread = true;
        if (thread_may_take(dirfd(dir), entry->d_name, UINT64_C(1) << (signal - 1)))
            return false;
    }
    return has_thread;
}
