/* berth-zygote: waits for setup programs, clones containers, remembers how they ended.
 *
 * Started by zygote_start() from a sealed memfd with the keeper's socket on descriptor 3 and the
 * keeper's executable on 4. Should: hold no host mount, no file of an image, nothing a container
 * could use. Mustn't: wait for anybody. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "engine/container/zygote/call.h"
#include "engine/container/zygote/zygote.h"

int zygote_main(int argc, char **argv);

/* Kept out of the stack and zero until used: a page of it costs when the first slot in it does. */
static struct zygote_state_table state;

/* The keeper's start command is argc + envc texts. */
static void take_keeper_command(struct zygote_state_table *zygote, const struct request *request)
{
    uint32_t counts[2], found = 0;
    size_t size = request->payload_size - sizeof(counts);

    if (request->payload_size <= sizeof(counts) || size > sizeof(zygote->keeper_text))
        return;
    memcpy(counts, request->payload, sizeof(counts));
    for (size_t i = 0; i < size; i++)
        found += request->payload[sizeof(counts) + i] == '\0';
    if (counts[0] < 1 || counts[0] > ZYGOTE_KEEPER_STRINGS_MAX ||
        counts[1] > ZYGOTE_KEEPER_STRINGS_MAX - counts[0] || found != counts[0] + counts[1] ||
        request->payload[request->payload_size - 1] != '\0')
        return;
    memcpy(zygote->keeper_text, request->payload + sizeof(counts), size);
    zygote->keeper_argc = counts[0];
    zygote->keeper_envc = counts[1];
}

static void handle(struct zygote_state_table *zygote, struct request *request)
{
    struct slot *slot = slot_find(zygote, request->header->id);
    char go = 1;

    switch ((enum wire_request_kind)request->header->kind) {
    case WIRE_KEEPER:
        take_keeper_command(zygote, request);
        break;
    case WIRE_SPAWN:
    case WIRE_EXEC:
        zygote_clone(zygote, request);
        break;
    case WIRE_GO:
        if (slot == NULL || slot->channel < 0) /* a child that is gone will be reported */
            break;
        slot->has_go = true;
        (void)call(SYS_sendto, slot->channel, &go, 1, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
        break;
    case WIRE_FORGET:
        if (slot != NULL && slot->is_reaped)
            slot_release(zygote, slot);
        break;
    case WIRE_RETIRE:
        zygote->is_retired = true;
        break;
    case WIRE_PING:
        zygote->is_alive_pending = true;
        break;
    }
}

/* All descriptors of a message come in one control header. */
static void collect_fds(struct request *request, struct msghdr *message)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    size_t n;

    if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
        return;
    n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    if (n > 253) /* SCM_MAX_FD */
        n = 253;
    memcpy(request->fds, CMSG_DATA(header), n * sizeof(int));
    request->n_fds = n;
}

/* One request. False when the keeper has closed its end. */
static bool receive(struct zygote_state_table *zygote)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(253 * sizeof(int))];
    } control;
    struct iovec part = {zygote->message, sizeof(zygote->message)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    struct request request = {.header = (const void *)zygote->message, .n_fds = 0};
    long n = call(SYS_recvmsg, zygote->keeper_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (n == -EAGAIN || n == -EINTR)
        return true;
    if (n <= 0)
        return false;
    collect_fds(&request, &message);
    request.payload = zygote->message + sizeof(struct wire_request);
    if ((size_t)n >= sizeof(struct wire_request) &&
        !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
        request.header->id[WIRE_ID_SIZE - 1] == '\0') {
        request.payload_size = (size_t)n - sizeof(struct wire_request);
        handle(zygote, &request);
    }
    for (size_t i = 0; i < request.n_fds; i++)
        close_fd(request.fds[i]);
    return true;
}

static void drain_signals(const struct zygote_state_table *zygote)
{
    struct signalfd_siginfo info;

    while (call(SYS_read, zygote->signal_fd, &info, sizeof(info)) > 0)
        continue;
}

/* Every wake-up handles one event: slots are reused, so the next one must be asked for anew. */
_Noreturn static void run(struct zygote_state_table *zygote)
{
    for (;;) {
        struct epoll_event event;
        long n;

        zygote_send_pending(zygote);
        n = call(SYS_epoll_pwait, zygote->epoll_fd, &event, 1, zygote->keeper_fd < 0 ? 100 : -1,
                 NULL, 8);
        if (n > 0 && event.data.u64 == ZYGOTE_WATCH_SIGNAL) {
            drain_signals(zygote);
            slots_reap(zygote);
        } else if (n > 0 && event.data.u64 >= ZYGOTE_WATCH_SLOT) {
            slot_read_channel(zygote, &zygote->slots[event.data.u64 - ZYGOTE_WATCH_SLOT]);
        } else if (n > 0 && (event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !receive(zygote)) {
            close_fd(zygote->keeper_fd);
            zygote->keeper_fd = -1;
        }
        if (zygote->keeper_fd < 0)
            (void)zygote_restart_keeper(zygote); /* false: the timeout above brings us back */
    }
}

/* What a keeper or its shell ignores (SIGPIPE, SIGHUP under nohup) would stay ignored in every
 * container, across exec. */
static void forget_dispositions(void)
{
    const struct {
        uint64_t handler, flags, restorer, mask;
    } by_default = {0, 0, 0, 0};

    for (int number = 1; number <= 64; number++) /* SIGKILL and SIGSTOP say no */
        (void)call(SYS_rt_sigaction, number, &by_default, NULL, sizeof(by_default.mask));
}

static int open_everything(struct zygote_state_table *zygote, const char **ret_what)
{
    uint64_t signals = UINT64_C(1) << (SIGCHLD - 1);
    struct rlimit files;

    *ret_what = "open namespaces";
    zygote->host_mounts_fd =
        (int)call(SYS_openat, AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    zygote->own_pids_fd =
        (int)call(SYS_openat, AT_FDCWD, "/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    if (zygote->host_mounts_fd < 0 || zygote->own_pids_fd < 0)
        return -ENOENT;
    (void)call(SYS_rt_sigprocmask, SIG_BLOCK, &signals, NULL, sizeof(signals));
    *ret_what = "open event loop";
    zygote->signal_fd =
        (int)call(SYS_signalfd4, -1, &signals, sizeof(signals), SFD_CLOEXEC | SFD_NONBLOCK);
    zygote->epoll_fd = (int)call(SYS_epoll_create1, EPOLL_CLOEXEC);
    if (zygote->signal_fd < 0 || zygote->epoll_fd < 0)
        return zygote->signal_fd < 0 ? zygote->signal_fd : zygote->epoll_fd;
    if (call(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &files) == 0) {
        files.rlim_cur = files.rlim_max; /* four descriptors per container */
        (void)call(SYS_prlimit64, 0, RLIMIT_NOFILE, &files, NULL);
    }
    return 0;
}

int zygote_main(int argc, char **argv)
{
    struct zygote_state_table *zygote = &state;
    const char *what = "";
    int ret;

    zygote->keeper_fd = ZYGOTE_KEEPER_FD;
    zygote->keeper_exec_fd = ZYGOTE_KEEPER_EXEC_FD;
    zygote->title = argc > 0 ? argv[0] : NULL;
    zygote->title_size = argc > 0 ? text_size(argv[0]) : 0;
    (void)call(SYS_fcntl, ZYGOTE_KEEPER_FD, F_SETFD, FD_CLOEXEC);
    (void)call(SYS_fcntl, ZYGOTE_KEEPER_EXEC_FD, F_SETFD, FD_CLOEXEC);
    (void)call(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0); /* nobody looks in or attaches */
    (void)call(SYS_prctl, PR_SET_NAME, "berth-zygote", 0, 0, 0);
    (void)call(SYS_setsid);
    forget_dispositions();
    ret = open_everything(zygote, &what);
    if (ret == 0)
        ret = zygote_enter_empty_root(&what);
    if (ret == 0)
        ret = zygote_watch(zygote, zygote->keeper_fd, ZYGOTE_WATCH_KEEPER);
    if (ret == 0)
        ret = zygote_watch(zygote, zygote->signal_fd, ZYGOTE_WATCH_SIGNAL);
    if (ret < 0) {
        zygote_refuse(zygote, "", -ret, 125, what);
        return 1;
    }
    run(zygote);
}
