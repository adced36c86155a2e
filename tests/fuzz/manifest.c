/* Manifests, indexes and authentication challenges from a hostile registry. */

#include <stdint.h>
#include <stdlib.h>

#include "engine/base/arena.h"
#include "engine/base/sha256.h"
#include "engine/worker/manifest.h"
#include "engine/worker/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct platform platform = {"linux", "amd64", NULL};
    cleanup_arena struct arena arena = ARENA_INIT;
    struct str text = {(const char *)data, size};
    struct manifest manifest;
    struct challenge challenge;

    challenge_parse(&arena, text, &challenge);
    if (manifest_parse(&arena, text, NULL, &platform, &manifest, NULL) < 0)
        return 0;
    if (manifest.kind == MANIFEST_INDEX) {
        if (!digest_is_valid(manifest.chosen.digest))
            abort();
        return 0;
    }
    for (size_t i = 0; i < manifest.n_layers; i++)
        if (!digest_is_valid(manifest.layers[i].digest))
            abort();
    return 0;
}
