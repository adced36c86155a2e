/* The keeper's main: start, loop, end. */

#include "engine/keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/listener.h"
#include "engine/base/str.h"
#include "engine/base/sys.h"
#include "engine/base/trace.h"
#include "engine/base/units.h"
#include "engine/keeper/files.h"
#include "engine/keeper/supervisor.h"

enum {
    INHERITED_FD = 3,
    LISTEN_BACKLOG = 64,
    MALLOC_TOP_PAD = 16 << 10,
    PATIENCE_MS = 10000,
    FEATURES_MAX = 64 << 10,
    KEEPER_LOG_MAX_BYTES = 1 << 20
};

enum start_mode { START_READY, START_ADOPT };

void keeper_log(const char *fmt, ...)
{
    cleanup_buf struct buf line = BUF_INIT;
    struct error ignored;
    struct stat file;
    va_list args;

    /* What a container can make fail again and again must not fill the disk. */
    if (fstat(STDERR_FILENO, &file) == 0 && file.st_size > KEEPER_LOG_MAX_BYTES)
        return;
    clock_print_rfc3339(&line, clock_realtime_ns());
    buf_add_char(&line, ' ');
    va_start(args, fmt);
    buf_vprintf(&line, fmt, args);
    va_end(args);
    buf_add_char(&line, '\n');
    (void)fs_write_all(STDERR_FILENO, line.data, line.len, &ignored); /* nowhere to complain */
}

struct network_dirs keeper_network_dirs(const struct keeper *keeper)
{
    return (struct network_dirs){.state_fd = keeper->place.state_fd,
                                 .run_fd = keeper->place.run_fd,
                                 .firewall_fd = keeper->firewall_fd};
}

struct supervised *keeper_find(struct keeper *keeper, const char *name)
{
    list_for_each (pos, &keeper->containers) {
        struct supervised *container = container_of(pos, struct supervised, link);

        if (strcmp(container->name, name) == 0)
            return container;
    }
    return NULL;
}

struct supervised *keeper_find_id(struct keeper *keeper, const char *id)
{
    list_for_each (pos, &keeper->containers) {
        struct supervised *container = container_of(pos, struct supervised, link);

        if (strcmp(container->id, id) == 0)
            return container;
    }
    return NULL;
}

/* ------------------------------------------------------------------ the zygote */

/* Without a zygote nobody would start us again: those that run shall not wait for the next spawn to
 * have one. One that dies at once is not tried over and over. */
static void replace_zygote(evutil_socket_t fd, short what, void *context)
{
    enum { AT_LEAST_NS = 100 * 1000 * 1000 };
    static const struct timeval moment = {0, 100000};
    struct keeper *keeper = context;
    int64_t now_ns = clock_monotonic_ns();
    struct error err = ERROR_INIT;
    bool is_needed = false;

    (void)fd;
    (void)what;
    list_for_each (pos, &keeper->containers)
        is_needed |= !lifecycle_is_at_rest(&container_of(pos, struct supervised, link)->life);
    if (!is_needed || keeper->has_zygote)
        return;
    if (now_ns - keeper->zygote_replaced_ns < AT_LEAST_NS) {
        event_base_once(keeper->base, -1, EV_TIMEOUT, replace_zygote, keeper, &moment);
        return;
    }
    keeper->zygote_replaced_ns = now_ns;
    if (keeper_zygote_need(keeper, &err) < 0)
        keeper_log("%s, continuing", err.text);
}

void keeper_zygote_lost(struct keeper *keeper)
{
    keeper_log("the zygote of \"%s\" has died: its containers are ours now", keeper->place.project);
    event_free(keeper->zygote_event);
    event_free(keeper->zygote_death_event);
    keeper->zygote_event = keeper->zygote_death_event = NULL;
    zygote_close(&keeper->zygote);
    keeper->has_zygote = false;
    patience_stop(keeper);
    (void)unlinkat(keeper->project_run_fd, KEEPER_ZYGOTE_FILE, 0);
    if (keeper->is_adopting)
        adopt_inventory_end(keeper);
    adopt_zygote_death(keeper);
    replace_zygote(-1, 0, keeper);
}

static void zygote_readable(evutil_socket_t fd, short what, void *context)
{
    struct keeper *keeper = context;
    struct error err = ERROR_INIT;

    (void)fd;
    (void)what;
    while (keeper->has_zygote) {
        cleanup_zygote_event struct zygote_event event = ZYGOTE_EVENT_INIT;
        int result = zygote_receive(&keeper->zygote, &event, &err);

        if (result > 0)
            return;
        if (result < 0) {
            if (err.code != ERROR_NOT_FOUND)
                keeper_log("zygote: %s", err.text);
            keeper_zygote_lost(keeper);
            return;
        }
        supervise_zygote_event(keeper, &event);
    }
}

/* Everything it said is read before its death is believed. */
static void zygote_died(evutil_socket_t fd, short what, void *context)
{
    struct keeper *keeper = context;

    zygote_readable(fd, what, context);
    if (keeper->has_zygote)
        keeper_zygote_lost(keeper);
}

/* So that a client that finds no keeper knows that one is coming. */
static void write_zygote_file(struct keeper *keeper)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct error err = ERROR_INIT;

    buf_printf(&text, "%d %llu\n", (int)keeper->zygote.pid,
               (unsigned long long)sys_process_start_ticks(keeper->zygote.pid));
    if (fs_replace(keeper->project_run_fd, KEEPER_ZYGOTE_FILE, text.data, text.len, 0600,
                   FS_VOLATILE, &err) < 0)
        keeper_log("%s, continuing", err.text);
}

void keeper_zygote_use(struct keeper *keeper)
{
    keeper->has_zygote = true;
    keeper->zygote_event =
        event_new(keeper->base, keeper->zygote.fd, EV_READ | EV_PERSIST, zygote_readable, keeper);
    keeper->zygote_death_event =
        event_new(keeper->base, keeper->zygote.pidfd, EV_READ, zygote_died, keeper);
    event_add(keeper->zygote_event, NULL);
    event_add(keeper->zygote_death_event, NULL);
    write_zygote_file(keeper);
    if (keeper->is_adopting)
        patience_start(keeper);
}

int keeper_zygote_need(struct keeper *keeper, struct error *err)
{
    static const char *const environment[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    cleanup_fd int self = -1;
    struct zygote_options options = {
        .project = keeper->place.project,
        .keeper_argv = keeper->restart_argv,
        .keeper_envp = environment,
    };

    if (keeper->has_zygote)
        return 0;
    self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (self < 0)
        return error_sys(err, errno, "open our own program");
    options.keeper_exec_fd = self;
    keeper->zygote = (struct zygote)ZYGOTE_INIT;
    if (zygote_start(&options, &keeper->zygote, err) < 0)
        return error_wrap(err, "start the zygote");
    if (cgroup_join_keeper(&keeper->layout, keeper->place.project, keeper->zygote.pid, err) < 0) {
        zygote_close(&keeper->zygote);
        return -1;
    }
    keeper_zygote_use(keeper);
    return 0;
}

/* ------------------------------------------------------------------ end of a turn */

static void flush_container(struct keeper *keeper, struct supervised *container)
{
    struct error err = ERROR_INIT;

    if ((container->is_dirty || container->has_to_forget) && !control_is_removing(container)) {
        if (supervise_write_state(container, &err) < 0)
            keeper_log("state of \"%s\": %s, continuing", container->name, err.text);
        container->is_dirty = false;
    }
    if (container->has_to_forget && !control_is_removing(container) && keeper->has_zygote) {
        if (zygote_forget(&keeper->zygote, container->id, &err) < 0)
            keeper_log("zygote: %s, continuing", err.text);
        container->has_to_forget = false;
    }
    supervise_go_on_logging(container);
    if (container->has_news)
        control_news(container);
    container->has_news = false;
    if (container->has_waiters_to_check) {
        container->has_waiters_to_check = false;
        control_settle(container);
    }
}

static void keeper_flush(struct keeper *keeper)
{
    list_for_each (pos, &keeper->containers)
        flush_container(keeper, container_of(pos, struct supervised, link));
    control_tell_settled(keeper);
    list_for_each (pos, &keeper->clients) {
        struct client *client = container_of(pos, struct client, link);

        if (client->is_gone)
            client_free(client);
    }
    sweep_soon(keeper);
    if (keeper->n_clients == 0 && keeper->buffer) {
        free(keeper->buffer);
        keeper->buffer = NULL;
        log_pump_relax(keeper->pump);
        (void)malloc_trim(0);
    }
}

/* ------------------------------------------------------------------ ending */

static bool is_idle(const struct keeper *keeper)
{
    if (keeper->n_clients > 0 || keeper->is_adopting || !list_is_empty(&keeper->execs))
        return false;
    list_for_each (pos, &keeper->containers) {
        if (!lifecycle_is_at_rest(&container_of(pos, struct supervised, link)->life))
            return false;
    }
    return true;
}

static void look_again(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)context; /* the turn that this makes is all */
}

/* Under the lock that starters hold, so that nobody connects to a keeper that is leaving: who came
 * before is accepted and served. */
static void try_to_end(struct keeper *keeper)
{
    static const struct timeval moment = {0, 100000};
    cleanup_fd int lock = -1;
    struct error err = ERROR_INIT;

    if (keeper_lock(keeper->project_run_fd, FS_LOCK_TRY, &lock, &err) != 0) {
        /* A starter is at work, and will connect; if it is killed, nothing would wake us. */
        event_base_once(keeper->base, -1, EV_TIMEOUT, look_again, NULL, &moment);
        return;
    }
    listener_run(keeper->listener);
    if (keeper->n_clients > 0)
        return;
    (void)unlinkat(keeper->project_run_fd, KEEPER_SOCKET, 0);
    (void)unlinkat(keeper->project_run_fd, KEEPER_ZYGOTE_FILE, 0);
    listener_free(keeper->listener);
    keeper->listener = NULL;
    close(keeper->listen_fd);
    keeper->listen_fd = -1;
    if (keeper->has_zygote)
        (void)zygote_retire(&keeper->zygote, &err); /* dead already: just as well */
    close(keeper->alive_fd);
    keeper->alive_fd = -1;
    keeper->is_over = true;
}

/* Whoever took the project down removed what is durable, but not the run directory: we were in it.
 * Under the lock of those who change the project, so that nobody begins in what we remove. */
static void remove_forgotten_run_dir(struct keeper *keeper)
{
    enum { TRIES = 200, PAUSE_MS = 5 }; /* who took it down is about to let go of the lock */
    const char *path = arena_printf(&keeper->arena, "projects/%s", keeper->place.project);
    cleanup_fd int lock = -1, alive = -1;
    struct error err = ERROR_INIT;
    struct stat info;

    if (fs_exists(keeper->place.state_fd, path))
        return;
    lock = openat(keeper->project_run_fd, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    for (int i = 0; lock >= 0 && fs_lock(lock, FS_LOCK_TRY, &err) != 0; i++) {
        if (i == TRIES || fs_exists(keeper->place.state_fd, path))
            return;
        (void)poll(NULL, 0, PAUSE_MS);
    }
    if (lock < 0 || fstat(lock, &info) < 0 || info.st_nlink == 0)
        return; /* gone already */
    alive = openat(keeper->project_run_fd, KEEPER_ALIVE_FILE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (alive >= 0 && fs_lock(alive, FS_LOCK_TRY, &err) == 0 &&
        !fs_exists(keeper->place.state_fd, path))
        (void)fs_remove_tree(keeper->place.run_fd, path, &err); /* the next `down` tries again */
}

static void keeper_end(struct keeper *keeper)
{
    struct error err = ERROR_INIT;

    list_for_each (pos, &keeper->containers)
        supervised_free(container_of(pos, struct supervised, link));
    if (keeper->has_zygote) {
        event_free(keeper->zygote_event);
        event_free(keeper->zygote_death_event);
        zygote_close(&keeper->zygote);
    }
    patience_stop(keeper);
    sweep_at_end(keeper);
    reap_stop(keeper);
    resolver_free(keeper->resolver);
    log_pump_free(keeper->pump);
    if (keeper->base)
        event_base_free(keeper->base);
    (void)cgroup_remove_project(&keeper->layout, keeper->place.project, &err);
    remove_forgotten_run_dir(keeper);
    arena_release(&keeper->arena);
}

/* ------------------------------------------------------------------ starting */

static int take_over_stdio(struct keeper *keeper, struct error *err)
{
    cleanup_fd int log_fd = openat(keeper->project_run_fd, "keeper.log",
                                   O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    cleanup_fd int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (log_fd < 0 || null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
        dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0)
        return error_sys(err, errno, "open \"keeper.log\"");
    return 0;
}

/* The kernel closes what a killed process had open one by one, and some of it takes its time: our
 * predecessor's zygote has seen it die, but its lock may still be held. */
static int lock_after_predecessor(int fd, struct error *err)
{
    enum { TRIES = 1000, PAUSE_MS = 2 };
    int result = fs_lock(fd, FS_LOCK_TRY, err);

    for (int i = 0; i < TRIES && result == 1; i++) {
        (void)poll(NULL, 0, PAUSE_MS);
        result = fs_lock(fd, FS_LOCK_TRY, err);
    }
    return result;
}

/* One keeper per project: 1 when there is another one. */
static int take_alive_lock(struct keeper *keeper, enum start_mode mode, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    int result;

    keeper->alive_fd = openat(keeper->project_run_fd, KEEPER_ALIVE_FILE,
                              O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (keeper->alive_fd < 0)
        return error_sys(err, errno, "open \"%s\"", KEEPER_ALIVE_FILE);
    result = mode == START_ADOPT ? lock_after_predecessor(keeper->alive_fd, err)
                                 : fs_lock(keeper->alive_fd, FS_LOCK_TRY, err);
    if (result != 0)
        return result;
    buf_printf(&text, "%d %llu\n", (int)getpid(),
               (unsigned long long)sys_process_start_ticks(getpid()));
    if (ftruncate(keeper->alive_fd, 0) < 0)
        return error_sys(err, errno, "write \"%s\"", KEEPER_ALIVE_FILE);
    return fs_write_all(keeper->alive_fd, text.data, text.len, err);
}

static int open_roots(struct keeper *keeper, struct error *err)
{
    char *name;

    keeper->place.state_fd = open(keeper->place.state_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    keeper->place.run_fd = open(keeper->place.run_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (keeper->place.state_fd < 0 || keeper->place.run_fd < 0)
        return error_sys(err, errno, "open \"%s\" and \"%s\"", keeper->place.state_root,
                         keeper->place.run_root);
    name = arena_printf(&keeper->arena, "projects/%s", keeper->place.project);
    return fs_open_dirs(keeper->place.run_fd, name, 0700, &keeper->project_run_fd, err);
}

/* What the kernel's control groups can do costs some probing: once per boot. */
static int read_layout(struct keeper *keeper, struct error *err)
{
    cleanup_json json_t *features = NULL;
    cleanup_buf struct buf text = BUF_INIT;
    struct error ignored;

    if (json_read_at(keeper->place.run_fd, "features", FEATURES_MAX, &features, &ignored) == 0 &&
        strcmp(json_text_or(features, "boot_id", ""), keeper->boot_id) == 0 &&
        cgroup_layout_from_json(&keeper->arena, json_object_get(features, "cgroup"),
                                &keeper->layout, &ignored) == 0)
        return 0;
    if (cgroup_detect(&keeper->arena, &keeper->layout, err) < 0)
        return -1;
    json_release(&features);
    features = json_object();
    json_set_text(features, "boot_id", keeper->boot_id);
    json_set_take(features, "cgroup", cgroup_layout_to_json(&keeper->layout));
    json_print_pretty(&text, features);
    if (fs_replace(keeper->place.run_fd, "features", text.data, text.len, 0600, FS_VOLATILE,
                   &ignored) < 0)
        keeper_log("%s, continuing", ignored.text);
    return 0;
}

static int start_listening(struct keeper *keeper, struct error *err)
{
    struct sockaddr_un address;

    keeper->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (keeper->listen_fd < 0)
        return error_sys(err, errno, "make the keeper's socket");
    (void)unlinkat(keeper->project_run_fd, KEEPER_SOCKET ".new", 0);
    keeper_address(keeper->project_run_fd, KEEPER_SOCKET ".new", &address);
    /* Listens before it has its name: whoever finds the name can connect. */
    if (bind(keeper->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(keeper->listen_fd, LISTEN_BACKLOG) < 0 ||
        fchmodat(keeper->project_run_fd, KEEPER_SOCKET ".new", 0600, 0) < 0 ||
        renameat(keeper->project_run_fd, KEEPER_SOCKET ".new", keeper->project_run_fd,
                 KEEPER_SOCKET) < 0)
        return error_sys(err, errno, "listen on the keeper's socket");
    if (control_listen(keeper, err) < 0)
        return -1;
    /* What the zygote has is learnt first: a client that asks for what exists would have it made
     * again (adopt_inventory_end lets clients in). */
    return keeper->is_adopting ? 0 : listener_on(keeper->listener, err);
}

static struct event_base *make_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base;

    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_PRECISE_TIMER |
                                      EVENT_BASE_FLAG_IGNORE_ENV);
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static void be_a_supervisor(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    cleanup_fd int oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    struct rlimit files;
    struct error ignored;

    /* Children of a zygote that dies become ours. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigaction(SIGHUP, &ignore, NULL);
    if (oom >= 0)
        (void)fs_write_all(oom, "-999", 4, &ignored); /* without privilege: as everybody */
    /* A container costs a dozen descriptors. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files); /* with fewer: fewer containers */
    }
    (void)umask(022);
    if (chdir("/") < 0)
        BUG();
    /* Small and steady beats fast here. */
    (void)mallopt(M_TOP_PAD, MALLOC_TOP_PAD);
    (void)mallopt(M_TRIM_THRESHOLD, 2 * MALLOC_TOP_PAD);
    (void)mallopt(M_MMAP_THRESHOLD, 64 << 10);
}

static int keeper_start(struct keeper *keeper, enum start_mode mode, struct error *err)
{
    keeper->base = make_base();
    if (!keeper->base)
        return error_set(err, ERROR_SYSTEM, "make an event loop");
    if (sys_boot_id(keeper->boot_id, err) < 0 || read_layout(keeper, err) < 0 ||
        cgroup_join_keeper(&keeper->layout, keeper->place.project, 0, err) < 0 ||
        log_pump_new(keeper->project_run_fd, &keeper->pump, err) < 0)
        return -1;
    if (mode == START_ADOPT) {
        keeper->is_adopting = true;
        if (zygote_adopt(INHERITED_FD, &keeper->zygote, err) < 0)
            return -1;
    } else {
        patience_end_predecessor(keeper);
    }
    if (adopt_records(keeper, err) < 0)
        return -1;
    if (mode == START_ADOPT)
        keeper_zygote_use(keeper);
    else
        replace_zygote(-1, 0, keeper); /* it was killed together with our predecessor */
    reap_start(keeper);
    keeper_flush(keeper);
    return start_listening(keeper, err);
}

/* The starter reads one byte when we are ready, or the text of an error. */
static void report(enum start_mode mode, const struct error *failure)
{
    struct error ignored;

    if (mode == START_ADOPT) {
        if (failure)
            keeper_log("take over: %s", failure->text);
        return;
    }
    if (failure)
        (void)fs_write_all(INHERITED_FD, failure->text, strlen(failure->text), &ignored);
    else
        (void)fs_write_all(INHERITED_FD, "\n", 1, &ignored);
    close(INHERITED_FD);
}

static void set_restart_argv(struct keeper *keeper)
{
    const char **argv = arena_new_array(&keeper->arena, const char *, 8);

    argv[0] = "berth";
    argv[1] = "internal";
    argv[2] = "keeper";
    argv[3] = keeper->place.project;
    argv[4] = keeper->place.state_root;
    argv[5] = keeper->place.run_root;
    argv[6] = "--adopt";
    keeper->restart_argv = argv;
}

static void keeper_init(struct keeper *keeper, char **words)
{
    *keeper = (struct keeper){.project_run_fd = -1,
                              .alive_fd = -1,
                              .listen_fd = -1,
                              .device_filter_fd = -1,
                              .sweeper = PROCESS_INIT,
                              .zygote = ZYGOTE_INIT};
    list_init(&keeper->containers);
    list_init(&keeper->clients);
    list_init(&keeper->execs);
    /* Copies: the title is written over argv. */
    keeper->place = (struct keeper_place){
        .project = arena_strdup(&keeper->arena, words[0]),
        .state_root = arena_strdup(&keeper->arena, words[1]),
        .run_root = arena_strdup(&keeper->arena, words[2]),
        .state_fd = -1,
        .run_fd = -1,
    };
    set_restart_argv(keeper);
}

static void keeper_loop(struct keeper *keeper)
{
    while (!keeper->is_over) {
        if (event_base_loop(keeper->base, EVLOOP_ONCE) < 0)
            BUG();
        keeper_flush(keeper);
        if (is_idle(keeper))
            try_to_end(keeper);
    }
}

static int parse_words(int n_words, char **words, enum start_mode *ret_mode,
                       uint64_t *ret_patience_ms)
{
    enum { MODE_WORD = 3, PATIENCE_WORD, WORDS };
    struct error ignored;

    *ret_patience_ms = PATIENCE_MS;
    if (n_words <= MODE_WORD || n_words > WORDS)
        return -1;
    if (strcmp(words[MODE_WORD], "--ready") == 0)
        *ret_mode = START_READY;
    else if (strcmp(words[MODE_WORD], "--adopt") == 0)
        *ret_mode = START_ADOPT;
    else
        return -1;
    return n_words == WORDS
               ? parse_u64(str_from(words[PATIENCE_WORD]), 1, INT32_MAX, ret_patience_ms, &ignored)
               : 0;
}

int keeper_main(int argc, char **argv, int n_words, char **words)
{
    struct keeper keeper;
    struct error err = ERROR_INIT;
    enum start_mode mode = START_READY;
    uint64_t patience_ms;
    int result;

    if (n_words == 2 && strcmp(words[0], "--sweep") == 0)
        return sweep_main(argc, argv, words[1]);
    if (parse_words(n_words, words, &mode, &patience_ms) < 0) {
        keeper_log("usage: berth internal keeper PROJECT STATE_ROOT RUN_ROOT --ready|--adopt "
                   "[PATIENCE_MS]");
        return 2;
    }
    keeper_init(&keeper, words);
    keeper.patience_ms = (int64_t)patience_ms;
    sys_set_process_title(argc, argv,
                          arena_printf(&keeper.arena, "berth keeper %s", keeper.place.project));
    (void)fcntl(INHERITED_FD, F_SETFD, FD_CLOEXEC);
    be_a_supervisor();
    result = open_roots(&keeper, &err);
    if (result == 0)
        result = take_over_stdio(&keeper, &err);
    if (result == 0)
        result = take_alive_lock(&keeper, mode, &err);
    if (result > 0) { /* another keeper serves the project: as good */
        report(mode, NULL);
        return 0;
    }
    if (result == 0)
        result = keeper_start(&keeper, mode, &err);
    report(mode, result < 0 ? &err : NULL);
    if (result < 0) {
        keeper_log("start: %s", err.text);
        return 1;
    }
    keeper_loop(&keeper);
    keeper_end(&keeper);
    return 0;
}
