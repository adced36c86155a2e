#pragma once

/* The uncompressed bytes of an archive, whatever it was compressed with, and their SHA-256.
 *
 * A thread of its own reads, inflates and hashes, a few blocks ahead of who takes the bytes. The
 * worker is the one program of ours with threads. */

#include <stddef.h>
#include <stdint.h>

#include "engine/base/sha256.h"

struct error;
struct stream;

/* `fd` is borrowed and read to its end. What is compressed in no way we know is taken as it is. */
int stream_open(int fd, struct stream **ret, struct error *err);
void stream_close(struct stream *stream); /* NULL is fine; stops the thread */

/* Next block: borrowed until the next call. *ret_len = 0 at the end. */
int stream_read(struct stream *stream, const void **ret_data, size_t *ret_len, struct error *err);
/* Read to the end, then say what the whole was: "sha256:…". */
int stream_finish(struct stream *stream, char ret_digest[static DIGEST_TEXT_SIZE],
                  struct error *err);
/* Bytes taken out of `fd` so far, for progress. */
uint64_t stream_position(struct stream *stream);
