/* Memory that is freed whole: a chain of blocks, the newest first, 4 KiB growing to 64 KiB.
 * What doesn't fit a quarter of a block gets one of its own behind the current one, so that the
 * rest of the current block stays in use. */

#include "engine/base/arena.h"

#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/error.h"

enum { ARENA_FIRST_BLOCK = 4096, ARENA_LAST_BLOCK = 65536 };

struct arena_block {
    struct arena_block *next;
    size_t size; /* of data[] */
    size_t used;
    alignas(max_align_t) unsigned char data[];
};

static struct arena_block *block_new(size_t size)
{
    struct arena_block *block = x_alloc(sizeof(struct arena_block) + size);

    block->size = size;
    return block;
}

static void *block_take(struct arena_block *block, size_t size)
{
    void *memory = block->data + block->used;

    block->used += size;
    return memory;
}

void arena_release(struct arena *arena)
{
    int saved = errno;

    while (arena->blocks) {
        struct arena_block *next = arena->blocks->next;

        free(arena->blocks);
        arena->blocks = next;
    }
    arena->used_bytes = 0;
    errno = saved;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);
    struct arena_block *block = arena->blocks;
    size_t block_size = ARENA_FIRST_BLOCK;

    if (size > SIZE_MAX / 2)
        BUG();
    size = (size + align - 1) / align * align;
    if (!size)
        size = align;
    arena->used_bytes += size;

    if (block && block->size - block->used >= size)
        return block_take(block, size);

    if (block && size > ARENA_FIRST_BLOCK / 4) {
        struct arena_block *own = block_new(size);

        own->next = block->next;
        block->next = own;
        return block_take(own, size);
    }

    if (block)
        block_size = block->size * 2 < ARENA_LAST_BLOCK ? block->size * 2 : ARENA_LAST_BLOCK;
    if (block_size < size)
        block_size = size;
    block = block_new(block_size);
    block->next = arena->blocks;
    arena->blocks = block;
    return block_take(block, size);
}

void *arena_alloc_array(struct arena *arena, size_t n, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(n, size, &total))
        BUG();
    return arena_alloc(arena, total);
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return text ? arena_memdup(arena, text, strlen(text) + 1) : NULL;
}

char *arena_strndup(struct arena *arena, const char *text, size_t len)
{
    size_t n = text ? strnlen(text, len) : 0;
    char *copy = arena_alloc(arena, n + 1);

    if (n)
        memcpy(copy, text, n);
    return copy;
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list args, again;
    char *text;
    int len;

    va_start(args, fmt);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0)
        BUG();

    text = arena_alloc(arena, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}

void *arena_memdup(struct arena *arena, const void *data, size_t size)
{
    void *copy = arena_alloc(arena, size);

    if (size)
        memcpy(copy, data, size);
    return copy;
}
