/* IPv4 addresses and prefixes. */

#include "engine/network/ipv4.h"

#include <stdio.h>

#include "engine/base/error.h"
#include "engine/base/units.h"

int ipv4_parse(struct str text, uint32_t *ret, struct error *err)
{
    uint32_t address = 0;
    struct str rest = text;

    for (int i = 0; i < 4; i++) {
        struct str part;
        uint64_t value;
        bool has_more = str_cut(rest, '.', &part, &rest);

        if (has_more != (i < 3) || part.len > 3 || (part.len > 1 && part.data[0] == '0') ||
            parse_u64(part, 0, 255, &value, NULL) < 0)
            return error_set(err, ERROR_INVALID, "\"" STR_FMT "\" is not an IPv4 address",
                             STR_ARG(text));
        address = address << 8 | (uint32_t)value;
    }
    *ret = address;
    return 0;
}

void ipv4_print(uint32_t address, char ret_text[static IPV4_TEXT_SIZE])
{
    (void)snprintf(ret_text, IPV4_TEXT_SIZE, "%u.%u.%u.%u", address >> 24, address >> 16 & 255,
                   address >> 8 & 255, address & 255); /* 15 characters at most */
}

uint32_t ipv4_prefix_mask(uint8_t length)
{
    return length == 0 ? 0 : UINT32_MAX << (32 - length);
}

int ipv4_prefix_parse(struct str text, struct ipv4_prefix *ret, struct error *err)
{
    struct str head, tail;
    uint64_t length;
    struct ipv4_prefix prefix;

    if (!str_cut(text, '/', &head, &tail) || ipv4_parse(head, &prefix.address, NULL) < 0 ||
        parse_u64(tail, 0, 32, &length, NULL) < 0)
        return error_set(err, ERROR_INVALID, "\"" STR_FMT "\" is not an IPv4 subnet",
                         STR_ARG(text));
    prefix.length = (uint8_t)length;
    if ((prefix.address & ~ipv4_prefix_mask(prefix.length)) != 0) {
        char base[IPV4_TEXT_SIZE];

        ipv4_print(prefix.address & ipv4_prefix_mask(prefix.length), base);
        return error_set(err, ERROR_INVALID, "subnet \"" STR_FMT "\" has host bits set: use %s/%u",
                         STR_ARG(text), base, prefix.length);
    }
    *ret = prefix;
    return 0;
}

void ipv4_prefix_print(struct ipv4_prefix prefix, char ret_text[static IPV4_PREFIX_TEXT_SIZE])
{
    char base[IPV4_TEXT_SIZE];

    ipv4_print(prefix.address, base);
    (void)snprintf(ret_text, IPV4_PREFIX_TEXT_SIZE, "%s/%u", base, prefix.length);
}

bool ipv4_prefix_contains(struct ipv4_prefix prefix, uint32_t address)
{
    return (address & ipv4_prefix_mask(prefix.length)) == prefix.address;
}

bool ipv4_prefixes_overlap(struct ipv4_prefix a, struct ipv4_prefix b)
{
    uint8_t shorter = a.length < b.length ? a.length : b.length;

    return ((a.address ^ b.address) & ipv4_prefix_mask(shorter)) == 0;
}

uint32_t ipv4_prefix_last(struct ipv4_prefix prefix)
{
    return prefix.address | ~ipv4_prefix_mask(prefix.length);
}
