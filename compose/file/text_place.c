#include "compose/file/text_place.h"

#include <string.h>

#include "compose/file/excerpt.h"
#include "compose/file/node.h"
#include "compose/file/project.h"

/* Characters of the line's first n bytes. */
static uint32_t count_characters(struct str line, size_t n)
{
    uint32_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)line.data[i] & 0xc0) != 0x80;
    return count;
}

static size_t count_spaces(const char *data, size_t len)
{
    size_t n = 0;

    while (n < len && data[n] == ' ')
        n++;
    return n;
}

/* The text up to and with `at` stands in the line, from byte `start` on. */
static bool stands_at(struct str line, size_t start, const char *text, const char *at)
{
    size_t len = (size_t)(at - text) + 1;

    return start <= line.len && line.len - start >= len &&
           memcmp(line.data + start, text, len) == 0;
}

/* Each line of a literal block is a line of the text, behind the block's indentation. */
static struct span place_in_block(const struct source *source, const struct node *node,
                                  const char *at, struct excerpt_cursor *cursor)
{
    struct span span = {.file = node->span.file, .line = node->span.line + 1};
    const char *start = node->text;
    struct str line;
    size_t indent;
    size_t n_own;

    for (const char *c = node->text; c < at; c++) {
        if (*c == '\n') {
            start = c + 1;
            span.line++;
        }
    }
    if (!excerpt_find(source, span, cursor, &line))
        return node->span;
    n_own = count_spaces(start, node->text_len - (size_t)(start - node->text));
    indent = count_spaces(line.data, line.len);
    if (indent < n_own || !stands_at(line, indent - n_own, start, at))
        return node->span;
    indent -= n_own;
    span.column = count_characters(line, indent + (size_t)(at - start) + 1);
    return span;
}

struct span text_place(const struct source *source, const struct node *node, const char *at)
{
    struct excerpt_cursor cursor = {0};
    struct span span = node->span;
    struct str line;
    size_t start;

    if (!excerpt_find(source, span, &cursor, &line))
        return span;
    start = excerpt_skip(line, span.column - 1);
    if (start < line.len && line.data[start] == '|')
        return place_in_block(source, node, at, &cursor);
    if (start < line.len && (line.data[start] == '"' || line.data[start] == '\''))
        start++;
    if (stands_at(line, start, node->text, at))
        span.column = count_characters(line, start + (size_t)(at - node->text) + 1);
    return span;
}
