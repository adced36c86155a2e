/* engine/base/fs.h */

#include "engine/base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/str.h"
#include "tests/tap.h"

static int temp_dir_open(void)
{
    int fd = open(tap_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    CHECK(fd >= 0);
    return fd;
}

static void write_file(int dir, const char *name, const char *text)
{
    struct error err = ERROR_INIT;

    CHECK_OK(fs_replace(dir, name, text, strlen(text), 0644, FS_VOLATILE, &err), &err);
}

static void check_content(int dir, const char *name, const char *want)
{
    cleanup_buf struct buf content = BUF_INIT;
    struct error err = ERROR_INIT;

    CHECK_OK(fs_read_file(dir, name, 1 << 20, &content, &err), &err);
    CHECK_TEXT(buf_text(&content), want);
}

TEST(replace_writes_new_and_old_files_with_their_mode)
{
    cleanup_fd int dir = temp_dir_open();
    struct error err = ERROR_INIT;
    struct stat st;

    umask(0077);
    CHECK_OK(fs_replace(dir, "a", "one", 3, 0640, FS_DURABLE, &err), &err);
    check_content(dir, "a", "one");
    CHECK_OK(fs_replace(dir, "a", "two", 3, 0644, FS_DURABLE, &err), &err);
    check_content(dir, "a", "two");
    CHECK_OK(fstatat(dir, "a", &st, 0), &err);
    CHECK_INT(st.st_mode & 07777, 0644);
}

TEST(replace_leaves_no_temporary_file_behind)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_fd int dir = temp_dir_open();
    struct error err = ERROR_INIT;
    struct strings names;

    write_file(dir, "a", "x");
    CHECK_OK(mkdirat(dir, "occupied", 0755), &err);
    CHECK_FAILS(fs_replace(dir, "occupied", "x", 1, 0644, FS_VOLATILE, &err), ERROR_SYSTEM,
                "replace \"occupied\": rename");
    CHECK_OK(fs_list(dir, ".", &arena, &names, &err), &err);
    CHECK_INT(names.n, 2);
}

TEST(replace_works_below_a_directory_and_names_a_missing_one)
{
    cleanup_fd int dir = temp_dir_open();
    struct error err = ERROR_INIT;

    CHECK_OK(fs_make_dirs(dir, "p/q", 0755, &err), &err);
    CHECK_OK(fs_replace(dir, "p/q/f", "x", 1, 0644, FS_DURABLE, &err), &err);
    check_content(dir, "p/q/f", "x");
    CHECK_FAILS(fs_replace(dir, "gone/f", "x", 1, 0644, FS_DURABLE, &err), ERROR_NOT_FOUND,
                "replace \"gone/f\"");
}

TEST(replace_of_a_symlink_replaces_the_link)
{
    cleanup_fd int dir = temp_dir_open();
    struct error err = ERROR_INIT;

    write_file(dir, "target", "old");
    CHECK_OK(symlinkat("target", dir, "link"), &err);
    write_file(dir, "link", "new");
    check_content(dir, "target", "old");
    check_content(dir, "link", "new");
}

TEST(read_stops_at_the_limit)
{
    cleanup_fd int dir = temp_dir_open();
    cleanup_buf struct buf content = BUF_INIT;
    struct error err = ERROR_INIT;

    write_file(dir, "a", "12345");
    CHECK_FAILS(fs_read_file(dir, "a", 4, &content, &err), ERROR_INVALID,
                "read \"a\": larger than 4 bytes");
    CHECK_OK(fs_read_file(dir, "a", 5, &content, &err), &err);
    CHECK_INT(content.len, 5);
    CHECK_FAILS(fs_read_file(dir, "gone", 5, &content, &err), ERROR_NOT_FOUND, "gone");
}

TEST(large_files_are_read_whole)
{
    cleanup_fd int dir = temp_dir_open();
    cleanup_buf struct buf content = BUF_INIT, back = BUF_INIT;
    struct error err = ERROR_INIT;

    for (int i = 0; i < 50000; i++)
        buf_printf(&content, "%d\n", i);
    CHECK_OK(fs_replace(dir, "a", content.data, content.len, 0644, FS_VOLATILE, &err), &err);
    CHECK_OK(fs_read_file(dir, "a", 0, &back, &err), &err);
    CHECK(str_equal(buf_str(&content), buf_str(&back)));
}

TEST(make_dirs_makes_all_and_accepts_what_is_there)
{
    cleanup_fd int dir = temp_dir_open(), last = -1;
    struct error err = ERROR_INIT;

    CHECK_OK(fs_make_dirs(dir, "a/b//c/", 0755, &err), &err);
    CHECK_OK(fs_make_dirs(dir, "a/b/c", 0755, &err), &err);
    CHECK_OK(fs_open_dirs(dir, "a/b/d/e", 0755, &last, &err), &err);
    CHECK(fs_exists(dir, "a/b/d/e"));
    write_file(dir, "file", "x");
    CHECK_FAILS(fs_make_dirs(dir, "file", 0755, &err), ERROR_SYSTEM, "ENOTDIR");
    CHECK_FAILS(fs_make_dirs(dir, "file/x", 0755, &err), ERROR_SYSTEM, "ENOTDIR");
}

TEST(list_is_sorted_and_without_dots)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_fd int dir = temp_dir_open();
    struct error err = ERROR_INIT;
    struct strings names;

    CHECK_OK(fs_list(dir, ".", &arena, &names, &err), &err);
    CHECK_INT(names.n, 0);
    write_file(dir, "b", "");
    write_file(dir, ".a", "");
    write_file(dir, "B", "");
    CHECK_OK(fs_list(dir, ".", &arena, &names, &err), &err);
    CHECK_INT(names.n, 3);
    CHECK_TEXT(names.items[0], ".a");
    CHECK_TEXT(names.items[1], "B");
    CHECK_FAILS(fs_list(dir, "gone", &arena, &names, &err), ERROR_NOT_FOUND, "gone");
}

TEST(remove_tree_takes_files_links_and_nothing)
{
    cleanup_fd int dir = temp_dir_open();
    struct error err = ERROR_INIT;

    write_file(dir, "file", "x");
    CHECK_OK(fs_remove_tree(dir, "file", &err), &err);
    CHECK_OK(fs_remove_tree(dir, "file", &err), &err);
    CHECK_OK(mkdirat(dir, "empty", 0755), &err);
    CHECK_OK(fs_remove_tree(dir, "empty", &err), &err);
    CHECK(!fs_exists(dir, "file"));
    CHECK(!fs_exists(dir, "empty"));
}

TEST(remove_tree_does_not_follow_symlinks)
{
    cleanup_fd int dir = temp_dir_open();
    struct error err = ERROR_INIT;

    CHECK_OK(fs_make_dirs(dir, "outside/keep", 0755, &err), &err);
    CHECK_OK(fs_make_dirs(dir, "tree/a/b", 0755, &err), &err);
    write_file(dir, "outside/keep/file", "x");
    write_file(dir, "tree/a/file", "x");
    CHECK_OK(symlinkat("../../outside", dir, "tree/a/link"), &err);
    CHECK_OK(symlinkat("tree", dir, "link"), &err);
    CHECK_OK(fs_remove_tree(dir, "link", &err), &err);
    CHECK(fs_exists(dir, "tree/a/b"));
    CHECK_OK(fs_remove_tree(dir, "tree", &err), &err);
    CHECK(!fs_exists(dir, "tree"));
    check_content(dir, "outside/keep/file", "x");
}

TEST(remove_tree_takes_wide_and_nested_trees)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_fd int dir = temp_dir_open();
    struct error err = ERROR_INIT;

    for (int i = 0; i < 300; i++) {
        const char *sub = arena_printf(&arena, "tree/%d/x/y", i);

        CHECK_OK(fs_make_dirs(dir, sub, 0755, &err), &err);
        write_file(dir, arena_printf(&arena, "%s/f", sub), "x");
    }
    CHECK_OK(fs_remove_tree(dir, "tree", &err), &err);
    CHECK(!fs_exists(dir, "tree"));
}

TEST(remove_tree_goes_deeper_than_paths_and_descriptors_reach)
{
    const struct rlimit few = {32, 32};
    cleanup_fd int dir = temp_dir_open(), at = temp_dir_open();
    struct error err = ERROR_INIT;

    for (int i = 0; i < 3000; i++) {
        int next;

        CHECK_OK(mkdirat(at, "d", 0755), &err);
        next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(next >= 0);
        close(at);
        at = next;
    }
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &few), &err);
    CHECK_OK(fs_remove_tree(dir, "d", &err), &err);
    CHECK(!fs_exists(dir, "d"));
}

TEST(remove_tree_stops_at_a_mount)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_fd int dir = -1;
    struct error err = ERROR_INIT;
    const char *mount_point = arena_printf(&arena, "%s/tree/mnt", tap_temp_dir());
    const char *source = arena_printf(&arena, "%s/data", tap_temp_dir());

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        SKIP("needs a mount namespace of its own");
    dir = temp_dir_open(); /* in the new namespace: descriptors keep the one they were opened in */
    CHECK_OK(fs_make_dirs(dir, "tree/mnt", 0755, &err), &err);
    CHECK_OK(fs_make_dirs(dir, "data", 0755, &err), &err);
    write_file(dir, "data/precious", "x");
    CHECK_OK(mount(source, mount_point, NULL, MS_BIND, NULL), &err);
    CHECK_FAILS(fs_remove_tree(dir, "tree", &err), ERROR_SYSTEM, "EXDEV");
    check_content(dir, "data/precious", "x");
}

TEST(remove_tree_refuses_dots)
{
    cleanup_fd int dir = temp_dir_open();
    struct error err = ERROR_INIT;

    CHECK_OK(fs_make_dirs(dir, "a", 0755, &err), &err);
    CHECK_FAILS(fs_remove_tree(dir, "a/..", &err), ERROR_SYSTEM, "a/..");
    CHECK_FAILS(fs_remove_tree(dir, ".", &err), ERROR_SYSTEM, ".");
    CHECK(fs_exists(dir, "a"));
}

TEST(open_in_root_keeps_every_path_inside)
{
    cleanup_fd int dir = temp_dir_open(), root = -1, file = -1;
    cleanup_buf struct buf content = BUF_INIT;
    struct error err = ERROR_INIT;

    CHECK_OK(fs_open_dirs(dir, "root", 0755, &root, &err), &err);
    write_file(dir, "secret", "outside");
    write_file(root, "secret", "inside");
    CHECK_OK(symlinkat("/secret", root, "absolute"), &err);
    CHECK_OK(symlinkat("../../../secret", root, "parent"), &err);

    for (size_t i = 0; i < 4; i++) {
        static const char *const paths[] = {"absolute", "parent", "/secret", "../secret"};
        cleanup_fd int fd = -1;

        buf_clear(&content);
        CHECK_OK(fs_open_in_root(root, paths[i], O_RDONLY, 0, &fd, &err), &err);
        CHECK_OK(fs_read_all(fd, &content, &err), &err);
        CHECK_TEXT(buf_text(&content), "inside");
    }
    CHECK_FAILS(fs_open_in_root(root, "gone", O_RDONLY, 0, &file, &err), ERROR_NOT_FOUND, "gone");
    CHECK_OK(fs_open_in_root(root, "/new", O_WRONLY | O_CREAT | O_EXCL, 0600, &file, &err), &err);
    CHECK(fs_exists(root, "new"));
}

TEST(make_dirs_in_root_stays_inside)
{
    cleanup_fd int dir = temp_dir_open(), root = -1, a = -1, b = -1, c = -1, d = -1;
    struct error err = ERROR_INIT;

    CHECK_OK(fs_open_dirs(dir, "root", 0755, &root, &err), &err);
    CHECK_OK(fs_make_dirs_in_root(root, "/a/b/c", 0755, &a, &err), &err);
    CHECK(fs_exists(root, "a/b/c"));
    CHECK_OK(symlinkat("/outside", root, "dangling"), &err);
    CHECK(fs_make_dirs_in_root(root, "dangling/x", 0755, &b, &err) < 0);
    CHECK(!fs_exists(dir, "outside"));
    CHECK_OK(symlinkat("/a", root, "link"), &err);
    CHECK_OK(fs_make_dirs_in_root(root, "link/../../../z/q", 0755, &c, &err), &err);
    CHECK(fs_exists(root, "z/q"));
    CHECK_OK(fs_make_dirs_in_root(root, "link/new", 0755, &d, &err), &err);
    CHECK(fs_exists(root, "a/new"));
}

TEST(a_lock_is_held_by_one)
{
    cleanup_fd int dir = temp_dir_open(), one = -1, two = -1;
    struct error err = ERROR_INIT;

    write_file(dir, "lock", "");
    one = openat(dir, "lock", O_RDWR | O_CLOEXEC);
    two = openat(dir, "lock", O_RDWR | O_CLOEXEC);
    CHECK_OK(fs_lock(one, FS_LOCK_EXCLUSIVE, &err), &err);
    CHECK_INT(fs_lock(two, FS_LOCK_TRY, &err), 1);
    CHECK_OK(fs_lock(one, FS_LOCK_SHARED, &err), &err);
    CHECK_OK(fs_lock(two, FS_LOCK_SHARED, &err), &err);
    close(fd_take(&one));
    CHECK_OK(fs_lock(two, FS_LOCK_TRY, &err), &err);
}

TEST(a_page_written_in_place_keeps_its_file_and_shows_only_the_new_text)
{
    struct error err = ERROR_INIT;
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_fd int dir = open(tap_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat before, after;

    CHECK_OK(fs_overwrite_page(dir, "record", "a long first text", 17, 0600, &err), &err);
    CHECK_INT(fstatat(dir, "record", &before, 0), 0);
    CHECK_OK(fs_overwrite_page(dir, "record", "short", 5, 0600, &err), &err);
    CHECK_INT(fstatat(dir, "record", &after, 0), 0);
    CHECK_INT(before.st_ino, after.st_ino);
    CHECK_OK(fs_read_file(dir, "record", 10000, &text, &err), &err);
    CHECK(str_is(str_trim(buf_str(&text)), "short"));
}

TEST(what_is_longer_than_a_page_is_replaced)
{
    struct error err = ERROR_INIT;
    cleanup_buf struct buf text = BUF_INIT, got = BUF_INIT;
    cleanup_fd int dir = open(tap_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (int i = 0; i < 5000; i++)
        buf_add_char(&text, 'x');
    CHECK_OK(fs_overwrite_page(dir, "record", "short", 5, 0600, &err), &err);
    CHECK_OK(fs_overwrite_page(dir, "record", text.data, text.len, 0600, &err), &err);
    CHECK_OK(fs_read_file(dir, "record", 10000, &got, &err), &err);
    CHECK_TEXT(buf_text(&got), buf_text(&text));
}
