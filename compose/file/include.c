/* include: other projects' files, loaded with their own directory and environment, as the base of
 * the document that names them (compose.md 1.4).
 *
 * Every element is loaded like a project of its own up to the merge: its files' documents are
 * interpolated, followed, and merged over each other; what is relative becomes absolute while the
 * directory is known, and variables named without a value get theirs while the environment is
 * known. Then its resources are put below the including document, which is merged over them like an
 * override file. */

#include <string.h>

#include "compose/file/field.h"
#include "compose/file/interpolate.h"
#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"
#include "compose/file/yaml.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/path.h"

enum { INCLUDE_DEPTH_MAX = 50 };

/* What is taken from an included file; its name and its extensions stay there. */
static const char *const sections[] = {"services", "networks", "volumes",
                                       "configs",  "secrets",  "models"};

enum { N_SECTIONS = sizeof(sections) / sizeof(sections[0]) };

/* The trees of a document's elements. */
struct included {
    const struct node **roots;
    size_t n;
};

static bool is_section(const char *key)
{
    for (size_t i = 0; i < N_SECTIONS; i++) {
        if (strcmp(key, sections[i]) == 0)
            return true;
    }
    return false;
}

/* ---- one element ------------------------------------------------------------------------------
 */

/* "cycle: a.yaml -> b.yaml (a.yaml:2) -> a.yaml (b.yaml:1)"; true if `path` is on the way. */
static bool report_cycle(struct load *load, const char *path, struct span at)
{
    const struct include_link *chain[INCLUDE_DEPTH_MAX + 1];
    const struct include_link *first = load->link;
    size_t n = 0;
    struct buf text;

    while (first && !text_equal(first->path, path)) {
        chain[n++] = first;
        first = first->outer;
    }
    if (!first)
        return false;
    buf_init(&text, 800);
    buf_add_text(&text, report_source_name(&load->report, first->source));
    for (; n > 0; n--)
        buf_printf(&text, " -> %s (%s:%u)", report_source_name(&load->report, chain[n - 1]->source),
                   report_source_name(&load->report, chain[n - 1]->at.file), chain[n - 1]->at.line);
    report_error(&load->report, at, "files must not include each other in a circle",
                 "include cycle detected: %s -> %s (%s:%u)", buf_text(&text),
                 load_shown_path(load, path), report_source_name(&load->report, at.file), at.line);
    buf_release(&text);
    return true;
}

/* The element's `key`, a list of texts as it was decoded: the span of item `i`. */
static struct span item_span(const struct node *element, const char *key, size_t i)
{
    return node_get(element, key)->entries[i].value->span;
}

/* The documents of all its files; they must be mappings. */
static int read_element(struct load *load, const struct node *element, const struct strings *paths,
                        struct yaml_documents *documents)
{
    for (size_t i = 0; i < paths->n; i++) {
        struct span at = item_span(element, "path", i);
        const char *path = paths->items[i];
        size_t first = documents->n;
        uint32_t source;

        if (load_refuse_remote(load, path, at) < 0)
            return -1;
        path = load_resolve_path(load, load->directory, path);
        if (report_cycle(load, path, at) || load_named_file(load, path, at, documents, &source) < 0)
            return -1;
        for (size_t k = first; k < documents->n; k++) {
            if (load_count_document(load, documents->items[k], at) < 0)
                return -1;
        }
    }
    if (documents->n == 0)
        return report_error(&load->report, item_span(element, "path", 0), NULL,
                            "cannot include %s: empty compose file", paths->items[0]);
    return 0;
}

/* Its env files below load->environment: `files` start at the including directory, the default is
 * that of its own. */
static int add_environment(struct load *load, const struct node *element,
                           const struct strings *files, const char *directory)
{
    struct pairs pairs = {0};

    if (files->n == 0)
        return load_default_env_file(load, directory);
    for (size_t i = 0; i < files->n; i++) {
        const char *path = load_resolve_path(load, load->directory, files->items[i]);

        if (strcmp(path, "/dev/null") == 0)
            continue;
        if (load_env_file(load, path, LOAD_REQUIRED, item_span(element, "env_file", i), &pairs) < 0)
            return -1;
    }
    load_add_environment(load, &pairs);
    return 0;
}

static int decode_element(struct load *load, const struct node *element, struct include *ret)
{
    size_t n_errors = load->report.n_errors;

    memset(ret, 0, sizeof(*ret));
    if (element->kind != NODE_MAP) {
        wrong_type(load, element, "a mapping or string");
        return -1;
    }
    shape_decode(load, &include_shape, element, ret);
    if (load->report.n_errors > n_errors)
        return -1;
    if (ret->paths.n == 0)
        return report_error(&load->report, element->span, NULL, "%s: missing property \"path\"",
                            report_path(&load->report));
    for (size_t i = 0; i < ret->paths.n; i++) {
        if (!*ret->paths.items[i])
            return report_error(&load->report, item_span(element, "path", i), NULL,
                                "%s.path is empty", report_path(&load->report));
    }
    return 0;
}

/* ---- its tree --------------------------------------------------------------------------------
 */

/* A value as the tree has it: without interpolation, a dollar is still to be read as one. */
static const char *printed_text(struct load *load, const char *value)
{
    struct buf text;
    const char *doubled;

    if (!(load->options->flags & PROJECT_NO_INTERPOLATE) || !strchr(value, '$'))
        return value;
    buf_init(&text, 2 * strlen(value) + 1);
    interpolate_escape(&text, str_from(value));
    doubled = arena_strdup(load->arena, buf_text(&text));
    buf_release(&text);
    return doubled;
}

/* The object's variables below `key` without a value get the one of load->environment, where the
 * project's own has another: those that are the same are resolved with all others'. */
static const struct node *resolve_variables(struct load *load, const struct node *object,
                                            const char *key)
{
    const struct node_entry *entry = node_find(object, key);
    struct node *variables;
    struct node *copy;

    if (!entry || entry->value->kind != NODE_MAP)
        return object;
    variables = node_edit(load->arena, entry->value);
    for (size_t i = 0; i < variables->n; i++) {
        struct node_entry *variable = &variables->entries[i];
        struct str name = str_from(variable->key);
        const char *value = variables_find_sorted(&load->environment, name);

        if (!value || !node_is_null(variable->value) ||
            text_equal(value, variables_find_sorted(&load->root_environment, name)))
            continue;
        variable->value =
            node_new_text(load->arena, printed_text(load, value), variable->value->span);
    }
    copy = node_edit(load->arena, object);
    copy->entries[entry - object->entries].value = variables;
    return copy;
}

/* A build without a context has that of its own directory; its arguments see what it sees. */
static const struct node *resolve_build(struct load *load, const struct node *service)
{
    const struct node_entry *entry = node_find(service, "build");
    const struct node *build;
    struct node *copy;

    if (!entry || entry->value->kind != NODE_MAP)
        return service;
    build = resolve_variables(load, entry->value, "args");
    if (!node_get(build, "context")) {
        struct node *whole = node_copy(load->arena, build, 1);

        whole->tag = build->tag;
        whole->has_tags = build->has_tags;
        node_add(whole, "context", entry->span,
                 node_new_text(load->arena, load->directory, entry->span));
        build = whole;
    }
    copy = node_edit(load->arena, service);
    copy->entries[entry - service->entries].value = build;
    return copy;
}

/* Secrets and configs that come from a variable keep its value. */
static void note_values(struct load *load, const struct node *section)
{
    for (size_t i = 0; section && section->kind == NODE_MAP && i < section->n; i++) {
        const struct node *origin = node_get(section->entries[i].value, "environment");
        const char *value = origin && node_is_text(origin)
                                ? variables_find_sorted(&load->environment, str_from(origin->text))
                                : NULL;

        if (value)
            vec_push(&load->included_values,
                     (struct included_value){.span = origin->span, .value = value});
    }
}

/* The root's sections alone; other keys are checked, and stay behind. */
static const struct node *take_sections(struct load *load, const struct node *root)
{
    struct node *taken = node_new(load->arena, NODE_MAP, root->span, root->n);
    struct node *others = node_new(load->arena, NODE_MAP, root->span, root->n);
    struct model scratch = {0};

    for (size_t i = 0; i < root->n; i++) {
        const struct node_entry *entry = &root->entries[i];

        node_add(is_section(entry->key) ? taken : others, entry->key, entry->span, entry->value);
    }
    shape_decode(load, &file_shape, others, &scratch);
    return taken;
}

static const struct node *resolve_tree(struct load *load, const struct node *root)
{
    const struct node_entry *services;
    struct node *copy;
    struct node *section;

    root = take_sections(load, root);
    note_values(load, node_get(root, "secrets"));
    note_values(load, node_get(root, "configs"));
    services = node_find(root, "services");
    if (!services || services->value->kind != NODE_MAP)
        return root;
    section = node_edit(load->arena, services->value);
    for (size_t i = 0; i < section->n; i++)
        section->entries[i].value =
            resolve_build(load, resolve_variables(load, section->entries[i].value, "environment"));
    copy = node_edit(load->arena, root);
    copy->entries[services - root->entries].value = section;
    return copy;
}

/* What an element's own tree is loaded with. */
struct element {
    struct include include;
    struct yaml_documents documents;
    const char *directory;
    struct span at;
};

/* Read it, and bring load->environment to what it sees. */
static int open_element(struct load *load, const struct node *node, struct element *element)
{
    struct include *include = &element->include;

    if (decode_element(load, node, include) < 0)
        return -1;
    element->at = item_span(node, "path", 0);
    if (load->link->depth == INCLUDE_DEPTH_MAX)
        return report_error(&load->report, element->at, NULL,
                            "files include each other more than %d deep", INCLUDE_DEPTH_MAX);
    element->directory = load_resolve_path(load, load->directory,
                                           include->project_directory
                                               ? include->project_directory
                                               : path_dir(load->arena, include->paths.items[0]));
    if (read_element(load, node, &include->paths, &element->documents) < 0)
        return -1;
    return add_environment(load, node, &include->env_files, element->directory);
}

/* Element number `i`'s resources; NULL: reported. */
static const struct node *follow(struct load *load, const struct node *node, size_t i)
{
    const struct pairs environment = load->environment;
    const char *directory = load->directory;
    struct include_link link = {.outer = load->link, .depth = load->link->depth + 1};
    struct element element = {0};
    const struct node *root = NULL;
    int result;

    report_enter_key(&load->report, "include");
    report_enter_index(&load->report, i);
    result = open_element(load, node, &element);
    report_leave(&load->report);
    report_leave(&load->report);
    if (result == 0) {
        load->directory = element.directory;
        link.at = element.at;
        load->link = &link;
        root = load_documents(load, &element.documents);
        root = root ? resolve_tree(load, root) : NULL;
        load->link = link.outer;
    }
    load->directory = directory;
    load->environment = environment;
    vec_release(&element.documents);
    return root;
}

/* ---- the resources of all --------------------------------------------------------------------
 */

static bool says_nothing(const struct node *resource)
{
    return node_is_null(resource) || (resource->kind == NODE_MAP && resource->n == 0);
}

/* `data:` and `data: {}` are the same. */
static bool is_same(struct load *load, const struct node *a, const struct node *b)
{
    return (says_nothing(a) && says_nothing(b)) || node_equal(load->arena, a, b);
}

/* What to call a resource of a section: "service", … */
static const char *noun_of(struct load *load, const char *section)
{
    return arena_strndup(load->arena, section, strlen(section) - 1);
}

/* Nothing of what is included stays when the document replaces or resets it. */
static bool is_replaced(const struct node *own, const char *key)
{
    const struct node *value = own ? node_get(own, key) : NULL;

    return own && (own->tag != NODE_UNTAGGED || (value && value->tag != NODE_UNTAGGED));
}

/* One section of all elements as one; the same name twice must mean the same. */
static const struct node *join_section(struct load *load, const char *section,
                                       const struct included *included, const struct node *own,
                                       struct span span)
{
    struct node *all;
    struct node *joined;
    struct node_index index;
    const struct node_entry *first = NULL;
    size_t n = 0;

    for (size_t i = 0; i < included->n; i++) {
        const struct node *map = node_get(included->roots[i], section);

        n += map && map->kind == NODE_MAP ? map->n : 0;
    }
    all = node_new(load->arena, NODE_MAP, span, n);
    for (size_t i = 0; i < included->n; i++) {
        const struct node *map = node_get(included->roots[i], section);

        for (size_t k = 0; map && map->kind == NODE_MAP && k < map->n; k++)
            node_add(all, map->entries[k].key, map->entries[k].span, map->entries[k].value);
    }
    joined = node_new(load->arena, NODE_MAP, span, n);
    index = node_index_make(load->arena, all);
    for (size_t i = 0; i < index.n; i++) {
        const struct node_entry *entry = index.sorted[i];

        if (!first || strcmp(first->key, entry->key) != 0) {
            first = entry;
            node_add(joined, entry->key, entry->span, entry->value);
        } else if (!is_same(load, first->value, entry->value) && !is_replaced(own, entry->key)) {
            bool is_same_place =
                entry->span.file == first->span.file && entry->span.line == first->span.line;

            report_error(&load->report, entry->span,
                         is_same_place ? "the file is included with two environments or directories"
                                       : "rename one, or define it in the including file with "
                                         "!override",
                         "%s \"%s\" is included twice and differs: the other one is at %s:%u",
                         noun_of(load, section), entry->key,
                         report_source_name(&load->report, first->span.file), first->span.line);
        }
    }
    return joined;
}

/* A name in both: said, because two files' authors may not know of each other. */
static void warn_clashes(struct load *load, const char *section, const struct node *base,
                         const struct node *own)
{
    struct node_index index = node_index_make(load->arena, base);

    for (size_t i = 0; own->kind == NODE_MAP && i < own->n; i++) {
        const struct node_entry *entry = &own->entries[i];
        const struct node_entry *known = node_index_find(&index, entry->key);

        if (known && !is_replaced(own, entry->key) && !says_nothing(entry->value) &&
            !node_equal(load->arena, known->value, entry->value))
            report_warning(&load->report, entry->span, NULL,
                           "%s \"%s\" is merged over the included one of %s:%u",
                           noun_of(load, section), entry->key,
                           report_source_name(&load->report, known->span.file), known->span.line);
    }
}

/* The document over the elements' resources. */
static const struct node *import(struct load *load, const struct node *document,
                                 const struct included *included)
{
    struct node *base = node_new(load->arena, NODE_MAP, document->span, N_SECTIONS);

    for (size_t i = 0; i < N_SECTIONS; i++) {
        const struct node_entry *own = node_find(document, sections[i]);
        const struct node *joined;

        if (own && own->value->kind != NODE_MAP && !node_is_null(own->value))
            continue; /* binding it will tell */
        joined = join_section(load, sections[i], included, own ? own->value : NULL,
                              own ? own->value->span : document->span);
        if (joined->n == 0)
            continue;
        node_add(base, sections[i], own ? own->span : joined->span, joined);
        if (own)
            warn_clashes(load, sections[i], joined, own->value);
    }
    return merge_below(load, &file_field, base, node_without(load->arena, document, "include"));
}

static int check_list(struct load *load, const struct node *list)
{
    int result = 0;

    report_enter_key(&load->report, "include");
    if (list->tag != NODE_UNTAGGED)
        result = report_error(&load->report, list->span, "take the lines out of the other file",
                              "include can't be reset or overridden: what the files before "
                              "include is loaded already");
    else if (list->kind != NODE_LIST)
        result = (wrong_type(load, list, "a list"), -1);
    report_leave(&load->report);
    return result;
}

const struct node *include_resolve(struct load *load, const struct node *document)
{
    const struct node *list = node_get(document, "include");
    struct included included = {0};

    if (!list || check_list(load, list) < 0)
        return document;
    included.roots = arena_new_array(load->arena, const struct node *, list->n + 1);
    for (size_t i = 0; i < list->n; i++) {
        const struct node *root = follow(load, list->entries[i].value, i);

        if (root)
            included.roots[included.n++] = root;
    }
    return import(load, document, &included);
}

/* ---- the key ---------------------------------------------------------------------------------
 */

static const struct schema text_schema = {.forms = SCHEMA_TEXT};

const struct field_type type_include = {.decode = decode_nothing,
                                        .schema = {.forms = SCHEMA_LIST, .items = &text_schema}};
const struct field_type type_include_item = {
    .text_key = "path", .decode = decode_nothing, .schema = {.forms = SCHEMA_TEXT | SCHEMA_MAP}};
