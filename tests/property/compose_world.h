#pragma once

/* Random Compose files: what is in them comes from a table of samples, one row for each key. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

struct dice {
    uint64_t state;
};
uint32_t dice_below(struct dice *dice, uint32_t n);
bool dice_one_in(struct dice *dice, uint32_t n);

enum file_flags {
    FILE_TAGS = 1 << 0,     /* !reset and !override on some values */
    FILE_REGULAR = 1 << 1,  /* without the keys whose merging is not associative */
    FILE_PART = 1 << 2,     /* of an override file: few keys */
    FILE_HONOURED = 1 << 3, /* without keys that up refuses */
};

/* A file of up to four services. The same `content` makes the same file; `order` is that of the
 * keys in its mappings. */
void file_print(struct buf *out, uint64_t content, uint64_t order, unsigned flags);

/* There is a sample of a service's key. */
bool file_has_sample(const char *service_key);
