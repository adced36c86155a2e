#pragma once

/* A filled upper directory → a layer with its diff id.
 *
 * The diff id is the SHA-256 of the layer as a tar archive, so whoever sends the layer elsewhere
 * has to write the very same archive: layer_write_tar is its only definition. Names are sorted,
 * owners are numbers, times are those of the files; whiteouts of the overlay become ".wh." files.
 */

#include <stddef.h>
#include <stdint.h>

#include "engine/base/sha256.h"

struct error;

enum { LAYER_DEPTH_MAX = 400 };

struct layer_sum {
    char diff_id[DIGEST_TEXT_SIZE];
    uint64_t size_bytes; /* of regular files */
    uint64_t n_entries;  /* 0: the layer changes nothing */
};

typedef int tar_sink_fn(const void *data, size_t len, void *context, struct error *err);

/* Stream the tree as a tar archive. *ret_bytes, *ret_entries may be NULL. */
int layer_write_tar(int tree_fd, tar_sink_fn *sink, void *context, uint64_t *ret_bytes,
                    uint64_t *ret_entries, struct error *err);

/* Take out what belongs to the overlay mount and not to the layer (trusted.overlay.origin and the
 * like, sockets), then compute the sum. */
int layer_seal(int tree_fd, struct layer_sum *ret, struct error *err);
