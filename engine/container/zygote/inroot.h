#pragma once

/* Paths inside a root that an image controls: whatever its symlinks say, nothing outside is ever
 * opened or made (openat2 RESOLVE_IN_ROOT). All return a descriptor or 0, or -errno. */

#include <stdint.h>

enum inroot_kind { INROOT_DIRECTORY, INROOT_FILE };

/* openat2 below root_fd. `resolve` is added to RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS. */
int inroot_open(int root_fd, const char *path, int flags, uint64_t resolve);

/* Open a mount target O_PATH; make it, and directories on the way, when missing (also behind
 * dangling symlinks, as Docker does). -ENOTDIR or -EISDIR when it is there but of the other kind.
 */
int inroot_target(int root_fd, const char *path, enum inroot_kind kind, uint32_t mode,
                  uint64_t resolve);

/* Open the directory a path lies in (made when missing) and find the last component. */
int inroot_parent(int root_fd, const char *path, const char **ret_name);
