#include "compose/file/as_written.h"

#include <string.h>

#include "compose/file/field.h"
#include "compose/file/interpolate.h"
#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/project.h"
#include "compose/file/types.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"

static const char *const env_file_key = "env_file";
static const char *const label_file_key = "label_file";
static const char *const build_key = "build";

/* ---- loading ----------------------------------------------------------------------------------
 */

/* `map` with the variables below one of its keys filled in. */
static const struct node *interpolate_member(struct load *load, const struct node *map,
                                             const char *key)
{
    const struct node_entry *entry = node_find(map, key);
    const struct node *value;
    struct node *copy;

    if (!entry || !node_is_template(entry->value))
        return map;
    report_enter_key(&load->report, key);
    value = interpolate_node(&load->report, entry->value, &load->variables, &load->n_interpolated);
    report_leave(&load->report);
    copy = node_edit(load->arena, map);
    copy->entries[entry - map->entries].value = value;
    return copy;
}

struct foreign {
    struct load *load;
    bool is_used;
};

/* A variable that the project's own files would see otherwise. */
static void look_for_foreign(void *context, const struct expression *expression)
{
    struct foreign *foreign = context;
    const char *here = variables_find_sorted(&foreign->load->environment, expression->name);
    const char *there = variables_find_sorted(&foreign->load->root_environment, expression->name);

    foreign->is_used |= !text_equal(here, there);
}

static const struct node *fill_in_text(struct load *load, const struct node *text, bool all)
{
    struct foreign foreign = {.load = load, .is_used = all};
    const struct node *filled;
    struct node *copy;
    struct buf doubled = BUF_INIT;

    interpolate_scan((struct str){text->text, text->text_len}, look_for_foreign, &foreign);
    if (!foreign.is_used)
        return text;
    filled = interpolate_node(&load->report, text, &load->variables, &load->n_interpolated);
    interpolate_escape(&doubled, (struct str){filled->text, filled->text_len});
    copy = node_new_text(load->arena, arena_strdup(load->arena, buf_text(&doubled)), text->span);
    copy->tag = text->tag;
    copy->has_tags = text->has_tags;
    buf_release(&doubled);
    return copy;
}

/* Included files have an environment of their own, which what is printed can't have: where it
 * matters for a value, its variables are filled in. In files of another directory `all` are: there
 * is no telling what is a path before, and what is printed has only one directory. */
static const struct node *fill_in_foreign(struct load *load, const struct node *node, bool all)
{
    struct node *copy = NULL;

    if (node->kind == NODE_SCALAR)
        return node_is_template(node) ? fill_in_text(load, node, all) : node;
    for (size_t i = 0; i < node->n; i++) {
        const struct node *value = fill_in_foreign(load, node->entries[i].value, all);

        if (value == node->entries[i].value)
            continue;
        if (!copy) {
            copy = node_edit(load->arena, node);
        }
        copy->entries[i].value = value;
    }
    return copy ? copy : node;
}

const struct node *interpolate_references(struct load *load, const struct node *document,
                                          const char *directory)
{
    bool is_elsewhere = strcmp(directory, load->root_directory) != 0;
    const struct node_entry *services;
    struct node *followed;
    struct node *copy;

    if (is_elsewhere || load->environment.items != load->root_environment.items)
        document = fill_in_foreign(load, document, is_elsewhere);
    document = interpolate_member(load, document, "include");
    services = node_find(document, "services");
    if (!services || services->value->kind != NODE_MAP)
        return document;
    followed = node_edit(load->arena, services->value);
    report_enter_key(&load->report, "services");
    for (size_t i = 0; i < followed->n; i++) {
        report_enter_key(&load->report, followed->entries[i].key);
        followed->entries[i].value =
            interpolate_member(load, followed->entries[i].value, "extends");
        report_leave(&load->report);
    }
    report_leave(&load->report);
    copy = node_edit(load->arena, document);
    copy->entries[services - document->entries].value = followed;
    return copy;
}

/* ---- printing ---------------------------------------------------------------------------------
 */

/* Keys whose flag asks for the file's own value. */
static bool is_from_source(const struct field *field, unsigned flags, const struct node *value)
{
    if ((flags & PROJECT_NO_INTERPOLATE) && node_is_template(value))
        return true;
    return (flags & (PROJECT_NO_INTERPOLATE | PROJECT_NO_ENV_RESOLUTION)) &&
           (str_is(field->name, env_file_key) || str_is(field->name, label_file_key));
}

/* The build section without a Dockerfile that nobody wrote. */
static const struct node *without_default(const struct encoder *encoder, const struct node *build,
                                          const struct node *written)
{
    struct node *copy;

    if (!written || node_get(written, "dockerfile"))
        return build;
    copy = encode_object(encoder, build->n);
    for (size_t i = 0; i < build->n; i++) {
        if (strcmp(build->entries[i].key, "dockerfile") != 0)
            encode_put(copy, build->entries[i].key, build->entries[i].value);
    }
    return copy;
}

const struct node *as_written(const struct encoder *encoder, const struct shape *shape,
                              unsigned flags, const struct node *encoded, const struct node *source)
{
    struct node *map;

    if (!(flags & (PROJECT_NO_INTERPOLATE | PROJECT_NO_ENV_RESOLUTION | PROJECT_NO_NORMALIZE)) ||
        !source || source->kind != NODE_MAP)
        return encoded;
    map = encode_object(encoder, encoded->n + source->n);
    for (size_t i = 0; i < shape->n_fields; i++) {
        const struct field *field = &shape->fields[i];
        const struct node *written = node_get(source, field->name.data);
        const struct node *value = node_get(encoded, field->name.data);

        if (written && is_from_source(field, flags, written))
            value = written;
        else if (value && (flags & PROJECT_NO_NORMALIZE) && str_is(field->name, build_key))
            value = without_default(encoder, value, written);
        if (value)
            encode_put(map, field->name.data, value);
    }
    for (size_t i = 0; i < encoded->n; i++) {
        if (key_is_extension(encoded->entries[i].key))
            encode_put(map, encoded->entries[i].key, encoded->entries[i].value);
    }
    return map;
}
