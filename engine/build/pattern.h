#pragma once

/* Patterns over paths: those of .dockerignore ("**" crosses directories) and the wildcards of COPY
 * (one name at a time). Pure. Matching runs all positions of the pattern at once: its cost is
 * length × length, whatever the pattern. */

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct error;

enum { PATTERN_ITEMS_MAX = 1024 };

enum pattern_kind {
    PATTERN_IGNORE, /* "**" means any directories */
    PATTERN_GLOB,   /* as Go's filepath.Match */
};

struct path_pattern {
    const struct path_pattern_item *items;
    size_t n_items;
    const char *prefix; /* what every match begins with, literally */
    size_t prefix_len;
    bool is_literal; /* nothing but the prefix */
};

/* ERROR_INVALID: an unterminated "[", a backslash at the end, too long. */
int path_pattern_parse(struct arena *arena, const char *text, enum pattern_kind kind,
                       struct path_pattern *ret, struct error *err);

bool path_pattern_matches(const struct path_pattern *pattern, const char *path);

/* Does the text hold one of * ? [ that is not escaped? */
bool path_has_wildcard(const char *text);
