#pragma once

/* Records of containers on disk.
 *
 *   state/containers/ID/container.json            what it is: written once, before the keeper hears
 *                                                 of it; replaced by a live update
 *   state/containers/ID/state.json                what the keeper knows of it
 *   state/names/NAME -> ID                        one name, one container, on the whole machine
 *   state/projects/PROJECT/containers/NAME -> ID  the index that listing reads
 *
 * The symlinks' text is the id (in base64url), they are never followed. A name is taken by making
 * its symlink (EEXIST: taken), so two creators can't both have it; a symlink to an id without
 * container.json is what a killed creator left, and free for taking. Nothing is fsynced: a process
 * crash can't lose the page cache, and a machine crash ends every container. state.json of another
 * boot, or with a process that is gone, reads as exited with code -1 (container_state_settle). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/base/str.h"
#include "engine/container/container.h"
#include "engine/engine.h"

struct arena;
struct error;

enum { CONTAINER_ID_SIZE = 65, CONTAINER_NAME_MAX = 200, RECORD_MAX_BYTES = 4 << 20 };

/* What the image said when the container was made: enough to build it without the image's record.
 */
struct container_resolved {
    struct process_resolved process;
    const char *hostname;
    struct strings layers;  /* diff ids, bottom first */
    struct strings volumes; /* targets the image declares and no mount covers: anonymous volumes */
    struct strings exposed_ports;
    struct health_spec health; /* complete: image under spec, defaults filled in; disabled = none */
};

struct container_record {
    const char *id;
    const char *name, *project; /* those of the spec */
    int64_t created_ns;
    const struct container_spec *spec;
    struct container_resolved resolved;
    json_t *spec_json; /* borrowed from `json` */
    json_t *json;      /* the whole document; owned: container_record_release */
};

/* The rest lives in the arena it was read with. */
void container_record_release(struct container_record *record);

/* Where a container's life stands. Texts are borrowed or in the arena. */
struct container_state {
    char boot_id[37];
    enum container_status status;
    bool is_armed; /* created: it has a process that waits for go */
    pid_t pid;
    uint64_t start_ticks;
    uint64_t pipe_inodes[2]; /* of stdout and stderr: a new keeper finds them by these */
    int exit_code;           /* -1 = never ended, or unknown */
    bool oom_killed, stopped_by_user, tainted;
    int restarts;
    int64_t started_ns, finished_ns; /* real time */
    enum health_status health;
    int health_failing_streak;
    const char *health_output;
    struct endpoint_info *endpoints;
    size_t n_endpoints;
    struct published_port *ports;
    size_t n_ports;
};

/* ------------------------------------------------------------------ making (the CLI) */

/* Fill in what the image decides. The result borrows from all three and the arena. */
int container_resolve(struct arena *arena, const struct container_spec *spec,
                      const struct image_info *image, const char *id,
                      struct container_resolved *ret, struct error *err);

/* The id a name stands for, or 1 when the name is free. Reads only. */
int container_name_find(int state_fd, const char *name, char ret_id[static CONTAINER_ID_SIZE],
                        struct error *err);

/* Take the name and write the record. Returns 1, with the id of the owner in ret_id, when the name
 * is taken by a container that exists. */
int container_record_create(int state_fd, const struct container_spec *spec,
                            const struct image_info *image, char ret_id[static CONTAINER_ID_SIZE],
                            struct error *err);

/* A live update: spec (and what follows from it) of a container that stays. Staged by who wants it,
 * committed by its keeper when the container is so: whoever is killed before leaves the record that
 * is true, and the difference is found again. */
int container_record_stage(int state_fd, const char *id, const struct container_spec *spec,
                           const struct image_info *image, struct error *err);
int container_record_commit(int state_fd, const char *id, struct error *err);

/* ------------------------------------------------------------------ reading */

/* ERROR_NOT_FOUND when there is none. */
int container_record_read(int state_fd, struct arena *arena, const char *id,
                          struct container_record *ret, struct error *err);

/* Without state.json: all zero but exit_code -1. Not settled. */
int container_state_read(int state_fd, struct arena *arena, const char *id,
                         struct container_state *ret, struct error *err);

/* It claims what can't be true: a process of another boot, or one that is gone. `boot_id` is this
 * boot's. Reads /proc. With a keeper alive that is a matter of microseconds: it will write what
 * happened. Without, it is settled. */
bool container_state_is_stale(const struct container_state *state, const char *boot_id);
/* Make it true: such a process has exited, nobody knows how. Returns true when it was stale. */
bool container_state_settle(struct container_state *state, const char *boot_id);

/* Ids of a project's containers, or of all (project NULL), sorted by name (by id). */
int container_ids_list(int state_fd, struct arena *arena, const char *project, struct strings *ret,
                       struct error *err);

int container_record_read_staged(int state_fd, struct arena *arena, const char *id,
                                 struct container_record *ret, struct error *err);

/* ------------------------------------------------------------------ the keeper's side */

/* Open state/containers/ID. */
int container_dir_open(int state_fd, const char *id, int *ret_fd, struct error *err);

int container_state_write(int dir_fd, const struct container_state *state, struct error *err);

/* Name, index and record go. The directory is only renamed out of the way, so that nobody reads
 * half a record and nobody waits for a large tree: container_records_sweep deletes it. Absent is
 * fine. `name` and `project` may be NULL when the record is lost. */
int container_record_remove(int state_fd, const char *id, const char *name, const char *project,
                            struct error *err);

/* Delete what was removed. Two at once are fine. */
int container_records_sweep(int state_fd, struct error *err);

/* Removes what creators that were killed left: directories without a record, names without a
 * container. Does nothing while somebody creates. */
int container_records_collect(int state_fd, struct error *err);
