/* argv against the tables. */

#include "engine/cli/parse.h"

#include <stdint.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "engine/cli/cli.h"

enum { SUGGESTION_LIMIT = 4 };

struct parser {
    struct arena *arena;
    const struct cli_verb *root;
    struct cli_parsed *parsed;
    char **argv; /* what is left; NULL-terminated */
    struct error *err;
};

/* An option and the struct it fills. */
struct match {
    const struct cli_option *option;
    void *options;
};

static const struct cli_option help_option = {
    .name = "help", .letter = 'h', .kind = CLI_FLAG, .help = "print this help"};

static const struct cli_option *find_long(const struct cli_option *options, struct str name)
{
    for (; options && options->name; options++)
        if (str_is(name, options->name))
            return options;
    return NULL;
}

static const struct cli_option *find_letter(const struct cli_option *options, char letter)
{
    for (; options && options->name; options++)
        if (options->letter == letter)
            return options;
    return NULL;
}

/* The verb's own options first, then the global ones, then --help: a verb may use -h itself. */
static struct match find_option(const struct parser *parser, struct str name, char letter)
{
    const struct {
        const struct cli_option *table;
        void *options;
    } places[] = {{parser->parsed->verb->options, parser->parsed->options},
                  {parser->root->options, parser->parsed->globals}};

    for (size_t i = 0; i < 2; i++) {
        const struct cli_option *option =
            letter ? find_letter(places[i].table, letter) : find_long(places[i].table, name);
        if (option)
            return (struct match){option, places[i].options};
    }
    if (letter ? letter == 'h' : str_is(name, "help"))
        return (struct match){&help_option, NULL};
    return (struct match){NULL, NULL};
}

/* The nearest name so far. */
struct nearest {
    const char *name;
    size_t distance;
};

static void nearest_consider(struct nearest *nearest, const char *wanted, const char *name)
{
    size_t distance = text_distance(wanted, name, SUGGESTION_LIMIT);

    /* "--forc" is far from "--force-recreate" by letters, but clearly meant. */
    if (distance == SUGGESTION_LIMIT && strlen(wanted) >= 3 && text_starts_with(name, wanted))
        distance = SUGGESTION_LIMIT - 1;
    /* Half of the letters wrong is no hint at all. */
    if (distance < nearest->distance && distance * 2 <= strlen(wanted) + 1) {
        nearest->name = name;
        nearest->distance = distance;
    }
}

static int fail_unknown_flag(const struct parser *parser, struct str name)
{
    const struct cli_option *tables[] = {parser->parsed->verb->options, parser->root->options};
    const char *wanted = arena_strndup(parser->arena, name.data, name.len);
    struct nearest nearest = {NULL, SUGGESTION_LIMIT};

    for (size_t i = 0; i < 2; i++)
        for (const struct cli_option *o = tables[i]; o && o->name; o++)
            if (!(o->flags & CLI_OPTION_HIDDEN))
                nearest_consider(&nearest, wanted, o->name);
    if (nearest.name)
        return error_set(parser->err, ERROR_USAGE, "unknown flag --%s of %s, did you mean --%s?",
                         wanted, parser->parsed->path, nearest.name);
    return error_set(parser->err, ERROR_USAGE, "unknown flag --%s of %s", wanted,
                     parser->parsed->path);
}

static int fail_unknown_verb(const struct parser *parser, const char *name)
{
    const struct cli_verb *group = parser->parsed->verb;
    struct nearest nearest = {NULL, SUGGESTION_LIMIT};

    for (size_t i = 0; cli_verb_at(group, i); i++)
        if (!(cli_verb_at(group, i)->flags & CLI_VERB_HIDDEN))
            nearest_consider(&nearest, name, cli_verb_at(group, i)->name);
    if (nearest.name)
        return error_set(parser->err, ERROR_USAGE,
                         "unknown command \"%s\" of %s, did you mean \"%s\"?", name,
                         parser->parsed->path, nearest.name);
    return error_set(parser->err, ERROR_USAGE, "unknown command \"%s\" of %s", name,
                     parser->parsed->path);
}

static int parse_flag(const char *value, bool *ret, struct error *err)
{
    if (!value || text_equal(value, "true") || text_equal(value, "1"))
        *ret = true;
    else if (text_equal(value, "false") || text_equal(value, "0"))
        *ret = false;
    else
        return error_set(err, ERROR_USAGE, "\"%s\" is neither true nor false", value);
    return 0;
}

static int parse_choice(const struct cli_option *option, const char *value, int *ret,
                        struct error *err)
{
    cleanup_buf struct buf known = BUF_INIT;

    for (int i = 0; option->choices[i]; i++) {
        if (text_equal(option->choices[i], value)) {
            *ret = i;
            return 0;
        }
        buf_printf(&known, "%s%s", i ? ", " : "", option->choices[i]);
    }
    return error_set(err, ERROR_USAGE, "\"%s\" is none of %s", value, buf_text(&known));
}

static int parse_seconds(const char *value, int64_t *ret_ns, struct error *err)
{
    int64_t seconds;

    if (parse_i64(str_from(value), 0, INT64_MAX / NS_PER_S, &seconds, NULL) == 0) {
        *ret_ns = seconds * NS_PER_S;
        return 0;
    }
    return parse_duration_ns(str_from(value), ret_ns, err);
}

static void list_append_text(struct arena *arena, struct strings *list, const char *text)
{
    const char **items = arena_new_array(arena, const char *, list->n + 2);

    if (list->n)
        memcpy(items, list->items, list->n * sizeof(*items));
    items[list->n] = text;
    *list = (struct strings){items, list->n + 1};
}

/* Store @value (NULL: a flag without one) where the option says. */
static int option_store(struct arena *arena, struct match match, const char *value,
                        struct error *err)
{
    const struct cli_option *option = match.option;
    void *field = (char *)match.options + option->offset;
    int64_t min = option->flags & CLI_NEGATIVE ? INT64_MIN : 0;

    switch (option->kind) {
    case CLI_FLAG:
        return parse_flag(value, field, err);
    case CLI_COUNT:
        *(int *)field += 1;
        return 0;
    case CLI_TEXT:
        *(const char **)field = value;
        return 0;
    case CLI_LIST:
        list_append_text(arena, field, value);
        return 0;
    case CLI_INT:
        return parse_i64(str_from(value), min, INT64_MAX, field, err);
    case CLI_DURATION:
        return parse_duration_ns(str_from(value), field, err);
    case CLI_SECONDS:
        return parse_seconds(value, field, err);
    case CLI_BYTES:
        return parse_bytes(str_from(value), field, err);
    case CLI_CHOICE:
        return parse_choice(option, value, field, err);
    }
    BUG();
}

static bool takes_value(const struct cli_option *option)
{
    return option->kind != CLI_FLAG && option->kind != CLI_COUNT;
}

/* @value is NULL when none was attached. */
static int option_apply(struct parser *parser, struct match match, const char *value)
{
    const struct cli_option *option = match.option;

    if (option == &help_option) {
        parser->parsed->wants_help = true;
        return 0;
    }
    if (!value && takes_value(option)) {
        value = *parser->argv;
        if (!value)
            return error_set(parser->err, ERROR_USAGE, "--%s of %s needs a value: --%s %s",
                             option->name, parser->parsed->path, option->name,
                             option->value_name ? option->value_name : "VALUE");
        parser->argv++;
    }
    if (option_store(parser->arena, match, value, parser->err) < 0) {
        parser->err->code = ERROR_USAGE;
        return error_wrap(parser->err, "--%s of %s", option->name, parser->parsed->path);
    }
    return 0;
}

static int parse_long(struct parser *parser, const char *text)
{
    struct str name, rest;
    bool has_value = str_cut(str_from(text), '=', &name, &rest);
    struct match match = find_option(parser, name, 0);

    if (!match.option)
        return fail_unknown_flag(parser, name);
    if (has_value && match.option->kind == CLI_COUNT)
        return error_set(parser->err, ERROR_USAGE, "--%s of %s takes no value", match.option->name,
                         parser->parsed->path);
    return option_apply(parser, match, has_value ? rest.data : NULL);
}

/* -abc, -fVALUE, -f=VALUE */
static int parse_letters(struct parser *parser, const char *letters)
{
    for (; *letters; letters++) {
        struct match match = find_option(parser, STR(""), *letters);

        if (!match.option)
            return error_set(parser->err, ERROR_USAGE, "unknown flag -%c of %s", *letters,
                             parser->parsed->path);
        if (letters[1] == '=' && match.option->kind != CLI_COUNT)
            return option_apply(parser, match, letters + 2);
        if (letters[1] && takes_value(match.option))
            return option_apply(parser, match, letters + 1);
        if (option_apply(parser, match, NULL) < 0)
            return -1;
    }
    return 0;
}

static void *options_new(struct arena *arena, const struct cli_verb *verb)
{
    if (!verb->options_size)
        return NULL;
    if (verb->defaults)
        return arena_memdup(arena, verb->defaults, verb->options_size);
    return arena_alloc(arena, verb->options_size);
}

static bool verb_is_called(const struct cli_verb *verb, const char *name)
{
    struct str rest = str_from(verb->aliases), alias;

    if (text_equal(verb->name, name))
        return true;
    while (rest.len) {
        str_cut(rest, ',', &alias, &rest);
        if (str_is(alias, name))
            return true;
    }
    return false;
}

static int enter_verb(struct parser *parser, const char *name)
{
    struct cli_parsed *parsed = parser->parsed;

    for (size_t i = 0; cli_verb_at(parsed->verb, i); i++) {
        const struct cli_verb *verb = cli_verb_at(parsed->verb, i);

        if (!verb_is_called(verb, name))
            continue;
        parsed->verb = verb;
        parsed->path = arena_printf(parser->arena, "%s %s", parsed->path, verb->name);
        parsed->options = options_new(parser->arena, verb);
        return 0;
    }
    return fail_unknown_verb(parser, name);
}

static int check_count(const struct parser *parser)
{
    const struct cli_parsed *parsed = parser->parsed;
    const struct cli_verb *verb = parsed->verb;
    const char *arguments = verb->arguments ? verb->arguments : "";

    if (parsed->args.n < (size_t)verb->min_args)
        return error_set(parser->err, ERROR_USAGE, "%s needs %s%d argument%s: %s", parsed->path,
                         verb->max_args == verb->min_args ? "" : "at least ", verb->min_args,
                         verb->min_args == 1 ? "" : "s", arguments);
    if (verb->max_args == CLI_ANY_NUMBER || parsed->args.n <= (size_t)verb->max_args)
        return 0;
    if (verb->max_args == 0)
        return error_set(parser->err, ERROR_USAGE, "%s takes no arguments, and \"%s\" is one",
                         parsed->path, parsed->args.items[0]);
    return error_set(parser->err, ERROR_USAGE, "%s takes at most %d argument%s: %s", parsed->path,
                     verb->max_args, verb->max_args == 1 ? "" : "s", arguments);
}

/* Returns 1 when the rest of argv are arguments. */
static int parse_token(struct parser *parser, const char *token)
{
    if (text_equal(token, "--"))
        return 1;
    if (text_starts_with(token, "--"))
        return parse_long(parser, token + 2);
    if (token[0] == '-' && token[1])
        return parse_letters(parser, token + 1);
    if (cli_is_group(parser->parsed->verb))
        return enter_verb(parser, token);
    list_append_text(parser->arena, &parser->parsed->args, token);
    return parser->parsed->verb->flags & CLI_STOP_AT_ARGUMENT ? 1 : 0;
}

int cli_parse(struct arena *arena, const struct cli_verb *root, int argc, char **argv,
              struct cli_parsed *ret, struct error *err)
{
    struct error own = ERROR_INIT;
    struct parser parser = {arena, root, ret, argc > 0 ? argv + 1 : argv, err ? err : &own};
    int result = 0;

    *ret = (struct cli_parsed){.verb = root, .path = root->name};
    ret->globals = options_new(arena, root);
    ret->options = ret->globals;
    ret->args.items = arena_new_array(arena, const char *, 1);

    while (result == 0 && *parser.argv)
        result = parse_token(&parser, *parser.argv++);
    if (result < 0)
        return -1;
    for (; *parser.argv; parser.argv++) {
        if (cli_is_group(ret->verb))
            return fail_unknown_verb(&parser, *parser.argv);
        list_append_text(arena, &ret->args, *parser.argv);
    }
    if (ret->wants_help || cli_is_group(ret->verb))
        return 0;
    return check_count(&parser);
}
