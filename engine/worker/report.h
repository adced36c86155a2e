#pragma once

/* The worker's events to whoever started it; the protocol is in engine/image/job.h. */

#include <jansson.h>
#include <stdint.h>

struct error;

/* At most ten a second are sent; what comes in between is dropped. */
void report_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void report_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void report_done_take(json_t *result);
void report_failed(const struct error *error);
