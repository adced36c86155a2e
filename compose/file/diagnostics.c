/* Printing diagnostics: place, message, the line itself, a caret, the hint. */

#include <string.h>

#include "compose/file/excerpt.h"
#include "compose/file/project.h"
#include "engine/base/buf.h"

struct palette {
    const char *error;
    const char *warning;
    const char *place;
    const char *caret;
    const char *reset;
};

static const struct palette palettes[] = {
    [DIAGNOSTICS_PLAIN] = {"", "", "", "", ""},
    [DIAGNOSTICS_COLOUR] = {"\033[1;31m", "\033[1;33m", "\033[1m", "\033[1;32m", "\033[0m"},
};

static void print_one(struct buf *out, const struct diagnostics *all,
                      const struct diagnostic *diagnostic, const struct palette *palette,
                      struct excerpt_cursor *cursor)
{
    bool is_error = diagnostic->severity == SEVERITY_ERROR;
    const struct source *source =
        diagnostic->span.file < all->n_sources ? &all->sources[diagnostic->span.file] : NULL;
    struct str line;

    if (source && diagnostic->span.line > 0)
        buf_printf(out, "%s%s:%u:%u:%s ", palette->place, source->name, diagnostic->span.line,
                   diagnostic->span.column, palette->reset);
    buf_printf(out, "%s%s:%s %s\n", is_error ? palette->error : palette->warning,
               is_error ? "error" : "warning", palette->reset, diagnostic->message);
    if (source && diagnostic->span.line > 0 &&
        excerpt_find(source, diagnostic->span, cursor, &line))
        excerpt_print(out, line, diagnostic->span.column,
                      &(struct excerpt_style){4, false, palette->caret, palette->reset});
    if (diagnostic->hint)
        buf_printf(out, "    hint: %s\n", diagnostic->hint);
}

void diagnostics_print(struct buf *out, const struct diagnostics *diagnostics,
                       enum diagnostics_colour colour)
{
    struct excerpt_cursor cursor = {0};
    size_t n_kept = 0;

    for (size_t i = 0; i < diagnostics->n; i++) {
        print_one(out, diagnostics, &diagnostics->items[i], &palettes[colour], &cursor);
        n_kept += diagnostics->items[i].severity == SEVERITY_ERROR;
    }
    if (diagnostics->n_errors > n_kept)
        buf_printf(out, "and %zu more errors\n", diagnostics->n_errors - n_kept);
}
