/* Networks, volumes and images: engine.h's words for what the rooms do. */

#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/engine.h"
#include "engine/engine_internal.h"
#include "engine/image/image.h"
#include "engine/volume/volume.h"

/* ------------------------------------------------------------------ networks */

static struct network_definition definition_of(const struct network_spec *spec)
{
    return (struct network_definition){
        .name = spec->name,
        .project = spec->project,
        .subnet = spec->subnet,
        .gateway = spec->gateway,
        .is_internal = spec->internal,
        .labels = spec->labels,
    };
}

static const struct network_spec *spec_of(struct arena *arena,
                                          const struct network_definition *definition)
{
    struct network_spec *spec = arena_new(arena, struct network_spec);

    *spec = (struct network_spec){
        .name = definition->name,
        .project = definition->project,
        .internal = definition->is_internal,
        .subnet = definition->subnet,
        .gateway = definition->gateway,
        .labels = definition->labels,
    };
    return spec;
}

int engine_networks_list(struct engine *engine, struct arena *arena, struct network_info **ret,
                         size_t *ret_n, struct error *err)
{
    const struct network_dirs dirs = engine_network_dirs(engine);
    struct network_records records;
    struct network_info *infos;
    bool *up;

    if (network_list(arena, &dirs, &records, err) < 0)
        return -1;
    infos = arena_new_array(arena, struct network_info, records.n);
    up = arena_new_array(arena, bool, records.n);
    if (records.n > 0 && network_check_up(&dirs, &records, up, err) < 0)
        return -1;
    for (size_t i = 0; i < records.n; i++) {
        const struct network_record *record = records.items[i];
        struct network_endpoints endpoints;

        if (network_list_endpoints(arena, &dirs, record->spec.name, &endpoints, err) < 0)
            return -1;
        infos[i] = (struct network_info){
            .spec = spec_of(arena, &record->spec),
            .interface = record->bridge,
            .subnet = record->subnet,
            .gateway = record->gateway,
            .is_up = up[i],
            .n_endpoints = endpoints.n,
        };
    }
    *ret = infos;
    *ret_n = records.n;
    return 0;
}

int engine_network_create(struct engine *engine, const struct network_spec *spec, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const struct network_dirs dirs = engine_network_dirs(engine);
    const struct network_definition definition = definition_of(spec);
    const struct network_record *record;

    return network_create(&arena, &dirs, &definition, &record, err);
}

int engine_network_remove(struct engine *engine, const char *name, struct error *err)
{
    const struct network_dirs dirs = engine_network_dirs(engine);

    return network_remove(&dirs, name, err);
}

/* ------------------------------------------------------------------ volumes */

int engine_volumes_list(struct engine *engine, struct arena *arena, struct volume_info **ret,
                        size_t *ret_n, struct error *err)
{
    struct volume *volumes;
    struct volume_info *infos;
    size_t n;

    if (volume_list(engine->state_fd, engine->state_root, arena, &volumes, &n, err) < 0)
        return -1;
    infos = arena_new_array(arena, struct volume_info, n);
    for (size_t i = 0; i < n; i++) {
        struct volume_spec *spec = arena_new(arena, struct volume_spec);

        *spec = (struct volume_spec){
            .name = volumes[i].name, .project = volumes[i].project, .labels = volumes[i].labels};
        infos[i] = (struct volume_info){
            .spec = spec, .path = volumes[i].path, .created_ns = volumes[i].created_ns};
    }
    *ret = infos;
    *ret_n = n;
    return 0;
}

int engine_volume_create(struct engine *engine, const struct volume_spec *spec, struct error *err)
{
    const struct volume volume = {
        .name = spec->name, .project = spec->project, .labels = spec->labels};

    return volume_create(engine->state_fd, &volume, err) < 0 ? -1 : 0;
}

static bool uses_volume(const struct container_info *container, const char *volume)
{
    for (size_t i = 0; i < container->spec->n_mounts; i++) {
        const struct mount_spec *mount = &container->spec->mounts[i];

        if (mount->kind == MOUNT_VOLUME && mount->source && strcmp(mount->source, volume) == 0)
            return true;
    }
    return false;
}

int engine_volume_remove(struct engine *engine, const char *name, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf users = BUF_INIT;
    struct container_info *containers;
    size_t n;

    if (engine_containers_list(engine, &arena, NULL, &containers, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (uses_volume(&containers[i], name))
            buf_printf(&users, "%s\"%s\"", users.len ? ", " : "", containers[i].name);
    }
    if (users.len)
        return error_set(err, ERROR_CONFLICT, "volume \"%s\" is in use by %s", name,
                         buf_text(&users));
    return volume_remove(engine->state_fd, name, err) < 0 ? -1 : 0;
}

/* ------------------------------------------------------------------ images */

int engine_images_list(struct engine *engine, struct arena *arena, struct image_info **ret,
                       size_t *ret_n, struct error *err)
{
    return image_list(engine->state_fd, arena, ret, ret_n, err);
}

int engine_image_find(struct engine *engine, struct arena *arena, const char *reference,
                      struct image_info *ret, struct error *err)
{
    return image_find(engine->state_fd, arena, reference, ret, err);
}

int engine_image_pin(struct engine *engine, struct arena *arena, const char *reference,
                     const char **ret, struct error *err)
{
    return image_pin(engine->state_fd, arena, reference, ret, err);
}

int engine_image_remove(struct engine *engine, const char *reference, bool force, struct error *err)
{
    return image_remove(engine->state_fd, reference, force, err);
}
