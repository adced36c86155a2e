/* Volumes: their directories and records. */

#include "engine/volume/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/random.h"
#include "engine/base/sha256.h"
#include "engine/base/trace.h"
#include "engine/base/vec.h"
#include "engine/volume/record.h"

#define VOLUMES         "volumes"
#define RECORD          "volume.json"
#define STAGING         ".staging-"
#define REMOVED         ".removed-"
#define ANONYMOUS_LABEL "com.docker.volume.anonymous"

enum {
    RECORD_FORMAT = 1,
    RECORD_MAX_BYTES = 1 << 20,
    VOLUMES_MODE = 0711, /* users may reach a volume they know, not list them */
    VOLUME_MODE = 0701,
    DATA_MODE = 0755,
    RECORD_MODE = 0600,
    SUFFIX_DIGITS = 12,
    STALE_AFTER_S = 60, /* how old a directory in the making must be to be someone's leftover */
};

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

int volume_check_name(const char *name, struct error *err)
{
    size_t len = strlen(name);
    bool is_good = len >= 2 && len <= VOLUME_NAME_MAX && !strchr("_.-", name[0]);

    for (size_t i = 0; i < len && is_good; i++)
        is_good = is_name_character(name[i]);
    if (is_good)
        return 0;
    return error_set(err, ERROR_INVALID,
                     "\"%.60s\" can't be the name of a volume (letters, digits, _ . -, at least "
                     "two, the first a letter or digit); for a directory of the host write an "
                     "absolute path",
                     name);
}

static int open_volumes(int state_fd, int *ret_fd, struct error *err)
{
    cleanup_fd int fd = openat(state_fd, VOLUMES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        *ret_fd = fd_take(&fd);
        return 0;
    }
    return fs_open_dirs(state_fd, VOLUMES, VOLUMES_MODE, ret_fd, err);
}

int volume_open(int state_fd, const char *name, int *ret_fd, struct error *err)
{
    cleanup_fd int volumes_fd = -1;

    if (volume_check_name(name, err) < 0 || open_volumes(state_fd, &volumes_fd, err) < 0)
        return -1;

    cleanup_fd int fd = openat(volumes_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return error_set(err, ERROR_NOT_FOUND, "volume \"%s\" does not exist", name);
    if (fd < 0)
        return error_sys(err, errno, "open volume \"%s\"", name);
    *ret_fd = fd_take(&fd);
    return 0;
}

/* ------------------------------------------------------------------ records */

static json_t *to_json(const struct volume *volume)
{
    json_t *json = json_object();
    json_t *labels = json_object();

    for (size_t i = 0; i < volume->labels.n; i++)
        json_set_text(labels, volume->labels.items[i].name,
                      volume->labels.items[i].value ? volume->labels.items[i].value : "");
    if (volume->container && !json_object_get(labels, ANONYMOUS_LABEL))
        json_set_text(labels, ANONYMOUS_LABEL, "");

    json_set_i64(json, "format", RECORD_FORMAT);
    json_set_text(json, "name", volume->name);
    json_set_text(json, "project", volume->project);
    json_set_text(json, "container", volume->container);
    json_set_text(json, "target", volume->target);
    json_set_take(json, "labels", labels);
    json_set_i64(json, "created_ns", volume->created_ns);
    return json;
}

static int write_record(int volume_fd, const json_t *json, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;

    json_print_pretty(&text, json);
    return fs_replace(volume_fd, RECORD, text.data, text.len, RECORD_MODE, FS_DURABLE, err);
}

static int read_record(int volumes_fd, const char *name, json_t **ret, struct error *err)
{
    cleanup_buf struct buf path = BUF_INIT;

    buf_printf(&path, "%s/" RECORD, name);
    return json_read_at(volumes_fd, buf_text(&path), RECORD_MAX_BYTES, ret, err);
}

static struct volume from_json(const json_t *json, const char *state_path, struct arena *arena,
                               const char *name)
{
    return (struct volume){
        .name = arena_strdup(arena, name),
        .project = arena_strdup(arena, json_text_or(json, "project", NULL)),
        .labels = json_pairs(arena, json, "labels"),
        .container = arena_strdup(arena, json_text_or(json, "container", NULL)),
        .target = arena_strdup(arena, json_text_or(json, "target", NULL)),
        .path = arena_printf(arena, "%s/" VOLUMES "/%s/" VOLUME_DATA, state_path, name),
        .created_ns = json_i64_or(json, "created_ns", 0),
    };
}

/* ------------------------------------------------------------------ create */

/* Everything inside the staging directory. Its lock tells sweepers that someone is at work. */
static int make_content(int staging_fd, const struct volume *volume, struct error *err)
{
    cleanup_json json_t *json = NULL;
    struct volume dated = *volume;

    if (fs_lock(staging_fd, FS_LOCK_EXCLUSIVE, err) < 0)
        return -1;
    if (mkdirat(staging_fd, VOLUME_DATA, DATA_MODE) != 0)
        return error_sys(err, errno, "make the data directory");

    cleanup_fd int data_fd = openat(staging_fd, VOLUME_DATA, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (data_fd < 0 || fchmod(data_fd, DATA_MODE) != 0) /* whatever the umask */
        return error_sys(err, errno, "make the data directory");
    dated.created_ns = clock_realtime_ns();
    json = to_json(&dated);
    return write_record(staging_fd, json, err);
}

static int make_staged(int volumes_fd, const char *staging, const struct volume *volume,
                       struct error *err)
{
    if (mkdirat(volumes_fd, staging, VOLUME_MODE) != 0)
        return error_sys(err, errno, "make \"%s\"", staging);

    cleanup_fd int staging_fd =
        openat(volumes_fd, staging, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (staging_fd < 0 || fchmod(staging_fd, VOLUME_MODE) != 0)
        return error_sys(err, errno, "open \"%s\"", staging);
    if (make_content(staging_fd, volume, err) < 0)
        return -1;
    if (renameat2(volumes_fd, staging, volumes_fd, volume->name, RENAME_NOREPLACE) != 0) {
        if (errno == EEXIST)
            return 1; /* someone was faster */
        return error_sys(err, errno, "rename \"%s\"", staging);
    }
    return fsync(volumes_fd) == 0 ? 0 : error_sys(err, errno, "sync");
}

static void print_hidden_name(struct buf *out, const char *prefix, const char *name)
{
    char suffix[SUFFIX_DIGITS + 1];

    random_hex(suffix, SUFFIX_DIGITS);
    buf_printf(out, "%s%s.%s", prefix, name, suffix);
}

int volume_create(int state_fd, const struct volume *volume, struct error *err)
{
    cleanup_buf struct buf staging = BUF_INIT;
    cleanup_fd int volumes_fd = -1;

    if (volume_check_name(volume->name, err) < 0 || open_volumes(state_fd, &volumes_fd, err) < 0)
        return -1;
    if (fs_exists(volumes_fd, volume->name))
        return 1;

    print_hidden_name(&staging, STAGING, volume->name);

    int r = make_staged(volumes_fd, buf_text(&staging), volume, err);

    if (r != 0)
        (void)fs_remove_tree(volumes_fd, buf_text(&staging), NULL); /* the first error counts */
    return r < 0 ? error_wrap(err, "create volume \"%s\"", volume->name) : r;
}

void volume_anonymous_name(const char *container, const char *target,
                           char ret_name[static VOLUME_ANONYMOUS_NAME_SIZE])
{
    cleanup_sha256 struct sha256 hash = SHA256_INIT;

    sha256_init(&hash);
    sha256_add_text(&hash, "anonymous volume");
    sha256_add_text(&hash, container);
    sha256_add_text(&hash, target);
    sha256_end_hex(&hash, ret_name);
}

/* ------------------------------------------------------------------ look */

static int list_names(int volumes_fd, struct arena *arena, struct strings *ret, struct error *err)
{
    struct strings all;
    size_t n = 0;

    if (fs_list(volumes_fd, ".", arena, &all, err) < 0)
        return -1;
    for (size_t i = 0; i < all.n; i++)
        if (volume_check_name(all.items[i], NULL) == 0)
            all.items[n++] = all.items[i];
    *ret = (struct strings){all.items, n};
    return 0;
}

int volume_list(int state_fd, const char *state_path, struct arena *arena, struct volume **ret,
                size_t *ret_n, struct error *err)
{
    VEC(struct volume) found = VEC_INIT;
    cleanup_fd int volumes_fd = -1;
    struct strings names;

    if (open_volumes(state_fd, &volumes_fd, err) < 0 ||
        list_names(volumes_fd, arena, &names, err) < 0)
        return error_wrap(err, "list volumes");
    for (size_t i = 0; i < names.n; i++) {
        cleanup_json json_t *json = NULL;
        struct error reason = ERROR_INIT;

        if (read_record(volumes_fd, names.items[i], &json, &reason) < 0) {
            trace(TRACE_CONTAINER, "volume %s left out: %s", names.items[i], reason.text);
            continue;
        }
        vec_push(&found, from_json(json, state_path, arena, names.items[i]));
    }
    *ret = found.n > 0 ? vec_to_arena(&found, arena) : NULL;
    *ret_n = found.n;
    vec_release(&found);
    return 0;
}

int volume_find(int state_fd, const char *state_path, struct arena *arena, const char *name,
                struct volume *ret, struct error *err)
{
    cleanup_json json_t *json = NULL;
    cleanup_fd int volume_fd = -1;

    if (volume_open(state_fd, name, &volume_fd, err) < 0)
        return -1;
    if (json_read_at(volume_fd, RECORD, RECORD_MAX_BYTES, &json, err) < 0)
        return error_wrap(err, "volume \"%s\"", name);
    *ret = from_json(json, state_path, arena, name);
    return 0;
}

int volume_open_data(int state_fd, const char *name, int *ret_fd, struct error *err)
{
    cleanup_fd int volume_fd = -1;

    if (volume_open(state_fd, name, &volume_fd, err) < 0)
        return -1;
    if (volume_finish_fill(volume_fd, err) < 0)
        return error_wrap(err, "volume \"%s\"", name);

    cleanup_fd int fd =
        openat(volume_fd, VOLUME_DATA, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return error_sys(err, errno, "open the data of volume \"%s\"", name);
    *ret_fd = fd_take(&fd);
    return 0;
}

/* ------------------------------------------------------------------ remove */

/* Is nobody at work in this staging directory any more? */
static bool is_stale(int volumes_fd, const char *name)
{
    cleanup_fd int fd = openat(volumes_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    return fd >= 0 && fstat(fd, &st) == 0 &&
           clock_realtime_ns() / NS_PER_S - st.st_ctim.tv_sec > STALE_AFTER_S &&
           fs_lock(fd, FS_LOCK_TRY, NULL) == 0;
}

/* What killed processes have left half made or half removed. */
static void sweep(int volumes_fd)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct strings names;

    if (fs_list(volumes_fd, ".", &arena, &names, NULL) < 0)
        return;
    for (size_t i = 0; i < names.n; i++)
        if (text_starts_with(names.items[i], REMOVED) ||
            (text_starts_with(names.items[i], STAGING) && is_stale(volumes_fd, names.items[i])))
            (void)fs_remove_tree(volumes_fd, names.items[i], NULL); /* again next time */
}

static int remove_named(int volumes_fd, const char *name, struct error *err)
{
    cleanup_buf struct buf hidden = BUF_INIT;

    print_hidden_name(&hidden, REMOVED, name);
    if (renameat(volumes_fd, name, volumes_fd, buf_text(&hidden)) != 0) {
        if (errno == ENOENT)
            return 0;
        return error_sys(err, errno, "remove volume \"%s\"", name);
    }
    if (fs_remove_tree(volumes_fd, buf_text(&hidden), err) < 0)
        return error_wrap(err, "remove volume \"%s\"", name);
    return 0;
}

int volume_remove(int state_fd, const char *name, struct error *err)
{
    cleanup_fd int volumes_fd = -1;

    if (volume_check_name(name, err) < 0 || open_volumes(state_fd, &volumes_fd, err) < 0 ||
        remove_named(volumes_fd, name, err) < 0)
        return -1;
    sweep(volumes_fd);
    return 0;
}

/* 64 hex digits, as volume_anonymous_name makes them: the others needn't be read. */
static bool looks_anonymous(const char *name)
{
    return strlen(name) == VOLUME_ANONYMOUS_NAME_SIZE - 1 &&
           strspn(name, "0123456789abcdef") == VOLUME_ANONYMOUS_NAME_SIZE - 1;
}

int volume_remove_anonymous(int state_fd, const char *container, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_fd int volumes_fd = -1;
    struct error first = ERROR_INIT;
    struct strings names;

    if (open_volumes(state_fd, &volumes_fd, err) < 0 ||
        list_names(volumes_fd, &arena, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        cleanup_json json_t *json = NULL;
        struct error here = ERROR_INIT;

        if (!looks_anonymous(names.items[i]) ||
            read_record(volumes_fd, names.items[i], &json, NULL) < 0 ||
            !text_equal(json_text_or(json, "container", NULL), container))
            continue;
        if (remove_named(volumes_fd, names.items[i], &here) < 0)
            error_gather(&first, &here);
    }
    if (first.code == ERROR_NONE)
        return 0;
    if (err)
        *err = first;
    return -1;
}
