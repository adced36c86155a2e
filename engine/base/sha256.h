#pragma once

/* SHA-256 (libmd) and digests in the form "sha256:<64 hex>". */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, SHA256_HEX_SIZE = 65, DIGEST_TEXT_SIZE = 72 };

struct sha256 {
    struct sha256_state *state; /* heap; NULL before init */
};

#define SHA256_INIT                                                                                \
    {                                                                                              \
        0                                                                                          \
    }
#define cleanup_sha256 __attribute__((cleanup(sha256_release)))
void sha256_release(struct sha256 *hash);

void sha256_init(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *data, size_t len);
void sha256_add_text(struct sha256 *hash,
                     const char *text); /* with its NUL, so that "a","b" != "ab","" */
void sha256_end_hex(struct sha256 *hash, char ret_hex[static SHA256_HEX_SIZE]);

void sha256_hex(const void *data, size_t len, char ret_hex[static SHA256_HEX_SIZE]);

bool digest_is_valid(const char *digest); /* "sha256:" + 64 lower-case hex digits */
