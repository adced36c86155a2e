/* The keeper's end of the socket to the zygote. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/process.h"
#include "engine/base/sys.h"
#include "engine/container/container.h"
#include "engine/container/prepared.h"
#include "engine/container/setup.h"
#include "engine/container/wire.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3 */
#endif

enum {
    TITLE_SIZE = 256,
    SEND_TIMEOUT_MS = 5000,
    REPORT_FDS_MAX = 4,
    KEEPER_COMMAND_MAX = 16 * 1024,
    SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL,
};

extern const char zygote_image_start[], zygote_image_end[];

/* ------------------------------------------------------------------ starting */

static int make_sealed(const char *name, unsigned flags, const void *data, size_t size, int *ret_fd,
                       struct error *err)
{
    cleanup_fd int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

    if (fd < 0 && errno == EINVAL) /* a kernel without MFD_EXEC, where all can be executed */
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return error_sys(err, errno, "memfd_create");
    if (fs_write_all(fd, data, size, err) < 0)
        return -1;
    if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        return error_sys(err, errno, "seal memfd");
    *ret_fd = fd_take(&fd);
    return 0;
}

/* The zygote never waits for us, so a full socket empties: waiting for it can't hang both. One that
 * lets it stay full hangs by itself. */
static int send_message(const struct zygote *zygote, const void *data, size_t size, const int *fds,
                        size_t n_fds, struct error *err)
{
    for (;;) {
        struct pollfd poll_fd = {.fd = zygote->fd, .events = POLLOUT};

        if (sys_send_fds(zygote->fd, data, size, fds, n_fds) >= 0)
            return 0;
        if (errno != EAGAIN && errno != EINTR)
            break;
        if (poll(&poll_fd, 1, SEND_TIMEOUT_MS) == 0)
            (void)pidfd_send_signal(zygote->pidfd, SIGKILL, NULL, 0); /* dead: as well */
    }
    if (errno == EPIPE || errno == ECONNRESET)
        return error_set(err, ERROR_NOT_FOUND, "the zygote is gone");
    return error_sys(err, errno, "send to the zygote");
}

static struct wire_request request_of(enum wire_request_kind kind, const char *id)
{
    struct wire_request request = {.kind = kind};

    if (id != NULL)
        (void)snprintf(request.id, sizeof(request.id), "%s", id);
    return request;
}

static uint32_t add_texts(struct buf *out, const char *const *texts)
{
    uint32_t n = 0;

    for (; texts != NULL && texts[n] != NULL; n++)
        buf_add(out, texts[n], strlen(texts[n]) + 1);
    return n;
}

static int send_keeper_command(const struct zygote *zygote, const struct zygote_options *options,
                               struct error *err)
{
    struct wire_request request = request_of(WIRE_KEEPER, NULL);
    cleanup_buf struct buf texts = BUF_INIT, message = BUF_INIT;
    uint32_t counts[2];

    buf_init(&texts, KEEPER_COMMAND_MAX);
    counts[0] = add_texts(&texts, options->keeper_argv);
    counts[1] = add_texts(&texts, options->keeper_envp);
    if (texts.truncated || counts[0] + counts[1] > 256)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the keeper's command and environment are larger than %d bytes",
                         KEEPER_COMMAND_MAX);
    buf_add(&message, &request, sizeof(request));
    buf_add(&message, counts, sizeof(counts));
    buf_add(&message, texts.data, texts.len);
    return send_message(zygote, message.data, message.len, NULL, 0, err);
}

static int run_image(const struct zygote_options *options, int socket_fd, struct process *ret,
                     struct error *err)
{
    cleanup_fd int image_fd = -1;
    char title[TITLE_SIZE];
    const char *argv[] = {title, NULL}, *envp[] = {NULL};
    int keep[] = {socket_fd, options->keeper_exec_fd};
    struct process_options process = PROCESS_OPTIONS_INIT;

    if (make_sealed("berth-zygote", MFD_EXEC, zygote_image_start,
                    (size_t)(zygote_image_end - zygote_image_start), &image_fd, err) < 0)
        return -1;
    (void)snprintf(title, sizeof(title), "berth zygote %s", options->project);
    process.argv = argv;
    process.envp = envp;
    process.exec_fd = image_fd;
    process.keep_fds = keep;
    process.n_keep_fds = options->keeper_exec_fd >= 0 ? 2 : 1;
    return process_spawn(&process, ret, err);
}

static int make_socket(int ret_pair[static 2], struct error *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_pair) < 0)
        return error_sys(err, errno, "make socket for the zygote");
    return 0;
}

static int set_nonblocking(int fd, struct error *err)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return error_sys(err, errno, "set flags of the zygote's socket");
    return 0;
}

int zygote_start(const struct zygote_options *options, struct zygote *ret, struct error *err)
{
    struct process process = PROCESS_INIT;
    struct zygote zygote = ZYGOTE_INIT;
    cleanup_fd int ours = -1, theirs = -1;
    int pair[2];

    if (make_socket(pair, err) < 0)
        return -1;
    ours = pair[0];
    theirs = pair[1];
    zygote.fd = ours;
    /* The command waits in the socket when the zygote begins: at no moment is there one that can't
     * replace a keeper that dies. */
    if (set_nonblocking(ours, err) < 0 || send_keeper_command(&zygote, options, err) < 0 ||
        run_image(options, theirs, &process, err) < 0)
        return error_wrap(err, "start zygote");
    zygote.fd = fd_take(&ours);
    zygote.pid = process.pid;
    zygote.pidfd = process.pidfd;
    *ret = zygote;
    return 0;
}

int zygote_adopt(int fd, struct zygote *ret, struct error *err)
{
    struct ucred who;
    socklen_t size = sizeof(who);
    int pidfd;

    /* the zygote made the socket, so it is the peer the kernel wrote down */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
        return error_sys(err, errno, "adopt zygote");
    if (set_nonblocking(fd, err) < 0)
        return -1;
    pidfd = pidfd_open(who.pid, 0);
    if (pidfd < 0)
        return error_sys(err, errno, "adopt zygote");
    *ret = (struct zygote){.fd = fd, .pid = who.pid, .pidfd = pidfd};
    return 0;
}

void zygote_close(struct zygote *zygote)
{
    cleanup_close_fd(&zygote->fd);
    cleanup_close_fd(&zygote->pidfd);
    *zygote = (struct zygote)ZYGOTE_INIT;
}

/* ------------------------------------------------------------------ requests */

static int check_id(const char *id, struct error *err)
{
    if (*id == '\0' || strlen(id) > CONTAINER_ID_MAX)
        return error_set(err, ERROR_INVALID, "id \"%s\" is not 1 to %d characters", id,
                         CONTAINER_ID_MAX);
    return 0;
}

static void add_request_fd(struct wire_request *request, enum wire_request_flags flag, int fd,
                           int *fds, size_t *n)
{
    if (fd < 0)
        return;
    request->flags |= flag;
    fds[(*n)++] = fd;
}

static int send_program(const struct zygote *zygote, enum wire_request_kind kind, const char *id,
                        const struct container_prepared *prepared, struct error *err)
{
    struct wire_request request = request_of(kind, id);
    cleanup_buf struct buf message = BUF_INIT;
    cleanup_fd int program_fd = -1;
    int fds[SYS_FDS_MAX];
    size_t n = 0;

    if (check_id(id, err) < 0)
        return -1;
    add_request_fd(&request, WIRE_HAS_CGROUP, prepared->cgroup_fd, fds, &n);
    add_request_fd(&request, WIRE_HAS_TARGET, prepared->target_fd, fds, &n);
    add_request_fd(&request, WIRE_HAS_STDOUT, prepared->kept_fds[0], fds, &n);
    add_request_fd(&request, WIRE_HAS_STDERR, prepared->kept_fds[1], fds, &n);
    if (prepared->bytes.len > WIRE_INLINE_MAX) {
        if (make_sealed("berth-program", 0, prepared->bytes.data, prepared->bytes.len, &program_fd,
                        err) < 0)
            return -1;
        add_request_fd(&request, WIRE_IN_FD, program_fd, fds, &n);
    }
    for (size_t i = 0; i < prepared->program->n_slots; i++)
        fds[n++] = prepared->slots[i];
    buf_add(&message, &request, sizeof(request));
    if (program_fd < 0)
        buf_add(&message, prepared->bytes.data, prepared->bytes.len);
    return send_message(zygote, message.data, message.len, fds, n, err);
}

int zygote_spawn(struct zygote *zygote, const char *id, const struct container_prepared *prepared,
                 struct error *err)
{
    return send_program(zygote, WIRE_SPAWN, id, prepared, err);
}

int zygote_exec(struct zygote *zygote, const char *id, const struct container_prepared *prepared,
                struct error *err)
{
    return send_program(zygote, WIRE_EXEC, id, prepared, err);
}

static int send_plain(const struct zygote *zygote, enum wire_request_kind kind, const char *id,
                      struct error *err)
{
    struct wire_request request = request_of(kind, id);

    if (id != NULL && check_id(id, err) < 0)
        return -1;
    return send_message(zygote, &request, sizeof(request), NULL, 0, err);
}

int zygote_go(struct zygote *zygote, const char *id, struct error *err)
{
    return send_plain(zygote, WIRE_GO, id, err);
}

int zygote_forget(struct zygote *zygote, const char *id, struct error *err)
{
    return send_plain(zygote, WIRE_FORGET, id, err);
}

int zygote_ping(struct zygote *zygote, struct error *err)
{
    struct wire_request request = request_of(WIRE_PING, NULL);

    if (sys_send_fds(zygote->fd, &request, sizeof(request), NULL, 0) >= 0 || errno == EAGAIN)
        return 0; /* a full socket: it does not live up to its name anyway */
    if (errno == EPIPE || errno == ECONNRESET)
        return error_set(err, ERROR_NOT_FOUND, "the zygote is gone");
    return error_sys(err, errno, "send to the zygote");
}

int zygote_retire(struct zygote *zygote, struct error *err)
{
    return send_plain(zygote, WIRE_RETIRE, NULL, err);
}

/* ------------------------------------------------------------------ events */

void zygote_event_release(struct zygote_event *event)
{
    cleanup_close_fd(&event->pidfd);
    cleanup_close_fd(&event->terminal_fd);
    cleanup_close_fd(&event->kept_fds[0]);
    cleanup_close_fd(&event->kept_fds[1]);
    *event = (struct zygote_event)ZYGOTE_EVENT_INIT;
}

static void take_fds(struct zygote_event *event, const struct wire_report *report, const int *fds,
                     size_t n)
{
    const struct {
        uint32_t bit;
        int *slot;
    } wanted[] = {{WIRE_REPORT_PIDFD, &event->pidfd},
                  {WIRE_REPORT_TERMINAL, &event->terminal_fd},
                  {WIRE_REPORT_STDOUT, &event->kept_fds[0]},
                  {WIRE_REPORT_STDERR, &event->kept_fds[1]}};
    size_t used = 0;

    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        if ((report->fds & wanted[i].bit) && used < n)
            *wanted[i].slot = fds[used++];
    }
}

static void fill_failure(struct zygote_event *event, const struct wire_report *report)
{
    event->exit_code = report->exit_code;
    (void)error_sys(&event->error, report->errnum, "%s", report->text);
}

static void fill_exit(struct zygote_event *event, int wait_status)
{
    if (WIFSIGNALED(wait_status)) {
        event->term_signal = WTERMSIG(wait_status);
        event->exit_code = 128 + event->term_signal;
    } else {
        event->exit_code = WEXITSTATUS(wait_status);
    }
}

static int fill_event(struct zygote_event *event, struct wire_report *report, struct error *err)
{
    static const enum zygote_event_kind kinds[WIRE_REPORT_KINDS] = {
        [WIRE_SPAWNED] = ZYGOTE_SPAWNED,
        [WIRE_ARMED] = ZYGOTE_ARMED,
        [WIRE_STARTED] = ZYGOTE_STARTED,
        [WIRE_FAILED] = ZYGOTE_FAILED,
        [WIRE_EXITED] = ZYGOTE_EXITED,
        [WIRE_INVENTORY] = ZYGOTE_INVENTORY,
        [WIRE_INVENTORY_END] = ZYGOTE_INVENTORY_END,
        [WIRE_ALIVE] = ZYGOTE_ALIVE,
    };

    if (report->kind >= WIRE_REPORT_KINDS || report->id[WIRE_ID_SIZE - 1] != '\0' ||
        strlen(report->id) > CONTAINER_ID_MAX || report->state > ZYGOTE_STATE_ENDED)
        return error_set(err, ERROR_INVALID, "the zygote sent an unknown report");
    report->text[sizeof(report->text) - 1] = '\0';
    if (report->kind == WIRE_FAILED && report->id[0] == '\0')
        return error_sys(err, report->errnum, "start zygote: %s", report->text);
    event->kind = kinds[report->kind];
    memcpy(event->id, report->id, strlen(report->id) + 1);
    event->is_exec = report->is_exec != 0;
    event->state = report->state;
    event->pid = report->pid;
    if (report->kind == WIRE_FAILED)
        fill_failure(event, report);
    else if (report->kind == WIRE_EXITED)
        fill_exit(event, report->wait_status);
    return 0;
}

int zygote_receive(struct zygote *zygote, struct zygote_event *ret, struct error *err)
{
    struct wire_report report;
    int fds[REPORT_FDS_MAX];
    size_t n_fds = REPORT_FDS_MAX;
    ssize_t n = sys_receive_fds(zygote->fd, &report, sizeof(report), fds, &n_fds);

    if (n < 0 && errno == EAGAIN)
        return 1;
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return error_set(err, ERROR_NOT_FOUND, "the zygote is gone");
    if (n < 0)
        return error_sys(err, errno, "receive from the zygote");
    take_fds(ret, &report, fds, n_fds);
    if ((size_t)n != sizeof(report))
        return error_set(err, ERROR_INVALID, "the zygote sent a report of %zd bytes", n);
    return fill_event(ret, &report, err);
}
