/* Relative paths of a tree, made absolute while it is still known where they were written: what
 * extends and include take from another file must not move to the project's directory (compose.md
 * 1.13). */

#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "engine/base/arena.h"

/* Is the path of `parent`, which stands in `outer`, one on this machine? */
typedef bool (*applies_fn)(const struct node *outer, const struct node *parent, const char *path);

static bool member_is(const struct node *map, const char *key, const char *wanted)
{
    const struct node *value = node_get(map, key);

    return value && node_is_text(value) && strcmp(value->text, wanted) == 0;
}

static bool is_any(const struct node *outer, const struct node *parent, const char *path)
{
    (void)outer;
    (void)parent;
    (void)path;
    return true;
}

static bool is_bind(const struct node *outer, const struct node *mount, const char *path)
{
    (void)outer;
    (void)path;
    return member_is(mount, "type", "bind");
}

/* Another service's, an image, a stage: "service:web", "docker-image://…". */
static bool is_directory(const struct node *outer, const struct node *contexts, const char *path)
{
    (void)outer;
    (void)contexts;
    return !strstr(path, "://") && !text_starts_with(path, "service:") &&
           !text_starts_with(path, "target:");
}

/* The options of a volume that says it is local, and is a bind mount. */
static bool is_bind_device(const struct node *volume, const struct node *options, const char *path)
{
    (void)path;
    return member_is(volume, "driver", "local") && member_is(options, "o", "bind");
}

/* Where paths stand: a key, "*" every value of a mapping, "[]" every item of a list. */
static const struct {
    const char *steps[6];
    applies_fn applies;
    bool takes_scalars; /* numbers and booleans are text there */
} places[] = {
    {{"services", "*", "build", "context"}, is_any},
    {{"services", "*", "build", "additional_contexts", "*"}, is_directory, true},
    {{"services", "*", "build", "ssh", "*"}, is_any, true},
    {{"services", "*", "env_file", "[]", "path"}, is_any},
    {{"services", "*", "label_file", "[]"}, is_any},
    {{"services", "*", "develop", "watch", "[]", "path"}, is_any},
    {{"services", "*", "volumes", "[]", "source"}, is_bind},
    {{"configs", "*", "file"}, is_any},
    {{"secrets", "*", "file"}, is_any},
    {{"volumes", "*", "driver_opts", "device"}, is_bind_device, true},
};

enum { N_STEPS_MAX = sizeof(places[0].steps) / sizeof(places[0].steps[0]) };

struct resolver {
    const struct load *load;
    const char *directory; /* that relative paths start at */
    applies_fn applies;
    bool takes_scalars;
};

static const struct node *resolve_path(const struct resolver *resolver, const struct node *outer,
                                       const struct node *parent, const struct node *path)
{
    const struct load *load = resolver->load;
    bool takes_scalar = path->kind == NODE_SCALAR && resolver->takes_scalars;
    const char *text = node_is_text(path) ? path->text
                       : takes_scalar     ? node_scalar_text(load->arena, path)
                                          : NULL;
    struct node *resolved;

    /* without interpolation only the project's own files have variables left: they mean its
     * directory again when they are loaded */
    if ((load->options->flags & PROJECT_NO_INTERPOLATE) && node_is_template(path))
        return path;
    if (!text || !text[0] || text[0] == '/' || load_is_remote(text) ||
        !resolver->applies(outer, parent, text))
        return path;
    resolved =
        node_new_text(load->arena, load_resolve_path(load, resolver->directory, text), path->span);
    resolved->tag = path->tag;
    resolved->has_tags = path->has_tags;
    return resolved;
}

/* `node` with the paths below it absolute; itself, if there are none. */
static const struct node *resolve(const struct resolver *resolver, const struct node *outer,
                                  const struct node *node, const char *const *steps, size_t n_steps)
{
    bool is_list = strcmp(steps[0], "[]") == 0;
    bool is_each = is_list || strcmp(steps[0], "*") == 0;
    bool is_last = n_steps == 1 || !steps[1];
    struct node *copy = NULL;

    if (node->kind != (is_list ? NODE_LIST : NODE_MAP))
        return node;
    for (size_t i = 0; i < node->n; i++) {
        const struct node_entry *entry = &node->entries[i];
        const struct node *value;

        if (!is_each && strcmp(entry->key, steps[0]) != 0)
            continue;
        value = is_last ? resolve_path(resolver, outer, node, entry->value)
                        : resolve(resolver, node, entry->value, steps + 1, n_steps - 1);
        if (value == entry->value)
            continue;
        if (!copy) {
            copy = node_edit(resolver->load->arena, node);
        }
        copy->entries[i].value = value;
    }
    return copy ? copy : node;
}

const struct node *relative_resolve(struct load *load, const struct node *document,
                                    const char *directory)
{
    struct resolver resolver = {.load = load, .directory = directory};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        resolver.applies = places[i].applies;
        resolver.takes_scalars = places[i].takes_scalars;
        document = resolve(&resolver, document, document, places[i].steps, N_STEPS_MAX);
    }
    return document;
}
