#pragma once

/* clang-format off */
/* What is said between a keeper and its clients: one JSON object per SOCK_SEQPACKET message, with
 * descriptors where the table says so. The keeper speaks first: {"hello": PROTOCOL_VERSION}.
 *
 *   request                                           answer
 *   {tag, op:"create", name, id}                      done when armed
 *   {tag, op:"start", name}                           done when exec worked
 *   {tag, op:"stop", name, grace_ns}                  done when ended
 *   {tag, op:"kill", name, signal}                    done
 *   {tag, op:"remove", name, volumes}                 done when gone
 *   {tag, op:"update", name}                          done; the new record is staged before
 *   {tag, op:"settle"}                                done when nothing is under way for clients
 *                                                     that are gone
 *   {tag, op:"watch"}                                 {state} of each, done; later {state} of
 *                                                     changes
 *   {tag, op:"exec", name, argv, environment, user,   {tag, terminal:true} + pty master (tty only),
 *    working_dir, tty, rows, columns, privileged}     {tag, started:true} + pidfd, {tag, exit}
 *    + 3 fds (without tty)
 *
 *   done  = {tag, done:true}
 *   error = {tag, error:{code, errnum, text}, exit}   exit: of an exec that was tried, else missing
 *   state = {state:{name, status, health, exit_code, oom}} */
/* clang-format on */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum {
    PROTOCOL_VERSION = 1,
    PROTOCOL_MAX_BYTES = 160 << 10, /* an exec with a large environment */
    PROTOCOL_MAX_FDS = 3,
    PROTOCOL_SOCKET_BYTES = 1 << 20, /* how far a client may lag behind */
};

enum protocol_op {
    OP_CREATE,
    OP_START,
    OP_STOP,
    OP_KILL,
    OP_REMOVE,
    OP_UPDATE,
    OP_WATCH,
    OP_EXEC,
    OP_SETTLE,
};
enum { PROTOCOL_OPS = OP_SETTLE + 1 };
extern const char *const protocol_op_names[PROTOCOL_OPS];

/* Unknown: ERROR_UNSUPPORTED. */
int protocol_op_parse(const char *name, enum protocol_op *ret, struct error *err);

/* 0; 1 when the socket is full (nothing was sent). ERROR_NOT_FOUND when the peer is gone. */
int protocol_send(int fd, const json_t *message, const int *fds, size_t n_fds, struct error *err);

struct protocol_message {
    json_t *json;
    int fds[PROTOCOL_MAX_FDS];
    size_t n_fds;
};
#define PROTOCOL_MESSAGE_INIT                                                                      \
    {                                                                                              \
        0                                                                                          \
    }
#define cleanup_message __attribute__((cleanup(protocol_message_release)))
void protocol_message_release(struct protocol_message *message); /* closes fds not taken (>= 0) */

/* `buffer` has PROTOCOL_MAX_BYTES. 0 and a message; 1 when there is none now (a non-blocking
 * socket). ERROR_NOT_FOUND when the peer is gone, ERROR_INVALID for what is no message of ours. */
int protocol_receive(int fd, char *buffer, struct protocol_message *ret, struct error *err);

/* The peer is root or the user we run as; else ERROR_DENIED. */
int protocol_check_peer(int fd, struct error *err);

json_t *protocol_done(uint32_t tag);
json_t *protocol_error(uint32_t tag, const struct error *error);
void protocol_error_read(const json_t *message, struct error *ret);
