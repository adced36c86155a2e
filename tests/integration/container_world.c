#include "tests/integration/container_world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/fs.h"
#include "engine/base/path.h"
#include "engine/base/process.h"
#include "engine/security/security.h"
#include "tests/tap.h"

enum { EVENT_TIMEOUT_MS = 10000 };

static void make_dirs(const char *path)
{
    struct error err = ERROR_INIT;
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    CHECK_OK(fs_make_dirs(root, path + 1, 0755, &err), &err);
    close(root);
}

void world_file(const struct world *world, const char *path, const char *text, unsigned mode)
{
    struct arena arena = ARENA_INIT;
    char *whole = arena_printf(&arena, "%s%s", world->layer, path);
    int fd;

    make_dirs(path_dir(&arena, whole));
    fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    CHECK(fd >= 0);
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    CHECK(fchmod(fd, mode) == 0);
    close(fd);
    arena_release(&arena);
}

static void install_busybox(const struct world *world)
{
    struct error err = ERROR_INIT;
    const char *target =
        arena_printf((struct arena *)(uintptr_t)&world->arena, "%s/bin", world->layer);
    const char *const copy[] = {"cp", "/bin/busybox", target, NULL};
    const char *const links[] = {"chroot", world->layer, "/bin/busybox", "--install", "-s",
                                 "/bin",   NULL};
    struct process_options options = PROCESS_OPTIONS_INIT;
    struct process process = PROCESS_INIT;
    int status;

    options.argv = copy;
    CHECK_OK(process_spawn(&options, &process, &err), &err);
    CHECK_OK(process_wait(&process, &status, &err), &err);
    CHECK_INT(status, 0);
    options.argv = links;
    CHECK_OK(process_spawn(&options, &process, &err), &err);
    CHECK_OK(process_wait(&process, &status, &err), &err);
    CHECK_INT(status, 0);
}

void world_open(struct world *world)
{
    struct error err = ERROR_INIT;
    struct zygote_options options = {.project = "test", .keeper_exec_fd = -1};

    if (geteuid() != 0)
        SKIP("needs root");
    if (access("/bin/busybox", X_OK) != 0)
        SKIP("needs /bin/busybox (static)");
    *world = (struct world){.zygote = ZYGOTE_INIT};
    world->dir = tap_temp_dir();
    world->layer = arena_printf(&world->arena, "%s/layer", world->dir);
    make_dirs(arena_printf(&world->arena, "%s/bin", world->layer));
    install_busybox(world);
    world_file(world, "/etc/passwd",
               "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n", 0644);
    world_file(world, "/etc/group", "root:x:0:\nuser:x:1000:\nwheel:x:10:root,user\n", 0644);
    CHECK_OK(container_default_paths(&world->arena, &world->masked, &world->read_only, &err), &err);
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL); /* as keepers do */
    CHECK_OK(zygote_start(&options, &world->zygote, &err), &err);
}

void world_close(struct world *world)
{
    struct pollfd ended = {.fd = world->zygote.pidfd, .events = POLLIN};

    close(world->zygote.fd);
    world->zygote.fd = -1;
    CHECK_INT(poll(&ended, 1, EVENT_TIMEOUT_MS), 1); /* it has nothing left to do */
    CHECK(waitpid(world->zygote.pid, NULL, 0) == world->zygote.pid);
    zygote_close(&world->zygote);
    arena_release(&world->arena);
}

void trial_init(struct trial *trial, struct world *world, const char *script)
{
    struct arena *arena = &world->arena;
    const char *dir;
    int all_fd = open(world->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    CHECK(all_fd >= 0);
    fs_spread_subdirs(all_fd); /* as the engine does it */
    close(all_fd);
    *trial = (struct trial){.world = world,
                            .build = CONTAINER_BUILD_INIT,
                            .pidfd = -1,
                            .terminal_fd = -1,
                            .last = ZYGOTE_EVENT_INIT};
    trial->id = arena_printf(arena, "%064d", ++world->n_containers);
    dir = arena_printf(arena, "%s/%d", world->dir, world->n_containers);
    make_dirs(dir);
    trial->spec = (struct container_spec){.name = "trial", .project = "test", .image = "busybox"};
    trial->spec.has_command = true;
    trial->spec.command.n = 3;
    trial->spec.command.items = arena_new_array(arena, const char *, 3);
    trial->spec.command.items[0] = "/bin/sh";
    trial->spec.command.items[1] = "-c";
    trial->spec.command.items[2] = script;
    trial->spec.stop_grace_ns = -1;
    trial->build.id = trial->id;
    trial->build.spec = &trial->spec;
    trial->build.process = &trial->process;
    trial->build.hostname = "trial";
    trial->build.layers.items = arena_memdup(arena, &world->layer, sizeof(world->layer));
    trial->build.layers.n = 1;
    trial->build.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(trial->build.dir_fd >= 0);
    trial->build.capabilities = capability_default_set;
    trial->build.masked_paths = world->masked;
    trial->build.read_only_paths = world->read_only;
    CHECK(pipe2(trial->stdout_pipe, O_CLOEXEC) == 0);
    trial->build.stdio_fds[1] = trial->build.stdio_fds[2] = trial->stdout_pipe[1];
    trial->build.kept_fds[0] = trial->stdout_pipe[0];
}

void trial_prepare(struct trial *trial)
{
    struct container_prepared *prepared = NULL;
    struct error err = ERROR_INIT;

    CHECK_OK(container_resolve_process(&trial->world->arena, &trial->spec, &trial->image,
                                       trial->build.hostname, &trial->process, &err),
             &err);
    trial->build.mounts = trial->mounts;
    trial->build.n_mounts = trial->mounts != NULL ? trial->spec.n_mounts : 0;
    for (size_t i = 0; i < trial->build.n_mounts; i++)
        trial->mounts[i].spec = &trial->spec.mounts[i];
    CHECK_OK(container_prepare(&trial->build, &prepared, &err), &err);
    CHECK_OK(zygote_spawn(&trial->world->zygote, trial->id, prepared, &err), &err);
    container_prepared_release(prepared);
    close(trial->stdout_pipe[1]);
    close(trial->build.dir_fd);
}

void world_next(struct world *world, struct zygote_event *ret)
{
    struct error err = ERROR_INIT;

    for (;;) {
        struct pollfd readable = {.fd = world->zygote.fd, .events = POLLIN};
        int result = zygote_receive(&world->zygote, ret, &err);

        if (result == 0)
            return;
        CHECK_OK(result < 0 ? result : 0, &err);
        CHECK_INT(poll(&readable, 1, EVENT_TIMEOUT_MS), 1);
    }
}

static void take_event(struct trial *trial, struct zygote_event *event)
{
    CHECK_TEXT(event->id, trial->id);
    if (event->kind == ZYGOTE_SPAWNED) {
        trial->pid = event->pid;
        trial->pidfd = event->pidfd;
        event->pidfd = -1;
    }
    if (event->terminal_fd >= 0) {
        trial->terminal_fd = event->terminal_fd;
        event->terminal_fd = -1;
    }
}

void trial_until(struct trial *trial, enum zygote_event_kind kind)
{
    enum zygote_event_kind got;

    do {
        struct zygote_event event = ZYGOTE_EVENT_INIT;

        world_next(trial->world, &event);
        take_event(trial, &event);
        got = event.kind;
        if (got == ZYGOTE_FAILED && kind != ZYGOTE_FAILED)
            tap_fail(TAP_HERE, "container failed: %s", event.error.text);
        zygote_event_release(&event);
    } while (got != kind);
}

static void read_out(struct trial *trial)
{
    cleanup_buf struct buf out = BUF_INIT;
    int fd = trial->terminal_fd >= 0 ? trial->terminal_fd : trial->stdout_pipe[0];

    buf_init(&out, 1 << 20);
    for (;;) { /* a terminal ends with EIO */
        char bytes[4096];
        ssize_t n = fs_read(fd, bytes, sizeof(bytes));

        if (n <= 0)
            break;
        buf_add(&out, bytes, (size_t)n);
    }
    trial->out = arena_strdup(&trial->world->arena, buf_text(&out));
}

void trial_end(struct trial *trial)
{
    struct error err = ERROR_INIT;

    do {
        zygote_event_release(&trial->last);
        world_next(trial->world, &trial->last);
        take_event(trial, &trial->last);
    } while (trial->last.kind != ZYGOTE_FAILED && trial->last.kind != ZYGOTE_EXITED);
    CHECK_OK(zygote_forget(&trial->world->zygote, trial->id, &err), &err);
    read_out(trial);
    close(trial->stdout_pipe[0]);
    close(trial->pidfd);
}

void trial_start(struct trial *trial)
{
    struct error err = ERROR_INIT;

    trial_prepare(trial);
    CHECK_OK(zygote_go(&trial->world->zygote, trial->id, &err), &err);
    trial_until(trial, ZYGOTE_STARTED);
}

void trial_run(struct trial *trial)
{
    struct error err = ERROR_INIT;

    trial_prepare(trial);
    CHECK_OK(zygote_go(&trial->world->zygote, trial->id, &err), &err);
    trial_end(trial);
    if (trial->last.kind == ZYGOTE_FAILED)
        fprintf(stderr, "# failed: %s\n", trial->last.error.text);
}

const char *trial_out(const struct trial *trial)
{
    return trial->out;
}

void world_run_script(struct world *world, struct trial *trial, const char *script)
{
    world_open(world);
    trial_init(trial, world, script);
    trial_run(trial);
}

void trial_use_filter(struct trial *trial, struct buf *filter)
{
    int run_fd = open(trial->world->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct error err = ERROR_INIT;

    CHECK(seccomp_filter_get(run_fd, capability_default_set, filter, &err) >= 0);
    close(run_fd);
    trial->build.seccomp = filter->data;
    trial->build.seccomp_size = filter->len;
}

int make_netns(void)
{
    int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), made;

    CHECK(own >= 0);
    CHECK(unshare(CLONE_NEWNET) == 0);
    made = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    CHECK(setns(own, CLONE_NEWNET) == 0);
    close(own);
    return made;
}
