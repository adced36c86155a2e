#pragma once

/* Several containers' logs on one output. Private to compose/command. */

#include <poll.h>
#include <stddef.h>

#include "compose/command/attach.h"
#include "engine/base/buf.h"

struct containers;
struct log_stream;

/* Opens the logs; @options is borrowed. */
int log_stream_open(struct cli_context *context, struct engine *engine,
                    const struct containers *containers, const struct attach_options *options,
                    struct log_stream **ret, struct error *err);
void log_stream_close(struct log_stream *stream);

/* Print what there is: lines of all logs in order of time. stdout of containers to stdout, stderr
 * to stderr. Returns 1 when there is more: who floods its log must not keep us from signals. */
int log_stream_pump(struct log_stream *stream, struct error *err);

size_t log_stream_count(const struct log_stream *stream);
/* Fill one pollfd per log. */
void log_stream_polls(const struct log_stream *stream, struct pollfd *polls);
