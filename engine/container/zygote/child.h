#pragma once

/* The container's side of its creation: runs a checked setup program in the new process. */

#include <stddef.h>
#include <stdint.h>

#include "engine/container/wire.h"

struct child {
    const struct wire_program *program;
    const int *slots;
    int channel;     /* SOCK_SEQPACKET to the zygote; closes on exec */
    int root_fd;     /* of the container; -1 = not there yet */
    int proc_fd;     /* its /proc, fresh from us; -1 = not mounted yet */
    int terminal_fd; /* master to hand over; -1 = none */
    int parent_fd;   /* directory of the last node or link made; -1 = none */
    char parent[64]; /* its path */
    char *title;     /* argv area of the process, for init */
    size_t title_size;
};

/* One instruction: 0 or -errno. */
typedef int child_step(struct child *child, const struct wire_step *step);

child_step step_attach_root, step_mount, step_attach, step_mask, step_read_only,
    step_root_read_only, step_make_directory, step_make_link, step_make_node, step_pivot;
child_step step_join_cgroup, step_new_cgroup_namespace, step_join_network, step_join_namespaces,
    step_sysctl, step_hostname, step_oom_score, step_session, step_terminal, step_stdio,
    step_rlimit, step_umask, step_chdir;
child_step step_bounding, step_groups, step_user, step_capabilities, step_no_new_privileges,
    step_seccomp, step_init, step_exec;

/* The text of a step's field; NULL if absent. */
static inline const char *child_text(const struct child *child, struct wire_range range)
{
    return wire_text(child->program, range);
}

_Noreturn void child_run(struct child *child);
