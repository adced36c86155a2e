#pragma once

/* What files don't say themselves: the variables of a template, defaults, options (private to
 * explain.c). */

#include <stdbool.h>

struct arena;
struct explain_step;
struct history;
struct history_definition;
struct node;
struct project;
struct strings;

/* Fill in the step's template and variables, if the node came from a template. */
void explain_templates(struct arena *arena, const struct history *history, const struct node *node,
                       struct explain_step *step);

/* The same for a line of an env file: from its text. */
void explain_line(struct arena *arena, const struct project *project,
                  const struct history_definition *line, struct explain_step *step);

/* A name without a value: the variable it takes its value from. `value` is what an included file's
 * environment gave it; NULL: the project's. */
void explain_inherited(struct arena *arena, const struct project *project, const char *name,
                       const char *value, struct explain_step *step);

/* The step that decides after all the files: an option over what is written (`is_written`), a
 * default where nothing is. `keys` is the path, items as "[]". false: there is none. */
bool explain_decision(struct arena *arena, const struct project *project,
                      const struct strings *keys, bool is_written, struct explain_step *ret);
