#pragma once

/* Tables of text as docker prints them: upper-case headings, columns three spaces apart.
 *
 *     table_init(&table, &arena, (const char *const[]){"NAME", "STATUS", NULL});
 *     table_cell(&table, name);
 *     table_cell_coloured(&table, COLOUR_GREEN, "running");
 *     table_print(&table, &out, context->stdout_colour ? TABLE_COLOUR : 0);
 */

#include <stddef.h>

#include "engine/cli/colour.h"

struct arena;
struct buf;

struct table_cell {
    const char *text;
    enum colour colour;
};

struct table {
    struct arena *arena;
    const char *const *headings; /* borrowed */
    size_t n_columns;
    struct table_cell *cells; /* row by row, in the arena */
    size_t n_cells;
    size_t capacity;
};

enum table_flags { TABLE_COLOUR = 1, TABLE_NO_HEADINGS = 2 };

void table_init(struct table *table, struct arena *arena, const char *const *headings);

/* Cells fill rows from left to right. Text is copied into the arena; control characters become '?':
 * names from outside must not steer the terminal. NULL prints as nothing. */
void table_cell(struct table *table, const char *text);
void table_cell_coloured(struct table *table, enum colour colour, const char *text);
void table_cell_printf(struct table *table, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

size_t table_rows(const struct table *table);
void table_print(const struct table *table, struct buf *out, unsigned flags);
