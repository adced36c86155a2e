#pragma once

/* What COPY and ADD do to a root filesystem.
 *
 * The destination is resolved inside root_fd with the symlinks of the image honoured (/bin →
 * usr/bin), and never leaves it. Sources were selected before (selection.h) and are opened without
 * following any symlink: one that is swapped in meanwhile makes the copy fail. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct arena;
struct error;
struct selection;
struct source_tree;

enum copy_flags {
    COPY_SET_OWNER = 1,      /* uid, gid: else those of the selection */
    COPY_SET_MODE = 2,       /* mode: of files and directories */
    COPY_INTO_DIRECTORY = 4, /* the destination ends with a slash */
};

struct copy_request {
    const struct source_tree *tree;
    const struct selection *selection;
    int root_fd;
    const char *dest; /* absolute, clean */
    unsigned flags;
    uid_t uid;
    gid_t gid;
    mode_t mode;
};

int copy_selection(struct arena *arena, const struct copy_request *request, struct error *err);

/* Write a file with this content (a here-document): mode 0644 unless set. `name` is used in a
 * destination directory. */
int copy_text(struct arena *arena, const struct copy_request *request, const char *name,
              const char *text, struct error *err);

/* mkdir -p inside the root; what is made gets this owner and mode. *ret_fd: O_PATH; *ret_is_new:
 * the last one was made. Both may be NULL. */
int copy_make_dirs(struct arena *arena, int root_fd, const char *path, uid_t uid, gid_t gid,
                   mode_t mode, int *ret_fd, bool *ret_is_new, struct error *err);

/* Copy data from here on to the end; sparse or reflinked where the file systems can. */
int copy_data(int from_fd, int to_fd, struct error *err);
