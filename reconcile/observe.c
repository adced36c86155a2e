/* Read what exists, through the engine. Reads only. */

#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/units.h"
#include "reconcile/reconcile.h"

static uint64_t container_number(const char *text)
{
    uint64_t number = 1;

    (void)parse_u64(str_from(text), 1, INT32_MAX, &number,
                    NULL); /* a label edited by hand reads as 1 */
    return number;
}

static int observe_containers(struct engine *engine, struct arena *arena, const char *project,
                              struct observed *ret, struct error *err)
{
    struct container_info *infos;
    size_t n;

    if (engine_containers_list(engine, arena, project, &infos, &n, err) < 0)
        return -1;
    ret->containers = arena_new_array(arena, struct observed_container, n);
    ret->n_containers = n;
    for (size_t i = 0; i < n; i++) {
        const struct container_info *info = &infos[i];
        const char *service = pairs_find(&info->spec->labels, "com.docker.compose.service");
        const char *number = pairs_find(&info->spec->labels, "com.docker.compose.container-number");
        json_t *spec = container_spec_to_json(info->spec);

        json_array_append_new(ret->holder, spec);
        ret->containers[i] = (struct observed_container){
            .name = info->name,
            .service = service ? service : "",
            .number = number ? (int)container_number(number) : 1,
            .spec = *info->spec,
            .spec_json = spec,
            .status = info->status,
            .health = info->health,
            .exit_code = info->exit_code,
            .is_tainted = info->tainted,
            .was_stopped = info->stopped_by_user,
        };
    }
    return 0;
}

static int observe_networks(struct engine *engine, struct arena *arena, struct observed *ret,
                            struct error *err)
{
    struct network_info *infos;
    size_t n;

    if (engine_networks_list(engine, arena, &infos, &n, err) < 0)
        return -1;
    ret->networks = arena_new_array(arena, struct observed_network, n);
    ret->n_networks = n;
    for (size_t i = 0; i < n; i++)
        ret->networks[i] = (struct observed_network){
            .name = infos[i].spec->name, .spec = *infos[i].spec, .is_up = infos[i].is_up};
    return 0;
}

static int observe_volumes(struct engine *engine, struct arena *arena, struct observed *ret,
                           struct error *err)
{
    struct volume_info *infos;
    size_t n;

    if (engine_volumes_list(engine, arena, &infos, &n, err) < 0)
        return -1;
    ret->volumes.items = arena_new_array(arena, const char *, n);
    ret->volumes.n = n;
    for (size_t i = 0; i < n; i++)
        ret->volumes.items[i] = infos[i].spec->name;
    return 0;
}

/* Only the images that the desired value names: the machine may hold thousands. */
static int observe_images(struct engine *engine, struct arena *arena, const struct desired *want,
                          struct observed *ret, struct error *err)
{
    ret->images = arena_new_array(arena, struct observed_image, want->n_images);
    for (size_t i = 0; i < want->n_images; i++) {
        struct error absent = ERROR_INIT;
        struct image_info info;

        if (engine_image_find(engine, arena, want->images[i].reference, &info, &absent) < 0) {
            if (absent.code == ERROR_NOT_FOUND)
                continue;
            if (err)
                *err = absent;
            return -1;
        }
        ret->images[ret->n_images++] =
            (struct observed_image){.reference = want->images[i].reference, .id = info.id};
    }
    return 0;
}

int observe(struct engine *engine, struct arena *arena, const struct desired *want,
            struct observed *ret, struct error *err)
{
    cleanup_observed struct observed value = {.holder = json_array()};

    if (observe_containers(engine, arena, want->project, &value, err) < 0 ||
        (want->n_networks > 0 && observe_networks(engine, arena, &value, err) < 0) ||
        (want->n_volumes > 0 && observe_volumes(engine, arena, &value, err) < 0) ||
        observe_images(engine, arena, want, &value, err) < 0)
        return error_wrap(err, "observe project \"%s\"", want->project);

    *ret = value;
    value.holder = NULL;
    return 0;
}
