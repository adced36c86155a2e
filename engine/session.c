/* engine_session_*: one connection to a project's keeper, requests out, answers and states in. */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/container/record.h"
#include "engine/engine_internal.h"
#include "engine/image/image.h"
#include "engine/keeper/protocol.h"
#include "engine/security/security.h"

/* An answer that did not need the keeper. */
struct local_answer {
    uint32_t tag;
    struct error error; /* ERROR_NONE: done */
};

struct engine_session {
    struct engine *engine;
    char *project;
    int fd;
    bool is_closed;                       /* the keeper is gone and SESSION_CLOSED was said */
    bool has_removed;                     /* directories of removed containers wait to be deleted */
    char *buffer;                         /* PROTOCOL_MAX_BYTES */
    VEC(struct protocol_message) backlog; /* received while waiting to send */
    size_t backlog_at;
    VEC(struct local_answer) answers;
    size_t answers_at;
    struct error failure; /* what session_event.error points at */
};

int engine_session_open(struct engine *engine, const char *project, bool start_keeper,
                        struct engine_session **ret, struct error *err)
{
    struct keeper_place place = engine_keeper_place(engine, project);
    struct engine_session *session;
    int fd, result;

    result = keeper_connect(&place, start_keeper, &fd, err);
    if (result > 0)
        return error_set(err, ERROR_NOT_FOUND, "nothing of project \"%s\" is running", project);
    if (result < 0)
        return -1;
    session = x_alloc(sizeof(*session));
    session->engine = engine;
    session->project = x_strdup(project);
    session->fd = fd;
    session->buffer = x_alloc(PROTOCOL_MAX_BYTES);
    *ret = session;
    return 0;
}

void engine_session_close(struct engine_session *session)
{
    if (!session)
        return;
    close(session->fd);
    for (size_t i = session->backlog_at; i < session->backlog.n; i++)
        protocol_message_release(&session->backlog.items[i]);
    vec_release(&session->backlog);
    vec_release(&session->answers);
    free(session->buffer);
    free(session->project);
    free(session);
}

int engine_session_fd(const struct engine_session *session)
{
    return session->fd;
}

bool engine_session_has_more(const struct engine_session *session)
{
    return session->answers_at < session->answers.n || session->backlog_at < session->backlog.n;
}

/* ------------------------------------------------------------------ sending */

/* Take in what the keeper says while it does not read: neither waits for the other for ever. */
static int make_way(struct engine_session *session, struct error *err)
{
    struct pollfd wait = {.fd = session->fd, .events = POLLIN | POLLOUT};
    struct protocol_message message = PROTOCOL_MESSAGE_INIT;

    if (poll(&wait, 1, -1) < 0 && errno != EINTR)
        return error_sys(err, errno, "wait for the keeper");
    if (!(wait.revents & POLLIN))
        return 0;
    if (protocol_receive(session->fd, session->buffer, &message, err) < 0)
        return -1;
    vec_push(&session->backlog, message);
    return 0;
}

static int send_request(struct engine_session *session, json_t *request_take, struct error *err)
{
    cleanup_json json_t *request = request_take;
    int result;

    while ((result = protocol_send(session->fd, request, NULL, 0, err)) > 0) {
        if (make_way(session, err) < 0)
            return -1;
    }
    return result;
}

static json_t *request_new(enum protocol_op op, uint32_t tag, const char *name)
{
    json_t *request = json_object();

    json_set_i64(request, "tag", tag);
    json_set_text(request, "op", protocol_op_names[op]);
    json_set_text(request, "name", name);
    return request;
}

static void answer_later(struct engine_session *session, uint32_t tag, const struct error *error)
{
    struct local_answer answer = {.tag = tag};

    if (error)
        answer.error = *error;
    vec_push(&session->answers, answer);
}

/* The filter is compiled here, once for all containers like this one: the keeper only reads it. */
static int compile_filter(struct engine_session *session, const struct container_spec *spec,
                          struct error *err)
{
    uint64_t capabilities;

    if (capability_set(&spec->cap_add, &spec->cap_drop, spec->privileged, &capabilities, err) < 0)
        return -1;
    if (spec->privileged)
        return 0;
    return seccomp_filter_get(session->engine->run_fd, capabilities, NULL, err);
}

/* The name is taken: fine if by the same container, else a conflict. */
static int check_same(struct engine_session *session, const struct container_spec *spec,
                      const char *id, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_json json_t *wanted = container_spec_to_json(spec);
    struct container_record record = {0};
    int result = 0;

    if (container_record_read(session->engine->state_fd, &arena, id, &record, err) < 0)
        return -1;
    if (!text_equal(record.project, session->project))
        result = error_set(err, ERROR_CONFLICT,
                           "the name is taken by a container of project \"%s\"", record.project);
    else if (!json_equal(wanted, record.spec_json))
        result = error_set(err, ERROR_CONFLICT, "it exists already, with another specification");
    container_record_release(&record);
    return result;
}

static int write_record(struct engine_session *session, const struct container_spec *spec,
                        char ret_id[static CONTAINER_ID_SIZE], struct error *err)
{
    cleanup_fd int hold = -1;
    const struct image_info *image;
    int result;

    if (!text_equal(spec->project, session->project))
        return error_set(err, ERROR_INVALID, "it is of project \"%s\", not \"%s\"",
                         spec->project ? spec->project : "", session->project);
    /* From here to the record nothing may collect the image. */
    if (image_collect_hold(session->engine->state_fd, &hold, err) < 0 ||
        engine_image_cached(session->engine, spec->image_id ? spec->image_id : spec->image, &image,
                            err) < 0 ||
        compile_filter(session, spec, err) < 0)
        return -1;
    result = container_record_create(session->engine->state_fd, spec, image, ret_id, err);
    if (result > 0)
        result = check_same(session, spec, ret_id, err);
    return result;
}

int engine_session_create(struct engine_session *session, uint32_t tag,
                          const struct container_spec *spec, struct error *err)
{
    char id[CONTAINER_ID_SIZE];
    json_t *request;

    if (write_record(session, spec, id, err) < 0)
        return error_wrap(err, "create container \"%s\"", spec->name);
    request = request_new(OP_CREATE, tag, spec->name);
    json_set_text(request, "id", id);
    return send_request(session, request, err);
}

int engine_session_start(struct engine_session *session, uint32_t tag, const char *name,
                         struct error *err)
{
    return send_request(session, request_new(OP_START, tag, name), err);
}

int engine_session_stop(struct engine_session *session, uint32_t tag, const char *name,
                        int64_t grace_ns, struct error *err)
{
    json_t *request = request_new(OP_STOP, tag, name);

    json_set_i64(request, "grace_ns", grace_ns);
    return send_request(session, request, err);
}

int engine_session_kill(struct engine_session *session, uint32_t tag, const char *name, int signal,
                        struct error *err)
{
    json_t *request = request_new(OP_KILL, tag, name);

    json_set_i64(request, "signal", signal);
    return send_request(session, request, err);
}

int engine_session_remove(struct engine_session *session, uint32_t tag, const char *name,
                          bool remove_volumes, struct error *err)
{
    json_t *request = request_new(OP_REMOVE, tag, name);

    json_set_bool(request, "volumes", remove_volumes);
    return send_request(session, request, err);
}

int engine_session_update(struct engine_session *session, uint32_t tag,
                          const struct container_spec *spec, struct error *err)
{
    struct engine *engine = session->engine;
    char id[CONTAINER_ID_SIZE];
    const struct image_info *image;
    int found = container_name_find(engine->state_fd, spec->name, id, err);

    if (found < 0)
        return -1;
    if (found > 0) {
        struct error missing = ERROR_INIT;

        error_set(&missing, ERROR_NOT_FOUND, "container \"%s\" does not exist", spec->name);
        answer_later(session, tag, &missing);
        return 0;
    }
    if (engine_image_cached(engine, spec->image_id ? spec->image_id : spec->image, &image, err) <
            0 ||
        container_record_stage(engine->state_fd, id, spec, image, err) < 0)
        return error_wrap(err, "update container \"%s\"", spec->name);
    return send_request(session, request_new(OP_UPDATE, tag, spec->name), err);
}

int engine_session_watch(struct engine_session *session, uint32_t tag, struct error *err)
{
    return send_request(session, request_new(OP_WATCH, tag, NULL), err);
}

/* Something of the project should be watched. */
static int needs_keeper(struct engine *engine, const char *project, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct strings ids;

    if (container_ids_list(engine->state_fd, &arena, project, &ids, err) < 0)
        return -1;
    for (size_t i = 0; i < ids.n; i++) {
        struct container_state state;

        if (engine_container_state(engine, &arena, project, ids.items[i], &state, err) < 0)
            return -1;
        if (state.status != CONTAINER_CREATED && state.status != CONTAINER_EXITED)
            return 1;
    }
    return 0;
}

int engine_keeper_connect(struct engine *engine, const char *project, int *ret_fd,
                          struct error *err)
{
    struct keeper_place place = engine_keeper_place(engine, project);
    int result = keeper_connect(&place, false, ret_fd, err), needed;

    if (result != 1)
        return result;
    needed = needs_keeper(engine, project, err);
    if (needed < 0)
        return -1;
    return needed ? keeper_connect(&place, true, ret_fd, err) : 1;
}

/* Whoever held the lock before may have been killed: what he had asked the keeper for is done
 * first, so that what is observed from now on stays. */
int engine_settle(struct engine *engine, const char *project, struct error *err)
{
    enum { SETTLE_TAG = 1 };
    cleanup_fd int fd = -1;
    cleanup_free char *buffer = NULL;
    cleanup_json json_t *request = request_new(OP_SETTLE, SETTLE_TAG, NULL);
    cleanup_message struct protocol_message message = PROTOCOL_MESSAGE_INIT;
    struct error one = ERROR_INIT;
    int result = engine_keeper_connect(engine, project, &fd, err);

    if (result != 0)
        return result < 0 ? -1 : 0;
    buffer = x_alloc(PROTOCOL_MAX_BYTES);
    if (protocol_send(fd, request, NULL, 0, &one) >= 0 &&
        protocol_receive(fd, buffer, &message, &one) >= 0)
        return 0;
    if (one.code == ERROR_NOT_FOUND)
        return 0; /* it ended just now: all is settled */
    if (err)
        *err = one;
    return -1;
}

/* ------------------------------------------------------------------ receiving */

static int event_of(struct engine_session *session, const json_t *message,
                    struct session_event *ret, struct error *err)
{
    const json_t *state = json_object_get(message, "state");

    *ret = (struct session_event){.tag = (uint32_t)json_i64_or(message, "tag", 0), .exit_code = -1};
    if (state) {
        ret->kind = SESSION_STATE;
        (void)snprintf(ret->name, sizeof(ret->name), "%s", json_text_or(state, "name", ""));
        ret->status = (enum container_status)json_i64_or(state, "status", CONTAINER_CREATED);
        ret->health = (enum health_status)json_i64_or(state, "health", HEALTH_NONE);
        ret->exit_code = (int)json_i64_or(state, "exit_code", -1);
        ret->oom_killed = json_bool_or(state, "oom", false);
        return 0;
    }
    if (json_object_get(message, "error")) {
        ret->kind = SESSION_FAILED;
        protocol_error_read(message, &session->failure);
        ret->error = &session->failure;
        return 0;
    }
    if (json_bool_or(message, "done", false)) {
        ret->kind = SESSION_DONE;
        return 0;
    }
    return error_set(err, ERROR_INVALID, "the keeper said something unknown");
}

static bool take_answer(struct engine_session *session, struct session_event *ret)
{
    const struct local_answer *answer;

    if (session->answers_at == session->answers.n)
        return false;
    answer = &session->answers.items[session->answers_at++];
    *ret = (struct session_event){.kind = SESSION_DONE, .tag = answer->tag, .exit_code = -1};
    if (answer->error.code != ERROR_NONE) {
        ret->kind = SESSION_FAILED;
        session->failure = answer->error;
        ret->error = &session->failure;
    }
    return true;
}

static bool take_backlog(struct engine_session *session, struct protocol_message *ret)
{
    if (session->backlog_at == session->backlog.n)
        return false;
    *ret = session->backlog.items[session->backlog_at++];
    if (session->backlog_at == session->backlog.n) {
        vec_clear(&session->backlog);
        session->backlog_at = 0;
    }
    return true;
}

/* A signal ends the wait early, as if the time were over: the caller looks at its own flags. */
static int receive(struct engine_session *session, int timeout_ms, struct protocol_message *ret,
                   struct error *err)
{
    struct pollfd wait = {.fd = session->fd, .events = POLLIN};
    int n = poll(&wait, 1, timeout_ms);

    if (n == 0 || (n < 0 && errno == EINTR))
        return 1;
    if (n < 0)
        return error_sys(err, errno, "wait for the keeper");
    return protocol_receive(session->fd, session->buffer, ret, err);
}

int engine_session_receive(struct engine_session *session, int timeout_ms,
                           struct session_event *ret, struct error *err)
{
    cleanup_message struct protocol_message message = PROTOCOL_MESSAGE_INIT;
    struct error one = ERROR_INIT;
    int result;

    if (take_answer(session, ret))
        return 0;
    if (take_backlog(session, &message))
        return event_of(session, message.json, ret, err);
    if (session->is_closed)
        return error_set(err, ERROR_NOT_FOUND, "the connection to the keeper is closed");
    result = receive(session, timeout_ms, &message, &one);
    if (result == 0)
        return event_of(session, message.json, ret, err);
    if (result > 0)
        return 1;
    if (one.code == ERROR_NOT_FOUND) {
        session->is_closed = true;
        *ret = (struct session_event){.kind = SESSION_CLOSED, .exit_code = -1};
        return 0;
    }
    if (err)
        *err = one;
    return -1;
}
