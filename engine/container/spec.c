/* Specs as canonical JSON: one table per struct, in the order of the keys. A value that is its
 * default is left out, so a field that a later release adds changes no record. What the tables
 * don't know is refused: a spec that says more than we would do must not pass. */

#include <assert.h>
#include <inttypes.h>
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
enum { RESTART_POLICIES = sizeof(restart_policy_names) / sizeof(char *) };
static_assert(RESTART_POLICIES == RESTART_UNLESS_STOPPED + 1, "a name each");

static const char *const mount_kind_names[] = {
    [MOUNT_BIND] = "bind",
    [MOUNT_VOLUME] = "volume",
    [MOUNT_TMPFS] = "tmpfs",
};
enum { MOUNT_KINDS = sizeof(mount_kind_names) / sizeof(char *) };
static_assert(MOUNT_KINDS == MOUNT_TMPFS + 1, "a name each");

enum field_kind {
    FIELD_TEXT,    /* const char *; NULL is left out */
    FIELD_BOOL,    /* false is left out */
    FIELD_NUMBER,  /* an integer of `size` bytes; `otherwise` is left out */
    FIELD_NAME,    /* enum; the first name is left out unless is_always */
    FIELD_STRINGS, /* struct strings; empty is left out … */
    FIELD_COMMAND, /* … unless the bool at `flag` says that it is set */
    FIELD_PAIRS,   /* struct pairs */
    FIELD_OBJECT,  /* a struct of its own; present if the bool at `flag` is set */
    FIELD_LIST,    /* pointer to structs, their number at `flag` */
};

struct field {
    const char *key;
    enum field_kind kind;
    bool is_always;
    size_t offset, flag, size;
    int64_t otherwise, minimum;
    const char *const *names;
    size_t n_names;
    const struct field *fields; /* OBJECT, LIST */
};

#define AT(type, member)   offsetof(struct type, member)
#define SIZE(type, member) sizeof(((struct type *)0)->member)
#define TEXT(type, member)                                                                         \
    {                                                                                              \
        .key = #member, .kind = FIELD_TEXT, .offset = AT(type, member)                             \
    }
#define BOOL(type, member)                                                                         \
    {                                                                                              \
        .key = #member, .kind = FIELD_BOOL, .offset = AT(type, member)                             \
    }
#define STRINGS(type, member)                                                                      \
    {                                                                                              \
        .key = #member, .kind = FIELD_STRINGS, .offset = AT(type, member)                          \
    }
#define PAIRS(type, member)                                                                        \
    {                                                                                              \
        .key = #member, .kind = FIELD_PAIRS, .offset = AT(type, member)                            \
    }
#define NUMBER(type, member) NUMBER_OR(type, member, 0, 0)
#define NUMBER_OR(type, member, value, least)                                                      \
    {                                                                                              \
        .key = #member, .kind = FIELD_NUMBER, .offset = AT(type, member),                          \
        .size = SIZE(type, member), .otherwise = (value), .minimum = (least)                       \
    }
#define NAME(type, member, list, n, always)                                                        \
    {                                                                                              \
        .key = #member, .kind = FIELD_NAME, .is_always = (always), .offset = AT(type, member),     \
        .names = (list), .n_names = (n)                                                            \
    }
#define COMMAND(type, member)                                                                      \
    {                                                                                              \
        .key = #member, .kind = FIELD_COMMAND, .offset = AT(type, member),                         \
        .flag = AT(type, has_##member)                                                             \
    }
#define LIST(type, member, item, table)                                                            \
    {                                                                                              \
        .key = #member, .kind = FIELD_LIST, .offset = AT(type, member),                            \
        .flag = AT(type, n_##member), .size = sizeof(struct item), .fields = (table)               \
    }
#define END                                                                                        \
    {                                                                                              \
        .key = NULL                                                                                \
    }

static const struct field mount_fields[] = {
    NAME(mount_spec, kind, mount_kind_names, MOUNT_KINDS, true),
    TEXT(mount_spec, source),
    TEXT(mount_spec, target),
    BOOL(mount_spec, read_only),
    BOOL(mount_spec, create_source),
    BOOL(mount_spec, no_copy),
    TEXT(mount_spec, propagation),
    NUMBER(mount_spec, size_bytes),
    NUMBER_OR(mount_spec, mode, -1, -1),
    TEXT(mount_spec, options),
    END,
};

static const struct field port_fields[] = {
    TEXT(port_spec, host_ip),          NUMBER(port_spec, host_first), NUMBER(port_spec, host_last),
    NUMBER(port_spec, container_port), TEXT(port_spec, protocol),     END,
};

static const struct field ulimit_fields[] = {
    TEXT(ulimit_spec, name),
    NUMBER_OR(ulimit_spec, soft, 0, -1),
    NUMBER_OR(ulimit_spec, hard, 0, -1),
    END,
};

static const struct field attachment_fields[] = {
    TEXT(attachment_spec, network),
    STRINGS(attachment_spec, aliases),
    TEXT(attachment_spec, ipv4_address),
    END,
};

static const struct field health_fields[] = {
    BOOL(health_spec, disabled),          STRINGS(health_spec, test),
    NUMBER(health_spec, interval_ns),     NUMBER(health_spec, timeout_ns),
    NUMBER(health_spec, start_period_ns), NUMBER(health_spec, start_interval_ns),
    NUMBER(health_spec, retries),         END,
};

static const struct field container_fields[] = {
    TEXT(container_spec, name),
    TEXT(container_spec, project),
    TEXT(container_spec, image),
    TEXT(container_spec, image_id),
    COMMAND(container_spec, entrypoint),
    COMMAND(container_spec, command),
    PAIRS(container_spec, environment),
    TEXT(container_spec, working_dir),
    TEXT(container_spec, user),
    TEXT(container_spec, hostname),
    PAIRS(container_spec, labels),
    LIST(container_spec, mounts, mount_spec, mount_fields),
    LIST(container_spec, networks, attachment_spec, attachment_fields),
    TEXT(container_spec, network_mode),
    LIST(container_spec, ports, port_spec, port_fields),
    STRINGS(container_spec, expose),
    STRINGS(container_spec, extra_hosts),
    STRINGS(container_spec, dns),
    BOOL(container_spec, init),
    BOOL(container_spec, tty),
    BOOL(container_spec, stdin_open),
    BOOL(container_spec, read_only),
    BOOL(container_spec, privileged),
    BOOL(container_spec, no_new_privileges),
    STRINGS(container_spec, cap_add),
    STRINGS(container_spec, cap_drop),
    PAIRS(container_spec, sysctls),
    LIST(container_spec, ulimits, ulimit_spec, ulimit_fields),
    NUMBER(container_spec, memory_bytes),
    NUMBER(container_spec, nano_cpus),
    NUMBER_OR(container_spec, pids_limit, 0, -1),
    NAME(container_spec, restart, restart_policy_names, RESTART_POLICIES, false),
    NUMBER(container_spec, restart_max_retries),
    {.key = "health",
     .kind = FIELD_OBJECT,
     .offset = AT(container_spec, health),
     .flag = AT(container_spec, health) + AT(health_spec, is_set),
     .fields = health_fields},
    TEXT(container_spec, stop_signal),
    NUMBER_OR(container_spec, stop_grace_ns, -1, -1),
    END,
};

static const struct field network_fields[] = {
    TEXT(network_spec, name),
    TEXT(network_spec, project),
    BOOL(network_spec, internal),
    TEXT(network_spec, subnet),
    TEXT(network_spec, gateway),
    PAIRS(network_spec, labels),
    END,
};

static const struct field volume_fields[] = {
    TEXT(volume_spec, name),
    TEXT(volume_spec, project),
    PAIRS(volume_spec, labels),
    END,
};

/* ------------------------------------------------------------------ printing */

static json_t *print_fields(const void *object, const struct field *fields);

/* Every integer field is at most eight bytes; sizes and counts of ours stay below 2^63. */
static int64_t load_number(const void *at, size_t size)
{
    switch (size) {
    case sizeof(uint16_t):
        return *(const uint16_t *)at;
    case sizeof(int):
        return *(const int *)at;
    default:
        return *(const int64_t *)at;
    }
}

static void print_list(json_t *json, const struct field *field, const char *object)
{
    const char *items = *(const char *const *)(const void *)(object + field->offset);
    size_t n = *(const size_t *)(const void *)(object + field->flag);
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(array, print_fields(items + i * field->size, field->fields));
    json_set_take(json, field->key, array);
}

static void print_field(json_t *json, const struct field *field, const char *object)
{
    const void *at = object + field->offset;
    const struct strings *strings = at;
    bool flag =
        field->kind != FIELD_LIST && field->flag != 0 && *(const bool *)(object + field->flag);

    switch (field->kind) {
    case FIELD_TEXT:
        json_set_text(json, field->key, *(const char *const *)at);
        break;
    case FIELD_BOOL:
        if (*(const bool *)at)
            json_set_bool(json, field->key, true);
        break;
    case FIELD_NUMBER:
        if (load_number(at, field->size) != field->otherwise)
            json_set_i64(json, field->key, load_number(at, field->size));
        break;
    case FIELD_NAME:
        if (field->is_always || *(const unsigned *)at != 0)
            json_set_text(json, field->key, field->names[*(const unsigned *)at]);
        break;
    case FIELD_COMMAND:
        if (flag && strings->n == 0)
            json_set_take(json, field->key, json_array());
        else if (flag)
            json_set_strings(json, field->key, strings);
        break;
    case FIELD_STRINGS:
        json_set_strings(json, field->key, strings);
        break;
    case FIELD_PAIRS:
        json_set_pairs(json, field->key, at);
        break;
    case FIELD_OBJECT:
        if (flag)
            json_set_take(json, field->key, print_fields(at, field->fields));
        break;
    case FIELD_LIST:
        if (*(const size_t *)(const void *)(object + field->flag) > 0)
            print_list(json, field, object);
        break;
    }
}

static json_t *print_fields(const void *object, const struct field *fields)
{
    json_t *json = json_object();

    for (; fields->key != NULL; fields++)
        print_field(json, fields, object);
    return json;
}

/* ------------------------------------------------------------------ reading */

static int read_fields(struct arena *arena, const json_t *json, const struct field *fields,
                       void *object, struct error *err);

static int wrong(const struct field *field, const char *wanted, struct error *err)
{
    return error_set(err, ERROR_INVALID, "\"%s\" is not %s", field->key, wanted);
}

static int read_number(const json_t *value, const struct field *field, void *at, struct error *err)
{
    int64_t number = json_integer_value(value);

    if (!json_is_integer(value))
        return wrong(field, "a number", err);
    if (number < field->minimum || (field->size == sizeof(uint16_t) && number > UINT16_MAX) ||
        (field->size == sizeof(int) && number > INT32_MAX))
        return error_set(err, ERROR_INVALID, "\"%s\": %" PRIi64 " is out of range", field->key,
                         number);
    switch (field->size) {
    case sizeof(uint16_t):
        *(uint16_t *)at = (uint16_t)number;
        break;
    case sizeof(int):
        *(int *)at = (int)number;
        break;
    default:
        *(int64_t *)at = number;
        break;
    }
    return 0;
}

static int read_name(const json_t *value, const struct field *field, void *at, struct error *err)
{
    for (size_t i = 0; json_is_string(value) && i < field->n_names; i++) {
        if (!text_equal(field->names[i], json_string_value(value)))
            continue;
        *(unsigned *)at = (unsigned)i;
        return 0;
    }
    return error_set(err, ERROR_INVALID, "\"%s\": \"%s\" is unknown", field->key,
                     json_is_string(value) ? json_string_value(value) : "?");
}

static int read_list(struct arena *arena, const json_t *value, const struct field *field,
                     char *object, struct error *err)
{
    size_t n = json_array_size(value);
    char *items;

    if (!json_is_array(value))
        return wrong(field, "a list", err);
    items = arena_alloc_array(arena, n, field->size);
    for (size_t i = 0; i < n; i++) {
        if (read_fields(arena, json_array_get(value, i), field->fields, items + i * field->size,
                        err) < 0)
            return error_wrap(err, "\"%s\"[%zu]", field->key, i);
    }
    *(char **)(void *)(object + field->offset) = items;
    *(size_t *)(void *)(object + field->flag) = n;
    return 0;
}

static int read_strings(struct arena *arena, const json_t *json, const struct field *field,
                        void *at, struct error *err)
{
    const json_t *value = json_object_get(json, field->key);
    struct strings list = json_strings(arena, json, field->key);

    if (!json_is_array(value) || list.n != json_array_size(value))
        return wrong(field, "a list of texts", err);
    *(struct strings *)at = list;
    return 0;
}

static int read_pairs(struct arena *arena, const json_t *json, const struct field *field, void *at,
                      struct error *err)
{
    const json_t *value = json_object_get(json, field->key);
    struct pairs list = json_pairs(arena, json, field->key);

    if (!json_is_object(value) || list.n != json_object_size(value))
        return wrong(field, "a map of texts", err);
    *(struct pairs *)at = list;
    return 0;
}

static int read_field(struct arena *arena, const json_t *json, const struct field *field,
                      char *object, struct error *err)
{
    const json_t *value = json_object_get(json, field->key);
    void *at = object + field->offset;

    switch (field->kind) {
    case FIELD_TEXT:
        if (!json_is_string(value))
            return wrong(field, "a text", err);
        *(const char **)at = arena_strdup(arena, json_string_value(value));
        return 0;
    case FIELD_BOOL:
        if (!json_is_boolean(value))
            return wrong(field, "true or false", err);
        *(bool *)at = json_is_true(value);
        return 0;
    case FIELD_NUMBER:
        return read_number(value, field, at, err);
    case FIELD_NAME:
        return read_name(value, field, at, err);
    case FIELD_COMMAND:
        *(bool *)(object + field->flag) = true;
        return read_strings(arena, json, field, at, err);
    case FIELD_STRINGS:
        return read_strings(arena, json, field, at, err);
    case FIELD_PAIRS:
        return read_pairs(arena, json, field, at, err);
    case FIELD_OBJECT:
        *(bool *)(object + field->flag) = true;
        if (read_fields(arena, value, field->fields, at, err) < 0)
            return error_wrap(err, "\"%s\"", field->key);
        return 0;
    case FIELD_LIST:
        return read_list(arena, value, field, object, err);
    }
    BUG();
}

static void store_default(const struct field *field, char *object)
{
    void *at = object + field->offset;

    if (field->kind != FIELD_NUMBER || field->otherwise == 0)
        return;
    if (field->size == sizeof(int))
        *(int *)at = (int)field->otherwise;
    else
        *(int64_t *)at = field->otherwise;
}

static int refuse_unknown(const json_t *json, const struct field *fields, struct error *err)
{
    const char *key;
    json_t *value;

    /* jansson's macro casts const away for the iterator, and reads only */
    json_object_foreach ((json_t *)(uintptr_t)json, key, value) {
        const struct field *field = fields;

        while (field->key != NULL && !text_equal(field->key, key))
            field++;
        if (field->key == NULL)
            return error_set(err, ERROR_INVALID, "key \"%s\" is unknown", key);
    }
    return 0;
}

static int read_fields(struct arena *arena, const json_t *json, const struct field *fields,
                       void *object, struct error *err)
{
    if (!json_is_object(json))
        return error_set(err, ERROR_INVALID, "not a JSON object");
    if (refuse_unknown(json, fields, err) < 0)
        return -1;
    for (; fields->key != NULL; fields++) {
        store_default(fields, object);
        if (json_object_get(json, fields->key) != NULL &&
            read_field(arena, json, fields, object, err) < 0)
            return -1;
    }
    return 0;
}

/* ------------------------------------------------------------------ public */

bool host_ip_is_any(const char *host_ip)
{
    return !host_ip || !*host_ip || strcmp(host_ip, "0.0.0.0") == 0 || strcmp(host_ip, "::") == 0;
}

json_t *container_spec_to_json(const struct container_spec *spec)
{
    return print_fields(spec, container_fields);
}

int container_spec_from_json(struct arena *arena, const json_t *json, struct container_spec *ret,
                             struct error *err)
{
    struct container_spec spec = {0};

    if (read_fields(arena, json, container_fields, &spec, err) < 0)
        return error_wrap(err, "container spec");
    *ret = spec;
    return 0;
}

json_t *network_spec_to_json(const struct network_spec *spec)
{
    return print_fields(spec, network_fields);
}

int network_spec_from_json(struct arena *arena, const json_t *json, struct network_spec *ret,
                           struct error *err)
{
    struct network_spec spec = {0};

    if (read_fields(arena, json, network_fields, &spec, err) < 0)
        return error_wrap(err, "network spec");
    *ret = spec;
    return 0;
}

json_t *volume_spec_to_json(const struct volume_spec *spec)
{
    return print_fields(spec, volume_fields);
}

int volume_spec_from_json(struct arena *arena, const json_t *json, struct volume_spec *ret,
                          struct error *err)
{
    struct volume_spec spec = {0};

    if (read_fields(arena, json, volume_fields, &spec, err) < 0)
        return error_wrap(err, "volume spec");
    *ret = spec;
    return 0;
}
