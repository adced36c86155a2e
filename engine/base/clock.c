/* The two clocks, and how times are printed. */

#include "engine/base/clock.h"

#include <time.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

static int64_t clock_ns(clockid_t id)
{
    struct timespec now;

    if (clock_gettime(id, &now) < 0)
        BUG();
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t clock_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t clock_realtime_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

void clock_print_rfc3339(struct buf *out, int64_t realtime_ns)
{
    int64_t fraction = realtime_ns % NS_PER_S;
    time_t seconds = realtime_ns / NS_PER_S;
    struct tm tm;

    if (fraction < 0) {
        fraction += NS_PER_S;
        seconds--;
    }
    if (!gmtime_r(&seconds, &tm))
        BUG();
    buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%09lldZ", tm.tm_year + 1900, tm.tm_mon + 1,
               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (long long)fraction);
}
