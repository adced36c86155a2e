/* Opens what engine/base/overlay.h mounts. */

#include "engine/container/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/overlay.h"
#include "engine/base/str.h"

struct stack {
    int layers[OVERLAY_LAYERS_MAX]; /* top first, as overlay counts */
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
    if (layers->n > OVERLAY_LAYERS_MAX)
        return error_set(err, ERROR_UNSUPPORTED, "the image has %zu layers; %d fit", layers->n,
                         OVERLAY_LAYERS_MAX);
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

int overlay_open(const struct strings *layers, int dir_fd, int *ret_fd, struct error *err)
{
    cleanup_stack struct stack stack = {.upper = -1, .work = -1};
    struct overlay overlay = {.layers = stack.layers};

    if (stack_open(&stack, layers, dir_fd, err) < 0)
        return -1;
    overlay.n_layers = stack.n;
    overlay.upper_fd = stack.upper;
    overlay.work_fd = stack.work;
    return overlay_mount(&overlay, ret_fd, err);
}
