/* Man pages in mdoc, from the tables. */

#include "engine/cli/man.h"

#include <stdbool.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/str.h"
#include "engine/cli/cli.h"
#include "engine/cli/walk.h"

/* Text lines: a backslash is an escape, and a dot or quote in the first column is a request. An
 * empty line between paragraphs becomes .Pp. */
static void print_text(struct buf *out, const char *text)
{
    bool is_line_start = true;

    for (; *text; text++) {
        if (*text == '\n' && is_line_start) {
            buf_add_text(out, ".Pp\n");
            continue;
        }
        if (is_line_start && (*text == '.' || *text == '\''))
            buf_add_text(out, "\\&");
        if (*text == '\\')
            buf_add_text(out, "\\e");
        else
            buf_add_char(out, *text);
        is_line_start = *text == '\n';
    }
    if (!is_line_start)
        buf_add_char(out, '\n');
}

/* Like print_text, but every line as it stands. */
static void print_literal(struct buf *out, const char *text)
{
    struct str rest = str_from(text), line;

    buf_add_text(out, ".Bd -literal -offset indent\n");
    while (rest.len) {
        str_cut(rest, '\n', &line, &rest);
        if (line.len && (line.data[0] == '.' || line.data[0] == '\''))
            buf_add_text(out, "\\&");
        for (size_t i = 0; i < line.len; i++) {
            if (line.data[i] == '\\')
                buf_add_text(out, "\\e");
            else if (line.data[i] == '-')
                buf_add_text(out, "\\-"); /* a minus, not a hyphen: examples get copied */
            else
                buf_add_char(out, line.data[i]);
        }
        buf_add_char(out, '\n');
    }
    buf_add_text(out, ".Ed\n");
}

static void print_page_name(struct buf *out, const char *path)
{
    for (; *path; path++)
        buf_add_char(out, *path == ' ' ? '-' : *path);
}

static void print_options(struct buf *out, const struct cli_option *options)
{
    buf_add_text(out, ".Bl -tag -width Ds\n");
    for (const struct cli_option *o = options; o && o->name; o++) {
        if (o->flags & CLI_OPTION_HIDDEN)
            continue;
        buf_add_text(out, ".It ");
        if (o->letter)
            buf_printf(out, "Fl %c , ", o->letter);
        buf_printf(out, "Fl \\-%s", o->name);
        if (o->value_name)
            buf_printf(out, " Ar %s", o->value_name);
        buf_add_char(out, '\n');
        print_text(out, o->help);
        if (o->kind != CLI_CHOICE)
            continue;
        buf_add_text(out, "One of ");
        for (size_t i = 0; o->choices[i]; i++)
            buf_printf(out, "%s%s", i ? ", " : "", o->choices[i]);
        buf_add_text(out, ".\n");
    }
    buf_add_text(out, ".It Fl h , Fl \\-help\nPrint a summary of this page.\n.El\n");
}

static void print_commands(struct buf *out, const struct cli_place *place)
{
    buf_add_text(out, ".Sh COMMANDS\n.Bl -tag -width Ds\n");
    for (size_t i = 0; cli_verb_at(place->verb, i); i++) {
        const struct cli_verb *verb = cli_verb_at(place->verb, i);

        if (verb->flags & CLI_VERB_HIDDEN)
            continue;
        buf_add_text(out, ".It Xr ");
        print_page_name(out, place->path);
        buf_printf(out, "-%s 1\n", verb->name);
        print_text(out, verb->summary);
    }
    buf_add_text(out, ".El\n");
}

void cli_print_man(struct buf *out, const struct cli_verb *root, const struct cli_place *place,
                   const char *date)
{
    const struct cli_verb *verb = place->verb;

    buf_printf(out, ".Dd %s\n.Dt ", date);
    for (const char *c = place->path; *c; c++)
        buf_add_char(out, *c == ' ' ? '-' : *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c);
    buf_add_text(out, " 1\n.Os\n.Sh NAME\n.Nm ");
    print_page_name(out, place->path);
    buf_printf(out, "\n.Nd %s\n.Sh SYNOPSIS\n.Nm %s\n.Op Ar OPTIONS\n", verb->summary, place->path);
    if (cli_is_group(verb))
        buf_add_text(out, ".Ar COMMAND\n");
    else if (verb->arguments && verb->arguments[0])
        buf_printf(out, ".Ar %s\n", verb->arguments);

    buf_add_text(out, ".Sh DESCRIPTION\n");
    print_text(out, verb->description ? verb->description : verb->summary);
    buf_add_text(out, ".Pp\nThe options are as follows:\n");
    print_options(out, verb->options);
    if (cli_is_group(verb))
        print_commands(out, place);
    buf_add_text(out, ".Sh EXIT STATUS\n0 when done, 1 when it failed, 2 for usage errors and "
                      "invalid project files.\n");
    if (verb->examples) {
        buf_add_text(out, ".Sh EXAMPLES\n");
        print_literal(out, verb->examples);
    }
    if (verb != root)
        buf_printf(out, ".Sh SEE ALSO\n.Xr %s 1\n", root->name);
}

int cli_write_man(const struct cli_verb *root, int dirfd, const char *date, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const struct cli_places places = cli_places_make(&arena, root);

    for (size_t i = 0; i < places.n; i++) {
        cleanup_buf struct buf page = BUF_INIT, name = BUF_INIT;

        cli_print_man(&page, root, &places.items[i], date);
        print_page_name(&name, places.items[i].path);
        buf_add_text(&name, ".1");
        if (fs_replace(dirfd, buf_text(&name), page.data, page.len, 0644, FS_VOLATILE, err) < 0)
            return -1;
    }
    return 0;
}
