/* Device nodes of a container, and what may be done with devices. */

#include "engine/security/security.h"

#include <sys/stat.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/units.h"

enum { NODE_MODE = S_IFCHR | 0666, DEVICE_NUMBER_MAX = 0xfffff };

const struct device_node security_device_nodes[] = {
    {"null", NODE_MODE, 1, 3},   {"zero", NODE_MODE, 1, 5},    {"full", NODE_MODE, 1, 7},
    {"random", NODE_MODE, 1, 8}, {"urandom", NODE_MODE, 1, 9}, {"tty", NODE_MODE, 5, 0},
};
const size_t security_n_device_nodes =
    sizeof(security_device_nodes) / sizeof(*security_device_nodes);

/* Nodes of any kind may be made (a package manager unpacks them), but only these opened. */
const struct device_rule security_device_rules[] = {
    {'c', DEVICE_ANY_NUMBER, DEVICE_ANY_NUMBER, DEVICE_MKNOD},
    {'b', DEVICE_ANY_NUMBER, DEVICE_ANY_NUMBER, DEVICE_MKNOD},
    {'c', 1, 3, DEVICE_ALL},                   /* null */
    {'c', 1, 5, DEVICE_ALL},                   /* zero */
    {'c', 1, 7, DEVICE_ALL},                   /* full */
    {'c', 1, 8, DEVICE_ALL},                   /* random */
    {'c', 1, 9, DEVICE_ALL},                   /* urandom */
    {'c', 5, 0, DEVICE_ALL},                   /* tty */
    {'c', 5, 1, DEVICE_ALL},                   /* console */
    {'c', 5, 2, DEVICE_ALL},                   /* ptmx */
    {'c', 136, DEVICE_ANY_NUMBER, DEVICE_ALL}, /* pts/N */
};
const size_t security_n_device_rules =
    sizeof(security_device_rules) / sizeof(*security_device_rules);

static int parse_number(struct str text, int64_t *ret, struct error *err)
{
    if (str_is(text, "*")) {
        *ret = DEVICE_ANY_NUMBER;
        return 0;
    }
    return parse_i64(text, 0, DEVICE_NUMBER_MAX, ret, err);
}

static unsigned access_bit(char letter)
{
    switch (letter) {
    case 'r':
        return DEVICE_READ;
    case 'w':
        return DEVICE_WRITE;
    case 'm':
        return DEVICE_MKNOD;
    default:
        return 0;
    }
}

static int bad_rule(const char *text, struct error *err)
{
    return error_set(err, ERROR_INVALID,
                     "device rule \"%.100s\" isn't of the form \"c 10:200 rwm\" (a, b or c; "
                     "MAJOR:MINOR or *; of r, w, m)",
                     text);
}

int device_rule_parse(const char *text, struct device_rule *ret, struct error *err)
{
    struct str type, rest, numbers, access, major, minor;
    struct device_rule rule = {0};

    if (!str_cut(str_trim(str_from(text)), ' ', &type, &rest) ||
        !str_cut(str_trim(rest), ' ', &numbers, &access) || !str_cut(numbers, ':', &major, &minor))
        return bad_rule(text, err);

    access = str_trim(access);
    if (type.len != 1 || access.len == 0 || access.len > 3)
        return bad_rule(text, err);

    rule.type = type.data[0];
    if (rule.type != 'a' && rule.type != 'b' && rule.type != 'c')
        return bad_rule(text, err);
    if (parse_number(major, &rule.major, NULL) < 0 || parse_number(minor, &rule.minor, NULL) < 0)
        return bad_rule(text, err);

    for (size_t i = 0; i < access.len; i++) {
        unsigned bit = access_bit(access.data[i]);

        if (!bit)
            return bad_rule(text, err);
        rule.access |= bit;
    }
    *ret = rule;
    return 0;
}

static void print_number(struct buf *out, int64_t number)
{
    if (number == DEVICE_ANY_NUMBER)
        buf_add_char(out, '*');
    else
        buf_printf(out, "%lld", (long long)number);
}

void device_rule_print(struct buf *out, const struct device_rule *rule)
{
    buf_printf(out, "%c ", rule->type);
    print_number(out, rule->major);
    buf_add_char(out, ':');
    print_number(out, rule->minor);
    buf_printf(out, " %s%s%s", rule->access & DEVICE_READ ? "r" : "",
               rule->access & DEVICE_WRITE ? "w" : "", rule->access & DEVICE_MKNOD ? "m" : "");
}
