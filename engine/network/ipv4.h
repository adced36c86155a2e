#pragma once

/* IPv4 addresses and prefixes as numbers in host order. Pure. */

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/str.h"

struct error;

struct ipv4_prefix {
    uint32_t address; /* host order, host bits zero */
    uint8_t length;   /* 0…32 */
};

enum { IPV4_TEXT_SIZE = 16, IPV4_PREFIX_TEXT_SIZE = 20 };

int ipv4_parse(struct str text, uint32_t *ret, struct error *err);
void ipv4_print(uint32_t address, char ret_text[static IPV4_TEXT_SIZE]);

/* "10.5.0.0/24". Host bits that are set are refused. */
int ipv4_prefix_parse(struct str text, struct ipv4_prefix *ret, struct error *err);
void ipv4_prefix_print(struct ipv4_prefix prefix, char ret_text[static IPV4_PREFIX_TEXT_SIZE]);

uint32_t ipv4_prefix_mask(uint8_t length);
bool ipv4_prefix_contains(struct ipv4_prefix prefix, uint32_t address);
bool ipv4_prefixes_overlap(struct ipv4_prefix a, struct ipv4_prefix b);
uint32_t ipv4_prefix_last(struct ipv4_prefix prefix); /* the broadcast address */
