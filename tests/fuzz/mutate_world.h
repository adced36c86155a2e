#pragma once

/* Mutations that know what a Compose file is made of: lines, keys, subtrees, tags, values. Shared
 * by the fuzzers of compose/file. */

#include <stddef.h>
#include <stdint.h>

#include "engine/base/str.h"

/* One random mutation of `text` (room for `max` bytes), or what libFuzzer does to bytes. Returns
 * the new size. */
size_t mutate_yaml(uint8_t *text, size_t size, size_t max, unsigned seed);

/* A subtree of `other` put into `text`, the result into `out`. Returns its size. */
size_t mutate_splice(struct str text, struct str other, uint8_t *out, size_t max, unsigned seed);

/* Every key of the tables, as libFuzzer reads a dictionary, to stdout. */
void mutate_print_dictionary(void);
