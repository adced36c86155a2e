#pragma once

/* The text of --help, from the tables. */

#include <stddef.h>

struct buf;
struct cli_option;
struct cli_verb;

/* @path: "berth image ls"; @columns: where to wrap. */
void cli_print_help(struct buf *out, const struct cli_verb *root, const struct cli_verb *verb,
                    const char *path, size_t columns);

/* "-d, --detach" or "    --scale SERVICE=N" */
void cli_print_option_name(struct buf *out, const struct cli_option *option);
/* Text broken at spaces; lines after the first begin with `indent` spaces. Ends with a newline. */
void cli_print_wrapped(struct buf *out, const char *text, size_t indent, size_t columns);
