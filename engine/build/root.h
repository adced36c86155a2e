#pragma once

/* The root filesystem of a stage as a detached mount: seen by us alone, gone with its descriptor.
 */

#include <stddef.h>

#include "engine/base/str.h"

struct error;

/* Layers (diff ids, bottom first) and, unless upper_fd is -1, an upper directory with its work
 * directory. Without upper it is for reading. The result is a directory to resolve paths in; with
 * no layer it is the upper directory itself, or an empty one. */
int stage_root_open(int state_fd, const struct strings *layers, int upper_fd, int work_fd,
                    int *ret_fd, struct error *err);
