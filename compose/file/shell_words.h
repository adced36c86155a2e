#pragma once

/* A command written as one string → its words (compose.md 3.6; private to compose/file). */

#include "engine/base/str.h"

struct arena;
struct error;

/* White space splits, '…' is literal, "…" and a backslash outside quotes escape; no expansion.
 * An unquoted ; & | < > ends the command, as in Compose: *ret_stopped is then that character, else
 * 0. */
int shell_words_split(struct arena *arena, const char *text, struct strings *ret, char *ret_stopped,
                      struct error *err);
