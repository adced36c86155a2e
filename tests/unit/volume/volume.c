/* Volumes: records, removal, filling. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/fs.h"
#include "engine/volume/volume.h"
#include "tests/tap.h"

static struct arena arena;
static int state_fd, image_fd;

static void set_up(void)
{
    struct error err = ERROR_INIT;
    int temp_fd = open(tap_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    CHECK(temp_fd >= 0);
    CHECK_OK(fs_open_dirs(temp_fd, "state", 0700, &state_fd, &err), &err);
    CHECK_OK(fs_open_dirs(temp_fd, "image", 0755, &image_fd, &err), &err);
    close(temp_fd);
}

static void tear_down(void)
{
    close(state_fd);
    close(image_fd);
    arena_release(&arena);
}

static void write_text(int dirfd, const char *name, const char *text)
{
    struct error err = ERROR_INIT;

    CHECK_OK(fs_replace(dirfd, name, text, strlen(text), 0644, FS_VOLATILE, &err), &err);
}

static void check_text(int dirfd, const char *name, const char *want)
{
    struct error err = ERROR_INIT;
    struct buf text = BUF_INIT;

    CHECK_OK(fs_read_file(dirfd, name, 1000, &text, &err), &err);
    CHECK_TEXT(buf_text(&text), want);
    buf_release(&text);
}

static void create(const char *name)
{
    struct error err = ERROR_INIT;
    const struct volume volume = {.name = name};

    CHECK_OK(volume_create(state_fd, &volume, &err), &err);
}

static int data_of(const char *name)
{
    char path[300];

    (void)snprintf(path, sizeof(path), "volumes/%s/data", name);
    return openat(state_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

TEST(a_volume_is_created_once_found_and_listed)
{
    struct error err = ERROR_INIT;
    struct pair labels[] = {{"a", "1"}, {"com.docker.compose.project", "shop"}};
    const struct volume wanted = {.name = "shop_db", .project = "shop", .labels = {labels, 2}};
    struct volume found, *all;
    size_t n;

    set_up();
    CHECK_OK(volume_list(state_fd, "/state", &arena, &all, &n, &err), &err);
    CHECK_INT(n, 0);
    CHECK_OK(volume_create(state_fd, &wanted, &err), &err);
    CHECK_INT(volume_create(state_fd, &wanted, &err), 1);
    CHECK_OK(volume_find(state_fd, "/state", &arena, "shop_db", &found, &err), &err);
    CHECK_TEXT(found.project, "shop");
    CHECK_TEXT(pairs_find(&found.labels, "a"), "1");
    CHECK_TEXT(found.path, "/state/volumes/shop_db/data");
    CHECK(found.created_ns > 0);
    CHECK(found.container == NULL);
    create("another");
    CHECK_OK(volume_list(state_fd, "/state", &arena, &all, &n, &err), &err);
    CHECK_INT(n, 2);
    CHECK_TEXT(all[0].name, "another");
    CHECK_TEXT(all[1].name, "shop_db");
    CHECK_FAILS(volume_find(state_fd, "/state", &arena, "missing", &found, &err), ERROR_NOT_FOUND,
                "volume \"missing\" does not exist");
    tear_down();
}

TEST(names_are_checked_everywhere)
{
    const char *const bad[] = {"",   "a",          ".hidden", "../etc", "a/b",
                               "-x", "with space", "..",      "a\n"};
    struct error err = ERROR_INIT;
    int fd;

    set_up();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const struct volume volume = {.name = bad[i]};

        CHECK_FAILS(volume_create(state_fd, &volume, &err), ERROR_INVALID, "name of a volume");
        CHECK_FAILS(volume_remove(state_fd, bad[i], &err), ERROR_INVALID, "name of a volume");
        CHECK_FAILS(volume_open_data(state_fd, bad[i], &fd, &err), ERROR_INVALID, "absolute path");
    }
    tear_down();
}

TEST(removal_takes_the_data_but_follows_no_symlink)
{
    struct error err = ERROR_INIT;
    struct strings left;

    set_up();
    create("db");
    write_text(image_fd, "precious", "keep me");

    cleanup_fd int data_fd = data_of("db");
    char outside[300];

    (void)snprintf(outside, sizeof(outside), "%s/image", tap_temp_dir());
    CHECK_INT(symlinkat(outside, data_fd, "link"), 0);
    CHECK_OK(fs_make_dirs(data_fd, "deep/er", 0755, &err), &err);
    write_text(data_fd, "deep/er/file", "x");
    CHECK_OK(volume_remove(state_fd, "db", &err), &err);
    CHECK_OK(volume_remove(state_fd, "db", &err), &err); /* absent is done */
    check_text(image_fd, "precious", "keep me");
    CHECK_OK(fs_list(state_fd, "volumes", &arena, &left, &err), &err);
    CHECK_INT(left.n, 0);
    tear_down();
}

TEST(leftovers_of_killed_processes_are_no_volumes_and_go)
{
    struct error err = ERROR_INIT;
    struct strings left;
    struct volume *all;
    size_t n;

    set_up();
    create("db");
    CHECK_OK(fs_make_dirs(state_fd, "volumes/.removed-x.1/data/sub", 0755, &err), &err);
    CHECK_OK(fs_make_dirs(state_fd, "volumes/.staging-y.1/data", 0755, &err), &err);
    CHECK_OK(volume_list(state_fd, "/s", &arena, &all, &n, &err), &err);
    CHECK_INT(n, 1);
    CHECK_OK(volume_remove(state_fd, "db", &err), &err);
    CHECK_OK(fs_list(state_fd, "volumes", &arena, &left, &err), &err);
    CHECK_INT(left.n, 1); /* staging is young: someone may be at work */
    CHECK_TEXT(left.items[0], ".staging-y.1");
    tear_down();
}

TEST(anonymous_volumes_belong_to_a_container)
{
    struct error err = ERROR_INIT;
    char first[VOLUME_ANONYMOUS_NAME_SIZE], second[VOLUME_ANONYMOUS_NAME_SIZE];
    struct volume found;

    set_up();
    volume_anonymous_name("c1", "/data", first);
    volume_anonymous_name("c2", "/data", second);
    CHECK(strcmp(first, second) != 0);

    struct volume volume = {.name = first, .container = "c1", .target = "/data"};

    CHECK_OK(volume_create(state_fd, &volume, &err), &err);
    volume = (struct volume){.name = second, .container = "c2", .target = "/data"};
    CHECK_OK(volume_create(state_fd, &volume, &err), &err);
    create("named");
    CHECK_OK(volume_find(state_fd, "/s", &arena, first, &found, &err), &err);
    CHECK_TEXT(found.container, "c1");
    CHECK_TEXT(found.target, "/data");
    CHECK(pairs_have(&found.labels, "com.docker.volume.anonymous"));

    CHECK_OK(volume_remove_anonymous(state_fd, "c1", &err), &err);
    CHECK_FAILS(volume_find(state_fd, "/s", &arena, first, &found, &err), ERROR_NOT_FOUND, first);
    CHECK_OK(volume_find(state_fd, "/s", &arena, second, &found, &err), &err);
    CHECK_OK(volume_find(state_fd, "/s", &arena, "named", &found, &err), &err);
    tear_down();
}

static void make_image(void)
{
    static const struct timespec old[2] = {{1000000000, 5}, {1000000001, 7}};
    struct error err = ERROR_INIT;

    CHECK_OK(fs_make_dirs(image_fd, "data/sub/empty", 0755, &err), &err);
    write_text(image_fd, "data/file", "content");
    write_text(image_fd, "data/sub/one", "linked");
    CHECK_INT(linkat(image_fd, "data/sub/one", image_fd, "data/two", 0), 0);
    CHECK_INT(symlinkat("/etc/passwd", image_fd, "data/sub/link"), 0);
    CHECK_INT(mkfifoat(image_fd, "data/fifo", 0620), 0);
    CHECK_INT(fchmodat(image_fd, "data/file", 04711, 0), 0);
    CHECK_INT(fchmodat(image_fd, "data", 01750, 0), 0);

    cleanup_fd int sparse = openat(image_fd, "data/sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    CHECK_INT(pwrite(sparse, "middle", 6, 8 << 20), 6);
    CHECK_INT(ftruncate(sparse, 16 << 20), 0);
    if (geteuid() == 0) {
        CHECK_INT(fchownat(image_fd, "data/sub", 33, 44, 0), 0);
        CHECK_INT(fchownat(image_fd, "data", 999, 998, 0), 0);
        CHECK_INT(fchownat(image_fd, "data/sub/link", 5, 6, AT_SYMLINK_NOFOLLOW), 0);
        CHECK_INT(fchmodat(image_fd, "data/file", 04711, 0), 0);
    }
    CHECK_INT(utimensat(image_fd, "data/file", old, 0), 0);
    CHECK_INT(utimensat(image_fd, "data/sub", old, 0), 0);
    CHECK_INT(utimensat(image_fd, "data", old, 0), 0);
}

static void check_same(int data_fd, const char *name)
{
    struct stat want, got;
    char path[100];

    (void)snprintf(path, sizeof(path), "data/%s", name);
    CHECK_INT(fstatat(image_fd, path, &want, AT_SYMLINK_NOFOLLOW), 0);
    CHECK_INT(fstatat(data_fd, name, &got, AT_SYMLINK_NOFOLLOW), 0);
    CHECK_INT(got.st_mode, want.st_mode);
    CHECK_INT(got.st_uid, want.st_uid);
    CHECK_INT(got.st_gid, want.st_gid);
    CHECK_INT(got.st_mtim.tv_sec, want.st_mtim.tv_sec);
    CHECK_INT(got.st_mtim.tv_nsec, want.st_mtim.tv_nsec);
    if (!S_ISDIR(want.st_mode)) {
        CHECK_INT(got.st_size, want.st_size);
        CHECK_INT(got.st_nlink, want.st_nlink);
    }
}

TEST(an_empty_volume_takes_over_what_the_image_has)
{
    const char *const names[] = {".",   "file", "sub",      "sub/empty", "sub/one",
                                 "two", "fifo", "sub/link", "sparse"};
    struct error err = ERROR_INIT;
    struct stat one, two, sparse;
    char text[100] = "";

    set_up();
    make_image();
    create("db");

    cleanup_fd int data_fd =
        data_of("db"); /* the directory stays the same one: it may be mounted */

    CHECK_OK(volume_fill(state_fd, "db", image_fd, "/data", &err), &err);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        check_same(data_fd, names[i]);
    check_text(data_fd, "file", "content");
    CHECK(readlinkat(data_fd, "sub/link", text, sizeof(text) - 1) > 0);
    CHECK_TEXT(text, "/etc/passwd");
    CHECK_INT(fstatat(data_fd, "sub/one", &one, 0), 0);
    CHECK_INT(fstatat(data_fd, "two", &two, 0), 0);
    CHECK_INT(one.st_ino, two.st_ino);
    CHECK_INT(fstatat(data_fd, "sparse", &sparse, 0), 0);
    CHECK(sparse.st_blocks * 512 < 1 << 20);

    char middle[7] = "";
    cleanup_fd int sparse_fd = openat(data_fd, "sparse", O_RDONLY | O_CLOEXEC);

    CHECK_INT(pread(sparse_fd, middle, 6, 8 << 20), 6);
    CHECK_TEXT(middle, "middle");
    CHECK_INT(volume_fill(state_fd, "db", image_fd, "/data", &err), 1);
    CHECK(!fs_exists(state_fd, "volumes/db/filled"));
    CHECK(!fs_exists(state_fd, "volumes/db/filling"));
    tear_down();
}

TEST(extended_attributes_and_devices_are_kept)
{
    struct error err = ERROR_INIT;
    char value[10] = "";
    struct stat st;

    set_up();
    if (geteuid() != 0)
        SKIP("needs root");
    CHECK_OK(fs_make_dirs(image_fd, "data", 0755, &err), &err);
    write_text(image_fd, "data/file", "x");
    CHECK_INT(mknodat(image_fd, "data/null", S_IFCHR | 0666, makedev(1, 3)), 0);
    CHECK_INT(mknodat(image_fd, "data/whiteout", S_IFCHR, makedev(0, 0)), 0);

    cleanup_fd int file = openat(image_fd, "data/file", O_RDWR | O_CLOEXEC);

    if (fsetxattr(file, "user.colour", "green", 5, 0) != 0)
        SKIP("no extended attributes here");
    (void)fsetxattr(file, "trusted.overlay.origin", "y", 1, 0);
    create("db");
    CHECK_OK(volume_fill(state_fd, "db", image_fd, "/data", &err), &err);

    cleanup_fd int data_fd = data_of("db");
    cleanup_fd int copy = openat(data_fd, "file", O_RDONLY | O_CLOEXEC);

    CHECK_INT(fgetxattr(copy, "user.colour", value, sizeof(value)), 5);
    CHECK_TEXT(value, "green");
    CHECK_INT(fgetxattr(copy, "trusted.overlay.origin", value, sizeof(value)), -1);
    CHECK_INT(fstatat(data_fd, "null", &st, 0), 0);
    CHECK_INT(st.st_rdev, makedev(1, 3));
    CHECK(!fs_exists(data_fd, "whiteout"));
    tear_down();
}

TEST(a_volume_with_content_is_left_alone)
{
    struct error err = ERROR_INIT;

    set_up();
    make_image();
    create("db");

    cleanup_fd int data_fd = data_of("db");

    write_text(data_fd, "mine", "old");
    CHECK_INT(volume_fill(state_fd, "db", image_fd, "/data", &err), 1);
    CHECK(!fs_exists(data_fd, "file"));
    check_text(data_fd, "mine", "old");
    tear_down();
}

TEST(a_missing_or_odd_path_fills_nothing)
{
    struct error err = ERROR_INIT;

    set_up();
    make_image();
    create("db");
    CHECK_INT(symlinkat("loop", image_fd, "loop"), 0);
    CHECK_INT(volume_fill(state_fd, "db", image_fd, "/not/there", &err), 1);
    CHECK_INT(volume_fill(state_fd, "db", image_fd, "/data/file", &err), 1);
    CHECK_INT(volume_fill(state_fd, "db", image_fd, "/loop", &err), 1);
    CHECK_FAILS(volume_fill(state_fd, "none", image_fd, "/data", &err), ERROR_NOT_FOUND, "none");
    tear_down();
}

TEST(the_source_cannot_lead_out_of_the_image)
{
    struct error err = ERROR_INIT;

    set_up();
    create("db");
    write_text(state_fd, "secret", "host");
    CHECK_INT(symlinkat("../state", image_fd, "escape"), 0);
    CHECK_INT(symlinkat("/etc", image_fd, "absolute"), 0);
    CHECK_INT(volume_fill(state_fd, "db", image_fd, "/escape", &err), 1);
    CHECK_INT(volume_fill(state_fd, "db", image_fd, "/absolute", &err), 1);
    CHECK_INT(volume_fill(state_fd, "db", image_fd, "/../../state", &err), 1);

    /* but a symlink inside it is followed inside it */
    CHECK_OK(fs_make_dirs(image_fd, "state", 0755, &err), &err);
    write_text(image_fd, "state/own", "image");
    CHECK_OK(volume_fill(state_fd, "db", image_fd, "/escape", &err), &err);

    cleanup_fd int data_fd = data_of("db");

    check_text(data_fd, "own", "image");
    CHECK(!fs_exists(data_fd, "secret"));
    tear_down();
}

TEST(a_copy_killed_while_it_grew_is_done_anew)
{
    struct error err = ERROR_INIT;

    set_up();
    make_image();
    create("db");
    CHECK_OK(fs_make_dirs(state_fd, "volumes/db/filling/sub", 0755, &err), &err);
    write_text(state_fd, "volumes/db/filling/file", "half");
    CHECK_OK(volume_fill(state_fd, "db", image_fd, "/data", &err), &err);

    cleanup_fd int data_fd = data_of("db");

    check_text(data_fd, "file", "content");
    check_same(data_fd, "sub");
    tear_down();
}

TEST(a_copy_killed_while_it_was_moved_in_is_moved_on)
{
    struct error err = ERROR_INIT;
    int fd = -1;

    set_up();
    create("db");

    cleanup_fd int data_fd = data_of("db");

    CHECK_OK(fs_make_dirs(state_fd, "volumes/db/filled/rest", 0755, &err), &err);
    write_text(state_fd, "volumes/db/filled/rest/x", "rest");
    write_text(state_fd, "volumes/db/filled/both", "image");
    write_text(data_fd, "moved", "first");
    write_text(data_fd, "both", "container");
    CHECK_OK(volume_open_data(state_fd, "db", &fd, &err), &err);
    close(fd);
    check_text(data_fd, "moved", "first");
    check_text(data_fd, "rest/x", "rest");
    check_text(data_fd, "both", "container"); /* what a container wrote stays */
    CHECK(!fs_exists(state_fd, "volumes/db/filled"));
    tear_down();
}

TEST(two_who_fill_at_once_do_it_once)
{
    struct error err = ERROR_INIT;
    cleanup_fd int lock_fd = -1;
    int status = -1, at_work[2];
    char byte;

    set_up();
    make_image();
    create("db");
    lock_fd = openat(state_fd, "volumes/db", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_OK(fs_lock(lock_fd, FS_LOCK_EXCLUSIVE, &err), &err);
    CHECK_INT(pipe(at_work), 0);

    pid_t child = fork();

    if (child == 0) {
        close(lock_fd);
        close(at_work[0]);
        close(at_work[1]);
        _exit(volume_fill(state_fd, "db", image_fd, "/data", &err) == 1 ? 0 : 1);
    }
    close(at_work[1]);
    CHECK_INT(read(at_work[0], &byte, 1), 0);
    close(at_work[0]);

    /* the other one is filling meanwhile: here, us, with the lock it would have */
    cleanup_fd int data_fd = data_of("db");

    write_text(data_fd, "file", "filled by the first");
    close(fd_take(&lock_fd));
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(WEXITSTATUS(status), 0);
    check_text(data_fd, "file", "filled by the first");
    CHECK(!fs_exists(data_fd, "sub"));
    tear_down();
}

TEST(a_deep_tree_is_copied)
{
    enum { DEPTH = 150 };
    struct error err = ERROR_INIT;
    struct buf path = BUF_INIT;

    set_up();
    buf_add_text(&path, "data");
    for (int i = 0; i < DEPTH; i++)
        buf_add_text(&path, "/dir");
    CHECK_OK(fs_make_dirs(image_fd, buf_text(&path), 0755, &err), &err);
    buf_add_text(&path, "/leaf");
    write_text(image_fd, buf_text(&path), "deep");
    create("db");
    CHECK_OK(volume_fill(state_fd, "db", image_fd, "data", &err), &err);

    cleanup_fd int data_fd = data_of("db");

    check_text(data_fd, buf_text(&path) + strlen("data/"), "deep");
    buf_release(&path);
    tear_down();
}
