#pragma once

/* $VAR and ${VAR…} in values (compose.md 1.3; private to compose/file). */

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/str.h"

struct arena;
struct buf;
struct error;
struct history;
struct node;
struct report;

enum {
    INTERPOLATE_DEPTH_MAX = 50,      /* of ${A:-${B:-…}} */
    INTERPOLATE_TEXT_MAX = 1U << 20, /* of one value, before and after */
    INTERPOLATE_TOTAL_MAX = 8U << 20,
};

/* Where variables come from. */
struct variables {
    const char *(*find)(const void *context, struct str name); /* NULL = unset */
    const void *context;
    /* May be NULL. `name` is a part of the template. */
    void (*warn_unset)(void *warn_context, struct str name);
    void *warn_context;
    const char **ret_failed; /* where in the template an error is; may be NULL */
    struct history *history; /* of trees: what was expanded; may be NULL */
};

/* Sorted pairs as variables; a NULL value is unset. */
const char *variables_find_sorted(const void *pairs, struct str name);

/* Append the expanded template to `out` (limited by its max). Error texts: "invalid template" and
 * what is wrong, or "required variable X is missing a value: …". */
int interpolate_text(struct str template, const struct variables *variables, struct buf *out,
                     struct error *err);

/* Append a text that expands to `text`: with every $ doubled. */
void interpolate_escape(struct buf *out, struct str text);

/* One ${…} or $NAME of a template. */
struct expression {
    struct str name;
    char operator; /* '-', '+', '?', or 0 */
    bool or_empty; /* with ':' */
    struct str word;
};

/* Every expression of a template, those inside words after the one they belong to. Stops where the
 * template is invalid. */
void interpolate_scan(struct str template,
                      void (*found)(void *context, const struct expression *expression),
                      void *context);

/* There is a text with a $ at or below the node. */
bool node_is_template(const struct node *node);

/* Expand every text in values of the tree (keys stay). Errors and unset variables are reported at
 * the scalar; on an error the scalar stays as it is. *n_bytes counts towards the total limit. */
const struct node *interpolate_node(struct report *report, const struct node *node,
                                    const struct variables *variables, size_t *n_bytes);
