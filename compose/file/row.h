#pragma once

/* How rows of the tables are written (private to the shapes_*.c). */

#include "compose/file/field.h"

#define FIELD(key, ...)                                                                            \
    {                                                                                              \
        .name = {key, sizeof(key) - 1}, __VA_ARGS__                                                \
    }
#define LATER(key)                                                                                 \
    {                                                                                              \
        .name = { key, sizeof(key) - 1 }                                                           \
    }
#define SHAPE_OF(fields_, ...)                                                                     \
    {                                                                                              \
        .fields = (fields_), .n_fields = sizeof(fields_) / sizeof((fields_)[0]), __VA_ARGS__       \
    }
