/* Growing arrays. */

#include "engine/base/vec.h"

#include <stdint.h>

#include "engine/base/error.h"

void *vec_grow(void *items, size_t *capacity, size_t n_wanted, size_t item_size)
{
    size_t wanted = *capacity ? *capacity : 8;

    if (n_wanted > SIZE_MAX / 2)
        BUG();
    while (wanted < n_wanted)
        wanted *= 2;
    if (*capacity == wanted)
        wanted *= 2;

    items = x_realloc_array(items, wanted, item_size);
    *capacity = wanted;
    return items;
}
