#pragma once

/* The image store's names on disk, refs and blobs. Private to engine/image; the layout is drawn in
 * image.h. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/sha256.h"
#include "engine/image/image.h"

struct arena;
struct error;

/* Nobody but root looks in: layers hold set-user-ID programs. */
enum { STORE_DIR_MODE = 0700, STORE_FILE_MODE = 0600 };
enum { CONFIG_MAX_BYTES = 8 << 20, REF_MAX_BYTES = 16 << 10, META_MAX_BYTES = 1 << 20 };

/* 64 hex digits of a valid digest: borrowed. */
const char *digest_hex(const char *digest);
bool hex_is_digest(const char *hex);

/* One file below refs/. */
struct stored_ref {
    const char *directory; /* "docker.io+library+nginx"; "@" for images without a name */
    const char *file;      /* tag, "@<hex>", or <hex> below "@" */
    const char *image;     /* "sha256:…" */
    const char *manifest;  /* NULL = not from a registry */
    int64_t created_ns;    /* when the ref was written */
    bool is_anonymous;
};

/* Where a reference is kept, as directory and file name below refs/. */
void ref_place(struct arena *arena, const struct image_reference *reference, const char **ret_dir,
               const char **ret_file);
/* Familiar text of a stored ref; NULL if anonymous. */
const char *ref_familiar(struct arena *arena, const struct stored_ref *ref);

/* ERROR_NOT_FOUND (err may be NULL to ask quietly). */
int ref_read(int state_fd, struct arena *arena, const char *directory, const char *file,
             struct stored_ref *ret, struct error *err);
/* All of them, sorted by directory and file. A file that appears or goes meanwhile may be missed.
 */
int refs_list(int state_fd, struct arena *arena, struct stored_ref **ret, size_t *ret_n,
              struct error *err);
int ref_write(int state_fd, const char *directory, const char *file, const char *image,
              const char *manifest, struct error *err);
int ref_remove(int state_fd, const struct stored_ref *ref, struct error *err);

/* "blobs/sha256/ab/ab…", arena-owned. */
const char *blob_path(struct arena *arena, const char *digest);

/* The image that text means; see image_find. 1 = there is none (err untouched). */
int image_resolve(int state_fd, struct arena *arena, const char *reference_or_id,
                  const char **ret_image, struct error *err);
/* diff ids of an image config document. ERROR_INVALID when it is no image config. */
int config_diff_ids(struct arena *arena, const json_t *config, struct strings *ret,
                    struct error *err);

/* Containers whose record names this image, by container name. */
int image_users(int state_fd, struct arena *arena, const char *image, struct strings *ret,
                struct error *err);

/* Remove staging directories whose owner is dead. Never waits: skipped when the store is held. */
int staging_sweep(int state_fd, struct error *err);
/* Delete staging/dead-* (renamed there by sweep and collection). */
int staging_bury(int state_fd, struct error *err);
