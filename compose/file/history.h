#pragma once

/* What loading remembers so that `config --explain` can tell where values came from (private to
 * compose/file). Kept with PROJECT_WITH_HISTORY only: everything here takes a NULL history, and
 * does nothing then.
 *
 * Nothing is noted on nodes. A merged tree is what its layers give, one over the other, and each
 * layer still has what it says: who asks for a value looks it up in every layer. Spans tell which
 * one it is in the end. */

#include <stdint.h>

#include "compose/file/project.h"
#include "engine/base/span.h"
#include "engine/base/str.h"

struct arena;
struct node;
struct node_entry;

/* A document in long form, as it was before include and extends; the first one is the base. */
struct history_layer {
    const struct history_layer *next;
    const struct node *tree;
    struct span included_at; /* of the path in the including file; line 0: the project's own */
};

/* One `extends`. */
struct history_extends {
    const struct history_extends *next;
    struct span at;             /* of the value of extends */
    const struct node *service; /* the base, before its own extends */
    struct span service_span;   /* of its name */
};

/* A text with variables that was expanded. */
struct history_template {
    const struct history_template *next;
    struct span span;
    const char *text;         /* as written */
    const char *expanded;     /* arena-owned */
    struct pairs environment; /* that it saw; sorted */
};

/* A line of an env file or label file. */
struct history_definition {
    const struct history_definition *next;
    const char *service; /* whose env file; NULL: an environment of the files themselves */
    const char *section; /* "environment" or "labels", of services */
    const char *name;
    const char *value;
    struct span span;
};

struct history {
    struct arena *arena;
    const struct project_options *options; /* a copy; what it points to is borrowed */
    struct history_layer *layers, *last_layer;
    struct history_template *templates;
    struct history_extends *extensions;
    struct history_definition *definitions, *last_definition;
};

struct history *history_new(struct arena *arena, const struct project_options *options);
void history_add_layer(struct history *history, const struct node *tree, struct span included_at);
void history_add_extends(struct history *history, struct span at, const struct node_entry *base);
void history_add_template(struct history *history, const struct node *node, const char *expanded,
                          const struct pairs *environment);
/* `service` and `section` NULL: for the files' own variables. */
void history_add_definition(struct history *history, const char *service, const char *section,
                            const struct pair *pair, struct span span);
