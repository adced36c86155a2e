#pragma once

/* Dockerfile → image. Main header of engine/build.
 *
 * Theory. A build is a list of stages (graph.h); a stage is a root filesystem (a list of layers)
 * and an image config, changed step by step. Steps that touch files (RUN, COPY, ADD, WORKDIR) have
 * a key made of what they see: the layers below, the instruction after expansion, and for COPY the
 * content of the files. build/cache/KEY names the layer that came out last time; with it, nothing
 * runs. Otherwise the step works in an overlay whose upper directory is the staging area of the
 * image store and becomes the layer as it is.
 *
 *   words lines dockerfile expand pattern ignore graph      pure
 *   selection stats                                         which files, and their digests
 *   copy run seal                                           what a step does to its layer
 *   cache stage build                                       keys, records, the walk over all steps
 *
 *   state/build/cache/KEY        {"format":1,"layer":"sha256:…" or null,"created_ns":…}
 *   state/build/roots/KEY        the layer again, for the store's garbage collection
 *   state/build/contents/KEY     digest of files in a stage (they can't change)
 *   state/build/contexts/HASH    digests of context files by path, size, times and inode
 *
 * Everything is written by rename, so builds at the same time only do work twice; a kill leaves
 * staging that the store sweeps, and a cgroup that the next build removes. */

#include <stdbool.h>
#include <stddef.h>

struct error;
struct image_build_request;

enum build_event_kind {
    BUILD_PROGRESS, /* "[app 2/5] RUN make" */
    BUILD_LOG,      /* one line of a RUN's output */
    BUILD_WARNING,
};

typedef void build_event_fn(enum build_event_kind kind, const char *text, void *context);

/* Build and tag. *ret_id: id of the image ("sha256:…", 72 bytes with the NUL).
 *
 * Blocks. Must run in a process of its own (`berth internal build`): it becomes subreaper, and its
 * death is how a build is cancelled. state_path is the state directory's absolute path. Errors in
 * the Dockerfile begin with "Dockerfile:12: ". */
int build_run(int state_fd, const char *state_path, int run_fd,
              const struct image_build_request *request, build_event_fn *on_event, void *context,
              char ret_id[static 72], struct error *err);

/* The job protocol of engine/image/job.h, seen from the child: reads the request on fd 3, writes
 * events to fd 4, state directory on fd 5, run directory on fd 6. Returns the exit code. */
int build_job_main(void);

/* A request as the job's JSON, and back (strings borrow from the arena). The caller owns the
 * result. */
typedef struct json_t json_t;
struct arena;
json_t *build_request_to_json(const struct image_build_request *request, const char *state_path);
int build_request_from_json(struct arena *arena, const json_t *json,
                            struct image_build_request *ret, const char **ret_state_path,
                            struct error *err);
