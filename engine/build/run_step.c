/* RUN. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/units.h"
#include "engine/build/root.h"
#include "engine/build/runner.h"
#include "engine/build/stage.h"
#include "engine/engine.h"

enum { LAST_LINES = 5, LAST_LINE_BYTES = 100 };

/* A RUN with everything known. */
struct run_job {
    struct stage *stage;
    struct strings argv, environment;
    enum run_network network;
    char last_lines[LAST_LINES][LAST_LINE_BYTES + 1];
    size_t n_lines;
};

static struct arena *arena_of(const struct run_job *job)
{
    return &job->stage->builder->arena;
}

/* ------------------------------------------------------------------ what runs */

/* The line, with its here-documents behind it for the shell to read. One that stands alone is the
 * script itself. */
static int make_script(struct run_job *job, const struct instruction *instruction, const char **ret,
                       struct error *err)
{
    cleanup_buf struct buf script = BUF_INIT;
    bool is_alone = instruction->n_heredocs == 1 && strpbrk(instruction->text, " \t") == NULL;

    if (is_alone && text_starts_with(instruction->heredocs[0].body, "#!"))
        return error_set(err, ERROR_UNSUPPORTED,
                         "a here-document that names its interpreter is not supported: write RUN "
                         "INTERPRETER <<%.60s",
                         instruction->heredocs[0].name);
    if (is_alone) {
        *ret = instruction->heredocs[0].body;
        return 0;
    }
    buf_add_text(&script, instruction->text);
    for (size_t i = 0; i < instruction->n_heredocs; i++)
        buf_printf(&script, "%s%s%s%s", i == 0 ? "\n" : "", instruction->heredocs[i].body,
                   instruction->heredocs[i].name, "\n");
    *ret = arena_strdup(arena_of(job), buf_text(&script));
    return 0;
}

static int make_argv(struct run_job *job, const struct instruction *instruction, struct error *err)
{
    if (instruction->is_json) {
        job->argv = instruction->words;
        return 0;
    }
    struct strings shell = stage_shell(job->stage);
    const char *script;
    if (make_script(job, instruction, &script, err) < 0)
        return -1;
    job->argv =
        (struct strings){arena_new_array(arena_of(job), const char *, shell.n + 1), shell.n + 1};
    for (size_t i = 0; i < shell.n; i++)
        job->argv.items[i] = shell.items[i];
    job->argv.items[shell.n] = script;
    return 0;
}

static int read_network(struct run_job *job, const struct instruction *instruction,
                        struct error *err)
{
    static const char *const names[] = {
        [RUN_NETWORK_DEFAULT] = "default",
        [RUN_NETWORK_NONE] = "none",
        [RUN_NETWORK_HOST] = "host",
    };
    const char *value = instruction_flag(instruction, "network");

    if (value == NULL)
        return 0;
    if (stage_expand(job->stage, value, &value, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (text_equal(value, names[i])) {
            job->network = (enum run_network)i;
            return 0;
        }
    }
    return error_set(err, ERROR_INVALID, "RUN --network=%.60s: must be default, none or host",
                     value);
}

/* Variables of the stage; the key sees no more than them. */
static struct strings make_environment(struct run_job *job)
{
    const struct stage *stage = job->stage;
    struct strings list = {arena_new_array(arena_of(job), const char *, stage->variables.n), 0};

    for (size_t i = 0; i < stage->variables.n; i++)
        list.items[list.n++] = arena_printf(arena_of(job), "%s=%s", stage->variables.items[i].name,
                                            stage->variables.items[i].value);
    return list;
}

/* The same and the proxies of --build-arg, unless the stage says otherwise. */
static struct strings with_proxies(struct run_job *job)
{
    const struct pairs *args = &job->stage->builder->request->args;
    struct pairs known = {job->stage->variables.items, job->stage->variables.n};
    struct strings list = {
        arena_new_array(arena_of(job), const char *, job->environment.n + args->n), 0};

    for (size_t i = 0; i < job->environment.n; i++)
        list.items[list.n++] = job->environment.items[i];
    for (size_t i = 0; i < args->n; i++)
        if (args->items[i].value != NULL && build_arg_is_proxy(args->items[i].name) &&
            !pairs_have(&known, args->items[i].name))
            list.items[list.n++] =
                arena_printf(arena_of(job), "%s=%s", args->items[i].name, args->items[i].value);
    return list;
}

/* ------------------------------------------------------------------ what mounting leaves behind
 * Mount points that the image doesn't have are made in the upper directory, where the layer must
 * not have them. */

struct mount_point {
    const char *path;
    bool was_there;
};

static const char *const mount_points[] = {
    "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc", "/dev", "/proc", "/sys"};

enum { MOUNT_POINTS = sizeof(mount_points) / sizeof(mount_points[0]) };

static int look_at_mount_points(struct stage *stage, bool ret_was_there[static MOUNT_POINTS],
                                struct stat *ret_etc, struct error *err)
{
    struct strings layers = stage_layers(stage);
    cleanup_fd int root_fd = -1;

    if (stage_root_open(stage->builder->state_fd, &layers, -1, -1, &root_fd, err) < 0)
        return -1;
    for (size_t i = 0; i < MOUNT_POINTS; i++) {
        cleanup_fd int fd = -1;
        ret_was_there[i] =
            fs_open_in_root(root_fd, mount_points[i], O_PATH | O_NOFOLLOW, 0, &fd, NULL) == 0;
        if (ret_was_there[i] && text_equal(mount_points[i], "/etc") && fstat(fd, ret_etc) < 0)
            return error_sys(err, errno, "stat \"/etc\"");
    }
    return 0;
}

/* Is it still as it was made: empty? Symlinks are never followed. */
static void remove_if_empty(int tree_fd, const char *path)
{
    struct stat stat;

    if (fstatat(tree_fd, path, &stat, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if (S_ISDIR(stat.st_mode))
        (void)unlinkat(tree_fd, path, AT_REMOVEDIR); /* fails if something is in it */
    else if (S_ISREG(stat.st_mode) && stat.st_size == 0)
        (void)unlinkat(tree_fd, path, 0);
}

/* An /etc that was copied up only for a mount point to be made in it. */
static void remove_copied_etc(int tree_fd, const struct stat *before)
{
    struct stat stat;

    if (fstatat(tree_fd, "etc", &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(stat.st_mode) &&
        stat.st_mode == before->st_mode && stat.st_uid == before->st_uid &&
        stat.st_gid == before->st_gid)
        (void)unlinkat(tree_fd, "etc", AT_REMOVEDIR); /* fails if something is in it */
}

static void remove_mount_points(int tree_fd, const bool was_there[static MOUNT_POINTS],
                                const struct stat *etc)
{
    struct stat stat;
    bool etc_is_dir =
        fstatat(tree_fd, "etc", &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(stat.st_mode);
    bool made_in_etc = false;

    for (size_t i = 0; i < MOUNT_POINTS; i++) {
        bool is_below_etc = text_starts_with(mount_points[i], "/etc/");
        if (was_there[i] || (is_below_etc && !etc_is_dir))
            continue;
        made_in_etc = made_in_etc || is_below_etc;
        remove_if_empty(tree_fd, mount_points[i] + 1);
    }
    if (made_in_etc && etc_is_dir)
        remove_copied_etc(tree_fd, etc);
}

/* ------------------------------------------------------------------ the work */

static void on_line(const char *line, void *context)
{
    struct run_job *job = context;

    builder_event(job->stage->builder, BUILD_LOG, "%s", line);
    if (line[0] == '\0')
        return;
    (void)snprintf(job->last_lines[job->n_lines % LAST_LINES], LAST_LINE_BYTES + 1, "%s",
                   line); /* is cut */
    job->n_lines++;
}

static int describe_failure(const struct run_job *job, int code, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    size_t first = job->n_lines > LAST_LINES ? job->n_lines - LAST_LINES : 0;

    if (code > 128)
        buf_printf(&text, "RUN was ended by %s", signal_name(code - 128));
    else
        buf_printf(&text, "RUN exited with code %d", code);
    if (job->n_lines > 0)
        buf_add_text(&text, "; its last lines:");
    for (size_t i = first; i < job->n_lines; i++)
        buf_printf(&text, "\n    | %s", job->last_lines[i % LAST_LINES]);
    return error_set(err, ERROR_REMOTE, "%s", buf_text(&text));
}

/* The container's upper directory becomes the layer's tree. */
static int take_upper(struct layer_stage *layer, struct error *err)
{
    if (unlinkat(layer->dir_fd, "tree", AT_REMOVEDIR) < 0 ||
        renameat(layer->dir_fd, "upper", layer->dir_fd, "tree") < 0)
        return error_sys(err, errno, "take the files of a RUN");
    int fd = openat(layer->dir_fd, "tree", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_sys(err, errno, "open the files of a RUN");
    (void)close(layer->tree_fd);
    layer->tree_fd = fd;
    for (size_t i = 0; i < 3; i++) {
        static const char *const names[] = {"hosts", "hostname", "resolv.conf"};
        (void)unlinkat(layer->dir_fd, names[i], 0); /* absent if it never came to that */
    }
    return 0;
}

/* The root of the container looks like the image's. */
static int make_upper(const struct layer_stage *layer, struct error *err)
{
    struct stat stat;

    if (fstat(layer->tree_fd, &stat) < 0 || mkdirat(layer->dir_fd, "upper", 0755) < 0 ||
        fchownat(layer->dir_fd, "upper", stat.st_uid, stat.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        fchmodat(layer->dir_fd, "upper", stat.st_mode & 07777, 0) < 0)
        return error_sys(err, errno, "prepare a RUN");
    return 0;
}

static int need_runner(struct builder *builder, struct error *err)
{
    struct runner_options options = {.state_fd = builder->state_fd,
                                     .run_fd = builder->run_fd,
                                     .state_path = builder->state_path};

    return builder->runner != NULL ? 0 : runner_open(&options, &builder->runner, err);
}

static int run_work(struct stage *stage, const struct layer_work *work, void *context,
                    struct error *err)
{
    struct run_job *job = context;
    bool was_there[MOUNT_POINTS];
    struct stat etc = {0};
    int code = 0;
    struct run_request request = {.layers = stage_layers(stage),
                                  .dir_fd = work->layer->dir_fd,
                                  .argv = job->argv,
                                  .environment = with_proxies(job),
                                  .user = stage_config_text(stage, "User"),
                                  .working_dir = stage_working_dir(stage),
                                  .network = job->network,
                                  .on_line = on_line,
                                  .context = job};

    if (need_runner(stage->builder, err) < 0 ||
        look_at_mount_points(stage, was_there, &etc, err) < 0 || make_upper(work->layer, err) < 0 ||
        runner_run(stage->builder->runner, &request, &code, err) < 0)
        return -1;
    if (code != 0)
        return describe_failure(job, code, err);
    if (take_upper(work->layer, err) < 0)
        return -1;
    remove_mount_points(work->layer->tree_fd, was_there, &etc);
    return 0;
}

int stage_run(struct stage *stage, const struct build_step *step, struct error *err)
{
    cleanup_cache_key struct cache_key key = CACHE_KEY_INIT;
    struct run_job job = {.stage = stage};
    char hex[SHA256_HEX_SIZE], network[8];

    if (stage->layers.list.n == 0)
        return error_set(err, ERROR_INVALID,
                         "RUN in an empty stage (FROM scratch): there is "
                         "nothing to run");
    if (read_network(&job, step->instruction, err) < 0 ||
        make_argv(&job, step->instruction, err) < 0)
        return -1;
    job.environment = make_environment(&job);
    (void)snprintf(network, sizeof(network), "%d", (int)job.network); /* fits */
    stage_key_begin(stage, "RUN", &key);
    cache_key_add_list(&key, "argv", &job.argv);
    cache_key_add_list(&key, "environment", &job.environment);
    cache_key_add(&key, "user", stage_config_text(stage, "User"));
    cache_key_add(&key, "dir", stage_working_dir(stage));
    cache_key_add(&key, "network", network);
    cache_key_end(&key, hex);

    cleanup_buf struct buf created_by = BUF_INIT;
    for (size_t i = 0; i < job.argv.n; i++)
        buf_printf(&created_by, "%s%s", i > 0 ? " " : "RUN ", job.argv.items[i]);
    struct layer_step layer_step = {
        .created_by = buf_text(&created_by), .key = hex, .work = run_work, .context = &job};
    return stage_layer_step(stage, &layer_step, err);
}
