#pragma once

/* The only user of libseccomp: profile → BPF program. Takes some ms; the keeper never calls it.
 * Private to engine/security. */

#include <stdint.h>

struct buf;
struct error;

/* Appends struct sock_filter[] to `ret_program`. */
int seccomp_compile(uint64_t bounding_set, struct buf *ret_program, struct error *err);

/* "libseccomp-2.5.4-x86_64": what the result depends on besides the set and the profile. */
extern const char seccomp_compiler_name[];
