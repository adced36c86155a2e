/* Specs as canonical JSON and back (engine/engine.h).
 *
 * Keys stand in a fixed order and defaults are left out: equal specs print equal bytes, and a field
 * that a new release adds changes nothing for those who don't use it. Simple fields are rows of a
 * table, lists of structs have a function each. */

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/engine.h"

const char *const restart_policy_names[] = {
    [RESTART_NO] = "no",
    [RESTART_ALWAYS] = "always",
    [RESTART_ON_FAILURE] = "on-failure",
    [RESTART_UNLESS_STOPPED] = "unless-stopped",
};
static_assert(sizeof(restart_policy_names) / sizeof(*restart_policy_names) ==
                  RESTART_UNLESS_STOPPED + 1,
              "one name per policy");

const char *const container_status_names[] = {
    [CONTAINER_CREATED] = "created",       [CONTAINER_RUNNING] = "running",
    [CONTAINER_RESTARTING] = "restarting", [CONTAINER_STOPPING] = "stopping",
    [CONTAINER_EXITED] = "exited",
};
static_assert(sizeof(container_status_names) / sizeof(*container_status_names) ==
                  CONTAINER_EXITED + 1,
              "one name per status");

const char *const health_status_names[] = {
    [HEALTH_NONE] = "",
    [HEALTH_STARTING] = "starting",
    [HEALTH_HEALTHY] = "healthy",
    [HEALTH_UNHEALTHY] = "unhealthy",
};
static_assert(sizeof(health_status_names) / sizeof(*health_status_names) == HEALTH_UNHEALTHY + 1,
              "one name per health");

static const char *const mount_kind_names[] = {
    [MOUNT_BIND] = "bind",
    [MOUNT_VOLUME] = "volume",
    [MOUNT_TMPFS] = "tmpfs",
};
static_assert(sizeof(mount_kind_names) / sizeof(*mount_kind_names) == MOUNT_TMPFS + 1,
              "one name per kind");

/* ---- the table ----------------------------------------------------------------------------------
 */

enum field_kind {
    FIELD_TEXT,
    FIELD_BOOL,
    FIELD_I64,
    FIELD_U64,
    FIELD_INT,
    FIELD_STRINGS,
    FIELD_PAIRS
};

struct field {
    const char *key;
    enum field_kind kind;
    size_t offset;
    int64_t absent; /* numbers: the value that is left out */
};

#define FIELD(kind, type, name)                                                                    \
    {                                                                                              \
#name, kind, offsetof(struct type, name), 0                                                \
    }
#define FIELD_ABSENT(kind, type, name, n)                                                          \
    {                                                                                              \
#name, kind, offsetof(struct type, name), n                                                \
    }
#define FIELDS(table) (table), sizeof(table) / sizeof(*(table))

static const struct field container_fields[] = {
    FIELD(FIELD_TEXT, container_spec, name),
    FIELD(FIELD_TEXT, container_spec, project),
    FIELD(FIELD_TEXT, container_spec, image),
    FIELD(FIELD_TEXT, container_spec, image_id),
    FIELD(FIELD_PAIRS, container_spec, environment),
    FIELD(FIELD_TEXT, container_spec, working_dir),
    FIELD(FIELD_TEXT, container_spec, user),
    FIELD(FIELD_TEXT, container_spec, hostname),
    FIELD(FIELD_PAIRS, container_spec, labels),
    FIELD(FIELD_TEXT, container_spec, network_mode),
    FIELD(FIELD_STRINGS, container_spec, expose),
    FIELD(FIELD_STRINGS, container_spec, extra_hosts),
    FIELD(FIELD_STRINGS, container_spec, dns),
    FIELD(FIELD_BOOL, container_spec, init),
    FIELD(FIELD_BOOL, container_spec, tty),
    FIELD(FIELD_BOOL, container_spec, stdin_open),
    FIELD(FIELD_BOOL, container_spec, read_only),
    FIELD(FIELD_BOOL, container_spec, privileged),
    FIELD(FIELD_BOOL, container_spec, no_new_privileges),
    FIELD(FIELD_STRINGS, container_spec, cap_add),
    FIELD(FIELD_STRINGS, container_spec, cap_drop),
    FIELD(FIELD_PAIRS, container_spec, sysctls),
    FIELD(FIELD_U64, container_spec, memory_bytes),
    FIELD(FIELD_I64, container_spec, nano_cpus),
    FIELD(FIELD_I64, container_spec, pids_limit),
    FIELD(FIELD_INT, container_spec, restart_max_retries),
    FIELD(FIELD_TEXT, container_spec, stop_signal),
    FIELD_ABSENT(FIELD_I64, container_spec, stop_grace_ns, -1),
};

static const struct field mount_fields[] = {
    FIELD(FIELD_TEXT, mount_spec, source),    FIELD(FIELD_TEXT, mount_spec, target),
    FIELD(FIELD_BOOL, mount_spec, read_only), FIELD(FIELD_BOOL, mount_spec, create_source),
    FIELD(FIELD_BOOL, mount_spec, no_copy),   FIELD(FIELD_TEXT, mount_spec, propagation),
    FIELD(FIELD_U64, mount_spec, size_bytes), FIELD_ABSENT(FIELD_INT, mount_spec, mode, -1),
    FIELD(FIELD_TEXT, mount_spec, options),
};

static const struct field attachment_fields[] = {
    FIELD(FIELD_TEXT, attachment_spec, network),
    FIELD(FIELD_STRINGS, attachment_spec, aliases),
    FIELD(FIELD_TEXT, attachment_spec, ipv4_address),
};

static const struct field ulimit_fields[] = {
    FIELD(FIELD_TEXT, ulimit_spec, name),
    FIELD_ABSENT(FIELD_I64, ulimit_spec, soft, INT64_MIN),
    FIELD_ABSENT(FIELD_I64, ulimit_spec, hard, INT64_MIN),
};

static const struct field health_fields[] = {
    FIELD(FIELD_BOOL, health_spec, disabled),
    FIELD(FIELD_STRINGS, health_spec, test),
    FIELD(FIELD_I64, health_spec, interval_ns),
    FIELD(FIELD_I64, health_spec, timeout_ns),
    FIELD(FIELD_I64, health_spec, start_period_ns),
    FIELD(FIELD_I64, health_spec, start_interval_ns),
    FIELD(FIELD_INT, health_spec, retries),
};

static const struct field network_fields[] = {
    FIELD(FIELD_TEXT, network_spec, name),     FIELD(FIELD_TEXT, network_spec, project),
    FIELD(FIELD_BOOL, network_spec, internal), FIELD(FIELD_TEXT, network_spec, subnet),
    FIELD(FIELD_TEXT, network_spec, gateway),  FIELD(FIELD_PAIRS, network_spec, labels),
};

static const struct field volume_fields[] = {
    FIELD(FIELD_TEXT, volume_spec, name),
    FIELD(FIELD_TEXT, volume_spec, project),
    FIELD(FIELD_PAIRS, volume_spec, labels),
};

/* ---- to JSON
 * -------------------------------------------------------------------------------------- */

static void write_number(json_t *object, const struct field *field, int64_t value)
{
    if (value != field->absent)
        json_set_i64(object, field->key, value);
}

/* An empty text is a value of its own: `user: ""` is not "the image's user". */
static void write_field(json_t *object, const struct field *field, const void *place)
{
    switch (field->kind) {
    case FIELD_TEXT:
        json_set_text(object, field->key, *(const char *const *)place);
        return;
    case FIELD_BOOL:
        if (*(const bool *)place)
            json_set_bool(object, field->key, true);
        return;
    case FIELD_I64:
        write_number(object, field, *(const int64_t *)place);
        return;
    case FIELD_U64:
        write_number(object, field, (int64_t) * (const uint64_t *)place);
        return;
    case FIELD_INT:
        write_number(object, field, *(const int *)place);
        return;
    case FIELD_STRINGS:
        json_set_strings(object, field->key, place);
        return;
    case FIELD_PAIRS:
        json_set_pairs(object, field->key, place);
        return;
    }
    BUG();
}

static void write_fields(json_t *object, const struct field *fields, size_t n, const void *value)
{
    for (size_t i = 0; i < n; i++)
        write_field(object, &fields[i], (const char *)value + fields[i].offset);
}

/* A command that is given but empty still replaces the image's. */
static void write_command(json_t *object, const char *key, bool is_given,
                          const struct strings *argv)
{
    json_t *list;

    if (!is_given)
        return;
    list = json_array();
    for (size_t i = 0; i < argv->n; i++)
        json_array_append_new(list, json_string(argv->items[i]));
    json_set_take(object, key, list);
}

static void write_mounts(json_t *object, const struct container_spec *spec)
{
    json_t *list = json_array();

    for (size_t i = 0; i < spec->n_mounts; i++) {
        json_t *item = json_object();

        json_set_text(item, "kind", mount_kind_names[spec->mounts[i].kind]);
        write_fields(item, FIELDS(mount_fields), &spec->mounts[i]);
        json_array_append_new(list, item);
    }
    json_set_take(object, "mounts", list);
}

static void write_networks(json_t *object, const struct container_spec *spec)
{
    json_t *list = json_array();

    for (size_t i = 0; i < spec->n_networks; i++) {
        json_t *item = json_object();

        write_fields(item, FIELDS(attachment_fields), &spec->networks[i]);
        json_array_append_new(list, item);
    }
    json_set_take(object, "networks", list);
}

static void write_ports(json_t *object, const struct container_spec *spec)
{
    json_t *list = json_array();

    for (size_t i = 0; i < spec->n_ports; i++) {
        const struct port_spec *port = &spec->ports[i];
        json_t *item = json_object();

        json_set_text(item, "host_ip", port->host_ip);
        json_set_i64(item, "host_first", port->host_first);
        json_set_i64(item, "host_last", port->host_last);
        json_set_i64(item, "container_port", port->container_port);
        json_set_text(item, "protocol", port->protocol);
        json_array_append_new(list, item);
    }
    json_set_take(object, "ports", list);
}

static void write_ulimits(json_t *object, const struct container_spec *spec)
{
    json_t *list = json_array();

    for (size_t i = 0; i < spec->n_ulimits; i++) {
        json_t *item = json_object();

        write_fields(item, FIELDS(ulimit_fields), &spec->ulimits[i]);
        json_array_append_new(list, item);
    }
    json_set_take(object, "ulimits", list);
}

json_t *container_spec_to_json(const struct container_spec *spec)
{
    json_t *object = json_object();

    write_fields(object, FIELDS(container_fields), spec);
    write_command(object, "entrypoint", spec->has_entrypoint, &spec->entrypoint);
    write_command(object, "command", spec->has_command, &spec->command);
    if (spec->n_mounts > 0)
        write_mounts(object, spec);
    if (spec->n_networks > 0)
        write_networks(object, spec);
    if (spec->n_ports > 0)
        write_ports(object, spec);
    if (spec->n_ulimits > 0)
        write_ulimits(object, spec);
    if (spec->restart != RESTART_NO)
        json_set_text(object, "restart", restart_policy_names[spec->restart]);
    if (spec->health.is_set || spec->health.disabled) {
        json_t *health = json_object();

        write_fields(health, FIELDS(health_fields), &spec->health);
        json_set_take(object, "health", health);
    }
    return object;
}

json_t *network_spec_to_json(const struct network_spec *spec)
{
    json_t *object = json_object();

    write_fields(object, FIELDS(network_fields), spec);
    return object;
}

json_t *volume_spec_to_json(const struct volume_spec *spec)
{
    json_t *object = json_object();

    write_fields(object, FIELDS(volume_fields), spec);
    return object;
}

/* ---- from JSON
 * -------------------------------------------------------------------------------------- */

static void read_field(struct arena *arena, const json_t *object, const struct field *field,
                       void *place)
{
    int64_t number = json_i64_or(object, field->key, field->absent);

    switch (field->kind) {
    case FIELD_TEXT:
        *(const char **)place = arena_strdup(arena, json_text_or(object, field->key, NULL));
        return;
    case FIELD_BOOL:
        *(bool *)place = json_bool_or(object, field->key, false);
        return;
    case FIELD_I64:
        *(int64_t *)place = number;
        return;
    case FIELD_U64:
        *(uint64_t *)place = number > 0 ? (uint64_t)number : 0;
        return;
    case FIELD_INT:
        *(int *)place = (int)number;
        return;
    case FIELD_STRINGS:
        *(struct strings *)place = json_strings(arena, object, field->key);
        return;
    case FIELD_PAIRS:
        *(struct pairs *)place = json_pairs(arena, object, field->key);
        return;
    }
    BUG();
}

static void read_fields(struct arena *arena, const json_t *object, const struct field *fields,
                        size_t n, void *value)
{
    for (size_t i = 0; i < n; i++)
        read_field(arena, object, &fields[i], (char *)value + fields[i].offset);
}

static int read_name(const json_t *object, const char *key, const char *const *names, int n,
                     int *ret, struct error *err)
{
    const char *text = json_text_or(object, key, names[0]);

    for (int i = 0; i < n; i++) {
        if (text_equal(names[i], text)) {
            *ret = i;
            return 0;
        }
    }
    return error_set(err, ERROR_INVALID, "field \"%s\": unknown word \"%s\"", key, text);
}

static int read_mounts(struct arena *arena, const json_t *list, struct container_spec *spec,
                       struct error *err)
{
    spec->n_mounts = json_array_size(list);
    spec->mounts = arena_new_array(arena, struct mount_spec, spec->n_mounts);
    for (size_t i = 0; i < spec->n_mounts; i++) {
        const json_t *item = json_array_get(list, i);
        int kind;

        if (read_name(item, "kind", mount_kind_names, MOUNT_TMPFS + 1, &kind, err) < 0)
            return error_wrap(err, "mount %zu", i);
        read_fields(arena, item, FIELDS(mount_fields), &spec->mounts[i]);
        spec->mounts[i].kind = (enum mount_kind)kind;
        if (!spec->mounts[i].target)
            return error_set(err, ERROR_INVALID, "mount %zu has no target", i);
    }
    return 0;
}

static void read_networks(struct arena *arena, const json_t *list, struct container_spec *spec)
{
    spec->n_networks = json_array_size(list);
    spec->networks = arena_new_array(arena, struct attachment_spec, spec->n_networks);
    for (size_t i = 0; i < spec->n_networks; i++)
        read_fields(arena, json_array_get(list, i), FIELDS(attachment_fields), &spec->networks[i]);
}

static int read_port_number(const json_t *item, const char *key, uint16_t *ret, struct error *err)
{
    int64_t number = json_i64_or(item, key, 0);

    if (number < 0 || number > UINT16_MAX)
        return error_set(err, ERROR_INVALID, "\"%s\" is no port number", key);
    *ret = (uint16_t)number;
    return 0;
}

static int read_ports(struct arena *arena, const json_t *list, struct container_spec *spec,
                      struct error *err)
{
    spec->n_ports = json_array_size(list);
    spec->ports = arena_new_array(arena, struct port_spec, spec->n_ports);
    for (size_t i = 0; i < spec->n_ports; i++) {
        const json_t *item = json_array_get(list, i);
        struct port_spec *port = &spec->ports[i];

        if (read_port_number(item, "host_first", &port->host_first, err) < 0 ||
            read_port_number(item, "host_last", &port->host_last, err) < 0 ||
            read_port_number(item, "container_port", &port->container_port, err) < 0)
            return error_wrap(err, "port %zu", i);
        port->host_ip = arena_strdup(arena, json_text_or(item, "host_ip", NULL));
        port->protocol = arena_strdup(arena, json_text_or(item, "protocol", "tcp"));
    }
    return 0;
}

static void read_ulimits(struct arena *arena, const json_t *list, struct container_spec *spec)
{
    spec->n_ulimits = json_array_size(list);
    spec->ulimits = arena_new_array(arena, struct ulimit_spec, spec->n_ulimits);
    for (size_t i = 0; i < spec->n_ulimits; i++)
        read_fields(arena, json_array_get(list, i), FIELDS(ulimit_fields), &spec->ulimits[i]);
}

static void read_health(struct arena *arena, const json_t *health, struct container_spec *spec)
{
    if (!health)
        return;
    read_fields(arena, health, FIELDS(health_fields), &spec->health);
    spec->health.is_set = true;
}

static int check_name(const char *kind, const char *name, struct error *err)
{
    return name ? 0 : error_set(err, ERROR_INVALID, "a %s without a name", kind);
}

int container_spec_from_json(struct arena *arena, const json_t *json, struct container_spec *ret,
                             struct error *err)
{
    struct container_spec spec = {0};
    int restart;

    if (!json_is_object(json))
        return error_set(err, ERROR_INVALID, "a container spec must be an object");
    read_fields(arena, json, FIELDS(container_fields), &spec);
    if (check_name("container spec", spec.name, err) < 0 ||
        read_name(json, "restart", restart_policy_names, RESTART_UNLESS_STOPPED + 1, &restart,
                  err) < 0 ||
        read_mounts(arena, json_object_get(json, "mounts"), &spec, err) < 0 ||
        read_ports(arena, json_object_get(json, "ports"), &spec, err) < 0)
        return -1;
    spec.restart = (enum restart_policy)restart;
    spec.has_entrypoint = json_object_get(json, "entrypoint") != NULL;
    spec.entrypoint = json_strings(arena, json, "entrypoint");
    spec.has_command = json_object_get(json, "command") != NULL;
    spec.command = json_strings(arena, json, "command");
    read_networks(arena, json_object_get(json, "networks"), &spec);
    read_ulimits(arena, json_object_get(json, "ulimits"), &spec);
    read_health(arena, json_object_get(json, "health"), &spec);
    *ret = spec;
    return 0;
}

int network_spec_from_json(struct arena *arena, const json_t *json, struct network_spec *ret,
                           struct error *err)
{
    struct network_spec spec = {0};

    read_fields(arena, json, FIELDS(network_fields), &spec);
    if (check_name("network spec", spec.name, err) < 0)
        return -1;
    *ret = spec;
    return 0;
}

int volume_spec_from_json(struct arena *arena, const json_t *json, struct volume_spec *ret,
                          struct error *err)
{
    struct volume_spec spec = {0};

    read_fields(arena, json, FIELDS(volume_fields), &spec);
    if (check_name("volume spec", spec.name, err) < 0)
        return -1;
    *ret = spec;
    return 0;
}
