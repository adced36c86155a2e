#include "compose/file/excerpt.h"

#include <string.h>

#include "compose/file/project.h"
#include "engine/base/buf.h"

enum { EXCERPT_MAX = 160 };

bool excerpt_find(const struct source *source, struct span span, struct excerpt_cursor *cursor,
                  struct str *ret)
{
    const char *data = source->text.data;
    size_t len = source->text.len;
    const char *end;

    if (cursor->file != span.file || cursor->line > span.line || cursor->line == 0)
        *cursor = (struct excerpt_cursor){.file = span.file, .line = 1};
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

size_t excerpt_skip(struct str line, size_t n)
{
    size_t i = 0;

    while (i < line.len && n > 0) {
        for (i++; i < line.len && ((unsigned char)line.data[i] & 0xc0) == 0x80;)
            i++;
        n--;
    }
    return i;
}

/* The bytes of the character at the front; what a terminal would act on is a '?'. */
static size_t print_character(struct buf *out, struct str text)
{
    unsigned char first = (unsigned char)text.data[0];
    unsigned char second = text.len > 1 ? (unsigned char)text.data[1] : 0;
    size_t n = excerpt_skip(text, 1);

    if (first == '\t')
        buf_add_char(out, ' ');
    else if (first < 0x20 || first == 0x7f || (first == 0xc2 && second < 0xa0)) /* C0 and C1 */
        buf_add_char(out, '?');
    else
        buf_add(out, text.data, n);
    return n;
}

/* Spaces at the front that stand before the column. */
static uint32_t count_spaces(struct str line, uint32_t column)
{
    uint32_t n = 0;

    while (n < line.len && n + 1 < column && line.data[n] == ' ')
        n++;
    return n;
}

void excerpt_print(struct buf *out, struct str line, uint32_t column,
                   const struct excerpt_style *style)
{
    uint32_t n_spaces = style->is_trimmed ? count_spaces(line, column) : 0;
    size_t n_hidden;
    size_t start;
    size_t end;
    size_t n = 0;

    if (str_ends_with(line, "\r"))
        line.len--;
    line = (struct str){line.data + n_spaces, line.len - n_spaces};
    column -= n_spaces;
    n_hidden = column > EXCERPT_MAX ? column - EXCERPT_MAX / 2 : 0;
    start = excerpt_skip(line, n_hidden);
    line = (struct str){line.data + start, line.len - start};
    end = excerpt_skip(line, EXCERPT_MAX);
    buf_printf(out, n_hidden > 0 ? "%*s…" : "%*s ", style->indent - 1, "");
    for (size_t i = 0; i < end; n++)
        i += print_character(out, (struct str){line.data + i, line.len - i});
    buf_add_text(out, end < line.len ? "…\n" : "\n");
    if (column == 0 || column - n_hidden > n + 1)
        return;
    buf_printf(out, "%*s%s^%s\n", style->indent + (int)(column - n_hidden - 1), "", style->caret,
               style->reset);
}
