#pragma once

/* Random names. */

#include <stddef.h>

void random_hex(char *ret_hex, size_t n_digits); /* getrandom; ret_hex has n_digits + 1 bytes */
