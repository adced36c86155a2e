#pragma once

/* Where a value of a project came from: each line that contributed, in the order in which they act,
 * and the variables that made it. With project.h, what compose/file shows to others. */

#include <stdbool.h>
#include <stddef.h>

#include "compose/file/project.h"
#include "engine/base/span.h"

struct arena;
struct buf;
struct error;
struct node;

/* What contributed. */
enum explain_source {
    EXPLAIN_FILE,       /* one of the project's own files */
    EXPLAIN_INCLUDE,    /* a file that was included */
    EXPLAIN_EXTENDS,    /* a service that was extended */
    EXPLAIN_ENV_FILE,   /* a line of an env_file */
    EXPLAIN_LABEL_FILE, /* a line of a label_file */
    EXPLAIN_OPTION,     /* the command line, or the environment of berth */
    EXPLAIN_DEFAULT,    /* nobody wrote it */
};

enum explain_effect {
    EXPLAIN_SETS,
    EXPLAIN_REPLACES, /* what the steps before it gave */
    EXPLAIN_ADDS,     /* to a mapping or list */
    EXPLAIN_KEEPS,    /* null: leaves what is there */
    EXPLAIN_REMOVES,  /* !reset */
    EXPLAIN_REPEATS,  /* what is included twice */
};

enum explain_origin {
    EXPLAIN_UNSET,
    EXPLAIN_PROCESS,  /* the environment of berth */
    EXPLAIN_DOTENV,   /* a line of .env, --env-file, or an include's env_file */
    EXPLAIN_OWN,      /* what the service has itself: its environment, an earlier line */
    EXPLAIN_BUILT_IN, /* COMPOSE_PROJECT_NAME and PWD, which berth sets itself */
};

struct explain_variable {
    const char *name;
    const char *value; /* NULL: not set */
    enum explain_origin origin;
    struct span span;     /* EXPLAIN_DOTENV, and of lines EXPLAIN_OWN; line 0: none */
    const char *default_; /* as written, where it holds; else NULL */
};

struct explain_step {
    enum explain_source source;
    enum explain_effect effect;
    bool is_overridden;   /* nothing of it is left */
    struct span span;     /* line 0: no place */
    struct span cause;    /* include, extends: where it is asked for */
    const char *text;     /* option, default: what it says; else NULL */
    const char *template; /* as written, when it has variables; else NULL */
    struct explain_variable *variables;
    size_t n_variables;
};

struct explanation {
    const char *path;
    const struct node *value; /* as config prints it; NULL: it was removed */
    struct explain_step *steps;
    size_t n_steps;
};

/* `path` as "services.web.environment.FOO" or "services.web.ports[0]"; a dot in a key needs no
 * escape. The project must have been loaded with PROJECT_WITH_HISTORY; the lists in its options
 * must still be there. ERROR_NOT_FOUND: there is no such value; with what may have been meant. */
int project_explain(struct arena *arena, const struct project *project, const char *path,
                    struct explanation *ret, struct error *err);

/* For people: the value, then each step with its line. */
void explanation_print(struct buf *out, const struct project *project,
                       const struct explanation *explanation, enum diagnostics_colour colour);
void explanation_print_json(struct buf *out, const struct project *project,
                            const struct explanation *explanation);
