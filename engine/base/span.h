#pragma once

/* Where a value was written. `file` indexes a table of file names that travels with the model. */

#include <stdbool.h>
#include <stdint.h>

struct span {
    uint32_t file;
    uint32_t line;   /* from 1; 0 = no source */
    uint32_t column; /* from 1 */
};

static inline bool span_equal(struct span a, struct span b)
{
    return a.file == b.file && a.line == b.line && a.column == b.column;
}
