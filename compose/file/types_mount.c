/* volumes: "[SOURCE:]TARGET[:OPTIONS]" and the long form (compose.md 3.5). */

#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"
#include "compose/file/unhonoured.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/path.h"

static const char *const type_name_of[] = {
    [SERVICE_MOUNT_BIND] = "bind",
    [SERVICE_MOUNT_VOLUME] = "volume",
    [SERVICE_MOUNT_TMPFS] = "tmpfs",
    [SERVICE_MOUNT_IMAGE] = "image",
    [SERVICE_MOUNT_NPIPE] = "npipe",
    [SERVICE_MOUNT_CLUSTER] = "cluster",
    NULL,
};

enum { MOUNT_TYPES = sizeof(type_name_of) / sizeof(type_name_of[0]) - 1 };

static const char *const selinux_labels[] = {"z", "Z", NULL};
static const char *const propagations[] = {"private", "rprivate", "shared", "rshared",
                                           "slave",   "rslave",   NULL};

static bool is_propagation(struct str text)
{
    for (size_t i = 0; propagations[i]; i++) {
        if (str_is(text, propagations[i]))
            return true;
    }
    return false;
}

/* ---- short form -------------------------------------------------------------------------------
 */

struct short_mount {
    struct str source; /* empty: anonymous */
    struct str target;
    struct str options;
};

static int parse_short(const char *spec, struct short_mount *ret, struct error *err)
{
    struct str fields[3] = {{0}};
    struct str rest = str_from(spec);
    size_t n = 0;
    bool is_more = true;

    if (!*spec)
        return error_set(err, ERROR_INVALID, "invalid empty volume spec");
    while (is_more) {
        struct str tail = {0};

        if (n == 3)
            return error_set(err, ERROR_INVALID, "invalid spec: %s: too many colons", spec);
        is_more = str_cut(rest, ':', &fields[n], &tail);
        if (!is_more)
            fields[n] = rest;
        if (fields[n].len == 0)
            return error_set(err, ERROR_INVALID, "invalid spec: %s: empty section between colons",
                             spec);
        n++;
        rest = tail;
    }
    *ret = (struct short_mount){
        .source = n == 1 ? (struct str){0} : fields[0],
        .target = n == 1 ? fields[0] : fields[1],
        .options = fields[2],
    };
    return 0;
}

static bool is_host_path(struct str source)
{
    return source.len > 0 && strchr("./~\\", source.data[0]);
}

struct long_form {
    struct load *load;
    struct node *mount;
    struct node *bind;
    struct node *volume;
    struct span span;
};

static void put_text(struct long_form *form, struct node *map, const char *key, struct str text)
{
    node_add(map, key, form->span,
             node_new_text(form->load->arena, arena_strndup(form->load->arena, text.data, text.len),
                           form->span));
}

static void put_true(struct long_form *form, struct node *map, const char *key)
{
    node_add(map, key, form->span,
             node_new_scalar(form->load->arena, NODE_BOOL, "true", form->span));
}

/* Room for each option once: a second "ro" must not overflow the mapping. */
static void put_once(struct long_form *form, struct node *map, const char *key, struct str text)
{
    if (node_find(map, key))
        return;
    if (text.len > 0)
        put_text(form, map, key, text);
    else
        put_true(form, map, key);
}

/* How soon both sides see a write, which on Linux is at once. */
static bool is_consistency(struct str option)
{
    return str_is(option, "cached") || str_is(option, "delegated") || str_is(option, "consistent");
}

static void add_option(struct long_form *form, struct str option)
{
    if (str_is(option, "ro"))
        put_once(form, form->mount, "read_only", (struct str){0});
    else if (str_is(option, "nocopy"))
        put_once(form, form->volume, "nocopy", (struct str){0});
    else if (str_is(option, "z") || str_is(option, "Z"))
        put_once(form, form->bind, "selinux", option);
    else if (is_propagation(option))
        put_once(form, form->bind, "propagation", option);
    else if (!is_consistency(option) && !str_is(option, "rw"))
        report_warning(&form->load->report, form->span, NULL,
                       "%s: option \"" STR_FMT "\" is unknown and has no effect",
                       report_path(&form->load->report), STR_ARG(option));
}

static struct node *long_mount(struct load *load, const struct short_mount *mount, struct span span)
{
    struct long_form form = {
        .load = load,
        .mount = node_new(load->arena, NODE_MAP, span, 6),
        .bind = node_new(load->arena, NODE_MAP, span, 3),
        .volume = node_new(load->arena, NODE_MAP, span, 1),
        .span = span,
    };
    bool is_bind = is_host_path(mount->source);
    struct str options = mount->options;

    put_text(&form, form.mount, "type", is_bind ? STR("bind") : STR("volume"));
    if (mount->source.len > 0)
        put_text(&form, form.mount, "source", mount->source);
    put_text(&form, form.mount, "target", mount->target);
    while (options.len > 0) {
        struct str option;
        struct str rest = {0};

        if (!str_cut(options, ',', &option, &rest))
            option = options;
        add_option(&form, option);
        options = rest;
    }
    if (is_bind)
        put_true(&form, form.bind, "create_host_path");
    if (form.bind->n > 0)
        node_add(form.mount, "bind", span, form.bind);
    if (!is_bind)
        node_add(form.mount, "volume", span, form.volume);
    return form.mount;
}

static struct node *mounts_canonical(struct load *load, const struct field *field,
                                     const struct node *node)
{
    struct node *list;

    (void)field;
    if (node->kind != NODE_LIST)
        return NULL;
    list = node_new(load->arena, NODE_LIST, node->span, node->n);
    for (size_t i = 0; i < node->n; i++) {
        const struct node *item = node->entries[i].value;
        struct error error = ERROR_INIT;
        struct short_mount mount;

        report_enter_index(&load->report, i);
        if (!node_is_text(item))
            node_add(list, NULL, item->span, item);
        else if (parse_short(item->text, &mount, &error) == 0)
            node_add(list, NULL, item->span, long_mount(load, &mount, item->span));
        else { /* stays, so that the others keep their index; binding passes over it */
            report_error(&load->report, item->span, NULL, "%s: %s", report_path(&load->report),
                         error.text);
            node_add(list, NULL, item->span, item);
        }
        report_leave(&load->report);
    }
    return list;
}

const char *mount_unique(struct arena *arena, const struct node *item)
{
    const struct node *target = node_get(item, "target");

    return target && node_is_text(target) ? path_clean(arena, target->text) : NULL;
}

/* ---- binding ----------------------------------------------------------------------------------
 */

static void check_mount(struct load *load, const struct node *item, struct service_mount *mount)
{
    if (!mount->target) {
        /* reported */
    } else if (!path_is_absolute(mount->target)) {
        report_error(&load->report, item->span, NULL, "%s: target \"%s\" must be an absolute path",
                     report_path(&load->report), mount->target);
    } else {
        mount->target = path_clean(load->arena, mount->target);
        if (strcmp(mount->target, "/") == 0)
            report_error(&load->report, item->span, NULL, "%s: target must not be \"/\"",
                         report_path(&load->report));
    }
    if (mount->type == SERVICE_MOUNT_BIND && !mount->source && node_find(item, "type"))
        report_error(&load->report, item->span, NULL,
                     "%s: invalid mount config for type \"bind\": source must not be empty",
                     report_path(&load->report));
    if (mount->type == SERVICE_MOUNT_VOLUME && mount->propagation)
        report_warning(&load->report, item->span, NULL, "%s: propagation has no effect on a volume",
                       report_path(&load->report));
    if (mount->type == SERVICE_MOUNT_TMPFS && mount->source)
        report_error(&load->report, item->span, NULL, "%s: a tmpfs has no source",
                     report_path(&load->report));
}

/* What "volume:/target:z" says, too. */
static bool is_of_volumes(const struct node_entry *section)
{
    size_t n = 0;

    n += node_find(section->value, "selinux") != NULL;
    n += node_find(section->value, "propagation") != NULL;
    return strcmp(section->key, "bind") == 0 && section->value->n == n;
}

/* bind:, volume:, tmpfs: and image: only on their own type. */
static void check_sections(struct load *load, const struct node *item, struct service_mount *mount)
{
    for (size_t i = 0; i < MOUNT_TYPES; i++) {
        const struct node_entry *section = node_find(item, type_name_of[i]);

        if (section && i == (size_t)mount->type)
            mount->has_section = true;
        else if (section && section->value->n > 0 &&
                 !(mount->type == SERVICE_MOUNT_VOLUME && is_of_volumes(section)))
            report_error(&load->report, section->span, NULL,
                         "%s: `%s` options on a mount of type \"%s\"", report_path(&load->report),
                         type_name_of[i], type_name_of[mount->type]);
    }
}

static void mounts_decode(struct load *load, const struct field *field, const struct node *node,
                          void *object)
{
    struct service *service = object;

    if (!want_kind(load, node, WANT_LIST))
        return;
    service->volumes = arena_new_array(load->arena, struct service_mount, node->n + 1);
    for (size_t i = 0; i < node->n; i++) {
        const struct node *item = node->entries[i].value;
        struct service_mount *mount = &service->volumes[service->n_volumes];

        if (node_is_text(item))
            continue; /* reported as a short form */
        report_enter_index(&load->report, i);
        if (item->kind != NODE_MAP) {
            wrong_type(load, item, "a string or mapping");
        } else {
            shape_init(field->shape, mount);
            mount->span = item->span;
            shape_decode(load, field->shape, item, mount);
            check_mount(load, item, mount);
            check_sections(load, item, mount);
            service->n_volumes++;
        }
        report_leave(&load->report);
    }
}

static const struct node *mounts_encode(const struct encoder *encoder, const struct field *field,
                                        const void *object)
{
    const struct service *service = object;
    struct node *list = encode_list(encoder, service->n_volumes);

    for (size_t i = 0; i < service->n_volumes; i++)
        encode_put(list, NULL, shape_encode(encoder, field->shape, &service->volumes[i]));
    return list->n > 0 ? list : NULL;
}

const struct field_type type_mounts = {.canonical = mounts_canonical,
                                       .decode = mounts_decode,
                                       .encode = mounts_encode,
                                       .schema = {.forms = SCHEMA_LIST}};

static void mount_type_decode(struct load *load, const struct field *field, const struct node *node,
                              void *object)
{
    struct service_mount *mount = object;

    if (!want_text(load, node) || !want_schema_text(load, field, node))
        return;
    while (strcmp(node->text, type_name_of[mount->type]) != 0)
        mount->type++;
    if (mount->type >= SERVICE_MOUNT_IMAGE)
        unhonoured_note_value(load, node);
}

static const struct node *mount_type_encode(const struct encoder *encoder,
                                            const struct field *field, const void *object)
{
    const struct service_mount *mount = object;

    (void)field;
    return encode_text(encoder, type_name_of[mount->type]);
}

const struct field_type type_mount_type = {.decode = mount_type_decode,
                                           .encode = mount_type_encode,
                                           .schema = {.forms = SCHEMA_TEXT, .words = type_name_of}};

static const struct node *plain_text_encode(const struct encoder *encoder,
                                            const struct field *field, const void *object)
{
    return encode_text(encoder, *SLOT_CONST(char *, object, field));
}

static void propagation_decode(struct load *load, const struct field *field,
                               const struct node *node, void *object)
{
    const char *text = want_text(load, node);

    if (text && !is_propagation(str_from(text)))
        report_error(&load->report, node->span, "private, rprivate, shared, rshared, slave, rslave",
                     "%s: unknown propagation \"%s\"", report_path(&load->report), text);
    *SLOT(const char *, object, field) = text;
}

const struct field_type type_mount_propagation = {
    .decode = propagation_decode,
    .encode = plain_text_encode,
    .schema = {.forms = SCHEMA_TEXT, .words = propagations}};

static void selinux_decode(struct load *load, const struct field *field, const struct node *node,
                           void *object)
{
    const char *text = want_text(load, node);

    if (text && strcmp(text, "z") != 0 && strcmp(text, "Z") != 0)
        report_error(&load->report, node->span, NULL, "%s: value must be one of \"z\", \"Z\"",
                     report_path(&load->report));
    else if (text)
        unhonoured_note_selinux(load, node);
    *SLOT(const char *, object, field) = text;
}

const struct field_type type_selinux = {.decode = selinux_decode,
                                        .encode = plain_text_encode,
                                        .schema = {.forms = SCHEMA_TEXT, .words = selinux_labels}};

/* ---- sections ---------------------------------------------------------------------------------
 */

static bool is_of_type(const struct field *field, const struct service_mount *mount)
{
    return strcmp(field->name.data, type_name_of[mount->type]) == 0;
}

static void section_decode(struct load *load, const struct field *field, const struct node *node,
                           void *object)
{
    if (want_kind(load, node, WANT_MAP))
        shape_decode(load, field->shape, node, object);
}

/* Compose prints the one that is there, even when nothing in it is set. */
static const struct node *section_encode(const struct encoder *encoder, const struct field *field,
                                         const void *object)
{
    const struct service_mount *mount = object;

    bool is_bind_of_volume = mount->type == SERVICE_MOUNT_VOLUME && str_is(field->name, "bind") &&
                             (mount->selinux || mount->propagation);

    return (mount->has_section && is_of_type(field, mount)) || is_bind_of_volume
               ? shape_encode(encoder, field->shape, mount)
               : NULL;
}

const struct field_type type_mount_section = {
    .decode = section_decode, .encode = section_encode, .schema = {.forms = SCHEMA_MAP}};
