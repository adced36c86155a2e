/* What the hash of a service is made of, as project.h defines it. */

#include <string.h>

#include "compose/file/emit.h"
#include "compose/file/field.h"
#include "compose/file/node.h"
#include "compose/file/project.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"

/* Below a service: paths of what changes no container. */
static const char *const left_out[] = {"build",           "pull_policy", "scale",
                                       "deploy.replicas", "depends_on",  "profiles"};

static bool is_left_out(const char *outer, const char *key)
{
    size_t outer_len = outer ? strlen(outer) : 0;

    if (!outer && key_is_extension(key))
        return true;
    for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++) {
        const char *path = left_out[i];

        if (outer && (strncmp(path, outer, outer_len) != 0 || path[outer_len] != '.'))
            continue;
        if (strcmp(outer ? path + outer_len + 1 : path, key) == 0)
            return true;
    }
    return false;
}

/* A copy without what is left out, and without an order of its keys, which are printed sorted.
 * `outer` is the key `depth` 1 hangs below. */
static const struct node *hashed(struct arena *arena, const struct node *node, size_t depth,
                                 const char *outer)
{
    struct node *copy;

    if (node->kind == NODE_SCALAR)
        return node;
    copy = node_new(arena, node->kind, (struct span){0}, node->n);
    for (size_t i = 0; i < node->n; i++) {
        const struct node_entry *entry = &node->entries[i];
        const struct node *value;

        if (node->kind == NODE_MAP && depth <= 1 && is_left_out(outer, entry->key))
            continue;
        if (node->kind == NODE_MAP && depth == 0 && key_is_extension(entry->key))
            continue;
        value = hashed(arena, entry->value, depth + 1, depth == 0 ? entry->key : outer);
        if (value->n == 0 && entry->value->n > 0)
            continue; /* nothing is left of it */
        node_add(copy, entry->key, entry->span, value);
    }
    return copy;
}

void project_print_hashed(struct buf *out, const struct service *service)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct encoder encoder = {.arena = &arena, .is_json = true};

    buf_add_text(out, "berth service 1\n");
    node_print_json(out, hashed(&arena, shape_encode(&encoder, &service_shape, service), 0, NULL),
                    DOLLARS_DOUBLED);
}
