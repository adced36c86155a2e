#pragma once

/* A state directory with a busybox image in it, a build context, and builds over both. */

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/engine.h"
#include "engine/image/image.h"

struct build_world {
    struct arena arena;
    const char *dir; /* state/, run/, context/ below */
    const char *context;
    int state_fd, run_fd;
    struct buf log;   /* progress and output of the last build, a line each */
    struct error err; /* of the last build */
    char id[DIGEST_TEXT_SIZE];
    int notify_fd; /* gets a byte per line of output; -1 = none */
    struct image_build_request request;
};

/* SKIPs without root or busybox. The image is "busybox:1". */
void build_world_open(struct build_world *world);
void build_world_close(struct build_world *world);

/* A file in the context; directories are made. */
void context_file(const struct build_world *world, const char *path, const char *text,
                  unsigned mode);
void context_symlink(const struct build_world *world, const char *path, const char *target);
void context_remove(const struct build_world *world, const char *path);

/* Build with this Dockerfile; tagged "out:1". The result of build_run. */
int try_build(struct build_world *world, const char *dockerfile);
/* The same with the Dockerfile that is there. */
int repeat_build(struct build_world *world);
/* As try_build; must work. */
void build(struct build_world *world, const char *dockerfile);

/* Run a program to its end; it must succeed. */
void world_run(const char *const argv[]);

/* How often a text occurs in the log. */
size_t log_count(const struct build_world *world, const char *part);

/* The config of the last image. The caller owns it. */
json_t *built_config(struct build_world *world);
/* Compact JSON of config.KEY. */
const char *built_config_text(struct build_world *world, const char *key);

/* The root of the last image, for looking into. */
int built_root(struct build_world *world);
/* "type mode uid:gid content-or-target" of a path in it; "absent". Files: first line. */
const char *built_file(struct build_world *world, const char *path);
