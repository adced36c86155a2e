/* engine_exec: a process in a running container, with the caller's descriptors or a terminal. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/engine_internal.h"
#include "engine/keeper/protocol.h"

enum {
    RELAY_BYTES = 8 << 10,
    EXEC_TAG = 1,
    EXIT_NOT_EXECUTABLE = 126,
    EXIT_NO_COMMAND = 127,
    EXIT_OF_SIGNAL = 128
};

struct relay {
    const struct exec_request *request;
    int keeper_fd;
    int master_fd; /* -1: no terminal (yet) */
    int pidfd;     /* -1: not started */
    int signal_fd;
    bool stdin_ended;
    char *buffer; /* PROTOCOL_MAX_BYTES */
    bool is_over;
    int exit_code;
    struct termios saved;
    bool has_saved;
    sigset_t old_mask;
};

/* ------------------------------------------------------------------ our own terminal */

static void terminal_raw(struct relay *relay)
{
    struct termios raw;

    if (tcgetattr(relay->request->stdin_fd, &relay->saved) < 0)
        return; /* no terminal: nothing to change */
    raw = relay->saved;
    cfmakeraw(&raw);
    relay->has_saved = tcsetattr(relay->request->stdin_fd, TCSADRAIN, &raw) == 0;
}

static void terminal_restore(struct relay *relay)
{
    if (relay->has_saved)
        (void)tcsetattr(relay->request->stdin_fd, TCSADRAIN, &relay->saved); /* it may be gone */
}

static void pass_window_size(struct relay *relay)
{
    struct winsize size;

    if (relay->master_fd >= 0 && ioctl(relay->request->stdout_fd, TIOCGWINSZ, &size) == 0)
        (void)ioctl(relay->master_fd, TIOCSWINSZ, &size); /* the process may be gone */
}

/* ------------------------------------------------------------------ the relay */

static void on_signal(struct relay *relay)
{
    struct signalfd_siginfo info;

    if (fs_read(relay->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo == SIGWINCH) {
        pass_window_size(relay);
    } else if (relay->pidfd >= 0) {
        (void)pidfd_send_signal(relay->pidfd, (int)info.ssi_signo, NULL, 0); /* gone: it ends */
    } else { /* not started, and perhaps never: it is for us after all */
        relay->is_over = true;
        relay->exit_code = EXIT_OF_SIGNAL + (int)info.ssi_signo;
    }
}

/* Copy what is there. false at the end. */
static bool copy_some(int from, int to)
{
    char bytes[RELAY_BYTES];
    struct error ignored;
    ssize_t n = fs_read(from, bytes, sizeof(bytes));

    if (n < 0 && errno == EAGAIN)
        return true;
    return n > 0 && fs_write_all(to, bytes, (size_t)n, &ignored) == 0;
}

static void on_message(struct relay *relay, struct protocol_message *message, struct error *err)
{
    if (json_bool_or(message->json, "terminal", false) && message->n_fds == 1) {
        relay->master_fd = fd_take(&message->fds[0]);
        pass_window_size(relay);
        terminal_raw(relay);
    } else if (json_bool_or(message->json, "started", false)) {
        if (message->n_fds == 1)
            relay->pidfd = fd_take(&message->fds[0]);
    } else {
        relay->is_over = true;
        relay->exit_code = (int)json_i64_or(message->json, "exit", -1);
        if (json_object_get(message->json, "error"))
            protocol_error_read(message->json, err);
    }
}

static int receive(struct relay *relay, struct error *err)
{
    cleanup_message struct protocol_message message = PROTOCOL_MESSAGE_INIT;
    int result = protocol_receive(relay->keeper_fd, relay->buffer, &message, err);

    if (result < 0)
        return error_wrap(err, "the keeper is gone, the end of the process is unknown");
    if (result == 0)
        on_message(relay, &message, err);
    return 0;
}

enum { WATCH_KEEPER, WATCH_SIGNAL, WATCH_MASTER, WATCH_STDIN, WATCHES };

static int turn(struct relay *relay, struct error *err)
{
    bool has_terminal = relay->master_fd >= 0;
    struct pollfd watches[WATCHES] = {
        [WATCH_KEEPER] = {.fd = relay->keeper_fd, .events = POLLIN},
        [WATCH_SIGNAL] = {.fd = relay->signal_fd, .events = POLLIN},
        [WATCH_MASTER] = {.fd = relay->master_fd, .events = POLLIN},
        [WATCH_STDIN] = {.fd = has_terminal && !relay->stdin_ended ? relay->request->stdin_fd : -1,
                         .events = POLLIN},
    };

    if (poll(watches, WATCHES, -1) < 0 && errno != EINTR)
        return error_sys(err, errno, "wait for the process");
    if (watches[WATCH_SIGNAL].revents)
        on_signal(relay);
    if (watches[WATCH_STDIN].revents && !copy_some(relay->request->stdin_fd, relay->master_fd))
        relay->stdin_ended = true;
    if (watches[WATCH_MASTER].revents && !copy_some(relay->master_fd, relay->request->stdout_fd)) {
        close(relay->master_fd);
        relay->master_fd = -1;
    }
    /* Last, so that what was printed is out before the end is believed. */
    if (watches[WATCH_KEEPER].revents)
        return receive(relay, err);
    return 0;
}

/* What the process printed just before it ended. */
static void drain_terminal(struct relay *relay)
{
    int flags = relay->master_fd >= 0 ? fcntl(relay->master_fd, F_GETFL) : -1;
    struct pollfd left = {.fd = relay->master_fd, .events = POLLIN};

    if (flags < 0)
        return;
    (void)fcntl(relay->master_fd, F_SETFL, flags | O_NONBLOCK);
    while (poll(&left, 1, 0) > 0 && (left.revents & POLLIN) &&
           copy_some(relay->master_fd, relay->request->stdout_fd)) {
    }
}

static json_t *request_json(const struct exec_request *request)
{
    json_t *json = json_object();
    struct winsize size;

    json_set_i64(json, "tag", EXEC_TAG);
    json_set_text(json, "op", protocol_op_names[OP_EXEC]);
    json_set_text(json, "name", request->container);
    json_set_strings(json, "argv", &request->argv);
    json_set_pairs(json, "environment", &request->environment);
    json_set_text(json, "user", request->user);
    json_set_text(json, "working_dir", request->working_dir);
    json_set_bool(json, "tty", request->tty);
    if (request->tty && ioctl(request->stdout_fd, TIOCGWINSZ, &size) == 0) {
        json_set_i64(json, "rows", size.ws_row);
        json_set_i64(json, "columns", size.ws_col);
    }
    json_set_bool(json, "privileged", request->privileged);
    return json;
}

static int send_exec(struct relay *relay, struct error *err)
{
    const struct exec_request *request = relay->request;
    cleanup_json json_t *json = request_json(request);
    cleanup_fd int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int fds[3] = {
        request->stdin_fd >= 0 ? request->stdin_fd : null_fd,
        request->stdout_fd >= 0 ? request->stdout_fd : null_fd,
        request->stderr_fd >= 0 ? request->stderr_fd : null_fd,
    };

    if (null_fd < 0)
        return error_sys(err, errno, "open /dev/null");
    return protocol_send(relay->keeper_fd, json, fds, request->tty ? 0 : 3, err);
}

/* Signals that are for the process, not for us. */
static int open_signals(struct relay *relay, struct error *err)
{
    static const int relayed[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(relayed) / sizeof(relayed[0]); i++)
        sigaddset(&set, relayed[i]);
    sigprocmask(SIG_BLOCK, &set, &relay->old_mask);
    relay->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    return relay->signal_fd < 0 ? error_sys(err, errno, "watch signals") : 0;
}

static void relay_release(struct relay *relay)
{
    const int fds[] = {relay->keeper_fd, relay->master_fd, relay->pidfd, relay->signal_fd};

    terminal_restore(relay);
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    sigprocmask(SIG_SETMASK, &relay->old_mask, NULL);
    free(relay->buffer);
}

static void tell_failure(const struct relay *relay, const struct error *failure)
{
    cleanup_free char *line = x_printf("%s\n", failure->text);
    struct error ignored;

    if (relay->request->stderr_fd >= 0)
        (void)fs_write_all(relay->request->stderr_fd, line, strlen(line), &ignored);
}

/* A command that could not be run is an answer (126, 127), with a text on its stderr. */
static int relay_run(struct relay *relay, struct error *err)
{
    struct error failure = ERROR_INIT;

    if (open_signals(relay, err) < 0 || send_exec(relay, err) < 0)
        return -1;
    while (!relay->is_over) {
        if (turn(relay, &failure) < 0) {
            if (err)
                *err = failure;
            return -1;
        }
    }
    drain_terminal(relay);
    if (failure.code == ERROR_NONE)
        return 0;
    if (relay->exit_code == EXIT_NOT_EXECUTABLE || relay->exit_code == EXIT_NO_COMMAND) {
        tell_failure(relay, &failure);
        return 0;
    }
    if (err)
        *err = failure;
    return -1;
}

int engine_exec(struct engine *engine, const char *project, const struct exec_request *request,
                int *ret_code, struct error *err)
{
    struct relay relay = {
        .request = request, .keeper_fd = -1, .master_fd = -1, .pidfd = -1, .signal_fd = -1};
    int result = engine_keeper_connect(engine, project, &relay.keeper_fd, err);

    if (result > 0)
        return error_set(err, ERROR_CONFLICT, "container \"%s\" is not running",
                         request->container);
    if (result < 0)
        return -1;
    relay.buffer = x_alloc(PROTOCOL_MAX_BYTES);
    result = relay_run(&relay, err);
    if (result == 0)
        *ret_code = relay.exit_code;
    relay_release(&relay);
    return result;
}
