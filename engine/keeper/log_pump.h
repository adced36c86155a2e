#pragma once

/* From a container's pipes into its log, exactly once, whenever the keeper is killed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/keeper/log.h"

struct error;
struct log_pump;

enum log_stream { LOG_STREAM_STDOUT, LOG_STREAM_STDERR };
enum { LOG_STREAMS = 2 };

struct log_source {
    const char *id; /* of the container */
    int dir_fd;     /* its directory */
    struct log_file *file;
    enum log_stream stream;
    int fd;           /* read end, non-blocking */
    bool is_terminal; /* a pty master: no tee, no exactly-once */
};

/* One for all containers of a keeper. `run_dir_fd` is the project's run directory: the file
 * "log-intent" in it outlives us. */
int log_pump_new(int run_dir_fd, struct log_pump **ret, struct error *err);
void log_pump_free(struct log_pump *pump);

/* Before the first pump of a source that an earlier keeper has read from. */
int log_pump_recover(struct log_pump *pump, const struct log_source *source, struct error *err);

/* Move whole lines until the pipe has none, or enough were moved for one turn of the loop: then 1.
 * `is_last`: nobody writes any more, a line without its end is a line too. */
int log_pump_run(struct log_pump *pump, const struct log_source *source, bool is_last,
                 struct error *err);

/* Give memory back when nothing is logged. */
void log_pump_relax(struct log_pump *pump);
