#pragma once

/* Colours of a terminal. Whether they are wanted is decided once, by whoever knows the environment.
 */

#include <stdbool.h>
#include <stddef.h>

enum colour {
    COLOUR_NONE,
    COLOUR_BOLD,
    COLOUR_DIM,
    COLOUR_RED,
    COLOUR_GREEN,
    COLOUR_YELLOW,
    COLOUR_BLUE,
    COLOUR_MAGENTA,
    COLOUR_CYAN,
    COLOUR_BRIGHT_GREEN,
    COLOUR_BRIGHT_YELLOW,
    COLOUR_BRIGHT_BLUE,
    COLOUR_BRIGHT_MAGENTA,
    COLOUR_BRIGHT_CYAN,
    COLOURS,
};

/* @no_color, @clicolor_force: the variables' values, NULL if unset. NO_COLOR wins (no-color.org:
 * when set and not empty). */
bool colour_is_wanted(bool is_tty, const char *no_color, const char *clicolor_force);

const char *colour_start(enum colour colour); /* "" for COLOUR_NONE */
const char *colour_end(enum colour colour);   /* "" for COLOUR_NONE */

/* Colours that tell log prefixes apart: neighbours differ; red is left to errors. */
enum colour colour_for_log(size_t index);
