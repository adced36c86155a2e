#pragma once

/* The tables: every key of the Compose specification (private to compose/file). */

#include "compose/file/field.h"

/* The whole file; binds to struct model. */
extern const struct shape file_shape;
extern const struct field file_field; /* the root, for merging */

extern const struct shape extends_shape; /* struct extends (load.h) */
extern const struct shape service_shape; /* struct draft */
extern const struct shape network_shape; /* struct network */
extern const struct shape volume_shape;  /* struct volume */
