#pragma once

/* A line of a source, shown with a caret below a column (private to compose/file). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/span.h"
#include "engine/base/str.h"

struct buf;
struct source;

/* Remembers where the last line began: lines are mostly asked for in order. Zeroed at first. */
struct excerpt_cursor {
    uint32_t file;
    uint32_t line;
    size_t offset;
};

/* The line of the span, without its end; false when the source has no such line. */
bool excerpt_find(const struct source *source, struct span span, struct excerpt_cursor *cursor,
                  struct str *ret);

/* Bytes of the line's first n characters. */
size_t excerpt_skip(struct str line, size_t n);

struct excerpt_style {
    int indent;        /* columns before the line */
    bool is_trimmed;   /* without the line's own indentation */
    const char *caret; /* colour, or "" */
    const char *reset;
};

/* The line with control bytes made visible as '?', and a caret below its column (in characters);
 * column 0: no caret. Of a long line, the part around the column. */
void excerpt_print(struct buf *out, struct str line, uint32_t column,
                   const struct excerpt_style *style);
