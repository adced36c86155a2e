/* Random names, by getrandom(2). */

#include "engine/base/random.h"

#include <errno.h>
#include <stdint.h>
#include <sys/random.h>

#include "engine/base/error.h"

static const char hex_digits[] = "0123456789abcdef";

void random_hex(char *ret_hex, size_t n_digits)
{
    for (size_t i = 0; i < n_digits;) {
        uint8_t bytes[64];
        ssize_t n = getrandom(bytes, sizeof(bytes), 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            BUG();
        for (ssize_t j = 0; j < n && i < n_digits; j++)
            ret_hex[i++] = hex_digits[bytes[j] & 15];
    }
    ret_hex[n_digits] = '\0';
}
