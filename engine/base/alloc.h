#pragma once

/* Allocation that never returns NULL: exhaustion and overflow abort with one line (style S8). */

#include <stddef.h>

void *x_alloc(size_t size);                 /* zeroed */
void *x_alloc_array(size_t n, size_t size); /* zeroed, overflow-checked */
void *x_realloc_array(void *old, size_t n, size_t size);
char *x_strdup(const char *text);
char *x_strndup(const char *text, size_t len);
char *x_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
