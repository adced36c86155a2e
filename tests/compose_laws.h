#pragma once

/* What must hold for the loader of Compose files whatever it is given: for tests/fuzz and
 * tests/property. A law returns NULL, or what is broken (arena-owned). */

#include <stdbool.h>
#include <stddef.h>

#include "compose/file/load.h"
#include "compose/file/project.h"

struct arena;
struct buf;
struct node;

/* ---- whole projects ---------------------------------------------------------------------------
 */

/* Everything is named in the files: an error without a line is one about nothing. */
enum law_flags { LAW_ANY_PLACE = 0, LAW_ERRORS_HAVE_LINES = 1 << 0 };

/* The project loads, or there is an error. What loads prints; what is printed loads, and prints the
 * same: as YAML and as JSON. Messages point into their files and have no control characters. *ret
 * (may be NULL) is the project, NULL when it was refused. */
const char *law_loads_again(struct arena *arena, const struct project_options *options,
                            unsigned flags, const struct project **ret);

/* With its history the project prints the same, and every value of it is explained as what is
 * printed there, by a step that counts. For options that load. */
const char *law_everything_is_explained(struct arena *arena, const struct project_options *options,
                                        const struct project *project);

/* project_load() of `text`, from memory, with everything but the file as in `options`. */
int load_text(struct arena *arena, const struct project_options *options, struct str text,
              const struct project **ret, struct diagnostics *ret_diagnostics, struct error *err);

/* ---- trees, before they are bound -------------------------------------------------------------
 */

/* Documents that are in long form. Its report has what is wrong with them. */
struct trees {
    struct load load;
    struct project_options options;
};
#define cleanup_trees __attribute__((cleanup(trees_release)))
void trees_init(struct trees *trees, struct arena *arena);
void trees_release(struct trees *trees);
/* The first document of a text: interpolated, in long form. NULL: there is none, or it has errors.
 */
const struct node *trees_read(struct trees *trees, struct str text);

/* The long form of a long form is itself. */
const char *law_long_form_stays(struct trees *trees, const struct node *tree);
/* What two documents merge to is in long form, without doubles in lists, and without tags. */
const char *law_merged_is_long(struct trees *trees, const struct node *base,
                               const struct node *over);
/* Nothing merged over `tree`, null over its sections and what they name, and `tree` over nothing,
 * is `tree` without its tags. */
const char *law_nothing_changes_nothing(struct trees *trees, const struct node *tree);
/* (a, b), c is a, (b, c): for trees without tags, types that clash, ipam.config and values that are
 * a mapping here and a scalar there (ulimits), for which the reference wants it otherwise. */
const char *law_merge_is_associative(struct trees *trees, const struct node *a,
                                     const struct node *b, const struct node *c);
