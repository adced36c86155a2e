#pragma once

/* A state directory, archives made by hand, and jobs over both. */

#include <stdint.h>
#include <sys/types.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/engine.h"
#include "engine/image/image.h"
#include "engine/image/job.h"

struct image_world {
    struct arena arena;
    const char *dir; /* state/ below */
    int state_fd;
    struct error err; /* of the last job */
    char id[DIGEST_TEXT_SIZE];
    char diff_id[DIGEST_TEXT_SIZE]; /* import only */
};

/* SKIPs without root or without a worker to run. */
void image_world_open(struct image_world *world);
void image_world_close(struct image_world *world);
/* Nothing in staging, leases, partial. */
void image_world_check_tidy(struct image_world *world);

/* A tar being made. */
struct tar {
    struct buf bytes;
};
struct tar_item {
    char type; /* '0' file, '1' hard link, '2' symlink, '3' char, '4' block, '5' directory, '6' fifo
                */
    const char *name, *link, *content;
    unsigned mode;
    unsigned uid, gid;
    unsigned major, minor;
    int64_t mtime;
};
void tar_add(struct tar *tar, const struct tar_item *item);
/* Extended header for the next item: "path", "a"; "SCHILY.xattr.user.x", "v"; … */
void tar_pax(struct tar *tar, const char *key, const char *value);
/* A header whose size is claimed, not delivered. */
void tar_add_claiming(struct tar *tar, const char *name, uint64_t size);
void tar_end(struct tar *tar);
/* Written to world/dir/NAME; the path. */
const char *tar_write(struct image_world *world, const struct tar *tar, const char *name);

/* Run a job to its end. 0 or -1 with world->err. */
int try_import(struct image_world *world, const char *path, const char *reference);
int try_pull(struct image_world *world, const char *reference, const char *platform);
/* "type mode uid:gid content-or-target" in the tree of a layer; "absent". */
const char *layer_file(struct image_world *world, const char *diff_id, const char *path);
size_t count_entries(struct image_world *world, const char *directory);
