#pragma once

/* Growing arrays:  VEC(struct mount) mounts = VEC_INIT;  vec_push(&mounts, mount);
 * vec_release(&mounts); To keep the items with a model, copy them out: vec_to_arena(&mounts,
 * arena). */

#include <stddef.h>
#include <stdlib.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"

#define VEC(type)                                                                                  \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t n;                                                                                  \
        size_t capacity;                                                                           \
    }
#define VEC_INIT                                                                                   \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

void *vec_grow(void *items, size_t *capacity, size_t n_wanted, size_t item_size);

#define vec_push(vec, ...)                                                                         \
    do {                                                                                           \
        if ((vec)->n == (vec)->capacity)                                                           \
            (vec)->items =                                                                         \
                vec_grow((vec)->items, &(vec)->capacity, (vec)->n + 1, sizeof(*(vec)->items));     \
        (vec)->items[(vec)->n++] = (__VA_ARGS__);                                                  \
    } while (0)
#define vec_last(vec)    (&(vec)->items[(vec)->n - 1])
#define vec_clear(vec)   ((vec)->n = 0)
#define vec_release(vec) (free((vec)->items), (vec)->items = NULL, (vec)->n = (vec)->capacity = 0)
#define vec_to_arena(vec, arena)                                                                   \
    ((__typeof__((vec)->items))arena_memdup((arena), (vec)->items,                                 \
                                            (vec)->n * sizeof(*(vec)->items)))
