#pragma once

/* Unpacking in a sandboxed process. The worker forks without exec: loading its libraries again
 * would cost more than many layers take. It is single-threaded whenever it forks. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/base/process.h"
#include "engine/base/str.h"
#include "engine/worker/unpack.h"

struct arena;
struct error;

struct unpack_child {
    struct process process;
    int result_fd;                    /* readable when it has ended */
    int tree_fd;                      /* borrowed */
    struct unpack_progress *progress; /* shared memory */
};
#define UNPACK_CHILD_INIT                                                                          \
    {                                                                                              \
        .process = PROCESS_INIT, .result_fd = -1, .tree_fd = -1                                    \
    }
#define cleanup_unpack_child __attribute__((cleanup(unpack_child_release)))

struct unpack_summary {
    uint64_t size_bytes, n_entries;
    char diff_id[DIGEST_TEXT_SIZE];
    struct strings implicit; /* in the arena */
};

int unpack_child_start(const struct unpack_options *options, struct unpack_child *ret,
                       struct error *err);
void unpack_child_release(struct unpack_child *child); /* kills what still runs */
/* Blocks until it has ended; marks opaque directories. */
int unpack_child_finish(struct unpack_child *child, struct arena *arena, struct unpack_summary *ret,
                        struct error *err);

/* Make a process that runs `run(context)` in the sandbox it enters itself; *ret. The code it
 * returns is its exit code. Only `keep` stay open, beside the standard streams. */
int child_fork(int (*run)(void *context), void *context, const int *keep, size_t n_keep,
               struct process *ret, struct error *err);
