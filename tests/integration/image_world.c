#include "tests/integration/image_world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "engine/base/cleanup.h"
#include "engine/base/fs.h"
#include "engine/base/path.h"
#include "tests/tap.h"

enum { BLOCK = 512 };

/* The worker is looked for beside the running program: put a link there. */
static void link_worker(struct image_world *world)
{
    char exe[4097];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    const char *dir, *worker, *link;

    CHECK(n > 0);
    exe[n] = '\0';
    dir = path_dir(&world->arena, exe);
    worker = path_join(&world->arena, dir, "../../berth-worker");
    link = path_join(&world->arena, dir, "berth-worker");
    if (access(worker, X_OK) < 0)
        SKIP("berth-worker is not built");
    if (symlink("../../berth-worker", link) < 0)
        CHECK_INT(errno, EEXIST);
}

void image_world_open(struct image_world *world)
{
    *world = (struct image_world){.arena = ARENA_INIT};
    if (geteuid() != 0)
        SKIP("needs root");
    link_worker(world);
    world->dir = tap_temp_dir();
    const char *state = arena_printf(&world->arena, "%s/state", world->dir);
    CHECK(mkdir(state, 0700) == 0);
    world->state_fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(world->state_fd >= 0);
}

void image_world_close(struct image_world *world)
{
    close(world->state_fd);
    arena_release(&world->arena);
}

size_t count_entries(struct image_world *world, const char *directory)
{
    struct strings names = {0};

    if (fs_list(world->state_fd, directory, &world->arena, &names, NULL) < 0)
        return 0;
    return names.n;
}

void image_world_check_tidy(struct image_world *world)
{
    CHECK_INT(count_entries(world, "staging"), 0);
    CHECK_INT(count_entries(world, "leases"), 0);
    CHECK_INT(count_entries(world, "partial"), 0);
}

/* ------------------------------------------------------------------ tar */

static void put(char *header, size_t at, size_t size, const char *text)
{
    size_t len = strlen(text);

    memcpy(header + at, text, len < size ? len : size);
}

static void put_octal(char *header, size_t at, size_t size, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%0*llo", (int)size - 1, (unsigned long long)value);
    put(header, at, size, text);
}

static void add_header(struct tar *tar, const struct tar_item *item, uint64_t size)
{
    char header[BLOCK] = {0};
    unsigned sum = 0;

    put(header, 0, 100, item->name);
    put_octal(header, 100, 8, item->mode);
    put_octal(header, 108, 8, item->uid);
    put_octal(header, 116, 8, item->gid);
    put_octal(header, 124, 12, size);
    put_octal(header, 136, 12, (uint64_t)item->mtime);
    memset(header + 148, ' ', 8);
    header[156] = item->type;
    if (item->link)
        put(header, 157, 100, item->link);
    put(header, 257, 6, "ustar");
    put(header, 263, 2, "00");
    put_octal(header, 329, 8, item->major);
    put_octal(header, 337, 8, item->minor);
    for (size_t i = 0; i < BLOCK; i++)
        sum += (unsigned char)header[i];
    put_octal(header, 148, 7, sum);
    buf_add(&tar->bytes, header, BLOCK);
}

static void add_content(struct tar *tar, const char *content, size_t len)
{
    static const char zeros[BLOCK];

    buf_add(&tar->bytes, content, len);
    buf_add(&tar->bytes, zeros, (BLOCK - len % BLOCK) % BLOCK);
}

void tar_add(struct tar *tar, const struct tar_item *item)
{
    size_t len = item->content ? strlen(item->content) : 0;

    add_header(tar, item, len);
    if (len)
        add_content(tar, item->content, len);
}

void tar_pax(struct tar *tar, const char *key, const char *value)
{
    char record[2048];
    size_t len = strlen(key) + strlen(value) + 3, total = len + 1;

    while (total != len + (size_t)snprintf(record, sizeof(record), "%zu", total))
        total++;
    (void)snprintf(record, sizeof(record), "%zu %s=%s\n", total, key, value);
    tar_add(tar, &(struct tar_item){.type = 'x', .name = "pax", .mode = 0644, .content = record});
}

void tar_add_claiming(struct tar *tar, const char *name, uint64_t size)
{
    add_header(tar, &(struct tar_item){.type = '0', .name = name, .mode = 0644}, size);
}

void tar_end(struct tar *tar)
{
    static const char zeros[2 * BLOCK];

    buf_add(&tar->bytes, zeros, sizeof(zeros));
}

const char *tar_write(struct image_world *world, const struct tar *tar, const char *name)
{
    const char *path = arena_printf(&world->arena, "%s/%s", world->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct error err = ERROR_INIT;

    CHECK(fd >= 0);
    CHECK_OK(fs_write_all(fd, tar->bytes.data, tar->bytes.len, &err), &err);
    close(fd);
    return path;
}

/* ------------------------------------------------------------------ jobs */

static int finish(struct image_world *world, struct job *job)
{
    const json_t *result;
    int outcome = job_wait(job, NULL, NULL, &world->err);

    if (outcome == 0) {
        result = job_result(job);
        (void)snprintf(world->id, sizeof(world->id), "%s",
                       json_string_value(json_object_get(result, "id")));
        if (json_object_get(result, "diff_id"))
            (void)snprintf(world->diff_id, sizeof(world->diff_id), "%s",
                           json_string_value(json_object_get(result, "diff_id")));
    }
    job_close(job);
    return outcome;
}

int try_import(struct image_world *world, const char *path, const char *reference)
{
    const struct image_import_request request = {
        .path = path, .stdin_fd = -1, .reference = reference};
    struct job *job = NULL;

    world->err = (struct error)ERROR_INIT;
    if (image_import_start(world->state_fd, &request, &job, &world->err) < 0)
        return -1;
    return finish(world, job);
}

int try_pull(struct image_world *world, const char *reference, const char *platform)
{
    const struct image_pull_request request = {.reference = reference, .platform = platform};
    struct job *job = NULL;

    world->err = (struct error)ERROR_INIT;
    if (image_pull_start(world->state_fd, &request, &job, &world->err) < 0)
        return -1;
    return finish(world, job);
}

/* ------------------------------------------------------------------ looking into layers */

static const char *describe(struct image_world *world, int tree_fd, const char *path,
                            const struct stat *st)
{
    struct arena *arena = &world->arena;
    unsigned mode = st->st_mode & 07777;
    char text[256] = "";
    ssize_t n = 0;

    if (S_ISLNK(st->st_mode))
        n = readlinkat(tree_fd, path, text, sizeof(text) - 1);
    if (S_ISREG(st->st_mode)) {
        cleanup_fd int fd = openat(tree_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        n = fs_read(fd, text, sizeof(text) - 1);
    }
    CHECK(n >= 0);
    text[n] = '\0';
    if (S_ISREG(st->st_mode))
        return arena_printf(arena, "file %04o %u:%u %s", mode, st->st_uid, st->st_gid, text);
    if (S_ISLNK(st->st_mode))
        return arena_printf(arena, "symlink %s", text);
    if (S_ISDIR(st->st_mode))
        return arena_printf(arena, "directory %04o %u:%u", mode, st->st_uid, st->st_gid);
    if (S_ISFIFO(st->st_mode))
        return arena_printf(arena, "fifo %04o", mode);
    return arena_printf(arena, "%s %u:%u", S_ISCHR(st->st_mode) ? "char" : "block",
                        major(st->st_rdev), minor(st->st_rdev));
}

const char *layer_file(struct image_world *world, const char *diff_id, const char *path)
{
    struct error err = ERROR_INIT;
    struct stat st;
    int tree_fd = -1;
    const char *text = "absent";

    CHECK_OK(layer_open(world->state_fd, diff_id, &tree_fd, NULL, &err), &err);
    if (fstatat(tree_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
        text = describe(world, tree_fd, path, &st);
    close(tree_fd);
    return text;
}
