#pragma once

/* .dockerignore: which paths of a context the build does not see. Pure.
 *
 * The rules are taken in order; one that matches a path or a directory above it flips the answer,
 * "!" rules back. A walk hands each directory's marks (which rules matched it or something above
 * it) down to its entries, so no ancestor is matched twice. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/str.h"
#include "engine/build/pattern.h"

struct arena;
struct error;

enum { IGNORE_BYTES_MAX = 1 << 20, IGNORE_RULES_MAX = 4096 };

struct ignore_rule {
    struct path_pattern pattern;
    bool is_exception; /* "!" */
};

struct ignore {
    struct ignore_rule *rules;
    size_t n;
    bool has_exceptions;
};

/* `name` is for errors: ERROR_INVALID "name:LINE: …". */
int ignore_parse(struct arena *arena, const char *name, struct str text, struct ignore *ret,
                 struct error *err);

/* Is `path` (clean, relative to the context, not ".") left out? `parent` and `ret_marks` have
 * ignore->n bytes; parent NULL = the context's root; ret_marks NULL = not wanted. */
bool ignore_excludes(const struct ignore *ignore, const char *path, const uint8_t *parent,
                     uint8_t *ret_marks);

/* The same for a path whose ancestors were not walked: fills ret_marks (ignore->n bytes) too. */
bool ignore_excludes_path(struct arena *arena, const struct ignore *ignore, const char *path,
                          uint8_t *ret_marks);

/* May an excluded directory hold something that an exception brings back? */
bool ignore_may_have_exceptions_below(const struct ignore *ignore, const char *dir);
