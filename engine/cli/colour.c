/* Colours of a terminal. */

#include "engine/cli/colour.h"

#include <assert.h>
#include <string.h>

static const char *const starts[] = {
    [COLOUR_NONE] = "",
    [COLOUR_BOLD] = "\033[1m",
    [COLOUR_DIM] = "\033[2m",
    [COLOUR_RED] = "\033[31m",
    [COLOUR_GREEN] = "\033[32m",
    [COLOUR_YELLOW] = "\033[33m",
    [COLOUR_BLUE] = "\033[34m",
    [COLOUR_MAGENTA] = "\033[35m",
    [COLOUR_CYAN] = "\033[36m",
    [COLOUR_BRIGHT_GREEN] = "\033[92m",
    [COLOUR_BRIGHT_YELLOW] = "\033[93m",
    [COLOUR_BRIGHT_BLUE] = "\033[94m",
    [COLOUR_BRIGHT_MAGENTA] = "\033[95m",
    [COLOUR_BRIGHT_CYAN] = "\033[96m",
};
static_assert(sizeof(starts) / sizeof(starts[0]) == COLOURS, "every colour has its sequence");

static const enum colour log_palette[] = {
    COLOUR_CYAN,           COLOUR_YELLOW,      COLOUR_GREEN,         COLOUR_MAGENTA,
    COLOUR_BLUE,           COLOUR_BRIGHT_CYAN, COLOUR_BRIGHT_YELLOW, COLOUR_BRIGHT_GREEN,
    COLOUR_BRIGHT_MAGENTA, COLOUR_BRIGHT_BLUE,
};

static bool is_set(const char *value)
{
    return value && value[0] != '\0';
}

bool colour_is_wanted(bool is_tty, const char *no_color, const char *clicolor_force)
{
    if (is_set(no_color))
        return false;
    if (is_set(clicolor_force) && strcmp(clicolor_force, "0") != 0)
        return true;
    return is_tty;
}

const char *colour_start(enum colour colour)
{
    return starts[colour];
}

const char *colour_end(enum colour colour)
{
    return colour == COLOUR_NONE ? "" : "\033[0m";
}

enum colour colour_for_log(size_t index)
{
    return log_palette[index % (sizeof(log_palette) / sizeof(log_palette[0]))];
}
