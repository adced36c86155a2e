#pragma once

/* Small things of a registry, fetched and read: which image a reference means. */

#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/image/image.h"
#include "engine/worker/fetch.h"
#include "engine/worker/manifest.h"

struct arena;
struct error;

struct registry {
    const char *base_url; /* "https://registry-1.docker.io/v2/library/nginx" */
    const char *scope;    /* "repository:library/nginx:pull" */
};

struct registry registry_of(struct arena *arena, const struct image_reference *reference);
const char *registry_blob_url(struct arena *arena, const struct registry *registry,
                              const char *digest);

/* What the tag means now, without fetching it; *ret = "" when the registry doesn't say. */
int registry_head(struct fetch *fetch, struct arena *arena, const struct registry *registry,
                  const char *tag, char ret_digest[static DIGEST_TEXT_SIZE], struct error *err);
/* The image's manifest for the platform, through an index if there is one. *ret_digest is what the
 * reference itself means (the index's digest). `name` is a tag or a digest. */
int registry_manifest(struct fetch *fetch, struct arena *arena, const struct registry *registry,
                      const char *name, const struct platform *platform, struct manifest *ret,
                      char ret_digest[static DIGEST_TEXT_SIZE], struct error *err);
/* A small blob, whole, verified. */
int registry_blob(struct fetch *fetch, struct arena *arena, const struct registry *registry,
                  const struct descriptor *blob, uint64_t max_bytes, struct buf *out,
                  struct error *err);
