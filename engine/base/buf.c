/* Bytes to build. Past `max`, what fits is kept and `truncated` tells. */

#include "engine/base/buf.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/error.h"

enum { BUF_FIRST_CAPACITY = 64 };

/* Room for n bytes and the NUL behind len. The caller has checked `max`. */
static void buf_grow(struct buf *buf, size_t n)
{
    size_t wanted, capacity = buf->capacity ? buf->capacity : BUF_FIRST_CAPACITY;

    if (__builtin_add_overflow(buf->len, n, &wanted) || wanted >= SIZE_MAX / 2)
        BUG();
    wanted++;
    if (wanted <= buf->capacity)
        return;

    while (capacity < wanted)
        capacity *= 2;
    buf->data = x_realloc_array(buf->data, capacity, 1);
    buf->capacity = capacity;
    buf->data[buf->len] = '\0'; /* holds even if nothing is added: a read may find the end */
}

static size_t buf_room(const struct buf *buf)
{
    return buf->max ? buf->max - buf->len : SIZE_MAX;
}

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf){.max = max};
}

void buf_release(struct buf *buf)
{
    int saved = errno;

    free(buf->data);
    *buf = (struct buf){.max = buf->max};
    errno = saved;
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->truncated = false;
    if (buf->data)
        buf->data[0] = '\0';
}

void buf_add(struct buf *buf, const void *data, size_t len)
{
    size_t room = buf_room(buf);

    if (len > room) {
        buf->truncated = true;
        len = room;
    }
    if (!len)
        return;

    buf_grow(buf, len);
    memcpy(buf->data + buf->len, data, len);
    buf_commit(buf, len);
}

void buf_add_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_add_str(struct buf *buf, struct str s)
{
    buf_add(buf, s.data, s.len);
}

void buf_add_char(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    buf_vprintf(buf, fmt, args);
    va_end(args);
}

void buf_vprintf(struct buf *buf, const char *fmt, va_list args)
{
    size_t len, room = buf_room(buf);
    va_list again;
    int wanted;

    va_copy(again, args);
    wanted = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (wanted < 0)
        BUG();

    len = (size_t)wanted;
    if (len > room) {
        buf->truncated = true;
        len = room;
    }
    if (!len)
        return;
    buf_grow(buf, len);
    vsnprintf(buf->data + buf->len, len + 1, fmt, args);
    buf_commit(buf, len);
}

void buf_consume(struct buf *buf, size_t n)
{
    if (n > buf->len)
        BUG();
    if (!n)
        return;
    memmove(buf->data, buf->data + n, buf->len - n + 1);
    buf->len -= n;
}

char *buf_reserve(struct buf *buf, size_t n)
{
    if (n > buf_room(buf)) {
        buf->truncated = true;
        return NULL;
    }
    buf_grow(buf, n);
    buf->data[buf->len] = '\0'; /* also if nothing is committed */
    return buf->data + buf->len;
}

void buf_commit(struct buf *buf, size_t n)
{
    if (n >= buf->capacity - buf->len)
        BUG();
    buf->len += n;
    buf->data[buf->len] = '\0';
}

const char *buf_text(const struct buf *buf)
{
    return buf->data ? buf->data : "";
}

struct str buf_str(const struct buf *buf)
{
    return (struct str){buf_text(buf), buf->len};
}

char *buf_take(struct buf *buf)
{
    char *data = buf->data ? buf->data : x_alloc(1);

    *buf = (struct buf){.max = buf->max};
    return data;
}
