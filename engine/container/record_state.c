/* state.json of a container: what its keeper knows. See record.h. */

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/sys.h"
#include "engine/container/record.h"

/* The file is written in place (fs_overwrite_page), beside readers. It begins with "seq" and ends
 * with "end", both the same number: whoever reads a mixture of two versions sees it and reads
 * again. */
enum { STATE_MAX_BYTES = 1 << 20, READ_TRIES = 50 };

const char *const container_status_names[] = {
    [CONTAINER_CREATED] = "created",       [CONTAINER_RUNNING] = "running",
    [CONTAINER_RESTARTING] = "restarting", [CONTAINER_STOPPING] = "stopping",
    [CONTAINER_EXITED] = "exited",
};
static_assert(sizeof(container_status_names) / sizeof(char *) == CONTAINER_EXITED + 1,
              "a name each");

const char *const health_status_names[] = {
    [HEALTH_NONE] = "",
    [HEALTH_STARTING] = "starting",
    [HEALTH_HEALTHY] = "healthy",
    [HEALTH_UNHEALTHY] = "unhealthy",
};
static_assert(sizeof(health_status_names) / sizeof(char *) == HEALTH_UNHEALTHY + 1, "a name each");

static json_t *endpoints_to_json(const struct container_state *state)
{
    json_t *list = json_array();

    for (size_t i = 0; i < state->n_endpoints; i++) {
        const struct endpoint_info *endpoint = &state->endpoints[i];
        json_t *item = json_object();

        json_set_text(item, "network", endpoint->network);
        json_set_text(item, "ipv4_address", endpoint->ipv4_address);
        json_set_text(item, "mac_address", endpoint->mac_address);
        json_array_append_new(list, item);
    }
    return list;
}

static json_t *ports_to_json(const struct container_state *state)
{
    json_t *list = json_array();

    for (size_t i = 0; i < state->n_ports; i++) {
        const struct published_port *port = &state->ports[i];
        json_t *item = json_object();

        json_set_text(item, "host_ip", port->host_ip);
        json_set_i64(item, "host_port", port->host_port);
        json_set_i64(item, "container_port", port->container_port);
        json_set_text(item, "protocol", port->protocol);
        json_array_append_new(list, item);
    }
    return list;
}

static json_t *health_to_json(const struct container_state *state)
{
    json_t *json = json_object();

    json_set_text(json, "status", health_status_names[state->health]);
    json_set_i64(json, "streak", state->health_failing_streak);
    json_set_text(json, "output", state->health_output);
    return json;
}

int container_state_write(int dir_fd, const struct container_state *state, struct error *err)
{
    cleanup_json json_t *json = json_object();
    cleanup_buf struct buf text = BUF_INIT;
    int64_t sequence = clock_monotonic_ns();

    json_set_i64(json, "seq", sequence);
    json_set_text(json, "boot_id", state->boot_id);
    json_set_text(json, "status", container_status_names[state->status]);
    json_set_bool(json, "armed", state->is_armed);
    json_set_i64(json, "pid", state->pid);
    json_set_i64(json, "start_ticks", (int64_t)state->start_ticks);
    if (state->pid) {
        json_set_i64(json, "stdout_inode", (int64_t)state->pipe_inodes[0]);
        json_set_i64(json, "stderr_inode", (int64_t)state->pipe_inodes[1]);
    }
    json_set_i64(json, "exit_code", state->exit_code);
    json_set_bool(json, "oom", state->oom_killed);
    json_set_bool(json, "stopped_by_user", state->stopped_by_user);
    json_set_bool(json, "tainted", state->tainted);
    json_set_i64(json, "restarts", state->restarts);
    json_set_i64(json, "started_ns", state->started_ns);
    json_set_i64(json, "finished_ns", state->finished_ns);
    if (state->health != HEALTH_NONE)
        json_set_take(json, "health", health_to_json(state));
    if (state->n_endpoints)
        json_set_take(json, "endpoints", endpoints_to_json(state));
    if (state->n_ports)
        json_set_take(json, "ports", ports_to_json(state));
    json_set_i64(json, "end", sequence);
    json_print(&text, json);
    return fs_overwrite_page(dir_fd, "state.json", text.data, text.len, 0600, err);
}

static size_t name_index(const char *text, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], text) == 0)
            return i;
    }
    return 0;
}

static void endpoints_from_json(struct arena *arena, const json_t *list,
                                struct container_state *state)
{
    size_t n = json_array_size(list);

    state->endpoints = arena_new_array(arena, struct endpoint_info, n);
    state->n_endpoints = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);

        state->endpoints[i] = (struct endpoint_info){
            .network = arena_strdup(arena, json_text_or(item, "network", "")),
            .ipv4_address = arena_strdup(arena, json_text_or(item, "ipv4_address", NULL)),
            .mac_address = arena_strdup(arena, json_text_or(item, "mac_address", NULL)),
        };
    }
}

static void ports_from_json(struct arena *arena, const json_t *list, struct container_state *state)
{
    size_t n = json_array_size(list);

    state->ports = arena_new_array(arena, struct published_port, n);
    state->n_ports = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);

        state->ports[i] = (struct published_port){
            .host_ip = arena_strdup(arena, json_text_or(item, "host_ip", "0.0.0.0")),
            .host_port = (uint16_t)json_i64_or(item, "host_port", 0),
            .container_port = (uint16_t)json_i64_or(item, "container_port", 0),
            .protocol = arena_strdup(arena, json_text_or(item, "protocol", "tcp")),
        };
    }
}

static void state_from_json(struct arena *arena, const json_t *json, struct container_state *ret)
{
    const json_t *health = json_object_get(json, "health");
    const char *boot_id = json_text_or(json, "boot_id", "");

    *ret = (struct container_state){
        .status = (enum container_status)name_index(json_text_or(json, "status", ""),
                                                    container_status_names, CONTAINER_EXITED + 1),
        .is_armed = json_bool_or(json, "armed", false),
        .pid = (pid_t)json_i64_or(json, "pid", 0),
        .start_ticks = (uint64_t)json_i64_or(json, "start_ticks", 0),
        .pipe_inodes = {(uint64_t)json_i64_or(json, "stdout_inode", 0),
                        (uint64_t)json_i64_or(json, "stderr_inode", 0)},
        .exit_code = (int)json_i64_or(json, "exit_code", -1),
        .oom_killed = json_bool_or(json, "oom", false),
        .stopped_by_user = json_bool_or(json, "stopped_by_user", false),
        .tainted = json_bool_or(json, "tainted", false),
        .restarts = (int)json_i64_or(json, "restarts", 0),
        .started_ns = json_i64_or(json, "started_ns", 0),
        .finished_ns = json_i64_or(json, "finished_ns", 0),
        .health = (enum health_status)name_index(json_text_or(health, "status", ""),
                                                 health_status_names, HEALTH_UNHEALTHY + 1),
        .health_failing_streak = (int)json_i64_or(health, "streak", 0),
        .health_output = arena_strdup(arena, json_text_or(health, "output", NULL)),
    };
    if (strlen(boot_id) < sizeof(ret->boot_id))
        memcpy(ret->boot_id, boot_id, strlen(boot_id) + 1);
    endpoints_from_json(arena, json_object_get(json, "endpoints"), ret);
    ports_from_json(arena, json_object_get(json, "ports"), ret);
}

static bool is_whole(const json_t *json)
{
    return json_i64_or(json, "seq", 0) == json_i64_or(json, "end", 0);
}

/* 1 when there is no state yet: no file, or one that was made and not written. */
static int read_whole(int state_fd, const char *name, json_t **ret, struct error *err)
{
    struct error one = ERROR_INIT;

    for (int i = 0; i < READ_TRIES; i++) {
        cleanup_buf struct buf text = BUF_INIT;
        cleanup_json json_t *json = NULL;

        if (fs_read_file(state_fd, name, STATE_MAX_BYTES, &text, &one) < 0)
            break;
        if (text.len == 0)
            return 1;
        if (json_parse(buf_str(&text), &json, &one) == 0 && is_whole(json)) {
            *ret = json;
            json = NULL;
            return 0;
        }
        error_set(&one, ERROR_INVALID, "\"%s\" is damaged", name);
        sched_yield();
    }
    if (one.code == ERROR_NOT_FOUND)
        return 1;
    if (err)
        *err = one;
    return -1;
}

int container_state_read(int state_fd, struct arena *arena, const char *id,
                         struct container_state *ret, struct error *err)
{
    cleanup_arena struct arena scratch = ARENA_INIT;
    cleanup_json json_t *json = NULL;
    int result =
        read_whole(state_fd, arena_printf(&scratch, "containers/%s/state.json", id), &json, err);

    if (result < 0)
        return error_wrap(err, "read the state of container %.12s", id);
    if (result > 0)
        *ret = (struct container_state){.exit_code = -1};
    else
        state_from_json(arena, json, ret);
    return 0;
}

bool container_state_is_stale(const struct container_state *state, const char *boot_id)
{
    if (strcmp(state->boot_id, boot_id) != 0)
        return state->pid > 0 || state->status == CONTAINER_RESTARTING;
    return state->pid > 0 &&
           (state->start_ticks == 0 || sys_process_start_ticks(state->pid) != state->start_ticks);
}

bool container_state_settle(struct container_state *state, const char *boot_id)
{
    if (!container_state_is_stale(state, boot_id))
        return false;
    state->pid = 0;
    state->start_ticks = 0;
    state->is_armed = false;
    if (state->status == CONTAINER_CREATED)
        return true;
    state->status = CONTAINER_EXITED;
    state->exit_code = -1;
    if (state->health != HEALTH_NONE)
        state->health = HEALTH_UNHEALTHY;
    return true;
}
