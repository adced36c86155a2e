#pragma once

/* Where a part of a scalar's text stands in its file (private to compose/file). */

#include "engine/base/span.h"

struct node;
struct source;

/* The place of byte `at` of the scalar's text, where the text stands in the file as it is: on one
 * line, quoted or not, or in a literal block. Elsewhere (escapes, folded lines) where the scalar
 * begins. Looks through the file up to there. */
struct span text_place(const struct source *source, const struct node *node, const char *at);
