#pragma once

/* Memory that is freed whole: documents, models, plans. Nothing in it is edited after it was made.
 */

#include <stdarg.h>
#include <stddef.h>

struct arena {
    struct arena_block *blocks;
    size_t used_bytes; /* handed out, for limits and tests */
};

#define ARENA_INIT                                                                                 \
    {                                                                                              \
        0                                                                                          \
    }
#define cleanup_arena __attribute__((cleanup(arena_release)))

void arena_release(struct arena *arena);

void *arena_alloc(struct arena *arena, size_t size); /* zeroed, aligned for any type */
void *arena_alloc_array(struct arena *arena, size_t n, size_t size); /* overflow-checked */
char *arena_strdup(struct arena *arena, const char *text);           /* NULL stays NULL */
char *arena_strndup(struct arena *arena, const char *text, size_t len);
char *arena_printf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void *arena_memdup(struct arena *arena, const void *data, size_t size);

#define arena_new(arena, type)          ((type *)arena_alloc((arena), sizeof(type)))
#define arena_new_array(arena, type, n) ((type *)arena_alloc_array((arena), (n), sizeof(type)))
