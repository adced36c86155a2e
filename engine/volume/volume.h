#pragma once

/* Named volumes.
 *
 *   state/volumes/NAME/data/         what containers see
 *   state/volumes/NAME/volume.json   {format, spec, created_ns, anonymous, container, target}
 *   state/volumes/.staging-NAME.XX/  being made; renamed to NAME when whole, so no half volume
 * exists state/volumes/.removed-NAME.XX/  being removed: first renamed, so a volume is there or it
 * is not state/volumes/.lock              held for the rename, and shared while one is opened for
 * filling
 *
 * Filling (Docker's copy-up) builds data.filling/ beside data/ and swaps it in with one rename; a
 * kill half-way leaves an empty data/ and the next fill begins again.
 *
 * Whether a volume is in use is the caller's question: only he knows the containers. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;
struct volume_info; /* engine/engine.h */
struct volume_spec;

enum { VOLUME_NAME_MAX = 255 - 32, VOLUME_ANONYMOUS_NAME_SIZE = 65 };

/* [A-Za-z0-9][A-Za-z0-9_.-]+ */
int volume_check_name(const char *name, struct error *err);

/* Make it. One of that name that exists is fine: 1 is returned and it stays as it is, whatever its
 * labels. */
int volume_create(int state_fd, const struct volume_spec *spec, struct error *err);

/* Anonymous volumes (VOLUME of an image, "/path" alone) belong to one container at one path. The
 * name says so: SHA-256 of both, so that doing it twice makes one volume. */
void volume_anonymous_name(const char *container_id, const char *target,
                           char ret_name[static VOLUME_ANONYMOUS_NAME_SIZE]);
/* Made with the label com.docker.volume.anonymous. `project` may be NULL. 1 = was there. */
int volume_create_anonymous(int state_fd, const char *project, const char *container_id,
                            const char *target, struct error *err);
/* A container takes over those of its predecessor (recreate): only the record changes. */
int volume_reassign_anonymous(int state_fd, const char *name, const char *container_id,
                              struct error *err);
/* Every anonymous volume of the container goes. Volumes of others are not looked into. */
int volume_remove_anonymous(int state_fd, const char *container_id, struct error *err);

/* Anonymous ones too; sorted by name. state_path is for volume_info.path. A record that can't be
 * read is skipped with a trace. */
int volume_list(int state_fd, const char *state_path, struct arena *arena, struct volume_info **ret,
                size_t *ret_n, struct error *err);

/* ERROR_NOT_FOUND: no such volume. */
int volume_find(int state_fd, const char *state_path, struct arena *arena, const char *name,
                struct volume_info *ret, struct error *err);

/* Absent is done. Never follows a symlink that a container left in the data. */
int volume_remove(int state_fd, const char *name, struct error *err);

/* The data directory, O_PATH | O_DIRECTORY: source for open_tree(fd, "", AT_EMPTY_PATH |
 * OPEN_TREE_CLONE). Open it after volume_fill (which replaces the directory). */
int volume_open_data(int state_fd, const char *name, int *ret_fd, struct error *err);

/* Docker's copy-up: if the volume is empty and `path` is a directory inside root_fd (resolved
 * there, symlinks cannot leave), take over its owner, mode, times, extended attributes and
 * content: files, directories, symlinks, hard links, devices, fifos, holes. Else nothing.
 * root_fd: the container's merged root, or the image's. Two callers at once: one fills, the other
 * waits. Returns 1 if there was nothing to do. */
int volume_fill(int state_fd, const char *name, int root_fd, const char *path, struct error *err);
