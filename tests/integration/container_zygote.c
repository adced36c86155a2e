/* The zygote: terminals, init, exec, and what happens when its keeper is killed. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "engine/base/fs.h"
#include "engine/security/security.h"
#include "tests/integration/container_world.h"
#include "tests/tap.h"

static const char sleeper[] = "while :; do sleep 10; done";

TEST(a_terminal_is_a_pair_of_the_container)
{
    struct world world;
    struct trial trial;

    world_open(&world);
    trial_init(&trial, &world,
               "tty; ls -l /dev/console | cut -c1-10; test -t 0 && echo is-tty;"
               "echo to-tty > /dev/tty; echo $TERM; stat -c %u /dev/pts/0");
    trial.spec.tty = true;
    trial.spec.user = "user";
    trial_run(&trial);
    CHECK_TEXT(trial_out(&trial),
               "/dev/pts/0\r\ncrw--w----\r\nis-tty\r\nto-tty\r\nxterm\r\n1000\r\n");
    world_close(&world);
}

TEST(a_terminal_takes_input_and_sends_interrupts)
{
    struct world world;
    struct trial trial;

    world_open(&world);
    trial_init(&trial, &world,
               "trap 'echo interrupted; exit 5' INT; read line; echo \"got $line\";"
               "echo ready; while :; do sleep 1; done");
    trial.spec.tty = true;
    trial.spec.init = true; /* a shell that is PID 1 would be interrupted as well */
    trial_start(&trial);
    CHECK(write(trial.terminal_fd, "hello\n", 6) == 6);
    for (;;) { /* byte by byte, up to "ready" */
        static char seen[256];
        static size_t n;

        CHECK(n < sizeof(seen) - 1 && read(trial.terminal_fd, &seen[n++], 1) == 1);
        if (strstr(seen, "ready") != NULL)
            break;
    }
    CHECK(write(trial.terminal_fd, "\x03", 1) == 1);
    trial_end(&trial);
    CHECK_CONTAINS(trial_out(&trial), "interrupted");
    CHECK_INT(trial.last.exit_code, 5);
    world_close(&world);
}

/* ------------------------------------------------------------------ init */

TEST(init_is_pid_1_and_hands_signals_on)
{
    struct world world;
    struct trial trial;
    char line[7] = "";

    world_open(&world);
    trial_init(&trial, &world,
               "trap 'echo got; exit 3' TERM; echo pid $$; while :; do sleep 1; done");
    trial.spec.init = true;
    trial_start(&trial);
    CHECK(read(trial.stdout_pipe[0], line, 6) == 6);
    CHECK_TEXT(line, "pid 2\n");
    CHECK_INT(pidfd_send_signal(trial.pidfd, SIGTERM, NULL, 0), 0);
    trial_end(&trial);
    CHECK_TEXT(trial_out(&trial), "got\n");
    CHECK_INT(trial.last.exit_code, 3);
    world_close(&world);
}

TEST(init_reaps_orphans)
{
    struct world world;
    struct trial trial;

    world_open(&world);
    trial_init(&trial, &world,
               "for i in 1 2 3; do (true &); done;"
               "while ps -o stat | grep -q Z; do :; done; cat /proc/1/comm; "
               "tr -d '\\0' < /proc/1/cmdline");
    trial.spec.init = true;
    trial_run(&trial);
    CHECK_TEXT(trial_out(&trial), "berth init\nberth init");
    world_close(&world);
}

TEST(init_reports_a_missing_program_and_death_by_signal)
{
    struct world world;
    struct trial trial;

    world_open(&world);
    trial_init(&trial, &world, "");
    trial.spec.init = true;
    trial.spec.command.items[0] = "nope";
    trial_run(&trial);
    CHECK_INT(trial.last.kind, ZYGOTE_FAILED);
    CHECK_INT(trial.last.exit_code, 127);
    trial_init(&trial, &world, "kill -9 $$");
    trial.spec.init = true;
    trial_run(&trial);
    CHECK_INT(trial.last.kind, ZYGOTE_EXITED);
    CHECK_INT(trial.last.exit_code, 137);
    world_close(&world);
}

TEST(init_works_under_the_filter)
{
    struct world world;
    struct trial trial;
    cleanup_buf struct buf filter = BUF_INIT;

    world_open(&world);
    trial_init(&trial, &world, "exit 9");
    trial.spec.init = true;
    trial.spec.user = "user";
    trial_use_filter(&trial, &filter);
    trial_run(&trial);
    CHECK_INT(trial.last.exit_code, 9);
    world_close(&world);
}

/* ------------------------------------------------------------------ exec */

struct run_exec {
    struct exec_build build;
    const char *argv[4];
    int out[2];
    struct zygote_event last;
    int terminal_fd;
    const char *text; /* in the world's arena */
};

static void exec_init(struct run_exec *exec, const struct trial *trial, const char *script)
{
    *exec = (struct run_exec){.build = EXEC_BUILD_INIT,
                              .argv = {"/bin/sh", "-c", script, NULL},
                              .last = ZYGOTE_EVENT_INIT,
                              .terminal_fd = -1};
    exec->build.id = "exec-1";
    exec->build.spec = &trial->spec;
    exec->build.pid = trial->pid;
    exec->build.pidfd = trial->pidfd;
    exec->build.argv = (struct strings){exec->argv, 3};
    exec->build.environment = trial->process.environment;
    exec->build.capabilities = capability_default_set;
    CHECK(pipe2(exec->out, O_CLOEXEC) == 0);
    exec->build.stdio_fds[1] = exec->build.stdio_fds[2] = exec->out[1];
}

/* Until it ends; events of the container itself are none of its business. */
static void exec_run(struct run_exec *exec, struct world *world)
{
    struct container_prepared *prepared = NULL;
    struct error err = ERROR_INIT;
    cleanup_buf struct buf text = BUF_INIT;
    int fd = exec->out[0];

    CHECK_OK(container_prepare_exec(&exec->build, &prepared, &err), &err);
    CHECK_OK(zygote_exec(&world->zygote, exec->build.id, prepared, &err), &err);
    container_prepared_release(prepared);
    close(exec->out[1]);
    do {
        zygote_event_release(&exec->last);
        world_next(world, &exec->last);
        if (exec->last.terminal_fd >= 0) {
            fd = exec->terminal_fd = exec->last.terminal_fd;
            exec->last.terminal_fd = -1;
        }
    } while (strcmp(exec->last.id, exec->build.id) != 0 ||
             (exec->last.kind != ZYGOTE_FAILED && exec->last.kind != ZYGOTE_EXITED));
    CHECK_OK(zygote_forget(&world->zygote, exec->build.id, &err), &err);
    for (;;) {
        char bytes[512];
        ssize_t n = fs_read(fd, bytes, sizeof(bytes));

        if (n <= 0)
            break;
        buf_add(&text, bytes, (size_t)n);
    }
    close(exec->out[0]);
    exec->text = arena_strdup(&world->arena, buf_text(&text));
}

static void end_container(struct trial *trial)
{
    CHECK_INT(pidfd_send_signal(trial->pidfd, SIGKILL, NULL, 0), 0);
    trial_end(trial);
    CHECK_INT(trial->last.exit_code, 137);
}

TEST(an_exec_runs_inside_with_the_same_restrictions)
{
    struct world world;
    struct trial trial;
    struct run_exec exec;

    world_open(&world);
    trial_init(&trial, &world, sleeper);
    trial.build.netns_fd = make_netns();
    trial_start(&trial);
    exec_init(
        &exec, &trial,
        "hostname; id -u; pwd; grep -E 'CapEff|CapBnd|CapInh' /proc/self/status | tr -s '\\t' ' ';"
        "ls /proc/1/root >/dev/null && tr '\\0' ' ' < /proc/1/cmdline | cut -c1-10;"
        "ls /sys/class/net; cat; touch /made; echo $HOSTNAME; exit 4");
    exec.build.has_network = true;
    exec_run(&exec, &world);
    CHECK_TEXT(exec.text, "trial\n0\n/\nCapInh: 0000000000000000\nCapEff: 00000000a80425fb\n"
                          "CapBnd: 00000000a80425fb\n/bin/sh -c\nlo\ntrial\n");
    CHECK_INT(exec.last.exit_code, 4);
    CHECK(exec.last.is_exec);
    exec_init(&exec, &trial, "id; cat /made; ls -l /proc/self/exe | grep -o busybox");
    exec.build.user = "user";
    exec_run(&exec, &world);
    CHECK_TEXT(exec.text, "uid=1000(user) gid=1000(user) groups=10(wheel),1000(user)\nbusybox\n");
    end_container(&trial);
    world_close(&world);
}

TEST(an_exec_that_can_not_start_says_why)
{
    struct world world;
    struct trial trial;
    struct run_exec exec;
    struct container_prepared *prepared = NULL;
    struct error err = ERROR_INIT;

    world_open(&world);
    trial_init(&trial, &world, sleeper);
    trial_start(&trial);
    exec_init(&exec, &trial, "");
    exec.argv[0] = "nope";
    exec_run(&exec, &world);
    CHECK_INT(exec.last.kind, ZYGOTE_FAILED);
    CHECK_INT(exec.last.exit_code, 127);
    exec_init(&exec, &trial, "true");
    exec.build.working_dir = "/not/there";
    exec_run(&exec, &world);
    CHECK_INT(exec.last.exit_code, 125);
    CHECK_CONTAINS(exec.last.error.text, "change directory /not/there");
    exec_init(&exec, &trial, "true");
    exec.build.user = "nobody";
    CHECK_FAILS(container_prepare_exec(&exec.build, &prepared, &err), ERROR_NOT_FOUND, "nobody");
    end_container(&trial);
    exec_init(&exec, &trial, "true");
    CHECK_FAILS(container_prepare_exec(&exec.build, &prepared, &err), ERROR_NOT_FOUND,
                "the container is not running");
    world_close(&world);
}

TEST(an_exec_with_a_terminal_has_one_of_the_containers)
{
    struct world world;
    struct trial trial;
    struct run_exec exec;

    world_open(&world);
    trial_init(&trial, &world, sleeper);
    trial_start(&trial);
    exec_init(&exec, &trial, "tty; test -t 1 && echo yes");
    exec.build.tty = true;
    exec_run(&exec, &world);
    CHECK_TEXT(exec.text, "/dev/pts/0\r\nyes\r\n");
    end_container(&trial);
    world_close(&world);
}

TEST(an_exec_dies_with_its_container)
{
    struct world world;
    struct trial trial;
    struct run_exec exec;

    world_open(&world);
    trial_init(&trial, &world, "read line < /go; exit 0");
    world_file(&world, "/keep", "", 0644);
    CHECK(mkfifo(arena_printf(&world.arena, "%s/go", world.layer), 0666) == 0);
    trial_start(&trial);
    exec_init(&exec, &trial, "echo > /go; while :; do sleep 10; done");
    exec_run(&exec, &world); /* also takes the container's own EXITED, whichever comes first */
    CHECK_INT(exec.last.exit_code, 137);
    CHECK_OK(zygote_forget(&world.zygote, trial.id, NULL), NULL);
    world_close(&world);
}

TEST(ids_are_unique)
{
    struct world world;
    struct trial trial, twin;
    struct error err = ERROR_INIT;
    struct zygote_event event = ZYGOTE_EVENT_INIT;

    world_open(&world);
    trial_init(&trial, &world, sleeper);
    trial_start(&trial);
    trial_init(&twin, &world, "echo twin");
    twin.build.id = twin.id = trial.id;
    trial_prepare(&twin);
    world_next(&world, &event);
    CHECK_INT(event.kind, ZYGOTE_FAILED);
    CHECK_INT(event.error.errnum, EEXIST);
    CHECK_OK(zygote_go(&world.zygote, "who", &err), &err); /* nobody: ignored */
    end_container(&trial);
    world_close(&world);
}

/* ------------------------------------------------------------------ a keeper is killed
 * The first keeper is a child of the test that kills itself; the second is this program again,
 * started by the zygote, which writes what it was handed into a fifo. */

static void print_event(FILE *out, const struct zygote_event *event)
{
    static const char *const names[] = {"spawned", "armed",     "started", "failed",
                                        "exited",  "inventory", "end",     "alive"};

    (void)fprintf(out, "%s %s", names[event->kind], event->id);
    if (event->kind == ZYGOTE_INVENTORY)
        (void)fprintf(out, " state %d pidfd %d kept %d", (int)event->state, event->pidfd >= 0,
                      event->kept_fds[0] >= 0);
    if (event->kind == ZYGOTE_EXITED || event->kind == ZYGOTE_FAILED)
        (void)fprintf(out, " code %d", event->exit_code);
    (void)fprintf(out, "\n");
}

static void be_second_keeper(const char *fifo)
{
    FILE *out = fopen(fifo, "we");
    struct zygote zygote = ZYGOTE_INIT;
    struct error err = ERROR_INIT;
    int alive = 0, result = zygote_adopt(3, &zygote, &err);

    while (result >= 0) {
        struct zygote_event event = ZYGOTE_EVENT_INIT;
        struct pollfd readable = {.fd = zygote.fd, .events = POLLIN};

        result = zygote_receive(&zygote, &event, &err);
        if (result == 1)
            (void)poll(&readable, 1, -1);
        if (result != 0)
            continue;
        print_event(out, &event);
        if (event.kind == ZYGOTE_INVENTORY)
            alive++;
        if (event.kind == ZYGOTE_INVENTORY && event.state == ZYGOTE_STATE_STARTED)
            (void)pidfd_send_signal(event.pidfd, SIGKILL, NULL, 0);
        if (event.kind == ZYGOTE_EXITED || event.kind == ZYGOTE_FAILED) {
            (void)zygote_forget(&zygote, event.id, &err);
            alive--;
        }
        if (event.kind != ZYGOTE_INVENTORY && alive == 0)
            break;
        zygote_event_release(&event);
    }
    if (result < 0)
        (void)fprintf(out, "%s\n", err.text);
    (void)fclose(out);
    _exit(0);
}

/* Before main: glibc hands constructors the arguments. */
__attribute__((constructor)) static void second_keeper(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--second-keeper") == 0)
        be_second_keeper(argv[2]);
}

static void be_first_keeper(struct world *world, const char *fifo)
{
    const char *argv[] = {"keeper", "--second-keeper", fifo, NULL}, *envp[] = {"A=b", NULL};
    struct zygote_options options = {.project = "test", .keeper_argv = argv, .keeper_envp = envp};
    struct error err = ERROR_INIT;
    struct zygote_event event = ZYGOTE_EVENT_INIT;
    struct trial ended, running, armed;

    zygote_close(&world->zygote); /* the one of world_open has no keeper to start */
    options.keeper_exec_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    CHECK_OK(zygote_start(&options, &world->zygote, &err), &err);
    trial_init(&ended, world, "exit 7");
    trial_start(&ended);
    world_next(world, &event);
    CHECK_INT(event.kind, ZYGOTE_EXITED); /* and not acknowledged */
    trial_init(&running, world, sleeper);
    trial_start(&running);
    trial_init(&armed, world, "exit 8");
    trial_prepare(&armed);
    trial_until(&armed, ZYGOTE_ARMED);
    CHECK_OK(zygote_go(&world->zygote, armed.id, &err), &err);
    (void)kill(getpid(), SIGKILL);
}

TEST(a_killed_keeper_is_replaced_and_loses_nothing)
{
    struct world world;
    struct buf text = BUF_INIT;
    struct error err = ERROR_INIT;
    const char *fifo;
    int fd, status;
    pid_t keeper;

    world_open(&world);
    fifo = arena_printf(&world.arena, "%s/fifo", world.dir);
    CHECK(mkfifo(fifo, 0600) == 0);
    keeper = fork();
    CHECK(keeper >= 0);
    if (keeper == 0)
        be_first_keeper(&world, fifo);
    CHECK(waitpid(keeper, &status, 0) == keeper);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    fd = open(fifo, O_RDONLY | O_CLOEXEC);
    CHECK_OK(fs_read_all(fd, &text, &err), &err);
    close(fd);
    CHECK_CONTAINS(buf_text(&text),
                   "inventory 0000000000000000000000000000000000000000000000000000000000000001 "
                   "state 3 pidfd 1 kept 1\n");
    CHECK_CONTAINS(buf_text(&text),
                   "inventory 0000000000000000000000000000000000000000000000000000000000000002 "
                   "state 2 pidfd 1 kept 1\n");
    CHECK_CONTAINS(buf_text(&text), "\nend \n");
    CHECK_CONTAINS(buf_text(&text), "0001 code 7\n");
    CHECK_CONTAINS(buf_text(&text), "0002 code 137\n");
    CHECK_CONTAINS(buf_text(&text), "0003 code 8\n");
    buf_release(&text);
    world_close(&world);
}
