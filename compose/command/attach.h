#pragma once

/* Logs of a project's containers, interleaved in order of arrival with coloured prefixes: `logs`,
 * and the foreground of an attached `up`. */

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/str.h"

struct cli_context;
struct containers;
struct desired;
struct engine;
struct error;

struct attach_options {
    bool no_prefix, timestamps, no_colour;
    bool follow;
    int64_t since_ns, until_ns; /* real time; 0 = unbounded */
    int64_t tail;               /* -1 = all */
    bool abort_on_exit;
    const char *exit_code_from; /* service; NULL = the first container that ends */
    int64_t grace_ns;
    struct strings unattached; /* services whose logs the foreground doesn't show */
};

int64_t attach_now(void); /* real time in ns */

/* Print the logs of these containers; with follow, until all have ended or signal_fd is readable.
 */
int attach_logs(struct cli_context *context, struct engine *engine,
                const struct containers *containers, const struct attach_options *options,
                int signal_fd, struct error *err);

/* The foreground of `up`: logs until every container ended, or the first signal (stops them), or
 * the second (kills them). Returns the exit code. */
int attach_run(struct cli_context *context, struct engine *engine, const struct desired *desired,
               int signal_fd, const struct attach_options *options, struct error *err);
