/* Containers end to end against this kernel: what runs inside sees what Docker would show it. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "engine/base/clock.h"
#include "engine/base/fs.h"
#include "tests/integration/container_world.h"
#include "tests/tap.h"

TEST(prints_to_stdout_and_exits_with_its_code)
{
    struct world world;
    struct trial trial;

    world_run_script(&world, &trial, "echo hello; exit 7");
    CHECK_TEXT(trial_out(&trial), "hello\n");
    CHECK_INT(trial.last.kind, ZYGOTE_EXITED);
    CHECK_INT(trial.last.exit_code, 7);
    world_close(&world);
}

TEST(a_signal_shows_as_128_and_its_number)
{
    struct world world;
    struct trial trial;

    world_open(&world);
    trial_init(&trial, &world, "while :; do sleep 10; done");
    trial_start(&trial);
    CHECK_INT(pidfd_send_signal(trial.pidfd, SIGKILL, NULL, 0), 0);
    trial_end(&trial);
    CHECK_INT(trial.last.exit_code, 137);
    CHECK_INT(trial.last.term_signal, SIGKILL);
    world_close(&world);
}

TEST(waits_for_go)
{
    struct world world;
    struct trial trial;
    struct error err = ERROR_INIT;

    world_open(&world);
    trial_init(&trial, &world, "echo started");
    trial_prepare(&trial);
    trial_until(&trial, ZYGOTE_ARMED);
    CHECK_INT(fcntl(trial.stdout_pipe[0], F_SETFL, O_NONBLOCK), 0);
    CHECK(read(trial.stdout_pipe[0], &err, 1) < 0);
    CHECK_INT(fcntl(trial.stdout_pipe[0], F_SETFL, 0), 0);
    CHECK_OK(zygote_go(&world.zygote, trial.id, &err), &err);
    trial_end(&trial);
    CHECK_TEXT(trial_out(&trial), "started\n");
    world_close(&world);
}

static void check_exec_failure(const char *command, int exit_code, const char *part)
{
    struct world world;
    struct trial trial;

    world_open(&world);
    world_file(&world, "/bin/plain", "no program\n", 0644);
    trial_init(&trial, &world, "");
    trial.spec.command.items[0] = command;
    trial_run(&trial);
    CHECK_INT(trial.last.kind, ZYGOTE_FAILED);
    CHECK_INT(trial.last.exit_code, exit_code);
    CHECK_CONTAINS(trial.last.error.text, part);
    world_close(&world);
}

TEST(a_missing_program_fails_with_127)
{
    check_exec_failure("nope", 127, "execute \"nope\": No such file or directory (ENOENT)");
}

TEST(a_missing_program_with_a_path_fails_with_127)
{
    check_exec_failure("/nope", 127, "execute \"/nope\"");
}

TEST(a_file_that_is_no_program_fails_with_126)
{
    check_exec_failure("plain", 126, "execute \"plain\": Permission denied (EACCES)");
}

TEST(environment_user_and_directory_are_as_asked)
{
    struct world world;
    struct trial trial;
    struct pair variables[] = {{"A", "1"}, {"PATH", "/bin"}};

    world_open(&world);
    trial_init(&trial, &world, "id; pwd; hostname; env | sort; umask; ls -ld /srv/made");
    trial.spec.user = "user";
    trial.spec.working_dir = "/srv/made/here";
    trial.spec.environment = (struct pairs){variables, 2};
    trial_run(&trial);
    CHECK_CONTAINS(trial_out(&trial),
                   "uid=1000(user) gid=1000(user) groups=10(wheel),1000(user)\n"
                   "/srv/made/here\ntrial\nA=1\nHOME=/home/user\nHOSTNAME=trial\nPATH=/bin\n"
                   "PWD=/srv/made/here\nSHLVL=1\n0022\ndrwxr-xr-x    3 root     root");
    world_close(&world);
}

TEST(a_missing_user_is_a_clear_error)
{
    struct world world;
    struct trial trial;
    struct container_prepared *prepared = NULL;
    struct error err = ERROR_INIT;

    world_open(&world);
    trial_init(&trial, &world, "true");
    trial.spec.user = "nobody";
    CHECK_OK(container_resolve_process(&world.arena, &trial.spec, &trial.image, "h", &trial.process,
                                       &err),
             &err);
    CHECK_FAILS(container_prepare(&trial.build, &prepared, &err), ERROR_NOT_FOUND,
                "user \"nobody\" is not in /etc/passwd of the image");
    world_close(&world);
}

TEST(sees_its_own_mounts_only)
{
    struct world world;
    struct trial trial;

    world_run_script(&world, &trial,
                     "cut -d' ' -f5 /proc/self/mountinfo | grep -v '^/proc/\\|^/sys/'; ls /");
    CHECK_TEXT(trial_out(&trial), "/\n/proc\n/sys\n/dev\n/dev/pts\n/dev/shm\n/dev/mqueue\n"
                                  "bin\ndev\netc\nproc\nsys\n");
    world_close(&world);
}

TEST(dev_has_what_docker_puts_there)
{
    struct world world;
    struct trial trial;

    world_run_script(
        &world, &trial,
        "ls /dev; echo x > /dev/null && head -c 3 /dev/zero | wc -c; readlink /dev/stdin; readlink "
        "/dev/ptmx;"
        "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2; cat; echo end");
    CHECK_TEXT(trial_out(&trial),
               "core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\n"
               "urandom\nzero\n3\n/proc/self/fd/0\npts/ptmx\n65536\nend\n");
    world_close(&world);
}

TEST(limits_are_set)
{
    struct world world;
    struct trial trial;
    struct ulimit_spec limits[] = {{"nproc", 100, 200}, {"core", 0, 0}};

    world_open(&world);
    trial_init(&trial, &world, "grep -E 'open files|processes|core' /proc/self/limits | tr -s ' '");
    trial.spec.ulimits = limits;
    trial.spec.n_ulimits = 2;
    trial_run(&trial);
    /* the hard limit of files is clamped to the host's */
    CHECK_CONTAINS(trial_out(&trial),
                   "Max core file size 0 0 bytes \nMax processes 100 200 processes \n"
                   "Max open files 1024 ");
    world_close(&world);
}

TEST(volumes_binds_and_tmpfs_are_where_they_belong)
{
    struct world world;
    struct trial trial;
    struct mount_spec specs[] = {
        {.kind = MOUNT_VOLUME, .source = "v", .target = "/data", .mode = -1},
        {.kind = MOUNT_BIND,
         .source = "r",
         .target = "/data/deep/ro",
         .read_only = true,
         .mode = -1},
        {.kind = MOUNT_BIND, .source = "f", .target = "/etc/motd", .mode = -1},
        {.kind = MOUNT_TMPFS, .target = "/scratch", .size_bytes = 1 << 20, .mode = 0700},
        {.kind = MOUNT_TMPFS, .target = "/opt", .mode = -1, .options = "exec,size=64k,uid=1000"},
        {.kind = MOUNT_BIND, .source = "n", .target = "/new", .create_source = true, .mode = -1},
    };
    struct build_mount mounts[6] = {{.source = NULL}};

    world_open(&world);
    trial_init(&trial, &world,
               "cat /data/file /etc/motd; echo new > /data/written; touch /data/deep/ro/x;"
               "touch /data/deep/ro/sub/x; stat -c %a /scratch; stat -c %u /opt;"
               "grep -E ' /(scratch|opt) ' /proc/mounts | cut -d' ' -f2-4; echo hi > /new/file");
    CHECK(mkdir(arena_printf(&world.arena, "%s/vol", world.dir), 0755) == 0);
    world.layer = arena_printf(&world.arena, "%s/vol", world.dir); /* world_file writes below it */
    world_file(&world, "/file", "in the volume\n", 0644);
    world_file(&world, "/ro/sub/keep", "", 0644);
    world_file(&world, "/motd", "a file\n", 0644);
    mounts[0].source = world.layer;
    mounts[1].source = arena_printf(&world.arena, "%s/ro", world.layer);
    mounts[2].source = arena_printf(&world.arena, "%s/motd", world.layer);
    mounts[5].source = arena_printf(&world.arena, "%s/made/on/demand", world.layer);
    /* read-only must hold in mounts below the source, too */
    CHECK(mount("tmpfs", arena_printf(&world.arena, "%s/ro/sub", world.layer), "tmpfs", 0, NULL) ==
          0);
    trial.spec.mounts = specs;
    trial.spec.n_mounts = 6;
    trial.mounts = mounts;
    trial_run(&trial);
    CHECK(umount(arena_printf(&world.arena, "%s/ro/sub", world.layer)) == 0);
    CHECK_TEXT(trial_out(&trial),
               "in the volume\na file\ntouch: /data/deep/ro/x: Read-only file system\n"
               "touch: /data/deep/ro/sub/x: Read-only file system\n700\n1000\n"
               "/scratch tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k,mode=700\n"
               "/opt tmpfs rw,nosuid,nodev,relatime,size=64k,uid=1000\n");
    CHECK(access(arena_printf(&world.arena, "%s/written", world.layer), F_OK) == 0);
    CHECK(access(arena_printf(&world.arena, "%s/made/on/demand/file", world.layer), F_OK) == 0);
    world_close(&world);
}

TEST(name_files_cover_those_of_the_image)
{
    struct world world;
    struct trial trial;
    int fd;

    world_open(&world);
    trial_init(&trial, &world,
               "cat /etc/hosts /etc/hostname; echo more >> /etc/hosts; cat /etc/hosts");
    CHECK(symlinkat("../run/nowhere/resolv.conf",
                    open(arena_printf(&world.arena, "%s/etc", world.layer),
                         O_PATH | O_DIRECTORY | O_CLOEXEC),
                    "resolv.conf") == 0);
    trial.spec.command.items[2] = "cat /etc/hosts /etc/hostname /etc/resolv.conf";
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"hosts", "hostname", "resolv.conf"};

        fd = openat(trial.build.dir_fd, names[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        CHECK(dprintf(fd, "own %s\n", names[i]) > 0);
        close(fd);
    }
    trial.build.has_hosts = trial.build.has_hostname = trial.build.has_resolv_conf = true;
    trial_run(&trial);
    CHECK_TEXT(trial_out(&trial), "own hosts\nown hostname\nown resolv.conf\n");
    world_close(&world);
}

TEST(a_read_only_root_stays_so)
{
    struct world world;
    struct trial trial;

    world_open(&world);
    trial_init(&trial, &world,
               "touch /x; touch /dev/shm/x && echo shm; echo > /dev/null && echo null");
    trial.spec.read_only = true;
    trial.spec.working_dir = "/made";
    trial_run(&trial);
    CHECK_TEXT(trial_out(&trial), "touch: /x: Read-only file system\nshm\nnull\n");
    world_close(&world);
}

TEST(a_network_namespace_is_joined_before_sysctls_are_written)
{
    struct world world;
    struct trial trial;
    struct pair sysctls[] = {{"kernel.msgmax", "4096"}, {"net.ipv4.ip_forward", "1"}};

    world_open(&world);
    trial_init(&trial, &world,
               "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax; ls /sys/class/net;"
               "echo 0 > /proc/sys/net/ipv4/ip_forward");
    trial.build.netns_fd = make_netns();
    trial.spec.sysctls = (struct pairs){sysctls, 2};
    trial_run(&trial);
    close(trial.build.netns_fd);
    CHECK_TEXT(trial_out(&trial),
               "1\n4096\nlo\n/bin/sh: can't create /proc/sys/net/ipv4/ip_forward: "
               "Read-only file system\n");
    world_close(&world);
}

TEST(sysctls_of_the_host_are_refused)
{
    struct world world;
    struct trial trial;
    struct pair sysctls[] = {{"kernel.core_pattern", "|/evil"}};
    struct container_prepared *prepared = NULL;
    struct error err = ERROR_INIT;

    world_open(&world);
    trial_init(&trial, &world, "true");
    trial.spec.sysctls = (struct pairs){sysctls, 1};
    CHECK_OK(container_resolve_process(&world.arena, &trial.spec, &trial.image, "h", &trial.process,
                                       &err),
             &err);
    CHECK(container_prepare(&trial.build, &prepared, &err) < 0);
    CHECK_CONTAINS(err.text, "kernel.core_pattern");
    world_close(&world);
}

TEST(a_program_larger_than_a_message_arrives)
{
    struct world world;
    struct trial trial;
    struct pair variable = {"BIG", NULL};
    char *value;

    world_open(&world);
    trial_init(&trial, &world, "echo ${#BIG}");
    value = arena_alloc(&world.arena, 100001); /* an argument may have 128 KiB */
    memset(value, 'x', 100000);
    variable.value = value;
    trial.spec.environment = (struct pairs){&variable, 1};
    trial_run(&trial);
    CHECK_TEXT(trial_out(&trial), "100000\n");
    world_close(&world);
}

TEST(signals_are_neither_ignored_nor_blocked)
{
    struct world world;
    struct trial trial;

    world_open(&world);
    trial_init(&trial, &world, "");
    trial.spec.command.items[0] = "grep";
    trial.spec.command.items[1] = "Sig[BI]";
    trial.spec.command.items[2] = "/proc/self/status";
    trial_run(&trial);
    CHECK_TEXT(trial_out(&trial), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    world_close(&world);
}

TEST(a_container_starts_again_on_what_it_left)
{
    struct world world;
    struct trial first, second;

    world_open(&world);
    trial_init(&first, &world, "echo kept > /kept; rm /etc/group");
    trial_init(&second, &world, "cat /kept; ls /etc");
    first.build.dir_fd = fcntl(second.build.dir_fd, F_DUPFD_CLOEXEC, 3);
    trial_run(&first);
    trial_run(&second);
    CHECK_TEXT(trial_out(&second), "kept\npasswd\n");
    world_close(&world);
}

TEST(propagation_needs_a_shared_source)
{
    struct world world;
    struct trial trial;
    struct mount_spec spec = {.kind = MOUNT_BIND, .target = "/m", .propagation = "rshared"};
    struct build_mount mount_source = {.spec = &spec};
    struct container_prepared *prepared = NULL;
    struct error err = ERROR_INIT;
    const char *dir;

    world_open(&world);
    trial_init(&trial, &world, "true");
    dir = arena_printf(&world.arena, "%s/m", world.dir);
    CHECK(mkdir(dir, 0755) == 0 && mount("tmpfs", dir, "tmpfs", 0, NULL) == 0);
    CHECK(mount(NULL, dir, NULL, MS_PRIVATE, NULL) == 0);
    mount_source.source = dir;
    trial.build.mounts = &mount_source;
    trial.build.n_mounts = 1;
    CHECK_OK(container_resolve_process(&world.arena, &trial.spec, &trial.image, "h", &trial.process,
                                       &err),
             &err);
    CHECK_FAILS(container_prepare(&trial.build, &prepared, &err), ERROR_INVALID,
                "is not on a shared mount");
    CHECK(mount(NULL, dir, NULL, MS_SHARED, NULL) == 0);
    CHECK_OK(container_prepare(&trial.build, &prepared, &err), &err);
    container_prepared_release(prepared);
    CHECK(umount(dir) == 0);
    world_close(&world);
}

/* A v2 hierarchy is mounted somewhere on every host we know; limits are other tests' business. */
TEST(a_container_is_born_in_its_cgroup_and_sees_it_as_root)
{
    static const char *const roots[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
    struct world world;
    struct trial trial;
    char path[128];
    int fd = -1;

    for (size_t i = 0; i < 2 && fd < 0; i++) {
        (void)snprintf(path, sizeof(path), "%s/cgroup.procs", roots[i]);
        if (access(path, F_OK) != 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/berth-test-%d", roots[i], getpid());
        CHECK(mkdir(path, 0755) == 0);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0)
        SKIP("needs a cgroup v2 hierarchy");
    world_open(&world);
    trial_init(&trial, &world,
               "grep ^0:: /proc/self/cgroup; cat /sys/fs/cgroup/cgroup.procs;"
               "mkdir /sys/fs/cgroup/x 2>/dev/null || echo read-only");
    trial.build.cgroup2_fd = fd;
    trial_run(&trial);
    CHECK_CONTAINS(trial_out(&trial), "0::/\n1\n");
    CHECK_CONTAINS(trial_out(&trial), "read-only\n");
    world_close(&world);
    close(fd);
    CHECK(rmdir(path) == 0);
}

static int64_t children_cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_CHILDREN, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

static int64_t own_cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

static void print_memory(pid_t pid)
{
    struct buf text = BUF_INIT;
    char path[64];
    const char *line;

    (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
    CHECK_OK(fs_read_file(AT_FDCWD, path, 1 << 16, &text, NULL), NULL);
    line = strstr(buf_text(&text), "Pss:");
    if (line != NULL)
        fprintf(stderr, "# zygote %.*s\n", (int)strcspn(line, "\n"), line);
    buf_release(&text);
}

/* Not a promise but a measurement: see the numbers in the output. */
TEST(fifty_containers_arm_and_end)
{
    enum { N = 50 };
    struct world world;
    static struct trial trials[N];
    int64_t cpu, before, prepared_at, armed_at, children;
    int armed = 0, ended = 0;

    world_open(&world);
    for (int i = 0; i < N; i++)
        trial_init(&trials[i], &world, "true");
    children = children_cpu_us(); /* of building the world */
    before = clock_monotonic_ns();
    cpu = own_cpu_us();
    for (int i = 0; i < N; i++)
        trial_prepare(&trials[i]);
    prepared_at = clock_monotonic_ns();
    cpu = own_cpu_us() - cpu;
    while (armed < N) {
        struct zygote_event event = ZYGOTE_EVENT_INIT;

        world_next(&world, &event);
        CHECK(event.kind == ZYGOTE_SPAWNED || event.kind == ZYGOTE_ARMED);
        armed += event.kind == ZYGOTE_ARMED;
        zygote_event_release(&event);
    }
    armed_at = clock_monotonic_ns();
    print_memory(world.zygote.pid);
    for (int i = 0; i < N; i++)
        CHECK_OK(zygote_go(&world.zygote, trials[i].id, NULL), NULL);
    while (ended < N) {
        struct zygote_event event = ZYGOTE_EVENT_INIT;

        world_next(&world, &event);
        if (event.kind == ZYGOTE_EXITED) {
            CHECK_INT(event.exit_code, 0);
            CHECK_OK(zygote_forget(&world.zygote, event.id, NULL), NULL);
            ended++;
        }
        zygote_event_release(&event);
    }
    fprintf(stderr,
            "# per container: prepare %lld us wall, %lld us cpu; spawn to armed %lld us wall "
            "(all of it beside preparing); go to end %lld us wall\n",
            (long long)(prepared_at - before) / N / 1000, (long long)cpu / N,
            (long long)(armed_at - before) / N / 1000,
            (long long)(clock_monotonic_ns() - armed_at) / N / 1000);
    world_close(&world);
    fprintf(stderr, "# zygote and containers: %lld us cpu each\n",
            (long long)(children_cpu_us() - children) / N);
}
