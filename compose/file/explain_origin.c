#include "compose/file/explain_origin.h"

#include <string.h>

#include "compose/file/excerpt.h"
#include "compose/file/explain.h"
#include "compose/file/history.h"
#include "compose/file/interpolate.h"
#include "compose/file/node.h"
#include "engine/base/arena.h"

static const char *const name_variable = "COMPOSE_PROJECT_NAME";

/* ---- variables --------------------------------------------------------------------------------
 */

static struct explain_variable describe(const struct history *history, const char *name,
                                        const char *value)
{
    struct explain_variable variable = {.name = name, .value = value, .origin = EXPLAIN_BUILT_IN};

    if (!value) {
        variable.origin = EXPLAIN_UNSET;
        return variable;
    }
    if (text_equal(pairs_find(&history->options->environment, name), value)) {
        variable.origin = EXPLAIN_PROCESS;
        return variable;
    }
    for (const struct history_definition *known = history->definitions; known;
         known = known->next) {
        if (known->service || strcmp(known->name, name) != 0 || !text_equal(known->value, value))
            continue;
        variable.origin = EXPLAIN_DOTENV;
        variable.span = known->span;
        break;
    }
    return variable;
}

struct uses {
    struct arena *arena;
    const struct history *history;
    const struct pairs *environment;
    const struct project *project;         /* of lines: whose service's own variables … */
    const struct history_definition *line; /* … and earlier lines count, too; else NULL */
    struct explain_step *step;
    size_t n;        /* found */
    size_t capacity; /* 0: counting */
};

/* What a line of an env file sees beside the environment of the files: the service's own variables,
 * then the lines before it. */
static bool find_own(const struct uses *uses, const char *name, struct explain_variable *ret)
{
    const struct service *service = project_find_service(uses->project, uses->line->service);
    const struct node *section = service ? node_get(service->source, "environment") : NULL;
    const struct node *own = section ? node_get(section, name) : NULL;

    *ret = (struct explain_variable){.name = name, .origin = EXPLAIN_OWN};
    if (own && own->kind == NODE_SCALAR && !node_is_null(own)) {
        ret->value = node_scalar_text(uses->arena, own);
        ret->span = own->span;
        return true;
    }
    for (const struct history_definition *known = uses->history->definitions; known != uses->line;
         known = known->next) {
        if (!known->service || strcmp(known->service, uses->line->service) != 0 ||
            strcmp(known->name, name) != 0)
            continue;
        ret->value = known->value;
        ret->span = known->span;
    }
    return ret->value != NULL;
}

static void add_use(void *context, const struct expression *expression)
{
    struct uses *uses = context;
    const char *name = arena_strndup(uses->arena, expression->name.data, expression->name.len);
    struct explain_variable variable =
        describe(uses->history, name, variables_find_sorted(uses->environment, expression->name));

    if (uses->n++ >= uses->capacity)
        return;
    for (size_t i = 0; i < uses->step->n_variables; i++) {
        if (strcmp(name, uses->step->variables[i].name) == 0)
            return;
    }
    if (!variable.value && uses->line && !find_own(uses, name, &variable))
        variable = describe(uses->history, name, NULL);
    if (expression->operator==
        '-' &&(!variable.value || (expression->or_empty && !*variable.value)))
        variable.default_ = arena_strndup(uses->arena, expression->word.data, expression->word.len);
    uses->step->variables[uses->step->n_variables++] = variable;
}

static void add_uses(struct uses *uses, struct str template)
{
    interpolate_scan(template, add_use, uses);
    if (uses->n == 0)
        return; /* only $$, or nothing */
    uses->step->variables = arena_new_array(uses->arena, struct explain_variable, uses->n);
    uses->capacity = uses->n;
    uses->n = 0;
    interpolate_scan(template, add_use, uses);
}

void explain_templates(struct arena *arena, const struct history *history, const struct node *node,
                       struct explain_step *step)
{
    const struct history_template *found = NULL;
    struct uses uses = {.arena = arena, .history = history, .step = step};

    for (const struct history_template *known = history->templates; known; known = known->next) {
        if (!span_equal(known->span, node->span))
            continue;
        if (!found || (node->kind == NODE_SCALAR && strcmp(known->expanded, node->text) == 0))
            found = known;
    }
    if (!found)
        return;
    uses.environment = &found->environment;
    add_uses(&uses, str_from(found->text));
    if (step->n_variables > 0)
        step->template = found->text;
}

void explain_line(struct arena *arena, const struct project *project,
                  const struct history_definition *line, struct explain_step *step)
{
    struct uses uses = {.arena = arena,
                        .history = project->history,
                        .environment = &project->environment,
                        .project = project,
                        .line = line,
                        .step = step};
    struct excerpt_cursor cursor = {0};
    struct str text;
    struct str name;
    struct str value;

    if (!excerpt_find(&project->sources[line->span.file], line->span, &cursor, &text) ||
        (!str_cut(text, '=', &name, &value) && !str_cut(text, ':', &name, &value)))
        return;
    value = str_trim(value);
    if ((value.len > 0 && value.data[0] == '\'') || str_is(value, line->value))
        return; /* taken as it is */
    add_uses(&uses, value);
}

void explain_inherited(struct arena *arena, const struct project *project, const char *name,
                       const char *value, struct explain_step *step)
{
    if (!value)
        value = variables_find_sorted(&project->environment, str_from(name));
    step->variables = arena_new_array(arena, struct explain_variable, 1);
    step->variables[0] = describe(project->history, name, value);
    step->n_variables = 1;
}

/* ---- options and defaults ---------------------------------------------------------------------
 */

static bool decide_name(struct arena *arena, const struct project *project, bool is_written,
                        struct explain_step *ret)
{
    const struct project_options *options = project->history->options;
    const char *given = pairs_find(&options->environment, name_variable);

    ret->source = EXPLAIN_OPTION;
    ret->effect = is_written ? EXPLAIN_REPLACES : EXPLAIN_SETS;
    if (options->name) {
        ret->text = "-p on the command line";
        return true;
    }
    if (given && *given) {
        ret->text = "COMPOSE_PROJECT_NAME in the environment";
        return true;
    }
    for (const struct history_definition *known = project->history->definitions; known;
         known = known->next) {
        if (known->service || strcmp(known->name, name_variable) != 0 ||
            strcmp(known->value, project->name) != 0)
            continue;
        ret->span = known->span;
        ret->text = "COMPOSE_PROJECT_NAME";
        return true;
    }
    ret->source = EXPLAIN_DEFAULT;
    ret->text = arena_printf(arena, "the name of the directory %s", project->directory);
    return !is_written;
}

static const struct {
    const char *path; /* * is any key or item */
    const char *text;
} defaults[] = {
    {"networks.*.name", "the project's name and the key"},
    {"volumes.*.name", "the project's name and the key"},
    {"configs.*.name", "the project's name and the key"},
    {"secrets.*.name", "the project's name and the key"},
    {"networks", "services that name no network are on the default one"},
    {"networks.default", "services that name no network are on the default one"},
    {"services.*.networks", "the service names no network: it is on the default one"},
    {"services.*.networks.default", "the service names no network: it is on the default one"},
    {"services.*.depends_on", "a link, volumes_from or a shared namespace needs the other service"},
    {"services.*.depends_on.*",
     "a link, volumes_from or a shared namespace needs the other service"},
    {"services.*.build.context", "the project's directory"},
};

static bool matches(const char *pattern, const struct strings *keys)
{
    struct str rest = str_from(pattern);

    for (size_t i = 0; i < keys->n; i++) {
        struct str head;
        struct str tail = {0};
        bool is_more = str_cut(rest, '.', &head, &tail);

        if (!is_more)
            head = rest;
        if (is_more != (i + 1 < keys->n) || (!str_is(head, "*") && !str_is(head, keys->items[i])))
            return false;
        rest = tail;
    }
    return true;
}

bool explain_decision(struct arena *arena, const struct project *project,
                      const struct strings *keys, bool is_written, struct explain_step *ret)
{
    *ret = (struct explain_step){.source = EXPLAIN_DEFAULT, .effect = EXPLAIN_SETS};
    if (keys->n == 1 && strcmp(keys->items[0], "name") == 0)
        return decide_name(arena, project, is_written, ret);
    ret->text = "nothing sets it: this is the default";
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        if (matches(defaults[i].path, keys))
            ret->text = defaults[i].text;
    }
    return !is_written;
}
