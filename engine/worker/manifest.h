#pragma once

/* Manifests and indexes of registries, read and judged. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/str.h"

struct arena;
struct error;

struct descriptor {
    const char *media_type;
    const char *digest; /* valid sha256 */
    uint64_t size;
};

enum manifest_kind { MANIFEST_IMAGE, MANIFEST_INDEX };

struct manifest {
    enum manifest_kind kind;
    /* image */
    struct descriptor config;
    struct descriptor *layers; /* bottom first */
    size_t n_layers;
    /* index: the child for the platform asked for */
    struct descriptor chosen;
};

struct platform {
    const char *os, *architecture;
    const char *variant; /* NULL = any */
};

/* "linux/arm64", "arm64/v8", "amd64", "linux/arm/v7" and the usual synonyms (x86_64, aarch64). */
int platform_parse(struct arena *arena, const char *text, struct platform *ret, struct error *err);
struct platform platform_of_machine(void);

/* `content_type` is the header's, checked against the body's own (NULL = none).
 * ERROR_UNSUPPORTED for what is no image (schema 1, artifacts); ERROR_NOT_FOUND lists the platforms
 * an index has when ours is not among them. */
int manifest_parse(struct arena *arena, struct str text, const char *content_type,
                   const struct platform *platform, struct manifest *ret, struct error *err);

/* Value for the Accept header. */
extern const char manifest_accept[];
