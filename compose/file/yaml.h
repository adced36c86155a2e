#pragma once

/* The bytes of one file → its documents as nodes (private to compose/file).
 *
 * YAML 1.2 core types, anchors, aliases, merge keys, !reset and !override. Everything an outsider
 * sizes is bounded: depth, number of nodes (aliases followed), number of anchors. */

#include <stddef.h>
#include <stdint.h>

#include "engine/base/vec.h"

struct node;
struct report;

enum { YAML_DOCUMENTS_MAX = 1000, YAML_ANCHORS_MAX = 2000 };

struct yaml_documents {
    const struct node **items;
    size_t n;
    size_t capacity;
};

/* Parse source number `file` of the report. Documents (without empty ones) are pushed to *ret, a
 * VEC the caller releases. Returns -1 when an error was reported that reading could not go past. */
int yaml_parse(struct report *report, uint32_t file, struct yaml_documents *ret);
