/* `import --change`: one line of a Dockerfile, without the Dockerfile. */

#include <ctype.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/vec.h"
#include "engine/image/image.h"

enum { LINE_MAX_LENGTH = 64 << 10 };

/* How the arguments of an instruction are read. */
enum change_syntax {
    SYNTAX_COMMAND, /* JSON list, or the rest of the line */
    SYNTAX_PAIRS,   /* name=value …, or: name rest */
    SYNTAX_WORDS,   /* words with quotes */
    SYNTAX_PATHS,   /* JSON list, or words with quotes */
    SYNTAX_ONE,     /* one argument: the rest of the line, unquoted */
    SYNTAX_RAW,     /* the rest of the line as it is */
    SYNTAX_HEALTH,  /* options, then NONE or CMD and a command */
};

static const struct change_instruction {
    const char *name;
    enum change_syntax syntax;
} change_instructions[] = {
    {"CMD", SYNTAX_COMMAND},  {"ENTRYPOINT", SYNTAX_COMMAND}, {"ENV", SYNTAX_PAIRS},
    {"EXPOSE", SYNTAX_WORDS}, {"HEALTHCHECK", SYNTAX_HEALTH}, {"LABEL", SYNTAX_PAIRS},
    {"ONBUILD", SYNTAX_RAW},  {"SHELL", SYNTAX_COMMAND},      {"STOPSIGNAL", SYNTAX_ONE},
    {"USER", SYNTAX_ONE},     {"VOLUME", SYNTAX_PATHS},       {"WORKDIR", SYNTAX_ONE},
};

struct words {
    const char **items;
    size_t n, capacity;
};

struct change {
    struct arena arena;
    struct words words;
    enum config_form form;
};

static int refuse_variable(struct error *err)
{
    return error_set(err, ERROR_INVALID,
                     "variables are not expanded here: write the value, or "
                     "\\$ for a dollar sign");
}

/* One word up to white space, with '…', "…" and backslashes undone. */
static int take_word(struct change *change, struct str *rest, const char **ret, struct error *err)
{
    cleanup_buf struct buf word = BUF_INIT;
    char quote = 0;
    size_t i = 0;

    for (; i < rest->len && (quote || !isspace((unsigned char)rest->data[i])); i++) {
        char c = rest->data[i];

        if (quote == 0 && (c == '\'' || c == '"')) {
            quote = c;
        } else if (quote && c == quote) {
            quote = 0;
        } else if (c == '\\' && quote != '\'' && i + 1 < rest->len) {
            char next = rest->data[++i];

            if (quote && next != '"' && next != '\\' && next != '$')
                buf_add_char(&word, c);
            buf_add_char(&word, next);
        } else if (c == '$' && quote != '\'') {
            return refuse_variable(err);
        } else {
            buf_add_char(&word, c);
        }
    }
    if (quote)
        return error_set(err, ERROR_INVALID, "a %c is not closed", quote);
    *rest = str_trim((struct str){rest->data + i, rest->len - i});
    *ret = arena_strdup(&change->arena, buf_text(&word));
    return 0;
}

static int take_words(struct change *change, struct str rest, struct error *err)
{
    const char *word;

    while (rest.len) {
        if (take_word(change, &rest, &word, err) < 0)
            return -1;
        vec_push(&change->words, word);
    }
    return 0;
}

/* A JSON list of strings makes it exec form; anything else is left to the shell. */
static bool take_list(struct change *change, struct str rest)
{
    cleanup_json json_t *list = NULL;

    if (!str_starts_with(rest, "[") || json_parse(rest, &list, NULL) < 0 || !json_is_array(list))
        return false;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_string(json_array_get(list, i)))
            return false;
    for (size_t i = 0; i < json_array_size(list); i++)
        vec_push(&change->words,
                 arena_strdup(&change->arena, json_string_value(json_array_get(list, i))));
    change->form = CONFIG_EXEC_FORM;
    return true;
}

static void take_rest(struct change *change, struct str rest)
{
    if (rest.len)
        vec_push(&change->words, arena_strndup(&change->arena, rest.data, rest.len));
}

/* "ENV name the rest is the value" is the old form; the first word tells. */
static int take_pairs(struct change *change, struct str rest, struct error *err)
{
    size_t end = 0;
    struct str name, value;

    while (end < rest.len && !isspace((unsigned char)rest.data[end]))
        end++;
    name = (struct str){rest.data, end};
    if (!name.len || memchr(name.data, '=', name.len))
        return take_words(change, rest, err);
    value = str_trim((struct str){rest.data + end, rest.len - end});
    if (!value.len)
        return error_set(err, ERROR_INVALID, "\"" STR_FMT "\" has no value", STR_ARG(name));
    if (memchr(value.data, '$', value.len))
        return refuse_variable(err);
    vec_push(&change->words,
             arena_printf(&change->arena, STR_FMT "=" STR_FMT, STR_ARG(name), STR_ARG(value)));
    return 0;
}

static int take_one(struct change *change, struct str rest, struct error *err)
{
    if (take_words(change, rest, err) < 0)
        return -1;
    return change->words.n <= 1 ? 0 : error_set(err, ERROR_INVALID, "more than one argument");
}

static int take_health(struct change *change, struct str rest, struct error *err)
{
    const char *word = NULL;

    while (rest.len && !text_equal(word, "CMD")) {
        if (take_word(change, &rest, &word, err) < 0)
            return -1;
        vec_push(&change->words, word);
    }
    if (rest.len && !take_list(change, rest))
        take_rest(change, rest);
    return 0;
}

static int take_arguments(struct change *change, enum change_syntax syntax, struct str rest,
                          struct error *err)
{
    switch (syntax) {
    case SYNTAX_COMMAND:
        if (!take_list(change, rest))
            take_rest(change, rest);
        return 0;
    case SYNTAX_PATHS:
        return take_list(change, rest) ? 0 : take_words(change, rest, err);
    case SYNTAX_PAIRS:
        return take_pairs(change, rest, err);
    case SYNTAX_WORDS:
        return take_words(change, rest, err);
    case SYNTAX_ONE:
        return take_one(change, rest, err);
    case SYNTAX_RAW:
        take_rest(change, rest);
        return 0;
    case SYNTAX_HEALTH:
        return take_health(change, rest, err);
    }
    BUG();
}

static const struct change_instruction *find_instruction(const char *name)
{
    for (size_t i = 0; i < sizeof(change_instructions) / sizeof(*change_instructions); i++)
        if (text_equal(change_instructions[i].name, name))
            return &change_instructions[i];
    return NULL;
}

/* The first word in upper case. */
static char *instruction_name(struct arena *arena, struct str line, struct str *ret_rest)
{
    size_t end = 0;
    char *name;

    while (end < line.len && !isspace((unsigned char)line.data[end]))
        end++;
    name = arena_strndup(arena, line.data, end);
    for (char *c = name; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    *ret_rest = str_trim((struct str){line.data + end, line.len - end});
    return name;
}

static int apply_line(struct change *change, json_t *image, struct str line, struct error *err)
{
    const struct change_instruction *instruction;
    struct strings words;
    struct str rest;
    char *name = instruction_name(&change->arena, line, &rest);

    instruction = find_instruction(name);
    if (!instruction)
        return error_set(err, ERROR_INVALID,
                         "\"%s\" cannot be used here: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, "
                         "LABEL, ONBUILD, SHELL, STOPSIGNAL, USER, VOLUME and WORKDIR can",
                         name);
    if (take_arguments(change, instruction->syntax, rest, err) < 0)
        return error_wrap(err, "%s", name);
    words = (struct strings){change->words.items, change->words.n};
    return image_config_apply(image, name, &words, change->form, err);
}

int image_config_apply_change(json_t *image, const char *line, struct error *err)
{
    struct change change = {.arena = ARENA_INIT, .form = CONFIG_SHELL_FORM};
    struct str text = str_trim(str_from(line));
    int result;

    if (!text.len)
        return error_set(err, ERROR_INVALID, "a change is empty");
    if (text.len > LINE_MAX_LENGTH)
        return error_set(err, ERROR_INVALID, "a change is longer than %d bytes", LINE_MAX_LENGTH);
    result = apply_line(&change, image, text, err);
    vec_release(&change.words);
    arena_release(&change.arena);
    return result;
}
