#pragma once

/* Decompression of whatever comes: gzip by igzip (twice as fast as zlib), zstd, xz, bzip2, lz4 and
 * plain bytes by libarchive's filters. No external program is ever run for a format. */

#include <stddef.h>
#include <stdint.h>

struct error;
struct inflate;

int inflate_open(int fd, struct inflate **ret, struct error *err); /* fd borrowed */
void inflate_close(struct inflate *inflate);                       /* NULL is fine */
/* Fills `data` as far as it can; *ret_len = 0 at the end. */
int inflate_read(struct inflate *inflate, void *data, size_t size, size_t *ret_len,
                 struct error *err);
uint64_t inflate_position(const struct inflate *inflate); /* compressed bytes read; any thread */
