/* Printing nodes as YAML and as JSON. */

#include "compose/file/emit.h"

#include <stdlib.h>
#include <string.h>

#include "compose/file/field.h"
#include "compose/file/interpolate.h"
#include "compose/file/key_order.h"
#include "compose/file/node.h"
#include "compose/file/scalar_style.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"

/* Longer ones are written as "? KEY" and ": VALUE"; YAML would allow 1024 bytes. */
enum { SIMPLE_KEY_MAX = 128 };

/* ---- YAML scalars -----------------------------------------------------------------------------
 */

static char short_escape(uint32_t character, const char *characters, const char *letters)
{
    const char *found =
        character > 0 && character < 0x80 ? strchr(characters, (int)character) : NULL;

    return found ? letters[found - characters] : 0;
}

static void print_yaml_escape(struct buf *out, uint32_t c)
{
    char letter = short_escape(c, "\a\b\t\n\v\f\r\033\"\\", "abtnvfre\"\\");

    if (letter)
        buf_printf(out, "\\%c", letter);
    else if (c == 0x85 || c == 0x2028 || c == 0x2029)
        buf_printf(out, "\\%c", c == 0x85 ? 'N' : c == 0x2028 ? 'L' : 'P');
    else if (c <= 0xff)
        buf_printf(out, "\\x%02X", c);
    else
        buf_printf(out, c <= 0xffff ? "\\u%04X" : "\\U%08X", c);
}

static void print_json_escape(struct buf *out, uint32_t c)
{
    char letter = short_escape(c, "\b\t\n\f\r\"\\", "btnfr\"\\");

    if (letter)
        buf_printf(out, "\\%c", letter);
    else
        buf_printf(out, "\\u%04x", c);
}

static bool is_yaml_special(uint32_t c)
{
    return c == '\n' || c == '\t' || character_is_special(c);
}

/* JSON wants less, but is read as YAML, too. */
static bool is_json_special(uint32_t c)
{
    return is_yaml_special(c) && c <= 0xffff;
}

/* Between double quotes. A byte that is no text is written as U+FFFD. */
static void print_quoted(struct buf *out, struct str text, bool (*is_special)(uint32_t),
                         void (*print_escape)(struct buf *, uint32_t))
{
    buf_add_char(out, '"');
    while (text.len > 0) {
        size_t len;
        uint32_t c = str_first_character(text, &len);

        if (c == '"' || c == '\\' || is_special(c))
            print_escape(out, c);
        else
            buf_add(out, text.data, len);
        text = (struct str){text.data + len, text.len - len};
    }
    buf_add_char(out, '"');
}

static void print_double(struct buf *out, struct str text)
{
    print_quoted(out, text, is_yaml_special, print_yaml_escape);
}

static void print_json_text(struct buf *out, struct str text)
{
    print_quoted(out, text, is_json_special, print_json_escape);
}

static void print_single(struct buf *out, struct str text)
{
    buf_add_char(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\'')
            buf_add_char(out, '\'');
        buf_add_char(out, text.data[i]);
    }
    buf_add_char(out, '\'');
}

static void print_indent(struct buf *out, size_t level)
{
    static const char spaces[] = "                                                                ";

    for (size_t n = level * 2; n > 0;) {
        size_t part = n < sizeof(spaces) - 1 ? n : sizeof(spaces) - 1;

        buf_add(out, spaces, part);
        n -= part;
    }
}

static void print_literal(struct buf *out, struct str text, size_t level)
{
    bool starts_blank = text.data[0] == ' ' || text.data[0] == '\n';
    bool has_end = text.data[text.len - 1] == '\n';
    bool has_more_ends = has_end && (text.len == 1 || text.data[text.len - 2] == '\n');
    struct str line;
    struct str rest = {text.data, text.len - has_end};

    buf_printf(out, "|%s%s", starts_blank ? "2" : "", has_more_ends ? "+" : has_end ? "" : "-");
    while (true) {
        struct str tail = {0};
        bool is_more = str_cut(rest, '\n', &line, &tail);

        buf_add_char(out, '\n');
        if (!is_more)
            line = rest;
        if (line.len > 0)
            print_indent(out, level);
        buf_add_str(out, line);
        if (!is_more)
            break;
        rest = tail;
    }
}

static void print_text(struct buf *out, struct str text, size_t level, bool is_key)
{
    switch (scalar_style_of(text, is_key)) {
    case STYLE_PLAIN:
        buf_add_str(out, text);
        break;
    case STYLE_SINGLE:
        print_single(out, text);
        break;
    case STYLE_DOUBLE:
        print_double(out, text);
        break;
    case STYLE_LITERAL:
        print_literal(out, text, level);
        break;
    }
}

struct printer {
    struct buf *out;
    enum dollars dollars;
    struct buf scratch;
    struct arena arena;
};

/* The node's text with every $ doubled: itself, or in `scratch`. */
static struct str double_dollars(struct printer *printer, const struct node *node)
{
    if (printer->dollars == DOLLARS_PLAIN || !memchr(node->text, '$', node->text_len))
        return (struct str){node->text, node->text_len};
    buf_clear(&printer->scratch);
    interpolate_escape(&printer->scratch, (struct str){node->text, node->text_len});
    return buf_str(&printer->scratch);
}

static void print_yaml_scalar(struct printer *printer, const struct node *node, size_t level)
{
    switch (node->type) {
    case NODE_NULL:
        buf_add_text(printer->out, "null");
        break;
    case NODE_BOOL:
        buf_add_text(printer->out, node_bool_value(node->text) ? "true" : "false");
        break;
    case NODE_INT:
    case NODE_FLOAT:
        buf_add_text(printer->out, node_yaml_number(&printer->arena, node));
        break;
    case NODE_TEXT:
        print_text(printer->out, double_dollars(printer, node), level, false);
        break;
    }
}

/* ---- order ------------------------------------------------------------------------------------
 */

static int compare_naturally(const void *a, const void *b)
{
    return compare_keys_naturally((*(const struct node_entry *const *)a)->key,
                                  (*(const struct node_entry *const *)b)->key);
}

static int compare_bytes(const void *a, const void *b)
{
    return strcmp((*(const struct node_entry *const *)a)->key,
                  (*(const struct node_entry *const *)b)->key);
}

/* The entries as they are printed: a list's as they are, a mapping's sorted; of one that has an
 * order of its own only the x-… at its end. */
static const struct node_entry **in_order(struct printer *printer, const struct node *node,
                                          int (*compare)(const void *, const void *))
{
    const struct node_entry **entries =
        arena_new_array(&printer->arena, const struct node_entry *, node->n + 1);
    size_t first = 0;

    for (size_t i = 0; i < node->n; i++)
        entries[i] = &node->entries[i];
    while (node->is_ordered && first < node->n && !key_is_extension(entries[first]->key))
        first++;
    if (node->kind == NODE_MAP && node->n - first > 1)
        qsort(entries + first, node->n - first, sizeof(entries[0]), compare);
    return entries;
}

/* ---- YAML -------------------------------------------------------------------------------------
 */

static void print_yaml(struct printer *printer, const struct node *node, size_t level,
                       bool is_after_dash);

static void print_yaml_value(struct printer *printer, const struct node *value, size_t level)
{
    if (value->kind == NODE_SCALAR || value->n == 0) {
        buf_add_char(printer->out, ' ');
        print_yaml(printer, value, level, false);
    } else {
        buf_add_char(printer->out, '\n');
        print_yaml(printer, value, level, false);
    }
}

static void print_yaml_entry(struct printer *printer, const struct node_entry *entry, size_t level)
{
    bool is_long = entry->key && strlen(entry->key) > SIMPLE_KEY_MAX;

    if (!entry->key) {
        buf_add_text(printer->out, "- ");
        print_yaml(printer, entry->value, level + 1, true);
        return;
    }
    buf_add_text(printer->out, is_long ? "? " : "");
    print_text(printer->out, str_from(entry->key), level, true);
    if (is_long) {
        buf_add_char(printer->out, '\n');
        print_indent(printer->out, level);
        buf_add_text(printer->out, ": ");
        print_yaml(printer, entry->value, level + 1, true);
    } else {
        buf_add_char(printer->out, ':');
        print_yaml_value(printer, entry->value, level + 1);
    }
}

/* Ends with a newline. The first line is not indented behind a dash. */
static void print_yaml(struct printer *printer, const struct node *node, size_t level,
                       bool is_after_dash)
{
    const struct node_entry **entries;

    if (node->kind == NODE_SCALAR) {
        print_yaml_scalar(printer, node, level);
        buf_add_char(printer->out, '\n');
        return;
    }
    if (node->n == 0) {
        buf_add_text(printer->out, node->kind == NODE_MAP ? "{}\n" : "[]\n");
        return;
    }
    entries = in_order(printer, node, compare_naturally);
    for (size_t i = 0; i < node->n; i++) {
        if (i > 0 || !is_after_dash)
            print_indent(printer->out, level);
        print_yaml_entry(printer, entries[i], level);
    }
}

void node_print_yaml(struct buf *out, const struct node *root, enum dollars dollars)
{
    struct printer printer = {.out = out, .dollars = dollars};

    print_yaml(&printer, root, 0, false);
    buf_release(&printer.scratch);
    arena_release(&printer.arena);
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static void print_json_scalar(struct printer *printer, const struct node *node)
{
    bool is_number = node->type == NODE_INT || node->type == NODE_FLOAT;
    const char *number = is_number ? node_json_number(&printer->arena, node) : NULL;

    if (node->type == NODE_TEXT)
        print_json_text(printer->out, double_dollars(printer, node));
    else if (is_number && !number) /* .inf */
        print_json_text(printer->out, str_from(node_yaml_number(&printer->arena, node)));
    else if (is_number)
        buf_add_text(printer->out, number);
    else
        print_yaml_scalar(printer, node, 0);
}

static void print_json(struct printer *printer, const struct node *node, size_t level)
{
    const char *brackets = node->kind == NODE_MAP ? "{}" : "[]";
    const struct node_entry **entries;

    if (node->kind == NODE_SCALAR) {
        print_json_scalar(printer, node);
        return;
    }
    entries = in_order(printer, node, compare_bytes);
    buf_add_char(printer->out, brackets[0]);
    for (size_t i = 0; i < node->n; i++) {
        buf_add_text(printer->out, i > 0 ? ",\n" : "\n");
        print_indent(printer->out, level + 1);
        if (node->kind == NODE_MAP) {
            print_json_text(printer->out, str_from(entries[i]->key));
            buf_add_text(printer->out, ": ");
        }
        print_json(printer, entries[i]->value, level + 1);
    }
    if (node->n > 0) {
        buf_add_char(printer->out, '\n');
        print_indent(printer->out, level);
    }
    buf_add_char(printer->out, brackets[1]);
}

void node_print_json(struct buf *out, const struct node *root, enum dollars dollars)
{
    struct printer printer = {.out = out, .dollars = dollars};

    print_json(&printer, root, 0);
    buf_add_char(out, '\n');
    buf_release(&printer.scratch);
    arena_release(&printer.arena);
}
