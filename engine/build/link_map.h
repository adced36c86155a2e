#pragma once

/* Which inode was met first under which path: hard links in copies and tar streams. */

#include <stddef.h>
#include <stdint.h>

struct link_entry {
    uint64_t dev, ino;
    const char *path; /* NULL = empty slot */
};

struct link_map {
    struct link_entry *slots;
    size_t n, n_slots; /* n_slots is a power of two */
};

#define LINK_MAP_INIT                                                                              \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }
#define cleanup_link_map __attribute__((cleanup(link_map_release)))
void link_map_release(struct link_map *map);

/* The path this inode was added with; else adds `path` (borrowed) and returns NULL. */
const char *link_map_add(struct link_map *map, uint64_t dev, uint64_t ino, const char *path);
