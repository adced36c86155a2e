/* The text of --help, from the tables. */

#include "engine/cli/help.h"

#include <stdbool.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/str.h"
#include "engine/cli/cli.h"

enum { COLUMNS_MIN = 40, COLUMNS_MAX = 100, NAME_WIDTH_MAX = 28 };

void cli_print_option_name(struct buf *out, const struct cli_option *option)
{
    if (option->letter)
        buf_printf(out, "-%c, --%s", option->letter, option->name);
    else
        buf_printf(out, "    --%s", option->name);
    if (option->value_name)
        buf_printf(out, " %s", option->value_name);
}

static void print_spaces(struct buf *out, size_t n)
{
    buf_printf(out, "%*s", (int)n, "");
}

void cli_print_wrapped(struct buf *out, const char *text, size_t indent, size_t columns)
{
    size_t column = indent;
    bool is_first = true;

    while (*text) {
        size_t spaces = strspn(text, " "), n = strcspn(text + spaces, " \n");

        if (text[spaces] == '\n') { /* a line break of the author's own */
            buf_add_char(out, '\n');
            text += spaces + 1;
            if (*text && *text != '\n')
                print_spaces(out, indent);
            column = indent;
            is_first = true;
            continue;
        }
        if (!n)
            break;
        if (!is_first && column + 1 + n > columns) {
            buf_add_char(out, '\n');
            print_spaces(out, indent);
            column = indent;
            is_first = true;
        }
        if (!is_first) {
            buf_add_char(out, ' ');
            column++;
        }
        buf_add(out, text + spaces, n);
        column += n;
        text += spaces + n;
        is_first = false;
    }
    buf_add_char(out, '\n');
}

/* One line of a list: name in a column of `width`, text wrapped beside it. */
static void print_item(struct buf *out, const char *name, const char *text, size_t width,
                       size_t columns)
{
    size_t len = strlen(name);

    buf_printf(out, "  %s", name);
    if (len > width) {
        buf_add_char(out, '\n');
        len = 0;
        print_spaces(out, 2);
    }
    print_spaces(out, width - len + 2);
    cli_print_wrapped(out, text, width + 4, columns);
}

static size_t capped(size_t width)
{
    return width < NAME_WIDTH_MAX ? width : NAME_WIDTH_MAX;
}

static void print_option_help(struct buf *out, const struct cli_option *option)
{
    buf_add_text(out, option->help);
    if (option->kind != CLI_CHOICE)
        return;
    for (size_t i = 0; option->choices[i]; i++)
        buf_printf(out, "%s%s", i ? ", " : " (", option->choices[i]);
    buf_add_text(out, ")");
}

static void print_options(struct buf *out, const char *heading, const struct cli_option *options,
                          size_t columns)
{
    static const struct cli_option help = {
        .name = "help", .letter = 'h', .kind = CLI_FLAG, .help = "print this help"};
    cleanup_buf struct buf name = BUF_INIT, text = BUF_INIT;
    size_t width = strlen("-h, --help");

    for (const struct cli_option *o = options; o && o->name; o++) {
        if (o->flags & CLI_OPTION_HIDDEN)
            continue;
        buf_clear(&name);
        cli_print_option_name(&name, o);
        width = name.len > width ? name.len : width;
    }
    width = capped(width);

    buf_printf(out, "\n%s:\n", heading);
    for (const struct cli_option *o = options; o && o->name; o++) {
        if (o->flags & CLI_OPTION_HIDDEN)
            continue;
        buf_clear(&name);
        buf_clear(&text);
        cli_print_option_name(&name, o);
        print_option_help(&text, o);
        print_item(out, buf_text(&name), buf_text(&text), width, columns);
    }
    buf_clear(&name);
    cli_print_option_name(&name, &help);
    print_item(out, buf_text(&name), help.help, width, columns);
}

static void print_verbs(struct buf *out, const struct cli_verb *group, size_t columns)
{
    bool has_heading = false;
    size_t width = 0;

    for (size_t i = 0; cli_verb_at(group, i); i++) {
        size_t len = strlen(cli_verb_at(group, i)->name);

        width = len > width ? len : width;
    }
    width = capped(width);

    for (size_t i = 0; cli_verb_at(group, i); i++) {
        const struct cli_verb *verb = cli_verb_at(group, i);

        if (verb->flags & CLI_VERB_HIDDEN)
            continue;
        if (verb->heading || !has_heading)
            buf_printf(out, "\n%s:\n", verb->heading ? verb->heading : "Commands");
        has_heading = true;
        print_item(out, verb->name, verb->summary, width, columns);
    }
}

/* Examples are the author's lines, set in by two. */
static void print_examples(struct buf *out, const char *examples)
{
    struct str rest = str_from(examples), line;

    buf_add_text(out, "\nExamples:\n");
    while (rest.len) {
        str_cut(rest, '\n', &line, &rest);
        if (line.len)
            buf_printf(out, "  " STR_FMT "\n", STR_ARG(line));
        else
            buf_add_char(out, '\n');
    }
}

void cli_print_help(struct buf *out, const struct cli_verb *root, const struct cli_verb *verb,
                    const char *path, size_t columns)
{
    bool has_arguments = verb->arguments && verb->arguments[0];

    columns = columns < COLUMNS_MIN ? COLUMNS_MIN : columns;
    columns = columns > COLUMNS_MAX ? COLUMNS_MAX : columns;

    buf_printf(out, "Usage: %s [OPTIONS]", path);
    if (cli_is_group(verb))
        buf_add_text(out, " COMMAND");
    buf_printf(out, "%s%s\n\n", has_arguments ? " " : "", has_arguments ? verb->arguments : "");
    cli_print_wrapped(out, verb->summary, 0, columns);
    if (verb->description) {
        buf_add_char(out, '\n');
        cli_print_wrapped(out, verb->description, 0, columns);
    }
    if (verb->aliases)
        buf_printf(out, "\nAliases: %s\n", verb->aliases);
    if (cli_is_group(verb))
        print_verbs(out, verb, columns);
    print_options(out, "Options", verb->options, columns);
    if (verb->examples)
        print_examples(out, verb->examples);
    if (cli_is_group(verb))
        buf_printf(out, "\n%s COMMAND --help tells more about a command.\n", path);
    if (verb != root && root->options)
        buf_printf(out, "%sGlobal options: %s --help\n", cli_is_group(verb) ? "" : "\n",
                   root->name);
}
