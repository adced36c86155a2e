/* The desired value as JSON, and where its fields were written. */

#include "reconcile/desired.h"

#include <assert.h>
#include <string.h>

#include "engine/base/json.h"

const char *const dependency_condition_names[] = {
    [DEPENDS_STARTED] = "service_started",
    [DEPENDS_HEALTHY] = "service_healthy",
    [DEPENDS_COMPLETED] = "service_completed_successfully",
};
static_assert(sizeof(dependency_condition_names) / sizeof(*dependency_condition_names) ==
                  DEPENDS_COMPLETED + 1,
              "one name per condition");

static json_t *dependencies_to_json(const struct desired_container *container)
{
    json_t *list = json_array();

    for (size_t i = 0; i < container->n_dependencies; i++) {
        const struct desired_dependency *dependency = &container->dependencies[i];
        json_t *item = json_object();

        json_set_text(item, "service", dependency->service);
        json_set_text(item, "condition", dependency_condition_names[dependency->condition]);
        if (dependency->restart)
            json_set_bool(item, "restart", true);
        if (!dependency->required)
            json_set_bool(item, "required", false);
        json_array_append_new(list, item);
    }
    return list;
}

static json_t *containers_to_json(const struct desired *desired)
{
    json_t *list = json_array();

    for (size_t i = 0; i < desired->n_containers; i++) {
        const struct desired_container *container = &desired->containers[i];
        json_t *item = json_object();

        json_set_text(item, "service", container->service);
        json_set_i64(item, "number", container->number);
        json_set_take(item, "spec", container_spec_to_json(&container->spec));
        if (container->n_dependencies > 0)
            json_set_take(item, "depends_on", dependencies_to_json(container));
        json_array_append_new(list, item);
    }
    return list;
}

static json_t *resources_to_json(const struct desired *desired, const char *key)
{
    json_t *list = json_array();
    bool is_network = text_equal(key, "networks");
    size_t n = is_network ? desired->n_networks : desired->n_volumes;

    for (size_t i = 0; i < n; i++) {
        bool is_external =
            is_network ? desired->networks[i].is_external : desired->volumes[i].is_external;
        json_t *item = is_network ? network_spec_to_json(&desired->networks[i].spec)
                                  : volume_spec_to_json(&desired->volumes[i].spec);

        if (is_external)
            json_set_bool(item, "external", true);
        json_array_append_new(list, item);
    }
    return list;
}

json_t *desired_to_json(const struct desired *desired)
{
    json_t *root = json_object();
    json_t *images = json_array();

    json_set_i64(root, "format", 1);
    json_set_text(root, "project", desired->project);
    json_set_strings(root, "services", &desired->services);
    for (size_t i = 0; i < desired->n_images; i++) {
        json_t *item = json_object();

        json_set_text(item, "reference", desired->images[i].reference);
        if (desired->images[i].build)
            json_set_text(item, "build", desired->images[i].build->context);
        json_array_append_new(images, item);
    }
    json_set_take(root, "images", images);
    json_set_take(root, "networks", resources_to_json(desired, "networks"));
    json_set_take(root, "volumes", resources_to_json(desired, "volumes"));
    json_set_take(root, "containers", containers_to_json(desired));
    return root;
}

/* Longest origin that is `field` or encloses it: "environment" encloses "environment.FOO". */
struct span field_origins_find(const struct field_origins *origins, const char *field,
                               struct span fallback)
{
    struct span best = fallback;
    size_t best_len = 0;

    for (size_t i = 0; i < origins->n; i++) {
        const char *candidate = origins->items[i].field;
        size_t len = strlen(candidate);

        if (len <= best_len || strncmp(candidate, field, len) != 0)
            continue;
        if (field[len] != '\0' && field[len] != '.' && field[len] != '[')
            continue;
        best = origins->items[i].span;
        best_len = len;
    }
    return best;
}
