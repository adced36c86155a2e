/* Messages between keeper and clients; see protocol.h. */

#include "engine/keeper/protocol.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/sys.h"

const char *const protocol_op_names[PROTOCOL_OPS] = {
    [OP_CREATE] = "create", [OP_START] = "start",   [OP_STOP] = "stop",
    [OP_KILL] = "kill",     [OP_REMOVE] = "remove", [OP_UPDATE] = "update",
    [OP_WATCH] = "watch",   [OP_EXEC] = "exec",     [OP_SETTLE] = "settle",
};

int protocol_op_parse(const char *name, enum protocol_op *ret, struct error *err)
{
    for (size_t i = 0; i < PROTOCOL_OPS; i++) {
        if (strcmp(protocol_op_names[i], name) == 0) {
            *ret = (enum protocol_op)i;
            return 0;
        }
    }
    return error_set(err, ERROR_UNSUPPORTED,
                     "the keeper knows no request \"%s\" (it was started by another release)",
                     name);
}

int protocol_send(int fd, const json_t *message, const int *fds, size_t n_fds, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;

    json_print(&text, message);
    if (text.len > PROTOCOL_MAX_BYTES)
        return error_set(err, ERROR_INVALID, "a request of %zu bytes is too large (at most %d)",
                         text.len, PROTOCOL_MAX_BYTES);
    for (;;) {
        if (sys_send_fds(fd, text.data, text.len, fds, n_fds) >= 0)
            return 0;
        if (errno != EINTR)
            break;
    }
    if (errno == EAGAIN)
        return 1;
    if (errno == EPIPE || errno == ECONNRESET)
        return error_set(err, ERROR_NOT_FOUND, "the other side has closed the connection");
    return error_sys(err, errno, "send a message");
}

void protocol_message_release(struct protocol_message *message)
{
    for (size_t i = 0; i < message->n_fds; i++) {
        if (message->fds[i] >= 0)
            close(message->fds[i]);
    }
    message->n_fds = 0;
    json_release(&message->json);
}

int protocol_receive(int fd, char *buffer, struct protocol_message *ret, struct error *err)
{
    cleanup_message struct protocol_message message = {.n_fds = PROTOCOL_MAX_FDS};
    ssize_t len;

    do {
        message.n_fds = PROTOCOL_MAX_FDS;
        len = sys_receive_fds(fd, buffer, PROTOCOL_MAX_BYTES, message.fds, &message.n_fds);
    } while (len < 0 && errno == EINTR);
    if (len <= 0)
        message.n_fds = 0;
    if (len < 0 && errno == EAGAIN)
        return 1;
    if (len == 0 || (len < 0 && errno == ECONNRESET))
        return error_set(err, ERROR_NOT_FOUND, "the other side has closed the connection");
    if (len < 0)
        return error_sys(err, errno, "receive a message");
    if (json_parse((struct str){buffer, (size_t)len}, &message.json, err) < 0)
        return error_wrap(err, "receive a message");
    if (!json_is_object(message.json))
        return error_set(err, ERROR_INVALID, "receive a message: it is no JSON object");
    *ret = message;
    message = (struct protocol_message)PROTOCOL_MESSAGE_INIT;
    return 0;
}

int protocol_check_peer(int fd, struct error *err)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return error_sys(err, errno, "ask who is connected");
    if (peer.uid != 0 && peer.uid != geteuid())
        return error_set(err, ERROR_DENIED, "user %u may not use this keeper", (unsigned)peer.uid);
    return 0;
}

json_t *protocol_done(uint32_t tag)
{
    json_t *message = json_object();

    json_set_i64(message, "tag", tag);
    json_set_bool(message, "done", true);
    return message;
}

json_t *protocol_error(uint32_t tag, const struct error *error)
{
    json_t *message = json_object(), *body = json_object();

    json_set_i64(body, "code", error->code);
    json_set_i64(body, "errnum", error->errnum);
    json_set_text(body, "text", error->text);
    json_set_i64(message, "tag", tag);
    json_set_take(message, "error", body);
    return message;
}

void protocol_error_read(const json_t *message, struct error *ret)
{
    const json_t *body = json_object_get(message, "error");
    int64_t code = json_i64_or(body, "code", ERROR_SYSTEM);

    *ret = (struct error){
        .code = code > ERROR_NONE && code <= ERROR_SYSTEM ? (enum error_code)code : ERROR_SYSTEM,
        .errnum = (int)json_i64_or(body, "errnum", 0),
    };
    (void)snprintf(ret->text, sizeof(ret->text), "%s", json_text_or(body, "text", "no reason"));
}
