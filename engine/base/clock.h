#pragma once

#include <stdint.h>

struct buf;

#define NS_PER_MS 1000000LL
#define NS_PER_S  1000000000LL

int64_t clock_monotonic_ns(void);
int64_t clock_realtime_ns(void);

/* RFC 3339 with nanoseconds in UTC: 2026-11-21T08:05:00.123456789Z */
void clock_print_rfc3339(struct buf *out, int64_t realtime_ns);
