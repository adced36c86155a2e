/* What plain scalars mean, and how their values are written. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compose/file/node.h"
#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"

static const struct {
    const char *text;
    enum node_type type;
} words[] = {
    {"~", NODE_NULL},     {"null", NODE_NULL},  {"Null", NODE_NULL},  {"NULL", NODE_NULL},
    {"true", NODE_BOOL},  {"True", NODE_BOOL},  {"TRUE", NODE_BOOL},  {"false", NODE_BOOL},
    {"False", NODE_BOOL}, {"FALSE", NODE_BOOL}, {".inf", NODE_FLOAT}, {".Inf", NODE_FLOAT},
    {".INF", NODE_FLOAT}, {".nan", NODE_FLOAT}, {".NaN", NODE_FLOAT}, {".NAN", NODE_FLOAT},
};

static struct str skip_sign(struct str text)
{
    if (text.len > 0 && (text.data[0] == '-' || text.data[0] == '+'))
        return (struct str){text.data + 1, text.len - 1};
    return text;
}

/* Behind the digits and underscores at `at`; *n_digits grows. */
static size_t skip_digits(struct str text, size_t at, size_t *n_digits)
{
    for (; at < text.len && (char_is_digit(text.data[at]) || text.data[at] == '_'); at++)
        *n_digits += text.data[at] != '_';
    return at;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?, and underscores among the digits. */
static bool is_float(struct str text)
{
    struct str s = skip_sign(text);
    size_t n_digits = 0;
    size_t n_exponent = 0;
    size_t i = skip_digits(s, 0, &n_digits);

    if (i < s.len && s.data[i] == '.')
        i = skip_digits(s, i + 1, &n_digits);
    if (n_digits == 0)
        return false;
    if (i < s.len && (s.data[i] == 'e' || s.data[i] == 'E')) {
        i++;
        if (i < s.len && (s.data[i] == '-' || s.data[i] == '+'))
            i++;
        i = skip_digits(s, i, &n_exponent);
        if (n_exponent == 0)
            return false;
    }
    return i == s.len;
}

double node_float_value(struct str text)
{
    cleanup_free char *copy = x_strndup(text.data, text.len);
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '_')
            copy[n++] = text.data[i];
    }
    copy[n] = 0;
    if (strpbrk(copy, "iI")) /* strtod doesn't know YAML's .inf and .nan */
        return copy[0] == '-' ? -(double)INFINITY : (double)INFINITY;
    return strpbrk(copy, "nN") ? (double)NAN : strtod(copy, NULL);
}

/* 1e400 fits no number: it is text, as for the reference, not infinity. */
static bool is_in_range(struct str text)
{
    if (text.len < 300 && !memchr(text.data, 'e', text.len) && !memchr(text.data, 'E', text.len))
        return true;
    return isfinite(node_float_value(text));
}

static int digit_value(char c)
{
    if (char_is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

/* The digits behind sign and prefix, and their base. */
static struct str int_digits(struct str text, unsigned *ret_base)
{
    struct str s = skip_sign(text);

    *ret_base = 10;
    if (s.len < 2 || s.data[0] != '0')
        return s;
    switch (s.data[1]) {
    case 'x':
    case 'X':
        *ret_base = 16;
        break;
    case 'o':
    case 'O':
        *ret_base = 8;
        break;
    case 'b':
    case 'B':
        *ret_base = 2;
        break;
    default:
        *ret_base = 8;
        return (struct str){s.data + 1, s.len - 1};
    }
    return (struct str){s.data + 2, s.len - 2};
}

/* Without the sign. */
static bool int_magnitude(struct str text, uint64_t *ret)
{
    unsigned base;
    struct str digits = int_digits(text, &base);
    size_t n_digits = 0;

    *ret = 0;
    for (size_t i = 0; i < digits.len; i++) {
        int digit = digit_value(digits.data[i]);

        if (digits.data[i] == '_')
            continue;
        if (digit >= (int)base || __builtin_mul_overflow(*ret, (uint64_t)base, ret) ||
            __builtin_add_overflow(*ret, (uint64_t)digit, ret))
            return false;
        n_digits++;
    }
    return n_digits > 0;
}

static bool is_negative(struct str text)
{
    return text.len > 0 && text.data[0] == '-';
}

bool node_int_value(struct str text, int64_t *ret)
{
    uint64_t magnitude;

    if (!int_magnitude(text, &magnitude) || magnitude > (uint64_t)INT64_MAX + is_negative(text))
        return false;
    *ret = is_negative(text) ? (int64_t)-magnitude : (int64_t)magnitude;
    return true;
}

/* Those beyond 64 bits are floats, as for the reference. */
static bool is_int(struct str text)
{
    uint64_t magnitude;

    return int_magnitude(text, &magnitude) &&
           (!is_negative(text) || magnitude <= (uint64_t)INT64_MAX + 1);
}

enum node_type node_type_of(struct str text)
{
    char first = text.len > 0 ? text.data[0] : '~';

    if (text.len == 0)
        return NODE_NULL;
    if (char_is_digit(first) || first == '-' || first == '+' || first == '.') {
        if (text.len > 1 || char_is_digit(first)) {
            if (first != '.' && is_int(text))
                return NODE_INT;
            if (is_float(text))
                return is_in_range(text) ? NODE_FLOAT : NODE_TEXT;
        }
        if (str_is(skip_sign(text), ".inf") || str_is(skip_sign(text), ".Inf") ||
            str_is(skip_sign(text), ".INF"))
            return NODE_FLOAT;
    }
    if (text.len > 5 || !strchr("~nNtTfF.", first))
        return NODE_TEXT;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (str_is(text, words[i].text))
            return words[i].type;
    }
    return NODE_TEXT;
}

bool node_bool_value(const char *text)
{
    return text[0] == 't' || text[0] == 'T';
}

/* "1.5e-03" → -3 */
static int exponent_of(const char *digits)
{
    const char *text = strchr(digits, 'e') + 1;
    int value = 0;

    for (const char *c = text + 1; *c; c++)
        value = value * 10 + (*c - '0');
    return *text == '-' ? -value : value;
}

struct float_names {
    const char *infinite;
    const char *minus_infinite;
    const char *not_a_number;
};

/* NULL of what is finite. */
static const char *float_name(const char *text, const struct float_names *names)
{
    if (strpbrk(text, "iI"))
        return text[0] == '-' ? names->minus_infinite : names->infinite;
    return strpbrk(text, "nN") ? names->not_a_number : NULL;
}

/* The shortest digits that read back; with an exponent where the number is smaller than `small`, or
 * not smaller than `large`. */
static char *finite_text(struct arena *arena, double value, double small, double large)
{
    double size = value < 0 ? -value : value;
    char digits[40];
    int precision = 1;
    int behind; /* the point */
    const char *first = value < 0 ? digits + 1 : digits;

    do {
        (void)snprintf(digits, sizeof(digits), "%.*e", precision - 1, value);
    } while (strtod(digits, NULL) != value && precision++ < 17);
    if (size != 0 && (size < small || size >= large))
        return arena_strdup(arena, digits);
    behind = precision - 1 - exponent_of(digits);
    if (behind < 0) /* "1.5e+03" → 1500 */
        return arena_printf(arena, "%s%c%.*s%0*d", value < 0 ? "-" : "", first[0], precision - 1,
                            first + 2, -behind, 0);
    return arena_printf(arena, "%.*f", behind, value);
}

/* As Go's %v prints a float64: 100000, 1e+06. */
static const char *float_text(struct arena *arena, const struct node *node,
                              const struct float_names *names)
{
    const char *name = float_name(node->text, names);

    if (name)
        return name;
    return finite_text(arena, node_float_value((struct str){node->text, node->text_len}), 1e-4,
                       1e6);
}

static const char *int_text(struct arena *arena, const struct node *node)
{
    struct str text = {node->text, node->text_len};
    uint64_t magnitude;

    if (!int_magnitude(text, &magnitude))
        return node->text;
    return arena_printf(arena, "%s%llu", is_negative(text) && magnitude > 0 ? "-" : "",
                        (unsigned long long)magnitude);
}

/* Read again it is the integer 0. */
static const char *without_minus_zero(const char *number)
{
    return strcmp(number, "-0") == 0 ? "0" : number;
}

const char *node_yaml_number(struct arena *arena, const struct node *node)
{
    static const struct float_names names = {".inf", "-.inf", ".nan"};

    return node->type == NODE_INT ? int_text(arena, node)
                                  : without_minus_zero(float_text(arena, node, &names));
}

/* ECMA-262's way, as Go's JSON: no exponent from 1e-6 to 1e21, and none with a leading zero. */
const char *node_json_number(struct arena *arena, const struct node *node)
{
    static const struct float_names names = {"", "", ""};
    char *text;
    char *zero;

    if (node->type == NODE_INT)
        return int_text(arena, node);
    if (float_name(node->text, &names))
        return NULL;
    text =
        finite_text(arena, node_float_value((struct str){node->text, node->text_len}), 1e-6, 1e21);
    zero = strstr(text, "e-0");
    if (zero)
        memmove(zero + 2, zero + 3, strlen(zero + 3) + 1);
    return without_minus_zero(text);
}

const char *node_scalar_text(struct arena *arena, const struct node *node)
{
    static const struct float_names names = {"+Inf", "-Inf", "NaN"};

    switch (node->type) {
    case NODE_NULL:
        return NULL;
    case NODE_BOOL:
        return node_bool_value(node->text) ? "true" : "false";
    case NODE_INT:
        return int_text(arena, node);
    case NODE_FLOAT:
        return float_text(arena, node, &names);
    case NODE_TEXT:
        return node->text;
    }
    BUG();
}
