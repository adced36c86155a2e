#pragma once

/* Splitting the arguments of an instruction. Pure. */

#include "engine/base/str.h"

struct arena;

/* At white space, nothing else is special. */
struct strings words_split(struct arena *arena, struct str text);

/* At white space outside quotes; quotes and escapes stay in the words for the expansion. */
struct strings words_split_quoted(struct arena *arena, struct str text, char escape);

/* Blank as the Dockerfile format has it: space, tab, \v, \f, \r, \n. */
int word_is_blank(char c);
