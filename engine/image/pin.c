/* References with the digest of what they mean. */

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/image/image.h"
#include "engine/image/store.h"

const char *image_reference_pinned(struct arena *arena, const struct image_reference *reference,
                                   const char *digest)
{
    return arena_printf(arena, "%s/%s%s%s@%s", reference->domain, reference->path,
                        reference->tag ? ":" : "", reference->tag ? reference->tag : "", digest);
}

int image_pin(int state_fd, struct arena *arena, const char *reference, const char **ret,
              struct error *err)
{
    const char *directory, *file;
    struct image_reference parsed;
    struct stored_ref ref;

    if (image_reference_parse(arena, reference, &parsed, err) < 0)
        return -1;
    if (parsed.digest) {
        *ret = image_reference_pinned(arena, &parsed, parsed.digest);
        return 0;
    }
    ref_place(arena, &parsed, &directory, &file);
    if (ref_read(state_fd, arena, directory, file, &ref, NULL) < 0 || !ref.manifest)
        return 1;
    *ret = image_reference_pinned(arena, &parsed, ref.manifest);
    return 0;
}
