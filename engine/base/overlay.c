/* See overlay.h for the theory. */

#include "engine/base/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"

enum { FD_PATH_SIZE = 32, FSCONFIG_VALUE_MAX = 255 };

static int set_text(int fs_fd, const char *key, const char *value)
{
    return fsconfig(fs_fd, FSCONFIG_SET_STRING, key, value, 0);
}

static int set_path(int fs_fd, const char *key, int fd)
{
    char path[FD_PATH_SIZE];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* fits */
    return set_text(fs_fd, key, path);
}

/* The forms: each gives the layers to the kernel, or returns -1 with errno. */

static int layers_by_descriptor(int fs_fd, const struct overlay *overlay)
{
    for (size_t i = 0; i < overlay->n_layers; i++) {
        if (fsconfig(fs_fd, FSCONFIG_SET_FD, "lowerdir+", NULL, overlay->layers[i]) < 0)
            return -1;
    }
    return 0;
}

static int layers_by_path(int fs_fd, const struct overlay *overlay)
{
    for (size_t i = 0; i < overlay->n_layers; i++) {
        if (set_path(fs_fd, "lowerdir+", overlay->layers[i]) < 0)
            return -1;
    }
    return 0;
}

static int layers_by_list(int fs_fd, const struct overlay *overlay)
{
    cleanup_buf struct buf list = BUF_INIT;

    buf_init(&list, FSCONFIG_VALUE_MAX);
    for (size_t i = 0; i < overlay->n_layers; i++)
        buf_printf(&list, "%s%d", i > 0 ? ":" : "", overlay->layers[i]);
    if (list.truncated) {
        errno = E2BIG;
        return -1;
    }
    return set_text(fs_fd, "lowerdir", buf_text(&list));
}

static int set_options(int fs_fd, const struct overlay *overlay)
{
    static const char *const plain[] = {"index", "metacopy", "redirect_dir"};

    for (size_t i = 0; overlay->is_plain && i < sizeof(plain) / sizeof(*plain); i++) {
        if (set_text(fs_fd, plain[i], "off") < 0)
            return -1;
    }
    if (overlay->upper_fd < 0)
        return 0;
    if (set_path(fs_fd, "upperdir", overlay->upper_fd) < 0 ||
        set_path(fs_fd, "workdir", overlay->work_fd) < 0)
        return -1;
    return overlay->is_volatile ? fsconfig(fs_fd, FSCONFIG_SET_FLAG, "volatile", NULL, 0) : 0;
}

/* What kernels say that don't know a form: EINVAL to names and types, EBADF to O_PATH
 * (before 6.13), EOPNOTSUPP to descriptors (before 6.5). */
static bool means_unknown(int errnum)
{
    return errnum == EINVAL || errnum == EBADF || errnum == EOPNOTSUPP;
}

/* The mount, or -1 with errno; *ret_try_next says that another form may do. */
static int try_form(int (*give_layers)(int fs_fd, const struct overlay *overlay),
                    const struct overlay *overlay, bool *ret_try_next)
{
    cleanup_fd int fs_fd = fsopen("overlay", FSOPEN_CLOEXEC);

    *ret_try_next = false;
    if (fs_fd < 0)
        return -1;
    if (give_layers(fs_fd, overlay) < 0) {
        *ret_try_next = means_unknown(errno);
        return -1;
    }
    if (set_options(fs_fd, overlay) < 0 || fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -1;
    return fsmount(fs_fd, FSMOUNT_CLOEXEC, overlay->attributes);
}

/* Does overlay look at options only when it mounts (Linux 6.4 and older)? */
static bool takes_anything(void)
{
    cleanup_fd int fs_fd = fsopen("overlay", FSOPEN_CLOEXEC);

    return fs_fd >= 0 && set_text(fs_fd, "berth-nobody-has-this", "1") == 0;
}

/* With /proc/self/fd as the working directory. */
static int mount_by_list(const struct overlay *overlay, struct error *err)
{
    cleanup_fd int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool try_next;
    int fd, errnum;

    if (here < 0 || chdir("/proc/self/fd") < 0)
        return error_sys(err, errno, "enter /proc/self/fd");
    fd = try_form(layers_by_list, overlay, &try_next);
    errnum = errno;
    if (fchdir(here) < 0) {
        error_sys(err, errno, "return from /proc/self/fd");
        cleanup_close_fd(&fd);
        return -1;
    }
    if (fd < 0 && errnum == E2BIG)
        return error_set(err, ERROR_UNSUPPORTED,
                         "an overlay of %zu layers: this kernel takes about 60 (Linux 6.8: %d)",
                         overlay->n_layers, OVERLAY_LAYERS_MAX);
    if (fd < 0)
        return error_sys(err, errnum, "mount an overlay of %zu layers", overlay->n_layers);
    return fd;
}

int overlay_mount(const struct overlay *overlay, int *ret_fd, struct error *err)
{
    bool try_next = true;
    int fd = -1;

    if (overlay->n_layers > OVERLAY_LAYERS_MAX)
        return error_set(err, ERROR_UNSUPPORTED, "an overlay of %zu layers: %d fit",
                         overlay->n_layers, OVERLAY_LAYERS_MAX);
    fd = try_form(layers_by_descriptor, overlay, &try_next);
    if (fd < 0 && try_next && !takes_anything())
        fd = try_form(layers_by_path, overlay, &try_next);
    if (fd < 0 && !try_next)
        return error_sys(err, errno, "mount an overlay of %zu layers", overlay->n_layers);
    if (fd < 0 && (fd = mount_by_list(overlay, err)) < 0)
        return -1;
    *ret_fd = fd;
    return 0;
}
