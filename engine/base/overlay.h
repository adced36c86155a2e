#pragma once

/* Overlays as detached mounts, of layers that are given as descriptors.
 *
 * Theory
 *
 * How layers can be told to the kernel depends on its age: one by one as descriptors (6.13), one by
 * one as text (6.8), or as one list, of which fsconfig(2) takes at most 255 bytes. In the list the
 * layers are bare descriptor numbers, relative to /proc/self/fd, which is the working directory
 * while the mount is made: 85 layers with numbers below 100, 63 with those below 1000.
 *
 * Up to Linux 6.4 overlay keeps everything that fsconfig gives it and looks at it when the mount is
 * made; so those kernels are recognised by their taking an option that nobody has. */

#include <stdbool.h>
#include <stddef.h>

struct error;

enum { OVERLAY_LAYERS_MAX = 500 /* OVL_MAX_STACK of the kernel */ };

struct overlay {
    const int *layers; /* directories, the top one first */
    size_t n_layers;
    int upper_fd;     /* -1 = nothing can be written */
    int work_fd;      /* empty, on the file system of upper_fd; -1 with it */
    bool is_plain;    /* no layer refers to another: index, metacopy and redirect_dir are off */
    bool is_volatile; /* nothing is synced; a machine crash makes the upper directory worthless */
    unsigned int attributes; /* MOUNT_ATTR_… */
};

/* Mount it nowhere. The descriptors may be closed afterwards, and may be O_PATH. The caller owns
 * *ret_fd. Changes the working directory of the process for a moment: for processes with one
 * thread. Fails with ERROR_UNSUPPORTED when this kernel can't be told of so many layers. */
int overlay_mount(const struct overlay *overlay, int *ret_fd, struct error *err);
