/* Cloning a container's first process, or an exec's. */

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "engine/container/container.h"
#include "engine/container/zygote/call.h"
#include "engine/container/zygote/child.h"
#include "engine/container/zygote/zygote.h"

struct birth {
    const void *program;
    size_t program_size;
    bool is_mapped;
    int cgroup_fd, target_fd;
    const int *slots;
    size_t n_slots;
    int channels[2]; /* ours, the child's */
};

/* A program too large for a message: readable, and nobody can change it any more. */
static int map_program(int fd, struct birth *birth)
{
    long seals = call(SYS_fcntl, fd, F_GET_SEALS, 0), memory;
    const long wanted = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
    struct stat status;

    if (seals < 0 || (seals & wanted) != wanted || call(SYS_fstat, fd, &status) < 0 ||
        status.st_size <= 0 || status.st_size > WIRE_PROGRAM_MAX)
        return -EINVAL;
    memory = call(SYS_mmap, NULL, status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory < 0 && memory > -4096)
        return (int)memory;
    birth->program = (const void *)memory;
    birth->program_size = (size_t)status.st_size;
    birth->is_mapped = true;
    return 0;
}

/* Sort the message's descriptors by what the flags say. */
static int unpack(struct request *request, struct slot *slot, struct birth *birth)
{
    uint32_t flags = request->header->flags;
    int *const wanted[] = {&birth->cgroup_fd, &birth->target_fd, &slot->stdout_fd,
                           &slot->stderr_fd};
    size_t used = 0;

    for (unsigned i = 0; i < 4; i++) {
        if (!(flags & (1U << i)))
            continue;
        if (used >= request->n_fds)
            return -EINVAL;
        *wanted[i] = request->fds[used++];
    }
    birth->program = request->payload;
    birth->program_size = request->payload_size;
    if (flags & WIRE_IN_FD) {
        int ret = used < request->n_fds ? map_program(request->fds[used], birth) : -EINVAL;

        if (ret < 0)
            return ret;
        used++;
    }
    birth->slots = request->fds + used;
    birth->n_slots = request->n_fds - used;
    return wire_check(birth->program, birth->program_size, birth->n_slots) ? 0 : -EINVAL;
}

_Noreturn static void be_child(struct zygote_state_table *zygote, const struct birth *birth)
{
    struct child child = {.program = birth->program,
                          .slots = birth->slots,
                          .channel = birth->channels[1],
                          .root_fd = -1,
                          .proc_fd = -1,
                          .terminal_fd = -1,
                          .parent_fd = -1,
                          .title = zygote->title,
                          .title_size = zygote->title_size};

    child_run(&child);
}

static int clone_child(struct zygote_state_table *zygote, const struct birth *birth,
                       struct slot *slot)
{
    struct clone_args args = {.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
                              .pidfd = (uint64_t)(uintptr_t)&slot->pidfd,
                              .exit_signal = SIGCHLD};
    long pid;

    if (!slot->is_exec)
        args.flags |= CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
    if (birth->cgroup_fd >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (unsigned)birth->cgroup_fd;
    }
    pid = call(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        be_child(zygote, birth);
    return (int)pid;
}

/* An exec is born in the container's pid namespace, as our direct child: we join it for the moment
 * of the clone, which leaves ourselves where we are. */
static int clone_into(struct zygote_state_table *zygote, const struct birth *birth,
                      struct slot *slot, const char **ret_what)
{
    int pid;

    *ret_what = "join the container";
    if (birth->target_fd >= 0) {
        long ret = call(SYS_setns, birth->target_fd, CLONE_NEWPID);

        if (ret < 0)
            return (int)ret;
    }
    *ret_what = "clone";
    pid = clone_child(zygote, birth, slot);
    if (birth->target_fd >= 0)
        (void)call(SYS_setns, zygote->own_pids_fd, CLONE_NEWPID); /* our own: can't fail */
    return pid;
}

static void become_failed(struct slot *slot, int errnum, const char *what)
{
    slot->failure = (struct wire_child_report){.errnum = errnum, .exit_code = 125};
    (void)text_append(slot->failure.text, sizeof(slot->failure.text), 0, what);
    slot->has_failed = slot->is_reaped = true;
    slot->state = ZYGOTE_STATE_ENDED;
    slot->pending |= PENDING_END;
}

static int give_birth(struct zygote_state_table *zygote, struct request *request, struct slot *slot,
                      struct birth *birth, const char **ret_what)
{
    int ret;

    *ret_what = "read setup program";
    ret = unpack(request, slot, birth);
    if (ret < 0)
        return ret;
    *ret_what = "make channel";
    ret = (int)call(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, birth->channels);
    if (ret < 0)
        return ret;
    ret = clone_into(zygote, birth, slot, ret_what);
    if (ret < 0)
        return ret;
    slot->pid = ret;
    slot->channel = birth->channels[0];
    birth->channels[0] = -1;
    slot->pending |= PENDING_SPAWNED;
    return zygote_watch(zygote, slot->channel,
                        ZYGOTE_WATCH_SLOT + (uint64_t)(slot - zygote->slots));
}

void zygote_clone(struct zygote_state_table *zygote, struct request *request)
{
    struct birth birth = {.cgroup_fd = -1, .target_fd = -1, .channels = {-1, -1}};
    const char *id = request->header->id, *what = "";
    struct slot *slot;
    int ret;

    if (slot_find(zygote, id) != NULL) {
        zygote_refuse(zygote, id, EEXIST, 125, "clone");
        return;
    }
    slot = slot_take(zygote, id);
    if (slot == NULL) {
        zygote_refuse(zygote, id, ENOSPC, 125, "clone: too many containers in one project");
        return;
    }
    slot->is_exec = slot->has_go = request->header->kind == WIRE_EXEC;
    ret = give_birth(zygote, request, slot, &birth, &what);
    if (ret < 0 && slot->pid == 0)
        become_failed(slot, -ret, what);
    for (size_t i = 0; i < request->n_fds; i++) {
        if (request->fds[i] == slot->stdout_fd || request->fds[i] == slot->stderr_fd)
            request->fds[i] = -1; /* moved into the slot; the rest is closed with the request */
    }
    close_fd(birth.channels[0]);
    close_fd(birth.channels[1]);
    if (birth.is_mapped)
        (void)call(SYS_munmap, birth.program, birth.program_size);
}
