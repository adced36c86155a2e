#pragma once

/* How rows of the tables are written (private to the shapes_*.c): the key, what it is about, and
 * members of struct field. */

#include "compose/file/field.h"

#define FIELD(key, about_, ...)                                                                    \
    {                                                                                              \
        .name = {key, sizeof(key) - 1}, .about = (about_), __VA_ARGS__                             \
    }
/* Not honoured yet: loads, is checked and printed; `up` refuses it. */
#define KEPT(key, about_, ...) FIELD(key, about_, .state = FIELD_KEPT, __VA_ARGS__)
/* Means nothing on one Linux machine: loads, is checked and printed, with a warning. */
#define ELSEWHERE(key, about_, ...) FIELD(key, about_, .state = FIELD_ELSEWHERE, __VA_ARGS__)
#define SHAPE_OF(fields_, ...)                                                                     \
    {                                                                                              \
        .fields = (fields_), .n_fields = sizeof(fields_) / sizeof((fields_)[0]), __VA_ARGS__       \
    }

#define PLATFORM_PATTERN    "^[a-zA-Z0-9_.-]+(/[a-zA-Z0-9_.-]+){0,2}$"
#define MAC_ADDRESS_PATTERN "^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$"
