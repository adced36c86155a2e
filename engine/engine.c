/* The engine's door: opening it, what exists, projects' directories and locks. */

#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/sys.h"
#include "engine/container/record.h"
#include "engine/engine_internal.h"
#include "engine/image/image.h"

enum { ID_PREFIX_MIN = 4, LOCK_TEXT_MAX = 1000, LOCK_POLL_MS = 20 };

static const char default_state_root[] = "/var/lib/berth";
static const char default_run_root[] = "/run/berth";

/* ------------------------------------------------------------------ open */

static int root_open(const char *path, mode_t mode, char **ret_path, int *ret_fd, struct error *err)
{
    cleanup_fd int fd = -1;

    if (fs_open_dirs(AT_FDCWD, path, mode, &fd, err) < 0)
        return -1;
    *ret_path = realpath(path, NULL);
    if (!*ret_path)
        return error_sys(err, errno, "resolve \"%s\"", path);
    *ret_fd = fd_take(&fd);
    return 0;
}

int engine_open(const struct engine_options *options, struct engine **ret, struct error *err)
{
    const char *state_root =
        options && options->state_root ? options->state_root : default_state_root;
    const char *run_root = options && options->run_root ? options->run_root : default_run_root;
    struct engine *engine = x_alloc(sizeof(*engine));

    engine->state_fd = engine->run_fd = -1;
    /* 0711: the overlay's upper directories are below, and programs of users walk through. */
    if (root_open(state_root, 0711, &engine->state_root, &engine->state_fd, err) < 0 ||
        root_open(run_root, 0755, &engine->run_root, &engine->run_fd, err) < 0 ||
        sys_boot_id(engine->boot_id, err) < 0) {
        engine_close(engine);
        return error_wrap(err, "open the engine");
    }
    *ret = engine;
    return 0;
}

void engine_close(struct engine *engine)
{
    if (!engine)
        return;
    for (size_t i = 0; i < engine->documents.n; i++)
        json_decref(engine->documents.items[i]);
    vec_release(&engine->documents);
    arena_release(&engine->arena);
    if (engine->state_fd >= 0)
        close(engine->state_fd);
    if (engine->run_fd >= 0)
        close(engine->run_fd);
    free(engine->state_root);
    free(engine->run_root);
    free(engine);
}

struct network_dirs engine_network_dirs(const struct engine *engine)
{
    return (struct network_dirs){.state_fd = engine->state_fd, .run_fd = engine->run_fd};
}

struct keeper_place engine_keeper_place(const struct engine *engine, const char *project)
{
    return (struct keeper_place){
        .state_root = engine->state_root,
        .run_root = engine->run_root,
        .state_fd = engine->state_fd,
        .run_fd = engine->run_fd,
        .project = project,
    };
}

int engine_image_cached(struct engine *engine, const char *image_id, const struct image_info **ret,
                        struct error *err)
{
    struct image_info *info;

    if (!image_id)
        return error_set(err, ERROR_INVALID, "no image given");
    if (!engine->image || strcmp(engine->image_reference, image_id) != 0) {
        info = arena_new(&engine->arena, struct image_info);
        if (image_find(engine->state_fd, &engine->arena, image_id, info, err) < 0)
            return -1;
        engine->image = info;
        engine->image_reference = arena_strdup(&engine->arena, image_id);
    }
    *ret = engine->image;
    return 0;
}

/* ------------------------------------------------------------------ containers */

static void fill_info(const struct container_record *record, const struct container_state *state,
                      struct container_info *ret)
{
    *ret = (struct container_info){
        .id = record->id,
        .name = record->name,
        .project = record->project,
        .spec = record->spec,
        .spec_json = record->spec_json,
        .argv = record->resolved.process.argv,
        .status = state->status,
        .tainted = state->tainted,
        .stopped_by_user = state->stopped_by_user,
        .health = state->health,
        .health_failing_streak = state->health_failing_streak,
        .health_output = state->health_output,
        .pid = state->pid,
        .exit_code = state->exit_code,
        .oom_killed = state->oom_killed,
        .restarts = state->restarts,
        .created_ns = record->created_ns,
        .started_ns = state->started_ns,
        .finished_ns = state->finished_ns,
        .endpoints = state->endpoints,
        .n_endpoints = state->n_endpoints,
        .ports = state->ports,
        .n_ports = state->n_ports,
    };
    /* A process that only waits to be let go is not what users call running. */
    if (state->status == CONTAINER_CREATED)
        ret->pid = 0;
}

int engine_container_state(const struct engine *engine, struct arena *arena, const char *project,
                           const char *id, struct container_state *ret, struct error *err)
{
    if (container_state_read(engine->state_fd, arena, id, ret, err) < 0)
        return -1;
    if (container_state_is_stale(ret, engine->boot_id) &&
        (strcmp(ret->boot_id, engine->boot_id) != 0 || !keeper_is_alive(engine->run_fd, project)))
        (void)container_state_settle(ret, engine->boot_id);
    return 0;
}

/* 1 when it is gone: removed between listing and reading. */
static int info_read(struct engine *engine, struct arena *arena, const char *id,
                     struct container_info *ret, struct error *err)
{
    struct container_record record = {0};
    struct container_state state;
    struct error one = ERROR_INIT;

    if (container_record_read(engine->state_fd, arena, id, &record, &one) < 0 ||
        engine_container_state(engine, arena, record.project, id, &state, &one) < 0) {
        container_record_release(&record);
        if (one.code == ERROR_NOT_FOUND)
            return 1;
        if (err)
            *err = one;
        return -1;
    }
    fill_info(&record, &state, ret);
    vec_push(&engine->documents, record.json);
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct container_info *)a)->name,
                  ((const struct container_info *)b)->name);
}

int engine_containers_list(struct engine *engine, struct arena *arena, const char *project,
                           struct container_info **ret, size_t *ret_n, struct error *err)
{
    struct container_info *infos;
    struct strings ids;
    size_t n = 0;

    if (container_ids_list(engine->state_fd, arena, project, &ids, err) < 0)
        return -1;
    infos = arena_new_array(arena, struct container_info, ids.n);
    for (size_t i = 0; i < ids.n; i++) {
        int result = info_read(engine, arena, ids.items[i], &infos[n], err);

        if (result < 0)
            return -1;
        n += result == 0;
    }
    if (n > 1)
        qsort(infos, n, sizeof(*infos), compare_names);
    *ret = infos;
    *ret_n = n;
    return 0;
}

/* An id that begins with `prefix`: 0; 1 when none does. */
static int find_prefix(struct engine *engine, struct arena *arena, const char *prefix,
                       const char **ret_id, struct error *err)
{
    struct strings ids;
    const char *found = NULL;

    if (strlen(prefix) < ID_PREFIX_MIN)
        return 1;
    if (container_ids_list(engine->state_fd, arena, NULL, &ids, err) < 0)
        return -1;
    for (size_t i = 0; i < ids.n; i++) {
        if (!text_starts_with(ids.items[i], prefix))
            continue;
        if (found)
            return error_set(err, ERROR_CONFLICT, "several container ids begin with \"%s\"",
                             prefix);
        found = ids.items[i];
    }
    *ret_id = found;
    return found ? 0 : 1;
}

int engine_container_find(struct engine *engine, struct arena *arena, const char *name_or_id,
                          struct container_info *ret, struct error *err)
{
    char id[CONTAINER_ID_SIZE];
    const char *found = id;
    int result = container_name_find(engine->state_fd, name_or_id, id, err);

    if (result == 1)
        result = find_prefix(engine, arena, name_or_id, &found, err);
    if (result == 0)
        result = info_read(engine, arena, found, ret, err);
    if (result == 1)
        return error_set(err, ERROR_NOT_FOUND, "container \"%s\" does not exist", name_or_id);
    return result;
}

/* ------------------------------------------------------------------ projects */

int engine_check_project(const char *project, struct error *err)
{
    if (!*project || project[0] == '.' || strchr(project, '/') || strlen(project) > 200)
        return error_set(err, ERROR_INVALID, "\"%s\" is no project name", project);
    return 0;
}

static int project_open(int root_fd, const char *project, int *ret_fd, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    if (engine_check_project(project, err) < 0)
        return -1;
    return fs_open_dirs(root_fd, arena_printf(&arena, "projects/%s", project), 0700, ret_fd, err);
}

int engine_project_dir(struct engine *engine, const char *project, int *ret_fd, struct error *err)
{
    return project_open(engine->state_fd, project, ret_fd, err);
}

int engine_project_run_dir(struct engine *engine, const char *project, int *ret_fd,
                           struct error *err)
{
    return project_open(engine->run_fd, project, ret_fd, err);
}

static void write_owner(int lock_fd, const char *verb)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct error ignored;

    buf_printf(&text, "`%s`, pid %d, since ", verb, (int)getpid());
    clock_print_rfc3339(&text, clock_realtime_ns());
    /* Only for the message of who waits: a lock without a text is a lock. */
    if (ftruncate(lock_fd, 0) == 0)
        (void)fs_write_all(lock_fd, text.data, text.len, &ignored);
}

static int lock_timed_out(int dir_fd, const char *project, struct error *err)
{
    cleanup_buf struct buf owner = BUF_INIT;
    struct error ignored;

    (void)fs_read_file(dir_fd, "lock", LOCK_TEXT_MAX, &owner, &ignored);
    return error_set(err, ERROR_TIMEOUT, "project \"%s\" is being changed by %s", project,
                     owner.len ? buf_text(&owner) : "another process");
}

/* 1 when the project's directory was removed between making it and making the lock in it. */
static int open_lock(struct engine *engine, const char *project, int *ret_dir_fd, int *ret_fd,
                     struct error *err)
{
    cleanup_fd int dir_fd = -1;
    struct error one = ERROR_INIT;
    int fd;

    if (engine_project_run_dir(engine, project, &dir_fd, &one) < 0) {
        if (one.errnum == ENOENT)
            return 1;
        if (err)
            *err = one;
        return -1;
    }
    fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == ENOENT)
        return 1;
    if (fd < 0)
        return error_sys(err, errno, "open the lock of project \"%s\"", project);
    *ret_dir_fd = fd_take(&dir_fd);
    *ret_fd = fd;
    return 0;
}

static bool is_removed(int fd)
{
    struct stat info;

    return fstat(fd, &info) < 0 || info.st_nlink == 0;
}

int engine_project_lock(struct engine *engine, const char *project, const char *verb,
                        int timeout_ms, int *ret_fd, struct error *err)
{
    int64_t deadline_ns = clock_monotonic_ns() + timeout_ms * NS_PER_MS;
    cleanup_fd int dir_fd = -1, fd = -1;

    for (;;) {
        int result = fd < 0 ? open_lock(engine, project, &dir_fd, &fd, err) : 0;

        if (result > 0)
            continue;
        if (result == 0)
            result = fs_lock(fd, FS_LOCK_TRY, err);
        if (result < 0)
            return -1;
        if (result == 0 && !is_removed(fd))
            break;
        if (result == 0) { /* the project was taken down while we waited: a lock that nobody sees */
            cleanup_close_fd(&fd);
            cleanup_close_fd(&dir_fd);
            fd = dir_fd = -1;
            continue;
        }
        if (clock_monotonic_ns() >= deadline_ns)
            return lock_timed_out(dir_fd, project, err);
        /* flock(2) has no time limit. */
        (void)poll(NULL, 0, LOCK_POLL_MS);
    }
    write_owner(fd, verb);
    if (engine_settle(engine, project, err) < 0)
        return -1;
    *ret_fd = fd_take(&fd);
    return 0;
}

void engine_project_unlock(struct engine *engine, const char *project, int *fd)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct error ignored; /* what stays, the next `down` removes */

    if (*fd >= 0 && !fs_exists(engine->state_fd, arena_printf(&arena, "projects/%s", project)))
        (void)keeper_forget(engine->run_fd, project, &ignored);
    cleanup_close_fd(fd);
    *fd = -1;
}

int engine_project_forget(struct engine *engine, const char *project, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const char *path = arena_printf(&arena, "projects/%s", project);
    struct strings ids;

    if (engine_check_project(project, err) < 0 ||
        container_ids_list(engine->state_fd, &arena, project, &ids, err) < 0)
        return -1;
    for (size_t i = 0; i < ids.n; i++) {
        if (fs_exists(engine->state_fd,
                      arena_printf(&arena, "containers/%s/container.json", ids.items[i])))
            return error_set(err, ERROR_CONFLICT, "project \"%s\" still has containers", project);
    }
    if (fs_remove_tree(engine->state_fd, path, err) < 0 ||
        container_records_collect(engine->state_fd, err) < 0)
        return -1;
    return keeper_forget(engine->run_fd, project, err);
}
