/* Image references from hostile text: what is taken prints to something that means the same. */

#include <stdint.h>
#include <stdlib.h>

#include "engine/base/arena.h"
#include "engine/base/str.h"
#include "engine/image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct image_reference first, second;
    const char *text = arena_strndup(&arena, (const char *)data, size);
    const char *full;

    if (image_reference_parse(&arena, text, &first, NULL) < 0)
        return 0;
    full = image_reference_text(&arena, &first);
    if (image_reference_parse(&arena, image_reference_familiar(&arena, &first), &second, NULL) <
            0 ||
        !text_equal(image_reference_text(&arena, &second), full))
        abort();
    if (image_reference_parse(&arena, full, &second, NULL) < 0 ||
        !text_equal(image_reference_text(&arena, &second), full))
        abort();
    return 0;
}
