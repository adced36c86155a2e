/* The observed value: look-ups, and JSON in both directions. */

#include "reconcile/observed.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/json.h"

void observed_release(struct observed *observed)
{
    json_release(&observed->holder);
    *observed = (struct observed)OBSERVED_INIT;
}

const struct observed_container *observed_find_container(const struct observed *observed,
                                                         const char *name)
{
    for (size_t i = 0; i < observed->n_containers; i++) {
        if (text_equal(observed->containers[i].name, name))
            return &observed->containers[i];
    }
    return NULL;
}

const struct observed_network *observed_find_network(const struct observed *observed,
                                                     const char *name)
{
    for (size_t i = 0; i < observed->n_networks; i++) {
        if (text_equal(observed->networks[i].name, name))
            return &observed->networks[i];
    }
    return NULL;
}

const struct observed_image *observed_find_image(const struct observed *observed,
                                                 const char *reference)
{
    for (size_t i = 0; i < observed->n_images; i++) {
        if (text_equal(observed->images[i].reference, reference))
            return &observed->images[i];
    }
    return NULL;
}

static json_t *container_to_json(const struct observed_container *container)
{
    json_t *item = json_object();

    json_set_text(item, "name", container->name);
    json_set_text(item, "service", container->service);
    json_set_i64(item, "number", container->number);
    json_set_text(item, "status", container_status_names[container->status]);
    if (container->health != HEALTH_NONE)
        json_set_text(item, "health", health_status_names[container->health]);
    json_set_i64(item, "exit_code", container->exit_code);
    if (container->is_tainted)
        json_set_bool(item, "tainted", true);
    if (container->was_stopped)
        json_set_bool(item, "stopped", true);
    json_set_take(item, "spec", container_spec_to_json(&container->spec));
    return item;
}

json_t *observed_to_json(const struct observed *observed)
{
    json_t *root = json_object();
    json_t *containers = json_array(), *networks = json_array(), *images = json_array();

    json_set_i64(root, "format", 1);
    for (size_t i = 0; i < observed->n_containers; i++)
        json_array_append_new(containers, container_to_json(&observed->containers[i]));
    json_set_take(root, "containers", containers);

    for (size_t i = 0; i < observed->n_networks; i++) {
        json_t *item = json_object();

        json_set_text(item, "name", observed->networks[i].name);
        json_set_bool(item, "up", observed->networks[i].is_up);
        json_set_take(item, "spec", network_spec_to_json(&observed->networks[i].spec));
        json_array_append_new(networks, item);
    }
    json_set_take(root, "networks", networks);
    json_set_strings(root, "volumes", &observed->volumes);

    for (size_t i = 0; i < observed->n_images; i++) {
        json_t *item = json_object();

        json_set_text(item, "reference", observed->images[i].reference);
        json_set_text(item, "id", observed->images[i].id);
        json_array_append_new(images, item);
    }
    json_set_take(root, "images", images);
    return root;
}

/* Index of `text` in a name table, or -1. */
static int name_find(const char *const *names, int n, const char *text)
{
    for (int i = 0; i < n; i++) {
        if (text_equal(names[i], text))
            return i;
    }
    return -1;
}

static int container_from_json(struct arena *arena, const json_t *item,
                               struct observed_container *ret, struct error *err)
{
    const char *name, *status;
    json_t *spec = json_object_get(item, "spec");
    int status_index, health_index;

    if (json_get_text(item, "name", &name, err) < 0 ||
        json_get_text(item, "status", &status, err) < 0)
        return -1;
    status_index = name_find(container_status_names, CONTAINER_EXITED + 1, status);
    health_index =
        name_find(health_status_names, HEALTH_UNHEALTHY + 1, json_text_or(item, "health", ""));
    if (status_index < 0 || health_index < 0)
        return error_set(err, ERROR_INVALID, "container \"%s\": unknown status", name);

    ret->name = arena_strdup(arena, name);
    ret->service = arena_strdup(arena, json_text_or(item, "service", ""));
    ret->number = (int)json_i64_or(item, "number", 1);
    ret->status = (enum container_status)status_index;
    ret->health = (enum health_status)health_index;
    ret->exit_code = (int)json_i64_or(item, "exit_code", -1);
    ret->is_tainted = json_bool_or(item, "tainted", false);
    ret->was_stopped = json_bool_or(item, "stopped", false);
    ret->spec_json = spec;
    return container_spec_from_json(arena, spec, &ret->spec, err);
}

static int network_from_json(struct arena *arena, const json_t *item, struct observed_network *ret,
                             struct error *err)
{
    const char *name;

    if (json_get_text(item, "name", &name, err) < 0)
        return -1;
    ret->name = arena_strdup(arena, name);
    ret->is_up = json_bool_or(item, "up", true);
    return network_spec_from_json(arena, json_object_get(item, "spec"), &ret->spec, err);
}

static int images_from_json(struct arena *arena, const json_t *images, struct observed *ret,
                            struct error *err)
{
    ret->n_images = json_array_size(images);
    ret->images = arena_new_array(arena, struct observed_image, ret->n_images);
    for (size_t i = 0; i < ret->n_images; i++) {
        const json_t *item = json_array_get(images, i);
        const char *reference, *id;

        if (json_get_text(item, "reference", &reference, err) < 0 ||
            json_get_text(item, "id", &id, err) < 0)
            return error_wrap(err, "image %zu", i);
        ret->images[i].reference = arena_strdup(arena, reference);
        ret->images[i].id = arena_strdup(arena, id);
    }
    return 0;
}

int observed_from_json(struct arena *arena, json_t *json, struct observed *ret, struct error *err)
{
    struct observed value = OBSERVED_INIT;
    const json_t *containers = json_object_get(json, "containers");
    const json_t *networks = json_object_get(json, "networks");

    value.n_containers = json_array_size(containers);
    value.containers = arena_new_array(arena, struct observed_container, value.n_containers);
    for (size_t i = 0; i < value.n_containers; i++) {
        if (container_from_json(arena, json_array_get(containers, i), &value.containers[i], err) <
            0)
            return error_wrap(err, "container %zu", i);
    }

    value.n_networks = json_array_size(networks);
    value.networks = arena_new_array(arena, struct observed_network, value.n_networks);
    for (size_t i = 0; i < value.n_networks; i++) {
        if (network_from_json(arena, json_array_get(networks, i), &value.networks[i], err) < 0)
            return error_wrap(err, "network %zu", i);
    }

    value.volumes = json_strings(arena, json, "volumes");
    if (images_from_json(arena, json_object_get(json, "images"), &value, err) < 0)
        return -1;

    value.holder = json_incref(json);
    *ret = value;
    return 0;
}
