/* Small helpers over jansson. */

#include "engine/base/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"

void json_release(json_t **value)
{
    int saved = errno;

    json_decref(*value);
    *value = NULL;
    errno = saved;
}

int json_parse(struct str text, json_t **ret, struct error *err)
{
    json_error_t where;
    json_t *value;

    value = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
    if (!value)
        return error_set(err, ERROR_INVALID, "invalid JSON at line %d column %d: %s", where.line,
                         where.column, where.text);
    *ret = value;
    return 0;
}

int json_read_at(int dirfd, const char *name, size_t max_bytes, json_t **ret, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;

    if (fs_read_file(dirfd, name, max_bytes, &text, err) < 0)
        return -1;
    if (json_parse(buf_str(&text), ret, err) < 0)
        return error_wrap(err, "read \"%s\"", name);
    return 0;
}

static int add_to_buf(const char *data, size_t len, void *out)
{
    buf_add(out, data, len);
    return 0;
}

static void dump(struct buf *out, const json_t *value, size_t flags)
{
    if (json_dump_callback(value, add_to_buf, out, flags | JSON_ENCODE_ANY) < 0)
        BUG();
}

void json_print(struct buf *out, const json_t *value)
{
    dump(out, value, JSON_COMPACT);
}

void json_print_pretty(struct buf *out, const json_t *value)
{
    dump(out, value, JSON_INDENT(2));
    buf_add_char(out, '\n');
}

static int json_get(const json_t *object, const char *key, const json_t **ret, struct error *err)
{
    const json_t *value = json_object_get(object, key);

    if (!value)
        return error_set(err, ERROR_INVALID, "\"%s\" is missing", key);
    *ret = value;
    return 0;
}

int json_get_text(const json_t *object, const char *key, const char **ret, struct error *err)
{
    const json_t *value;

    if (json_get(object, key, &value, err) < 0)
        return -1;
    if (!json_is_string(value))
        return error_set(err, ERROR_INVALID, "\"%s\" is not a string", key);
    *ret = json_string_value(value);
    return 0;
}

int json_get_i64(const json_t *object, const char *key, int64_t *ret, struct error *err)
{
    const json_t *value;

    if (json_get(object, key, &value, err) < 0)
        return -1;
    if (!json_is_integer(value))
        return error_set(err, ERROR_INVALID, "\"%s\" is not a whole number", key);
    *ret = json_integer_value(value);
    return 0;
}

const char *json_text_or(const json_t *object, const char *key, const char *fallback)
{
    const json_t *value = json_object_get(object, key);

    return json_is_string(value) ? json_string_value(value) : fallback;
}

int64_t json_i64_or(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool json_bool_or(const json_t *object, const char *key, bool fallback)
{
    const json_t *value = json_object_get(object, key);

    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

struct strings json_strings(struct arena *arena, const json_t *object, const char *key)
{
    const json_t *array = json_object_get(object, key);
    size_t n = json_array_size(array);
    struct strings list = {arena_new_array(arena, const char *, n), 0};

    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(array, i);

        if (json_is_string(item))
            list.items[list.n++] = arena_strdup(arena, json_string_value(item));
    }
    return list;
}

struct pairs json_pairs(struct arena *arena, const json_t *object, const char *key)
{
    json_t *map = json_object_get(object, key);
    struct pairs list = {arena_new_array(arena, struct pair, json_object_size(map)), 0};

    for (void *at = json_object_iter(map); at; at = json_object_iter_next(map, at)) {
        const json_t *value = json_object_iter_value(at);

        if (!json_is_string(value) && !json_is_null(value))
            continue;
        list.items[list.n].name = arena_strdup(arena, json_object_iter_key(at));
        list.items[list.n].value = arena_strdup(arena, json_string_value(value));
        list.n++;
    }
    return list;
}

json_t *json_text(const char *text)
{
    cleanup_buf struct buf clean = BUF_INIT;
    json_t *value = json_string(text);
    struct str rest = str_from(text);

    while (!value && rest.len > 0) {
        size_t n;

        if (str_first_character(rest, &n) == 0xfffd && n == 1)
            buf_add_text(&clean, "\xef\xbf\xbd");
        else
            buf_add(&clean, rest.data, n);
        rest = (struct str){rest.data + n, rest.len - n};
    }
    if (!value)
        value = json_string(buf_text(&clean));
    if (!value)
        BUG();
    return value;
}

void json_set_take(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new_nocheck(object, key, value) < 0)
        BUG();
}

void json_set_text(json_t *object, const char *key, const char *text)
{
    if (text)
        json_set_take(object, key, json_text(text));
}

void json_set_i64(json_t *object, const char *key, int64_t value)
{
    json_set_take(object, key, json_integer(value));
}

void json_set_bool(json_t *object, const char *key, bool value)
{
    json_set_take(object, key, json_boolean(value));
}

void json_set_strings(json_t *object, const char *key, const struct strings *list)
{
    json_t *array;

    if (!list->n)
        return;
    array = json_array();
    for (size_t i = 0; i < list->n; i++)
        if (json_array_append_new(array, json_text(list->items[i])) < 0)
            BUG();
    json_set_take(object, key, array);
}

void json_set_pairs(json_t *object, const char *key, const struct pairs *list)
{
    json_t *map;

    if (!list->n)
        return;
    map = json_object();
    for (size_t i = 0; i < list->n; i++) {
        const struct pair *pair = &list->items[i];
        json_t *name = json_text(pair->name);

        json_set_take(map, json_string_value(name),
                      pair->value ? json_text(pair->value) : json_null());
        json_decref(name);
    }
    json_set_take(object, key, map);
}
