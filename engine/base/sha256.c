/* SHA-256 by libmd, and digests. */

#include "engine/base/sha256.h"

#include <errno.h>
#include <sha2.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/error.h"

struct sha256_state {
    SHA2_CTX context;
};

static const char hex_digits[] = "0123456789abcdef";

void sha256_release(struct sha256 *hash)
{
    int saved = errno;

    free(hash->state);
    hash->state = NULL;
    errno = saved;
}

void sha256_init(struct sha256 *hash)
{
    if (!hash->state)
        hash->state = x_alloc(sizeof(*hash->state));
    SHA256Init(&hash->state->context);
}

void sha256_add(struct sha256 *hash, const void *data, size_t len)
{
    if (len)
        SHA256Update(&hash->state->context, data, len);
}

void sha256_add_text(struct sha256 *hash, const char *text)
{
    sha256_add(hash, text, strlen(text) + 1);
}

void sha256_end_hex(struct sha256 *hash, char ret_hex[static SHA256_HEX_SIZE])
{
    uint8_t bytes[SHA256_BYTES];

    SHA256Final(bytes, &hash->state->context);
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        ret_hex[2 * i] = hex_digits[bytes[i] >> 4];
        ret_hex[2 * i + 1] = hex_digits[bytes[i] & 15];
    }
    ret_hex[SHA256_HEX_SIZE - 1] = '\0';
    sha256_release(hash);
}

void sha256_hex(const void *data, size_t len, char ret_hex[static SHA256_HEX_SIZE])
{
    cleanup_sha256 struct sha256 hash = SHA256_INIT;

    sha256_init(&hash);
    sha256_add(&hash, data, len);
    sha256_end_hex(&hash, ret_hex);
}

bool digest_is_valid(const char *digest)
{
    static const char prefix[] = "sha256:";
    const size_t n_prefix = sizeof(prefix) - 1;

    if (strncmp(digest, prefix, n_prefix) != 0)
        return false;
    digest += n_prefix;
    return strspn(digest, hex_digits) == SHA256_HEX_SIZE - 1 && digest[SHA256_HEX_SIZE - 1] == '\0';
}
