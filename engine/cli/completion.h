#pragma once

/* Completions for shells, from the tables. Arguments named SERVICE complete by asking
 * `ROOT config --services`; values named FILE and DIR complete as such; choices by their words. */

struct buf;
struct cli_verb;

void cli_print_completion_bash(struct buf *out, const struct cli_verb *root);
void cli_print_completion_zsh(struct buf *out, const struct cli_verb *root);
