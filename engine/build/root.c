/* Stages as detached mounts: layers of the store, opened for engine/base/overlay.h. */

#include "engine/build/root.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>

#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/overlay.h"
#include "engine/base/vec.h"
#include "engine/image/image.h"

struct fd_list {
    VEC(int) fds;
};

static void fd_list_release(struct fd_list *list)
{
    for (size_t i = 0; i < list->fds.n; i++)
        (void)close(list->fds.items[i]);
    vec_release(&list->fds);
}

static int mount_overlay(const struct fd_list *lowers, int upper_fd, int work_fd, int *ret_fd,
                         struct error *err)
{
    /* Layers are plain trees: nothing in them may refer to another layer. */
    struct overlay overlay = {.layers = lowers->fds.items,
                              .n_layers = lowers->fds.n,
                              .upper_fd = upper_fd,
                              .work_fd = work_fd,
                              .is_plain = true,
                              .is_volatile = true,
                              .attributes = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID};

    return overlay_mount(&overlay, ret_fd, err);
}

static int mount_nothing(int *ret_fd, struct error *err)
{
    cleanup_fd int fs_fd = fsopen("tmpfs", FSOPEN_CLOEXEC);

    if (fs_fd < 0 || fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return error_sys(err, errno, "make an empty file system");
    int fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
    if (fd < 0)
        return error_sys(err, errno, "mount an empty file system");
    *ret_fd = fd;
    return 0;
}

int stage_root_open(int state_fd, const struct strings *layers, int upper_fd, int work_fd,
                    int *ret_fd, struct error *err)
{
    struct fd_list lowers = {VEC_INIT};
    int r = 0;

    if (layers->n > OVERLAY_LAYERS_MAX)
        return error_set(err, ERROR_INVALID, "more than %d layers", OVERLAY_LAYERS_MAX);
    for (size_t i = layers->n; r == 0 && i-- > 0;) { /* the top one first */
        int fd = -1;
        r = layer_open(state_fd, layers->items[i], &fd, NULL, err);
        if (r == 0)
            vec_push(&lowers.fds, fd);
    }
    if (r == 0 && layers->n == 0 && upper_fd < 0) {
        r = mount_nothing(ret_fd, err);
    } else if (r == 0 && (layers->n == 0 || (layers->n == 1 && upper_fd < 0))) {
        int fd = openat(layers->n == 0 ? upper_fd : lowers.fds.items[0], ".",
                        O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            r = error_sys(err, errno, "open a layer");
        else
            *ret_fd = fd;
    } else if (r == 0) {
        r = mount_overlay(&lowers, upper_fd, work_fd, ret_fd, err);
    }
    fd_list_release(&lowers);
    return r;
}
