/* process.h, sys.h, trace.h */

#include "engine/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/fs.h"
#include "engine/base/sys.h"
#include "engine/base/trace.h"
#include "tests/tap.h"

/* Runs a shell script and returns what it printed. */
static int run_shell(struct process_options *options, const char *script, struct buf *out,
                     struct error *err)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    cleanup_process struct process process = PROCESS_INIT;
    cleanup_fd int read_fd = -1, write_fd = -1;
    int fds[2], status;

    CHECK_OK(pipe2(fds, O_CLOEXEC), err);
    read_fd = fds[0];
    write_fd = fds[1];
    options->argv = argv;
    options->stdout_fd = write_fd;
    CHECK_OK(process_spawn(options, &process, err), err);
    close(fd_take(&write_fd));
    CHECK_OK(fs_read_all(read_fd, out, err), err);
    CHECK_OK(process_wait(&process, &status, err), err);
    CHECK_INT(process.pidfd, -1);
    return status;
}

TEST(a_program_runs_and_its_exit_code_comes_back)
{
    struct process_options options = PROCESS_OPTIONS_INIT;
    cleanup_buf struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;

    CHECK_INT(run_shell(&options, "echo hello; exit 7", &out, &err), 7);
    CHECK_TEXT(buf_text(&out), "hello\n");
}

TEST(death_by_signal_is_128_and_the_signal)
{
    struct process_options options = PROCESS_OPTIONS_INIT;
    cleanup_buf struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;

    CHECK_INT(run_shell(&options, "kill -TERM $$", &out, &err), 128 + SIGTERM);
}

TEST(a_missing_program_is_not_found)
{
    const char *const argv[] = {"berth-no-such-program", NULL};
    const char *const path_argv[] = {"/nonexistent/x", NULL};
    struct process_options options = PROCESS_OPTIONS_INIT;
    struct process process = PROCESS_INIT;
    struct error err = ERROR_INIT;

    options.argv = argv;
    CHECK_FAILS(process_spawn(&options, &process, &err), ERROR_NOT_FOUND,
                "run \"berth-no-such-program\"");
    options.argv = path_argv;
    CHECK_FAILS(process_spawn(&options, &process, &err), ERROR_NOT_FOUND, "/nonexistent/x");
    CHECK_INT(process.pid, 0);
    CHECK_INT(waitpid(-1, NULL, WNOHANG), -1); /* no zombie is left */
}

TEST(a_missing_working_directory_is_named)
{
    const char *const argv[] = {"true", NULL};
    struct process_options options = PROCESS_OPTIONS_INIT;
    struct process process = PROCESS_INIT;
    struct error err = ERROR_INIT;

    options.argv = argv;
    options.working_dir = "/no/such/dir";
    CHECK_FAILS(process_spawn(&options, &process, &err), ERROR_NOT_FOUND,
                "change to directory \"/no/such/dir\"");
}

TEST(kept_descriptors_get_numbers_from_three_and_nothing_else_passes)
{
    struct process_options options = PROCESS_OPTIONS_INIT;
    cleanup_buf struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;
    int leak = open("/dev/zero", O_RDONLY); /* not close-on-exec, on purpose */
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC), full = open("/dev/full", O_RDONLY);
    const int keep[] = {full, null};

    CHECK(leak > 2);
    options.keep_fds = keep;
    options.n_keep_fds = 2;
    CHECK_INT(run_shell(&options,
                        "for i in 0 3 4 5 6 7 8 9; do readlink /proc/$$/fd/$i; done; true", &out,
                        &err),
              0);
    CHECK_TEXT(buf_text(&out), "/dev/null\n/dev/full\n/dev/null\n");
}

TEST(descriptors_may_swap_places)
{
    struct process_options options = PROCESS_OPTIONS_INIT;
    cleanup_buf struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;
    const int keep[] = {4, 3};

    CHECK_INT(dup3(open("/dev/full", O_RDONLY | O_CLOEXEC), 13, O_CLOEXEC), 13);
    CHECK_INT(dup3(open("/dev/zero", O_RDONLY | O_CLOEXEC), 14, O_CLOEXEC), 14);
    CHECK_INT(dup3(13, 3, O_CLOEXEC), 3);
    CHECK_INT(dup3(14, 4, O_CLOEXEC), 4);
    options.keep_fds = keep;
    options.n_keep_fds = 2;
    CHECK_INT(run_shell(&options, "readlink /proc/$$/fd/3; readlink /proc/$$/fd/4", &out, &err), 0);
    CHECK_TEXT(buf_text(&out), "/dev/zero\n/dev/full\n");
}

TEST(closed_standard_descriptors_are_filled)
{
    struct process_options options = PROCESS_OPTIONS_INIT;
    cleanup_buf struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;

    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    CHECK_INT(run_shell(&options, "readlink /proc/$$/fd/0; readlink /proc/$$/fd/2 >&1", &out, &err),
              0);
    CHECK_CONTAINS(buf_text(&out), "/dev/null\n");
    buf_clear(&out);
    close(STDERR_FILENO);
    CHECK_INT(run_shell(&options, "readlink /proc/$$/fd/2", &out, &err), 0);
    CHECK_TEXT(buf_text(&out), "/dev/null\n");
}

TEST(signals_are_as_new_in_the_child)
{
    struct process_options options = PROCESS_OPTIONS_INIT;
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    cleanup_buf struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    /* 32 and 33 belong to the C library, which leaves them as they are. */
    CHECK_INT(run_shell(&options,
                        "mask() { sed -n \"s/^$1:[^0-9a-f]*//p\" /proc/$$/status; }; "
                        "echo $((0x$(mask SigBlk))) $((0x$(mask SigIgn) & ~0x180000000))",
                        &out, &err),
              0);
    CHECK_TEXT(buf_text(&out), "0 0\n");
}

TEST(environment_directory_and_session_are_as_asked)
{
    const char *const envp[] = {"NAME=value", "PATH=/usr/bin:/bin", NULL};
    struct process_options options = PROCESS_OPTIONS_INIT;
    cleanup_buf struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;

    options.envp = envp;
    options.working_dir = "/usr";
    options.new_session = true;
    options.die_with_parent = true;
    CHECK_INT(run_shell(&options,
                        "echo $NAME; pwd; read -r stat </proc/$$/stat; set -- $stat; "
                        "[ $6 = $$ ] && echo session",
                        &out, &err),
              0);
    CHECK_TEXT(buf_text(&out), "value\n/usr\nsession\n");
}

TEST(a_program_can_be_a_descriptor)
{
    const char *const argv[] = {"sh", "-c", "exit 3", NULL};
    cleanup_process struct process process = PROCESS_INIT;
    struct process_options options = PROCESS_OPTIONS_INIT;
    struct error err = ERROR_INIT;
    int status;

    options.argv = argv;
    options.exec_fd = open("/bin/sh", O_PATH | O_CLOEXEC);
    CHECK_OK(process_spawn(&options, &process, &err), &err);
    CHECK_OK(process_wait(&process, &status, &err), &err);
    CHECK_INT(status, 3);
}

TEST(release_kills_and_reaps)
{
    const char *const argv[] = {"sleep", "1000", NULL};
    struct process_options options = PROCESS_OPTIONS_INIT;
    struct process process = PROCESS_INIT;
    struct error err = ERROR_INIT;
    int status;

    options.argv = argv;
    CHECK_OK(process_spawn(&options, &process, &err), &err);
    CHECK_INT(process_try_wait(&process, &status, &err), 1);
    CHECK(process.pid > 0);
    process_release(&process);
    CHECK_INT(process.pid, 0);
    CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_INT(errno, ECHILD);
    process_release(&process);
}

TEST(signals_reach_the_process)
{
    const char *const argv[] = {"sleep", "1000", NULL};
    cleanup_process struct process process = PROCESS_INIT;
    struct process_options options = PROCESS_OPTIONS_INIT;
    struct error err = ERROR_INIT;
    int status;

    options.argv = argv;
    CHECK_OK(process_spawn(&options, &process, &err), &err);
    CHECK_OK(process_signal(&process, SIGUSR1, &err), &err);
    CHECK_OK(process_wait(&process, &status, &err), &err);
    CHECK_INT(status, 128 + SIGUSR1);
}

TEST(descriptors_travel_over_sockets)
{
    cleanup_fd int a = -1, b = -1, got = -1;
    struct error err = ERROR_INIT;
    int sockets[2], sent = open("/dev/null", O_RDONLY | O_CLOEXEC), received[4];
    size_t n_received = 4;
    char data[16];

    CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), &err);
    a = sockets[0];
    b = sockets[1];
    CHECK_INT(sys_send_fds(a, "hello", 5, &sent, 1), 5);
    CHECK_INT(sys_receive_fds(b, data, sizeof(data), received, &n_received), 5);
    CHECK_INT(n_received, 1);
    got = received[0];
    CHECK(fcntl(got, F_GETFD) & FD_CLOEXEC);

    CHECK_INT(sys_send_fds(a, "x", 1, NULL, 0), 1);
    n_received = 4;
    CHECK_INT(sys_receive_fds(b, data, sizeof(data), received, &n_received), 1);
    CHECK_INT(n_received, 0);
    close(fd_take(&a));
    CHECK_INT(sys_receive_fds(b, data, sizeof(data), received, &n_received), 0);
}

static size_t n_open_fds(void)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct strings names = {0};
    struct error err = ERROR_INIT;

    CHECK_OK(fs_list(AT_FDCWD, "/proc/self/fd", &arena, &names, &err), &err);
    return names.n;
}

TEST(too_much_in_a_message_is_refused_without_leaking)
{
    cleanup_fd int a = -1, b = -1;
    struct error err = ERROR_INIT;
    int sockets[2], received[1], sent[3];
    size_t n_received = 1, n_before;
    char data[4];

    CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), &err);
    a = sockets[0];
    b = sockets[1];
    for (size_t i = 0; i < 3; i++)
        sent[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    n_before = n_open_fds();
    CHECK_INT(sys_send_fds(a, "ab", 2, sent, 3), 2);
    CHECK_INT(sys_receive_fds(b, data, sizeof(data), received, &n_received), -1);
    CHECK_INT(errno, EMSGSIZE);
    CHECK_INT(sys_send_fds(a, "abcdefgh", 8, sent, 1), 8);
    n_received = 1;
    CHECK_INT(sys_receive_fds(b, data, sizeof(data), received, &n_received), -1);
    CHECK_INT(errno, EMSGSIZE);
    CHECK_INT(n_open_fds(), n_before);
}

TEST(processes_have_a_start_time_and_machines_a_boot)
{
    struct error err = ERROR_INIT;
    char id[37];

    CHECK(sys_process_start_ticks(getpid()) > 0);
    CHECK_INT(sys_process_start_ticks(getpid()), sys_process_start_ticks(getpid()));
    CHECK_INT(sys_process_start_ticks(0x7ffffff), 0);
    CHECK_OK(sys_boot_id(id, &err), &err);
    CHECK_INT(strlen(id), 36);
}

TEST(trace_prints_only_topics_that_are_on)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;
    int fds[2];

    CHECK_OK(pipe2(fds, O_CLOEXEC), &err);
    trace_set_fd(fds[1]);
    trace(TRACE_NET, "off");
    CHECK_OK(trace_enable("plan,net", &err), &err);
    CHECK(trace_is_on(TRACE_NET));
    CHECK(!trace_is_on(TRACE_MOUNT));
    trace(TRACE_MOUNT, "off");
    trace(TRACE_NET, "link %s", "veth0");
    close(fds[1]);
    CHECK_OK(fs_read_all(fds[0], &out, &err), &err);
    CHECK_CONTAINS(buf_text(&out), " net: link veth0\n");
    CHECK(!strstr(buf_text(&out), "off"));
    CHECK_FAILS(trace_enable("nett", &err), ERROR_USAGE, "known are load, plan");
}
