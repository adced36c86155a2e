#pragma once

/* The JSON Schema of Compose files (draft 2020-12), for editors: schemas/compose.json. */

struct buf;

/* What the tables of keys say, in their order: the same tables that check what is loaded. */
void compose_schema_print(struct buf *out);
