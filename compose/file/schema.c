/* The tables of keys as a JSON Schema.
 *
 * A key's value becomes its alternatives, one for each form its type takes: the short forms and the
 * long one. An object with keys of its own is a definition, named after the keys that lead to it
 * first ("service_build"), and referred to from wherever its table is used.
 *
 * Editors see a file before its variables are filled in: wherever text has to look in some way,
 * text with a "$" is taken as well. */

#include "compose/file/schema.h"

#include <assert.h>

#include "compose/file/emit.h"
#include "compose/file/field.h"
#include "compose/file/node.h"
#include "compose/file/shapes.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/str.h"
#include "engine/base/vec.h"

static const char draft_url[] = "https://json-schema.org/draft/2020-12/schema";
static const char own_id[] = "urn:berth:schemas:compose.json";

/* "x-berth" is ours, and there is nothing in it yet (field.c). */
static const char extension_pattern[] = "^x-(?!berth$)";

static const char *const state_about[] = {
    [FIELD_HONOURED] = "",
    [FIELD_KEPT] = " Not honoured yet: `up` refuses it.",
    [FIELD_ELSEWHERE] = " Means nothing on one Linux machine.",
};

enum { SCALAR_FORMS = 5, FORMS_MAX = 16, DEFINITIONS_MAX = 500 };

struct definition {
    const struct field *fields; /* whose keys */
    const char *name;
    const struct node *object;
};

struct schema_tree {
    struct arena *arena;
    VEC(struct definition) definitions;
};

/* ---- nodes ------------------------------------------------------------------------------------
 */

static struct node *map_new(struct schema_tree *tree, size_t capacity)
{
    struct node *map = node_new(tree->arena, NODE_MAP, (struct span){0}, capacity);

    map->is_ordered = true;
    return map;
}

static struct node *list_new(struct schema_tree *tree, size_t capacity)
{
    return node_new(tree->arena, NODE_LIST, (struct span){0}, capacity);
}

static void put(struct node *node, const char *key, const struct node *value)
{
    node_add(node, key, (struct span){0}, value);
}

static const struct node *text(struct schema_tree *tree, const char *value)
{
    return node_new_text(tree->arena, value, (struct span){0});
}

static const struct node *number(struct schema_tree *tree, int64_t value)
{
    return node_new_scalar(tree->arena, NODE_INT,
                           arena_printf(tree->arena, "%lld", (long long)value), (struct span){0});
}

static const struct node *refusal(struct schema_tree *tree)
{
    return node_new_scalar(tree->arena, NODE_BOOL, "false", (struct span){0});
}

static const struct node *reference(struct schema_tree *tree, const char *name)
{
    struct node *map = map_new(tree, 1);

    put(map, "$ref", text(tree, arena_printf(tree->arena, "#/$defs/%s", name)));
    return map;
}

/* ---- single values ----------------------------------------------------------------------------
 */

static bool has_words_or_pattern(const struct schema *schema)
{
    return schema->words || schema->pattern;
}

/* What any value of the type is good for: one alternative, {"type": …}. */
static void add_plain(struct schema_tree *tree, const struct schema *schema, struct node *forms)
{
    static const struct {
        unsigned form;
        const char *name;
    } names[SCALAR_FORMS] = {{SCHEMA_TEXT, "string"},
                             {SCHEMA_INT, "integer"},
                             {SCHEMA_NUMBER, "number"},
                             {SCHEMA_BOOL, "boolean"},
                             {SCHEMA_NULL, "null"}};
    unsigned plain = schema->forms;
    struct node *list = list_new(tree, SCALAR_FORMS);
    struct node *map = map_new(tree, 1);

    if (has_words_or_pattern(schema))
        plain &= ~(unsigned)SCHEMA_TEXT;
    if (schema->range)
        plain &= ~(unsigned)(SCHEMA_INT | SCHEMA_NUMBER);
    for (size_t i = 0; i < SCALAR_FORMS; i++) {
        if (plain & names[i].form)
            put(list, NULL, text(tree, names[i].name));
    }
    if (list->n == 0)
        return;
    put(map, "type", list->n == 1 ? list->entries[0].value : list);
    put(forms, NULL, map);
}

static void add_range(struct schema_tree *tree, const struct schema *schema, struct node *forms)
{
    struct node *map = map_new(tree, 3);

    if (!schema->range || !(schema->forms & (SCHEMA_INT | SCHEMA_NUMBER)))
        return;
    put(map, "type", text(tree, schema->forms & SCHEMA_NUMBER ? "number" : "integer"));
    if (schema->range->min != INT64_MIN)
        put(map, "minimum", number(tree, schema->range->min));
    if (schema->range->max != INT64_MAX)
        put(map, "maximum", number(tree, schema->range->max));
    put(forms, NULL, map);
}

static const struct node *pattern_node(struct schema_tree *tree, const char *pattern)
{
    struct node *map = map_new(tree, 2);

    put(map, "type", text(tree, "string"));
    put(map, "pattern", text(tree, pattern));
    return map;
}

/* Words first: an editor offers them. */
static void add_text(struct schema_tree *tree, const struct schema *schema, struct node *forms)
{
    size_t n_words = 0;

    if (!has_words_or_pattern(schema))
        return;
    while (schema->words && schema->words[n_words])
        n_words++;
    if (n_words > 0 || schema->forms & SCHEMA_EMPTY) {
        struct node *words = list_new(tree, n_words + 1);
        struct node *map = map_new(tree, 1);

        for (size_t i = 0; i < n_words; i++)
            put(words, NULL, text(tree, schema->words[i]));
        if (schema->forms & SCHEMA_EMPTY)
            put(words, NULL, text(tree, ""));
        put(map, "enum", words);
        put(forms, NULL, map);
    }
    if (schema->pattern)
        put(forms, NULL, pattern_node(tree, schema->pattern));
    put(forms, NULL, reference(tree, "variables"));
}

/* ---- objects, lists, mappings -----------------------------------------------------------------
 */

static const struct node *value_of(struct schema_tree *tree, const struct field *field,
                                   const char *name, bool has_about);

/* What has items is called by one of them: "ports" → "port". */
static const char *singular(struct schema_tree *tree, const char *name)
{
    struct str all = str_from(name);

    if (!str_ends_with(all, "s") || str_ends_with(all, "ss"))
        return name;
    return arena_strndup(tree->arena, all.data, all.len - 1);
}

static const char *name_below(struct schema_tree *tree, const char *outer, struct str key)
{
    return *outer ? arena_printf(tree->arena, "%s_" STR_FMT, outer, STR_ARG(key))
                  : arena_strndup(tree->arena, key.data, key.len);
}

/* "type", "properties" … of what has the shape's keys, behind what `map` has already. */
static void put_keys(struct schema_tree *tree, const struct shape *shape, const char *name,
                     struct node *map)
{
    struct node *properties = map_new(tree, shape->n_fields);
    struct node *extensions = map_new(tree, 1);
    struct node *required = list_new(tree, shape->n_fields);

    for (size_t i = 0; i < shape->n_fields; i++) {
        const struct field *field = &shape->fields[i];

        put(properties, field->name.data,
            value_of(tree, field, name_below(tree, name, field->name), true));
        if (field->is_required)
            put(required, NULL, text(tree, field->name.data));
    }
    put(extensions, extension_pattern, map_new(tree, 0));
    put(map, "type", text(tree, "object"));
    put(map, "properties", properties);
    if (!shape->is_closed)
        put(map, "patternProperties", extensions);
    put(map, "additionalProperties", refusal(tree));
    if (required->n > 0)
        put(map, "required", required);
}

static const struct node *object_of(struct schema_tree *tree, const struct shape *shape,
                                    const char *name)
{
    struct node *map;
    size_t at;

    for (size_t i = 0; i < tree->definitions.n; i++) {
        if (tree->definitions.items[i].fields == shape->fields)
            return reference(tree, tree->definitions.items[i].name);
    }
    assert(tree->definitions.n < DEFINITIONS_MAX);
    at = tree->definitions.n;
    map = map_new(tree, 5);
    vec_push(&tree->definitions,
             (struct definition){.fields = shape->fields, .name = name, .object = map});
    put_keys(tree, shape, name, map);
    return reference(tree, tree->definitions.items[at].name);
}

static const struct node *forms_of(struct schema_tree *tree, const struct schema *schema,
                                   const struct shape *shape, const char *name, struct node *map);

/* Items of a list, or values of a mapping: what the shape says, else what the schema says. */
static const struct node *items_of(struct schema_tree *tree, const struct schema *schema,
                                   const struct shape *shape, const char *name)
{
    static const struct schema anything = {.forms = SCHEMA_ANY};
    struct schema with_object;

    if (shape && shape->each)
        return value_of(tree, shape->each, singular(tree, name), false);
    if (!shape)
        return forms_of(tree, schema->items ? schema->items : &anything, NULL, name,
                        map_new(tree, 8));
    /* a list of such objects, or of what stands for one */
    with_object = schema->items ? *schema->items : (struct schema){0};
    with_object.forms |= SCHEMA_MAP;
    return forms_of(tree, &with_object, shape, singular(tree, name), map_new(tree, 8));
}

static void add_list(struct schema_tree *tree, const struct schema *schema,
                     const struct shape *shape, const char *name, struct node *forms)
{
    static const struct schema text_item = {.forms = SCHEMA_TEXT};
    struct node *map = map_new(tree, 2);

    if (!(schema->forms & SCHEMA_LIST))
        return;
    put(map, "type", text(tree, "array"));
    /* beside a mapping: its names, or NAME=VALUE */
    put(map, "items",
        schema->forms & SCHEMA_MAP ? forms_of(tree, &text_item, NULL, name, map_new(tree, 8))
                                   : items_of(tree, schema, shape, name));
    put(forms, NULL, map);
}

static void add_mapping(struct schema_tree *tree, const struct schema *schema,
                        const struct shape *shape, const char *name, struct node *forms)
{
    struct node *map = map_new(tree, 4);

    if (!(schema->forms & SCHEMA_MAP))
        return;
    if (shape && shape->fields && !shape->each) {
        put(forms, NULL, object_of(tree, shape, name));
        return;
    }
    put(map, "type", text(tree, "object"));
    if (schema->names_pattern) {
        struct node *names = map_new(tree, 1);

        put(names, "pattern", text(tree, schema->names_pattern));
        put(map, "propertyNames", names);
    }
    if (schema->min_names > 0)
        put(map, "minProperties", number(tree, (int64_t)schema->min_names));
    put(map, "additionalProperties", items_of(tree, schema, shape, name));
    put(forms, NULL, map);
}

/* The alternatives, into `map`: as its own keys when there is one, else as "anyOf". */
static const struct node *forms_of(struct schema_tree *tree, const struct schema *schema,
                                   const struct shape *shape, const char *name, struct node *map)
{
    struct node *forms = list_new(tree, FORMS_MAX);
    bool is_anything = (schema->forms & SCHEMA_ANY) == SCHEMA_ANY && !schema->items && !shape;

    if (is_anything)
        return map;
    add_text(tree, schema, forms);
    add_range(tree, schema, forms);
    add_plain(tree, schema, forms);
    add_list(tree, schema, shape, name, forms);
    add_mapping(tree, schema, shape, name, forms);
    if (forms->n != 1) {
        put(map, "anyOf", forms);
        return map;
    }
    for (size_t i = 0; i < forms->entries[0].value->n; i++)
        put(map, forms->entries[0].value->entries[i].key,
            forms->entries[0].value->entries[i].value);
    return map;
}

static const struct node *value_of(struct schema_tree *tree, const struct field *field,
                                   const char *name, bool has_about)
{
    struct schema schema = field_schema(field);
    struct node *map = map_new(tree, 8);

    if (has_about)
        put(map, "description",
            text(tree, arena_printf(tree->arena, "%s%s", field->about, state_about[field->state])));
    return forms_of(tree, &schema, field->shape, name, map);
}

/* ---- the file ---------------------------------------------------------------------------------
 */

static const struct node *variables_of(struct schema_tree *tree)
{
    struct node *map = map_new(tree, 3);

    put(map, "description", text(tree, "Checked when its variables are filled in."));
    put(map, "type", text(tree, "string"));
    put(map, "pattern", text(tree, "\\$"));
    return map;
}

void compose_schema_print(struct buf *out)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct schema_tree tree = {.arena = &arena};
    struct node *root = map_new(&tree, 10);
    struct node *definitions;

    put(root, "$schema", text(&tree, draft_url));
    put(root, "$id", text(&tree, own_id));
    put(root, "title", text(&tree, "Compose file"));
    put(root, "description",
        text(&tree, "What berth reads, printed from the tables it checks files with."));
    put_keys(&tree, file_field.shape, "", root);
    definitions = map_new(&tree, tree.definitions.n + 1);
    put(definitions, "variables", variables_of(&tree));
    for (size_t i = 0; i < tree.definitions.n; i++)
        put(definitions, tree.definitions.items[i].name, tree.definitions.items[i].object);
    put(root, "$defs", definitions);
    node_print_json(out, root, DOLLARS_PLAIN);
    vec_release(&tree.definitions);
}
