/* Layers are given by descriptor (6.13), else one by one as text (6.5), else as one list, which
 * fsconfig cuts off at 255 bytes. */

#include "engine/container/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/str.h"

enum { LAYERS_MAX = 500 /* OVL_MAX_STACK */, FD_PATH_SIZE = 32, LIST_MAX = 255 };

struct stack {
    int layers[LAYERS_MAX]; /* top first, as overlay counts */
    size_t n;
    int upper, work;
};

#define cleanup_stack __attribute__((cleanup(stack_close)))

static void stack_close(const struct stack *stack)
{
    for (size_t i = 0; i < stack->n; i++)
        cleanup_close_fd(&stack->layers[i]);
    cleanup_close_fd(&stack->upper);
    cleanup_close_fd(&stack->work);
}

static int open_own(int dir_fd, const char *name, mode_t mode, int *ret_fd, struct error *err)
{
    if (mkdirat(dir_fd, name, mode) < 0 && errno != EEXIST)
        return error_sys(err, errno, "make directory \"%s\" of the container", name);
    *ret_fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*ret_fd < 0)
        return error_sys(err, errno, "open directory \"%s\" of the container", name);
    return 0;
}

static int stack_open(struct stack *stack, const struct strings *layers, int dir_fd,
                      struct error *err)
{
    if (layers->n == 0)
        return error_set(err, ERROR_INVALID, "the image has no layers");
    if (layers->n > LAYERS_MAX)
        return error_set(err, ERROR_UNSUPPORTED, "the image has %zu layers; %d fit", layers->n,
                         LAYERS_MAX);
    for (size_t i = layers->n; i-- > 0;) {
        int fd = open(layers->items[i], O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
            return error_sys(err, errno, "open layer \"%s\"", layers->items[i]);
        stack->layers[stack->n++] = fd;
    }
    if (open_own(dir_fd, "upper", 0755, &stack->upper, err) < 0)
        return -1;
    return open_own(dir_fd, "work", 0700, &stack->work, err);
}

static void print_fd_path(char ret[static FD_PATH_SIZE], int fd)
{
    (void)snprintf(ret, FD_PATH_SIZE, "/proc/self/fd/%d", fd);
}

static int set_path(int fs_fd, const char *key, int fd)
{
    char path[FD_PATH_SIZE];

    print_fd_path(path, fd);
    return fsconfig(fs_fd, FSCONFIG_SET_STRING, key, path, 0);
}

static int by_descriptor(int fs_fd, const struct stack *stack)
{
    for (size_t i = 0; i < stack->n; i++) {
        if (fsconfig(fs_fd, FSCONFIG_SET_FD, "lowerdir+", NULL, stack->layers[i]) < 0)
            return -1;
    }
    if (fsconfig(fs_fd, FSCONFIG_SET_FD, "upperdir", NULL, stack->upper) < 0)
        return -1;
    return fsconfig(fs_fd, FSCONFIG_SET_FD, "workdir", NULL, stack->work);
}

static int by_text(int fs_fd, const struct stack *stack)
{
    for (size_t i = 0; i < stack->n; i++) {
        if (set_path(fs_fd, "lowerdir+", stack->layers[i]) < 0)
            return -1;
    }
    if (set_path(fs_fd, "upperdir", stack->upper) < 0)
        return -1;
    return set_path(fs_fd, "workdir", stack->work);
}

static int by_list(int fs_fd, const struct stack *stack)
{
    cleanup_buf struct buf list = BUF_INIT;

    buf_init(&list, LIST_MAX);
    for (size_t i = 0; i < stack->n; i++)
        buf_printf(&list, "%s/proc/self/fd/%d", i > 0 ? ":" : "", stack->layers[i]);
    if (list.truncated) {
        errno = E2BIG;
        return -1;
    }
    if (fsconfig(fs_fd, FSCONFIG_SET_STRING, "lowerdir", buf_text(&list), 0) < 0 ||
        set_path(fs_fd, "upperdir", stack->upper) < 0)
        return -1;
    return set_path(fs_fd, "workdir", stack->work);
}

/* -1 with errno. EINVAL from `fill` means that this kernel doesn't know the form. */
static int try_form(int (*fill)(int fs_fd, const struct stack *stack), const struct stack *stack,
                    bool *ret_is_unknown)
{
    cleanup_fd int fs_fd = fsopen("overlay", FSOPEN_CLOEXEC);

    *ret_is_unknown = false;
    if (fs_fd < 0)
        return -1;
    if (fill(fs_fd, stack) < 0) {
        *ret_is_unknown = errno == EINVAL;
        return -1;
    }
    if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -1;
    return fsmount(fs_fd, FSMOUNT_CLOEXEC, 0);
}

int overlay_open(const struct strings *layers, int dir_fd, int *ret_fd, struct error *err)
{
    static int (*const forms[])(int, const struct stack *) = {by_descriptor, by_text, by_list};
    cleanup_stack struct stack stack = {.upper = -1, .work = -1};
    bool is_unknown = true;
    int fd = -1;

    if (stack_open(&stack, layers, dir_fd, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms) && fd < 0 && is_unknown; i++)
        fd = try_form(forms[i], &stack, &is_unknown);
    if (fd < 0)
        return error_sys(err, errno, "mount overlay of %zu layers", layers->n);
    *ret_fd = fd;
    return 0;
}
