#include "compose/file/history.h"

#include "compose/file/node.h"
#include "engine/base/arena.h"

struct history *history_new(struct arena *arena, const struct project_options *options)
{
    struct history *history = arena_new(arena, struct history);

    history->arena = arena;
    history->options = arena_memdup(arena, options, sizeof(*options));
    return history;
}

void history_add_layer(struct history *history, const struct node *tree, struct span included_at)
{
    struct history_layer *layer;

    if (!history)
        return;
    layer = arena_new(history->arena, struct history_layer);
    *layer = (struct history_layer){.tree = tree, .included_at = included_at};
    if (history->last_layer)
        history->last_layer->next = layer;
    else
        history->layers = layer;
    history->last_layer = layer;
}

void history_add_extends(struct history *history, struct span at, const struct node_entry *base)
{
    struct history_extends *extends;

    if (!history)
        return;
    extends = arena_new(history->arena, struct history_extends);
    *extends = (struct history_extends){
        .next = history->extensions, .at = at, .service = base->value, .service_span = base->span};
    history->extensions = extends;
}

void history_add_template(struct history *history, const struct node *node, const char *expanded,
                          const struct pairs *environment)
{
    struct history_template *template;

    if (!history)
        return;
    template = arena_new(history->arena, struct history_template);
    *template = (struct history_template){.next = history->templates,
                                          .span = node->span,
                                          .text = node->text,
                                          .expanded = expanded,
                                          .environment = *environment};
    history->templates = template;
}

void history_add_definition(struct history *history, const char *service, const char *section,
                            const struct pair *pair, struct span span)
{
    struct history_definition *definition;

    if (!history)
        return;
    definition = arena_new(history->arena, struct history_definition);
    *definition = (struct history_definition){.service = service,
                                              .section = section,
                                              .name = pair->name,
                                              .value = pair->value,
                                              .span = span};
    if (history->last_definition)
        history->last_definition->next = definition;
    else
        history->definitions = definition;
    history->last_definition = definition;
}
