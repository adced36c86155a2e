/* secrets and configs of a service: "NAME", or where it appears in the container. */

#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/types.h"
#include "engine/base/arena.h"
#include "engine/base/path.h"

static const char secrets_directory[] = "/run/secrets/";
static const char configs_directory[] = "/";

const struct field_type type_service_file = {
    .text_key = "source", .decode = decode_nothing, .schema = {.forms = SCHEMA_TEXT | SCHEMA_MAP}};

/* ---- lists ------------------------------------------------------------------------------------
 */

static struct service_file *read_files(struct load *load, const struct field *field,
                                       const struct node *node, size_t *ret_n)
{
    struct service_file *files;
    size_t n = 0;

    if (!want_kind(load, node, WANT_LIST))
        return NULL;
    files = arena_new_array(load->arena, struct service_file, node->n + 1);
    for (size_t i = 0; i < node->n; i++) {
        const struct node *item = node->entries[i].value;

        report_enter_index(&load->report, i);
        if (item->kind != NODE_MAP) {
            wrong_type(load, item, "a mapping or string");
        } else {
            files[n].span = item->span;
            shape_decode(load, field->shape, item, &files[n]);
            n++;
        }
        report_leave(&load->report);
    }
    *ret_n = n;
    return files;
}

static void secrets_decode(struct load *load, const struct field *field, const struct node *node,
                           void *object)
{
    struct service *service = object;

    service->secrets = read_files(load, field, node, &service->n_secrets);
    for (size_t i = 0; i < service->n_secrets; i++) {
        struct service_file *file = &service->secrets[i];

        if (file->source && !file->target)
            file->target = arena_printf(load->arena, "%s%s", secrets_directory, file->source);
    }
}

static void configs_decode(struct load *load, const struct field *field, const struct node *node,
                           void *object)
{
    struct service *service = object;

    service->configs = read_files(load, field, node, &service->n_configs);
}

static const struct node *encode_files(const struct encoder *encoder, const struct field *field,
                                       const struct service_file *files, size_t n)
{
    struct node *list = encode_list(encoder, n);

    for (size_t i = 0; i < n; i++)
        encode_put(list, NULL, shape_encode(encoder, field->shape, &files[i]));
    return n > 0 ? list : NULL;
}

static const struct node *secrets_encode(const struct encoder *encoder, const struct field *field,
                                         const void *object)
{
    const struct service *service = object;

    return encode_files(encoder, field, service->secrets, service->n_secrets);
}

static const struct node *configs_encode(const struct encoder *encoder, const struct field *field,
                                         const void *object)
{
    const struct service *service = object;

    return encode_files(encoder, field, service->configs, service->n_configs);
}

const struct field_type type_secrets = {
    .decode = secrets_decode, .encode = secrets_encode, .schema = {.forms = SCHEMA_LIST}};
const struct field_type type_configs = {
    .decode = configs_decode, .encode = configs_encode, .schema = {.forms = SCHEMA_LIST}};

/* ---- targets ----------------------------------------------------------------------------------
 */

static const char *path_of(struct arena *arena, const char *target, const char *directory)
{
    if (target[0] != '/')
        target = arena_printf(arena, "%s%s", directory, target);
    return path_clean(arena, target);
}

const char *service_secret_path(struct arena *arena, const struct service_file *file)
{
    return path_of(arena, file->target ? file->target : file->source, secrets_directory);
}

const char *service_config_path(struct arena *arena, const struct service_file *file)
{
    return path_of(arena, file->target ? file->target : file->source, configs_directory);
}

/* The same of what is not bound yet; NULL when it says nothing that could be. */
static const char *target_of(struct arena *arena, const struct node *item, const char *directory)
{
    const struct node *target = node_get(item, "target");

    if (!target || node_is_null(target) || (node_is_text(target) && !*target->text))
        target = node_get(item, "source");
    return target && node_is_text(target) ? path_of(arena, target->text, directory) : NULL;
}

const char *unique_secret(struct arena *arena, const struct node *item)
{
    return target_of(arena, item, secrets_directory);
}

const char *unique_config(struct arena *arena, const struct node *item)
{
    return target_of(arena, item, configs_directory);
}
