/* Looking up users and groups in files that an image controls. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/container/container.h"
#include "tests/tap.h"

static const char passwd[] = "# comment\n"
                             "broken line\n"
                             "negative:x:-1:0::/:\n"
                             "huge:x:4294967296:0::/:\n"
                             "root:x:0:0:root:/root:/bin/sh\n"
                             "www:x:33:33:www:/var/www:/bin/false\n"
                             "www:x:0:0:second of that name:/:/bin/sh\n"
                             "1234:x:99:99:a number as a name:/n:/bin/sh\n"
                             "bare:x:5:6\n";
static const char group[] = "root:x:0:\n"
                            "www:x:33:\n"
                            "adm:x:4:www,root\n"
                            "audio:x:29:root, www ,other\n"
                            "wwwish:x:77:xwww,wwwx\n"
                            "again:x:4:www\n"
                            "huge:x:4294967296:www\n";

static int make_root(const char *passwd_text, const char *group_text)
{
    int root = open(tap_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct {
        const char *name, *text;
    } files[] = {{"etc/passwd", passwd_text}, {"etc/group", group_text}};

    CHECK(root >= 0);
    CHECK(mkdirat(root, "etc", 0755) == 0);
    for (size_t i = 0; i < 2; i++) {
        int fd;

        if (files[i].text == NULL)
            continue;
        fd = openat(root, files[i].name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        CHECK(write(fd, files[i].text, strlen(files[i].text)) == (ssize_t)strlen(files[i].text));
        close(fd);
    }
    return root;
}

static void check(int root, const char *user, const char *want)
{
    struct arena arena = ARENA_INIT;
    struct user_resolved found;
    struct error err = ERROR_INIT;
    struct buf text = BUF_INIT;

    CHECK_OK(user_resolve(&arena, root, user, &found, &err), &err);
    buf_printf(&text, "%u:%u", found.uid, found.gid);
    for (size_t i = 0; i < found.n_groups; i++)
        buf_printf(&text, " %u", found.groups[i]);
    buf_printf(&text, " %s", found.home);
    CHECK_TEXT(buf_text(&text), want);
    buf_release(&text);
    arena_release(&arena);
}

TEST(names_and_numbers_are_found)
{
    int root = make_root(passwd, group);

    check(root, NULL, "0:0 0 4 29 /root");
    check(root, "", "0:0 0 4 29 /root");
    check(root, "www", "33:33 4 29 33 /var/www");
    check(root, "33", "33:33 4 29 33 /var/www");
    check(root, "www:adm", "33:4 4 /var/www");
    check(root, "www:4", "33:4 4 /var/www");
    check(root, "1000:2000", "1000:2000 2000 /");
    check(root, "1000", "1000:0 0 /");
    check(root, ":adm", "0:4 4 /root");
    check(root, "www:", "33:33 4 29 33 /var/www");
    check(root, "2147483647", "2147483647:0 0 /");
    check(root, "1234", "1234:0 0 /"); /* numbers are ids, whatever a line calls itself */
    check(root, "bare", "5:6 6 /");
    close(root);
}

TEST(without_files_only_numbers_work)
{
    int root = make_root(NULL, NULL);
    struct arena arena = ARENA_INIT;
    struct user_resolved found;
    struct error err = ERROR_INIT;

    check(root, "", "0:0 0 /");
    check(root, "5:6", "5:6 6 /");
    CHECK_FAILS(user_resolve(&arena, root, "www", &found, &err), ERROR_NOT_FOUND,
                "user \"www\" is not in /etc/passwd of the image");
    CHECK_FAILS(user_resolve(&arena, root, "5:adm", &found, &err), ERROR_NOT_FOUND,
                "group \"adm\" is not in /etc/group of the image");
    arena_release(&arena);
    close(root);
}

TEST(what_overflows_or_is_signed_is_refused)
{
    static const char *const users[] = {
        "-1",   "2147483648",   "4294967296", "18446744073709551616",
        "0:-1", "0:4294967295", "+0",         "-0"};
    int root = make_root(passwd, group);
    struct arena arena = ARENA_INIT;
    struct user_resolved found;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < sizeof(users) / sizeof(*users); i++)
        CHECK_FAILS(user_resolve(&arena, root, users[i], &found, &err), ERROR_INVALID,
                    "is not in 0…2147483647");
    CHECK_FAILS(user_resolve(&arena, root, "negative", &found, &err), ERROR_NOT_FOUND, "negative");
    CHECK_FAILS(user_resolve(&arena, root, "huge", &found, &err), ERROR_NOT_FOUND, "huge");
    CHECK_FAILS(user_resolve(&arena, root, "0x0", &found, &err), ERROR_NOT_FOUND, "0x0");
    CHECK_FAILS(user_resolve(&arena, root, "0:huge", &found, &err), ERROR_NOT_FOUND, "huge");
    arena_release(&arena);
    close(root);
}

TEST(only_regular_files_of_bounded_size_are_read)
{
    struct arena arena = ARENA_INIT;
    struct user_resolved found;
    struct error err = ERROR_INIT;
    int root = make_root(NULL, group), fd;

    CHECK(mkfifoat(root, "etc/passwd", 0644) == 0);
    CHECK_FAILS(user_resolve(&arena, root, "www", &found, &err), ERROR_INVALID,
                "is not a regular file");
    CHECK(unlinkat(root, "etc/passwd", 0) == 0);
    fd = openat(root, "etc/passwd", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CHECK(ftruncate(fd, 2 << 20) == 0);
    close(fd);
    CHECK_FAILS(user_resolve(&arena, root, "www", &found, &err), ERROR_INVALID, "etc/passwd");
    arena_release(&arena);
    close(root);
}
