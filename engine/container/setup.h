#pragma once

/* The setup program as a value: what engine/container/setup.c makes, setup_form.c prints and
 * encodes, prepare.c finds descriptors for, and the zygote runs. Lives in an arena. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/str.h"
#include "engine/container/wire.h"

enum setup_slot_kind {
    SLOT_GIVEN,   /* a descriptor of the caller's */
    SLOT_OVERLAY, /* layers + upper + work */
    SLOT_BIND,    /* clone of a host path */
    SLOT_FILE,    /* clone of a file in the container's directory */
};

/* A descriptor the program needs, and how to get it. */
struct setup_slot {
    enum setup_slot_kind kind;
    const char *label;       /* GIVEN: for printing */
    int given_fd;            /* GIVEN: borrowed */
    const char *source;      /* BIND: host path; FILE: name below dir_fd */
    uint64_t attributes;     /* MOUNT_ATTR_*; for BIND recursively */
    const char *propagation; /* BIND: "rprivate", … */
    bool create_source;      /* BIND: make a missing directory */
};

struct setup_step {
    enum setup_op op;
    int slot; /* index into the program's slots; -1 = none */
    uint64_t number[3];
    const char *path, *text, *options;
    const void *data; /* GROUPS, SECCOMP */
    size_t data_size;
    struct strings argv, environment; /* EXEC */
};

struct setup_program {
    const struct setup_step *steps;
    size_t n_steps;
    const struct setup_slot *slots;
    size_t n_slots;
    struct strings layers; /* of the overlay, bottom first */
};

/* ------------------------------------------------------------------ making one (setup*.c) */

struct arena;
struct error;

/* Under construction. */
struct setup_maker {
    struct arena *arena;
    struct setup_step *steps;
    size_t n_steps, steps_capacity;
    struct setup_slot *slots;
    size_t n_slots, slots_capacity;
    struct strings layers;
    bool too_large; /* more steps or slots than the wire takes */
};

void setup_maker_init(struct setup_maker *maker, struct arena *arena);
void setup_maker_release(struct setup_maker *maker);
/* Appends; the result may be filled in until the next call. */
struct setup_step *setup_add(struct setup_maker *maker, enum setup_op op);
int setup_add_slot(struct setup_maker *maker, const struct setup_slot *slot);
int setup_add_given(struct setup_maker *maker, const char *label, int fd);
/* ERROR_UNSUPPORTED when it has become too large. */
int setup_maker_finish(struct setup_maker *maker, const struct setup_program **ret,
                       struct error *err);

struct container_build;

/* Every mount, node and link of the root file system (setup_mounts.c). */
int setup_add_mounts(struct setup_maker *maker, const struct container_build *build,
                     struct error *err);
/* What is written through /proc while it is still all writable (setup.c). */
int setup_add_sysctls(struct setup_maker *maker, const struct container_build *build,
                      struct error *err);

/* ------------------------------------------------------------------ mount options (pure) */

struct tmpfs_options {
    char *options;       /* for the file system: "size=1048576,mode=1777" */
    uint64_t attributes; /* MOUNT_ATTR_* */
};

/* Compose's long form (size, mode) and the raw list of the short form. Defaults are
 * noexec,nosuid,nodev and mode 1777; the list overrides. Unknown words: ERROR_INVALID naming them.
 */
struct mount_spec;
int tmpfs_options_make(struct arena *arena, const struct mount_spec *spec,
                       struct tmpfs_options *ret, struct error *err);

/* "rprivate" → MS_PRIVATE and recursive. NULL = rprivate. ERROR_INVALID for other words. */
int propagation_parse(const char *word, uint64_t *ret_propagation, bool *ret_is_recursive,
                      struct error *err);
