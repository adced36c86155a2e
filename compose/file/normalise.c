/* What the file leaves open: absolute paths, the default network, final names (compose.md 1.11,
 * 1.13, 1.15). */

#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/types.h"
#include "engine/base/arena.h"
#include "engine/base/path.h"

/* ---- paths ------------------------------------------------------------------------------------
 */

bool load_is_remote(const char *path)
{
    static const char *const prefixes[] = {"https://", "http://",     "git://",
                                           "ssh://",   "github.com/", "git@"};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (text_starts_with(path, prefixes[i]))
            return true;
    }
    return false;
}

static void resolve_build(struct load *load, struct build *build)
{
    size_t n = 0;

    if (!build->context)
        return;
    if (load->options->flags & PROJECT_NO_NORMALIZE)
        return;
    for (size_t i = 0; i < build->args.n; i++) {
        struct pair arg = build->args.items[i];

        if (!arg.value)
            arg.value = variables_find_sorted(&load->environment, str_from(arg.name));
        if (arg.value)
            build->args.items[n++] = arg;
    }
    build->args.n = n;
}

static void resolve_paths(struct load *load, struct draft *draft)
{
    struct build *build = &draft->service.build;

    if (build->context && !load_is_remote(build->context))
        build->context = load_resolve_path(load, build->context);
    for (size_t i = 0; i < draft->service.n_volumes; i++) {
        struct service_mount *mount = &draft->service.volumes[i];

        if (mount->type == SERVICE_MOUNT_BIND && mount->source)
            mount->source = load_resolve_path(load, mount->source);
    }
}

/* ---- networks ---------------------------------------------------------------------------------
 */

static const char *const default_key = "default";

static void attach_default(struct load *load, struct service *service)
{
    const struct node *written = node_get(service->source, "networks");
    const struct node *mode = node_get(service->source, "network_mode");

    if (service->n_networks > 0 || node_get(service->kept, "network_mode") ||
        node_get(service->kept, "provider"))
        return;
    /* without interpolation they can be there, but unknown */
    if ((written && node_is_template(written)) || (mode && node_is_template(mode)))
        return;
    service->networks = arena_new_array(load->arena, struct service_network, 1);
    service->networks[0] = (struct service_network){.key = default_key, .span = service->span};
    service->n_networks = 1;
}

/* Insert the default network, in order, unless the file has it. */
static void add_default(struct load *load, struct model *model)
{
    struct network *networks;
    size_t at = 0;

    while (at < model->n_networks && strcmp(model->networks[at].key, default_key) < 0)
        at++;
    if (at < model->n_networks && strcmp(model->networks[at].key, default_key) == 0)
        return;
    networks = arena_new_array(load->arena, struct network, model->n_networks + 1);
    for (size_t i = 0; i < model->n_networks; i++)
        networks[i < at ? i : i + 1] = model->networks[i];
    networks[at] = (struct network){.key = default_key};
    model->networks = networks;
    model->n_networks++;
}

/* ---- names ------------------------------------------------------------------------------------
 */

static const char *final_name(struct load *load, const char *key, const char *name, bool external)
{
    if (name)
        return name;
    return external ? key : arena_printf(load->arena, "%s_%s", load->name, key);
}

/* The last one holds. */
static void read_security_opts(struct service *service)
{
    const struct node *options = node_get(service->kept, "security_opt");

    for (size_t i = 0; options && i < options->n; i++)
        (void)security_opt_is_no_new_privileges(options->entries[i].value->text,
                                                &service->no_new_privileges);
}

void normalise_model(struct load *load, struct model *model)
{
    unsigned flags = load->options->flags;

    for (size_t i = 0; i < model->n_drafts; i++) {
        read_security_opts(&model->drafts[i].service);
        resolve_build(load, &model->drafts[i].service.build);
        if (!(flags & PROJECT_NO_PATH_RESOLUTION))
            resolve_paths(load, &model->drafts[i]);
        if (flags & PROJECT_NO_NORMALIZE)
            continue;
        attach_default(load, &model->drafts[i].service);
        imply_dependencies(load, &model->drafts[i].service);
    }
    if (flags & PROJECT_NO_NORMALIZE)
        return;
    add_default(load, model);
    for (size_t i = 0; i < model->n_networks; i++) {
        struct network *network = &model->networks[i];

        network->name = final_name(load, network->key, network->name, network->external);
    }
    for (size_t i = 0; i < model->n_volumes; i++) {
        struct volume *volume = &model->volumes[i];

        volume->name = final_name(load, volume->key, volume->name, volume->external);
    }
}
