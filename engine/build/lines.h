#pragma once

/* Dockerfile text → physical lines → logical lines: directives, comments, continuation. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/str.h"

struct arena;
struct dockerfile;
struct error;

/* Fills name, lines, escape and syntax of *ret. *ret_first: index of the first line behind the
 * directives. */
int dockerfile_read_lines(struct arena *arena, const char *name, struct str text,
                          struct dockerfile *ret, size_t *ret_first, struct error *err);

/* The next logical line from *at on, without comments; moves *at behind it. *ret_line: its first
 * line number. Returns 1 at the end of the file. */
int dockerfile_next_line(struct arena *arena, const struct dockerfile *file, size_t *at,
                         struct str *ret, uint32_t *ret_line);
