/* The host side of a container's mounts: volumes are made and filled, binds are taken as they are.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/image/image.h"
#include "engine/keeper/supervisor.h"
#include "engine/volume/volume.h"

/* overlayfs takes at most 500 lower layers (OVL_MAX_STACK); names are given one by one. */
enum { LAYERS_MAX = 500 };

/* ------------------------------------------------------------------ what the image has */

static const char *layer_absolute(struct arena *arena, const struct keeper_place *place,
                                  const char *diff_id)
{
    return arena_printf(arena, "%s/%s", place->state_root, layer_path(arena, diff_id));
}

/* The image's files in one tree: the layer itself, or an overlay that is mounted nowhere. */
static int image_root_open(const struct keeper_place *place, struct arena *arena,
                           const struct strings *layers, int *ret_fd, struct error *err)
{
    cleanup_fd int fs = -1;
    struct buf lower = BUF_INIT;
    int mount;

    if (layers->n == 1)
        return layer_open(place->state_fd, layers->items[0], ret_fd, NULL, err);
    if (layers->n > LAYERS_MAX)
        return error_set(err, ERROR_UNSUPPORTED, "more than %d layers", LAYERS_MAX);
    fs = fsopen("overlay", FSOPEN_CLOEXEC);
    if (fs < 0)
        return error_sys(err, errno, "open an overlay of the image");
    for (size_t i = layers->n; i > 0; i--) {
        const char *path = layer_absolute(arena, place, layers->items[i - 1]);

        if (fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir+", path, 0) < 0)
            break; /* before Linux 6.8: the list below */
        if (i == 1)
            goto create;
    }
    for (size_t i = layers->n; i > 0; i--)
        buf_printf(&lower, "%s%s", layer_absolute(arena, place, layers->items[i - 1]),
                   i > 1 ? ":" : "");
    if (fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir", buf_text(&lower), 0) < 0) {
        int errnum = errno;

        buf_release(&lower);
        return error_sys(err, errnum, "name the layers of the image");
    }
create:
    buf_release(&lower);
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return error_sys(err, errno, "make an overlay of the image");
    mount = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
    if (mount < 0)
        return error_sys(err, errno, "mount an overlay of the image");
    *ret_fd = mount;
    return 0;
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
static int fill(struct keeper *keeper, struct arena *arena, const struct container_record *record,
                const char *volume, const char *target, struct error *err)
{
    cleanup_fd int data_fd = -1, root_fd = -1;

    if (volume_open_data(keeper->place.state_fd, volume, &data_fd, err) < 0)
        return -1;
    if (!directory_is_empty(data_fd))
        return 0;
    if (image_root_open(&keeper->place, arena, &record->resolved.layers, &root_fd, err) < 0 ||
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
    if (!spec->no_copy && fill(keeper, arena, record, spec->source, spec->target, err) < 0)
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
        (!no_copy && fill(keeper, arena, record, name, target, err) < 0))
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
