/* Records of containers on disk: containers. State is in record_state.c. See record.h. */

#include "engine/container/record.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/path.h"
#include "engine/base/random.h"

enum {
    RECORD_FORMAT = 1,
    SWEEP_ROUNDS = 3,
    STATE_DIR_MODE = 0700,
    UPPER_MODE = 0755, /* the mode of the container's root */
    ID_DIGITS = CONTAINER_ID_SIZE - 1,
};

static const int64_t HEALTH_INTERVAL_NS = 30 * NS_PER_S;
static const int64_t HEALTH_TIMEOUT_NS = 30 * NS_PER_S;
static const int64_t HEALTH_START_INTERVAL_NS = 5 * NS_PER_S;
static const int HEALTH_RETRIES = 3;

void container_record_release(struct container_record *record)
{
    json_release(&record->json);
    *record = (struct container_record){0};
}

/* ------------------------------------------------------------------ resolving */

static int64_t first_set(int64_t a, int64_t b, int64_t c)
{
    return a ? a : b ? b : c;
}

static struct health_spec resolve_health(struct arena *arena, const struct health_spec *spec,
                                         const struct health_spec *image)
{
    static const struct health_spec none = {.disabled = true};
    const struct health_spec *own = spec->is_set ? spec : &none;
    struct health_spec health = {.is_set = true};

    if (spec->is_set && spec->disabled)
        return none;
    health.test = strings_copy(arena, own->test.n ? &own->test : &image->test);
    if (health.test.n < 2 || strcmp(health.test.items[0], "NONE") == 0)
        return none;
    if (!spec->is_set && (image->disabled || !image->is_set))
        return none;
    health.interval_ns = first_set(own->interval_ns, image->interval_ns, HEALTH_INTERVAL_NS);
    health.timeout_ns = first_set(own->timeout_ns, image->timeout_ns, HEALTH_TIMEOUT_NS);
    health.start_period_ns = first_set(own->start_period_ns, image->start_period_ns, 0);
    health.start_interval_ns =
        first_set(own->start_interval_ns, image->start_interval_ns, HEALTH_START_INTERVAL_NS);
    health.retries = (int)first_set(own->retries, image->retries, HEALTH_RETRIES);
    return health;
}

static bool mount_covers(struct arena *arena, const struct container_spec *spec, const char *target)
{
    for (size_t i = 0; i < spec->n_mounts; i++) {
        if (strcmp(path_clean(arena, spec->mounts[i].target), target) == 0)
            return true;
    }
    return false;
}

static struct strings uncovered_volumes(struct arena *arena, const struct container_spec *spec,
                                        const struct strings *declared)
{
    struct strings volumes = {arena_new_array(arena, const char *, declared->n), 0};

    for (size_t i = 0; i < declared->n; i++) {
        const char *target = path_clean(arena, declared->items[i]);

        if (path_is_absolute(target) && !mount_covers(arena, spec, target) &&
            !strings_contain(&volumes, target))
            volumes.items[volumes.n++] = target;
    }
    return volumes;
}

int container_resolve(struct arena *arena, const struct container_spec *spec,
                      const struct image_info *image, const char *id,
                      struct container_resolved *ret, struct error *err)
{
    struct container_resolved resolved = {
        .hostname = container_hostname(arena, spec, id),
        .layers = image->layers,
        .volumes = uncovered_volumes(arena, spec, &image->volumes),
        .exposed_ports = image->exposed_ports,
        .health = resolve_health(arena, &spec->health, &image->health),
    };

    if (container_resolve_process(arena, spec, image, resolved.hostname, &resolved.process, err) <
        0)
        return -1;
    if (resolved.layers.n == 0)
        return error_set(err, ERROR_INVALID, "image \"%s\" has no layers", spec->image);
    *ret = resolved;
    return 0;
}

/* ------------------------------------------------------------------ the document */

static json_t *health_to_json(const struct health_spec *health)
{
    json_t *json = json_object();

    json_set_strings(json, "test", &health->test);
    json_set_i64(json, "interval_ns", health->interval_ns);
    json_set_i64(json, "timeout_ns", health->timeout_ns);
    json_set_i64(json, "start_period_ns", health->start_period_ns);
    json_set_i64(json, "start_interval_ns", health->start_interval_ns);
    json_set_i64(json, "retries", health->retries);
    return json;
}

static struct health_spec health_from_json(struct arena *arena, const json_t *json)
{
    if (!json_is_object(json))
        return (struct health_spec){.disabled = true};
    return (struct health_spec){
        .is_set = true,
        .test = json_strings(arena, json, "test"),
        .interval_ns = json_i64_or(json, "interval_ns", HEALTH_INTERVAL_NS),
        .timeout_ns = json_i64_or(json, "timeout_ns", HEALTH_TIMEOUT_NS),
        .start_period_ns = json_i64_or(json, "start_period_ns", 0),
        .start_interval_ns = json_i64_or(json, "start_interval_ns", HEALTH_START_INTERVAL_NS),
        .retries = (int)json_i64_or(json, "retries", HEALTH_RETRIES),
    };
}

static json_t *resolved_to_json(const struct container_resolved *resolved)
{
    json_t *json = json_object();

    json_set_strings(json, "argv", &resolved->process.argv);
    json_set_strings(json, "environment", &resolved->process.environment);
    json_set_text(json, "user", resolved->process.user);
    json_set_text(json, "working_dir", resolved->process.working_dir);
    json_set_text(json, "stop_signal", resolved->process.stop_signal);
    json_set_text(json, "hostname", resolved->hostname);
    json_set_strings(json, "layers", &resolved->layers);
    json_set_strings(json, "volumes", &resolved->volumes);
    json_set_strings(json, "exposed_ports", &resolved->exposed_ports);
    if (!resolved->health.disabled)
        json_set_take(json, "health", health_to_json(&resolved->health));
    return json;
}

static void resolved_from_json(struct arena *arena, const json_t *json,
                               struct container_resolved *ret)
{
    *ret = (struct container_resolved){
        .process.argv = json_strings(arena, json, "argv"),
        .process.environment = json_strings(arena, json, "environment"),
        .process.user = arena_strdup(arena, json_text_or(json, "user", "")),
        .process.working_dir = arena_strdup(arena, json_text_or(json, "working_dir", "/")),
        .process.stop_signal = arena_strdup(arena, json_text_or(json, "stop_signal", "SIGTERM")),
        .hostname = arena_strdup(arena, json_text_or(json, "hostname", NULL)),
        .layers = json_strings(arena, json, "layers"),
        .volumes = json_strings(arena, json, "volumes"),
        .exposed_ports = json_strings(arena, json, "exposed_ports"),
        .health = health_from_json(arena, json_object_get(json, "health")),
    };
}

static const char document_name[] = "container.json", next_document_name[] = "container.next.json";

static int document_write(int dir_fd, const char *name, const char *id, int64_t created_ns,
                          const struct container_spec *spec, const struct image_info *image,
                          struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_json json_t *json = json_object();
    cleanup_buf struct buf text = BUF_INIT;
    struct container_resolved resolved;

    if (container_resolve(&arena, spec, image, id, &resolved, err) < 0)
        return -1;
    json_set_i64(json, "format", RECORD_FORMAT);
    json_set_text(json, "id", id);
    json_set_i64(json, "created_ns", created_ns);
    json_set_take(json, "spec", container_spec_to_json(spec));
    json_set_take(json, "resolved", resolved_to_json(&resolved));
    json_print(&text, json);
    if (text.len > RECORD_MAX_BYTES)
        return error_set(err, ERROR_INVALID, "its specification is larger than %d bytes",
                         RECORD_MAX_BYTES);
    return fs_replace(dir_fd, name, text.data, text.len, 0600, FS_VOLATILE, err);
}

/* ------------------------------------------------------------------ names */

static bool id_is_valid(const char *id)
{
    return strlen(id) == ID_DIGITS && strspn(id, "0123456789abcdef") == ID_DIGITS;
}

/* A name is a file name here: nothing that could leave its directory. */
static int name_check(const char *what, const char *name, struct error *err)
{
    size_t len = strlen(name);

    if (len == 0 || len > CONTAINER_NAME_MAX || name[0] == '.' || strchr(name, '/'))
        return error_set(err, ERROR_INVALID, "%s name \"%s\" is not a valid name", what, name);
    return 0;
}

/* Links hold an id in base64url (RFC 4648): 43 bytes. Up to 59 bytes ext4 keeps the text in the
 * link's inode; the 64 digits would take a block each, and freeing one costs a discard of a
 * millisecond where ext4 has no journal and the disk is told of free blocks. */
static const char link_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
enum { LINK_BITS = 6, HEX_BITS = 4, LINK_DIGITS = 43 };
static_assert(LINK_DIGITS == (ID_DIGITS * HEX_BITS + LINK_BITS - 1) / LINK_BITS, "no bit is lost");

static void link_text_make(const char *id, char ret[static LINK_DIGITS + 1])
{
    unsigned bits = 0, n_bits = 0;
    size_t n = 0;

    for (size_t i = 0; i < ID_DIGITS; i++) {
        unsigned digit = (unsigned)(id[i] <= '9' ? id[i] - '0' : id[i] - 'a' + 10);

        bits = (bits << HEX_BITS | digit) & 0xfff;
        for (n_bits += HEX_BITS; n_bits >= LINK_BITS; n_bits -= LINK_BITS)
            ret[n++] = link_digits[bits >> (n_bits - LINK_BITS) & 0x3f];
    }
    ret[n++] = link_digits[bits << (LINK_BITS - n_bits) & 0x3f];
    ret[n] = '\0';
    assert(n == LINK_DIGITS);
}

/* The text of a symlink that holds an id: 0, or 1 when it doesn't exist (or holds none). */
static int link_read(int dir_fd, const char *path, char ret_id[static CONTAINER_ID_SIZE])
{
    char text[LINK_DIGITS + 1] = "", id[CONTAINER_ID_SIZE] = "", again[LINK_DIGITS + 1];
    ssize_t len = readlinkat(dir_fd, path, text, sizeof(text));
    unsigned bits = 0, n_bits = 0;
    size_t n = 0;

    if (len != LINK_DIGITS)
        return 1;
    for (size_t i = 0; i < LINK_DIGITS; i++) {
        const char *digit = memchr(link_digits, text[i], sizeof(link_digits) - 1);

        if (!digit)
            return 1;
        bits = (bits << LINK_BITS | (unsigned)(digit - link_digits)) & 0xfff;
        for (n_bits += LINK_BITS; n_bits >= HEX_BITS && n < ID_DIGITS; n_bits -= HEX_BITS)
            id[n++] = "0123456789abcdef"[bits >> (n_bits - HEX_BITS) & 0xf];
    }
    link_text_make(id, again);
    if (strcmp(text, again) != 0)
        return 1;
    memcpy(ret_id, id, sizeof(id));
    return 0;
}

static int link_make(int dir_fd, const char *name, const char *id)
{
    char text[LINK_DIGITS + 1];

    link_text_make(id, text);
    return symlinkat(text, dir_fd, name);
}

static bool record_exists(int state_fd, const char *id)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    return fs_exists(state_fd, arena_printf(&arena, "containers/%s/container.json", id));
}

int container_name_find(int state_fd, const char *name, char ret_id[static CONTAINER_ID_SIZE],
                        struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    char id[CONTAINER_ID_SIZE];

    if (name_check("container", name, err) < 0)
        return -1;
    if (link_read(state_fd, arena_printf(&arena, "names/%s", name), id) != 0 ||
        !record_exists(state_fd, id))
        return 1;
    memcpy(ret_id, id, sizeof(id));
    return 0;
}

/* Point names/NAME at `id` although it exists: its owner was killed before he wrote a record. The
 * lock of the directory keeps two takers apart. Returns 1 when it is in use after all. */
static int name_take_over(int names_fd, int state_fd, const char *name, const char *id,
                          char ret_owner[static CONTAINER_ID_SIZE], struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_fd int lock = openat(names_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const char *temporary = arena_printf(&arena, ".%.12s", id);
    struct error ignored;

    if (lock < 0)
        return error_sys(err, errno, "open the directory of container names");
    if (fs_lock(lock, FS_LOCK_EXCLUSIVE, err) < 0)
        return -1;
    if (link_read(names_fd, name, ret_owner) != 0)
        ret_owner[0] = '\0';
    else if (record_exists(state_fd, ret_owner))
        return 1;
    if (link_make(names_fd, temporary, id) < 0 || renameat(names_fd, temporary, names_fd, name) < 0)
        return error_sys(err, errno, "take the name \"%s\"", name);
    /* What its owner had begun. container_records_collect gets what this doesn't. */
    if (id_is_valid(ret_owner))
        (void)fs_remove_tree(state_fd, arena_printf(&arena, "containers/%s", ret_owner), &ignored);
    return 0;
}

static int name_take(int state_fd, const char *name, const char *id,
                     char ret_owner[static CONTAINER_ID_SIZE], struct error *err)
{
    cleanup_fd int names_fd = -1;

    if (fs_open_dirs(state_fd, "names", STATE_DIR_MODE, &names_fd, err) < 0)
        return -1;
    if (link_make(names_fd, name, id) == 0)
        return 0;
    if (errno != EEXIST)
        return error_sys(err, errno, "take the name \"%s\"", name);
    if (link_read(names_fd, name, ret_owner) == 0 && record_exists(state_fd, ret_owner))
        return 1;
    return name_take_over(names_fd, state_fd, name, id, ret_owner, err);
}

/* Make the container visible in its project's list. */
static int index_add(int state_fd, const char *project, const char *name, const char *id,
                     struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_fd int dir_fd = -1;
    char old_id[CONTAINER_ID_SIZE];

    if (fs_open_dirs(state_fd, arena_printf(&arena, "projects/%s/containers", project),
                     STATE_DIR_MODE, &dir_fd, err) < 0)
        return -1;
    if (link_make(dir_fd, name, id) == 0)
        return 0;
    if (errno == EEXIST && link_read(dir_fd, name, old_id) == 0 && strcmp(old_id, id) == 0)
        return 0;
    if (errno == EEXIST && unlinkat(dir_fd, name, 0) == 0 && link_make(dir_fd, name, id) == 0)
        return 0;
    return error_sys(err, errno, "list the container \"%s\"", name);
}

static int dir_make(int state_fd, const char *id, int *ret_fd, struct error *err)
{
    cleanup_fd int all_fd = -1, fd = -1;

    if (fs_open_dirs(state_fd, "containers", STATE_DIR_MODE, &all_fd, err) < 0)
        return -1;
    fs_spread_subdirs(all_fd);
    if (fs_open_dirs(all_fd, id, STATE_DIR_MODE, &fd, err) < 0)
        return -1;
    if (mkdirat(fd, "upper", UPPER_MODE) < 0 || mkdirat(fd, "work", STATE_DIR_MODE) < 0)
        return error_sys(err, errno, "make the directories of a container");
    *ret_fd = fd_take(&fd);
    return 0;
}

int container_record_create(int state_fd, const struct container_spec *spec,
                            const struct image_info *image, char ret_id[static CONTAINER_ID_SIZE],
                            struct error *err)
{
    char id[CONTAINER_ID_SIZE], owner[CONTAINER_ID_SIZE];
    cleanup_fd int dir_fd = -1, lock_fd = -1;
    struct error ignored;
    int taken;

    /* The lock tells container_records_collect that what it finds half-made is being made. */
    if (name_check("container", spec->name, err) < 0 ||
        name_check("project", spec->project, err) < 0 ||
        fs_open_dirs(state_fd, "containers", STATE_DIR_MODE, &lock_fd, err) < 0 ||
        fs_lock(lock_fd, FS_LOCK_SHARED, err) < 0)
        return -1;
    random_hex(id, ID_DIGITS);
    taken = name_take(state_fd, spec->name, id, owner, err);
    if (taken < 0)
        return -1;
    if (taken > 0) {
        memcpy(ret_id, owner, sizeof(owner));
        return 1;
    }
    /* The document comes last: with it the container exists, and is in every list. */
    if (dir_make(state_fd, id, &dir_fd, err) < 0 ||
        index_add(state_fd, spec->project, spec->name, id, err) < 0 ||
        document_write(dir_fd, document_name, id, clock_realtime_ns(), spec, image, err) < 0) {
        (void)container_record_remove(state_fd, id, spec->name, spec->project, &ignored);
        (void)container_records_sweep(state_fd, &ignored);
        return -1;
    }
    memcpy(ret_id, id, sizeof(id));
    return 0;
}

int container_record_stage(int state_fd, const char *id, const struct container_spec *spec,
                           const struct image_info *image, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct container_record record = {0};
    cleanup_fd int dir_fd = -1;
    int result;

    if (container_record_read(state_fd, &arena, id, &record, err) < 0)
        return -1;
    result = container_dir_open(state_fd, id, &dir_fd, err);
    if (result == 0)
        result =
            document_write(dir_fd, next_document_name, id, record.created_ns, spec, image, err);
    container_record_release(&record);
    return result;
}

int container_record_commit(int state_fd, const char *id, struct error *err)
{
    cleanup_fd int dir_fd = -1;

    if (container_dir_open(state_fd, id, &dir_fd, err) < 0)
        return -1;
    if (renameat(dir_fd, next_document_name, dir_fd, document_name) < 0)
        return error_sys(err, errno, "replace the record of container %.12s", id);
    return 0;
}

/* ------------------------------------------------------------------ reading */

int container_dir_open(int state_fd, const char *id, int *ret_fd, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    int fd;

    if (!id_is_valid(id))
        return error_set(err, ERROR_INVALID, "\"%s\" is no container id", id);
    fd = openat(state_fd, arena_printf(&arena, "containers/%s", id),
                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, ERROR_NOT_FOUND, "container %.12s does not exist", id);
    if (fd < 0)
        return error_sys(err, errno, "open the directory of container %.12s", id);
    *ret_fd = fd;
    return 0;
}

static int document_parse(struct arena *arena, const char *id, const json_t *json,
                          struct container_record *ret, struct error *err)
{
    struct container_spec *spec = arena_new(arena, struct container_spec);

    if (json_i64_or(json, "format", 0) != RECORD_FORMAT)
        return error_set(err, ERROR_UNSUPPORTED,
                         "its format is not %d: another release of berth "
                         "wrote it",
                         RECORD_FORMAT);
    if (container_spec_from_json(arena, json_object_get(json, "spec"), spec, err) < 0)
        return -1;
    if (!spec->name || !spec->project)
        return error_set(err, ERROR_INVALID, "name or project is missing");
    resolved_from_json(arena, json_object_get(json, "resolved"), &ret->resolved);
    ret->id = arena_strdup(arena, id);
    ret->name = spec->name;
    ret->project = spec->project;
    ret->created_ns = json_i64_or(json, "created_ns", 0);
    ret->spec = spec;
    ret->spec_json = json_object_get(json, "spec");
    return 0;
}

static int record_read(int state_fd, struct arena *arena, const char *id, const char *name,
                       struct container_record *ret, struct error *err)
{
    cleanup_arena struct arena scratch = ARENA_INIT;
    cleanup_json json_t *json = NULL;
    struct container_record record = {0};
    const char *path;

    if (!id_is_valid(id))
        return error_set(err, ERROR_INVALID, "\"%s\" is no container id", id);
    path = arena_printf(&scratch, "containers/%s/%s", id, name);
    if (json_read_at(state_fd, path, RECORD_MAX_BYTES, &json, err) < 0 ||
        document_parse(arena, id, json, &record, err) < 0)
        return error_wrap(err, "read the record of container %.12s", id);
    record.json = ptr_take(&json);
    *ret = record;
    return 0;
}

int container_record_read(int state_fd, struct arena *arena, const char *id,
                          struct container_record *ret, struct error *err)
{
    return record_read(state_fd, arena, id, document_name, ret, err);
}

int container_record_read_staged(int state_fd, struct arena *arena, const char *id,
                                 struct container_record *ret, struct error *err)
{
    return record_read(state_fd, arena, id, next_document_name, ret, err);
}

/* The ids that the links in a directory hold, sorted by the links' names. */
static int ids_of_links(int state_fd, const char *path, struct arena *arena, struct strings *ret,
                        struct error *err)
{
    cleanup_arena struct arena scratch = ARENA_INIT;
    cleanup_fd int dir_fd = openat(state_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct strings names, ids;

    *ret = (struct strings){0};
    if (dir_fd < 0 && errno == ENOENT)
        return 0;
    if (dir_fd < 0)
        return error_sys(err, errno, "open \"%s\"", path);
    if (fs_list(dir_fd, ".", &scratch, &names, err) < 0)
        return -1;
    ids = (struct strings){arena_new_array(arena, const char *, names.n), 0};
    for (size_t i = 0; i < names.n; i++) {
        char id[CONTAINER_ID_SIZE];

        if (link_read(dir_fd, names.items[i], id) == 0)
            ids.items[ids.n++] = arena_strdup(arena, id);
    }
    *ret = ids;
    return 0;
}

int container_ids_list(int state_fd, struct arena *arena, const char *project, struct strings *ret,
                       struct error *err)
{
    cleanup_arena struct arena scratch = ARENA_INIT;

    if (!project)
        return ids_of_links(state_fd, "names", arena, ret, err);
    if (name_check("project", project, err) < 0)
        return -1;
    return ids_of_links(state_fd, arena_printf(&scratch, "projects/%s/containers", project), arena,
                        ret, err);
}

/* ------------------------------------------------------------------ removing */

static int link_remove(int state_fd, const char *path, const char *id, struct error *err)
{
    char owner[CONTAINER_ID_SIZE];

    /* The name may be another container's by now. */
    if (link_read(state_fd, path, owner) == 0 && strcmp(owner, id) != 0)
        return 0;
    if (unlinkat(state_fd, path, 0) < 0 && errno != ENOENT)
        return error_sys(err, errno, "remove \"%s\"", path);
    return 0;
}

int container_record_remove(int state_fd, const char *id, const char *name, const char *project,
                            struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const char *from = arena_printf(&arena, "containers/%s", id);
    const char *away = arena_printf(&arena, "containers/.removed-%s", id);
    struct error first = ERROR_INIT, one = ERROR_INIT;

    if (!id_is_valid(id))
        return error_set(err, ERROR_INVALID, "\"%s\" is no container id", id);
    if (renameat(state_fd, from, state_fd, away) < 0 && errno != ENOENT)
        return error_sys(err, errno, "remove the record of container %.12s", id);
    if (project &&
        link_remove(state_fd, arena_printf(&arena, "projects/%s/containers/%s", project, name), id,
                    &one) < 0)
        error_gather(&first, &one);
    if (name && link_remove(state_fd, arena_printf(&arena, "names/%s", name), id, &one) < 0)
        error_gather(&first, &one);
    if (first.code != ERROR_NONE) {
        if (err)
            *err = first;
        return -1;
    }
    return 0;
}

/* One failure doesn't keep the others: another project's sweeper may delete the same tree. */
static int sweep_round(int dir_fd, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct error first = ERROR_INIT, one = ERROR_INIT;
    struct strings names;

    if (fs_list(dir_fd, ".", &arena, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        if (text_starts_with(names.items[i], ".removed-") &&
            fs_remove_tree(dir_fd, names.items[i], &one) < 0)
            error_gather(&first, &one);
    }
    if (first.code == ERROR_NONE)
        return 0;
    if (err)
        *err = first;
    return -1;
}

int container_records_sweep(int state_fd, struct error *err)
{
    cleanup_fd int dir_fd = openat(state_fd, "containers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct error last = ERROR_INIT;

    if (dir_fd < 0 && errno == ENOENT)
        return 0;
    if (dir_fd < 0)
        return error_sys(err, errno, "open \"containers\"");
    for (int i = 0; i < SWEEP_ROUNDS; i++) {
        last = (struct error)ERROR_INIT;
        if (sweep_round(dir_fd, &last) == 0)
            return 0;
    }
    if (err)
        *err = last;
    return -1;
}

/* Names of containers that don't exist. */
static int collect_names(int state_fd, struct arena *arena, struct error *err)
{
    cleanup_fd int names_fd = openat(state_fd, "names", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct strings names;

    if (names_fd < 0)
        return errno == ENOENT ? 0 : error_sys(err, errno, "open \"names\"");
    if (fs_list(names_fd, ".", arena, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        char id[CONTAINER_ID_SIZE];

        if (link_read(names_fd, names.items[i], id) == 0 && !record_exists(state_fd, id) &&
            unlinkat(names_fd, names.items[i], 0) < 0 && errno != ENOENT)
            return error_sys(err, errno, "remove the name \"%s\"", names.items[i]);
    }
    return 0;
}

int container_records_collect(int state_fd, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_fd int dir_fd = openat(state_fd, "containers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct strings ids;
    int locked;

    if (dir_fd < 0)
        return errno == ENOENT ? 0 : error_sys(err, errno, "open \"containers\"");
    locked = fs_lock(dir_fd, FS_LOCK_TRY, err);
    if (locked != 0) /* somebody creates: another time */
        return locked < 0 ? -1 : 0;
    if (fs_list(dir_fd, ".", &arena, &ids, err) < 0)
        return -1;
    for (size_t i = 0; i < ids.n; i++) {
        if (id_is_valid(ids.items[i]) && !record_exists(state_fd, ids.items[i]) &&
            fs_remove_tree(dir_fd, ids.items[i], err) < 0)
            return -1;
    }
    return collect_names(state_fd, &arena, err);
}
