/* Telling the keeper. Never waits: what doesn't fit stays pending until the socket has room. */

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "engine/container/zygote/call.h"
#include "engine/container/zygote/zygote.h"

enum { REPORT_FDS_MAX = 4 };

static int send_with_fds(int socket, const struct wire_report *report, const int *fds, size_t n)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(REPORT_FDS_MAX * sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(n * sizeof(int)),
                            .cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS}};
    struct iovec part = {(void *)(uintptr_t)report, sizeof(*report)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    long ret;

    if (n > 0) {
        memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(n * sizeof(int));
    }
    do
        ret = call(SYS_sendmsg, socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (ret == -EINTR);
    return ret < 0 ? (int)ret : 0;
}

static size_t add_fd(int *fds, size_t n, struct wire_report *report, uint32_t bit, int fd)
{
    if (fd < 0)
        return n;
    report->fds |= bit;
    fds[n] = fd;
    return n + 1;
}

static void fill_end(struct wire_report *report, const struct slot *slot)
{
    report->kind = slot->has_failed ? WIRE_FAILED : WIRE_EXITED;
    report->wait_status = slot->wait_status;
    if (slot->has_failed) {
        report->errnum = slot->failure.errnum;
        report->exit_code = slot->failure.exit_code;
        (void)text_append(report->text, sizeof(report->text), 0, slot->failure.text);
    }
}

static int send_one(const struct zygote_state_table *zygote, const struct slot *slot, uint32_t bit)
{
    struct wire_report report = {.is_exec = slot->is_exec, .state = slot->state, .pid = slot->pid};
    int fds[REPORT_FDS_MAX];
    size_t n = 0;

    (void)text_append(report.id, sizeof(report.id), 0, slot->id);
    switch ((enum slot_pending)bit) {
    case PENDING_INVENTORY:
        report.kind = WIRE_INVENTORY;
        n = add_fd(fds, n, &report, WIRE_REPORT_PIDFD, slot->pidfd);
        n = add_fd(fds, n, &report, WIRE_REPORT_TERMINAL, slot->terminal_fd);
        n = add_fd(fds, n, &report, WIRE_REPORT_STDOUT, slot->stdout_fd);
        n = add_fd(fds, n, &report, WIRE_REPORT_STDERR, slot->stderr_fd);
        break;
    case PENDING_SPAWNED:
        report.kind = WIRE_SPAWNED;
        n = add_fd(fds, n, &report, WIRE_REPORT_PIDFD, slot->pidfd);
        break;
    case PENDING_ARMED:
        report.kind = WIRE_ARMED;
        n = add_fd(fds, n, &report, WIRE_REPORT_TERMINAL, slot->terminal_fd);
        break;
    case PENDING_STARTED:
        report.kind = WIRE_STARTED;
        break;
    case PENDING_END:
        fill_end(&report, slot);
        break;
    }
    return send_with_fds(zygote->keeper_fd, &report, fds, n);
}

static void want_writable(struct zygote_state_table *zygote, bool is_wanted)
{
    struct epoll_event event = {.events = EPOLLIN | (is_wanted ? EPOLLOUT : 0U),
                                .data.u64 = ZYGOTE_WATCH_KEEPER};

    if (zygote->is_writable_wanted == is_wanted)
        return;
    zygote->is_writable_wanted = is_wanted;
    (void)call(SYS_epoll_ctl, zygote->epoll_fd, EPOLL_CTL_MOD, zygote->keeper_fd, &event);
}

/* False when the socket is full, or the keeper gone (the loop will see that by itself). */
static bool send_slot(const struct zygote_state_table *zygote, struct slot *slot)
{
    for (uint32_t bit = PENDING_INVENTORY; bit <= PENDING_END; bit <<= 1) {
        if (!(slot->pending & bit))
            continue;
        if (bit == PENDING_END && zygote->is_inventory_pending)
            continue;
        if (send_one(zygote, slot, bit) < 0)
            return false;
        slot->pending &= ~bit;
    }
    return true;
}

static bool send_plain(const struct zygote_state_table *zygote, enum wire_report_kind kind)
{
    struct wire_report report = {.kind = kind};

    return send_with_fds(zygote->keeper_fd, &report, NULL, 0) == 0;
}

static bool send_slots(struct zygote_state_table *zygote)
{
    for (uint32_t i = 0; i < zygote->n_slots; i++) {
        if (zygote->slots[i].is_used && !send_slot(zygote, &zygote->slots[i]))
            return false;
    }
    return true;
}

void zygote_send_pending(struct zygote_state_table *zygote)
{
    bool is_done;

    if (zygote->keeper_fd < 0)
        return;
    is_done = send_slots(zygote);
    if (is_done && zygote->is_inventory_pending) {
        is_done = send_plain(zygote, WIRE_INVENTORY_END);
        zygote->is_inventory_pending = !is_done;
        is_done = is_done && send_slots(zygote); /* now the ends too */
    }
    if (is_done && zygote->is_alive_pending) {
        is_done = send_plain(zygote, WIRE_ALIVE);
        zygote->is_alive_pending = !is_done;
    }
    want_writable(zygote, !is_done);
}

void zygote_refuse(struct zygote_state_table *zygote, const char *id, int errnum, int exit_code,
                   const char *text)
{
    struct wire_report report = {.kind = WIRE_FAILED, .errnum = errnum, .exit_code = exit_code};

    (void)text_append(report.id, sizeof(report.id), 0, id);
    (void)text_append(report.text, sizeof(report.text), 0, text);
    (void)send_with_fds(zygote->keeper_fd, &report, NULL, 0); /* there is no slot to remember it */
}
