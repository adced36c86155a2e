/* Leaf by leaf comparison of canonical spec JSON. */

#include "reconcile/difference.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/json.h"
#include "engine/base/vec.h"
#include "reconcile/field_text.h"

/* Fields of a container spec that don't need a new container; every other one does. Names as in the
 * JSON of engine/container/spec.c. */
static const struct {
    const char *field;
    enum field_class class;
} field_classes[] = {
    {"image", FIELD_INERT}, /* another name for the same image_id */
    {"health", FIELD_LIVE},
    {"labels.com.docker.compose", FIELD_INERT}, /* where the files lie, what depends on what */
    {"labels", FIELD_LIVE},
    {"memory_bytes", FIELD_LIVE},
    {"nano_cpus", FIELD_LIVE},
    {"pids_limit", FIELD_LIVE},
    {"ports", FIELD_LIVE},
    {"restart", FIELD_LIVE},
    {"restart_max_retries", FIELD_LIVE},
    {"stop_grace_ns", FIELD_LIVE},
    {"stop_signal", FIELD_LIVE},
};

enum field_class field_class_of(const char *field)
{
    for (size_t i = 0; i < sizeof(field_classes) / sizeof(*field_classes); i++) {
        size_t len = strlen(field_classes[i].field);

        if (strncmp(field, field_classes[i].field, len) == 0 &&
            (field[len] == '\0' || field[len] == '.'))
            return field_classes[i].class;
    }
    return FIELD_RECREATE;
}

struct collector {
    struct arena *arena;
    const struct field_words *words;
    VEC(struct difference) found;
    struct differences result;
};

/* Values under such names are compared but never shown. */
static bool is_secret(const char *field)
{
    static const char *const marks[] = {"PASSWORD", "PASSWD",     "SECRET", "TOKEN",
                                        "PRIVATE",  "CREDENTIAL", "API_KEY"};

    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
        if (strcasestr(field, marks[i]))
            return true;
    }
    return false;
}

static void collect(struct collector *collector, const char *field, const json_t *old_value,
                    const json_t *new_value)
{
    struct difference difference = {.field = field, .class = field_class_of(field)};
    struct field_texts texts;

    if (json_equal(old_value, new_value) || difference.class == FIELD_INERT)
        return;
    if (difference.class == FIELD_RECREATE)
        collector->result.needs_recreate = true;
    else
        collector->result.needs_update = true;
    difference.word = field_word(collector->arena, collector->words, field);
    texts = field_texts(collector->arena, collector->words, field, old_value, new_value);
    difference.old_text = old_value && is_secret(field) ? "(hidden)" : texts.old_text;
    difference.new_text = new_value && is_secret(field) ? "(hidden)" : texts.new_text;
    vec_push(&collector->found, difference);
}

/* Objects (environment, labels, sysctls, health) are compared member by member, one level deep. */
static void collect_members(struct collector *collector, const char *field, json_t *old_object,
                            json_t *new_object)
{
    const char *key;
    json_t *value;

    json_object_foreach (old_object, key, value)
        collect(collector, arena_printf(collector->arena, "%s.%s", field, key), value,
                json_object_get(new_object, key));
    json_object_foreach (new_object, key, value) {
        if (!json_object_get(old_object, key))
            collect(collector, arena_printf(collector->arena, "%s.%s", field, key), NULL, value);
    }
}

static void collect_field(struct collector *collector, const char *key, json_t *old_value,
                          json_t *new_value)
{
    bool is_object = json_is_object(old_value ? old_value : new_value) &&
                     (!old_value || json_is_object(old_value)) &&
                     (!new_value || json_is_object(new_value));

    if (is_object)
        collect_members(collector, arena_strdup(collector->arena, key), old_value, new_value);
    else
        collect(collector, arena_strdup(collector->arena, key), old_value, new_value);
}

struct differences spec_difference(struct arena *arena, const struct field_words *words,
                                   json_t *old_spec, json_t *new_spec)
{
    struct collector collector = {.arena = arena, .words = words, .found = VEC_INIT};
    const char *key;
    json_t *value;

    if (json_equal(old_spec, new_spec))
        return collector.result;

    json_object_foreach (old_spec, key, value)
        collect_field(&collector, key, value, json_object_get(new_spec, key));
    json_object_foreach (new_spec, key, value) {
        if (!json_object_get(old_spec, key))
            collect_field(&collector, key, NULL, value);
    }

    collector.result.n = collector.found.n;
    collector.result.items = vec_to_arena(&collector.found, arena);
    vec_release(&collector.found);
    return collector.result;
}
