/* How clients find the keeper, or start one: connect; on failure lock, connect again, start. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/process.h"
#include "engine/base/sys.h"
#include "engine/keeper/files.h"
#include "engine/keeper/keeper.h"
#include "engine/keeper/protocol.h"

enum {
    ATTEMPTS = 10, /* a keeper may end just before it hears us: the next attempt starts one */
    HELLO_WAIT_MS = 10000,
    RESTART_WAIT_MS = 10000,
    ALIVE_FILE_MAX = 100,
};

void keeper_address(int dir_fd, const char *name, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", dir_fd, name);
}

int keeper_lock(int dir_fd, enum fs_lock how, int *ret_fd, struct error *err)
{
    cleanup_fd int fd =
        openat(dir_fd, KEEPER_LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    int result;

    if (fd < 0)
        return error_sys(err, errno, "open \"%s\"", KEEPER_LOCK_FILE);
    result = fs_lock(fd, how, err);
    if (result == 0)
        *ret_fd = fd_take(&fd);
    return result;
}

/* ------------------------------------------------------------------ connecting */

/* 0 when it is a keeper that we understand; 1 when it ended before it heard us. */
static int hear_hello(int fd, struct error *err)
{
    cleanup_message struct protocol_message message = PROTOCOL_MESSAGE_INIT;
    cleanup_free char *buffer = x_alloc(PROTOCOL_MAX_BYTES);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    struct error one = ERROR_INIT;

    if (poll(&wait, 1, HELLO_WAIT_MS) == 0)
        return error_set(err, ERROR_TIMEOUT, "the keeper does not answer");
    if (protocol_receive(fd, buffer, &message, &one) < 0) {
        if (one.code == ERROR_NOT_FOUND)
            return 1;
        if (err)
            *err = one;
        return -1;
    }
    if (json_i64_or(message.json, "hello", 0) != PROTOCOL_VERSION)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the keeper was started by another release of berth: stop its "
                         "containers with that one");
    return 0;
}

/* 0; 1 when nobody listens. */
static int try_connect(int dir_fd, int *ret_fd, struct error *err)
{
    cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un address;
    int bytes = PROTOCOL_SOCKET_BYTES;
    int result;

    if (fd < 0)
        return error_sys(err, errno, "make a socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)); /* fewer waits */
    keeper_address(dir_fd, KEEPER_SOCKET, &address);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        if (errno == ENOENT || errno == ECONNREFUSED)
            return 1;
        return error_sys(err, errno, "connect to the keeper");
    }
    result = hear_hello(fd, err);
    if (result == 0)
        *ret_fd = fd_take(&fd);
    return result;
}

/* ------------------------------------------------------------------ a keeper that is coming */

pid_t keeper_living_process(int dir_fd, const char *file)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct error ignored;
    unsigned long long ticks = 0;
    int pid = 0;

    if (fs_read_file(dir_fd, file, ALIVE_FILE_MAX, &text, &ignored) < 0 ||
        sscanf(buf_text(&text), "%d %llu", &pid, &ticks) != 2 || pid <= 0 || ticks == 0 ||
        sys_process_start_ticks(pid) != ticks)
        return 0;
    return pid;
}

static bool zygote_is_alive(int dir_fd)
{
    return keeper_living_process(dir_fd, KEEPER_ZYGOTE_FILE) > 0;
}

bool keeper_is_alive(int run_fd, const char *project)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_fd int dir_fd = openat(run_fd, arena_printf(&arena, "projects/%s", project),
                                   O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return dir_fd >= 0 &&
           (keeper_living_process(dir_fd, KEEPER_ALIVE_FILE) > 0 || zygote_is_alive(dir_fd));
}

int keeper_forget(int run_fd, const char *project, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const char *path = arena_printf(&arena, "projects/%s", project);
    cleanup_fd int fd = openat(run_fd, arena_printf(&arena, "%s/" KEEPER_ALIVE_FILE, path),
                               O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    struct error one = ERROR_INIT;
    int result = fd >= 0 ? fs_lock(fd, FS_LOCK_TRY, err) : 0;

    if (result != 0)
        return result < 0 ? -1 : 0;
    /* Not empty: the next one waits for the project already, and has made a new lock in there. */
    if (fs_remove_tree(run_fd, path, &one) < 0 && one.errnum != ENOTEMPTY) {
        if (err)
            *err = one;
        return -1;
    }
    return 0;
}

static int open_socket_watch(int dir_fd, int *ret_fd, struct error *err)
{
    cleanup_fd int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    char path[40]; /* "/proc/self/fd/2147483647" */

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", dir_fd);
    if (watch < 0 || inotify_add_watch(watch, path, IN_MOVED_TO) < 0)
        return error_sys(err, errno, "watch for the keeper's socket");
    *ret_fd = fd_take(&watch);
    return 0;
}

/* Connect as soon as the zygote's new keeper listens: 0; 1 when it does not come, because the
 * zygote has ended (with nothing to watch it starts none) or takes too long. */
static int wait_for_restart(int dir_fd, int *ret_fd, struct error *err)
{
    enum { WATCH_SOCKET, WATCH_ZYGOTE, WATCHES };
    int64_t deadline_ns = clock_monotonic_ns() + RESTART_WAIT_MS * NS_PER_MS;
    pid_t zygote = keeper_living_process(dir_fd, KEEPER_ZYGOTE_FILE);
    cleanup_fd int zygote_fd = zygote > 0 ? pidfd_open(zygote, 0) : -1;
    cleanup_fd int watch_fd = -1;
    char events[1024];

    if (open_socket_watch(dir_fd, &watch_fd, err) < 0)
        return -1;
    for (;;) {
        struct pollfd wait[WATCHES] = {{.fd = watch_fd, .events = POLLIN},
                                       {.fd = zygote_fd, .events = POLLIN}};
        int result = try_connect(dir_fd, ret_fd, err);
        int64_t left_ns = deadline_ns - clock_monotonic_ns();

        if (result != 1)
            return result;
        if (left_ns <= 0 || zygote_fd < 0)
            return 1;
        (void)poll(wait, WATCHES, (int)(left_ns / NS_PER_MS) + 1); /* a signal: look again */
        if (wait[WATCH_SOCKET].revents)
            (void)fs_read(watch_fd, events, sizeof(events)); /* any event: look again */
        if (wait[WATCH_ZYGOTE].revents)
            close(fd_take(&zygote_fd)); /* look once more */
    }
}

/* ------------------------------------------------------------------ starting one */

/* "\n" = ready; else the text of its error. */
static int read_report(int fd, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;

    buf_init(&text, ERROR_TEXT_MAX);
    if (fs_read_all(fd, &text, err) < 0)
        return -1;
    if (strcmp(buf_text(&text), "\n") == 0)
        return 0;
    return error_set(err, ERROR_SYSTEM, "%s",
                     text.len ? buf_text(&text) : "it ended without a word (see keeper.log)");
}

static int spawn(const struct keeper_place *place, struct error *err)
{
    static const char *const environment[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    const char *const argv[] = {"/proc/self/exe",  "internal",      "keeper",  place->project,
                                place->state_root, place->run_root, "--ready", NULL};
    struct process process = PROCESS_INIT;
    struct process_options options = PROCESS_OPTIONS_INIT;
    cleanup_fd int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    cleanup_fd int read_fd = -1, write_fd = -1;
    int ends[2];

    if (null_fd < 0 || pipe2(ends, O_CLOEXEC) < 0)
        return error_sys(err, errno, "prepare the keeper");
    read_fd = ends[0];
    write_fd = ends[1];
    options.argv = argv;
    options.envp = environment;
    options.stdout_fd = options.stderr_fd = null_fd;
    options.keep_fds = &write_fd;
    options.n_keep_fds = 1;
    options.working_dir = "/";
    options.new_session = true;
    if (process_spawn(&options, &process, err) < 0)
        return -1;
    /* It outlives us. */
    close(process.pidfd);
    close(fd_take(&write_fd));
    return read_report(read_fd, err);
}

/* With the lock held: 0 and connected, 1 when there is still none. */
static int start_keeper(const struct keeper_place *place, int dir_fd, int *ret_fd,
                        struct error *err)
{
    cleanup_fd int lock = -1;
    int result;

    if (keeper_lock(dir_fd, FS_LOCK_EXCLUSIVE, &lock, err) < 0)
        return -1;
    result = try_connect(dir_fd, ret_fd, err);
    if (result == 1 && zygote_is_alive(dir_fd))
        result = wait_for_restart(dir_fd, ret_fd, err);
    if (result != 1)
        return result;
    if (spawn(place, err) < 0)
        return error_wrap(err, "start the keeper of \"%s\"", place->project);
    return try_connect(dir_fd, ret_fd, err);
}

/* One attempt. 0; 1 = none runs; 2 = there was one, try again. The directory is opened anew each
 * time: the last one of the project may have been removed with its last container. */
static int attempt(const struct keeper_place *place, const char *dir, bool start, int *ret_fd,
                   struct error *err)
{
    cleanup_fd int dir_fd = openat(place->run_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result;

    if (dir_fd < 0 && errno == ENOENT && !start)
        return 1;
    if (dir_fd < 0 && fs_open_dirs(place->run_fd, dir, 0700, &dir_fd, err) < 0)
        return -1;
    result = try_connect(dir_fd, ret_fd, err);
    if (result != 1)
        return result;
    if (!start && !zygote_is_alive(dir_fd))
        return 1;
    result = start_keeper(place, dir_fd, ret_fd, err);
    return result == 1 ? 2 : result;
}

int keeper_connect(const struct keeper_place *place, bool start, int *ret_fd, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const char *dir = arena_printf(&arena, "projects/%s", place->project);

    for (int i = 0; i < ATTEMPTS; i++) {
        int result = attempt(place, dir, start, ret_fd, err);

        if (result != 2)
            return result;
    }
    return error_set(err, ERROR_TIMEOUT, "the keeper of \"%s\" does not stay", place->project);
}
