#pragma once

/* Man pages in mdoc, from the tables. */

struct buf;
struct cli_place;
struct cli_verb;
struct error;

/* The page of one verb. @date: "November 21, 2026", given so that builds are reproducible. */
void cli_print_man(struct buf *out, const struct cli_verb *root, const struct cli_place *place,
                   const char *date);

/* Every page into a directory: berth.1, berth-up.1, berth-image-ls.1. */
int cli_write_man(const struct cli_verb *root, int dirfd, const char *date, struct error *err);
