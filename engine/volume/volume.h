#pragma once

/* Named volumes.
 *
 *   state/volumes/NAME/data/         what containers see
 *   state/volumes/NAME/volume.json   struct volume, durable
 *   state/volumes/NAME/filling/      a copy of image content being made; worthless until renamed to
 *   state/volumes/NAME/filled/       the whole copy; its entries are being moved into data/
 *   state/volumes/.staging-NAME.XX/  being made; renamed to NAME when whole, so none is half made
 *   state/volumes/.removed-NAME.XX/  being removed: first renamed, so a volume is there or is not
 *
 * Filling (Docker's copy-up) never replaces data/, since another container may have it mounted, and
 * never overwrites what one has written meanwhile. A kill while filling/ grows: done anew. A kill
 * while filled/ is moved: whoever opens the volume next moves the rest. The lock is flock on NAME/.
 *
 * Whether a volume is in use is the caller's question: only he knows the containers. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/str.h"

struct arena;
struct error;

enum { VOLUME_NAME_MAX = 255 - 32, VOLUME_ANONYMOUS_NAME_SIZE = 65 };

/* [A-Za-z0-9][A-Za-z0-9_.-]+ */
int volume_check_name(const char *name, struct error *err);

struct volume {
    const char *name;
    const char *project; /* NULL when made by hand */
    struct pairs labels;
    const char *container, *target; /* anonymous: name of its container, and where it is
                                      mounted there; else NULL */
    const char *path;               /* absolute, of data/; out only */
    int64_t created_ns;             /* real time; out only */
};

/* Make it. One of that name that exists is fine: 1 is returned and it stays as it is, whatever its
 * labels. */
int volume_create(int state_fd, const struct volume *volume, struct error *err);

/* Anonymous volumes (VOLUME of an image, "/path" alone) belong to one container at one path. The
 * name says so: SHA-256 of both, so that doing it twice makes one volume, and a container that
 * replaces another of the same name finds its data again. */
void volume_anonymous_name(const char *container, const char *target,
                           char ret_name[static VOLUME_ANONYMOUS_NAME_SIZE]);
/* Every anonymous volume of the container goes (found by their records). */
int volume_remove_anonymous(int state_fd, const char *container, struct error *err);

/* Anonymous ones too; sorted by name. state_path is for volume.path. A record that can't be
 * read is skipped with a trace. */
int volume_list(int state_fd, const char *state_path, struct arena *arena, struct volume **ret,
                size_t *ret_n, struct error *err);

/* ERROR_NOT_FOUND: no such volume. */
int volume_find(int state_fd, const char *state_path, struct arena *arena, const char *name,
                struct volume *ret, struct error *err);

/* Absent is done. Never follows a symlink that a container left in the data. */
int volume_remove(int state_fd, const char *name, struct error *err);

/* The data directory, O_PATH | O_DIRECTORY: source for open_tree(fd, "", AT_EMPTY_PATH |
 * OPEN_TREE_CLONE). */
int volume_open_data(int state_fd, const char *name, int *ret_fd, struct error *err);

/* Docker's copy-up: if the volume is empty and `path` is a directory inside root_fd (resolved
 * there, symlinks cannot leave), take over its owner, mode, times, extended attributes and
 * content: files, directories, symlinks, hard links, devices, fifos, holes. Else nothing.
 * root_fd: the container's merged root, or the image's. Two callers at once: one fills, the other
 * waits. Returns 1 if there was nothing to do. */
int volume_fill(int state_fd, const char *name, int root_fd, const char *path, struct error *err);
