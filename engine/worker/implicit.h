#pragma once

/* Directories a layer has no entry for, though it has files in them.
 *
 * Unpacked alone they would be root's, 0755, and through an overlay the upper layer's directory
 * wins: a layer with just "tmp/x" would close /tmp. They take the attributes of the nearest lower
 * layer that has the directory (reference/images-build.md 2.4). A layer that is shared by images
 * with different bases keeps what it got with the first. */

#include <stddef.h>

#include "engine/base/str.h"

struct error;

/* @lower_fds  trees of the layers below, bottom first; -1 = there is none */
int implicit_adopt(int tree_fd, const struct strings *paths, const int *lower_fds, size_t n_lower,
                   struct error *err);
