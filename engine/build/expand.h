#pragma once

/* Variables and quotes in the arguments of instructions: $NAME, ${NAME:-word}, '…', "…". Pure. */

#include <stddef.h>

#include "engine/base/str.h"

struct arena;
struct error;

enum {
    EXPAND_BYTES_MAX = 128 * 1024, /* of one result; the kernel takes no longer argument */
    EXPAND_DEPTH_MAX = 32,         /* of ${a:-${b:-…}} */
};

/* Later items win; a NULL value is unset. */
struct expand_scope {
    const struct pair *items;
    size_t n;
    char escape; /* '\\' or '`' */
};

/* Expand one word and take its quotes off. ERROR_INVALID says what is wrong with it. */
int expand_word(struct arena *arena, const struct expand_scope *scope, const char *word,
                const char **ret, struct error *err);

/* The same without quote processing: here-documents of COPY. Escape is always '\\'. */
int expand_text(struct arena *arena, const struct expand_scope *scope, const char *text,
                const char **ret, struct error *err);
