/* Open addressing over (dev, ino): a context of 100 000 hard links must not cost a square. */

#include "engine/build/link_map.h"

#include <stdlib.h>

#include "engine/base/alloc.h"

void link_map_release(struct link_map *map)
{
    free(map->slots);
    *map = (struct link_map)LINK_MAP_INIT;
}

static struct link_entry *find_slot(struct link_map *map, uint64_t dev, uint64_t ino)
{
    uint64_t hash = (ino ^ (dev << 40)) * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(hash >> 20) & (map->n_slots - 1);

    while (map->slots[i].path != NULL && (map->slots[i].dev != dev || map->slots[i].ino != ino))
        i = (i + 1) & (map->n_slots - 1);
    return &map->slots[i];
}

static void grow(struct link_map *map)
{
    struct link_map bigger = {.n = map->n, .n_slots = map->n_slots > 0 ? map->n_slots * 2 : 64};

    bigger.slots = x_alloc_array(bigger.n_slots, sizeof(*bigger.slots));
    for (size_t i = 0; i < map->n_slots; i++)
        if (map->slots[i].path != NULL)
            *find_slot(&bigger, map->slots[i].dev, map->slots[i].ino) = map->slots[i];
    free(map->slots);
    *map = bigger;
}

const char *link_map_add(struct link_map *map, uint64_t dev, uint64_t ino, const char *path)
{
    if (map->n * 2 >= map->n_slots)
        grow(map);
    struct link_entry *slot = find_slot(map, dev, ino);
    if (slot->path != NULL)
        return slot->path;
    *slot = (struct link_entry){dev, ino, path};
    map->n++;
    return NULL;
}
