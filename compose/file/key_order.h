#pragma once

/* The order that mappings are printed in (private to compose/file). */

/* As people sort: "A9" before "A10", letters behind everything else; yaml.v3's order. Negative, 0
 * or positive; 0 only for equal keys. */
int compare_keys_naturally(const char *a, const char *b);
