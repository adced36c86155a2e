#pragma once

/* Archive entries written into a directory tree that nobody can be led out of.
 *
 * Names are cleaned lexically; parents are opened with openat2(RESOLVE_IN_ROOT), so that symlinks
 * of the archive itself work but stay inside; the last component is never followed. In a layer
 * (TREE_LAYER) `.wh.` names become overlay whiteouts. What must come last (directory attributes,
 * whiteouts) is kept and done by tree_finish. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/base/arena.h"

struct error;

enum tree_mode {
    TREE_LAYER, /* an empty tree; whiteouts mean something */
    TREE_PLAIN, /* an empty tree; names are just names */
    TREE_MERGE, /* into what exists */
};

enum tree_kind {
    TREE_FILE,
    TREE_DIRECTORY,
    TREE_SYMLINK,
    TREE_HARD_LINK,
    TREE_CHARACTER,
    TREE_BLOCK,
    TREE_FIFO,
};

struct tree_xattr {
    const char *name;
    const void *value;
    size_t size;
};

struct tree_entry {
    enum tree_kind kind;
    const char *name;   /* as in the archive */
    const char *target; /* symlink, hard link */
    mode_t mode;        /* permission bits */
    uid_t uid;
    gid_t gid;
    struct timespec mtime;
    dev_t device;
    uint64_t size; /* file: apparent size */
    const struct tree_xattr *xattrs;
    size_t n_xattrs;
};

/* Paths relative to the root, for what the caller must do or record. */
struct tree_paths {
    const char **items;
    size_t n, capacity;
};

/* The only device nodes that are made; the sandbox enforces it. Others are left out: a container
 * gets its devices from its own /dev, and a node for a disk is of use to nobody but an attacker. */
struct tree_device {
    unsigned major, minor;
    const char *name;
};
extern const struct tree_device tree_devices[];
extern const size_t tree_n_devices;

struct tree;

int tree_open(int root_fd, enum tree_mode mode, struct tree **ret, struct error *err);
void tree_close(struct tree *tree); /* NULL is fine */

/* Make one entry. For a file *ret_fd is open for writing (owned by the tree: tree_file_done closes
 * it), else -1. Returns 1 for an entry that was understood and leaves nothing to write (a
 * whiteout). ERROR_INVALID: the entry would leave the tree, or is malformed. */
int tree_add(struct tree *tree, const struct tree_entry *entry, int *ret_fd, struct error *err);
/* The file's bytes are written: set size, owner, attributes, mode, time. */
int tree_file_done(struct tree *tree, const struct tree_entry *entry, struct error *err);
/* Whiteouts, then attributes of directories. */
int tree_finish(struct tree *tree, struct error *err);

/* Directories to be marked opaque (trusted.overlay.opaque needs CAP_SYS_ADMIN, which we gave up).
 */
const struct tree_paths *tree_opaque(const struct tree *tree);
/* Directories the archive had no entry for. */
const struct tree_paths *tree_implicit(const struct tree *tree);
