/* A project without its files: what `down -p NAME` needs, from the labels of what exists. */

#include <stdlib.h>
#include <string.h>

#include "compose/command/command.h"
#include "engine/base/error.h"
#include "engine/base/units.h"

static const char *label_or(const struct container_spec *spec, const char *name,
                            const char *fallback)
{
    const char *value = pairs_find(&spec->labels, name);

    return value ? value : fallback;
}

/* "db:service_healthy:false,cache:service_started:true" */
static void recall_dependencies(struct arena *arena, struct desired_container *container)
{
    struct str rest = str_from(label_or(&container->spec, "com.docker.compose.depends_on", ""));
    struct desired_dependency *list = arena_new_array(arena, struct desired_dependency, rest.len);
    size_t n = 0;

    while (rest.len > 0) {
        struct str item = rest, service, conditions;

        if (!str_cut(rest, ',', &item, &rest))
            rest.len = 0;
        if (str_cut(item, ':', &service, &conditions))
            list[n++] = (struct desired_dependency){
                .service = arena_strndup(arena, service.data, service.len)};
    }
    container->dependencies = list;
    container->n_dependencies = n;
}

static int recall_containers(struct engine *engine, struct arena *arena, struct desired *desired,
                             struct error *err)
{
    struct container_info *infos;
    struct desired_container *containers;
    size_t n;

    if (engine_containers_list(engine, arena, desired->project, &infos, &n, err) < 0)
        return -1;
    containers = arena_new_array(arena, struct desired_container, n);
    desired->services.items = arena_new_array(arena, const char *, n);
    for (size_t i = 0; i < n; i++) {
        containers[i] = (struct desired_container){
            .spec = *infos[i].spec,
            .service = label_or(infos[i].spec, "com.docker.compose.service", infos[i].name),
            .number = 1,
        };
        recall_dependencies(arena, &containers[i]);
        desired->services.items[desired->services.n++] = containers[i].service;
    }
    desired->containers = containers;
    desired->n_containers = n;
    return 0;
}

static int recall_networks(struct engine *engine, struct arena *arena, struct desired *desired,
                           struct error *err)
{
    struct network_info *infos;
    struct desired_network *networks;
    size_t n;

    if (engine_networks_list(engine, arena, &infos, &n, err) < 0)
        return -1;
    networks = arena_new_array(arena, struct desired_network, n);
    for (size_t i = 0; i < n; i++) {
        if (text_equal(infos[i].spec->project, desired->project))
            networks[desired->n_networks++] = (struct desired_network){.spec = *infos[i].spec};
    }
    desired->networks = networks;
    return 0;
}

static int recall_volumes(struct engine *engine, struct arena *arena, struct desired *desired,
                          struct error *err)
{
    struct volume_info *infos;
    struct desired_volume *volumes;
    size_t n;

    if (engine_volumes_list(engine, arena, &infos, &n, err) < 0)
        return -1;
    volumes = arena_new_array(arena, struct desired_volume, n);
    for (size_t i = 0; i < n; i++) {
        if (text_equal(infos[i].spec->project, desired->project))
            volumes[desired->n_volumes++] = (struct desired_volume){.spec = *infos[i].spec};
    }
    desired->volumes = volumes;
    return 0;
}

static int recall(struct cli_context *context, const char *project, const struct desired **ret,
                  struct error *err)
{
    struct arena *arena = &command_app(context)->arena;
    struct desired *desired = arena_new(arena, struct desired);
    struct engine *engine;
    int result = -1;

    if (command_engine(context, &engine, err) < 0)
        return -1;
    desired->project = project;
    if (recall_containers(engine, arena, desired, err) == 0 &&
        recall_networks(engine, arena, desired, err) == 0 &&
        recall_volumes(engine, arena, desired, err) == 0)
        result = 0;
    engine_close(engine);
    *ret = desired;
    return result;
}

int command_load_or_recall(struct cli_context *context, const struct strings *services,
                           struct loaded *ret, struct error *err)
{
    const struct global_options *globals = command_globals(context);
    const char *name = globals->project_name;
    struct error absent = ERROR_INIT;

    if (!name)
        name = pairs_find(&command_app(context)->environment, "COMPOSE_PROJECT_NAME");
    ret->project = NULL;
    if (command_load(context, services, PROJECT_ALL_RESOURCES, ret, &absent) == 0)
        return 0;
    if (absent.code == ERROR_NOT_FOUND && name && name[0] != '\0' && globals->files.n == 0 &&
        services->n == 0)
        return recall(context, name, &ret->desired, err);
    if (err)
        *err = absent;
    return -1;
}
