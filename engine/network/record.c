/* Records of networks. */

#include "engine/network/record.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/vec.h"

enum { NAME_MAX_BYTES = 200, RECORD_MAX_BYTES = 1 << 20, RECORD_SCHEMA = 1, MTU_MAX = 65535 };

static const char suffix[] = ".json";

int record_check_name(const char *what, const char *name, struct error *err)
{
    size_t len = name != NULL ? strlen(name) : 0;

    if (len == 0 || len > NAME_MAX_BYTES || !isalnum((unsigned char)name[0]))
        return error_set(err, ERROR_INVALID,
                         "%s name \"%s\" must begin with a letter or digit and have at most %d "
                         "characters",
                         what, name != NULL ? name : "", NAME_MAX_BYTES);
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && strchr("_.-", name[i]) == NULL)
            return error_set(err, ERROR_INVALID,
                             "%s name \"%s\" has a character that is not one of A-Z a-z 0-9 _ . -",
                             what, name);
    return 0;
}

int record_open_dir(const struct network_dirs *dirs, int *ret_fd, struct error *err)
{
    return fs_open_dirs(dirs->state_fd, "networks", 0755, ret_fd, err);
}

int record_write(int dir_fd, const struct network_record *record, struct error *err)
{
    cleanup_json json_t *json = json_object();
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_free char *file = x_printf("%s%s", record->spec.name, suffix);

    json_set_i64(json, "schema", RECORD_SCHEMA);
    json_set_text(json, "name", record->spec.name);
    json_set_text(json, "project", record->spec.project);
    json_set_text(json, "key", record->spec.key);
    json_set_text(json, "asked_subnet", record->spec.subnet);
    json_set_text(json, "asked_gateway", record->spec.gateway);
    json_set_bool(json, "internal", record->spec.is_internal);
    json_set_pairs(json, "labels", &record->spec.labels);
    json_set_text(json, "bridge", record->bridge);
    json_set_text(json, "bridge_mac", record->bridge_mac);
    json_set_text(json, "subnet", record->subnet);
    json_set_text(json, "gateway", record->gateway);
    json_set_i64(json, "mtu", record->mtu);
    json_set_i64(json, "created_ns", record->created_ns);
    json_print_pretty(&text, json);
    /* Not durable: fsync takes 7 to 70 ms here, and what a power cut can lose is made again by the
     * next network_create; no data hangs on it. */
    return fs_replace(dir_fd, file, buf_text(&text), text.len, 0644, FS_VOLATILE, err);
}

static const char *text_at(struct arena *arena, const json_t *json, const char *key)
{
    return arena_strdup(arena, json_text_or(json, key, NULL));
}

static int parse_record(struct arena *arena, const json_t *json, struct network_record *record,
                        struct error *err)
{
    const char *subnet, *gateway, *bridge, *mac;
    int64_t schema, mtu;

    if (json_get_i64(json, "schema", &schema, err) < 0)
        return -1;
    if (schema != RECORD_SCHEMA)
        return error_set(err, ERROR_UNSUPPORTED, "it is of version %lld, this berth knows %d",
                         (long long)schema, RECORD_SCHEMA);
    if (json_get_text(json, "subnet", &subnet, err) < 0 ||
        json_get_text(json, "gateway", &gateway, err) < 0 ||
        json_get_text(json, "bridge", &bridge, err) < 0 ||
        json_get_text(json, "bridge_mac", &mac, err) < 0 ||
        json_get_i64(json, "mtu", &mtu, err) < 0)
        return -1;
    if (strlen(bridge) >= NETWORK_IFNAME_SIZE || mtu < 68 || mtu > MTU_MAX)
        return error_set(err, ERROR_INVALID, "its bridge or MTU is impossible");

    record->spec.project = text_at(arena, json, "project");
    record->spec.key = text_at(arena, json, "key");
    record->spec.subnet = text_at(arena, json, "asked_subnet");
    record->spec.gateway = text_at(arena, json, "asked_gateway");
    record->spec.is_internal = json_bool_or(json, "internal", false);
    record->spec.labels = json_pairs(arena, json, "labels");
    record->bridge = arena_strdup(arena, bridge);
    record->bridge_mac = arena_strdup(arena, mac);
    record->subnet = arena_strdup(arena, subnet);
    record->gateway = arena_strdup(arena, gateway);
    record->mtu = (uint32_t)mtu;
    record->created_ns = json_i64_or(json, "created_ns", 0);
    return 0;
}

int record_read(struct arena *arena, int dir_fd, const char *name,
                const struct network_record **ret, struct error *err)
{
    cleanup_json json_t *json = NULL;
    cleanup_free char *file = x_printf("%s%s", name, suffix);
    struct stat status;
    struct network_record *record = arena_new(arena, struct network_record);
    struct error failure = ERROR_INIT;

    /* Empty: what some file systems make of a file that was renamed just before a power cut. */
    if (fstatat(dir_fd, file, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_size == 0)
        return 1;
    if (json_read_at(dir_fd, file, RECORD_MAX_BYTES, &json, &failure) < 0) {
        if (failure.code == ERROR_NOT_FOUND)
            return 1;
        if (err != NULL)
            *err = failure;
        return error_wrap(err, "read record of network \"%s\"", name);
    }
    record->spec.name = arena_strdup(arena, name);
    if (parse_record(arena, json, record, err) < 0)
        return error_wrap(err, "read record of network \"%s\"", name);
    *ret = record;
    return 0;
}

int record_list(struct arena *arena, int dir_fd, struct network_records *ret, struct error *err)
{
    struct strings files;
    const struct network_record **items;
    size_t n = 0;

    if (fs_list(dir_fd, ".", arena, &files, err) < 0)
        return error_wrap(err, "list networks");
    items = arena_new_array(arena, const struct network_record *, files.n);
    for (size_t i = 0; i < files.n; i++) {
        size_t len = strlen(files.items[i]);
        const char *name;
        int found;

        if (!text_ends_with(files.items[i], suffix) || files.items[i][0] == '.')
            continue;
        name = arena_strndup(arena, files.items[i], len - (sizeof(suffix) - 1));
        found = record_read(arena, dir_fd, name, &items[n], err);
        if (found < 0)
            return -1;
        if (found == 0) /* else removed meanwhile */
            n++;
    }
    ret->items = items;
    ret->n = n;
    return 0;
}

int record_remove(int dir_fd, const char *name, struct error *err)
{
    cleanup_free char *file = x_printf("%s%s", name, suffix);

    if (unlinkat(dir_fd, file, 0) < 0 && errno != ENOENT)
        return error_sys(err, errno, "remove record of network \"%s\"", name);
    return 0;
}
