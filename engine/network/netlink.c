/* Netlink messages.
 *
 * rtnetlink and nfnetlink both handle a request inside sendmsg(2): when it returns, every answer is
 * in the socket's queue. So answers are read without blocking and an empty queue is the end. */

#include "engine/network/netlink.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"

/* linux/netlink.h has these as int. */
static const size_t ATTRIBUTE_HEADER = sizeof(struct nlattr);
static const size_t MESSAGE_HEADER = sizeof(struct nlmsghdr);

static size_t align4(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

enum {
    RECEIVE_BYTES = 32768,        /* the kernel fills dumps up to this */
    SOCKET_BUFFER_BYTES = 4 << 20 /* a firewall with 50 000 ports in one batch */
};

int netlink_open(int protocol, int *ret_fd, struct error *err)
{
    static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    int on = 1, size = SOCKET_BUFFER_BYTES;
    cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

    if (fd < 0)
        return error_sys(err, errno, "open netlink socket (protocol %d)", protocol);
    /* Without FORCE the system's limit applies, which is enough for all but huge rebuilds. */
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    /* Errors don't echo the whole request, but say what was wrong (both 4.12). */
    (void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
    (void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
    if (connect(fd, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0)
        return error_sys(err, errno, "connect netlink socket (protocol %d)", protocol);

    *ret_fd = fd_take(&fd);
    return 0;
}

void netlink_batch_release(struct netlink_batch *batch)
{
    buf_release(&batch->buf);
    batch->n = 0;
    batch->message = 0;
}

void netlink_batch_clear(struct netlink_batch *batch)
{
    buf_clear(&batch->buf);
    batch->n = 0;
    batch->message = 0;
}

void netlink_put_raw(struct netlink_batch *batch, const void *data, size_t len)
{
    static const char zeros[4] = {0};

    buf_add(&batch->buf, data, len);
    buf_add(&batch->buf, zeros, align4(len) - len);
}

static void finish_message(struct netlink_batch *batch)
{
    uint32_t len = (uint32_t)(batch->buf.len - batch->message);

    if (batch->n > 0)
        memcpy(batch->buf.data + batch->message + offsetof(struct nlmsghdr, nlmsg_len), &len,
               sizeof(len));
}

uint32_t netlink_message(struct netlink_batch *batch, uint16_t type, uint16_t flags,
                         const void *header, size_t header_len)
{
    struct nlmsghdr message = {.nlmsg_type = type,
                               .nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST)};

    finish_message(batch);
    message.nlmsg_seq = ++batch->n;
    batch->message = batch->buf.len;
    netlink_put_raw(batch, &message, sizeof(message));
    netlink_put_raw(batch, header, header_len);
    return message.nlmsg_seq;
}

void netlink_message_add_flags(struct netlink_batch *batch, uint16_t flags)
{
    char *place = batch->buf.data + batch->message + offsetof(struct nlmsghdr, nlmsg_flags);
    uint16_t old;

    memcpy(&old, place, sizeof(old));
    old |= flags;
    memcpy(place, &old, sizeof(old));
}

void netlink_put(struct netlink_batch *batch, uint16_t type, const void *data, size_t len)
{
    assert(len <= UINT16_MAX - ATTRIBUTE_HEADER);
    struct nlattr attribute = {.nla_len = (uint16_t)(ATTRIBUTE_HEADER + len), .nla_type = type};

    netlink_put_raw(batch, &attribute, sizeof(attribute));
    netlink_put_raw(batch, data, len);
}

void netlink_put_text(struct netlink_batch *batch, uint16_t type, const char *text)
{
    netlink_put(batch, type, text, strlen(text) + 1);
}

void netlink_put_u8(struct netlink_batch *batch, uint16_t type, uint8_t value)
{
    netlink_put(batch, type, &value, sizeof(value));
}

void netlink_put_u16(struct netlink_batch *batch, uint16_t type, uint16_t value)
{
    netlink_put(batch, type, &value, sizeof(value));
}

void netlink_put_u32(struct netlink_batch *batch, uint16_t type, uint32_t value)
{
    netlink_put(batch, type, &value, sizeof(value));
}

void netlink_put_be32(struct netlink_batch *batch, uint16_t type, uint32_t value)
{
    netlink_put_u32(batch, type, htonl(value));
}

size_t netlink_nest(struct netlink_batch *batch, uint16_t type)
{
    size_t nest = batch->buf.len;

    netlink_put(batch, (uint16_t)(type | NLA_F_NESTED), NULL, 0);
    return nest;
}

void netlink_nest_end(struct netlink_batch *batch, size_t nest)
{
    uint16_t len = (uint16_t)(batch->buf.len - nest);

    assert(batch->buf.len - nest <= UINT16_MAX);

    memcpy(batch->buf.data + nest + offsetof(struct nlattr, nla_len), &len, sizeof(len));
}

const void *netlink_find(const void *payload, size_t len, size_t header_len, uint16_t type,
                         size_t min_len, size_t *ret_len)
{
    const char *bytes = payload;
    size_t at = align4(header_len);

    while (at + ATTRIBUTE_HEADER <= len) {
        struct nlattr attribute;

        memcpy(&attribute, bytes + at, sizeof(attribute));
        if (attribute.nla_len < ATTRIBUTE_HEADER || attribute.nla_len > len - at)
            return NULL;
        if ((attribute.nla_type & NLA_TYPE_MASK) == type &&
            attribute.nla_len - ATTRIBUTE_HEADER >= min_len) {
            if (ret_len != NULL)
                *ret_len = attribute.nla_len - ATTRIBUTE_HEADER;
            return bytes + at + ATTRIBUTE_HEADER;
        }
        at += align4(attribute.nla_len);
    }
    return NULL;
}

/* NLMSG_ERROR carries the error, the header of the request, then attributes (EXT_ACK). */
static int report_error(const struct nlmsghdr *message, const char *payload, size_t len,
                        struct error *err)
{
    int number;
    size_t text_len;
    const char *text = NULL;

    memcpy(&number, payload, sizeof(number));
    if (message->nlmsg_flags & NLM_F_ACK_TLVS)
        text = netlink_find(payload, len, sizeof(struct nlmsgerr), NLMSGERR_ATTR_MSG, 1, &text_len);
    if (text != NULL && text[text_len - 1] == '\0')
        return error_sys(err, -number, "the kernel says \"%s\"", text);
    return error_sys(err, -number, "netlink request");
}

struct answers {
    netlink_each *each; /* NULL: data is ignored */
    void *context;
    bool is_done;         /* the last acknowledgement or the end of a dump was seen */
    uint32_t last;        /* sequence number of the last message */
    uint32_t failed;      /* 0: none */
    struct error failure; /* of `failed` */
};

static void take_answers(struct answers *answers, const char *bytes, size_t n)
{
    while (n >= MESSAGE_HEADER) {
        struct nlmsghdr message;
        int number = 0;

        memcpy(&message, bytes, sizeof(message));
        if (message.nlmsg_len < MESSAGE_HEADER || message.nlmsg_len > n)
            return;
        if (message.nlmsg_type == NLMSG_ERROR || message.nlmsg_type == NLMSG_DONE) {
            if (message.nlmsg_len >= MESSAGE_HEADER + sizeof(number))
                memcpy(&number, bytes + MESSAGE_HEADER, sizeof(number));
            if (number != 0 && answers->failed == 0) {
                answers->failed = message.nlmsg_seq;
                (void)report_error(&message, bytes + MESSAGE_HEADER,
                                   message.nlmsg_len - MESSAGE_HEADER, &answers->failure);
            }
            if (message.nlmsg_seq == answers->last)
                answers->is_done = true;
        } else if (answers->each != NULL) {
            answers->each(message.nlmsg_type, bytes + MESSAGE_HEADER,
                          message.nlmsg_len - MESSAGE_HEADER, answers->context);
        }
        if (align4(message.nlmsg_len) >= n)
            return;
        bytes += align4(message.nlmsg_len);
        n -= align4(message.nlmsg_len);
    }
}

static int exchange(int fd, struct netlink_batch *batch, struct answers *answers, struct error *err)
{
    cleanup_free char *bytes = x_alloc(RECEIVE_BYTES);
    ssize_t n;

    finish_message(batch);
    do {
        n = send(fd, batch->buf.data, batch->buf.len, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_sys(err, errno, "send netlink request");

    /* A dump goes on being filled by our reads. */
    while ((n = recv(fd, bytes, RECEIVE_BYTES, MSG_DONTWAIT)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            take_answers(answers, bytes, (size_t)n);
    if (n < 0 && errno != EAGAIN && answers->failed == 0)
        return error_sys(err, errno, "receive netlink answer");
    return 0;
}

int netlink_transact(int fd, struct netlink_batch *batch, uint32_t *ret_failed, struct error *err)
{
    struct answers answers = {.last = batch->n};

    if (exchange(fd, batch, &answers, err) < 0)
        return -1;
    if (answers.failed != 0) {
        if (ret_failed != NULL)
            *ret_failed = answers.failed;
        if (err != NULL)
            *err = answers.failure;
        return -1;
    }
    return 0;
}

int netlink_query(int fd, struct netlink_batch *batch, netlink_each *each, void *context,
                  struct error *err)
{
    struct answers answers = {.each = each, .context = context, .last = batch->n};

    if (exchange(fd, batch, &answers, err) < 0)
        return -1;
    if (answers.failed != 0) {
        if (err != NULL)
            *err = answers.failure;
        return -1;
    }
    if (!answers.is_done)
        return error_set(err, ERROR_SYSTEM, "netlink answer is incomplete");
    return 0;
}
