/* Imports through the worker and its sandbox: what arrives, what is refused, what dies half-way. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/process.h"
#include "tests/integration/image_world.h"
#include "tests/tap.h"

static void small_rootfs(struct tar *tar)
{
    tar_add(tar, &(struct tar_item){'5', .name = "./", .mode = 0755});
    tar_add(tar, &(struct tar_item){'5', .name = "./bin", .mode = 0755, .mtime = 1000});
    tar_add(tar, &(struct tar_item){'0', .name = "./bin/tool", .content = "#!tool", .mode = 04755});
    tar_add(tar,
            &(struct tar_item){'1', .name = "./bin/same", .link = "./bin/tool", .mode = 04755});
    tar_add(tar, &(struct tar_item){'2', .name = "./bin/sh", .link = "tool", .mode = 0777});
    tar_add(tar,
            &(struct tar_item){'5', .name = "./home/app", .mode = 02770, .uid = 1000, .gid = 1001});
    tar_add(tar, &(struct tar_item){'0', .name = "./home/app/f", .content = "x", .mode = 0640,
                                    .uid = 1000, .gid = 1001, .mtime = 12345});
    tar_add(tar, &(struct tar_item){'6', .name = "./run/fifo", .mode = 0600});
    tar_add(tar,
            &(struct tar_item){'3', .name = "./dev/null", .mode = 0666, .major = 1, .minor = 3});
    tar_pax(tar, "SCHILY.xattr.user.note", "kept");
    tar_add(tar, &(struct tar_item){'0', .name = "./noted", .content = "n", .mode = 0644});
    tar_pax(tar, "path", "./l\xc3\xa4nger/\xc3\xa4");
    tar_add(tar, &(struct tar_item){'0', .name = "./short", .content = "u", .mode = 0644});
    tar_end(tar);
}

static const char *write_rootfs(struct image_world *world)
{
    struct tar tar = {0};
    const char *path;

    small_rootfs(&tar);
    path = tar_write(world, &tar, "rootfs.tar");
    buf_release(&tar.bytes);
    return path;
}

TEST(an_import_keeps_owners_modes_links_times_and_attributes)
{
    struct image_world world;
    struct stat st;
    char value[16] = "";
    int fd = -1;

    image_world_open(&world);
    CHECK_OK(try_import(&world, write_rootfs(&world), "small"), &world.err);
    CHECK_TEXT(layer_file(&world, world.diff_id, "bin/tool"), "file 4755 0:0 #!tool");
    CHECK_TEXT(layer_file(&world, world.diff_id, "bin/sh"), "symlink tool");
    CHECK_TEXT(layer_file(&world, world.diff_id, "home/app"), "directory 2770 1000:1001");
    CHECK_TEXT(layer_file(&world, world.diff_id, "home/app/f"), "file 0640 1000:1001 x");
    CHECK_TEXT(layer_file(&world, world.diff_id, "home"), "directory 0755 0:0");
    CHECK_TEXT(layer_file(&world, world.diff_id, "run/fifo"), "fifo 0600");
    CHECK_TEXT(layer_file(&world, world.diff_id, "dev/null"), "char 1:3");
    CHECK_TEXT(layer_file(&world, world.diff_id, "l\xc3\xa4nger/\xc3\xa4"), "file 0644 0:0 u");

    CHECK_OK(layer_open(world.state_fd, world.diff_id, &fd, NULL, &world.err), &world.err);
    CHECK(fstatat(fd, "bin", &st, 0) == 0);
    CHECK_INT(st.st_mtim.tv_sec, 1000);
    CHECK(fstatat(fd, "bin/same", &st, 0) == 0);
    CHECK_INT(st.st_nlink, 2);
    CHECK(fstatat(fd, "home/app/f", &st, 0) == 0);
    CHECK_INT(st.st_mtim.tv_sec, 12345);
    CHECK(getxattr(arena_printf(&world.arena, "/proc/self/fd/%d/noted", fd), "user.note", value,
                   sizeof(value)) == 4);
    close(fd);
    image_world_check_tidy(&world);
    image_world_close(&world);
}

static void run_program(const char *const argv[])
{
    struct process_options options = PROCESS_OPTIONS_INIT;
    struct process process = PROCESS_INIT;
    struct error err = ERROR_INIT;
    int status;

    options.argv = argv;
    CHECK_OK(process_spawn(&options, &process, &err), &err);
    CHECK_OK(process_wait(&process, &status, &err), &err);
    CHECK_INT(status, 0);
}

TEST(compression_changes_nothing)
{
    static const char *const programs[] = {"gzip", "xz", "zstd", "bzip2"};
    static const char *const suffixes[] = {".gz", ".xz", ".zst", ".bz2"};
    struct image_world world;
    char plain[DIGEST_TEXT_SIZE];
    const char *path;

    image_world_open(&world);
    path = write_rootfs(&world);
    CHECK_OK(try_import(&world, path, NULL), &world.err);
    memcpy(plain, world.diff_id, sizeof(plain));
    for (size_t i = 0; i < 4; i++) {
        const char *const argv[] = {programs[i], "-k", "-q", path, NULL};

        run_program(argv);
        CHECK_OK(try_import(&world, arena_printf(&world.arena, "%s%s", path, suffixes[i]), NULL),
                 &world.err);
        CHECK_TEXT(world.diff_id, plain);
    }
    CHECK_INT(count_entries(&world, "layers"), 1);
    image_world_check_tidy(&world);
    image_world_close(&world);
}

TEST(gzip_members_in_a_row_are_one_archive)
{
    struct image_world world;
    char plain[DIGEST_TEXT_SIZE];
    const char *path;

    image_world_open(&world);
    path = write_rootfs(&world);
    CHECK_OK(try_import(&world, path, NULL), &world.err);
    memcpy(plain, world.diff_id, sizeof(plain));
    const char *const argv[] = {
        "sh", "-c", "(head -c 700 \"$0\" | gzip; tail -c +701 \"$0\" | gzip) >\"$0.multi\"", path,
        NULL};
    run_program(argv);
    CHECK_OK(try_import(&world, arena_printf(&world.arena, "%s.multi", path), NULL), &world.err);
    CHECK_TEXT(world.diff_id, plain);
    image_world_close(&world);
}

TEST(damaged_archives_leave_nothing)
{
    static const char *const damages[] = {
        "head -c 2500 \"$0\" >\"$0.bad\"",
        "gzip -c \"$0\" | head -c 200 >\"$0.bad\"",
        "(gzip -c \"$0\"; echo garbage) >\"$0.bad\"",
        "xz -c \"$0\" | head -c 200 >\"$0.bad\"",
        "zstd -qc \"$0\" | head -c 200 >\"$0.bad\"",
        "echo this is no archive at all >\"$0.bad\"",
        ": >\"$0.bad\"",
    };
    struct image_world world;
    const char *path;

    image_world_open(&world);
    path = write_rootfs(&world);
    for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
        const char *const argv[] = {"sh", "-c", damages[i], path, NULL};

        run_program(argv);
        if (try_import(&world, arena_printf(&world.arena, "%s.bad", path), "bad") == 0)
            tap_fail(TAP_HERE, "imported after: %s", damages[i]);
        CHECK_INT(count_entries(&world, "layers"), 0);
        CHECK_INT(count_entries(&world, "refs"), 0);
        image_world_check_tidy(&world);
    }
    image_world_close(&world);
}

/* ------------------------------------------------------------------ hostile */

static const struct hostile {
    struct tar_item first, second;
    const char *reason; /* NULL = imported, and harmless */
} hostile[] = {
    {{'0', .name = "../out", .content = "x"}, {0}, "leads out"},
    {{'0', .name = "a/../../out", .content = "x"}, {0}, "leads out"},
    {{'1', .name = "link", .link = "../../etc/passwd"}, {0}, "leads out"},
    {{'1', .name = "link", .link = "/etc/passwd"}, {0}, "not in the archive"},
    {{'2', .name = "up", .link = "../.."},
     {'1', .name = "link", .link = "up/etc/passwd"},
     "not in the archive"},
    {{'5', .name = "d", .mode = 0755}, {'1', .name = "link", .link = "d"}, "directory"},
    {{'0', .name = "/abs", .content = "x"}, {0}, NULL},
    {{'2', .name = "etc", .link = "/etc"}, {'0', .name = "etc/hostile", .content = "x"}, "etc"},
    {{'2', .name = "up", .link = "../../../../tmp"},
     {'0', .name = "up/berth-hostile", .content = "x"},
     "up"},
    {{'2', .name = "f", .link = "/etc/passwd"},
     {'0', .name = "f", .content = "replaced", .mode = 0644},
     NULL},
    {{'4', .name = "sda", .mode = 0666, .major = 8, .minor = 0},
     {'0', .name = "x", .content = "x"},
     NULL},
    {{'3', .name = "mem", .mode = 0666, .major = 1, .minor = 1},
     {'0', .name = "x", .content = "x"},
     NULL},
    {{'3', .name = "whiteout", .major = 0, .minor = 0}, {'0', .name = "x", .content = "x"}, NULL},
    {{'0', .name = "", .content = "x"}, {0}, ""},
    {{'2', .name = "empty", .link = ""}, {0}, ""},
};

TEST(hostile_entries_stay_inside)
{
    struct image_world world;

    image_world_open(&world);
    for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++) {
        struct tar tar = {0};
        const char *path;
        int result;

        tar_add(&tar, &hostile[i].first);
        if (hostile[i].second.type)
            tar_add(&tar, &hostile[i].second);
        tar_end(&tar);
        path = tar_write(&world, &tar, "hostile.tar");
        buf_release(&tar.bytes);
        result = try_import(&world, path, NULL);
        if ((result == 0) != (hostile[i].reason == NULL))
            tap_fail(TAP_HERE, "\"%s\": %s", hostile[i].first.name,
                     result ? world.err.text : "was imported");
        if (hostile[i].reason)
            CHECK_CONTAINS(world.err.text, hostile[i].reason);
        image_world_check_tidy(&world);
    }
    CHECK(access("/etc/hostile", F_OK) < 0);
    CHECK(access("/tmp/berth-hostile", F_OK) < 0);
    image_world_close(&world);
}

TEST(a_device_of_the_host_is_left_out)
{
    struct image_world world;
    struct tar tar = {0};

    image_world_open(&world);
    tar_add(&tar, &(struct tar_item){'4', .name = "sda", .mode = 0666, .major = 8, .minor = 0});
    tar_add(&tar, &(struct tar_item){'3', .name = "mem", .mode = 0666, .major = 1, .minor = 1});
    tar_add(&tar, &(struct tar_item){'3', .name = "zero", .mode = 0666, .major = 1, .minor = 5});
    tar_add(&tar, &(struct tar_item){'2', .name = "f", .link = "/etc/passwd"});
    tar_add(&tar, &(struct tar_item){'0', .name = "f", .content = "replaced", .mode = 0644});
    tar_end(&tar);
    CHECK_OK(try_import(&world, tar_write(&world, &tar, "devices.tar"), NULL), &world.err);
    CHECK_TEXT(layer_file(&world, world.diff_id, "sda"), "absent");
    CHECK_TEXT(layer_file(&world, world.diff_id, "mem"), "absent");
    CHECK_TEXT(layer_file(&world, world.diff_id, "zero"), "char 1:5");
    CHECK_TEXT(layer_file(&world, world.diff_id, "f"), "file 0644 0:0 replaced");
    buf_release(&tar.bytes);
    image_world_close(&world);
}

TEST(a_huge_claim_without_content_fails)
{
    static const uint64_t sizes[] = {1ULL << 32, (1ULL << 33) - 1};
    struct image_world world;

    image_world_open(&world);
    for (size_t i = 0; i < 2; i++) {
        struct tar tar = {0};

        tar_add_claiming(&tar, "huge", sizes[i]);
        tar_end(&tar);
        CHECK(try_import(&world, tar_write(&world, &tar, "huge.tar"), NULL) < 0);
        buf_release(&tar.bytes);
        image_world_check_tidy(&world);
    }
    image_world_close(&world);
}

TEST(holes_stay_holes)
{
    struct image_world world;
    struct stat st;
    int fd = -1;

    image_world_open(&world);
    const char *const argv[] = {
        "sh", "-c",
        "cd \"$0\" && truncate -s 3G sparse && printf end >>sparse && tar -Scf sparse.tar sparse",
        world.dir, NULL};
    run_program(argv);
    CHECK_OK(try_import(&world, arena_printf(&world.arena, "%s/sparse.tar", world.dir), NULL),
             &world.err);
    CHECK_OK(layer_open(world.state_fd, world.diff_id, &fd, NULL, &world.err), &world.err);
    CHECK(fstatat(fd, "sparse", &st, 0) == 0);
    CHECK_INT(st.st_size, (3LL << 30) + 3);
    CHECK(st.st_blocks < 1000);
    close(fd);
    image_world_close(&world);
}

/* ------------------------------------------------------------------ configs */

TEST(changes_and_message_reach_the_config)
{
    static const char *changes[] = {"ENV A=b C=\"d e\"", "CMD [\"sh\"]", "EXPOSE 80",
                                    "HEALTHCHECK --interval=5s CMD true"};
    struct image_world world;
    struct image_info info;
    struct job *job = NULL;

    image_world_open(&world);
    const struct image_import_request request = {.path = write_rootfs(&world),
                                                 .stdin_fd = -1,
                                                 .reference = "x:1",
                                                 .changes = {changes, 4},
                                                 .message = "by hand"};
    CHECK_OK(image_import_start(world.state_fd, &request, &job, &world.err), &world.err);
    CHECK_OK(job_wait(job, NULL, NULL, &world.err), &world.err);
    job_close(job);
    CHECK_OK(image_find(world.state_fd, &world.arena, "x:1", &info, &world.err), &world.err);
    CHECK_INT(info.environment.n, 2);
    CHECK_TEXT(info.environment.items[1], "C=d e");
    CHECK_TEXT(info.command.items[0], "sh");
    CHECK_TEXT(info.exposed_ports.items[0], "80/tcp");
    CHECK_TEXT(info.health.test.items[0], "CMD-SHELL");
    CHECK_INT(info.health.interval_ns, 5000000000LL);
    CHECK_TEXT(info.references.items[0], "x:1");
    CHECK(info.created_ns > 0);
    CHECK(info.size_bytes > 0);
    image_world_close(&world);
}

TEST(a_bad_change_is_refused_before_anything_happens)
{
    static const char *changes[] = {"RUN make"};
    struct image_world world;
    struct job *job = NULL;

    image_world_open(&world);
    struct error err = ERROR_INIT;
    const struct image_import_request request = {
        .path = write_rootfs(&world), .stdin_fd = -1, .changes = {changes, 1}};
    CHECK_FAILS(image_import_start(world.state_fd, &request, &job, &err), ERROR_INVALID,
                "\"RUN\" cannot be used here");
    CHECK_INT(count_entries(&world, "staging"), 0);
    image_world_close(&world);
}

/* ------------------------------------------------------------------ several at once, and death */

TEST(imports_of_the_same_at_once_make_one_layer)
{
    enum { N = 6 };
    struct image_world world;
    struct job *jobs[N] = {NULL};
    const char *path;

    image_world_open(&world);
    path = write_rootfs(&world);
    for (size_t i = 0; i < N; i++) {
        const struct image_import_request request = {
            .path = path, .stdin_fd = -1, .reference = "same"};

        CHECK_OK(image_import_start(world.state_fd, &request, &jobs[i], &world.err), &world.err);
    }
    for (size_t i = 0; i < N; i++) {
        CHECK_OK(job_wait(jobs[i], NULL, NULL, &world.err), &world.err);
        job_close(jobs[i]);
    }
    CHECK_INT(count_entries(&world, "layers"), 1);
    image_world_check_tidy(&world);
    image_world_close(&world);
}

/* Enough to be in the middle of for a while. */
static const char *write_large(struct image_world *world)
{
    struct tar tar = {0};
    const char *path;
    char name[64];

    for (int i = 0; i < 3000; i++) {
        (void)snprintf(name, sizeof(name), "d%d/f%d", i / 100, i);
        tar_add(&tar, &(struct tar_item){'0', name, .content = name, .mode = 0644});
    }
    tar_end(&tar);
    path = tar_write(world, &tar, "large.tar");
    buf_release(&tar.bytes);
    return path;
}

TEST(a_killed_import_shows_nothing_and_is_swept)
{
    struct image_world world;
    const char *path;

    image_world_open(&world);
    path = write_large(&world);
    for (int i = 0; i < 25; i++) {
        const struct image_import_request request = {
            .path = path, .stdin_fd = -1, .reference = "large"};
        struct image_info info;
        struct job *job = NULL;
        int i_ms = i * 3;

        CHECK_OK(image_import_start(world.state_fd, &request, &job, &world.err), &world.err);
        (void)poll(NULL, 0, i_ms); /* the point is to hit another moment each time */
        job_close(job);
        /* All or nothing. */
        if (image_find(world.state_fd, &world.arena, "large", &info, NULL) == 0) {
            CHECK_TEXT(layer_file(&world, info.layers.items[0], "d29/f2999"),
                       "file 0644 0:0 d29/f2999");
            CHECK_OK(image_remove(world.state_fd, "large", false, &world.err), &world.err);
        }
    }
    CHECK_OK(try_import(&world, path, "large"), &world.err);
    CHECK_TEXT(layer_file(&world, world.diff_id, "d0/f0"), "file 0644 0:0 d0/f0");
    CHECK_INT(image_collect(world.state_fd, NULL, &world.err), 0);
    CHECK_INT(count_entries(&world, "layers"), 1);
    image_world_check_tidy(&world);
    image_world_close(&world);
}

/* ------------------------------------------------------------------ extract */

TEST(extract_merges_into_a_directory_and_stays_there)
{
    struct image_world world;
    struct tar tar = {0};
    struct job *job = NULL;
    struct stat st;

    image_world_open(&world);
    const char *target = arena_printf(&world.arena, "%s/target", world.dir);
    CHECK(mkdir(target, 0755) == 0);
    CHECK(symlink("/etc", arena_printf(&world.arena, "%s/escape", target)) == 0);
    tar_add(&tar, &(struct tar_item){'0', .name = "escape", .content = "plain", .mode = 0644});
    tar_add(&tar, &(struct tar_item){'0', .name = "d/.wh.x", .content = "name", .mode = 0644});
    tar_end(&tar);
    int archive = open(tar_write(&world, &tar, "add.tar"), O_RDONLY | O_CLOEXEC);
    int directory = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_OK(image_extract_start(world.state_fd, archive, directory, "7:8", &job, &world.err),
             &world.err);
    CHECK_OK(job_wait(job, NULL, NULL, &world.err), &world.err);
    CHECK_INT(json_i64_or(job_result(job), "n_entries", 0), 2);
    job_close(job);
    CHECK(fstatat(directory, "escape", &st, AT_SYMLINK_NOFOLLOW) == 0);
    CHECK(S_ISREG(st.st_mode));
    CHECK_INT(st.st_uid, 7);
    CHECK_INT(st.st_gid, 8);
    CHECK(fstatat(directory, "d/.wh.x", &st, AT_SYMLINK_NOFOLLOW) == 0);
    CHECK(access("/etc/.wh.x", F_OK) < 0);
    close(archive);
    close(directory);
    buf_release(&tar.bytes);
    image_world_close(&world);
}

TEST(extract_of_no_archive_says_so)
{
    struct image_world world;
    struct job *job = NULL;

    image_world_open(&world);
    int archive = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    struct error err = ERROR_INIT;
    CHECK_OK(image_extract_start(world.state_fd, archive, world.state_fd, NULL, &job, &err), &err);
    CHECK_FAILS(job_wait(job, NULL, NULL, &err), ERROR_UNSUPPORTED, "not a tar archive");
    job_close(job);
    close(archive);
    image_world_close(&world);
}
