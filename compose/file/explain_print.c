/* Explanations, for people and as JSON. */

#include <string.h>

#include "compose/file/emit.h"
#include "compose/file/excerpt.h"
#include "compose/file/explain.h"
#include "compose/file/field.h"
#include "compose/file/node.h"
#include "compose/file/report.h"
#include "compose/file/types.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"

enum { PLACE_MAX = 40, EXCERPT_INDENT = 6 };

struct palette {
    const char *heading;
    const char *place;
    const char *faint; /* what is overridden */
    const char *caret;
    const char *reset;
};

static const struct palette palettes[] = {
    [DIAGNOSTICS_PLAIN] = {"", "", "", "", ""},
    [DIAGNOSTICS_COLOUR] = {"\033[1m", "\033[36m", "\033[2m", "\033[1;32m", "\033[0m"},
};

static const char *const source_words[] = {
    [EXPLAIN_FILE] = "file",
    [EXPLAIN_INCLUDE] = "include",
    [EXPLAIN_EXTENDS] = "extends",
    [EXPLAIN_ENV_FILE] = "env_file",
    [EXPLAIN_LABEL_FILE] = "label_file",
    [EXPLAIN_OPTION] = "option",
    [EXPLAIN_DEFAULT] = "default",
};

static const char *const effect_words[] = {
    [EXPLAIN_SETS] = "sets",   [EXPLAIN_REPLACES] = "replaces", [EXPLAIN_ADDS] = "adds",
    [EXPLAIN_KEEPS] = "keeps", [EXPLAIN_REMOVES] = "removes",   [EXPLAIN_REPEATS] = "repeats",
};

static const char *const effect_texts[] = {
    [EXPLAIN_SETS] = "sets it",       [EXPLAIN_REPLACES] = "replaces it",
    [EXPLAIN_ADDS] = "adds to it",    [EXPLAIN_KEEPS] = "says null, which keeps it",
    [EXPLAIN_REMOVES] = "removes it", [EXPLAIN_REPEATS] = "says the same",
};

static const char *const origin_words[] = {
    [EXPLAIN_UNSET] = "unset", [EXPLAIN_PROCESS] = "environment", [EXPLAIN_DOTENV] = "env_file",
    [EXPLAIN_OWN] = "service", [EXPLAIN_BUILT_IN] = "built-in",
};

static const struct source *source_of(const struct project *project, struct span span)
{
    return span.line > 0 && span.file < project->n_sources ? &project->sources[span.file] : NULL;
}

/* What files, variables and directories are called, without what a terminal would act on. */
static void add_printable(struct buf *out, const char *text)
{
    size_t start = out->len;

    buf_add_text(out, text);
    if (out->len > start)
        report_make_printable(out->data + start);
}

/* "compose.yaml:3:5"; of env files, whose lines have no columns, without one. */
static void print_place(struct buf *out, const struct project *project, struct span span,
                        bool has_column)
{
    const struct source *source = source_of(project, span);

    if (!source)
        return;
    add_printable(out, source->name);
    buf_printf(out, ":%u", span.line);
    if (has_column)
        buf_printf(out, ":%u", span.column);
}

static bool has_column(const struct explain_step *step)
{
    return step->source != EXPLAIN_ENV_FILE && step->source != EXPLAIN_LABEL_FILE &&
           step->source != EXPLAIN_OPTION;
}

/* ---- for people -------------------------------------------------------------------------------
 */

static void print_value(struct buf *out, const struct explanation *explanation,
                        const struct palette *palette)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct str rest;

    buf_printf(out, "%s%s%s", palette->heading, explanation->path, palette->reset);
    if (!explanation->value) {
        buf_add_text(out, " was removed\n");
        return;
    }
    node_print_yaml(&text, explanation->value, DOLLARS_PLAIN);
    rest = buf_str(&text);
    if (explanation->value->kind == NODE_SCALAR &&
        memchr(rest.data, '\n', rest.len) == rest.data + rest.len - 1) {
        buf_printf(out, ": " STR_FMT, STR_ARG(rest));
        return;
    }
    buf_add_text(out, ":\n");
    while (rest.len > 0) {
        struct str line;
        struct str tail = {0};

        (void)str_cut(rest, '\n', &line, &tail);
        buf_printf(out, "  " STR_FMT "\n", STR_ARG(line));
        rest = tail;
    }
}

static void print_what(struct buf *out, const struct project *project,
                       const struct explain_step *step)
{
    if (step->text && step->source == EXPLAIN_DEFAULT) {
        add_printable(out, step->text);
        return;
    }
    if (step->text)
        buf_printf(out, "%s ", step->text);
    buf_add_text(out, effect_texts[step->effect]);
    if (step->source == EXPLAIN_ENV_FILE)
        buf_add_text(out, " (env_file)");
    if (step->source == EXPLAIN_LABEL_FILE)
        buf_add_text(out, " (label_file)");
    if (step->source == EXPLAIN_INCLUDE || step->source == EXPLAIN_EXTENDS) {
        buf_add_text(out, step->source == EXPLAIN_INCLUDE ? " (included by " : " (extended by ");
        print_place(out, project, step->cause, true);
        buf_add_char(out, ')');
    }
    if (step->is_overridden)
        buf_add_text(out, "; replaced below");
}

static void print_origin(struct buf *out, const struct project *project,
                         const struct explain_variable *variable)
{
    switch (variable->origin) {
    case EXPLAIN_UNSET:
        buf_add_text(out, "is not set");
        break;
    case EXPLAIN_PROCESS:
        buf_add_text(out, "from the environment");
        break;
    case EXPLAIN_DOTENV:
        buf_add_text(out, "from ");
        print_place(out, project, variable->span, false);
        break;
    case EXPLAIN_OWN:
        buf_add_text(out, variable->span.line > 0 ? "from " : "from the service's environment");
        print_place(out, project, variable->span, false);
        break;
    case EXPLAIN_BUILT_IN:
        buf_add_text(out, "set by berth");
        break;
    }
    if (!variable->default_)
        return;
    buf_add_text(out, ": the default holds, \"");
    add_printable(out, variable->default_);
    buf_add_char(out, '"');
}

/* "X=value   from .env:3", the origins in one column. */
static void print_variables(struct buf *out, const struct project *project,
                            const struct explain_step *step)
{
    size_t width = 0;

    for (size_t i = 0; i < step->n_variables; i++) {
        const struct explain_variable *variable = &step->variables[i];
        size_t len = strlen(variable->name) + (variable->value ? 1 + strlen(variable->value) : 0);

        if (len > width && len <= PLACE_MAX)
            width = len;
    }
    for (size_t i = 0; i < step->n_variables; i++) {
        const struct explain_variable *variable = &step->variables[i];
        cleanup_buf struct buf text = BUF_INIT;

        buf_add_text(&text, variable->name);
        if (variable->value)
            buf_add_char(&text, '=');
        add_printable(&text, variable->value ? variable->value : "");
        buf_printf(out, "%*s%-*s  ", EXCERPT_INDENT + 2, "", (int)width, buf_text(&text));
        print_origin(out, project, variable);
        buf_add_char(out, '\n');
    }
}

static void print_step(struct buf *out, const struct project *project,
                       const struct explain_step *step, size_t width, const struct palette *palette,
                       struct excerpt_cursor *cursor)
{
    const struct source *source = source_of(project, step->span);
    struct excerpt_style style = {EXCERPT_INDENT, true, palette->caret, palette->reset};
    cleanup_buf struct buf place = BUF_INIT;
    struct str line;

    if (source)
        print_place(&place, project, step->span, has_column(step));
    else
        buf_add_text(&place, source_words[step->source]);
    buf_printf(out, "  %s%-*s%s  %s", palette->place, (int)width, buf_text(&place), palette->reset,
               step->is_overridden ? palette->faint : "");
    print_what(out, project, step);
    buf_printf(out, "%s\n", step->is_overridden ? palette->reset : "");
    if (source && excerpt_find(source, step->span, cursor, &line))
        excerpt_print(out, line, has_column(step) ? step->span.column : 0, &style);
    print_variables(out, project, step);
}

void explanation_print(struct buf *out, const struct project *project,
                       const struct explanation *explanation, enum diagnostics_colour colour)
{
    const struct palette *palette = &palettes[colour];
    struct excerpt_cursor cursor = {0};
    size_t width = 0;

    print_value(out, explanation, palette);
    for (size_t i = 0; i < explanation->n_steps; i++) {
        const struct explain_step *step = &explanation->steps[i];
        cleanup_buf struct buf place = BUF_INIT;

        print_place(&place, project, step->span, has_column(step));
        if (place.len == 0)
            buf_add_text(&place, source_words[step->source]);
        if (place.len > width && place.len <= PLACE_MAX)
            width = place.len;
    }
    for (size_t i = 0; i < explanation->n_steps; i++) {
        buf_add_char(out, '\n');
        print_step(out, project, &explanation->steps[i], width, palette, &cursor);
    }
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static const struct node *encode_place(const struct encoder *encoder, const struct project *project,
                                       struct span span)
{
    const struct source *source = source_of(project, span);
    struct node *map;

    if (span.line == 0)
        return NULL;
    map = encode_object(encoder, 3);
    encode_put(map, "file", encode_text(encoder, source ? source->name : NULL));
    encode_put(map, "line", encode_int(encoder, span.line));
    encode_put(map, "column", encode_int(encoder, span.column));
    return map;
}

static const struct node *encode_variable(const struct encoder *encoder,
                                          const struct project *project,
                                          const struct explain_variable *variable)
{
    struct node *map = encode_object(encoder, 5);

    encode_put(map, "name", encode_text(encoder, variable->name));
    encode_put(map, "value",
               variable->value ? encode_text(encoder, variable->value) : encode_null(encoder));
    encode_put(map, "origin", encode_text(encoder, origin_words[variable->origin]));
    encode_put(map, "where", encode_place(encoder, project, variable->span));
    encode_put(map, "default", encode_text(encoder, variable->default_));
    return map;
}

static const struct node *encode_step(const struct encoder *encoder, const struct project *project,
                                      const struct explain_step *step)
{
    struct node *map = encode_object(encoder, 8);
    struct node *variables = encode_list(encoder, step->n_variables);

    encode_put(map, "source", encode_text(encoder, source_words[step->source]));
    encode_put(map, "effect", encode_text(encoder, effect_words[step->effect]));
    encode_put(map, "overridden", encode_bool(encoder, step->is_overridden));
    encode_put(map, "where", encode_place(encoder, project, step->span));
    encode_put(map, "by", encode_place(encoder, project, step->cause));
    encode_put(map, "text", encode_text(encoder, step->text));
    encode_put(map, "template", encode_text(encoder, step->template));
    for (size_t i = 0; i < step->n_variables; i++)
        encode_put(variables, NULL, encode_variable(encoder, project, &step->variables[i]));
    encode_put(map, "variables", step->n_variables > 0 ? variables : NULL);
    return map;
}

void explanation_print_json(struct buf *out, const struct project *project,
                            const struct explanation *explanation)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct encoder encoder = {.arena = &arena, .is_json = true};
    struct node *root = encode_object(&encoder, 3);
    struct node *steps = encode_list(&encoder, explanation->n_steps);

    encode_put(root, "path", encode_text(&encoder, explanation->path));
    encode_put(root, "value", explanation->value ? explanation->value : encode_null(&encoder));
    for (size_t i = 0; i < explanation->n_steps; i++)
        encode_put(steps, NULL, encode_step(&encoder, project, &explanation->steps[i]));
    encode_put(root, "steps", steps);
    node_print_json(out, root, DOLLARS_PLAIN);
}
