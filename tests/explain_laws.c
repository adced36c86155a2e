#include "tests/explain_laws.h"

#include <string.h>

#include "compose/file/emit.h"
#include "compose/file/encode.h"
#include "compose/file/explain.h"
#include "compose/file/node.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

/* Whether the step says something that no other one may say beside it. */
static bool is_reason(const struct explain_step *step)
{
    return !step->is_overridden && step->effect != EXPLAIN_KEEPS && step->effect != EXPLAIN_REPEATS;
}

/* Whether the JSON has the value as `config --format json` would print it. */
static bool has_value(struct arena *arena, const struct buf *json, const struct node *value)
{
    cleanup_buf struct buf want = BUF_INIT;
    struct node *map = node_new(arena, NODE_MAP, (struct span){0}, 1);

    node_add(map, "value", (struct span){0}, value);
    node_print_json(&want, map, DOLLARS_PLAIN);
    want.data[want.len - strlen("\n}\n")] = 0;
    return strstr(buf_text(json), buf_text(&want) + strlen("{\n")) != NULL;
}

static const char *check_value(struct arena *arena, const struct project *project, const char *path,
                               const struct node *node)
{
    cleanup_buf struct buf want = BUF_INIT, got = BUF_INIT, shown = BUF_INIT;
    struct explanation explanation;
    struct error err = ERROR_INIT;
    size_t n_reasons = 0;
    const char *broken = NULL;

    if (project_explain(arena, project, path, &explanation, &err) < 0)
        return arena_printf(arena, "%s is not explained: %s", path, err.text);
    node_print_yaml(&want, node, DOLLARS_PLAIN);
    if (explanation.value)
        node_print_yaml(&got, explanation.value, DOLLARS_PLAIN);
    for (size_t i = 0; i < explanation.n_steps; i++)
        n_reasons += is_reason(&explanation.steps[i]);
    explanation_print_json(&shown, project, &explanation);
    if (strcmp(buf_text(&want), buf_text(&got)) != 0)
        broken = "as something else";
    else if (!has_value(arena, &shown, node))
        broken = "as something else in JSON";
    else if (n_reasons == 0)
        broken = "without a reason";
    else if (node->kind == NODE_SCALAR && !node_is_null(node) && n_reasons > 1)
        broken = "with several reasons";
    if (!broken)
        return NULL;
    buf_clear(&shown);
    explanation_print(&shown, project, &explanation, DIAGNOSTICS_PLAIN);
    return arena_printf(arena, "%s is explained %s:\n%s", path, broken, buf_text(&shown));
}

/* Every value below `node`, which stands at `path`. Keys that a path can't tell apart are left
 * out. */
static const char *check_below(struct arena *arena, const struct project *project, const char *path,
                               const struct node *node)
{
    const char *broken = NULL;

    for (size_t i = 0; i < node->n && !broken; i++) {
        const struct node_entry *entry = &node->entries[i];
        const char *below;

        if (entry->key && (!*entry->key || strpbrk(entry->key, ".[")))
            continue;
        below = !entry->key ? arena_printf(arena, "%s[%zu]", path, i)
                : *path     ? arena_printf(arena, "%s.%s", path, entry->key)
                            : entry->key;
        broken = check_value(arena, project, below, entry->value);
        if (!broken)
            broken = check_below(arena, project, below, entry->value);
    }
    return broken;
}

const char *law_explains(struct arena *arena, const struct project *project)
{
    return check_below(arena, project, "", project_encode(arena, project, false));
}
