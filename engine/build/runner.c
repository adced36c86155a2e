/* Containers for RUN.
 *
 * Everything of one builder is named "build-PID-TICKS" (process id and its start time), so that the
 * next builder can tell what a killed one left behind. */

#include "engine/build/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/sys.h"
#include "engine/base/units.h"
#include "engine/build/guard.h"
#include "engine/cgroup/cgroup.h"
#include "engine/container/container.h"
#include "engine/engine.h"
#include "engine/image/image.h"
#include "engine/network/network.h"
#include "engine/security/security.h"

static const char cgroup_project[] = "_build";
static const char network_name[] = "berth_build";
static const char hostname[] = "berth-build";
static const char hosts_text[] = "127.0.0.1\tlocalhost berth-build\n"
                                 "::1\tlocalhost ip6-localhost ip6-loopback\n";

enum {
    LINE_BYTES_MAX = 4000,
    RESOLV_CONF_MAX = 64 * 1024,
    NETWORK_TRIES = 5,
    OUTPUT_PIPE_BYTES = 256 * 1024
};

struct runner {
    struct runner_options options;
    struct arena arena;
    char name[64]; /* build-PID-TICKS */
    struct cgroup_layout layout;
    struct cgroup cgroup;
    struct zygote zygote;
    struct guard guard;
    struct guard_duty duty;
    struct buf seccomp;
    struct strings masked, read_only;
    int netns_fd;       /* -1 = not made yet */
    int loopback_fd;    /* a namespace without any network; -1 = not made yet */
    bool uses_host_dns; /* the host's resolver is on its loopback: RUN uses the host's network */
    size_t n_runs;
};

/* ------------------------------------------------------------------ leftovers */

/* "build-PID-TICKS" of a process that is gone. */
static bool is_leftover(const char *name)
{
    struct str head, pid_text, ticks_text, rest;
    uint64_t pid, ticks;

    if (!str_cut(str_from(name), '-', &head, &rest) || !str_is(head, "build") ||
        !str_cut(rest, '-', &pid_text, &ticks_text) ||
        parse_u64(pid_text, 1, INT32_MAX, &pid, NULL) < 0 ||
        parse_u64(ticks_text, 0, UINT64_MAX, &ticks, NULL) < 0)
        return false;
    return sys_process_start_ticks((pid_t)pid) != ticks;
}

/* What a killed builder left whose guard was killed too. Best effort: it must not stop a build. */
static void sweep(struct runner *runner)
{
    struct guard_duty duty = runner->duty;
    struct strings names = {0};
    struct network_endpoints endpoints = {0};
    const char *root = runner->layout.v2_root;

    if (root != NULL)
        (void)fs_list(AT_FDCWD, arena_printf(&runner->arena, "%s/berth/%s", root, cgroup_project),
                      &runner->arena, &names, NULL);
    for (size_t i = 0; i < names.n; i++) {
        duty.name = names.items[i];
        duty.network = NULL;
        if (is_leftover(duty.name))
            (void)guard_free(&duty, NULL);
    }
    if (network_list_endpoints(&runner->arena, &duty.dirs, network_name, &endpoints, NULL) < 0)
        return;
    for (size_t i = 0; i < endpoints.n; i++)
        if (is_leftover(endpoints.items[i].container))
            (void)network_detach(&duty.dirs, network_name, endpoints.items[i].container, NULL);
}

/* ------------------------------------------------------------------ open */

static int prepare_security(struct runner *runner, struct error *err)
{
    if (container_default_paths(&runner->arena, &runner->masked, &runner->read_only, err) < 0)
        return -1;
    return seccomp_filter_get(runner->options.run_fd, capability_default_set, &runner->seccomp,
                              err);
}

static int prepare_cgroup(struct runner *runner, struct error *err)
{
    struct cgroup_limits limits = CGROUP_LIMITS_INIT;

    return cgroup_create(&runner->layout, cgroup_project, runner->name, &limits, &runner->cgroup,
                         err);
}

static int open_all(struct runner *runner, struct error *err)
{
    struct zygote_options zygote = {.project = "build", .keeper_exec_fd = -1};

    (void)snprintf(runner->name, sizeof(runner->name), "build-%d-%llu", getpid(),
                   (unsigned long long)sys_process_start_ticks(getpid())); /* fits */
    if (cgroup_detect(&runner->arena, &runner->layout, err) < 0)
        return -1;
    runner->duty = (struct guard_duty){.layout = &runner->layout,
                                       .project = cgroup_project,
                                       .name = runner->name,
                                       .dirs = {runner->options.state_fd, runner->options.run_fd},
                                       .network = network_name,
                                       .container = runner->name};
    sweep(runner);
    if (guard_start(&runner->duty, &runner->guard, err) < 0)
        return -1;
    if (prepare_cgroup(runner, err) < 0 || prepare_security(runner, err) < 0)
        return -1;
    return zygote_start(&zygote, &runner->zygote, err);
}

int runner_open(const struct runner_options *options, struct runner **ret, struct error *err)
{
    struct runner *runner = x_alloc(sizeof(*runner));

    *runner = (struct runner){.options = *options,
                              .cgroup = CGROUP_INIT,
                              .zygote = ZYGOTE_INIT,
                              .guard = GUARD_INIT,
                              .netns_fd = -1,
                              .loopback_fd = -1};
    if (open_all(runner, err) < 0) {
        runner_close(runner);
        return error_wrap(err, "prepare containers for RUN");
    }
    *ret = runner;
    return 0;
}

void runner_close(struct runner *runner)
{
    if (runner == NULL)
        return;
    if (runner->guard.pid > 0)
        (void)guard_free(&runner->duty, NULL); /* what remains the next build sweeps */
    zygote_close(&runner->zygote);
    guard_stop(&runner->guard);
    cgroup_release(&runner->cgroup);
    cleanup_close_fd(&runner->netns_fd);
    cleanup_close_fd(&runner->loopback_fd);
    buf_release(&runner->seccomp);
    arena_release(&runner->arena);
    free(runner);
}

/* ------------------------------------------------------------------ network */

/* Another build may remove the network, empty as it is, between our two calls: try again. */
static int attach(struct runner *runner, struct error *err)
{
    struct network_definition definition = {.name = network_name};
    struct network_attachment attachment = {.container = runner->name,
                                            .container_name = runner->name,
                                            .netns_fd = runner->netns_fd,
                                            .ifname = "eth0",
                                            .is_default_route = true};
    const struct network_endpoint *endpoint;
    const struct network_record *record;
    int r = -1;

    for (int i = 0; r < 0 && i < NETWORK_TRIES; i++) {
        r = network_create(&runner->arena, &runner->duty.dirs, &definition, &record, err);
        if (r == 0)
            r = network_attach(&runner->arena, &runner->duty.dirs, record, &attachment, &endpoint,
                               err);
    }
    return r < 0 ? error_wrap(err, "network for RUN") : 0;
}

static bool is_loopback(struct str address)
{
    return str_starts_with(address, "127.") || str_is(address, "::1");
}

/* The host's resolv.conf less the servers that only the host itself can reach. *ret_servers: how
 * many are left. */
static int read_host_dns(struct buf *out, size_t *ret_servers, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct str rest, line, tail;

    *ret_servers = 0;
    if (fs_read_file(AT_FDCWD, "/etc/resolv.conf", RESOLV_CONF_MAX, &text, err) < 0)
        return -1;
    for (rest = buf_str(&text); rest.len > 0; rest = tail) {
        line = rest;
        tail = (struct str){NULL, 0};
        (void)str_cut(rest, '\n', &line, &tail); /* the last line has no end */
        if (str_starts_with(line, "nameserver")) {
            if (is_loopback(str_trim((struct str){line.data + 10, line.len - 10})))
                continue;
            (*ret_servers)++;
        }
        buf_add_str(out, line);
        buf_add_char(out, '\n');
    }
    return 0;
}

static int write_name_files(const struct run_request *request, const struct buf *resolv_conf,
                            struct error *err)
{
    if (fs_replace(request->dir_fd, "hosts", hosts_text, sizeof(hosts_text) - 1, 0644, FS_VOLATILE,
                   err) < 0 ||
        fs_replace(request->dir_fd, "hostname", hostname, sizeof(hostname) - 1, 0644, FS_VOLATILE,
                   err) < 0)
        return -1;
    return fs_replace(request->dir_fd, "resolv.conf", buf_text(resolv_conf), resolv_conf->len, 0644,
                      FS_VOLATILE, err);
}

/* A resolver on the host's loopback can't be reached through a bridge: such hosts give RUN their
 * own network. *ret_fd is borrowed; -1 = the host's. */
static int prepare_network(struct runner *runner, const struct run_request *request, int *ret_fd,
                           struct error *err)
{
    cleanup_buf struct buf resolv_conf = BUF_INIT;
    cleanup_buf struct buf host_text = BUF_INIT;
    size_t n_servers;

    *ret_fd = -1;
    if (read_host_dns(&resolv_conf, &n_servers, err) < 0)
        return -1;
    bool uses_host = request->network == RUN_NETWORK_HOST ||
                     (request->network == RUN_NETWORK_DEFAULT && n_servers == 0);
    if (uses_host) {
        if (fs_read_file(AT_FDCWD, "/etc/resolv.conf", RESOLV_CONF_MAX, &host_text, err) < 0)
            return -1;
        return write_name_files(request, &host_text, err);
    }
    int *fd = request->network == RUN_NETWORK_NONE ? &runner->loopback_fd : &runner->netns_fd;
    if (*fd < 0) {
        if (netns_new(fd, err) < 0)
            return -1;
        if (request->network == RUN_NETWORK_DEFAULT && attach(runner, err) < 0) {
            (void)close(fd_take(fd));
            return -1;
        }
    }
    *ret_fd = *fd;
    return write_name_files(request, &resolv_conf, err);
}

/* ------------------------------------------------------------------ output */

struct output {
    int fd; /* -1 = ended */
    struct buf line;
    const struct run_request *request;
};

static void emit_line(struct output *output)
{
    while (output->line.len > 0 && output->line.data[output->line.len - 1] == '\r')
        output->line.len--;
    buf_add_char(&output->line, '\0'); /* whatever it held, a text ends here */
    output->request->on_line(output->line.data, output->request->context);
    buf_clear(&output->line);
}

static void take_output(struct output *output, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n')
            emit_line(output);
        else if (bytes[i] != '\0')
            buf_add_char(&output->line, bytes[i]);
        if (output->line.len >= LINE_BYTES_MAX)
            emit_line(output);
    }
}

static void read_output(struct output *output)
{
    char bytes[8 * 1024];
    ssize_t n = fs_read(output->fd, bytes, sizeof(bytes));

    if (n > 0) {
        take_output(output, bytes, (size_t)n);
        return;
    }
    if (n < 0 && errno == EAGAIN)
        return;
    if (output->line.len > 0)
        emit_line(output);
    (void)close(fd_take(&output->fd));
}

/* ------------------------------------------------------------------ running */

/* 0: the container ended. 1: nothing now. */
static int take_events(struct runner *runner, const char *id, int *ret_code, struct error *err)
{
    for (;;) {
        struct zygote_event event = ZYGOTE_EVENT_INIT;
        int r = zygote_receive(&runner->zygote, &event, err);
        if (r != 0)
            return r;
        enum zygote_event_kind kind = event.kind;
        *ret_code = event.exit_code;
        if (kind == ZYGOTE_FAILED && err != NULL)
            *err = event.error;
        zygote_event_release(&event);
        if (kind != ZYGOTE_FAILED && kind != ZYGOTE_EXITED)
            continue;
        if (zygote_forget(&runner->zygote, id, NULL) < 0)
            return error_set(err, ERROR_SYSTEM, "the zygote is gone");
        return kind == ZYGOTE_FAILED ? -1 : 0;
    }
}

/* Until the process has ended and everything it wrote was read. */
static int supervise(struct runner *runner, const char *id, struct output *output, int *ret_code,
                     struct error *err)
{
    bool has_ended = false;

    while (!has_ended || output->fd >= 0) {
        struct pollfd fds[2] = {{.fd = has_ended ? -1 : runner->zygote.fd, .events = POLLIN},
                                {.fd = output->fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return error_sys(err, errno, "wait for a container");
        if (fds[1].revents != 0)
            read_output(output);
        if (fds[0].revents == 0)
            continue;
        int r = take_events(runner, id, ret_code, err);
        if (r < 0)
            return r;
        has_ended = r == 0;
    }
    return 0;
}

static int make_pipe(int *ret_read, int *ret_write, struct error *err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_sys(err, errno, "make a pipe");
    (void)fcntl(ends[0], F_SETPIPE_SZ, OUTPUT_PIPE_BYTES); /* past the allowance it stays smaller */
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *ret_read = ends[0];
    *ret_write = ends[1];
    return 0;
}

static struct strings layer_paths(struct arena *arena, const struct runner *runner,
                                  const struct strings *layers)
{
    struct strings paths = {arena_new_array(arena, const char *, layers->n), layers->n};

    for (size_t i = 0; i < layers->n; i++)
        paths.items[i] = arena_printf(arena, "%s/%s", runner->options.state_path,
                                      layer_path(arena, layers->items[i]));
    return paths;
}

/* The v1 hierarchies a container is shown: mount options, controllers on one mount together. */
static struct strings shown_hierarchies(struct arena *arena, const struct cgroup_layout *layout)
{
    struct strings list = {arena_new_array(arena, const char *, CGROUP_CONTROLLERS), 0};
    bool done[CGROUP_CONTROLLERS] = {false};

    for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
        if (done[i] || layout->v1_roots[i] == NULL)
            continue;
        const char *options = cgroup_controller_names[i];
        for (int k = i + 1; k < CGROUP_CONTROLLERS; k++) {
            if (!text_equal(layout->v1_roots[i], layout->v1_roots[k]))
                continue;
            options = arena_printf(arena, "%s,%s", options, cgroup_controller_names[k]);
            done[k] = true;
        }
        list.items[list.n++] = options;
    }
    return list;
}

static int spawn(struct runner *runner, const struct run_request *request, const char *id,
                 int output_fd, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_prepared struct container_prepared *prepared = NULL;
    struct container_spec spec = {.name = runner->name, .project = "build"};
    struct process_resolved process = {.argv = request->argv,
                                       .environment = request->environment,
                                       .user = request->user,
                                       .working_dir = request->working_dir,
                                       .stop_signal = "SIGTERM"};
    struct container_build build = CONTAINER_BUILD_INIT;

    build.id = id;
    build.hostname = hostname;
    build.spec = &spec;
    build.process = &process;
    build.layers = layer_paths(&arena, runner, &request->layers);
    build.dir_fd = request->dir_fd;
    build.has_hosts = build.has_resolv_conf = build.has_hostname = true;
    build.cgroup2_fd = runner->cgroup.v2_fd;
    build.cgroup1_fds = runner->cgroup.v1_procs_fds;
    build.n_cgroup1_fds = runner->cgroup.n_v1;
    build.cgroup1_hierarchies = shown_hierarchies(&arena, &runner->layout);
    build.stdio_fds[1] = build.stdio_fds[2] = output_fd;
    build.seccomp = runner->seccomp.data;
    build.seccomp_size = runner->seccomp.len;
    build.capabilities = capability_default_set;
    build.masked_paths = runner->masked;
    build.read_only_paths = runner->read_only;
    if (prepare_network(runner, request, &build.netns_fd, err) < 0 ||
        container_prepare(&build, &prepared, err) < 0 ||
        zygote_spawn(&runner->zygote, id, prepared, err) < 0)
        return -1;
    return zygote_go(&runner->zygote, id, err);
}

int runner_run(struct runner *runner, const struct run_request *request, int *ret_code,
               struct error *err)
{
    struct output output = {.fd = -1, .request = request};
    cleanup_fd int write_fd = -1;
    char id[CONTAINER_ID_MAX + 1];

    (void)snprintf(id, sizeof(id), "%.48s-%zu", runner->name, ++runner->n_runs); /* fits */
    if (make_pipe(&output.fd, &write_fd, err) < 0)
        return -1;
    int r = spawn(runner, request, id, write_fd, err);
    (void)close(fd_take(&write_fd)); /* the container's is the last one: its end is ours */
    if (r == 0)
        r = supervise(runner, id, &output, ret_code, err);
    cleanup_close_fd(&output.fd);
    buf_release(&output.line);
    return r;
}
