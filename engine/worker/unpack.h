#pragma once

/* A tar archive, compressed or not, into a tree: archive → entries → tree.c. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/base/sha256.h"
#include "engine/worker/tree.h"

struct error;

struct unpack_options {
    int archive_fd; /* borrowed, read to its end */
    int tree_fd;    /* borrowed */
    enum tree_mode mode;
    bool force_owner;
    uid_t uid;
    gid_t gid;
};

/* Written while it runs; may lie in shared memory. */
struct unpack_progress {
    _Atomic uint64_t read_bytes, written_bytes, n_entries;
};

struct unpack_result {
    uint64_t size_bytes, n_entries;
    char diff_id[DIGEST_TEXT_SIZE]; /* of all bytes, uncompressed */
    struct tree *tree;              /* for tree_opaque, tree_implicit; the caller closes it */
};

/* Fails with ERROR_UNSUPPORTED when it is no tar archive. */
int unpack_run(const struct unpack_options *options, struct unpack_progress *progress,
               struct unpack_result *ret, struct error *err);
