/* Stages as detached mounts.
 *
 * Layers are named by /proc/self/fd/N, so no path of the store has to be short or free of ':'. Each
 * goes into one lowerdir+ (Linux 6.8); older kernels take one string of at most 255 bytes through
 * fsconfig(2), which is enough for 14 layers. */

#include "engine/build/root.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/vec.h"
#include "engine/image/image.h"

enum { ROOT_LAYERS_MAX = 500, FSCONFIG_VALUE_MAX = 255, FD_PATH_SIZE = 32 };

struct fd_list {
    VEC(int) fds;
};

static void fd_list_release(struct fd_list *list)
{
    for (size_t i = 0; i < list->fds.n; i++)
        (void)close(list->fds.items[i]);
    vec_release(&list->fds);
}

static int set_fd_path(int fs_fd, const char *key, int fd)
{
    char path[FD_PATH_SIZE];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* fits */
    return fsconfig(fs_fd, FSCONFIG_SET_STRING, key, path, 0);
}

static int set_lowers_as_one(int fs_fd, const struct fd_list *lowers, struct error *err)
{
    cleanup_buf struct buf value = BUF_INIT;

    for (size_t i = lowers->fds.n; i-- > 0;)
        buf_printf(&value, "%s/proc/self/fd/%d", value.len > 0 ? ":" : "", lowers->fds.items[i]);
    if (value.len > FSCONFIG_VALUE_MAX)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%zu layers: this kernel takes fewer (Linux 6.8 takes 500)",
                         lowers->fds.n);
    if (fsconfig(fs_fd, FSCONFIG_SET_STRING, "lowerdir", buf_text(&value), 0) < 0)
        return error_sys(err, errno, "set the lower layers of an overlay");
    return 0;
}

static int set_lowers(int fs_fd, const struct fd_list *lowers, struct error *err)
{
    for (size_t i = lowers->fds.n; i-- > 0;) { /* the top one first */
        if (set_fd_path(fs_fd, "lowerdir+", lowers->fds.items[i]) == 0)
            continue;
        if (errno == EINVAL && i == lowers->fds.n - 1)
            return set_lowers_as_one(fs_fd, lowers, err);
        return error_sys(err, errno, "add a lower layer to an overlay");
    }
    return 0;
}

static int mount_overlay(const struct fd_list *lowers, int upper_fd, int work_fd, int *ret_fd,
                         struct error *err)
{
    cleanup_fd int fs_fd = fsopen("overlay", FSOPEN_CLOEXEC);

    if (fs_fd < 0)
        return error_sys(err, errno, "open an overlay");
    if (set_lowers(fs_fd, lowers, err) < 0)
        return -1;
    /* Layers are plain trees: nothing in them may refer to another layer. */
    if (fsconfig(fs_fd, FSCONFIG_SET_STRING, "index", "off", 0) < 0 ||
        fsconfig(fs_fd, FSCONFIG_SET_STRING, "metacopy", "off", 0) < 0 ||
        fsconfig(fs_fd, FSCONFIG_SET_STRING, "redirect_dir", "off", 0) < 0)
        return error_sys(err, errno, "set the options of an overlay");
    if (upper_fd >= 0 && (set_fd_path(fs_fd, "upperdir", upper_fd) < 0 ||
                          set_fd_path(fs_fd, "workdir", work_fd) < 0 ||
                          fsconfig(fs_fd, FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0))
        return error_sys(err, errno, "set the upper directory of an overlay");
    if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return error_sys(err, errno, "make an overlay of %zu layers", lowers->fds.n);

    int fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
    if (fd < 0)
        return error_sys(err, errno, "mount an overlay");
    *ret_fd = fd;
    return 0;
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

    if (layers->n > ROOT_LAYERS_MAX)
        return error_set(err, ERROR_INVALID, "more than %d layers", ROOT_LAYERS_MAX);
    for (size_t i = 0; r == 0 && i < layers->n; i++) {
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
