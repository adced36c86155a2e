/* The host side of a container's mounts: volumes are made and filled, binds are taken as they are.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "engine/base/cleanup.h"
#include "engine/base/overlay.h"
#include "engine/image/image.h"
#include "engine/keeper/supervisor.h"
#include "engine/volume/volume.h"

/* ------------------------------------------------------------------ what the image has */

/* The image's files in one tree: the layer itself, or an overlay that is mounted nowhere. */
static int image_root_open(const struct keeper_place *place, const struct strings *layers,
                           int *ret_fd, struct error *err)
{
    int fds[OVERLAY_LAYERS_MAX];
    struct overlay overlay = {
        .layers = fds, .upper_fd = -1, .work_fd = -1, .attributes = MOUNT_ATTR_RDONLY};
    int r = 0;

    if (layers->n == 1)
        return layer_open(place->state_fd, layers->items[0], ret_fd, NULL, err);
    if (layers->n > OVERLAY_LAYERS_MAX)
        return error_set(err, ERROR_UNSUPPORTED, "more than %d layers", OVERLAY_LAYERS_MAX);
    for (size_t i = layers->n; r == 0 && i-- > 0;) { /* the top one first */
        r = layer_open(place->state_fd, layers->items[i], &fds[overlay.n_layers], NULL, err);
        overlay.n_layers += r == 0;
    }
    if (r == 0)
        r = overlay_mount(&overlay, ret_fd, err);
    for (size_t i = 0; i < overlay.n_layers; i++)
        (void)close(fds[i]); /* O_PATH or directories: nothing can be lost */
    return r;
}

/* ------------------------------------------------------------------ volumes */

static bool directory_is_empty(int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_dir DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return false;
    }
    return true;
}

/* What the image has at the target goes into an empty volume. */
static int fill(struct keeper *keeper, const struct container_record *record, const char *volume,
                const char *target, struct error *err)
{
    cleanup_fd int data_fd = -1, root_fd = -1;

    if (volume_open_data(keeper->place.state_fd, volume, &data_fd, err) < 0)
        return -1;
    if (!directory_is_empty(data_fd))
        return 0;
    if (image_root_open(&keeper->place, &record->resolved.layers, &root_fd, err) < 0 ||
        volume_fill(keeper->place.state_fd, volume, root_fd, target, err) < 0)
        return -1;
    return 0;
}

static const char *volume_data_path(const struct keeper *keeper, struct arena *arena,
                                    const char *volume)
{
    return arena_printf(arena, "%s/volumes/%s/data", keeper->place.state_root, volume);
}

static int open_named(struct keeper *keeper, struct arena *arena,
                      const struct container_record *record, const struct mount_spec *spec,
                      struct build_mount *ret, struct error *err)
{
    if (!spec->no_copy && fill(keeper, record, spec->source, spec->target, err) < 0)
        return error_wrap(err, "volume \"%s\"", spec->source);
    *ret = (struct build_mount){spec, volume_data_path(keeper, arena, spec->source)};
    return 0;
}

static int open_anonymous(struct keeper *keeper, struct arena *arena,
                          const struct container_record *record, const char *target, bool no_copy,
                          struct build_mount *ret, struct error *err)
{
    char *name = arena_alloc(arena, VOLUME_ANONYMOUS_NAME_SIZE);
    struct mount_spec *spec = arena_new(arena, struct mount_spec);
    struct volume volume = {.name = name,
                            .project = record->project,
                            .container = record->spec->name,
                            .target = target};

    *spec = (struct mount_spec){
        .kind = MOUNT_VOLUME, .source = name, .target = target, .mode = -1, .no_copy = no_copy};
    volume_anonymous_name(record->spec->name, target, name);
    if (volume_create(keeper->place.state_fd, &volume, err) < 0 ||
        (!no_copy && fill(keeper, record, name, target, err) < 0))
        return error_wrap(err, "anonymous volume for \"%s\"", target);
    *ret = (struct build_mount){spec, volume_data_path(keeper, arena, name)};
    return 0;
}

int volumes_open(struct keeper *keeper, struct arena *arena, const struct container_record *record,
                 struct build_mount **ret, size_t *ret_n, struct error *err)
{
    const struct container_spec *spec = record->spec;
    const struct strings *declared = &record->resolved.volumes;
    struct build_mount *mounts =
        arena_new_array(arena, struct build_mount, spec->n_mounts + declared->n);
    size_t n = 0;

    for (size_t i = 0; i < spec->n_mounts; i++) {
        const struct mount_spec *mount = &spec->mounts[i];
        int result = 0;

        if (mount->kind == MOUNT_VOLUME && mount->source)
            result = open_named(keeper, arena, record, mount, &mounts[n], err);
        else if (mount->kind == MOUNT_VOLUME)
            result = open_anonymous(keeper, arena, record, mount->target, mount->no_copy,
                                    &mounts[n], err);
        else
            mounts[n] = (struct build_mount){mount, mount->source};
        if (result < 0)
            return -1;
        if (mount->kind == MOUNT_VOLUME && !mount->source) {
            struct mount_spec *own = arena_memdup(arena, mounts[n].spec, sizeof(*own));

            own->read_only = mount->read_only;
            mounts[n].spec = own;
        }
        n++;
    }
    for (size_t i = 0; i < declared->n; i++, n++) {
        if (open_anonymous(keeper, arena, record, declared->items[i], false, &mounts[n], err) < 0)
            return -1;
    }
    *ret = mounts;
    *ret_n = n;
    return 0;
}
