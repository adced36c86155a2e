#pragma once

/* What the files of engine/ share: an open engine. */

#include <jansson.h>

#include "engine/base/arena.h"
#include "engine/base/vec.h"
#include "engine/cgroup/cgroup.h"
#include "engine/engine.h"
#include "engine/keeper/keeper.h"
#include "engine/network/network.h"

struct container_state;

struct engine {
    char *state_root, *run_root; /* absolute */
    int state_fd, run_fd;
    char boot_id[37];
    VEC(json_t *) documents; /* records whose JSON was handed out (container_info.spec_json) */
    struct arena arena;      /* for what is kept as long as the engine: the image last used */
    const struct image_info *image;
    const char *image_reference;
};

struct network_dirs engine_network_dirs(const struct engine *engine);
struct keeper_place engine_keeper_place(const struct engine *engine, const char *project);

/* Connect to the project's keeper; when there is none although containers run (it was killed
 * together with its zygote), start one that takes them over. 1 when none is needed. */
int engine_keeper_connect(struct engine *engine, const char *project, int *ret_fd,
                          struct error *err);

/* Wait until the project's keeper has done what it was asked by clients that are gone. */
int engine_settle(struct engine *engine, const char *project, struct error *err);

/* Project names are directory names. */
int engine_check_project(const char *project, struct error *err);

/* Where the life of a container of `project` stands; settled when no keeper will do it. */
int engine_container_state(const struct engine *engine, struct arena *arena, const char *project,
                           const char *id, struct container_state *ret, struct error *err);

/* The record behind `image_id`, read once for the containers that share it. */
int engine_image_cached(struct engine *engine, const char *image_id, const struct image_info **ret,
                        struct error *err);
