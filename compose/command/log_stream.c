/* Several containers' logs on one output, in order of time. */

#include "compose/command/log_stream.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compose/command/command.h"
#include "engine/base/alloc.h"
#include "engine/base/clock.h"
#include "engine/base/fs.h"
#include "engine/cli/colour.h"

enum { FLUSH_BYTES = 64 * 1024, FLUSHES_PER_CALL = 16 };

/* One log, with the line read ahead: the earliest of all goes out first. */
struct stream_source {
    struct engine_log *log;
    const char *name;
    enum colour colour;
    struct log_line line;
    bool has_line;
    bool is_open_line[2]; /* per stream: the last piece printed had no end yet */
};

struct log_stream {
    struct stream_source *sources;
    size_t n_sources;
    size_t width; /* of the longest name */
    const struct attach_options *options;
    bool use_colour;
    struct buf out, err;
};

int log_stream_open(struct cli_context *context, struct engine *engine,
                    const struct containers *containers, const struct attach_options *options,
                    struct log_stream **ret, struct error *err)
{
    struct log_stream *stream = x_alloc(sizeof(*stream));
    struct log_options log_options = {
        .since_ns = options->since_ns,
        .until_ns = options->until_ns,
        .tail = options->tail,
        .follow = options->follow,
    };

    stream->sources = x_alloc_array(containers->n + 1, sizeof(*stream->sources));
    stream->options = options;
    stream->use_colour = context->stdout_colour && !options->no_colour;
    for (size_t i = 0; i < containers->n; i++) {
        struct stream_source *source = &stream->sources[i];
        size_t len;

        source->name = container_short_name(&containers->items[i]);
        source->colour = colour_for_log(i);
        len = strlen(source->name);
        stream->width = len > stream->width ? len : stream->width;
        if (engine_log_open(engine, containers->items[i].id, &log_options, &source->log, err) < 0) {
            log_stream_close(stream);
            return -1;
        }
        stream->n_sources++;
    }
    *ret = stream;
    return 0;
}

void log_stream_close(struct log_stream *stream)
{
    if (!stream)
        return;
    for (size_t i = 0; i < stream->n_sources; i++)
        engine_log_close(stream->sources[i].log);
    buf_release(&stream->out);
    buf_release(&stream->err);
    free(stream->sources);
    free(stream);
}

static void print_prefix(const struct log_stream *stream, const struct stream_source *source,
                         struct buf *out)
{
    if (!stream->options->no_prefix)
        buf_printf(out, "%s%-*s |%s ", stream->use_colour ? colour_start(source->colour) : "",
                   (int)stream->width, source->name,
                   stream->use_colour ? colour_end(source->colour) : "");
    if (stream->options->timestamps) {
        clock_print_rfc3339(out, source->line.time_ns);
        buf_add_char(out, ' ');
    }
}

static void print_line(struct log_stream *stream, struct stream_source *source)
{
    struct buf *out = source->line.is_stderr ? &stream->err : &stream->out;
    bool *is_open = &source->is_open_line[source->line.is_stderr];

    if (!*is_open)
        print_prefix(stream, source, out);
    buf_add_str(out, source->line.text);
    *is_open = source->line.is_partial;
    if (!source->line.is_partial)
        buf_add_char(out, '\n');
}

static int flush(struct log_stream *stream, struct error *err)
{
    int result = 0;

    if (stream->out.len > 0)
        result = fs_write_all(STDOUT_FILENO, stream->out.data, stream->out.len, err);
    if (result == 0 && stream->err.len > 0)
        result = fs_write_all(STDERR_FILENO, stream->err.data, stream->err.len, err);
    buf_clear(&stream->out);
    buf_clear(&stream->err);
    return result;
}

/* Read one line ahead where there is none. */
static int fill(struct stream_source *source, struct error *err)
{
    int result;

    if (source->has_line)
        return 0;
    result = engine_log_read(source->log, &source->line, err);
    if (result < 0)
        return -1;
    source->has_line = result == 0;
    return 0;
}

static struct stream_source *earliest(struct log_stream *stream)
{
    struct stream_source *first = NULL;

    for (size_t i = 0; i < stream->n_sources; i++) {
        struct stream_source *source = &stream->sources[i];

        if (source->has_line && (!first || source->line.time_ns < first->line.time_ns))
            first = source;
    }
    return first;
}

int log_stream_pump(struct log_stream *stream, struct error *err)
{
    struct stream_source *source;
    int n_flushes = 0;

    for (size_t i = 0; i < stream->n_sources; i++) {
        if (fill(&stream->sources[i], err) < 0)
            return -1;
    }
    while ((source = earliest(stream)) != NULL) {
        print_line(stream, source);
        source->has_line = false;
        if (fill(source, err) < 0)
            return -1;
        if (stream->out.len + stream->err.len <= FLUSH_BYTES)
            continue;
        if (flush(stream, err) < 0)
            return -1;
        if (++n_flushes == FLUSHES_PER_CALL)
            return 1;
    }
    return flush(stream, err);
}

size_t log_stream_count(const struct log_stream *stream)
{
    return stream->n_sources;
}

void log_stream_polls(const struct log_stream *stream, struct pollfd *polls)
{
    for (size_t i = 0; i < stream->n_sources; i++)
        polls[i] = (struct pollfd){.fd = engine_log_fd(stream->sources[i].log), .events = POLLIN};
}
