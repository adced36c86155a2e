/* Mounts of a service: what its volumes, tmpfs, secrets and configs mean. */

#include "compose/lower_mounts.h"

#include "compose/file/project.h"
#include "engine/base/arena.h"
#include "engine/base/str.h"
#include "reconcile/desired.h"

/* NULL stays NULL: the engine names anonymous volumes after container and target. */
static const char *volume_name(const struct project *project, const struct service_mount *mount)
{
    const struct volume *volume;

    if (!mount->source)
        return NULL;
    volume = project_find_volume(project, mount->source);
    return volume ? volume->name : mount->source;
}

static struct mount_spec lower_mount(const struct project *project,
                                     const struct service_mount *mount)
{
    static const enum mount_kind kinds[] = {
        [SERVICE_MOUNT_BIND] = MOUNT_BIND,
        [SERVICE_MOUNT_VOLUME] = MOUNT_VOLUME,
        [SERVICE_MOUNT_TMPFS] = MOUNT_TMPFS,
    };
    struct mount_spec spec = {
        .kind = kinds[mount->type],
        .source = mount->source,
        .target = mount->target,
        .read_only = mount->read_only,
        .create_source = mount->create_host_path,
        .no_copy = mount->nocopy,
        .propagation = mount->type == SERVICE_MOUNT_BIND ? mount->propagation : NULL,
        .size_bytes = mount->tmpfs_size > 0 ? (uint64_t)mount->tmpfs_size : 0,
        .mode = (int)mount->tmpfs_mode,
    };

    if (mount->type == SERVICE_MOUNT_VOLUME)
        spec.source = volume_name(project, mount);
    return spec;
}

static void add_file(struct container_spec *spec, const struct file_object *object,
                     const char *target)
{
    /* those of elsewhere are refused before anything is made */
    if (object && object->file)
        spec->mounts[spec->n_mounts++] = (struct mount_spec){
            .kind = MOUNT_BIND,
            .source = object->file,
            .target = target,
            .read_only = true,
            .mode = -1,
        };
}

static void lower_files(struct arena *arena, const struct project *project,
                        const struct service *service, struct container_spec *spec)
{
    for (size_t i = 0; i < service->n_secrets; i++)
        add_file(spec, project_find_secret(project, service->secrets[i].source),
                 service_secret_path(arena, &service->secrets[i]));
    for (size_t i = 0; i < service->n_configs; i++)
        add_file(spec, project_find_config(project, service->configs[i].source),
                 service_config_path(arena, &service->configs[i]));
}

void lower_mounts(struct arena *arena, const struct project *project, const struct service *service,
                  struct container_spec *spec)
{
    spec->mounts = arena_new_array(arena, struct mount_spec,
                                   service->n_volumes + service->tmpfs.n + service->n_secrets +
                                       service->n_configs);
    for (size_t i = 0; i < service->n_volumes; i++) {
        /* the others are refused before anything is made, or warned about */
        if (service->volumes[i].type <= SERVICE_MOUNT_TMPFS)
            spec->mounts[spec->n_mounts++] = lower_mount(project, &service->volumes[i]);
    }
    for (size_t i = 0; i < service->tmpfs.n; i++) {
        struct str target, options;
        bool has_options = str_cut(str_from(service->tmpfs.items[i]), ':', &target, &options);

        spec->mounts[spec->n_mounts++] = (struct mount_spec){
            .kind = MOUNT_TMPFS,
            .target = arena_strndup(arena, target.data, target.len),
            .options = has_options ? arena_strndup(arena, options.data, options.len) : NULL,
            .mode = -1,
        };
    }
    lower_files(arena, project, service, spec);
}
