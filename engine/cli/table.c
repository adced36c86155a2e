/* Tables of text. */

#include "engine/cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/cli/text.h"

enum { COLUMN_GAP = 3 };

void table_init(struct table *table, struct arena *arena, const char *const *headings)
{
    *table = (struct table){.arena = arena, .headings = headings};
    while (headings[table->n_columns])
        table->n_columns++;
    assert(table->n_columns > 0);
}

static void table_add(struct table *table, struct table_cell cell)
{
    if (table->n_cells == table->capacity) {
        size_t capacity = table->capacity ? table->capacity * 2 : 64;
        struct table_cell *cells = arena_new_array(table->arena, struct table_cell, capacity);

        if (table->n_cells)
            memcpy(cells, table->cells, table->n_cells * sizeof(*cells));
        table->cells = cells;
        table->capacity = capacity;
    }
    table->cells[table->n_cells++] = cell;
}

void table_cell_coloured(struct table *table, enum colour colour, const char *text)
{
    char *copy = arena_strdup(table->arena, text ? text : "");

    text_clean(copy, "");
    table_add(table, (struct table_cell){copy, colour});
}

void table_cell(struct table *table, const char *text)
{
    table_cell_coloured(table, COLOUR_NONE, text);
}

void table_cell_printf(struct table *table, const char *fmt, ...)
{
    cleanup_buf struct buf text = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    table_cell(table, buf_text(&text));
}

size_t table_rows(const struct table *table)
{
    return table->n_cells / table->n_columns;
}

static void print_cell(struct buf *out, struct table_cell cell, size_t width, bool is_last,
                       unsigned flags)
{
    enum colour colour = flags & TABLE_COLOUR ? cell.colour : COLOUR_NONE;

    buf_printf(out, "%s%s%s", colour_start(colour), cell.text, colour_end(colour));
    if (!is_last)
        buf_printf(out, "%*s", (int)(width - text_columns(cell.text) + COLUMN_GAP), "");
}

void table_print(const struct table *table, struct buf *out, unsigned flags)
{
    size_t *widths = arena_new_array(table->arena, size_t, table->n_columns);
    size_t n = table->n_columns;

    assert(table->n_cells % n == 0);
    for (size_t column = 0; column < n; column++)
        widths[column] = flags & TABLE_NO_HEADINGS ? 0 : text_columns(table->headings[column]);
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t width = text_columns(table->cells[i].text);

        widths[i % n] = width > widths[i % n] ? width : widths[i % n];
    }

    for (size_t i = 0; i < n && !(flags & TABLE_NO_HEADINGS); i++) {
        print_cell(out, (struct table_cell){table->headings[i], COLOUR_NONE}, widths[i], i + 1 == n,
                   flags);
        if (i + 1 == n)
            buf_add_char(out, '\n');
    }
    for (size_t i = 0; i < table->n_cells; i++) {
        bool is_last = i % n + 1 == n;

        print_cell(out, table->cells[i], widths[i % n], is_last, flags);
        if (is_last)
            buf_add_char(out, '\n');
    }
}
