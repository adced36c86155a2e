/* Explanations, for people and as JSON. */

#include <string.h>

#include "compose/file/emit.h"
#include "compose/file/excerpt.h"
#include "compose/file/explain.h"
#include "compose/file/node.h"
#include "compose/file/report.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/json.h"

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

static json_t *node_to_json(struct arena *arena, const struct node *node)
{
    json_t *json;
    int64_t number;

    if (node->kind == NODE_MAP) {
        json = json_object();
        for (size_t i = 0; i < node->n; i++)
            json_set_take(json, node->entries[i].key, node_to_json(arena, node->entries[i].value));
        return json;
    }
    if (node->kind == NODE_LIST) {
        json = json_array();
        for (size_t i = 0; i < node->n; i++)
            json_array_append_new(json, node_to_json(arena, node->entries[i].value));
        return json;
    }
    switch (node->type) {
    case NODE_NULL:
        return json_null();
    case NODE_BOOL:
        return json_boolean(node_bool_value(node->text));
    case NODE_INT:
        if (node_int_value((struct str){node->text, node->text_len}, &number))
            return json_integer(number);
        break;
    case NODE_FLOAT:
        if (strpbrk(node->text, "0123456789"))
            return json_real(strtod(node->text, NULL));
        break;
    case NODE_TEXT:
        break;
    }
    return json_text(node->text);
}

static json_t *place_to_json(const struct project *project, struct span span)
{
    const struct source *source = source_of(project, span);
    json_t *json = json_object();

    json_set_text(json, "file", source ? source->name : NULL);
    json_set_i64(json, "line", span.line);
    json_set_i64(json, "column", span.column);
    return json;
}

static json_t *variable_to_json(const struct project *project,
                                const struct explain_variable *variable)
{
    json_t *json = json_object();

    json_set_text(json, "name", variable->name);
    json_set_take(json, "value", variable->value ? json_text(variable->value) : json_null());
    json_set_text(json, "origin", origin_words[variable->origin]);
    if (variable->span.line > 0)
        json_set_take(json, "where", place_to_json(project, variable->span));
    json_set_text(json, "default", variable->default_);
    return json;
}

static json_t *step_to_json(const struct project *project, const struct explain_step *step)
{
    json_t *json = json_object();
    json_t *variables = json_array();

    json_set_text(json, "source", source_words[step->source]);
    json_set_text(json, "effect", effect_words[step->effect]);
    json_set_bool(json, "overridden", step->is_overridden);
    if (step->span.line > 0)
        json_set_take(json, "where", place_to_json(project, step->span));
    if (step->cause.line > 0)
        json_set_take(json, "by", place_to_json(project, step->cause));
    json_set_text(json, "text", step->text);
    json_set_text(json, "template", step->template);
    for (size_t i = 0; i < step->n_variables; i++)
        json_array_append_new(variables, variable_to_json(project, &step->variables[i]));
    if (step->n_variables > 0)
        json_set_take(json, "variables", variables);
    else
        json_decref(variables);
    return json;
}

void explanation_print_json(struct buf *out, const struct project *project,
                            const struct explanation *explanation)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_json json_t *json = json_object();
    json_t *steps = json_array();

    json_set_text(json, "path", explanation->path);
    json_set_take(json, "value",
                  explanation->value ? node_to_json(&arena, explanation->value) : json_null());
    for (size_t i = 0; i < explanation->n_steps; i++)
        json_array_append_new(steps, step_to_json(project, &explanation->steps[i]));
    json_set_take(json, "steps", steps);
    json_print_pretty(out, json);
}
