/* Printing diagnostics: place, message, the line itself, a caret, the hint. */

#include <string.h>

#include "compose/file/project.h"
#include "engine/base/buf.h"

enum { EXCERPT_MAX = 160 };

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

/* Remembers where the last line began: diagnostics mostly come in order. */
struct line_cursor {
    uint32_t file;
    uint32_t line;
    size_t offset;
};

static bool find_line(const struct source *source, struct span span, struct line_cursor *cursor,
                      struct str *ret)
{
    const char *data = source->text.data;
    size_t len = source->text.len;
    const char *end;

    if (cursor->file != span.file || cursor->line > span.line || cursor->line == 0)
        *cursor = (struct line_cursor){.file = span.file, .line = 1};
    while (cursor->line < span.line) {
        end = memchr(data + cursor->offset, '\n', len - cursor->offset);
        if (!end)
            return false;
        cursor->offset = (size_t)(end - data) + 1;
        cursor->line++;
    }
    end = memchr(data + cursor->offset, '\n', len - cursor->offset);
    *ret = (struct str){data + cursor->offset, (end ? (size_t)(end - data) : len) - cursor->offset};
    return true;
}

static size_t skip_characters(struct str line, size_t n)
{
    size_t i = 0;

    while (i < line.len && n > 0) {
        for (i++; i < line.len && ((unsigned char)line.data[i] & 0xc0) == 0x80;)
            i++;
        n--;
    }
    return i;
}

/* The line with control bytes made visible as '?', and a caret below its column (in characters).
 * Of a long line, the part around the column. */
static void print_excerpt(struct buf *out, struct str line, uint32_t column,
                          const struct palette *palette)
{
    size_t n_hidden = column > EXCERPT_MAX ? column - EXCERPT_MAX / 2 : 0;
    size_t start = skip_characters(line, n_hidden);
    size_t end;
    size_t n = 0;

    line = (struct str){line.data + start, line.len - start};
    end = skip_characters(line, EXCERPT_MAX);
    buf_add_text(out, n_hidden > 0 ? "   …" : "    ");
    for (size_t i = 0; i < end && line.data[i] != '\r'; i++) {
        unsigned char c = (unsigned char)line.data[i];

        buf_add_char(out, c == '\t' ? ' ' : (c < 0x20 || c == 0x7f ? '?' : line.data[i]));
        n += (c & 0xc0) != 0x80;
    }
    buf_add_text(out, end < line.len && line.data[end] != '\r' ? "…\n" : "\n");
    if (column == 0 || column - n_hidden > n + 1)
        return;
    buf_printf(out, "    %*s%s^%s\n", (int)(column - n_hidden - 1), "", palette->caret,
               palette->reset);
}

static void print_one(struct buf *out, const struct diagnostics *all,
                      const struct diagnostic *diagnostic, const struct palette *palette,
                      struct line_cursor *cursor)
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
    if (source && diagnostic->span.line > 0 && find_line(source, diagnostic->span, cursor, &line))
        print_excerpt(out, line, diagnostic->span.column, palette);
    if (diagnostic->hint)
        buf_printf(out, "    hint: %s\n", diagnostic->hint);
}

void diagnostics_print(struct buf *out, const struct diagnostics *diagnostics,
                       enum diagnostics_colour colour)
{
    struct line_cursor cursor = {0};
    size_t n_kept = 0;

    for (size_t i = 0; i < diagnostics->n; i++) {
        print_one(out, diagnostics, &diagnostics->items[i], &palettes[colour], &cursor);
        n_kept += diagnostics->items[i].severity == SEVERITY_ERROR;
    }
    if (diagnostics->n_errors > n_kept)
        buf_printf(out, "and %zu more errors\n", diagnostics->n_errors - n_kept);
}
