#pragma once

/* The container's root file system: image layers below, its own directory on top. */

struct error;
struct strings;

/* A detached overlay mount of `layers` (absolute paths, bottom first) with dir_fd/upper above and
 * dir_fd/work beside (both made when missing). */
int overlay_open(const struct strings *layers, int dir_fd, int *ret_fd, struct error *err);
