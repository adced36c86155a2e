/* What a container may not do, and what a hostile image can't reach. One test per lesson of
 * reference/runtime.md section 10 that this folder can get wrong. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "engine/base/fs.h"
#include "engine/security/security.h"
#include "tests/integration/container_world.h"
#include "tests/tap.h"

TEST(root_has_dockers_fourteen_capabilities)
{
    struct world world;
    struct trial trial;

    world_run_script(&world, &trial, "grep -E 'Cap|NoNew' /proc/self/status | tr -s '\\t' ' '");
    CHECK_TEXT(trial_out(&trial), "CapInh: 0000000000000000\nCapPrm: 00000000a80425fb\n"
                                  "CapEff: 00000000a80425fb\nCapBnd: 00000000a80425fb\n"
                                  "CapAmb: 0000000000000000\nNoNewPrivs: 0\n");
    world_close(&world);
}

TEST(another_user_has_none_effective)
{
    struct world world;
    struct trial trial;

    world_open(&world);
    trial_init(&trial, &world,
               "grep -E 'Cap|NoNew|^Groups|^Uid' /proc/self/status | tr -s '\\t' ' '");
    trial.spec.user = "1000:10";
    trial.spec.no_new_privileges = true;
    trial_run(&trial);
    CHECK_TEXT(trial_out(&trial), "Uid: 1000 1000 1000 1000\nGroups: 10 \n"
                                  "CapInh: 0000000000000000\nCapPrm: 0000000000000000\n"
                                  "CapEff: 0000000000000000\nCapBnd: 00000000a80425fb\n"
                                  "CapAmb: 0000000000000000\nNoNewPrivs: 1\n");
    world_close(&world);
}

TEST(the_filter_is_loaded_and_cap_sys_admin_is_gone)
{
    struct world world;
    struct trial trial;
    cleanup_buf struct buf filter = BUF_INIT;

    world_open(&world);
    trial_init(&trial, &world,
               "grep -E 'CapEff|Seccomp:' /proc/self/status | tr -s '\\t' ' '; unshare -U true;"
               "mount -t tmpfs x /mnt 2>&1 | grep -o denied");
    trial_use_filter(&trial, &filter);
    trial_run(&trial);
    CHECK_TEXT(trial_out(&trial), "CapEff: 00000000a80425fb\nSeccomp: 2\n"
                                  "unshare: unshare(0x10000000): Operation not permitted\n"
                                  "denied\n");
    world_close(&world);
}

TEST(masked_paths_show_nothing_and_proc_sys_is_read_only)
{
    struct world world;
    struct trial trial;

    world_run_script(
        &world, &trial,
        "for f in kcore keys timer_list interrupts; do cat /proc/$f 2>/dev/null; done | wc -c;"
        "ls /sys/firmware | wc -l; for f in /proc/sys/kernel/hostname "
        "/proc/irq/default_smp_affinity /sys/power/state; do (echo x > $f) 2>&1 | "
        "grep -o 'Read-only file system\\|nonexistent'; done; "
        "umount /sys/firmware 2>/dev/null || echo stays");
    CHECK_TEXT(trial_out(&trial), "0\n0\nRead-only file system\nRead-only file system\n"
                                  "Read-only file system\nstays\n");
    world_close(&world);
}

TEST(only_the_standard_descriptors_are_open)
{
    struct world world;
    struct trial trial;

    world_open(&world);
    trial_init(&trial, &world, "");
    trial.spec.command.items[0] = "ls";
    trial.spec.command.items[1] = "/proc/self/fd"; /* 3 is the directory being read */
    trial.spec.command.n = 2;
    trial_run(&trial);
    CHECK_TEXT(trial_out(&trial), "0\n1\n2\n3\n");
    world_close(&world);
}

/* ------------------------------------------------------------------ hostile images */

static void link_in_layer(const struct world *world, const char *path, const char *target)
{
    struct arena arena = ARENA_INIT;
    const char *whole = arena_printf(&arena, "%s%s", world->layer, path);
    struct error err = ERROR_INIT;
    int root = open(world->layer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    CHECK_OK(fs_remove_tree(root, path + 1, &err), &err);
    CHECK(symlink(target, whole) == 0);
    close(root);
    arena_release(&arena);
}

/* A file on the host that nothing may touch, and a path to it that counts on leaving the root. */
struct canary {
    const char *path, *escape;
};

static struct canary make_canary(struct world *world)
{
    const char *path = arena_printf(&world->arena, "%s/canary", world->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    CHECK(fd >= 0 && write(fd, "alive", 5) == 5);
    close(fd);
    return (struct canary){path, arena_printf(&world->arena, "/../../../../../../../..%s", path)};
}

static void check_canary(const struct canary *canary)
{
    struct buf text = BUF_INIT;
    struct error err = ERROR_INIT;

    CHECK_OK(fs_read_file(AT_FDCWD, canary->path, 100, &text, &err), &err);
    CHECK_TEXT(buf_text(&text), "alive");
    buf_release(&text);
}

static void check_refused(const char *link, const char *target, const char *part)
{
    struct world world;
    struct trial trial;

    world_open(&world);
    link_in_layer(&world, link, target);
    trial_init(&trial, &world, "echo ran");
    trial_run(&trial);
    CHECK_INT(trial.last.kind, ZYGOTE_FAILED);
    CHECK_INT(trial.last.exit_code, 125);
    CHECK_CONTAINS(trial.last.error.text, part);
    CHECK_TEXT(trial_out(&trial), "");
    world_close(&world);
}

TEST(an_image_whose_proc_is_a_symlink_is_refused)
{
    check_refused("/proc", "/etc", "mount proc /proc: Too many levels of symbolic links (ELOOP)");
}

TEST(an_image_whose_dev_is_a_symlink_is_refused)
{
    check_refused("/dev", "/../../../../../../tmp", "mount tmpfs /dev: ");
}

TEST(an_image_whose_sys_is_a_dangling_symlink_is_refused)
{
    check_refused("/sys", "/nowhere", "mount sysfs /sys: ");
}

TEST(etc_that_points_to_the_hosts_root_stays_inside)
{
    struct world world;
    struct trial trial;
    int fd;

    world_open(&world);
    link_in_layer(&world, "/etc", "/../../../..");
    trial_init(&trial, &world, "cat /hosts");
    fd = openat(trial.build.dir_fd, "hosts", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CHECK(write(fd, "inside\n", 7) == 7);
    close(fd);
    trial.build.has_hosts = true;
    trial_run(&trial);
    CHECK_TEXT(trial_out(&trial), "inside\n");
    CHECK(access("/hosts", F_OK) < 0); /* of the host */
    world_close(&world);
}

TEST(a_mount_target_behind_a_symlink_stays_inside)
{
    struct world world;
    struct trial trial;
    struct canary canary;
    struct mount_spec specs[] = {
        {.kind = MOUNT_TMPFS, .target = "/data", .mode = -1},
        {.kind = MOUNT_TMPFS, .target = "/deep/er/data", .mode = -1},
    };
    struct build_mount mounts[2] = {{.source = NULL}};

    world_open(&world);
    canary = make_canary(&world);
    world_file(&world, "/deep/keep", "", 0644);
    link_in_layer(&world, "/data", arena_printf(&world.arena, "%s.d/made", canary.escape));
    link_in_layer(&world, "/deep/er", "../../../../../../../../../tmp/container-escape");
    trial_init(&trial, &world,
               "touch /data/x /deep/er/data/y; ls /data /tmp/container-escape/data");
    trial.spec.mounts = specs;
    trial.spec.n_mounts = 2;
    trial.mounts = mounts;
    trial_run(&trial);
    CHECK_TEXT(trial_out(&trial), "/data:\nx\n\n/tmp/container-escape/data:\ny\n");
    CHECK(access(arena_printf(&world.arena, "%s.d", canary.path), F_OK) < 0);
    CHECK(access("/tmp/container-escape", F_OK) < 0);
    check_canary(&canary);
    world_close(&world);
}

TEST(a_volume_does_not_land_on_procfs)
{
    struct world world;
    struct trial trial;
    struct mount_spec spec = {.kind = MOUNT_TMPFS, .target = "/data", .mode = -1};
    struct build_mount mount = {.source = NULL};

    world_open(&world);
    link_in_layer(&world, "/data", "/proc/sys");
    trial_init(&trial, &world, "true");
    trial.spec.mounts = &spec;
    trial.spec.n_mounts = 1;
    trial.mounts = &mount;
    trial_run(&trial);
    CHECK_INT(trial.last.kind, ZYGOTE_FAILED);
    CHECK_CONTAINS(trial.last.error.text, "mount tmpfs /data: Operation not permitted (EPERM)");
    world_close(&world);
}

/* CVE-2021-30465: one container flips a directory of a shared volume to a symlink, over and over,
 * while others get mounts below it. Whatever the moment, nothing appears outside their roots. */
TEST(a_volume_that_is_changed_meanwhile_leads_nowhere)
{
    enum { ROUNDS = 40 };
    struct world world;
    struct trial flipper;
    struct canary canary;
    const char *volume, *outside;
    struct mount_spec specs[] = {
        {.kind = MOUNT_VOLUME, .source = "v", .target = "/vol", .mode = -1},
        {.kind = MOUNT_TMPFS, .target = "/vol/a/sub", .mode = -1},
    };
    struct build_mount mounts[2] = {{.source = NULL}};

    world_open(&world);
    canary = make_canary(&world);
    volume = arena_printf(&world.arena, "%s/vol", world.dir);
    outside = arena_printf(&world.arena, "%s/outside", world.dir);
    CHECK(mkdir(volume, 0755) == 0 && mkdir(outside, 0755) == 0);
    mounts[0].source = volume;
    trial_init(&flipper, &world, "");
    flipper.spec.command.items[2] = arena_printf(
        &world.arena,
        "cd /vol; mkdir -p d; ln -s /../../../../../../../..%s l; while :; do ln -sfn l a; rm a;"
        "mkdir a; rmdir a 2>/dev/null || mv a d/$((i+=1)); done",
        outside);
    flipper.spec.mounts = specs;
    flipper.spec.n_mounts = 1;
    flipper.mounts = mounts;
    trial_start(&flipper);
    for (int i = 0; i < ROUNDS; i++) {
        struct trial trial;
        struct build_mount own[2] = {mounts[0], {.source = NULL}};

        trial_init(&trial, &world, "touch /vol/a/sub/touched 2>/dev/null");
        trial.spec.mounts = specs;
        trial.spec.n_mounts = 2;
        trial.mounts = own;
        trial_run(&trial); /* works or fails, as it happens */
    }
    CHECK(rmdir(outside) == 0); /* still empty */
    check_canary(&canary);
    CHECK_INT(kill(flipper.pid, SIGKILL), 0);
    trial_end(&flipper);
    world_close(&world);
}

TEST(passwd_that_points_to_the_host_is_not_read)
{
    struct world world;
    struct trial trial;
    struct container_prepared *prepared = NULL;
    struct error err = ERROR_INIT;

    world_open(&world);
    link_in_layer(&world, "/etc/passwd", "/../../../../../../etc/passwd.not-in-the-image");
    trial_init(&trial, &world, "true");
    trial.spec.user = "root";
    CHECK_OK(container_resolve_process(&world.arena, &trial.spec, &trial.image, "h", &trial.process,
                                       &err),
             &err);
    CHECK_FAILS(container_prepare(&trial.build, &prepared, &err), ERROR_NOT_FOUND,
                "user \"root\" is not in /etc/passwd of the image");
    world_close(&world);
}

static void check_working_dir(const char *path, const char *part)
{
    struct world world;
    struct trial trial;

    world_open(&world);
    trial_init(&trial, &world, "pwd");
    trial.spec.working_dir = path;
    trial_run(&trial);
    CHECK_INT(trial.last.kind, ZYGOTE_FAILED);
    CHECK_CONTAINS(trial.last.error.text, part);
    world_close(&world);
}

TEST(a_working_directory_that_is_a_descriptor_is_refused)
{
    static const int fds[] = {3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 20};
    char path[64];

    for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[i]);
        check_working_dir(path, "change directory /proc/self/fd/");
    }
}

TEST(a_working_directory_that_points_out_stays_in)
{
    struct world world;
    struct trial trial;

    world_open(&world);
    link_in_layer(&world, "/work", "/../../../../tmp/container-workdir");
    trial_init(&trial, &world, "pwd");
    trial.spec.working_dir = "/work/sub";
    trial_run(&trial);
    CHECK_TEXT(trial_out(&trial), "/tmp/container-workdir/sub\n");
    CHECK(access("/tmp/container-workdir", F_OK) < 0);
    world_close(&world);
}

TEST(users_with_numbers_out_of_range_are_refused)
{
    static const char *const users[] = {"4294967296",   "2147483648", "-1",
                                        "0:4294967296", "0:-1",       "+5"};
    struct world world;
    struct error err = ERROR_INIT;

    world_open(&world);
    for (size_t i = 0; i < sizeof(users) / sizeof(*users); i++) {
        struct container_prepared *prepared = NULL;
        struct trial trial;

        trial_init(&trial, &world, "true");
        trial.spec.user = users[i];
        CHECK_OK(container_resolve_process(&world.arena, &trial.spec, &trial.image, "h",
                                           &trial.process, &err),
                 &err);
        CHECK_FAILS(container_prepare(&trial.build, &prepared, &err), ERROR_INVALID,
                    "is not in 0…2147483647");
    }
    world_close(&world);
}

/* CVE-2019-5736: the image makes the kernel open whatever /proc/self/exe is at the moment of exec.
 * That is the zygote's sealed memfd: it can be run, which fails at once, but never written. */
TEST(a_script_run_by_proc_self_exe_gets_nothing)
{
    struct world world;
    struct trial trial;

    world_open(&world);
    world_file(&world, "/bin/trap", "#!/proc/self/exe\n", 0755);
    trial_init(&trial, &world, "");
    trial.spec.command.items[0] = "/bin/trap";
    trial.spec.command.n = 1;
    trial_run(&trial);
    CHECK(trial.last.kind == ZYGOTE_FAILED || trial.last.exit_code != 0);
    world_close(&world);
}

TEST(the_init_that_stays_can_not_be_written)
{
    struct world world;
    struct trial trial;

    world_open(&world);
    trial_init(&trial, &world,
               "(echo x > /proc/1/exe) 2>&1 | grep -o 'denied\\|busy\\|permitted';"
               "readlink /proc/1/exe || echo unreadable");
    trial.spec.init = true;
    trial_run(&trial);
    CHECK_TEXT(trial_out(&trial), "denied\nunreadable\n");
    world_close(&world);
}

TEST(a_privileged_container_has_everything_this_host_can_give)
{
    struct world world;
    struct trial trial;

    world_open(&world);
    trial_init(&trial, &world,
               "grep CapEff /proc/self/status | tr -s '\\t' ' '; mount -t tmpfs x /mnt && echo ok;"
               "grep -c ' /sys sysfs rw' /proc/mounts");
    world_file(&world, "/mnt/keep", "", 0644);
    trial.spec.privileged = true;
    trial.build.capabilities = CAPABILITY_ALL_SET;
    trial.build.masked_paths = trial.build.read_only_paths = (struct strings){NULL, 0};
    trial_run(&trial);
    CHECK_CONTAINS(trial_out(&trial), "CapEff: 000001f");
    CHECK_CONTAINS(trial_out(&trial), "ok\n1\n");
    world_close(&world);
}

static size_t count_lines(const char *path)
{
    struct buf text = BUF_INIT;
    struct error err = ERROR_INIT;
    size_t n = 0;

    CHECK_OK(fs_read_file(AT_FDCWD, path, 1 << 20, &text, &err), &err);
    for (size_t i = 0; i < text.len; i++)
        n += text.data[i] == '\n';
    buf_release(&text);
    return n;
}

TEST(the_hosts_mounts_stay_as_they_were_and_the_zygote_has_one)
{
    struct world world;
    struct trial trial;
    size_t before = count_lines("/proc/self/mountinfo");

    world_open(&world);
    trial_init(&trial, &world, "while :; do sleep 10; done");
    trial_start(&trial);
    CHECK_INT(count_lines("/proc/self/mountinfo"), before);
    CHECK_INT(count_lines(arena_printf(&world.arena, "/proc/%d/mountinfo", world.zygote.pid)), 1);
    CHECK_INT(kill(trial.pid, SIGKILL), 0);
    trial_end(&trial);
    CHECK_INT(count_lines("/proc/self/mountinfo"), before);
    world_close(&world);
}
