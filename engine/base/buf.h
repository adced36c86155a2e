#pragma once

/* Bytes to build. Always NUL-terminated behind `len`. Refuses to grow past `max`: what outsiders
 * can size has a limit where the buffer is made. */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/str.h"

struct buf {
    char *data; /* NULL until the first byte; see buf_text() */
    size_t len;
    size_t capacity;
    size_t max;     /* 0 = no limit */
    bool truncated; /* something did not fit */
};

#define BUF_INIT                                                                                   \
    {                                                                                              \
        0                                                                                          \
    }
#define cleanup_buf __attribute__((cleanup(buf_release)))

void buf_init(struct buf *buf, size_t max);
void buf_release(struct buf *buf);
void buf_clear(struct buf *buf); /* keeps the memory */

void buf_add(struct buf *buf, const void *data, size_t len);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_str(struct buf *buf, struct str s);
void buf_add_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *fmt, va_list args);
void buf_consume(struct buf *buf, size_t n);  /* drop n bytes at the front */
char *buf_reserve(struct buf *buf, size_t n); /* room for n bytes behind len; NULL if past max */
void buf_commit(struct buf *buf, size_t n);   /* n bytes were written into what buf_reserve gave */

const char *buf_text(const struct buf *buf); /* never NULL */
struct str buf_str(const struct buf *buf);
char *buf_take(struct buf *buf); /* malloc'ed, caller frees; buf is empty after */
