/* Resolve: reference → the digest of its manifest or index, without fetching the image. */

#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/worker/fetch.h"
#include "engine/worker/registry.h"
#include "engine/worker/worker.h"

/* A HEAD costs no part of a pull limit; registries that don't say the digest there are asked for
 * the manifest itself. */
static int ask_registry(struct arena *arena, struct fetch *fetch,
                        const struct image_reference *reference,
                        char ret_digest[static DIGEST_TEXT_SIZE], struct error *err)
{
    const struct registry registry = registry_of(arena, reference);
    const struct platform platform = platform_of_machine();
    const char *name = reference->digest ? reference->digest : reference->tag;
    struct manifest manifest;

    if (fetch_start(fetch, err) < 0 ||
        registry_head(fetch, arena, &registry, name, ret_digest, err) < 0)
        return -1;
    if (digest_is_valid(ret_digest))
        return 0;
    return registry_manifest(fetch, arena, &registry, name, &platform, &manifest, ret_digest, err);
}

int worker_resolve(int state_fd, const json_t *request, json_t **ret, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_fetch struct fetch fetch = FETCH_INIT;
    struct image_reference reference;
    char digest[DIGEST_TEXT_SIZE];
    const char *text;

    (void)state_fd;
    if (json_get_text(request, "reference", &text, err) < 0 ||
        image_reference_parse(&arena, text, &reference, err) < 0)
        return -1;
    if (ask_registry(&arena, &fetch, &reference, digest, err) < 0)
        return error_wrap(err, "resolve \"%s\"", image_reference_familiar(&arena, &reference));
    *ret = json_object();
    json_set_text(*ret, "id", image_reference_pinned(&arena, &reference, digest));
    return 0;
}
