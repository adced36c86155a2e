/* What a container runs: the image's configuration with the spec over it, as Docker merges them. */

#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/path.h"
#include "engine/base/vec.h"
#include "engine/container/container.h"
#include "engine/engine.h"

static const char default_path[] =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

enum { HOSTNAME_FROM_ID = 12 };

/* NAME=value entries in the order they first came, later values winning. */
struct environment {
    VEC(const char *) entries;
};

static size_t name_size(const char *entry)
{
    return strcspn(entry, "=");
}

static size_t find_name(const struct environment *environment, const char *name, size_t size)
{
    size_t i = 0;

    for (; i < environment->entries.n; i++) {
        const char *entry = environment->entries.items[i];

        if (name_size(entry) == size && memcmp(entry, name, size) == 0)
            break;
    }
    return i;
}

static void set_entry(struct environment *environment, const char *entry)
{
    size_t at = find_name(environment, entry, name_size(entry));

    if (at < environment->entries.n)
        environment->entries.items[at] = entry;
    else
        vec_push(&environment->entries, entry);
}

static void remove_name(struct environment *environment, const char *name)
{
    size_t at = find_name(environment, name, strlen(name));

    if (at == environment->entries.n)
        return;
    memmove(&environment->entries.items[at], &environment->entries.items[at + 1],
            (environment->entries.n - at - 1) * sizeof(*environment->entries.items));
    environment->entries.n--;
}

static struct strings merge_environment(struct arena *arena, const struct container_spec *spec,
                                        const struct image_info *image, const char *hostname)
{
    struct environment merged = {VEC_INIT};
    struct strings ret;

    set_entry(&merged, default_path);
    if (hostname != NULL)
        set_entry(&merged, arena_printf(arena, "HOSTNAME=%s", hostname));
    if (spec->tty)
        set_entry(&merged, "TERM=xterm");
    for (size_t i = 0; i < image->environment.n; i++) {
        if (strchr(image->environment.items[i], '=') != NULL)
            set_entry(&merged, image->environment.items[i]);
    }
    for (size_t i = 0; i < spec->environment.n; i++) {
        const struct pair *pair = &spec->environment.items[i];

        if (pair->value == NULL)
            remove_name(&merged, pair->name);
        else
            set_entry(&merged, arena_printf(arena, "%s=%s", pair->name, pair->value));
    }
    ret = (struct strings){vec_to_arena(&merged.entries, arena), merged.entries.n};
    vec_release(&merged.entries);
    return ret;
}

static struct strings join(struct arena *arena, const struct strings *a, const struct strings *b)
{
    struct strings ret = {arena_new_array(arena, const char *, a->n + b->n), a->n + b->n};

    for (size_t i = 0; i < a->n; i++)
        ret.items[i] = a->items[i];
    for (size_t i = 0; i < b->n; i++)
        ret.items[a->n + i] = b->items[i];
    return ret;
}

/* An entrypoint of the spec drops the image's command as well. */
static struct strings merge_command(struct arena *arena, const struct container_spec *spec,
                                    const struct image_info *image)
{
    static const struct strings nothing;
    const struct strings *entrypoint =
        spec->has_entrypoint ? &spec->entrypoint : &image->entrypoint;
    const struct strings *command = spec->has_command      ? &spec->command
                                    : spec->has_entrypoint ? &nothing
                                                           : &image->command;

    return join(arena, entrypoint, command);
}

static const char *first_text(const char *a, const char *b, const char *otherwise)
{
    if (a != NULL && *a != '\0')
        return a;
    return b != NULL && *b != '\0' ? b : otherwise;
}

const char *container_hostname(struct arena *arena, const struct container_spec *spec,
                               const char *id)
{
    if (spec->hostname != NULL && spec->hostname[0] != '\0')
        return spec->hostname;
    return arena_strndup(arena, id, strnlen(id, HOSTNAME_FROM_ID));
}

int container_resolve_process(struct arena *arena, const struct container_spec *spec,
                              const struct image_info *image, const char *hostname,
                              struct process_resolved *ret, struct error *err)
{
    struct process_resolved process = {
        .argv = merge_command(arena, spec, image),
        .environment = merge_environment(arena, spec, image, hostname),
        .user = first_text(spec->user, image->user, ""),
        .stop_signal = first_text(spec->stop_signal, image->stop_signal, "SIGTERM"),
    };

    if (process.argv.n == 0 || process.argv.items[0][0] == '\0')
        return error_set(err, ERROR_INVALID,
                         "no command: neither the service nor image \"%s\" says what to run",
                         spec->image != NULL ? spec->image : "");
    /* a relative WORKDIR can only come from a hand-made image: it counts from the root */
    process.working_dir =
        path_join(arena, "/", first_text(spec->working_dir, image->working_dir, "/"));
    *ret = process;
    return 0;
}
