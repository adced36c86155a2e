/* Debug trace. Its settings are the one mutable global there is (style S16): passing them through
 * every call would make the trace part of every signature, and it must be safe to delete. */

#include "engine/base/trace.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/str.h"

enum { TRACE_LINE_MAX = 4096 };

const char *const trace_topic_names[TRACE_TOPICS] = {
    [TRACE_LOAD] = "load",         [TRACE_PLAN] = "plan",
    [TRACE_EXECUTE] = "execute",   [TRACE_CONTAINER] = "container",
    [TRACE_MOUNT] = "mount",       [TRACE_NET] = "net",
    [TRACE_DNS] = "dns",           [TRACE_KEEPER] = "keeper",
    [TRACE_PROTOCOL] = "protocol", [TRACE_HEALTH] = "health",
    [TRACE_IMAGE] = "image",       [TRACE_BUILD] = "build",
};
static_assert(TRACE_TOPICS <= 32, "topics are bits of a 32 bit mask");

static struct {
    uint32_t topics;
    int fd;
    int64_t started_ns; /* 0 until the first topic is enabled */
} settings = {.fd = STDERR_FILENO};

static int topic_parse(struct str name, uint32_t *ret_mask, struct error *err)
{
    cleanup_buf struct buf known = BUF_INIT;

    if (str_is(name, "all")) {
        *ret_mask = (UINT32_C(1) << TRACE_TOPICS) - 1;
        return 0;
    }
    for (unsigned i = 0; i < TRACE_TOPICS; i++) {
        if (str_is(name, trace_topic_names[i])) {
            *ret_mask = UINT32_C(1) << i;
            return 0;
        }
        buf_printf(&known, "%s, ", trace_topic_names[i]);
    }

    return error_set(err, ERROR_USAGE, "unknown trace topic \"" STR_FMT "\": known are %sall",
                     STR_ARG(name), buf_text(&known));
}

int trace_enable(const char *topics, struct error *err)
{
    struct str rest = str_from(topics);
    uint32_t wanted = 0;

    while (rest.len) {
        struct str name;
        uint32_t mask;

        str_cut(rest, ',', &name, &rest);
        if (topic_parse(str_trim(name), &mask, err) < 0)
            return -1;
        wanted |= mask;
    }

    settings.topics |= wanted;
    if (!settings.started_ns)
        settings.started_ns = clock_monotonic_ns();
    return 0;
}

void trace_set_fd(int fd)
{
    settings.fd = fd;
}

bool trace_is_on(enum trace_topic topic)
{
    return settings.topics >> topic & 1;
}

void trace(enum trace_topic topic, const char *fmt, ...)
{
    int saved = errno;
    struct buf line;
    int64_t elapsed_ns;
    va_list args;

    if (!trace_is_on(topic))
        return;

    elapsed_ns = clock_monotonic_ns() - settings.started_ns;
    buf_init(&line, TRACE_LINE_MAX);
    buf_printf(&line, "%4lld.%06lld %d %s: ", (long long)(elapsed_ns / NS_PER_S),
               (long long)(elapsed_ns % NS_PER_S / 1000), (int)getpid(), trace_topic_names[topic]);
    va_start(args, fmt);
    buf_vprintf(&line, fmt, args);
    va_end(args);
    line.max = 0; /* the newline always fits */
    buf_add_char(&line, '\n');

    /* One write, so that lines of several processes don't mix; a failed trace is nobody's failure.
     */
    if (write(settings.fd, line.data, line.len) < 0)
        errno = saved;
    buf_release(&line);
    errno = saved;
}
