/* Container logs. Whatever a container prints comes back as it was, line by line; whatever is in a
 * file is read within bounds. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/keeper/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int condition)
{
    if (!condition)
        BUG();
}

/* The records of a batch joined again: a newline behind each that is not a part. */
static void join(const struct buf *batch, struct buf *text)
{
    const char *data = buf_text(batch);
    size_t at = 0, record;

    while ((record = log_record_size(data + at, batch->len - at)) > 0) {
        struct log_header header;

        memcpy(&header, data + at, sizeof(header));
        expect(header.len <= LOG_CHUNK_MAX && record == header.len + LOG_OVERHEAD);
        buf_add(text, data + at + sizeof(header), header.len);
        if (!(header.flags & LOG_PARTIAL))
            buf_add_char(text, '\n');
        at += record;
    }
    expect(at == batch->len);
}

static void round_trip(const char *text, size_t size)
{
    struct buf batch = BUF_INIT, joined = BUF_INIT;
    size_t used = log_frame_lines(&batch, 0, 1, text, size, false);
    size_t rest;

    expect(used <= size);
    join(&batch, &joined);
    expect(joined.len == used && memcmp(buf_text(&joined), text, used) == 0);
    rest = log_frame_lines(&batch, 0, 1, text + used, size - used, true);
    expect(used + rest == size);
    /* A torn end is no record, and everything before it still is one. */
    if (batch.len > 0) {
        batch.len--;
        expect(log_resync(batch.data, batch.len, 0) <= batch.len);
    }
    buf_release(&batch);
    buf_release(&joined);
}

static void read_anything(const uint8_t *data, size_t size)
{
    size_t at = 0;

    while (at < size) {
        size_t record;

        at = log_resync(data, size, at);
        record = log_record_size(data + at, size - at);
        expect(at == size || (record >= LOG_OVERHEAD && record <= size - at));
        at += record;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1); /* of its exact size: a read past it is seen */

    if (size > 0)
        memcpy(copy, data, size);
    round_trip(copy, size);
    read_anything((const uint8_t *)copy, size);
    free(copy);
    return 0;
}
