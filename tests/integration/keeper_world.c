#include "tests/integration/keeper_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/clock.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/process.h"
#include "engine/image/image.h"
#include "engine/keeper/keeper.h"
#include "tests/tap.h"

enum { WAIT_MS = 10000 };

static const char image_layer[] =
    "sha256:b00000000000000000000000000000000000000000000000000000000000000b";
static struct world *open_world;
static pid_t test_pid;

/* What the test has said about keepers beside its state: their patience with zygotes. */
static const char *patience_of(const char *state_root, char text[static 20])
{
    char path[300];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/../patience", state_root);
    file = fopen(path, "re");
    if (!file)
        return NULL;
    if (!fgets(text, 20, file))
        text[0] = '\0';
    (void)fclose(file);
    return text;
}

/* The engine starts keepers from /proc/self/exe: that is this program. */
__attribute__((constructor)) static void be_a_keeper(int argc, char **argv)
{
    enum { WORDS_AT = 3, WORDS = 4 };
    char *words[WORDS + 1], text[20];
    int code;

    if (argc == WORDS_AT + WORDS && strcmp(argv[2], "keeper") == 0 &&
        patience_of(argv[WORDS_AT + 1], text)) {
        memcpy(words, argv + WORDS_AT, WORDS * sizeof(*words));
        words[WORDS] = text;
        _exit(keeper_main(argc, argv, WORDS + 1, words));
    }
    code = engine_internal_main(argc, argv);

    if (code >= 0)
        _exit(code);
}

int64_t world_now_ms(void)
{
    return clock_monotonic_ns() / NS_PER_MS;
}

/* ------------------------------------------------------------------ the image */

static void run_quietly(const char *const *argv)
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

static void fill_layer(struct world *world, const char *tree)
{
    const char *bin = arena_printf(&world->arena, "%s/bin", tree);
    const char *const copy[] = {"cp", "/bin/busybox", bin, NULL};
    const char *const links[] = {"chroot", tree, "/bin/busybox", "--install", "-s", "/bin", NULL};

    CHECK(mkdir(bin, 0755) == 0);
    CHECK(mkdir(arena_printf(&world->arena, "%s/tmp", tree), 01777) == 0);
    CHECK(mkdir(arena_printf(&world->arena, "%s/data", tree), 0755) == 0);
    run_quietly(copy);
    run_quietly(links);
}

static void make_image(struct world *world)
{
    struct layer_stage stage = LAYER_STAGE_INIT;
    struct layer_commit commit = {.stage = &stage, .diff_id = image_layer};
    cleanup_json json_t *config = image_config_new();
    struct image_reference reference;
    struct image_write write = {.config = config, .references = &reference, .n_references = 1};
    const char *command[] = {"/bin/sleep", "1000000"};
    struct strings words = {command, 2};
    char id[DIGEST_TEXT_SIZE];
    struct error err = ERROR_INIT;
    int state_fd = open(world->state_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    CHECK_OK(layer_stage_begin(state_fd, &stage, &err), &err);
    fill_layer(world, arena_printf(&world->arena, "%s/%s", world->state_root,
                                   layer_stage_path(&world->arena, &stage)));
    CHECK_OK(layer_stages_commit(state_fd, &commit, 1, &err), &err);
    json_object_set_new(json_object_get(config, "rootfs"), "diff_ids",
                        json_pack("[s]", image_layer));
    CHECK_OK(image_config_apply(config, "CMD", &words, CONFIG_EXEC_FORM, &err), &err);
    CHECK_OK(image_reference_parse(&world->arena, "busybox", &reference, &err), &err);
    CHECK_OK(image_write(state_fd, &write, id, &err), &err);
    layer_stage_release(&stage);
    close(state_fd);
}

/* ------------------------------------------------------------------ open and end */

static pid_t pid_in_title(const char *title)
{
    DIR *dir = opendir("/proc");
    const struct dirent *entry;
    pid_t found = 0;

    while (dir && !found && (entry = readdir(dir))) {
        char path[300], text[300] = "";
        FILE *file;

        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        (void)snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
        file = fopen(path, "re");
        if (!file)
            continue;
        if (fgets(text, sizeof(text), file) && strcmp(text, title) == 0)
            (void)sscanf(entry->d_name, "%d", &found);
        (void)fclose(file);
    }
    if (dir)
        (void)closedir(dir);
    return found;
}

void world_set_patience(int64_t ms)
{
    char path[300];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/patience", tap_temp_dir());
    file = fopen(path, "we");
    CHECK(file && fprintf(file, "%lld", (long long)ms) > 0 && fclose(file) == 0);
}

const char *world_keeper_log(struct world *world)
{
    cleanup_buf struct buf text = BUF_INIT;
    const char *path =
        arena_printf(&world->arena, "%s/projects/%s/keeper.log", world->run_root, world->project);
    struct error err = ERROR_INIT;

    CHECK_OK(fs_read_file(AT_FDCWD, path, 1 << 20, &text, &err), &err);
    return arena_strdup(&world->arena, buf_text(&text));
}

pid_t world_keeper_pid(struct world *world)
{
    return pid_in_title(arena_printf(&world->arena, "berth keeper %s", world->project));
}

pid_t world_zygote_pid(struct world *world)
{
    return pid_in_title(arena_printf(&world->arena, "berth zygote %s", world->project));
}

void world_await_end(pid_t pid)
{
    int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
    struct pollfd end = {.fd = pidfd, .events = POLLIN};

    if (pidfd < 0)
        return;
    CHECK(poll(&end, 1, WAIT_MS) == 1);
    close(pidfd);
}

static void show_keeper_log(struct world *world)
{
    struct buf text = BUF_INIT;
    char path[300];

    (void)snprintf(path, sizeof(path), "%s/projects/%s/keeper.log", world->run_root,
                   world->project);
    if (fs_read_file(AT_FDCWD, path, 1 << 20, &text, NULL) == 0 && text.len)
        fprintf(stderr, "# keeper.log:\n%s", buf_text(&text));
    buf_release(&text);
}

/* At the end of every test, also of one that fails: nothing may outlive it. */
static void end_everything(void)
{
    struct world *world = open_world;
    struct container_info *infos;
    struct error err = ERROR_INIT;
    pid_t keeper, zygote;
    size_t n = 0;

    if (!world || getpid() != test_pid)
        return;
    open_world = NULL;
    engine_session_close(world->session);
    world->session = NULL;
    if (engine_containers_list(world->engine, &world->arena, world->project, &infos, &n, &err) ==
            0 &&
        n > 0 &&
        engine_session_open(world->engine, world->project, true, &world->session, &err) == 0) {
        for (size_t i = 0; i < n; i++) {
            (void)engine_session_remove(world->session, ++world->last_tag, infos[i].name, true,
                                        &err);
            if (world_answer(world, world->last_tag, &err) < 0)
                fprintf(stderr, "# clean up: %s\n", err.text);
        }
    }
    zygote = world_zygote_pid(world);
    keeper = world_keeper_pid(world);
    engine_session_close(world->session);
    world_await_end(keeper);
    world_await_end(zygote);
    show_keeper_log(world);
    engine_close(world->engine);
    arena_release(&world->arena);
    free(world);
}

/* Bridges, rules and ports of a test are nobody else's business. */
static void own_network(void)
{
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd;

    CHECK(unshare(CLONE_NEWNET) == 0);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &loopback) == 0);
    close(fd);
}

struct world *world_open(void)
{
    struct world *world = x_alloc(sizeof(*world));
    struct engine_options options = {world->state_root, world->run_root};
    struct error err = ERROR_INIT;

    if (geteuid() != 0)
        SKIP("needs root");
    if (access("/bin/busybox", X_OK) != 0)
        SKIP("needs /bin/busybox (static)");
    (void)snprintf(world->project, sizeof(world->project), "kt%d", (int)getpid());
    (void)snprintf(world->state_root, sizeof(world->state_root), "%s/state", tap_temp_dir());
    (void)snprintf(world->run_root, sizeof(world->run_root), "%s/run", tap_temp_dir());
    own_network();
    CHECK_OK(engine_open(&options, &world->engine, &err), &err);
    make_image(world);
    open_world = world;
    test_pid = getpid();
    CHECK(atexit(end_everything) == 0);
    CHECK_OK(engine_session_open(world->engine, world->project, true, &world->session, &err), &err);
    CHECK_OK(engine_session_watch(world->session, ++world->last_tag, &err), &err);
    CHECK_OK(world_answer(world, world->last_tag, &err), &err);
    return world;
}

/* The new keeper may not be there yet: connecting waits for it. */
void world_reconnect(struct world *world)
{
    struct error err = ERROR_INIT;

    engine_session_close(world->session);
    world->session = NULL;
    CHECK_OK(engine_session_open(world->engine, world->project, true, &world->session, &err), &err);
    CHECK_OK(engine_session_watch(world->session, ++world->last_tag, &err), &err);
}

/* ------------------------------------------------------------------ requests */

struct container_spec world_spec(struct world *world, const char *name, const char *line)
{
    struct container_spec spec = {
        .name = arena_printf(&world->arena, "%s-%s", world->project, name),
        .project = world->project,
        .image = "busybox",
        .stop_grace_ns = -1,
        .network_mode = "none",
    };

    if (line) {
        spec.has_command = true;
        spec.command.items = arena_new_array(&world->arena, const char *, 3);
        spec.command.n = 3;
        spec.command.items[0] = "/bin/sh";
        spec.command.items[1] = "-c";
        spec.command.items[2] = line;
    }
    return spec;
}

static void receive(struct world *world, struct session_event *ret)
{
    struct error err = ERROR_INIT;
    int result = engine_session_receive(world->session, WAIT_MS, ret, &err);

    if (result < 0)
        tap_fail(TAP_HERE, "receive: %s", err.text);
    if (result > 0)
        tap_fail(TAP_HERE, "nothing came for %d ms", WAIT_MS);
    if (ret->kind == SESSION_CLOSED)
        tap_fail(TAP_HERE, "the keeper has closed the session");
}

int world_answer(struct world *world, uint32_t tag, struct error *err)
{
    for (;;) {
        struct session_event event;

        receive(world, &event);
        if (event.kind == SESSION_STATE || event.tag != tag)
            continue;
        if (event.kind == SESSION_DONE)
            return 0;
        *err = *event.error;
        return -1;
    }
}

void world_answers(struct world *world, uint32_t first, uint32_t n)
{
    for (uint32_t left = n; left > 0;) {
        struct session_event event;

        receive(world, &event);
        if (event.kind == SESSION_STATE || event.tag < first || event.tag >= first + n)
            continue;
        if (event.kind != SESSION_DONE)
            tap_fail(TAP_HERE, "%s", event.error->text);
        left--;
    }
}

int world_try(struct world *world, enum world_op op, const struct container_spec *spec,
              struct error *err)
{
    uint32_t tag = ++world->last_tag;
    int result = 0;

    switch (op) {
    case WORLD_CREATE:
        result = engine_session_create(world->session, tag, spec, err);
        break;
    case WORLD_START:
        result = engine_session_start(world->session, tag, spec->name, err);
        break;
    case WORLD_STOP:
        result = engine_session_stop(world->session, tag, spec->name, -1, err);
        break;
    case WORLD_REMOVE:
        result = engine_session_remove(world->session, tag, spec->name, true, err);
        break;
    }
    return result < 0 ? result : world_answer(world, tag, err);
}

void world_do(struct world *world, enum world_op op, const struct container_spec *spec)
{
    struct error err = ERROR_INIT;

    CHECK_OK(world_try(world, op, spec, &err), &err);
}

void world_run(struct world *world, const struct container_spec *spec)
{
    world_do(world, WORLD_CREATE, spec);
    world_do(world, WORLD_START, spec);
}

/* ------------------------------------------------------------------ looking */

/* What has been told before the call counts only if it still holds. */
struct session_event world_wait_status(struct world *world, const char *name,
                                       enum container_status status)
{
    struct container_info info = world_info(world, name);
    struct session_event event = {.status = info.status,
                                  .exit_code = info.exit_code,
                                  .health = info.health,
                                  .oom_killed = info.oom_killed};

    while (event.kind == SESSION_STATE && strcmp(event.name, name) != 0)
        receive(world, &event);
    if (info.status == status)
        return event;
    do
        receive(world, &event);
    while (event.kind != SESSION_STATE || strcmp(event.name, name) != 0 || event.status != status);
    return event;
}

struct session_event world_wait_health(struct world *world, const char *name,
                                       enum health_status health)
{
    struct session_event event = {0};

    if (world_info(world, name).health == health)
        return event;
    do
        receive(world, &event);
    while (event.kind != SESSION_STATE || strcmp(event.name, name) != 0 || event.health != health);
    return event;
}

struct container_info world_info(struct world *world, const char *name)
{
    struct container_info info;
    struct error err = ERROR_INIT;

    CHECK_OK(engine_container_find(world->engine, &world->arena, name, &info, &err), &err);
    return info;
}

const char *world_log(struct world *world, const char *name)
{
    struct log_options options = {.tail = -1};
    struct container_info info = world_info(world, name);
    struct engine_log *log;
    struct log_line line;
    cleanup_buf struct buf text = BUF_INIT;
    struct error err = ERROR_INIT;

    CHECK_OK(engine_log_open(world->engine, info.id, &options, &log, &err), &err);
    while (engine_log_read(log, &line, &err) == 0) {
        buf_add_str(&text, line.text);
        if (!line.is_partial)
            buf_add_char(&text, '\n');
    }
    engine_log_close(log);
    return arena_strdup(&world->arena, buf_text(&text));
}

size_t world_count_lines(struct world *world, const char *name, const char *text)
{
    const char *at = world_log(world, name);
    size_t n = 0;

    for (; (at = strstr(at, text)); at += strlen(text))
        n++;
    return n;
}
