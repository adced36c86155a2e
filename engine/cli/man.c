/* Man pages in mdoc, from the tables. */

#include "engine/cli/man.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/str.h"
#include "engine/cli/cli.h"
#include "engine/cli/walk.h"

enum { UTF8_MAX = 4 /* bytes of a character */ };

/* One character as roff takes it, whatever encoding it reads: an escape for what is special and for
 * what is not ASCII. Returns how many bytes of the text it was. */
static size_t print_character(struct buf *out, const char *text, bool is_minus)
{
    size_t n;
    uint32_t point = str_first_character((struct str){text, strnlen(text, UTF8_MAX)}, &n);

    if (point == '\\')
        buf_add_text(out, "\\e");
    else if (point == '-' && is_minus)
        buf_add_text(out, "\\-"); /* a minus, not a hyphen: it gets copied and searched for */
    else if (point < 0x80)
        buf_add_char(out, text[0]);
    else
        buf_printf(out, "\\[u%04X]", point);
    return n;
}

/* Text lines: a dot or quote in the first column is a request. An empty line between paragraphs
 * becomes .Pp. */
static void print_text(struct buf *out, const char *text)
{
    bool is_line_start = true, is_word_start = true;

    while (*text) {
        if (*text == '\n' && is_line_start) {
            buf_add_text(out, ".Pp\n");
            text++;
            continue;
        }
        if (is_line_start && (*text == '.' || *text == '\''))
            buf_add_text(out, "\\&");
        bool is_minus = is_word_start && *text == '-';

        is_line_start = *text == '\n';
        is_word_start = is_minus || is_line_start || *text == ' ' || *text == '(';
        text += print_character(out, text, is_minus);
    }
    if (!is_line_start)
        buf_add_char(out, '\n');
}

/* A summary, which begins small and has no full stop, as a sentence. */
static void print_sentence(struct buf *out, const char *text)
{
    cleanup_buf struct buf sentence = BUF_INIT;

    buf_printf(&sentence, "%s.", text);
    if (*text >= 'a' && *text <= 'z')
        sentence.data[0] = (char)(*text - 'a' + 'A');
    print_text(out, buf_text(&sentence));
}

/* Like print_text, but every line as it stands. */
static void print_literal(struct buf *out, const char *text)
{
    bool is_line_start = true;

    buf_add_text(out, ".Bd -literal -offset indent\n");
    while (*text) {
        if (is_line_start && (*text == '.' || *text == '\''))
            buf_add_text(out, "\\&");
        is_line_start = *text == '\n';
        text += print_character(out, text, true);
    }
    if (!is_line_start)
        buf_add_char(out, '\n');
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
        cleanup_buf struct buf help = BUF_INIT;

        if (o->flags & CLI_OPTION_HIDDEN)
            continue;
        buf_add_text(out, ".It ");
        if (o->letter)
            buf_printf(out, "Fl %c , ", o->letter);
        buf_add_text(out, "Fl \\-");
        for (const char *c = o->name; *c;)
            c += print_character(out, c, true);
        if (o->value_name)
            buf_printf(out, " Ar %s", o->value_name);
        buf_add_char(out, '\n');
        buf_add_text(&help, o->help);
        for (size_t i = 0; o->kind == CLI_CHOICE && o->choices[i]; i++)
            buf_printf(&help, "%s%s", i ? ", " : " (", o->choices[i]);
        if (o->kind == CLI_CHOICE)
            buf_add_char(&help, ')');
        print_text(out, buf_text(&help));
    }
    buf_add_text(out, ".It Fl h , Fl \\-help\nprint a summary of this page\n.El\n");
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
    buf_printf(out, " 1\n.Os %s\n.Sh NAME\n.Nm ", root->name);
    print_page_name(out, place->path);
    buf_add_text(out, "\n.Nd ");
    print_text(out, verb->summary);
    buf_printf(out, ".Sh SYNOPSIS\n.Nm %s\n.Op Ar OPTIONS\n", place->path);
    if (cli_is_group(verb))
        buf_add_text(out, ".Ar COMMAND\n");
    else if (verb->arguments && verb->arguments[0])
        buf_printf(out, ".Ar %s\n", verb->arguments);

    buf_add_text(out, ".Sh DESCRIPTION\n");
    if (verb->description)
        print_text(out, verb->description);
    else
        print_sentence(out, verb->summary);
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
