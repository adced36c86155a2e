/* The interpreter's loop.
 *
 * Should: stop at the first step that fails and say which one. Mustn't: keep a descriptor that the
 * program doesn't name, run anything of the image before the last step. */

#include "engine/container/zygote/child.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/container/zygote/call.h"

static child_step step_armed;

static child_step *const steps[SETUP_OP_COUNT] = {
    [SETUP_JOIN_CGROUP] = step_join_cgroup,
    [SETUP_NEW_CGROUP_NAMESPACE] = step_new_cgroup_namespace,
    [SETUP_JOIN_NETWORK] = step_join_network,
    [SETUP_JOIN_NAMESPACES] = step_join_namespaces,
    [SETUP_ATTACH_ROOT] = step_attach_root,
    [SETUP_MOUNT] = step_mount,
    [SETUP_ATTACH] = step_attach,
    [SETUP_MASK] = step_mask,
    [SETUP_READ_ONLY] = step_read_only,
    [SETUP_ROOT_READ_ONLY] = step_root_read_only,
    [SETUP_MAKE_DIRECTORY] = step_make_directory,
    [SETUP_MAKE_LINK] = step_make_link,
    [SETUP_MAKE_NODE] = step_make_node,
    [SETUP_SYSCTL] = step_sysctl,
    [SETUP_HOSTNAME] = step_hostname,
    [SETUP_OOM_SCORE] = step_oom_score,
    [SETUP_PIVOT] = step_pivot,
    [SETUP_SESSION] = step_session,
    [SETUP_TERMINAL] = step_terminal,
    [SETUP_STDIO] = step_stdio,
    [SETUP_RLIMIT] = step_rlimit,
    [SETUP_UMASK] = step_umask,
    [SETUP_CHDIR] = step_chdir,
    [SETUP_ARMED] = step_armed,
    [SETUP_BOUNDING] = step_bounding,
    [SETUP_GROUPS] = step_groups,
    [SETUP_USER] = step_user,
    [SETUP_CAPABILITIES] = step_capabilities,
    [SETUP_NO_NEW_PRIVILEGES] = step_no_new_privileges,
    [SETUP_SECCOMP] = step_seccomp,
    [SETUP_INIT] = step_init,
    [SETUP_EXEC] = step_exec,
};

static int send_report(const struct child *child, const struct wire_child_report *report, int fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
                            .cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS}};
    struct iovec part = {(void *)(uintptr_t)report, sizeof(*report)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    long ret;

    if (fd >= 0) {
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
    }
    do
        ret = call(SYS_sendmsg, child->channel, &message, MSG_NOSIGNAL);
    while (ret == -EINTR);
    return ret < 0 ? (int)ret : 0;
}

static int step_armed(struct child *child, const struct wire_step *step)
{
    struct wire_child_report report = {.kind = WIRE_ARMED};
    int ret = send_report(child, &report, child->terminal_fd);
    long n;
    char go;

    if (ret < 0)
        return ret;
    close_fd(child->terminal_fd);
    child->terminal_fd = -1;
    if (step->number[0] == 0)
        return 0;
    do
        n = call(SYS_read, child->channel, &go, 1);
    while (n == -EINTR);
    if (n <= 0) /* the zygote is gone: nobody will ever say go */
        end_process(125);
    return 0;
}

static int exit_code_for(const struct wire_step *step, int errnum)
{
    if (step->op != SETUP_EXEC)
        return 125;
    return errnum == ENOENT ? 127 : 126;
}

_Noreturn static void fail(const struct child *child, const struct wire_step *step, int errnum)
{
    struct wire_child_report report = {.kind = WIRE_FAILED, .errnum = errnum};
    const char *details[] = {child_text(child, step->text), child_text(child, step->path)};
    size_t n = text_append(report.text, sizeof(report.text), 0, setup_op_names[step->op]);
    bool is_exec = step->op == SETUP_EXEC;

    for (size_t i = 0; i < 2; i++) {
        if (details[i] == NULL || (i == 0 && step->op == SETUP_SYSCTL))
            continue;
        n = text_append(report.text, sizeof(report.text), n, is_exec ? " \"" : " ");
        n = text_append(report.text, sizeof(report.text), n, details[i]);
        n = text_append(report.text, sizeof(report.text), n, is_exec ? "\"" : "");
    }
    report.exit_code = exit_code_for(step, errnum);
    (void)send_report(child, &report, -1); /* if that fails, the exit code still tells */
    end_process(report.exit_code);
}

/* Everything but 0, 1, 2, the channel and the program's slots. */
static void close_others(const struct child *child)
{
    int keep[WIRE_SLOTS_MAX + 1];
    size_t n = 0;
    int next = 3;

    keep[n++] = child->channel;
    for (uint32_t i = 0; i < child->program->n_slots; i++) {
        size_t at = n++;

        for (; at > 0 && keep[at - 1] > child->slots[i]; at--)
            keep[at] = keep[at - 1];
        keep[at] = child->slots[i];
    }
    for (size_t i = 0; i < n; i++) {
        if (keep[i] > next)
            (void)call(SYS_close_range, next, keep[i] - 1, 0);
        if (keep[i] >= next)
            next = keep[i] + 1;
    }
    (void)call(SYS_close_range, next, ~0U, 0);
}

_Noreturn void child_run(struct child *child)
{
    uint64_t no_signals = 0;

    close_others(child);
    (void)call(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, sizeof(no_signals));
    (void)call(SYS_umask, 0); /* modes are meant as written until the step that sets it */
    for (uint32_t i = 0; i < child->program->n_steps; i++) {
        const struct wire_step *step = wire_step(child->program, i);
        int ret = steps[step->op](child, step);

        if (ret < 0)
            fail(child, step, -ret);
    }
    end_process(0); /* a program without exec: only tests make one */
}
