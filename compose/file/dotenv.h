#pragma once

/* Env files (compose.md 4; private to compose/file). */

#include <stdint.h>

#include "engine/base/str.h"

struct arena;
struct report;
struct variables;

enum dotenv_format { DOTENV_COMPOSE, DOTENV_RAW };

enum { DOTENV_FILE_MAX = 4 << 20, DOTENV_ENTRIES_MAX = 5000 };

/* An entry per definition, in order: a later one wins. */
struct dotenv_entry {
    const char *name;
    const char *value; /* NULL: named without a value: inherit it */
    uint32_t line;
};

struct dotenv {
    struct dotenv_entry *items;
    size_t n;
};

/* Whom values see, in this order: `outer`, what the file defined before, `earlier` files. */
struct dotenv_scope {
    const struct variables *outer;
    const struct variables *earlier;
};

/* Parse source number `file` of the report. Errors are reported with their line; returns -1 after
 * the first. */
int dotenv_parse(struct report *report, uint32_t file, enum dotenv_format format,
                 const struct dotenv_scope *scope, struct dotenv *ret);
