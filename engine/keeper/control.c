/* Clients and their requests. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/json.h"
#include "engine/base/listener.h"
#include "engine/base/trace.h"
#include "engine/base/units.h"
#include "engine/keeper/supervisor.h"

enum { ACCEPTS_PER_TURN = 64 };

/* ------------------------------------------------------------------ clients */

/* Only marks it: the turn may be in the middle of using it. */
static void client_lose(struct client *client)
{
    if (client->is_gone)
        return;
    client->is_gone = true;
    event_del(client->event);
    exec_client_gone(client->keeper, client);
    list_for_each (pos, &client->keeper->containers) {
        struct supervised *container = container_of(pos, struct supervised, link);

        list_for_each (at, &container->waiters) {
            struct waiter *waiter = container_of(at, struct waiter, link);

            if (waiter->client != client)
                continue;
            /* What was asked is done all the same; nobody is told. */
            waiter->client = NULL;
        }
    }
}

void client_free(struct client *client)
{
    client_lose(client);
    event_free(client->event);
    close(client->fd);
    list_remove(&client->link);
    client->keeper->n_clients--;
    free(client);
}

void client_send(struct client *client, json_t *message_take, const int *fds, size_t n_fds)
{
    cleanup_json json_t *message = message_take;
    struct error err = ERROR_INIT;
    int result;

    if (client->is_gone)
        return;
    result = protocol_send(client->fd, message, fds, n_fds, &err);
    if (result == 0)
        return;
    if (result > 0)
        keeper_log("a client does not read what it is told: disconnected");
    client_lose(client);
}

static void answer(struct client *client, uint32_t tag, const struct error *failure)
{
    if (client)
        client_send(client, failure ? protocol_error(tag, failure) : protocol_done(tag), NULL, 0);
}

/* ------------------------------------------------------------------ news */

static json_t *news_of(const struct supervised *container)
{
    json_t *message = json_object(), *state = json_object();

    json_set_text(state, "name", container->name);
    json_set_i64(state, "status", lifecycle_status(&container->life));
    json_set_i64(state, "health", container->health.status);
    json_set_i64(state, "exit_code", container->life.exit_code);
    json_set_bool(state, "oom", container->is_oom_killed);
    json_set_take(message, "state", state);
    return message;
}

void control_news(struct supervised *container)
{
    list_for_each (pos, &container->keeper->clients) {
        struct client *client = container_of(pos, struct client, link);

        if (client->is_watching)
            client_send(client, news_of(container), NULL, 0);
    }
}

/* ------------------------------------------------------------------ waiters */

static void wait_for(struct client *client, uint32_t tag, enum protocol_op op,
                     struct supervised *container, bool remove_volumes)
{
    struct waiter *waiter = x_alloc(sizeof(*waiter));

    waiter->client = client;
    waiter->tag = tag;
    waiter->op = op;
    waiter->remove_volumes = remove_volumes;
    list_append(&container->waiters, &waiter->link);
    container->has_waiters_to_check = true;
}

static void waiter_end(struct waiter *waiter, const struct error *failure)
{
    answer(waiter->client, waiter->tag, failure);
    list_remove(&waiter->link);
    free(waiter);
}

void control_fail_waiters(struct supervised *container, const struct error *why)
{
    list_for_each (pos, &container->waiters)
        waiter_end(container_of(pos, struct waiter, link), why);
}

enum outcome { OUTCOME_WAIT, OUTCOME_DONE, OUTCOME_FAILED, OUTCOME_REMOVE };

static enum outcome create_outcome(const struct supervised *container)
{
    if (container->failure.code != ERROR_NONE)
        return OUTCOME_FAILED;
    return container->life.state == LIFE_ARMING ? OUTCOME_WAIT : OUTCOME_DONE;
}

static enum outcome start_outcome(const struct supervised *container)
{
    switch (container->life.state) {
    case LIFE_RUNNING:
        return OUTCOME_DONE;
    case LIFE_BACKOFF:
    case LIFE_EXITED: /* it ran and has ended already, or it could not run */
        return container->failure.code == ERROR_NONE ? OUTCOME_DONE : OUTCOME_FAILED;
    case LIFE_CREATED:
    case LIFE_ARMED: /* a stop came in between */
        return OUTCOME_DONE;
    case LIFE_ARMING:
    case LIFE_STARTING:
    case LIFE_STOPPING:
        return OUTCOME_WAIT;
    }
    return OUTCOME_WAIT;
}

static enum outcome stop_outcome(const struct supervised *container)
{
    switch (container->life.state) {
    case LIFE_CREATED:
    case LIFE_ARMING:
    case LIFE_ARMED:
    case LIFE_EXITED:
        return container->life.wants_run ? OUTCOME_WAIT : OUTCOME_DONE;
    case LIFE_STARTING:
    case LIFE_RUNNING:
    case LIFE_STOPPING:
    case LIFE_BACKOFF:
        return OUTCOME_WAIT;
    }
    return OUTCOME_WAIT;
}

static enum outcome outcome_of(const struct waiter *waiter, const struct supervised *container)
{
    switch (waiter->op) {
    case OP_CREATE:
        return create_outcome(container);
    case OP_START:
        return start_outcome(container);
    case OP_STOP:
        return stop_outcome(container);
    case OP_REMOVE:
        return lifecycle_has_process(&container->life) ? OUTCOME_WAIT : OUTCOME_REMOVE;
    case OP_KILL:
    case OP_UPDATE:
    case OP_WATCH:
    case OP_EXEC:
    case OP_SETTLE:
        break;
    }
    return OUTCOME_DONE;
}

bool control_is_removing(const struct supervised *container)
{
    for (struct list *at = container->waiters.next; at != &container->waiters; at = at->next) {
        if (container_of(at, struct waiter, link)->op == OP_REMOVE)
            return true;
    }
    return false;
}

static void remove_now(struct supervised *container, struct waiter *waiter)
{
    struct error failure;

    supervise_remove(container, waiter->remove_volumes, &failure);
    if (failure.code != ERROR_NONE)
        error_wrap(&failure, "remove container \"%s\"", container->name);
    waiter_end(waiter, failure.code != ERROR_NONE ? &failure : NULL);
    supervised_free(container);
}

/* Frees the container when somebody waits for its removal. */
void control_settle(struct supervised *container)
{
    list_for_each (pos, &container->waiters) {
        struct waiter *waiter = container_of(pos, struct waiter, link);
        struct error failure;

        switch (outcome_of(waiter, container)) {
        case OUTCOME_WAIT:
            break;
        case OUTCOME_DONE:
            waiter_end(waiter, NULL);
            break;
        case OUTCOME_FAILED:
            failure = container->failure;
            error_wrap(&failure, "%s container \"%s\"", protocol_op_names[waiter->op],
                       container->name);
            waiter_end(waiter, &failure);
            break;
        case OUTCOME_REMOVE:
            remove_now(container, waiter);
            return;
        }
    }
}

/* ------------------------------------------------------------------ requests */

struct request {
    struct client *client;
    struct keeper *keeper;
    uint32_t tag;
    const struct protocol_message *message;
    const json_t *json;
};

/* A record that this keeper has not seen yet. */
static int take_record(const struct request *request, const char *name, const char *id,
                       struct supervised **ret, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct keeper *keeper = request->keeper;
    struct container_record record = {0};
    int result = 0;

    if (container_record_read(keeper->place.state_fd, &arena, id, &record, err) < 0)
        return -1;
    if (strcmp(record.name, name) != 0 || strcmp(record.project, keeper->place.project) != 0)
        result = error_set(err, ERROR_INVALID, "record %.12s is not of container \"%s\" of \"%s\"",
                           id, name, keeper->place.project);
    else
        *ret = supervised_new(keeper, &record);
    container_record_release(&record);
    return result;
}

/* Returns 0, or 1 when there is no such container. One whose client died between writing the record
 * and asking for it is known from its record alone. */
static int find_container(const struct request *request, const char *name, struct supervised **ret,
                          struct error *err)
{
    char id[CONTAINER_ID_SIZE];
    int result;

    *ret = keeper_find(request->keeper, name);
    if (*ret)
        return 0;
    result = container_name_find(request->keeper->place.state_fd, name, id, err);
    return result != 0 ? result : take_record(request, name, id, ret, err);
}

static int named(const struct request *request, struct supervised **ret, struct error *err)
{
    const char *name;
    int result;

    if (json_get_text(request->json, "name", &name, err) < 0)
        return -1;
    result = find_container(request, name, ret, err);
    if (result > 0)
        return error_set(err, ERROR_NOT_FOUND, "container \"%s\" does not exist", name);
    return result;
}

static int on_create(const struct request *request, struct error *err)
{
    struct supervised *container;
    const char *name, *id;

    if (json_get_text(request->json, "name", &name, err) < 0 ||
        json_get_text(request->json, "id", &id, err) < 0)
        return -1;
    container = keeper_find(request->keeper, name);
    if (container && strcmp(container->id, id) != 0)
        return error_set(err, ERROR_CONFLICT, "container \"%s\" exists already, as %.12s", name,
                         container->id);
    if (!container && take_record(request, name, id, &container, err) < 0)
        return -1;
    wait_for(request->client, request->tag, OP_CREATE, container, false);
    supervise_event(container, LIFE_BUILD);
    return 0;
}

static int on_start(const struct request *request, struct error *err)
{
    struct supervised *container;

    if (named(request, &container, err) < 0)
        return -1;
    wait_for(request->client, request->tag, OP_START, container, false);
    supervise_event(container, LIFE_START);
    return 0;
}

static void stop(struct supervised *container, int64_t grace_ns)
{
    struct life_input input = {
        .event = LIFE_STOP, .now_ns = clock_monotonic_ns(), .grace_ns = grace_ns};

    supervise(container, &input);
}

static int on_stop(const struct request *request, struct error *err)
{
    struct supervised *container;

    if (named(request, &container, err) < 0)
        return -1;
    wait_for(request->client, request->tag, OP_STOP, container, false);
    stop(container, json_i64_or(request->json, "grace_ns", -1));
    return 0;
}

static int on_kill(const struct request *request, struct error *err)
{
    struct supervised *container;
    struct life_input input = {
        .event = LIFE_KILL,
        .now_ns = clock_monotonic_ns(),
        .signal = (int)json_i64_or(request->json, "signal", SIGKILL),
    };

    if (named(request, &container, err) < 0)
        return -1;
    if (input.signal < 1 || input.signal > SIGRTMAX)
        return error_set(err, ERROR_INVALID, "signal %d does not exist", input.signal);
    if (container->life.state != LIFE_RUNNING && container->life.state != LIFE_STOPPING &&
        container->life.state != LIFE_STARTING)
        return error_set(err, ERROR_CONFLICT, "container \"%s\" is not running", container->name);
    supervise(container, &input);
    answer(request->client, request->tag, NULL);
    return 0;
}

static int on_remove(const struct request *request, struct error *err)
{
    struct supervised *container;
    const char *name;
    int found;
    struct life_input kill = {
        .event = LIFE_KILL, .now_ns = clock_monotonic_ns(), .signal = SIGKILL};

    if (json_get_text(request->json, "name", &name, err) < 0)
        return -1;
    found = find_container(request, name, &container, err);
    if (found < 0)
        return -1;
    if (found > 0) {
        answer(request->client, request->tag, NULL);
        return 0;
    }
    wait_for(request->client, request->tag, OP_REMOVE, container,
             json_bool_or(request->json, "volumes", false));
    if (container->life.state == LIFE_ARMING || container->life.state == LIFE_ARMED)
        supervise(container, &kill);
    else
        stop(container, 0);
    return 0;
}

static int on_update(const struct request *request, struct error *err)
{
    struct supervised *container;

    if (named(request, &container, err) < 0)
        return -1;
    if (update_container(container, err) < 0)
        return error_wrap(err, "update container \"%s\"", container->name);
    supervise_changed(container);
    wait_for(request->client, request->tag, OP_UPDATE, container, false); /* until it is written */
    return 0;
}

static int on_watch(const struct request *request, struct error *err)
{
    (void)err;
    list_for_each (pos, &request->keeper->containers)
        client_send(request->client, news_of(container_of(pos, struct supervised, link)), NULL, 0);
    request->client->is_watching = true;
    answer(request->client, request->tag, NULL);
    return 0;
}

static int on_exec(const struct request *request, struct error *err)
{
    bool tty = json_bool_or(request->json, "tty", false);

    if (!tty && request->message->n_fds != 3)
        return error_set(err, ERROR_INVALID, "exec: expects three descriptors");
    return exec_request(request->client, request->tag, request->json, request->message->fds, err);
}

/* Did the client die? What it has sent and we have not read yet, nobody wants any more. */
static bool has_hung_up(const struct client *client)
{
    struct pollfd poll_fd = {.fd = client->fd, .events = 0};

    return poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLHUP | POLLERR)) != 0;
}

static int on_settle(const struct request *request, struct error *err)
{
    (void)err;
    list_for_each (pos, &request->keeper->clients) {
        struct client *client = container_of(pos, struct client, link);

        if (!client->is_gone && has_hung_up(client))
            client_lose(client);
    }
    request->client->wants_settled = true;
    request->client->settle_tag = request->tag;
    return 0;
}

static bool is_settled(struct keeper *keeper)
{
    list_for_each (at, &keeper->containers) {
        struct supervised *container = container_of(at, struct supervised, link);

        list_for_each (pos, &container->waiters) {
            if (!container_of(pos, struct waiter, link)->client)
                return false;
        }
    }
    return true;
}

void control_tell_settled(struct keeper *keeper)
{
    list_for_each (pos, &keeper->clients) {
        struct client *client = container_of(pos, struct client, link);

        if (client->is_gone || !client->wants_settled || !is_settled(keeper))
            continue;
        client->wants_settled = false;
        answer(client, client->settle_tag, NULL);
    }
}

typedef int request_action(const struct request *request, struct error *err);

static request_action *const actions[PROTOCOL_OPS] = {
    [OP_CREATE] = on_create, [OP_START] = on_start,   [OP_STOP] = on_stop,
    [OP_KILL] = on_kill,     [OP_REMOVE] = on_remove, [OP_UPDATE] = on_update,
    [OP_WATCH] = on_watch,   [OP_EXEC] = on_exec,     [OP_SETTLE] = on_settle,
};

static void handle(struct client *client, const struct protocol_message *message)
{
    struct request request = {
        .client = client,
        .keeper = client->keeper,
        .tag = (uint32_t)json_i64_or(message->json, "tag", 0),
        .message = message,
        .json = message->json,
    };
    struct error err = ERROR_INIT;
    enum protocol_op op;

    if (protocol_op_parse(json_text_or(message->json, "op", ""), &op, &err) < 0 ||
        actions[op](&request, &err) < 0)
        answer(client, request.tag, &err);
}

/* One request per turn: what it changes is written and told before the next. */
static void client_readable(evutil_socket_t fd, short what, void *context)
{
    struct client *client = context;
    cleanup_message struct protocol_message message = PROTOCOL_MESSAGE_INIT;
    struct error err = ERROR_INIT;
    int result;

    (void)what;
    if (client->is_gone)
        return;
    result = protocol_receive(fd, client->keeper->buffer, &message, &err);
    if (result > 0)
        return;
    if (result < 0) {
        if (err.code != ERROR_NOT_FOUND)
            keeper_log("a client: %s: disconnected", err.text);
        client_lose(client);
        return;
    }
    if (has_hung_up(client))
        client_lose(client);
    else
        handle(client, &message);
}

/* ------------------------------------------------------------------ connecting */

static void greet(struct client *client)
{
    json_t *hello = json_object();

    json_set_i64(hello, "hello", PROTOCOL_VERSION);
    client_send(client, hello, NULL, 0);
}

static void client_new(struct keeper *keeper, int fd)
{
    struct client *client = x_alloc(sizeof(*client));
    int bytes = PROTOCOL_SOCKET_BYTES;

    /* Without privilege it stays at the system's default: a client may lag less. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
    if (!keeper->buffer)
        keeper->buffer = x_alloc(PROTOCOL_MAX_BYTES);
    client->keeper = keeper;
    client->fd = fd;
    client->event = event_new(keeper->base, fd, EV_READ | EV_PERSIST, client_readable, client);
    event_add(client->event, NULL);
    list_append(&keeper->clients, &client->link);
    keeper->n_clients++;
    greet(client);
}

static void client_came(int fd, void *context)
{
    struct keeper *keeper = context;
    struct error err = ERROR_INIT;

    if (keeper->n_clients >= KEEPER_CLIENTS_MAX)
        error_set(&err, ERROR_CONFLICT, "%d clients are connected", KEEPER_CLIENTS_MAX);
    else if (protocol_check_peer(fd, &err) == 0) {
        client_new(keeper, fd);
        return;
    }
    keeper_log("refused a client: %s", err.text);
    close(fd);
}

static void client_waits(const struct error *why, void *context)
{
    (void)context;
    keeper_log("%s: clients wait, continuing", why->text);
}

int control_listen(struct keeper *keeper, struct error *err)
{
    const struct listener_handler handler = {.accept = client_came,
                                             .trouble = client_waits,
                                             .context = keeper,
                                             .accepts_per_turn = ACCEPTS_PER_TURN};

    return listener_new(keeper->base, keeper->listen_fd, &handler, &keeper->listener, err);
}
