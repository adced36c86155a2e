/* The table of containers and execs, and what their processes tell. */

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "engine/container/container.h"
#include "engine/container/zygote/call.h"
#include "engine/container/zygote/zygote.h"

struct slot *slot_find(struct zygote_state_table *zygote, const char *id)
{
    for (uint32_t i = 0; i < zygote->n_slots; i++) {
        if (zygote->slots[i].is_used && text_is_same(zygote->slots[i].id, id))
            return &zygote->slots[i];
    }
    return NULL;
}

struct slot *slot_take(struct zygote_state_table *zygote, const char *id)
{
    for (uint32_t i = 0; i < ZYGOTE_SLOTS; i++) {
        struct slot *slot = &zygote->slots[i];

        if (slot->is_used)
            continue;
        memset(slot, 0, sizeof(*slot));
        slot->is_used = true;
        slot->pidfd = slot->channel = slot->terminal_fd = slot->stdout_fd = slot->stderr_fd = -1;
        (void)text_append(slot->id, sizeof(slot->id), 0, id);
        if (i >= zygote->n_slots)
            zygote->n_slots = i + 1;
        return slot;
    }
    return NULL;
}

void slot_close_channel(struct zygote_state_table *zygote, struct slot *slot)
{
    if (slot->channel < 0)
        return;
    /* a clone of ours that hasn't closed its copy yet would keep the watch alive */
    (void)call(SYS_epoll_ctl, zygote->epoll_fd, EPOLL_CTL_DEL, slot->channel, NULL);
    close_fd(slot->channel);
    slot->channel = -1;
}

void slot_release(struct zygote_state_table *zygote, struct slot *slot)
{
    slot_close_channel(zygote, slot);
    close_fd(slot->pidfd);
    close_fd(slot->terminal_fd);
    close_fd(slot->stdout_fd);
    close_fd(slot->stderr_fd);
    slot->is_used = false;
    while (zygote->n_slots > 0 && !zygote->slots[zygote->n_slots - 1].is_used)
        zygote->n_slots--;
}

bool slots_are_empty(const struct zygote_state_table *zygote)
{
    return zygote->n_slots == 0;
}

/* One report. Its descriptor, if any, is the terminal's master. 0 = there was none now, -1 = the
 * other end is closed. */
static int receive_report(const struct slot *slot, struct wire_child_report *ret, int *ret_fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {ret, sizeof(*ret)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *header;
    long n;

    do
        n = call(SYS_recvmsg, slot->channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n == -EINTR || n == -ECONNRESET); /* it died without reading go: once, then its words */
    *ret_fd = -1;
    if (n == -EAGAIN)
        return 0;
    header = CMSG_FIRSTHDR(&message);
    if (n > 0 && header != NULL && header->cmsg_type == SCM_RIGHTS)
        memcpy(ret_fd, CMSG_DATA(header), sizeof(int));
    if (n != (long)sizeof(*ret)) {
        close_fd(*ret_fd);
        return -1;
    }
    return 1;
}

void slot_read_channel(struct zygote_state_table *zygote, struct slot *slot)
{
    struct wire_child_report report;
    int fd, ret = 0;

    while (slot->channel >= 0 && (ret = receive_report(slot, &report, &fd)) > 0) {
        if (report.kind == WIRE_ARMED && slot->state == ZYGOTE_STATE_SPAWNED) {
            slot->state = ZYGOTE_STATE_ARMED;
            slot->pending |= PENDING_ARMED;
            close_fd(slot->terminal_fd);
            slot->terminal_fd = fd;
            fd = -1;
        } else if (report.kind == WIRE_FAILED) {
            report.text[sizeof(report.text) - 1] = '\0';
            slot->failure = report;
            slot->has_failed = true;
        }
        close_fd(fd);
    }
    if (slot->channel < 0 || ret == 0)
        return;
    /* Closed: by exec, unless it failed or never got that far. */
    slot_close_channel(zygote, slot);
    if (slot->state == ZYGOTE_STATE_ARMED && slot->has_go && !slot->has_failed) {
        slot->state = ZYGOTE_STATE_STARTED;
        slot->pending |= PENDING_STARTED;
    }
}

void slots_reap(struct zygote_state_table *zygote)
{
    for (;;) {
        int status;
        long pid = call(SYS_wait4, -1, &status, WNOHANG, NULL);

        if (pid == -EINTR)
            continue;
        if (pid <= 0)
            return;
        if (pid == zygote->keeper_pid)
            zygote->keeper_pid = 0;
        for (uint32_t i = 0; i < zygote->n_slots; i++) {
            struct slot *slot = &zygote->slots[i];

            if (!slot->is_used || slot->is_reaped || slot->pid != pid)
                continue;
            slot_read_channel(zygote, slot);
            slot_close_channel(zygote, slot);
            slot->is_reaped = true;
            slot->wait_status = status;
            slot->state = ZYGOTE_STATE_ENDED;
            slot->pending |= PENDING_END;
        }
    }
}
