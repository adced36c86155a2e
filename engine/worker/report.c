/* JSON lines on the event pipe. */

#include "engine/worker/report.h"

#include <stdarg.h>
#include <stdatomic.h>

#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/image/job.h"

enum { TEXT_MAX_BYTES = 4000 };

static const int64_t progress_interval_ns = 100 * NS_PER_MS;

/* When the last progress line went out (a log setting of the process, style S16). */
static _Atomic int64_t last_progress_ns;

/* A reader that is gone has killed us or will: nothing to do about a failed write. */
static void send_take(json_t *event)
{
    cleanup_buf struct buf line = BUF_INIT;

    json_print(&line, event);
    buf_add_char(&line, '\n');
    (void)fs_write_all(JOB_EVENT_FD, line.data, line.len, NULL);
    json_decref(event);
}

static void send_text(const char *kind, const char *fmt, va_list args)
{
    cleanup_buf struct buf text = BUF_INIT;
    json_t *event = json_object();

    buf_init(&text, TEXT_MAX_BYTES);
    buf_vprintf(&text, fmt, args);
    json_set_text(event, "kind", kind);
    json_set_text(event, "text", buf_text(&text));
    send_take(event);
}

void report_progress(const char *fmt, ...)
{
    int64_t now_ns = clock_monotonic_ns();
    va_list args;

    if (now_ns - last_progress_ns < progress_interval_ns)
        return;
    last_progress_ns = now_ns;
    va_start(args, fmt);
    send_text("progress", fmt, args);
    va_end(args);
}

void report_log(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    send_text("log", fmt, args);
    va_end(args);
}

void report_done_take(json_t *result)
{
    json_t *event = json_object();

    json_set_text(event, "kind", "done");
    json_set_take(event, "result", result);
    send_take(event);
}

void report_failed(const struct error *error)
{
    json_t *event = json_object();

    json_set_text(event, "kind", "failed");
    json_set_i64(event, "code", error->code);
    json_set_i64(event, "errnum", error->errnum);
    json_set_text(event, "text", error->text);
    send_take(event);
}
