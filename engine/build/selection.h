#pragma once

/* Which files a COPY takes, and a digest of what it would see of them.
 *
 * Everything is looked up inside the tree (openat2): a symlink at or above a source is followed as
 * if the tree were "/", one below it is taken as a symlink. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "engine/base/sha256.h"
#include "engine/base/str.h"

struct arena;
struct error;
struct file_stats;
struct ignore;

enum { SELECTION_FILES_MAX = 2 * 1000 * 1000, SELECTION_DEPTH_MAX = 256 };

/* A directory to copy from: the context, or a stage's root. */
struct source_tree {
    int root_fd;                 /* O_PATH or readable */
    const struct ignore *ignore; /* NULL: nothing is left out */
    struct file_stats *stats;    /* NULL: every file is read */
    bool is_context;             /* owners are read as 0:0 */
};

struct selected_file {
    const char *path; /* below the tree, free of symlinks; "." = the tree itself */
    const char *name; /* below its source; "" = the source itself */
    mode_t mode;
    uid_t uid;
    gid_t gid;
    dev_t rdev;
    uint64_t size;
    struct timespec mtime;
    uint64_t dev, ino;
    bool has_links;               /* more than one name */
    const char *link_target;      /* of a symlink */
    uint8_t digest[SHA256_BYTES]; /* of a regular file: data, and attributes that are copied */
};

struct selected_source {
    const char *base_name;       /* as written: what a file is called in a destination directory */
    struct selected_file *files; /* the source itself first, directories before what is in them */
    size_t n_files;
    bool is_dir;
};

struct selection {
    struct selected_source *sources;
    size_t n_sources;
};

/* `sources` may hold wildcards. ERROR_NOT_FOUND names a source without wildcard that isn't there
 * (or is ignored); a wildcard may match nothing. Hashes what the stat cache doesn't know. */
int selection_make(struct arena *arena, const struct source_tree *tree,
                   const struct strings *sources, struct selection *ret, struct error *err);

enum digest_flags {
    DIGEST_WITHOUT_OWNER = 1, /* --chown replaces it */
    DIGEST_WITHOUT_MODE = 2,  /* --chmod replaces it */
};

/* Names, types, modes, owners, targets, content; not times. */
void selection_digest(const struct selection *selection, unsigned flags,
                      char ret_hex[static SHA256_HEX_SIZE]);

/* Attributes a copy takes along: security.capability and user.*. */
bool xattr_is_copied(const char *name);

enum { XATTR_LIST_BYTES = 65536, XATTR_VALUE_BYTES = 65536 }; /* the kernel's own limits */
