/* Which variables the files use. */

#include <stdlib.h>
#include <string.h>

#include "compose/file/interpolate.h"
#include "compose/file/node.h"
#include "compose/file/project.h"
#include "engine/base/arena.h"
#include "engine/base/vec.h"

struct use {
    struct project_variable variable;
    size_t order;
};

struct collector {
    struct arena *arena;
    VEC(struct use) uses;
};

static void add_use(void *context, const struct expression *expression)
{
    struct collector *collector = context;
    const char *word =
        expression->word.len > 0
            ? arena_strndup(collector->arena, expression->word.data, expression->word.len)
            : "";

    vec_push(&collector->uses,
             (struct use){.variable = {.name = arena_strndup(collector->arena, expression->name.data,
                                                             expression->name.len),
                                       .is_required = expression->operator== '?',
                                       .default_ = expression->operator== '-' ? word : NULL,
                                       .alternative = expression->operator== '+' ? word : NULL},
                          .order = collector->uses.n});
}

static void collect(struct collector *collector, const struct node *node)
{
    if (node->kind == NODE_SCALAR && node->type == NODE_TEXT)
        interpolate_scan((struct str){node->text, node->text_len}, add_use, collector);
    for (size_t i = 0; i < node->n; i++)
        collect(collector, node->entries[i].value);
}

static int compare_uses(const void *a, const void *b)
{
    const struct use *left = a;
    const struct use *right = b;
    int order = strcmp(left->variable.name, right->variable.name);

    return order != 0 ? order : (left->order > right->order) - (left->order < right->order);
}

/* The first default and alternative that say something. */
static void join(struct project_variable *into, const struct project_variable *more)
{
    into->is_required |= more->is_required;
    if (!into->default_)
        into->default_ = more->default_;
    if (!into->alternative)
        into->alternative = more->alternative;
}

void project_variables(struct arena *arena, const struct project *project,
                       struct project_variable **ret, size_t *ret_n)
{
    struct collector collector = {.arena = arena};
    size_t n = 0;

    collect(&collector, project->root);
    if (collector.uses.n > 1)
        qsort(collector.uses.items, collector.uses.n, sizeof(collector.uses.items[0]),
              compare_uses);
    *ret = arena_new_array(arena, struct project_variable, collector.uses.n + 1);
    for (size_t i = 0; i < collector.uses.n; i++) {
        const struct project_variable *variable = &collector.uses.items[i].variable;

        if (n > 0 && strcmp((*ret)[n - 1].name, variable->name) == 0)
            join(&(*ret)[n - 1], variable);
        else
            (*ret)[n++] = *variable;
    }
    *ret_n = n;
    vec_release(&collector.uses);
}
