/* Variable substitution: a recursive descent over the template, lazily: the branch that is not
 * taken is never looked at. */

#include "compose/file/interpolate.h"

#include <stdlib.h>
#include <string.h>

#include "compose/file/history.h"
#include "compose/file/node.h"
#include "compose/file/report.h"
#include "compose/file/text_place.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

const char *variables_find_sorted(const void *context, struct str name)
{
    const struct pairs *pairs = context;
    size_t low = 0;
    size_t high = pairs->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_compare(name, str_from(pairs->items[middle].name));

        if (order == 0)
            return pairs->items[middle].value;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static size_t name_length(struct str text)
{
    size_t n = 0;

    if (text.len == 0 || !is_name_start(text.data[0]))
        return 0;
    while (n < text.len &&
           (is_name_start(text.data[n]) || (text.data[n] >= '0' && text.data[n] <= '9')))
        n++;
    return n;
}

static struct str str_skip(struct str text, size_t n)
{
    return (struct str){text.data + n, text.len - n};
}

/* Index of the brace that closes the one before `text`; text.len if there is none. */
static size_t closing_brace(struct str text)
{
    size_t depth = 1;

    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '{')
            depth++;
        if (text.data[i] == '}' && --depth == 0)
            return i;
    }
    return text.len;
}

static int expand(struct str template, const struct variables *variables, int depth,
                  struct buf *out, struct error *err);

/* What stands between the braces. */
static int parse_expression(struct str body, struct expression *ret, struct error *err)
{
    struct expression expression = {.name = {body.data, name_length(body)}};
    struct str rest = str_skip(body, expression.name.len);

    if (expression.name.len == 0)
        return error_set(err, ERROR_INVALID,
                         "invalid template: no variable name in \"${" STR_FMT "}\"", STR_ARG(body));
    if (rest.len > 0 && rest.data[0] == ':') {
        expression.or_empty = true;
        rest = str_skip(rest, 1);
    }
    if (rest.len > 0 && strchr("-+?", rest.data[0]) && rest.data[0]) {
        expression.operator= rest.data[0];
        expression.word = str_skip(rest, 1);
    } else if (rest.len > 0 || expression.or_empty) {
        return error_set(err, ERROR_INVALID,
                         "invalid template: \"${" STR_FMT
                         "}\": only :- - :+ + :? ? may follow the name",
                         STR_ARG(body));
    }
    *ret = expression;
    return 0;
}

static int fail_required(const struct expression *expression, const struct variables *variables,
                         int depth, struct error *err)
{
    struct buf message;
    int result;

    buf_init(&message, ERROR_TEXT_MAX / 2);
    result = expand(expression->word, variables, depth + 1, &message, err);
    if (result == 0)
        result =
            error_set(err, ERROR_INVALID, "required variable " STR_FMT " is missing a value%s%s",
                      STR_ARG(expression->name), message.len > 0 ? ": " : "", buf_text(&message));
    buf_release(&message);
    return result;
}

static void add_value(const struct expression *expression, const char *value,
                      const struct variables *variables, struct buf *out)
{
    if (value)
        buf_add_text(out, value);
    else if (variables->warn_unset)
        variables->warn_unset(variables->warn_context, expression->name);
}

static int expand_expression(const struct expression *expression, const struct variables *variables,
                             int depth, struct buf *out, struct error *err)
{
    const char *value = variables->find(variables->context, expression->name);
    bool is_given = value && !(expression->or_empty && !*value);

    switch (expression->operator) {
    case '-':
        if (!is_given)
            return expand(expression->word, variables, depth + 1, out, err);
        buf_add_text(out, value);
        return 0;
    case '+':
        return is_given ? expand(expression->word, variables, depth + 1, out, err) : 0;
    case '?':
        if (!is_given)
            return fail_required(expression, variables, depth, err);
        buf_add_text(out, value);
        return 0;
    default:
        add_value(expression, value, variables, out);
        return 0;
    }
}

/* One substitution that begins at the dollar: how many bytes it took, or -1. */
static ssize_t expand_dollar(struct str text, const struct variables *variables, int depth,
                             struct buf *out, struct error *err)
{
    struct str rest = str_skip(text, 1);
    struct expression expression = {.name = {rest.data, name_length(rest)}};
    size_t end;

    if (expression.name.len > 0) {
        if (expand_expression(&expression, variables, depth, out, err) < 0)
            return -1;
        return (ssize_t)(1 + expression.name.len);
    }
    if (rest.len > 0 && rest.data[0] == '$') {
        buf_add_char(out, '$');
        return 2;
    }
    if (rest.len == 0 || rest.data[0] != '{') {
        buf_add_char(out, '$');
        return 1;
    }
    rest = str_skip(rest, 1);
    end = closing_brace(rest);
    if (end == rest.len)
        return error_set(err, ERROR_INVALID, "invalid template: \"${" STR_FMT "\" is not closed",
                         (int)(rest.len < 100 ? rest.len : 100), rest.data);
    if (parse_expression((struct str){rest.data, end}, &expression, err) < 0 ||
        expand_expression(&expression, variables, depth, out, err) < 0)
        return -1;
    return (ssize_t)(end + 3);
}

static int expand(struct str template, const struct variables *variables, int depth,
                  struct buf *out, struct error *err)
{
    if (depth > INTERPOLATE_DEPTH_MAX)
        return error_set(err, ERROR_INVALID, "invalid template: nested more than %d levels deep",
                         INTERPOLATE_DEPTH_MAX);
    while (template.len > 0) {
        const char *dollar = memchr(template.data, '$', template.len);
        size_t n_plain = dollar ? (size_t)(dollar - template.data) : template.len;
        ssize_t n_taken;

        buf_add(out, template.data, n_plain);
        template = str_skip(template, n_plain);
        if (!dollar)
            break;
        n_taken = expand_dollar(template, variables, depth, out, err);
        if (n_taken < 0) {
            if (variables->ret_failed && !*variables->ret_failed)
                *variables->ret_failed = template.data; /* the innermost one */
            return -1;
        }
        if (out->truncated)
            return error_set(err, ERROR_INVALID, "expands to more than %zu bytes", out->max);
        template = str_skip(template, (size_t)n_taken);
    }
    return 0;
}

int interpolate_text(struct str template, const struct variables *variables, struct buf *out,
                     struct error *err)
{
    return expand(template, variables, 0, out, err);
}

/* ---- looking only -----------------------------------------------------------------------------
 */

/* The expression at the dollar and the length of it all; false: a plain dollar or two. */
static bool expression_at(struct str text, struct expression *ret, size_t *ret_len)
{
    struct str rest = str_skip(text, 1);
    size_t end;

    *ret = (struct expression){.name = {rest.data, name_length(rest)}};
    *ret_len = 1 + ret->name.len;
    if (ret->name.len > 0)
        return true;
    if (rest.len == 0 || rest.data[0] != '{') {
        *ret_len = rest.len > 0 && rest.data[0] == '$' ? 2 : 1;
        return false;
    }
    rest = str_skip(rest, 1);
    end = closing_brace(rest);
    *ret_len = end == rest.len ? text.len : end + 3;
    return end < rest.len && parse_expression((struct str){rest.data, end}, ret, NULL) == 0;
}

static void scan(struct str template, int depth,
                 void (*found)(void *context, const struct expression *expression), void *context)
{
    const char *dollar;

    while (depth <= INTERPOLATE_DEPTH_MAX && template.len > 0 &&
           (dollar = memchr(template.data, '$', template.len))) {
        struct expression expression;
        size_t len;

        template = str_skip(template, (size_t)(dollar - template.data));
        if (expression_at(template, &expression, &len)) {
            found(context, &expression);
            scan(expression.word, depth + 1, found, context);
        }
        template = str_skip(template, len);
    }
}

void interpolate_escape(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '$')
            buf_add_char(out, '$');
        buf_add_char(out, text.data[i]);
    }
}

void interpolate_scan(struct str template,
                      void (*found)(void *context, const struct expression *expression),
                      void *context)
{
    scan(template, 0, found, context);
}

bool node_is_template(const struct node *node)
{
    if (node->kind == NODE_SCALAR)
        return node->type == NODE_TEXT && memchr(node->text, '$', node->text_len);
    for (size_t i = 0; i < node->n; i++) {
        if (node_is_template(node->entries[i].value))
            return true;
    }
    return false;
}

/* ---- trees ----------------------------------------------------------------------------------- */

/* PLACES_MAX: of messages with the exact place; it costs a look through the file. */
enum { PLACES_MAX = 100 };

static struct span place_of(const struct report *report, const struct node *node, const char *at)
{
    if (report->n_warned + report->n_errors > PLACES_MAX || node->span.line == 0)
        return node->span;
    return text_place(&report->sources.items[node->span.file], node, at);
}

/* In a command the variable may be meant for the container: "$$NAME". */
static const char *unset_hint(const struct report *report, struct str name)
{
    static const char *const keys[] = {"command", "entrypoint", "healthcheck"};
    const struct report_step *path = report->path;

    if (report->depth < 3 || !path[0].key || strcmp(path[0].key, "services") != 0)
        return NULL;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (path[2].key && strcmp(path[2].key, keys[i]) == 0)
            return arena_printf(report->arena,
                                "write $$" STR_FMT " if the container's own shell shall expand it",
                                STR_ARG(name));
    }
    return NULL;
}

struct unset_place {
    struct report *report;
    const struct node *node;
};

static void warn_unset_at(void *context, struct str name)
{
    const struct unset_place *place = context;
    const char *dollar = name.data - 1;

    if (*dollar == '{')
        dollar--;
    report_warning(place->report, place_of(place->report, place->node, dollar),
                   unset_hint(place->report, name),
                   "the \"" STR_FMT "\" variable is not set, defaulting to a blank string",
                   STR_ARG(name));
}

static const struct node *interpolate_scalar(struct report *report, const struct node *node,
                                             const struct variables *variables, size_t *n_bytes)
{
    struct unset_place place = {.report = report, .node = node};
    const char *failed = NULL;
    struct variables with_place = *variables;
    struct error error = ERROR_INIT;
    struct node *expanded;
    struct buf text;

    if (node->text_len > INTERPOLATE_TEXT_MAX) {
        report_error(report, node->span, NULL, "%s: with a $, longer than %d bytes",
                     report_path(report), INTERPOLATE_TEXT_MAX);
        return node;
    }
    with_place.warn_unset = warn_unset_at;
    with_place.warn_context = &place;
    with_place.ret_failed = &failed;
    buf_init(&text, INTERPOLATE_TEXT_MAX);
    if (interpolate_text((struct str){node->text, node->text_len}, &with_place, &text, &error) <
        0) {
        bool is_template = text_starts_with(error.text, "invalid template");

        report_error(report, failed ? place_of(report, node, failed) : node->span,
                     is_template ? "write $$ for a literal $" : NULL, "%s%s: %s",
                     is_template ? "invalid interpolation format for " : "", report_path(report),
                     error.text);
        report_silence(report, node->span);
        buf_release(&text);
        return node;
    }
    *n_bytes += text.len + node->text_len;
    if (*n_bytes > INTERPOLATE_TOTAL_MAX) {
        report_error(report, node->span, NULL, "variables expand to more than %d bytes",
                     INTERPOLATE_TOTAL_MAX);
        buf_release(&text);
        return node;
    }
    expanded =
        node_new_text(report->arena, arena_strdup(report->arena, buf_text(&text)), node->span);
    expanded->tag = node->tag;
    expanded->has_tags = node->has_tags;
    if (variables->history) /* only trees of projects have one: their context is an environment */
        history_add_template(variables->history, node, expanded->text, variables->context);
    buf_release(&text);
    return expanded;
}

const struct node *interpolate_node(struct report *report, const struct node *node,
                                    const struct variables *variables, size_t *n_bytes)
{
    struct node *changed = NULL;

    if (node->kind == NODE_SCALAR) {
        if (node->type != NODE_TEXT || !memchr(node->text, '$', node->text_len) ||
            *n_bytes > INTERPOLATE_TOTAL_MAX)
            return node;
        return interpolate_scalar(report, node, variables, n_bytes);
    }
    for (size_t i = 0; i < node->n; i++) {
        const struct node *value = node->entries[i].value;
        const struct node *expanded;

        if (node->kind == NODE_MAP)
            report_enter_key(report, node->entries[i].key);
        else
            report_enter_index(report, i);
        expanded = interpolate_node(report, value, variables, n_bytes);
        report_leave(report);
        if (expanded != value && !changed) {
            changed = node_edit(report->arena, node);
        }
        if (changed)
            changed->entries[i].value = expanded;
    }
    return changed ? changed : node;
}
