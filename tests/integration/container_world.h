#pragma once

/* A small world for tests of engine/container: one image layer with busybox, a zygote, and a way
 * to run a container in it and see what came out. Needs root; every test has a world of its own in
 * a process of its own. */

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/container/container.h"
#include "engine/engine.h"

struct world {
    struct arena arena;
    const char *dir;   /* temporary; removed by the runner */
    const char *layer; /* the image's only layer: change it before running */
    struct zygote zygote;
    struct strings masked, read_only;
    int n_containers;
};

/* SKIPs without root. */
void world_open(struct world *world);
void world_close(struct world *world);

/* Put a file into the layer (directories are made). */
void world_file(const struct world *world, const char *path, const char *text, unsigned mode);

/* One container, from spec to its end. Fill in spec, build and argv, then run. */
struct trial {
    struct world *world;
    const char *id;
    struct container_spec spec;
    struct image_info image;
    struct process_resolved process;
    struct container_build build;
    struct build_mount *mounts; /* sources for spec.mounts; NULL = none */
    int stdout_pipe[2];
    /* what happened */
    struct zygote_event last; /* FAILED or EXITED */
    pid_t pid;
    int pidfd, terminal_fd;
    const char *out; /* in the world's arena */
};

/* `script` is run by /bin/sh -c. */
void trial_init(struct trial *trial, struct world *world, const char *script);
void trial_prepare(struct trial *trial);                            /* resolve + prepare + spawn */
void trial_until(struct trial *trial, enum zygote_event_kind kind); /* fails the test otherwise */
void trial_start(struct trial *trial);                              /* … until STARTED */
void trial_end(struct trial *trial); /* … until FAILED or EXITED; reads stdout */
void trial_run(struct trial *trial); /* prepare, go, end */
/* A world and what the script does in it. */
void world_run_script(struct world *world, struct trial *trial, const char *script);
/* As it is by default; `filter` must live as long as the trial. */
void trial_use_filter(struct trial *trial, struct buf *filter);
const char *trial_out(const struct trial *trial);

/* Next event for any id, waiting at most 10 s. */
void world_next(struct world *world, struct zygote_event *ret);

/* A network namespace with nothing in it but loopback. The caller closes it. */
int make_netns(void);
