/* Completions for shells, from the tables. */

#include "engine/cli/completion.h"

#include <stdbool.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/str.h"
#include "engine/cli/cli.h"
#include "engine/cli/walk.h"

static bool is_shown(const struct cli_option *option)
{
    return !(option->flags & CLI_OPTION_HIDDEN);
}

static bool takes_value(const struct cli_option *option)
{
    return option->kind != CLI_FLAG && option->kind != CLI_COUNT;
}

static bool takes_path(const struct cli_option *option)
{
    return takes_value(option) &&
           (text_equal(option->value_name, "FILE") || text_equal(option->value_name, "DIR") ||
            text_equal(option->value_name, "PATH"));
}

static bool wants_services(const struct cli_verb *verb)
{
    return verb->arguments && strstr(verb->arguments, "SERVICE");
}

typedef bool option_test(const struct cli_option *option);

/* "--file -f --pull" for those that pass the test: the verb's own, then the root's where the verb
 * has none of that name. */
static void print_names(struct buf *out, const struct cli_verb *root, const struct cli_verb *verb,
                        option_test *test)
{
    const struct cli_option *tables[] = {verb->options, verb == root ? NULL : root->options};
    bool has_letter[128] = {false};

    for (size_t i = 0; i < 2; i++) {
        for (const struct cli_option *o = tables[i]; o && o->name; o++) {
            bool is_free = !o->letter || !has_letter[o->letter & 127];

            if (o->letter)
                has_letter[o->letter & 127] = true;
            if (!test(o))
                continue;
            buf_printf(out, "--%s ", o->name);
            if (o->letter && is_free)
                buf_printf(out, "-%c ", o->letter);
        }
    }
}

static void print_bash_row(struct buf *out, const struct cli_verb *root,
                           const struct cli_place *place)
{
    buf_printf(out, "    \"%s\")\n        verbs='", place->path);
    for (size_t i = 0; cli_is_group(place->verb) && cli_verb_at(place->verb, i); i++)
        if (!(cli_verb_at(place->verb, i)->flags & CLI_VERB_HIDDEN))
            buf_printf(out, "%s ", cli_verb_at(place->verb, i)->name);
    buf_add_text(out, "'\n        flags='");
    print_names(out, root, place->verb, is_shown);
    buf_add_text(out, "--help'\n        valued='");
    print_names(out, root, place->verb, takes_value);
    buf_add_text(out, "'\n        paths='");
    print_names(out, root, place->verb, takes_path);
    buf_printf(out, "'\n        arguments=%s ;;\n",
               wants_services(place->verb) ? "services" : "files");
}

static void print_bash_choices(struct buf *out, const struct cli_place *place)
{
    for (const struct cli_option *o = place->verb->options; o && o->name; o++) {
        if (o->kind != CLI_CHOICE)
            continue;
        buf_printf(out, "    \"%s --%s\"", place->path, o->name);
        if (o->letter)
            buf_printf(out, " | \"%s -%c\"", place->path, o->letter);
        buf_add_text(out, ") words='");
        for (size_t i = 0; o->choices[i]; i++)
            buf_printf(out, "%s%s", i ? " " : "", o->choices[i]);
        buf_add_text(out, "' ;;\n");
    }
}

/* The parts between the tables; % stands for the program's name. */
static const char bash_walk[] =
    "_%_files()\n"
    "{\n"
    "    compopt -o filenames 2>/dev/null\n"
    "    mapfile -t COMPREPLY < <(compgen -f -- \"$1\")\n"
    "}\n\n"
    "_%()\n"
    "{\n"
    "    local current=${COMP_WORDS[COMP_CWORD]} previous= path=% word i\n"
    "    local verbs flags valued paths arguments words=\n"
    "    local -a given=()\n"
    "    _%_table \"$path\"\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        [ \"$word\" = = ] && continue\n"
    "        if [ -n \"$previous\" ]; then\n"
    "            [ \"$path\" != % ] || given+=(\"$previous\" \"$word\")\n"
    "            previous=\n"
    "            continue\n"
    "        fi\n"
    "        case \" $valued \" in *\" $word \"*) previous=$word ;; esac\n"
    "        case \" $verbs \" in\n"
    "        *\" $word \"*)\n"
    "            path=\"$path $word\"\n"
    "            _%_table \"$path\" ;;\n"
    "        esac\n"
    "    done\n"
    "    [ \"$current\" = = ] && current=\n"
    "    if [ -n \"$previous\" ]; then\n"
    "        _%_choices \"$path $previous\"\n"
    "        [ -n \"$words\" ] || _%_choices \"% $previous\"\n"
    "        if [ -n \"$words\" ]; then\n"
    "            COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
    "            return\n"
    "        fi\n"
    "        case \" $paths \" in *\" $previous \"*) _%_files \"$current\" ;; esac\n"
    "        return\n"
    "    fi\n"
    "    case $current in\n"
    "    -*) COMPREPLY=($(compgen -W \"$flags\" -- \"$current\")) ;;\n"
    "    *)\n"
    "        if [ -n \"$verbs\" ]; then words=$verbs\n"
    "        elif [ $arguments = services ]; then words=$(% \"${given[@]}\" config --services "
    "2>/dev/null)\n"
    "        fi\n"
    "        if [ -n \"$words\" ]; then COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
    "        elif [ $arguments = files ]; then _%_files \"$current\"\n"
    "        fi ;;\n"
    "    esac\n"
    "}\n"
    "complete -F _% %\n";

/* Print with every % replaced by the name. */
static void print_named(struct buf *out, const char *text, const char *name)
{
    for (; *text; text++) {
        if (*text == '%')
            buf_add_text(out, name);
        else
            buf_add_char(out, *text);
    }
}

void cli_print_completion_bash(struct buf *out, const struct cli_verb *root)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const struct cli_places places = cli_places_make(&arena, root);

    print_named(out,
                "# bash completion for %, printed by it from its own tables.\n\n"
                "_%_table()\n{\n    case $1 in\n",
                root->name);
    for (size_t i = 0; i < places.n; i++)
        print_bash_row(out, root, &places.items[i]);
    print_named(out, "    esac\n}\n\n_%_choices()\n{\n    case $1 in\n", root->name);
    for (size_t i = 0; i < places.n; i++)
        print_bash_choices(out, &places.items[i]);
    buf_add_text(out, "    esac\n}\n\n");
    print_named(out, bash_walk, root->name);
}

/* Text inside '…[here]…' of _arguments, or behind the ':' of _describe. */
static void print_zsh_text(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            buf_add_text(out, "'\\''");
        else if (*text == '[' || *text == ']' || *text == ':' || *text == '\\')
            buf_printf(out, "\\%c", *text);
        else
            buf_add_char(out, *text);
    }
}

/* berth image ls → _berth_image_ls */
static void print_zsh_function(struct buf *out, const char *path)
{
    buf_add_char(out, '_');
    for (; *path; path++)
        buf_add_char(out, *path == ' ' || *path == '-' ? '_' : *path);
}

static void print_zsh_option(struct buf *out, const struct cli_option *option)
{
    const char *repeat = option->kind == CLI_LIST || option->kind == CLI_COUNT ? "*" : "";

    if (option->letter && !*repeat)
        buf_printf(out, "        '(-%c --%s)'{-%c,--%s}'[", option->letter, option->name,
                   option->letter, option->name);
    else if (option->letter)
        buf_printf(out, "        '*'{-%c,--%s}'[", option->letter, option->name);
    else
        buf_printf(out, "        '%s--%s[", repeat, option->name);
    print_zsh_text(out, option->help);
    buf_add_char(out, ']');
    if (takes_value(option)) {
        buf_add_char(out, ':');
        print_zsh_text(out, option->value_name ? option->value_name : "VALUE");
        buf_add_char(out, ':');
    }
    if (takes_path(option))
        buf_add_text(out, "_files");
    if (option->kind == CLI_CHOICE) {
        buf_add_char(out, '(');
        for (size_t i = 0; option->choices[i]; i++)
            buf_printf(out, "%s%s", i ? " " : "", option->choices[i]);
        buf_add_char(out, ')');
    }
    buf_add_text(out, "' \\\n");
}

static void print_zsh_group(struct buf *out, const struct cli_place *place)
{
    buf_add_text(out, "        '1: :->verb' '*:: :->rest'\n    case $state in\n    verb)\n"
                      "        local -a verbs=(\n");
    for (size_t i = 0; cli_verb_at(place->verb, i); i++) {
        const struct cli_verb *verb = cli_verb_at(place->verb, i);

        if (verb->flags & CLI_VERB_HIDDEN)
            continue;
        buf_printf(out, "            '%s:", verb->name);
        print_zsh_text(out, verb->summary);
        buf_add_text(out, "'\n");
    }
    buf_add_text(out, "        )\n        _describe command verbs ;;\n    rest)\n"
                      "        case $line[1] in\n");
    for (size_t i = 0; cli_verb_at(place->verb, i); i++) {
        const struct cli_verb *verb = cli_verb_at(place->verb, i);

        if (verb->flags & CLI_VERB_HIDDEN)
            continue;
        buf_printf(out, "        %s) ", verb->name);
        print_zsh_function(out, place->path);
        buf_add_char(out, '_');
        for (const char *c = verb->name; *c; c++)
            buf_add_char(out, *c == '-' ? '_' : *c);
        buf_add_text(out, " ;;\n");
    }
    buf_add_text(out, "        esac ;;\n    esac\n");
}

void cli_print_completion_zsh(struct buf *out, const struct cli_verb *root)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const struct cli_places places = cli_places_make(&arena, root);

    print_named(out,
                "#compdef %\n# zsh completion for %, printed by it from its own tables.\n\n"
                "_%_services()\n{\n    local -a services\n"
                "    services=(${(f)\"$(% config --services 2>/dev/null)\"})\n"
                "    _describe service services\n}\n",
                root->name);
    for (size_t i = 0; i < places.n; i++) {
        const struct cli_place *place = &places.items[i];

        buf_add_char(out, '\n');
        print_zsh_function(out, place->path);
        buf_add_text(out, "()\n{\n    local curcontext=$curcontext state line\n"
                          "    _arguments -C -s -S \\\n");
        for (const struct cli_option *o = place->verb->options; o && o->name; o++)
            if (is_shown(o))
                print_zsh_option(out, o);
        buf_add_text(out, "        '(- *)'{-h,--help}'[print this help]' \\\n");
        if (cli_is_group(place->verb))
            print_zsh_group(out, place);
        else if (wants_services(place->verb))
            print_named(out, "        '*:service:_%_services'\n", root->name);
        else
            buf_add_text(out, "        '*:argument:_files'\n");
        buf_add_text(out, "}\n");
    }
    buf_printf(out, "\n_%s \"$@\"\n", root->name);
}
