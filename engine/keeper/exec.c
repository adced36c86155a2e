/* Processes in running containers besides the first: exec requests and the probes of health checks.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/json.h"
#include "engine/base/random.h"
#include "engine/keeper/supervisor.h"
#include "engine/security/security.h"

enum { EXEC_ID_DIGITS = 16, EXECS_MAX = 1000 };

struct exec {
    struct list link; /* keeper.execs */
    struct keeper *keeper;
    char id[EXEC_ID_DIGITS + sizeof("exec-")];
    struct client *client; /* NULL: a probe, or the client is gone */
    uint32_t tag;
    int pidfd;
    bool has_terminal;
    exec_done *done;
    void *context;
};

int exec_start(const struct exec_options *options, struct exec **ret, struct error *err)
{
    struct keeper *keeper = options->container->keeper;
    struct exec *exec;
    char digits[EXEC_ID_DIGITS + 1];

    /* The last one may have been killed. */
    if (keeper_zygote_need(keeper, err) < 0)
        return -1;
    exec = x_alloc(sizeof(*exec));
    random_hex(digits, EXEC_ID_DIGITS);
    (void)snprintf(exec->id, sizeof(exec->id), "exec-%s", digits);
    exec->keeper = keeper;
    exec->client = options->client;
    exec->tag = options->tag;
    exec->done = options->done;
    exec->context = options->context;
    exec->pidfd = -1;
    if (keeper_zygote_need(keeper, err) < 0 ||
        zygote_exec(&keeper->zygote, exec->id, options->prepared, err) < 0) {
        free(exec);
        return -1;
    }
    list_append(&keeper->execs, &exec->link);
    patience_start(keeper);
    if (ret)
        *ret = exec;
    return 0;
}

void exec_kill(struct exec *exec, int signal)
{
    if (exec->pidfd >= 0)
        (void)pidfd_send_signal(exec->pidfd, signal, NULL, 0); /* gone: its end comes */
}

static void nobody_asks(void *context, int exit_code, const struct error *failure)
{
    (void)context;
    (void)exit_code;
    (void)failure;
}

void exec_orphan(struct exec *exec)
{
    exec_kill(exec, SIGKILL);
    exec->done = nobody_asks;
    exec->context = NULL;
}

static void answer(struct exec *exec, int exit_code, const struct error *failure)
{
    json_t *message;

    if (!exec->client)
        return;
    if (failure) {
        message = protocol_error(exec->tag, failure);
    } else {
        message = json_object();
        json_set_i64(message, "tag", exec->tag);
    }
    json_set_i64(message, "exit", exit_code);
    client_send(exec->client, message, NULL, 0);
}

static void finish(struct exec *exec, int exit_code, const struct error *failure)
{
    list_remove(&exec->link);
    if (exec->done)
        exec->done(exec->context, exit_code, failure);
    else
        answer(exec, exit_code, failure);
    if (exec->pidfd >= 0)
        close(exec->pidfd);
    free(exec);
}

static struct exec *find(struct keeper *keeper, const char *id)
{
    list_for_each (pos, &keeper->execs) {
        struct exec *exec = container_of(pos, struct exec, link);

        if (strcmp(exec->id, id) == 0)
            return exec;
    }
    return NULL;
}

static void tell_terminal(struct exec *exec, struct zygote_event *event)
{
    json_t *message;

    if (event->terminal_fd < 0 || !exec->client)
        return;
    exec->has_terminal = true;
    message = json_object();
    json_set_i64(message, "tag", exec->tag);
    json_set_bool(message, "terminal", true);
    client_send(exec->client, message, &event->terminal_fd, 1);
}

static void tell_started(struct exec *exec)
{
    json_t *message;

    if (!exec->client)
        return;
    message = json_object();
    json_set_i64(message, "tag", exec->tag);
    json_set_bool(message, "started", true);
    if (exec->pidfd >= 0)
        client_send(exec->client, message, &exec->pidfd, 1);
    else
        client_send(exec->client, message, NULL, 0);
}

bool exec_handle_event(struct keeper *keeper, struct zygote_event *event)
{
    struct exec *exec = find(keeper, event->id);
    struct error ignored;

    if (!exec)
        return false;
    switch (event->kind) {
    case ZYGOTE_SPAWNED:
        exec->pidfd = fd_take(&event->pidfd);
        break;
    case ZYGOTE_ARMED:
        tell_terminal(exec, event);
        break;
    case ZYGOTE_STARTED:
        tell_started(exec);
        break;
    case ZYGOTE_FAILED:
        (void)zygote_forget(&keeper->zygote, event->id, &ignored); /* gone: nothing to forget */
        finish(exec, event->exit_code, &event->error);
        break;
    case ZYGOTE_EXITED:
        (void)zygote_forget(&keeper->zygote, event->id, &ignored);
        finish(exec, event->exit_code, NULL);
        break;
    case ZYGOTE_INVENTORY:
    case ZYGOTE_INVENTORY_END:
    case ZYGOTE_ALIVE:
        break;
    }
    return true;
}

/* The process lives on, as with docker exec; one on a terminal gets the hang-up of its line. */
void exec_client_gone(struct keeper *keeper, struct client *client)
{
    list_for_each (pos, &keeper->execs) {
        struct exec *exec = container_of(pos, struct exec, link);

        if (exec->client != client)
            continue;
        exec->client = NULL;
        if (exec->has_terminal)
            exec_kill(exec, SIGHUP);
    }
}

void exec_zygote_gone(struct keeper *keeper)
{
    const struct error lost = {
        .code = ERROR_SYSTEM, .text = "the process that watched it was killed: its end is unknown"};

    list_for_each (pos, &keeper->execs) {
        struct exec *exec = container_of(pos, struct exec, link);

        exec_kill(exec, SIGKILL);
        finish(exec, -1, &lost);
    }
}

/* ------------------------------------------------------------------ preparing */

/* Fills in what belongs to the container; argv, user … are the caller's. */
int exec_prepare(struct supervised *container, const struct container_record *record,
                 struct exec_build *build, struct container_prepared **ret, struct error *err)
{
    cleanup_buf struct buf seccomp = BUF_INIT;
    const struct container_spec *spec = record->spec;

    if (build_cgroup(container, spec, err) < 0 ||
        capability_set(&spec->cap_add, &spec->cap_drop, spec->privileged || build->privileged,
                       &build->capabilities, err) < 0 ||
        build_seccomp(container->keeper, spec, build->capabilities, &seccomp, err) < 0)
        return -1;
    build->spec = spec;
    build->pid = container->pid;
    build->pidfd = container->pidfd;
    build->cgroup2_fd = container->cgroup.v2_fd;
    build->cgroup1_fds = container->cgroup.v1_procs_fds;
    build->n_cgroup1_fds = container->cgroup.n_v1;
    build->has_network = container->netns_fd >= 0;
    build->seccomp = seccomp.data;
    build->seccomp_size = seccomp.len;
    build->no_new_privileges = spec->no_new_privileges;
    return container_prepare_exec(build, ret, err);
}

/* "NAME=value" of the container with the request's over it. */
static struct strings merge_environment(struct arena *arena, const struct strings *own,
                                        const struct pairs *over)
{
    struct strings merged = {arena_new_array(arena, const char *, own->n + over->n + 1), 0};

    for (size_t i = 0; i < own->n; i++) {
        const char *name = arena_strndup(arena, own->items[i], strcspn(own->items[i], "="));

        if (!pairs_have(over, name))
            merged.items[merged.n++] = own->items[i];
    }
    for (size_t i = 0; i < over->n; i++) {
        if (over->items[i].value)
            merged.items[merged.n++] =
                arena_printf(arena, "%s=%s", over->items[i].name, over->items[i].value);
    }
    return merged;
}

static int exec_run(struct client *client, uint32_t tag, struct supervised *container,
                    const struct container_record *record, struct exec_build *build,
                    struct error *err)
{
    cleanup_prepared struct container_prepared *prepared = NULL;
    struct exec_options options = {.container = container, .client = client, .tag = tag};

    if (exec_prepare(container, record, build, &prepared, err) < 0)
        return -1;
    options.prepared = prepared;
    return exec_start(&options, NULL, err);
}

int exec_request(struct client *client, uint32_t tag, const json_t *request, const int fds[3],
                 struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct keeper *keeper = client->keeper;
    struct container_record record = {0};
    struct exec_build build = EXEC_BUILD_INIT;
    struct supervised *container;
    struct pairs environment;
    const char *name;
    int result;

    if (json_get_text(request, "name", &name, err) < 0)
        return -1;
    container = keeper_find(keeper, name);
    if (!container)
        return error_set(err, ERROR_NOT_FOUND, "container \"%s\" does not exist", name);
    if (container->life.state != LIFE_RUNNING && container->life.state != LIFE_STOPPING)
        return error_set(err, ERROR_CONFLICT, "container \"%s\" is not running", name);
    build.argv = json_strings(&arena, request, "argv");
    if (build.argv.n == 0)
        return error_set(err, ERROR_INVALID, "exec: no command given");
    if (container_record_read(keeper->place.state_fd, &arena, container->id, &record, err) < 0)
        return -1;
    environment = json_pairs(&arena, request, "environment");
    build.environment =
        merge_environment(&arena, &record.resolved.process.environment, &environment);
    build.user = json_text_or(request, "user", record.resolved.process.user);
    build.working_dir = json_text_or(request, "working_dir", record.resolved.process.working_dir);
    build.tty = json_bool_or(request, "tty", false);
    build.rows = (unsigned int)json_i64_or(request, "rows", 0) & 0xffff;
    build.columns = (unsigned int)json_i64_or(request, "columns", 0) & 0xffff;
    for (int i = 0; i < 3 && !build.tty; i++)
        build.stdio_fds[i] = fds[i];
    build.privileged = json_bool_or(request, "privileged", false);
    result = exec_run(client, tag, container, &record, &build, err);
    container_record_release(&record);
    return result;
}
