#include "tests/integration/build_world.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/path.h"
#include "engine/base/process.h"
#include "engine/build/build.h"
#include "engine/build/root.h"
#include "engine/build/seal.h"
#include "tests/tap.h"

void world_run(const char *const argv[])
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

static void write_file(const char *path, const char *text, unsigned mode)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct error err = ERROR_INIT;
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    CHECK_OK(fs_make_dirs(root, path_dir(&arena, path) + 1, 0755, &err), &err);
    close(root);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    CHECK(fd >= 0);
    CHECK_OK(fs_write_all(fd, text, strlen(text), &err), &err);
    CHECK(fchmod(fd, mode) == 0);
    close(fd);
}

/* /bin is a symlink, as in every distribution of today. */
static void fill_base(struct build_world *world, const char *tree)
{
    struct arena *arena = &world->arena;

    write_file(arena_printf(arena, "%s/etc/passwd", tree),
               "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n", 0644);
    write_file(arena_printf(arena, "%s/etc/group", tree), "root:x:0:\napp:x:1001:\n", 0644);
    write_file(arena_printf(arena, "%s/usr/bin/.keep", tree), "", 0644);
    CHECK(symlink("usr/bin", arena_printf(arena, "%s/bin", tree)) == 0);
    CHECK(mkdir(arena_printf(arena, "%s/tmp", tree), 0755) == 0);
    CHECK(chmod(arena_printf(arena, "%s/tmp", tree), 01777) == 0);
    const char *const copy[] = {"cp", "/bin/busybox", arena_printf(arena, "%s/usr/bin", tree),
                                NULL};
    const char *const links[] = {"chroot",   tree, "/usr/bin/busybox", "--install", "-s",
                                 "/usr/bin", NULL};
    world_run(copy);
    world_run(links);
}

static void make_base(struct build_world *world)
{
    struct layer_stage stage = LAYER_STAGE_INIT;
    struct image_lease lease = IMAGE_LEASE_INIT;
    struct image_reference reference;
    struct error err = ERROR_INIT;
    struct layer_sum sum;
    char id[DIGEST_TEXT_SIZE];

    CHECK_OK(layer_stage_begin(world->state_fd, &stage, &err), &err);
    fill_base(world, arena_printf(&world->arena, "%s/state/%s", world->dir,
                                  layer_stage_path(&world->arena, &stage)));
    CHECK_OK(layer_seal(stage.tree_fd, &sum, &err), &err);
    struct layer_commit commit = {.stage = &stage, .diff_id = sum.diff_id};
    CHECK_OK(image_lease_open(world->state_fd, &lease, &err), &err);
    CHECK_OK(image_lease_add(&lease, sum.diff_id, &err), &err);
    CHECK_OK(layer_stages_commit(world->state_fd, &commit, 1, &err), &err);
    json_t *config = image_config_new(), *rootfs = json_object();
    const char *layer = sum.diff_id;
    struct strings layers = {&layer, 1};
    json_set_text(rootfs, "type", "layers");
    json_set_strings(rootfs, "diff_ids", &layers);
    json_set_take(config, "rootfs", rootfs);
    CHECK_OK(image_reference_parse(&world->arena, "busybox:1", &reference, &err), &err);
    struct image_write write = {.config = config, .references = &reference, .n_references = 1};
    CHECK_OK(image_write(world->state_fd, &write, id, &err), &err);
    json_decref(config);
    layer_stage_release(&stage);
    image_lease_close(&lease);
}

static int open_dir(const char *path)
{
    CHECK(mkdir(path, 0755) == 0);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

/* Bridges and firewall of these builds are nobody else's. */
static void enter_own_network(void)
{
    static const char *const up[] = {"ip", "link", "set", "lo", "up", NULL};

    CHECK(unshare(CLONE_NEWNET) == 0);
    world_run(up);
}

void build_world_open(struct build_world *world)
{
    if (geteuid() != 0)
        SKIP("needs root");
    if (access("/bin/busybox", X_OK) != 0)
        SKIP("needs /bin/busybox (static)");
    enter_own_network();
    *world = (struct build_world){.dir = tap_temp_dir(), .notify_fd = -1};
    world->context = arena_printf(&world->arena, "%s/context", world->dir);
    world->state_fd = open_dir(arena_printf(&world->arena, "%s/state", world->dir));
    world->run_fd = open_dir(arena_printf(&world->arena, "%s/run", world->dir));
    CHECK(mkdir(world->context, 0755) == 0);
    make_base(world);
}

void build_world_close(struct build_world *world)
{
    close(world->state_fd);
    close(world->run_fd);
    buf_release(&world->log);
    arena_release(&world->arena);
}

void context_file(const struct build_world *world, const char *path, const char *text,
                  unsigned mode)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    write_file(arena_printf(&arena, "%s/%s", world->context, path), text, mode);
}

void context_symlink(const struct build_world *world, const char *path, const char *target)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    CHECK(symlink(target, arena_printf(&arena, "%s/%s", world->context, path)) == 0);
}

void context_remove(const struct build_world *world, const char *path)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct error err = ERROR_INIT;

    CHECK_OK(fs_remove_tree(AT_FDCWD, arena_printf(&arena, "%s/%s", world->context, path), &err),
             &err);
}

static void on_event(enum build_event_kind kind, const char *text, void *context)
{
    struct build_world *world = context;

    if (kind == BUILD_LOG && world->notify_fd >= 0)
        CHECK(write(world->notify_fd, "x", 1) == 1);
    buf_printf(&world->log, "%s\n", text);
}

int repeat_build(struct build_world *world)
{
    static const char *tag = "out:1";
    const char *state_path = arena_printf(&world->arena, "%s/state", world->dir);

    world->request.context = world->context;
    world->request.tags = (struct strings){&tag, 1};
    world->err = (struct error)ERROR_INIT;
    buf_clear(&world->log);
    return build_run(world->state_fd, state_path, world->run_fd, &world->request, on_event, world,
                     world->id, &world->err);
}

int try_build(struct build_world *world, const char *dockerfile)
{
    context_file(world, "Dockerfile", dockerfile, 0644);
    return repeat_build(world);
}

void build(struct build_world *world, const char *dockerfile)
{
    int r = try_build(world, dockerfile);

    if (r < 0)
        fprintf(stderr, "# log:\n%s", buf_text(&world->log));
    CHECK_OK(r, &world->err);
}

size_t log_count(const struct build_world *world, const char *part)
{
    size_t n = 0;

    for (const char *at = buf_text(&world->log); (at = strstr(at, part)) != NULL; at++)
        n++;
    return n;
}

json_t *built_config(struct build_world *world)
{
    json_t *config = NULL;
    struct error err = ERROR_INIT;

    CHECK_OK(image_config_read(world->state_fd, world->id, &config, &err), &err);
    return config;
}

const char *built_config_text(struct build_world *world, const char *key)
{
    cleanup_buf struct buf text = BUF_INIT;
    json_t *config = built_config(world);
    const json_t *value = json_object_get(json_object_get(config, "config"), key);

    if (value == NULL)
        buf_add_text(&text, "absent");
    else {
        char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        buf_add_text(&text, dump);
        free(dump);
    }
    json_decref(config);
    return arena_strdup(&world->arena, buf_text(&text));
}

int built_root(struct build_world *world)
{
    struct image_info info;
    struct error err = ERROR_INIT;
    int fd = -1;

    CHECK_OK(image_find(world->state_fd, &world->arena, world->id, &info, &err), &err);
    CHECK_OK(stage_root_open(world->state_fd, &info.layers, -1, -1, &fd, &err), &err);
    return fd;
}

static const char *content_of(struct build_world *world, int root_fd, const char *path,
                              const struct stat *stat)
{
    char bytes[256] = "";
    int fd = -1;

    if (S_ISLNK(stat->st_mode)) {
        CHECK_OK(fs_open_in_root(root_fd, path, O_PATH | O_NOFOLLOW, 0, &fd, NULL), NULL);
        CHECK(readlinkat(fd, "", bytes, sizeof(bytes) - 1) >= 0);
    } else if (S_ISREG(stat->st_mode)) {
        CHECK_OK(fs_open_in_root(root_fd, path, O_RDONLY, 0, &fd, NULL), NULL);
        CHECK(read(fd, bytes, sizeof(bytes) - 1) >= 0);
        bytes[strcspn(bytes, "\n")] = '\0';
    }
    if (fd >= 0)
        close(fd);
    return arena_strdup(&world->arena, bytes);
}

const char *built_file(struct build_world *world, const char *path)
{
    int root_fd = built_root(world), fd = -1;
    const char *ret = "absent";
    struct stat stat;

    if (fs_open_in_root(root_fd, path, O_PATH | O_NOFOLLOW, 0, &fd, NULL) == 0) {
        CHECK(fstat(fd, &stat) == 0);
        const char *type = S_ISREG(stat.st_mode)   ? "file"
                           : S_ISDIR(stat.st_mode) ? "dir"
                           : S_ISLNK(stat.st_mode) ? "link"
                                                   : "other";
        const char *content = content_of(world, root_fd, path, &stat);
        ret = arena_printf(&world->arena, "%s %o %u:%u%s%s", type, stat.st_mode & 07777,
                           stat.st_uid, stat.st_gid, content[0] != '\0' ? " " : "", content);
        close(fd);
    }
    close(root_fd);
    return ret;
}
