/* Printing nodes as YAML and as JSON. */

#include "compose/file/emit.h"

#include <string.h>

#include "compose/file/node.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"

/* ---- YAML scalars -----------------------------------------------------------------------------
 */

enum style { STYLE_PLAIN, STYLE_SINGLE, STYLE_DOUBLE, STYLE_LITERAL };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What other readers of YAML would not take for text: YAML 1.1's booleans, sexagesimal numbers,
 * dates. */
static bool is_ambiguous(struct str text)
{
    static const char *const words[] = {"y", "n", "yes", "no", "on", "off", "<<", "="};
    size_t n = 0;

    for (size_t i = 0; text.len <= 3 && i < sizeof(words) / sizeof(words[0]); i++) {
        if (text.len == strlen(words[i]) && strncasecmp(text.data, words[i], text.len) == 0)
            return true;
    }
    if (!is_digit(text.data[0]) && text.data[0] != '-' && text.data[0] != '+')
        return false;
    while (n < text.len && (is_digit(text.data[n]) || strchr("-+:._ TZtz", text.data[n])))
        n++;
    return n == text.len && (memchr(text.data, ':', text.len) || memchr(text.data, '-', text.len));
}

/* What YAML does not take as it is, or takes for the end of a line. */
static bool is_special(uint32_t character)
{
    return (character < 0x20 && character != '\n') || (character >= 0x7f && character < 0xa0) ||
           character == 0x2028 || character == 0x2029 || character == 0xfeff ||
           (character >= 0xfffd && character <= 0xffff);
}

static bool has_special(struct str text)
{
    while (text.len > 0) {
        size_t len;

        if (is_special(str_first_character(text, &len)))
            return true;
        text = (struct str){text.data + len, text.len - len};
    }
    return false;
}

static bool is_plain(struct str text)
{
    char next = text.len > 1 ? text.data[1] : ' ';

    if (strchr("-?:", text.data[0]) ? next == ' ' : strchr(",[]{}#&*!|>'\"%@` ", text.data[0]) != 0)
        return false;
    if (str_starts_with(text, "---") || str_starts_with(text, "..."))
        return false;
    if (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == ':')
        return false;
    for (size_t i = 0; i + 1 < text.len; i++) {
        if ((text.data[i] == ':' && text.data[i + 1] == ' ') ||
            (text.data[i] == ' ' && text.data[i + 1] == '#'))
            return false;
    }
    return true;
}

static bool can_be_literal(struct str text)
{
    bool has_text = false;

    if (text.data[0] == ' ' || text.data[0] == '\n')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        has_text |= text.data[i] != '\n';
        if (text.data[i] == ' ' && (i + 1 == text.len || text.data[i + 1] == '\n'))
            return false;
    }
    return has_text;
}

static enum style style_of(struct str text)
{
    if (text.len == 0 || node_type_of(text) != NODE_TEXT || is_ambiguous(text) || has_special(text))
        return STYLE_DOUBLE;
    if (memchr(text.data, '\n', text.len))
        return can_be_literal(text) ? STYLE_LITERAL : STYLE_DOUBLE;
    return is_plain(text) ? STYLE_PLAIN : STYLE_SINGLE;
}

/* The escapes that JSON and YAML's double quotes share. */
static void print_escaped(struct buf *out, struct str text)
{
    buf_add_char(out, '"');
    while (text.len > 0) {
        size_t len;
        uint32_t c = str_first_character(text, &len);

        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", (char)c);
        else if (c == '\n')
            buf_add_text(out, "\\n");
        else if (c == '\t')
            buf_add_text(out, "\\t");
        else if (c == '\r')
            buf_add_text(out, "\\r");
        else if (is_special(c))
            buf_printf(out, "\\u%04x", c);
        else
            buf_add(out, text.data, len);
        text = (struct str){text.data + len, text.len - len};
    }
    buf_add_char(out, '"');
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
    size_t n_ends = 0;
    struct str line;
    struct str rest = text;

    while (n_ends < text.len && text.data[text.len - 1 - n_ends] == '\n')
        n_ends++;
    buf_add_text(out, n_ends == 0 ? "|-" : n_ends == 1 ? "|" : "|+");
    rest.len -= n_ends > 0 ? 1 : 0;
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

static void print_text(struct buf *out, struct str text, size_t level)
{
    switch (style_of(text)) {
    case STYLE_PLAIN:
        buf_add_str(out, text);
        break;
    case STYLE_SINGLE:
        print_single(out, text);
        break;
    case STYLE_DOUBLE:
        print_escaped(out, text);
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
    for (size_t i = 0; i < node->text_len; i++) {
        if (node->text[i] == '$')
            buf_add_char(&printer->scratch, '$');
        buf_add_char(&printer->scratch, node->text[i]);
    }
    return buf_str(&printer->scratch);
}

static const char *number_text(struct printer *printer, const struct node *node, bool is_json)
{
    bool has_digits = strpbrk(node->text, "0123456789") != NULL;

    if (node->type == NODE_INT || (is_json && has_digits))
        return node_scalar_text(&printer->arena, node);
    return node->text;
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
        buf_add_text(printer->out, number_text(printer, node, false));
        break;
    case NODE_TEXT:
        print_text(printer->out, double_dollars(printer, node), level);
        break;
    }
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

static void print_yaml_entry(struct printer *printer, const struct node *node, size_t i,
                             size_t level)
{
    const struct node_entry *entry = &node->entries[i];

    if (node->kind == NODE_LIST) {
        buf_add_text(printer->out, "- ");
        print_yaml(printer, entry->value, level + 1, true);
        return;
    }
    if (strchr(entry->key, '\n') || strlen(entry->key) > 100)
        print_escaped(printer->out, str_from(entry->key));
    else
        print_text(printer->out, str_from(entry->key), level);
    buf_add_char(printer->out, ':');
    print_yaml_value(printer, entry->value, level + 1);
}

/* Ends with a newline. The first line is not indented behind a dash. */
static void print_yaml(struct printer *printer, const struct node *node, size_t level,
                       bool is_after_dash)
{
    if (node->kind == NODE_SCALAR) {
        print_yaml_scalar(printer, node, level);
        buf_add_char(printer->out, '\n');
        return;
    }
    if (node->n == 0) {
        buf_add_text(printer->out, node->kind == NODE_MAP ? "{}\n" : "[]\n");
        return;
    }
    for (size_t i = 0; i < node->n; i++) {
        if (i > 0 || !is_after_dash)
            print_indent(printer->out, level);
        print_yaml_entry(printer, node, i, level);
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
    if (node->type == NODE_TEXT)
        print_escaped(printer->out, double_dollars(printer, node));
    else if (node->type == NODE_FLOAT && !strpbrk(node->text, "0123456789")) /* .inf */
        print_escaped(printer->out, str_from(node->text));
    else if (node->type == NODE_INT || node->type == NODE_FLOAT)
        buf_add_text(printer->out, number_text(printer, node, true));
    else
        print_yaml_scalar(printer, node, 0);
}

static void print_json(struct printer *printer, const struct node *node, size_t level)
{
    const char *brackets = node->kind == NODE_MAP ? "{}" : "[]";

    if (node->kind == NODE_SCALAR) {
        print_json_scalar(printer, node);
        return;
    }
    buf_add_char(printer->out, brackets[0]);
    for (size_t i = 0; i < node->n; i++) {
        buf_add_text(printer->out, i > 0 ? ",\n" : "\n");
        print_indent(printer->out, level + 1);
        if (node->kind == NODE_MAP) {
            print_escaped(printer->out, str_from(node->entries[i].key));
            buf_add_text(printer->out, ": ");
        }
        print_json(printer, node->entries[i].value, level + 1);
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
