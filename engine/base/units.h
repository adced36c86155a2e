#pragma once

/* Numbers, durations and sizes as people write them. Parsers take the whole text or fail with
 * ERROR_INVALID that quotes it. */

#include <stddef.h>
#include <stdint.h>

#include "engine/base/str.h"

struct arena;
struct buf;
struct error;

int parse_u64(struct str text, uint64_t min, uint64_t max, uint64_t *ret, struct error *err);
int parse_i64(struct str text, int64_t min, int64_t max, int64_t *ret, struct error *err);

/* Go durations as Compose takes them: "1h30m", "1.5s", "100ms", "10us", "0". A bare number is
 * refused. */
int parse_duration_ns(struct str text, int64_t *ret_ns, struct error *err);

/* Byte sizes: "64m", "1gb", "2.5GiB", "1024", "10b"; units are powers of 1024 (go-units
 * RAMInBytes). */
int parse_bytes(struct str text, uint64_t *ret_bytes, struct error *err);

/* "1h30m0s" as Go prints durations (config output), and "2 minutes", "3 hours" as docker ps does.
 */
void print_duration_go(struct buf *out, int64_t ns);
void print_age(struct buf *out, int64_t ns);
void print_bytes(struct buf *out, uint64_t bytes); /* "1.5GiB" */

/* Signal names with or without "SIG", any case, or numbers 1…64. RTMIN+n too. Returns the number.
 */
int parse_signal(struct str text, int *ret_signal, struct error *err);
const char *signal_name(int signal); /* "SIGTERM"; "SIG?" if unknown */
