#pragma once

/* Containers for RUN.
 *
 * The builder is the keeper of its containers: it has a zygote of its own, a control group and,
 * from the first step that wants one on, a network. A container lives for one step. When the
 * builder dies, its zygote ends with the socket and the containers with their parent. */

#include <stddef.h>

#include "engine/base/str.h"

struct error;
struct runner;

struct runner_options {
    int state_fd, run_fd; /* borrowed */
    const char *state_path;
};

/* Receives one line of output, without its end. */
typedef void runner_output_fn(const char *line, void *context);

enum run_network { RUN_NETWORK_DEFAULT, RUN_NETWORK_NONE, RUN_NETWORK_HOST };

struct run_request {
    struct strings layers; /* diff ids, bottom first */
    int dir_fd;            /* work area: upper/ and work/ are made in it; upper/ is the result */
    struct strings argv, environment;
    const char *user, *working_dir;
    enum run_network network;
    runner_output_fn *on_line;
    void *context;
};

int runner_open(const struct runner_options *options, struct runner **ret, struct error *err);
void runner_close(struct runner *runner); /* NULL is fine; kills and removes what is left */

/* Run to the end. *ret_code: exit code, or 128 + signal. */
int runner_run(struct runner *runner, const struct run_request *request, int *ret_code,
               struct error *err);
