/* Dockerfile text → instructions: keywords, flags, argument shapes, heredocs. */

#include "engine/build/dockerfile.h"

#include <ctype.h>
#include <stdarg.h>
#include <strings.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/json.h"
#include "engine/base/vec.h"
#include "engine/build/lines.h"
#include "engine/build/words.h"

/* How the text behind the keyword is read. */
enum shape {
    SHAPE_JSON_OR_TEXT,  /* RUN CMD ENTRYPOINT */
    SHAPE_JSON_OR_WORDS, /* ADD COPY VOLUME */
    SHAPE_JSON,          /* SHELL */
    SHAPE_TEXT,          /* one string */
    SHAPE_WORDS,         /* split at white space */
    SHAPE_QUOTED_WORDS,  /* EXPOSE: split outside quotes */
    SHAPE_PAIRS,         /* ENV LABEL */
    SHAPE_ARG,           /* NAME or NAME=default */
    SHAPE_HEALTHCHECK,   /* NONE, or CMD and JSON or text */
};

enum { KEYWORD_FLAGS_MAX = 6 };

struct keyword {
    enum shape shape;
    size_t min_words, max_words; /* 0 = unbounded; of word shapes */
    const char *usage;
    const char *flags[KEYWORD_FLAGS_MAX];   /* honoured */
    const char *refused[KEYWORD_FLAGS_MAX]; /* known to others, not to us */
};

const char *const instruction_names[INSTRUCTION_KINDS] = {
    [INSTRUCTION_ADD] = "ADD",
    [INSTRUCTION_ARG] = "ARG",
    [INSTRUCTION_CMD] = "CMD",
    [INSTRUCTION_COPY] = "COPY",
    [INSTRUCTION_ENTRYPOINT] = "ENTRYPOINT",
    [INSTRUCTION_ENV] = "ENV",
    [INSTRUCTION_EXPOSE] = "EXPOSE",
    [INSTRUCTION_FROM] = "FROM",
    [INSTRUCTION_HEALTHCHECK] = "HEALTHCHECK",
    [INSTRUCTION_LABEL] = "LABEL",
    [INSTRUCTION_MAINTAINER] = "MAINTAINER",
    [INSTRUCTION_RUN] = "RUN",
    [INSTRUCTION_SHELL] = "SHELL",
    [INSTRUCTION_STOPSIGNAL] = "STOPSIGNAL",
    [INSTRUCTION_USER] = "USER",
    [INSTRUCTION_VOLUME] = "VOLUME",
    [INSTRUCTION_WORKDIR] = "WORKDIR",
};

static const struct keyword keywords[INSTRUCTION_KINDS] = {
    [INSTRUCTION_ADD] = {SHAPE_JSON_OR_WORDS,
                         2,
                         0,
                         "ADD [--chown=…] [--chmod=…] SRC… DEST",
                         {"chown", "chmod"},
                         {"link", "keep-git-dir", "checksum", "unpack", "exclude"}},
    [INSTRUCTION_ARG] = {SHAPE_ARG, 1, 0, "ARG NAME[=default]…", {0}, {0}},
    [INSTRUCTION_CMD] = {SHAPE_JSON_OR_TEXT, 0, 0, "CMD [\"program\", …] or CMD line", {0}, {0}},
    [INSTRUCTION_COPY] = {SHAPE_JSON_OR_WORDS,
                          2,
                          0,
                          "COPY [--from=…] [--chown=…] [--chmod=…] SRC… DEST",
                          {"from", "chown", "chmod"},
                          {"link", "parents", "exclude"}},
    [INSTRUCTION_ENTRYPOINT] =
        {SHAPE_JSON_OR_TEXT, 0, 0, "ENTRYPOINT [\"program\", …] or ENTRYPOINT line", {0}, {0}},
    [INSTRUCTION_ENV] = {SHAPE_PAIRS, 1, 0, "ENV NAME=value…", {0}, {0}},
    [INSTRUCTION_EXPOSE] = {SHAPE_QUOTED_WORDS, 1, 0, "EXPOSE PORT[/PROTOCOL]…", {0}, {0}},
    [INSTRUCTION_FROM] =
        {SHAPE_WORDS, 1, 3, "FROM [--platform=…] IMAGE [AS NAME]", {"platform"}, {0}},
    [INSTRUCTION_HEALTHCHECK] = {SHAPE_HEALTHCHECK,
                                 0,
                                 0,
                                 "HEALTHCHECK [--interval=…] CMD … or NONE",
                                 {"interval", "timeout", "start-period", "start-interval",
                                  "retries"},
                                 {0}},
    [INSTRUCTION_LABEL] = {SHAPE_PAIRS, 1, 0, "LABEL name=value…", {0}, {0}},
    [INSTRUCTION_MAINTAINER] = {SHAPE_TEXT, 0, 0, "MAINTAINER name", {0}, {0}},
    [INSTRUCTION_RUN] = {SHAPE_JSON_OR_TEXT,
                         0,
                         0,
                         "RUN [--network=default|none|host] line or [\"program\", …]",
                         {"network"},
                         {"mount", "security", "device"}},
    [INSTRUCTION_SHELL] = {SHAPE_JSON, 1, 0, "SHELL [\"program\", …]", {0}, {0}},
    [INSTRUCTION_STOPSIGNAL] = {SHAPE_TEXT, 0, 0, "STOPSIGNAL SIGNAL", {0}, {0}},
    [INSTRUCTION_USER] = {SHAPE_TEXT, 0, 0, "USER NAME[:GROUP]", {0}, {0}},
    [INSTRUCTION_VOLUME] = {SHAPE_JSON_OR_WORDS, 1, 0, "VOLUME PATH…", {0}, {0}},
    [INSTRUCTION_WORKDIR] = {SHAPE_TEXT, 0, 0, "WORKDIR PATH", {0}, {0}},
};

/* Valid elsewhere; here they are told apart from typing errors. */
static const char *const refused_keywords[] = {"ONBUILD"};

/* ------------------------------------------------------------------ errors */

enum { EXCERPT_BYTES_MAX = 200 };

static struct str excerpt(const struct dockerfile *file, uint32_t line)
{
    struct str text = {"", 0};

    if (line >= 1 && line <= file->n_lines)
        text = str_trim(file->lines[line - 1]);
    if (text.len > EXCERPT_BYTES_MAX) {
        text.len = EXCERPT_BYTES_MAX;
        while (text.len > 0 && ((unsigned char)text.data[text.len] & 0xc0) == 0x80)
            text.len--; /* not within a character */
    }
    return text;
}

int dockerfile_error(const struct dockerfile *file, uint32_t line, struct error *err,
                     enum error_code code, const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX];
    struct str source = excerpt(file, line);
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args); /* too long is cut */
    va_end(args);
    return error_set(err, code, "%s:%u: %.600s\n    " STR_FMT, file->name, line, text,
                     STR_ARG(source));
}

int dockerfile_error_wrap(const struct dockerfile *file, uint32_t line, struct error *err)
{
    cleanup_buf struct buf head = BUF_INIT;

    if (err == NULL)
        return -1;
    buf_printf(&head, "%s:", file->name);
    if (strncmp(err->text, buf_text(&head), head.len) == 0)
        return -1;

    struct error cause = *err;
    struct str source = excerpt(file, line);
    (void)error_set(err, cause.code, "%s:%u: %.600s\n    " STR_FMT, file->name, line, cause.text,
                    STR_ARG(source));
    err->errnum = cause.errnum;
    return -1;
}

const char *instruction_flag(const struct instruction *instruction, const char *name)
{
    return pairs_find(&instruction->flags, name);
}

/* ------------------------------------------------------------------ parser */

struct parser {
    struct arena *arena;
    struct dockerfile *file;
    size_t at; /* next physical line */
    struct error *err;
};

#define fail(parser, instruction, ...)                                                             \
    (dockerfile_error((parser)->file, (instruction)->line, (parser)->err, __VA_ARGS__), -1)

static int read_keyword(struct parser *parser, struct str word, struct instruction *ret)
{
    char *name = arena_strndup(parser->arena, word.data, word.len);
    const char *nearest = NULL;
    size_t nearest_distance = 3;

    for (char *c = name; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
    for (int kind = 0; kind < INSTRUCTION_KINDS; kind++) {
        if (text_equal(name, instruction_names[kind])) {
            ret->kind = (enum instruction_kind)kind;
            return 0;
        }
        size_t distance = text_distance(name, instruction_names[kind], 3);
        bool is_likelier = distance == nearest_distance && name[0] == instruction_names[kind][0];
        if (distance < nearest_distance || (is_likelier && distance < 3)) {
            nearest = instruction_names[kind];
            nearest_distance = distance;
        }
    }
    for (size_t i = 0; i < sizeof(refused_keywords) / sizeof(refused_keywords[0]); i++)
        if (text_equal(name, refused_keywords[i]))
            return fail(parser, ret, ERROR_UNSUPPORTED, "%s is not supported", name);
    if (nearest != NULL)
        return fail(parser, ret, ERROR_INVALID, "unknown instruction \"%.60s\", did you mean %s?",
                    name, nearest);
    return fail(parser, ret, ERROR_INVALID, "unknown instruction \"%.60s\"", name);
}

/* One word from *rest without quotes and escapes, as flags are written. */
static const char *take_flag_word(struct parser *parser, struct str *rest)
{
    cleanup_buf struct buf word = BUF_INIT;
    char quote = 0;
    size_t at = 0;

    for (; at < rest->len; at++) {
        char c = rest->data[at];
        if (c == parser->file->escape && quote != '\'' && at + 1 < rest->len)
            buf_add_char(&word, rest->data[++at]);
        else if (quote != 0 && c == quote)
            quote = 0;
        else if (quote == 0 && (c == '\'' || c == '"'))
            quote = c;
        else if (quote == 0 && word_is_blank(c))
            break;
        else
            buf_add_char(&word, c);
    }
    *rest = str_trim((struct str){rest->data + at, rest->len - at});
    return arena_strndup(parser->arena, buf_text(&word), word.len);
}

static bool list_has(const char *const list[KEYWORD_FLAGS_MAX], const char *name)
{
    for (size_t i = 0; i < KEYWORD_FLAGS_MAX && list[i] != NULL; i++)
        if (text_equal(list[i], name))
            return true;
    return false;
}

static int check_flag(struct parser *parser, const struct instruction *instruction,
                      const char *name, const char *value)
{
    const struct keyword *keyword = &keywords[instruction->kind];
    const char *what = instruction_names[instruction->kind];

    if (list_has(keyword->refused, name))
        return fail(parser, instruction, ERROR_UNSUPPORTED, "%s --%s is not supported", what, name);
    if (!list_has(keyword->flags, name)) {
        for (size_t i = 0; i < KEYWORD_FLAGS_MAX && keyword->flags[i] != NULL; i++)
            if (text_distance(name, keyword->flags[i], 3) < 3)
                return fail(parser, instruction, ERROR_INVALID,
                            "unknown flag \"--%.60s\" of %s, did you mean --%s?", name, what,
                            keyword->flags[i]);
        return fail(parser, instruction, ERROR_INVALID, "unknown flag \"--%.60s\" of %s", name,
                    what);
    }
    if (value == NULL || value[0] == '\0')
        return fail(parser, instruction, ERROR_INVALID, "%s --%s needs a value: --%s=…", what, name,
                    name);
    return 0;
}

static int read_flags(struct parser *parser, struct str *rest, struct instruction *ret)
{
    VEC(struct pair) flags = VEC_INIT;
    int r = 0;

    while (r == 0 && str_starts_with(*rest, "--")) {
        const char *word = take_flag_word(parser, rest);
        if (text_equal(word, "--"))
            break;
        struct str name, value;
        bool has_value = str_cut(str_from(word + 2), '=', &name, &value);
        struct pair flag = {arena_strndup(parser->arena, name.data, name.len),
                            has_value ? arena_strndup(parser->arena, value.data, value.len) : NULL};
        struct pairs seen = {flags.items, flags.n};
        r = check_flag(parser, ret, flag.name, flag.value);
        if (r == 0 && pairs_have(&seen, flag.name))
            r = fail(parser, ret, ERROR_INVALID, "the flag --%s is given twice", flag.name);
        vec_push(&flags, flag);
    }
    ret->flags = (struct pairs){vec_to_arena(&flags, parser->arena), flags.n};
    vec_release(&flags);
    return r;
}

/* 1: it is no JSON array, so it is shell form (as `['a']`). */
static int read_json(struct parser *parser, struct str text, struct instruction *ret)
{
    if (text.len == 0 || text.data[0] != '[')
        return 1;
    cleanup_json json_t *array = json_loadb(text.data, text.len, 0, NULL);
    if (array == NULL || !json_is_array(array))
        return 1;

    size_t n = json_array_size(array);
    ret->words.items = arena_new_array(parser->arena, const char *, n);
    ret->words.n = n;
    for (size_t i = 0; i < n; i++) {
        const char *item = json_string_value(json_array_get(array, i));
        if (item == NULL)
            return fail(parser, ret, ERROR_INVALID, "the array of %s must hold texts only",
                        instruction_names[ret->kind]);
        ret->words.items[i] = arena_strdup(parser->arena, item);
    }
    ret->is_json = true;
    return 0;
}

static int read_pair(struct parser *parser, const struct instruction *instruction, const char *word,
                     struct pair *ret)
{
    struct str name, value;

    if (!str_cut(str_from(word), '=', &name, &value))
        return fail(parser, instruction, ERROR_INVALID, "\"%.100s\" has no \"=\": %s", word,
                    keywords[instruction->kind].usage);
    if (name.len == 0)
        return fail(parser, instruction, ERROR_INVALID, "\"%.100s\" has no name", word);
    ret->name = arena_strndup(parser->arena, name.data, name.len);
    ret->value = arena_strndup(parser->arena, value.data, value.len);
    return 0;
}

/* "NAME=value…", or the old form "NAME the rest of the line". */
static int read_pairs(struct parser *parser, struct str text, struct instruction *ret)
{
    struct strings words = words_split_quoted(parser->arena, text, parser->file->escape);

    ret->pairs.items = arena_new_array(parser->arena, struct pair, words.n + 1);
    if (words.n > 0 && strchr(words.items[0], '=') == NULL) {
        size_t name_len = strlen(words.items[0]);
        struct str value = str_trim((struct str){text.data + name_len, text.len - name_len});
        if (value.len == 0)
            return fail(parser, ret, ERROR_INVALID, "\"%.100s\" has no value: %s", words.items[0],
                        keywords[ret->kind].usage);
        ret->pairs.items[0].name = words.items[0];
        ret->pairs.items[0].value = arena_strndup(parser->arena, value.data, value.len);
        ret->pairs.n = 1;
        return 0;
    }
    for (size_t i = 0; i < words.n; i++)
        if (read_pair(parser, ret, words.items[i], &ret->pairs.items[i]) < 0)
            return -1;
    ret->pairs.n = words.n;
    return 0;
}

static bool is_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.data[i]) && name.data[i] != '_' && name.data[i] != '-' &&
            name.data[i] != '.')
            return false;
    return name.len > 0;
}

static int read_args(struct parser *parser, struct str text, struct instruction *ret)
{
    struct strings words = words_split_quoted(parser->arena, text, parser->file->escape);

    ret->pairs.items = arena_new_array(parser->arena, struct pair, words.n + 1);
    for (size_t i = 0; i < words.n; i++) {
        struct str name, value;
        bool has_default = str_cut(str_from(words.items[i]), '=', &name, &value);
        if (!is_name(name))
            return fail(parser, ret, ERROR_INVALID, "\"%.100s\" is no name of an argument",
                        words.items[i]);
        ret->pairs.items[i].name = arena_strndup(parser->arena, name.data, name.len);
        if (has_default)
            ret->pairs.items[i].value = arena_strndup(parser->arena, value.data, value.len);
    }
    ret->pairs.n = words.n;
    ret->words = words;
    return 0;
}

/* words = {"NONE"} or {"CMD"} (exec form: and the argv); text = the line behind CMD. */
static int read_healthcheck(struct parser *parser, struct str text, struct instruction *ret)
{
    struct strings words = words_split(parser->arena, text);
    const char *first = words.n > 0 ? words.items[0] : "";

    if (strcasecmp(first, "NONE") == 0) {
        if (words.n > 1 || ret->flags.n > 0)
            return fail(parser, ret, ERROR_INVALID, "HEALTHCHECK NONE takes nothing else");
        ret->words.items = arena_new_array(parser->arena, const char *, 1);
        ret->words.items[0] = "NONE";
        ret->words.n = 1;
        return 0;
    }
    if (strcasecmp(first, "CMD") != 0)
        return fail(parser, ret, ERROR_INVALID, "HEALTHCHECK needs CMD or NONE, not \"%.60s\"",
                    first);
    struct str line = str_trim((struct str){text.data + 3, text.len - 3});
    ret->text = arena_strndup(parser->arena, line.data, line.len);
    int r = read_json(parser, line, ret);
    if (r < 0)
        return r;
    if (line.len == 0 || (ret->is_json && ret->words.n == 0))
        return fail(parser, ret, ERROR_INVALID, "HEALTHCHECK CMD needs a command");
    return 0;
}

static int read_arguments(struct parser *parser, struct str text, struct instruction *ret)
{
    enum shape shape = keywords[ret->kind].shape;
    int r = 1;

    switch (shape) {
    case SHAPE_JSON_OR_TEXT:
    case SHAPE_JSON_OR_WORDS:
    case SHAPE_JSON:
        r = read_json(parser, text, ret);
        if (r == 1 && shape == SHAPE_JSON_OR_WORDS)
            ret->words = words_split(parser->arena, text);
        if (r == 1 && shape == SHAPE_JSON)
            return fail(parser, ret, ERROR_INVALID, "%s needs an array: %s",
                        instruction_names[ret->kind], keywords[ret->kind].usage);
        return r < 0 ? r : 0;
    case SHAPE_TEXT:
        return 0;
    case SHAPE_WORDS:
        ret->words = words_split(parser->arena, text);
        return 0;
    case SHAPE_QUOTED_WORDS:
        ret->words = words_split_quoted(parser->arena, text, parser->file->escape);
        return 0;
    case SHAPE_PAIRS:
        return read_pairs(parser, text, ret);
    case SHAPE_ARG:
        return read_args(parser, text, ret);
    case SHAPE_HEALTHCHECK:
        return read_healthcheck(parser, text, ret);
    }
    BUG();
}

/* ------------------------------------------------------------------ heredocs */

/* "<<EOF", "3<<-'EOF'": the delimiter. */
static bool heredoc_word(struct parser *parser, const char *word, struct heredoc *ret,
                         bool *ret_strips_tabs)
{
    cleanup_buf struct buf name = BUF_INIT;

    while (isdigit((unsigned char)*word))
        word++;
    if (!text_starts_with(word, "<<"))
        return false;
    word += 2;
    *ret_strips_tabs = *word == '-';
    if (*word == '-')
        word++;
    ret->is_raw = false;
    for (; *word != '\0'; word++) {
        if (*word == '<')
            return false;
        if (*word == '\'' || *word == '"')
            ret->is_raw = true;
        else
            buf_add_char(&name, *word);
    }
    ret->name = arena_strndup(parser->arena, buf_text(&name), name.len);
    return name.len > 0;
}

static int read_heredoc_body(struct parser *parser, const struct instruction *instruction,
                             bool strips_tabs, struct heredoc *heredoc)
{
    cleanup_buf struct buf body = BUF_INIT;

    for (; parser->at < parser->file->n_lines; parser->at++) {
        struct str line = parser->file->lines[parser->at];
        while (strips_tabs && line.len > 0 && line.data[0] == '\t')
            line = (struct str){line.data + 1, line.len - 1};
        if (str_is(line, heredoc->name)) {
            parser->at++;
            heredoc->body = arena_strndup(parser->arena, buf_text(&body), body.len);
            return 0;
        }
        buf_add_str(&body, line);
        buf_add_char(&body, '\n');
    }
    return fail(parser, instruction, ERROR_INVALID, "the here-document \"%.60s\" has no end",
                heredoc->name);
}

static int read_heredocs(struct parser *parser, struct str text, struct instruction *ret)
{
    struct strings words = words_split_quoted(parser->arena, text, parser->file->escape);
    struct heredoc heredoc = {0};
    bool strips_tabs = false;
    size_t n = 0;

    for (size_t i = 0; i < words.n; i++)
        n += heredoc_word(parser, words.items[i], &heredoc, &strips_tabs);
    if (n > DOCKERFILE_HEREDOCS_MAX)
        return fail(parser, ret, ERROR_INVALID, "more than %d here-documents",
                    DOCKERFILE_HEREDOCS_MAX);
    ret->heredocs = arena_new_array(parser->arena, struct heredoc, n);
    for (size_t i = 0; i < words.n; i++) {
        if (!heredoc_word(parser, words.items[i], &heredoc, &strips_tabs))
            continue;
        if (read_heredoc_body(parser, ret, strips_tabs, &heredoc) < 0)
            return -1;
        ret->heredocs[ret->n_heredocs++] = heredoc;
    }
    return 0;
}

/* ------------------------------------------------------------------ instructions */

static int check_counts(struct parser *parser, const struct instruction *instruction)
{
    const struct keyword *keyword = &keywords[instruction->kind];
    size_t n = instruction->pairs.n > 0 ? instruction->pairs.n : instruction->words.n;
    bool may_be_empty = instruction->kind == INSTRUCTION_CMD ||
                        instruction->kind == INSTRUCTION_ENTRYPOINT; /* [] clears them */
    bool has_text = instruction->is_json ? n > 0 || may_be_empty : instruction->text[0] != '\0';

    if (!has_text || n < keyword->min_words || (keyword->max_words > 0 && n > keyword->max_words))
        return fail(parser, instruction, ERROR_INVALID, "wrong number of arguments: %s",
                    keyword->usage);
    if (instruction->kind == INSTRUCTION_FROM &&
        (n == 2 || (n == 3 && strcasecmp(instruction->words.items[1], "AS") != 0)))
        return fail(parser, instruction, ERROR_INVALID, "wrong arguments: %s", keyword->usage);
    return 0;
}

static int read_instruction(struct parser *parser, struct str line, struct instruction *ret)
{
    size_t word_len = 0;

    while (word_len < line.len && !word_is_blank(line.data[word_len]))
        word_len++;
    if (read_keyword(parser, (struct str){line.data, word_len}, ret) < 0)
        return -1;

    struct str rest = str_trim((struct str){line.data + word_len, line.len - word_len});
    if (read_flags(parser, &rest, ret) < 0)
        return -1;
    ret->text = arena_strndup(parser->arena, rest.data, rest.len);
    if (read_arguments(parser, rest, ret) < 0 || check_counts(parser, ret) < 0)
        return -1;
    if (!ret->is_json && (ret->kind == INSTRUCTION_RUN || ret->kind == INSTRUCTION_COPY ||
                          ret->kind == INSTRUCTION_ADD))
        return read_heredocs(parser, rest, ret);
    return 0;
}

/* Before the first FROM only ARG makes sense. */
static int check_order(struct parser *parser, const struct instruction *instruction, bool has_from)
{
    if (has_from || instruction->kind == INSTRUCTION_FROM || instruction->kind == INSTRUCTION_ARG)
        return 0;
    return fail(parser, instruction, ERROR_INVALID,
                "%s before the first FROM: only ARG may be there",
                instruction_names[instruction->kind]);
}

int dockerfile_parse(struct arena *arena, const char *name, struct str text, struct dockerfile *ret,
                     struct error *err)
{
    struct parser parser = {.arena = arena, .file = ret, .err = err};
    VEC(struct instruction) instructions = VEC_INIT;
    struct str line;
    bool has_from = false;
    uint32_t line_number;

    int r = dockerfile_read_lines(arena, name, text, ret, &parser.at, err);
    while (r == 0 && dockerfile_next_line(arena, ret, &parser.at, &line, &line_number) == 0) {
        struct instruction instruction = {.line = line_number, .text = ""};
        r = read_instruction(&parser, line, &instruction);
        if (r == 0)
            r = check_order(&parser, &instruction, has_from);
        has_from = has_from || instruction.kind == INSTRUCTION_FROM;
        vec_push(&instructions, instruction);
    }
    ret->instructions = vec_to_arena(&instructions, arena);
    ret->n_instructions = instructions.n;
    vec_release(&instructions);
    if (r == 0 && ret->n_instructions == 0)
        return error_set(err, ERROR_INVALID, "%s: has no instruction", ret->name);
    if (r == 0 && !has_from)
        return error_set(err, ERROR_INVALID, "%s: has no FROM", ret->name);
    return r;
}
