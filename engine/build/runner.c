/* Containers for RUN.
 *
 * Everything of one builder is named "build-PID-TICKS" (process id and its start time), so that the
 * next builder can tell what a killed one left behind. */

#include "engine/build/runner.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
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
    int netns_fd;              /* -1 = not made yet */
    int loopback_fd;           /* a namespace without any network; -1 = not made yet */
    struct event_base *base;   /* NULL = not made yet */
    struct resolver *resolver; /* NULL unless the host's name servers are on its loopback */
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
    runner->base = event_base_new();
    if (runner->base == NULL)
        return error_set(err, ERROR_SYSTEM, "make an event loop");
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
    resolver_free(runner->resolver);
    if (runner->base != NULL)
        event_base_free(runner->base);
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

/* Name servers that only the host itself can reach, as systemd-resolved's 127.0.0.53. */
static bool has_other_servers(struct str text)
{
    struct str line, tail;

    for (; text.len > 0; text = tail) {
        line = text;
        tail = (struct str){NULL, 0};
        (void)str_cut(text, '\n', &line, &tail); /* the last line has no end */
        if (str_starts_with(line, "nameserver") &&
            !is_loopback(str_trim((struct str){line.data + 10, line.len - 10})))
            return true;
    }
    return false;
}

/* Answer the container's questions from here, with the host's servers. */
static int start_resolver(struct runner *runner, struct error *err)
{
    struct resolver_options options = {.run_fd = runner->options.run_fd};
    const char *network = network_name;
    struct resolver_container container = {
        .id = runner->name, .netns_fd = runner->netns_fd, .networks = {&network, 1}};

    if (runner->resolver != NULL)
        return 0;
    if (resolver_new(runner->base, &options, &runner->resolver, err) < 0)
        return error_wrap(err, "name server for RUN");
    return resolver_add_container(runner->resolver, &container, err);
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

/* *ret is borrowed; -1 = the host's. */
static int need_netns(struct runner *runner, enum run_network network, int *ret, struct error *err)
{
    int *fd = network == RUN_NETWORK_NONE ? &runner->loopback_fd : &runner->netns_fd;

    *ret = -1;
    if (network == RUN_NETWORK_HOST)
        return 0;
    if (*fd < 0) {
        if (netns_new(fd, err) < 0)
            return -1;
        if (network == RUN_NETWORK_DEFAULT && attach(runner, err) < 0) {
            (void)close(fd_take(fd));
            return -1;
        }
    }
    *ret = *fd;
    return 0;
}

static int prepare_network(struct runner *runner, const struct run_request *request, int *ret_fd,
                           struct error *err)
{
    cleanup_buf struct buf host_text = BUF_INIT;
    cleanup_buf struct buf own_text = BUF_INIT;

    if (need_netns(runner, request->network, ret_fd, err) < 0)
        return -1;
    if (fs_exists(AT_FDCWD, "/etc/resolv.conf") &&
        fs_read_file(AT_FDCWD, "/etc/resolv.conf", RESOLV_CONF_MAX, &host_text, err) < 0)
        return -1;
    if (request->network != RUN_NETWORK_DEFAULT || has_other_servers(buf_str(&host_text)))
        return write_name_files(request, &host_text, err);

    struct resolv_conf_options options = {.host_text = buf_text(&host_text), .has_resolver = true};
    resolv_conf_print(&own_text, &options);
    return start_resolver(runner, err) < 0 ? -1 : write_name_files(request, &own_text, err);
}

/* ------------------------------------------------------------------ output */

struct output {
    int fd;
    bool has_ended;
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

/* True at the end. */
static bool read_output(struct output *output)
{
    char bytes[8 * 1024];
    ssize_t n = fs_read(output->fd, bytes, sizeof(bytes));

    if (n > 0)
        take_output(output, bytes, (size_t)n);
    if (n > 0 || (n < 0 && errno == EAGAIN))
        return false;
    if (output->line.len > 0)
        emit_line(output);
    output->has_ended = true;
    return true;
}

/* ------------------------------------------------------------------ running */

/* One container while it runs. */
struct watch {
    struct runner *runner;
    const char *id;
    struct output output;
    struct event *zygote_event, *output_event;
    bool has_ended;
    int exit_code;
    int result;
    struct error *err;
};

static void take_zygote_event(struct watch *watch, const struct zygote_event *event)
{
    if (event->kind != ZYGOTE_FAILED && event->kind != ZYGOTE_EXITED)
        return;
    watch->has_ended = true;
    watch->exit_code = event->exit_code;
    if (event->kind == ZYGOTE_FAILED)
        watch->result = error_set(watch->err, event->error.code, "%s", event->error.text);
    if (zygote_forget(&watch->runner->zygote, watch->id, NULL) < 0)
        watch->result = error_set(watch->err, ERROR_SYSTEM, "the zygote is gone");
}

static void on_zygote(int fd, short what, void *context)
{
    struct watch *watch = context;
    int r = 0;

    (void)fd;
    (void)what;
    while (r == 0) {
        struct zygote_event event = ZYGOTE_EVENT_INIT;
        r = zygote_receive(&watch->runner->zygote, &event, watch->err);
        if (r == 0)
            take_zygote_event(watch, &event);
        zygote_event_release(&event);
    }
    if (r < 0)
        watch->result = r;
}

static void on_output(int fd, short what, void *context)
{
    struct watch *watch = context;

    (void)fd;
    (void)what;
    if (read_output(&watch->output))
        (void)event_del(watch->output_event); /* the end; can't fail for an event that was added */
}

/* Until the process has ended and everything it wrote was read. */
static int supervise(struct watch *watch)
{
    struct event_base *base = watch->runner->base;
    struct error *err = watch->err;

    watch->zygote_event =
        event_new(base, watch->runner->zygote.fd, EV_READ | EV_PERSIST, on_zygote, watch);
    watch->output_event = event_new(base, watch->output.fd, EV_READ | EV_PERSIST, on_output, watch);
    if (event_add(watch->zygote_event, NULL) < 0 || event_add(watch->output_event, NULL) < 0)
        watch->result = error_set(err, ERROR_SYSTEM, "watch a container");
    while (watch->result == 0 && (!watch->has_ended || !watch->output.has_ended))
        if (event_base_loop(base, EVLOOP_ONCE) < 0)
            watch->result = error_set(err, ERROR_SYSTEM, "wait for a container");
    event_free(watch->zygote_event);
    event_free(watch->output_event);
    return watch->result;
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
    struct watch watch = {.runner = runner, .output = {.fd = -1, .request = request}, .err = err};
    cleanup_fd int write_fd = -1;
    char id[CONTAINER_ID_MAX + 1];

    (void)snprintf(id, sizeof(id), "%.48s-%zu", runner->name, ++runner->n_runs); /* fits */
    watch.id = id;
    if (make_pipe(&watch.output.fd, &write_fd, err) < 0)
        return -1;
    int r = spawn(runner, request, id, write_fd, err);
    (void)close(fd_take(&write_fd)); /* the container's is the last one: its end is ours */
    if (r == 0)
        r = supervise(&watch);
    if (r == 0)
        *ret_code = watch.exit_code;
    cleanup_close_fd(&watch.output.fd);
    buf_release(&watch.output.line);
    return r;
}
