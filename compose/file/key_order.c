/* yaml.v3's order of keys. Characters that are not ASCII count as letters. */

#include "compose/file/key_order.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/str.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

/* The number at `text`, continued from digits before it that count as `before`; wraps. */
static uint64_t number_at(const char *text, uint64_t before, size_t *ret_len)
{
    uint64_t value = before;
    size_t n = 0;

    while (char_is_digit(text[n]))
        value = value * 10 + (uint64_t)(text[n++] - '0');
    *ret_len = n;
    return value;
}

/* Zeros at the front of a number don't count, zeros within it do. */
static bool is_within_number(const char *key, size_t at)
{
    while (at > 0 && char_is_digit(key[at - 1])) {
        if (key[--at] != '0')
            return true;
    }
    return false;
}

/* From the first character that differs. */
static int compare_rest(const char *a, const char *b, size_t at)
{
    const char *left = a + at, *right = b + at;
    bool is_zero = *left == '0' || *right == '0';
    uint64_t before = is_zero && is_within_number(a, at) ? 1 : 0;
    size_t n_left, n_right;
    uint64_t number_left, number_right;

    if (is_letter(*left) && is_letter(*right))
        return (unsigned char)*left < (unsigned char)*right ? -1 : 1;
    if (is_letter(*left) || is_letter(*right)) {
        bool left_first = at > 0 && char_is_digit(a[at - 1]) ? is_letter(*left) : is_letter(*right);

        return left_first ? -1 : 1;
    }
    number_left = number_at(left, before, &n_left);
    number_right = number_at(right, before, &n_right);
    if (number_left != number_right)
        return number_left < number_right ? -1 : 1;
    if (n_left != n_right)
        return n_left < n_right ? -1 : 1;
    return (unsigned char)*left < (unsigned char)*right ? -1 : 1;
}

int compare_keys_naturally(const char *a, const char *b)
{
    size_t at = 0;

    while (a[at] && a[at] == b[at])
        at++;
    if (!a[at] || !b[at])
        return (a[at] != 0) - (b[at] != 0);
    return compare_rest(a, b, at);
}
