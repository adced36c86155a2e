/* Allocation that never returns NULL. */

#include "engine/base/alloc.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void out_of_memory(size_t size)
{
    fprintf(stderr, "berth: out of memory (%zu bytes wanted)\n", size);
    abort();
}

/* malloc(0) may return NULL; we always hand out a pointer that can be freed. */
static size_t at_least_one(size_t size)
{
    return size ? size : 1;
}

void *x_alloc(size_t size)
{
    void *memory = calloc(1, at_least_one(size));

    if (!memory)
        out_of_memory(size);
    return memory;
}

void *x_alloc_array(size_t n, size_t size)
{
    void *memory = calloc(at_least_one(n), at_least_one(size));

    if (!memory)
        out_of_memory(SIZE_MAX);
    return memory;
}

void *x_realloc_array(void *old, size_t n, size_t size)
{
    void *memory = reallocarray(old, at_least_one(n), at_least_one(size));

    if (!memory)
        out_of_memory(SIZE_MAX);
    return memory;
}

char *x_strdup(const char *text)
{
    return x_strndup(text, strlen(text));
}

char *x_strndup(const char *text, size_t len)
{
    size_t n = strnlen(text, len);
    char *copy = x_alloc(n + 1);

    memcpy(copy, text, n);
    return copy;
}

char *x_printf(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    int len;

    va_start(args, fmt);
    len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len < 0)
        out_of_memory(0);
    return text;
}
