#pragma once

/* Text on its way to a terminal. */

#include <stddef.h>

/* Columns that UTF-8 text takes on a terminal: its code points. */
size_t text_columns(const char *text);

/* Replace control characters (C0, DEL, and C1 as UTF-8) by '?', in place: names from outside must
 * not steer the terminal. @keep: characters that may stay, such as "\n". */
void text_clean(char *text, const char *keep);
