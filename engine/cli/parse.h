#pragma once

/* argv against the tables. Pure. */

#include <stdbool.h>

#include "engine/base/str.h"

struct arena;
struct cli_verb;
struct error;

struct cli_parsed {
    const struct cli_verb *verb; /* the last one named; a group if none of its verbs was */
    const char *path;            /* "berth image ls" */
    void *globals;               /* the root's options */
    void *options;               /* the verb's options; NULL if it has none */
    struct strings args;         /* items[n] is NULL */
    bool wants_help;
};

/* Everything lives in the arena or in argv. Fails with ERROR_USAGE; ret->verb and ret->path are set
 * even then, for the pointer to --help. */
int cli_parse(struct arena *arena, const struct cli_verb *root, int argc, char **argv,
              struct cli_parsed *ret, struct error *err);
