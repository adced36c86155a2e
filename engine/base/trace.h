#pragma once

/* Debug trace: off by default, must be safe to delete. Enabled by --trace=net,mount or BERTH_TRACE.
 */

#include <stdbool.h>

enum trace_topic {
    TRACE_LOAD,
    TRACE_PLAN,
    TRACE_EXECUTE,
    TRACE_CONTAINER,
    TRACE_MOUNT,
    TRACE_NET,
    TRACE_DNS,
    TRACE_KEEPER,
    TRACE_PROTOCOL,
    TRACE_HEALTH,
    TRACE_IMAGE,
    TRACE_BUILD,
    TRACE_TOPICS,
};

extern const char *const trace_topic_names[TRACE_TOPICS];

struct error;

/* "plan,net" or "all"; unknown names: ERROR_USAGE listing the known ones. */
int trace_enable(const char *topics, struct error *err);
void trace_set_fd(int fd); /* borrowed; default 2 */
bool trace_is_on(enum trace_topic topic);

/* One line: elapsed time, process, topic, text. */
void trace(enum trace_topic topic, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
