/* Two ways to the plain bytes: igzip for gzip, a libarchive "raw" reader for all else.
 *
 * The first bytes of the file decide, not a media type: mislabelled layers exist. gzip may have
 * several members (pigz, bgzip, eStargz); bytes behind the last one that begin no other are an
 * error, except zero padding as tar on tapes leaves it. */

#include "engine/worker/inflate.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"

enum { INPUT_BYTES = 256 << 10, MAGIC_BYTES = 6 };

struct inflate {
    int fd;
    _Atomic uint64_t position;
    unsigned char *input;
    size_t input_len, input_used;
    bool at_end; /* of fd */

    /* gzip */
    struct inflate_state *gzip;
    bool in_member, had_member;

    /* all else */
    struct archive *raw;
    const unsigned char *piece; /* what libarchive gave and was not handed on yet */
    size_t piece_len;
    bool raw_at_end;
    int read_errnum;
};

/* ------------------------------------------------------------------ input */

static int fill_input(struct inflate *inflate, struct error *err)
{
    ssize_t n;

    inflate->input_used = 0;
    inflate->input_len = 0;
    if (inflate->at_end)
        return 0;
    n = fs_read(inflate->fd, inflate->input, INPUT_BYTES);
    if (n < 0)
        return error_sys(err, errno, "read the archive");
    inflate->at_end = n == 0;
    inflate->input_len = (size_t)n;
    atomic_fetch_add_explicit(&inflate->position, (uint64_t)n, memory_order_relaxed);
    return 0;
}

/* At least `n` bytes in the buffer, if the file has them. */
static int peek(struct inflate *inflate, size_t n, struct error *err)
{
    while (inflate->input_len < n && !inflate->at_end) {
        ssize_t got = fs_read(inflate->fd, inflate->input + inflate->input_len,
                              INPUT_BYTES - inflate->input_len);

        if (got < 0)
            return error_sys(err, errno, "read the archive");
        inflate->at_end = got == 0;
        inflate->input_len += (size_t)got;
        atomic_fetch_add_explicit(&inflate->position, (uint64_t)got, memory_order_relaxed);
    }
    return 0;
}

uint64_t inflate_position(const struct inflate *inflate)
{
    return atomic_load_explicit(&inflate->position, memory_order_relaxed);
}

/* ------------------------------------------------------------------ gzip */

static void gzip_start_member(struct inflate *inflate)
{
    isal_inflate_reset(inflate->gzip);
    inflate->gzip->crc_flag = ISAL_GZIP;
    inflate->in_member = true;
    inflate->had_member = true;
}

/* Between members: 0 = one begins, 1 = nothing follows. */
static int gzip_next_member(struct inflate *inflate, struct error *err)
{
    for (;;) {
        while (inflate->input_used < inflate->input_len) {
            unsigned char byte = inflate->input[inflate->input_used];

            if (byte == 0x1f) {
                gzip_start_member(inflate);
                return 0;
            }
            if (byte != 0 || !inflate->had_member)
                return error_set(err, ERROR_INVALID,
                                 "the archive is damaged: garbage behind its gzip data");
            inflate->input_used++;
        }
        if (fill_input(inflate, err) < 0)
            return -1;
        if (inflate->at_end)
            return 1;
    }
}

static int gzip_step(struct inflate *inflate, unsigned char *out, size_t room, size_t *ret_len,
                     struct error *err)
{
    struct inflate_state *gzip = inflate->gzip;
    int result;

    gzip->next_in = inflate->input + inflate->input_used;
    gzip->avail_in = (uint32_t)(inflate->input_len - inflate->input_used);
    gzip->next_out = out;
    gzip->avail_out = (uint32_t)room;
    result = isal_inflate(gzip);
    inflate->input_used = inflate->input_len - gzip->avail_in;
    *ret_len = room - gzip->avail_out;
    if (result == ISAL_INCORRECT_CHECKSUM)
        return error_set(err, ERROR_INVALID, "the archive is damaged: wrong gzip checksum");
    if (result < 0)
        return error_set(err, ERROR_INVALID, "the archive is damaged: invalid gzip data");
    if (gzip->block_state == ISAL_BLOCK_FINISH)
        inflate->in_member = false;
    return 0;
}

static int gzip_read(struct inflate *inflate, unsigned char *out, size_t size, size_t *ret_len,
                     struct error *err)
{
    size_t len = 0;

    while (len < size) {
        size_t n = 0;

        if (!inflate->in_member) {
            int result = gzip_next_member(inflate, err);

            if (result < 0)
                return -1;
            if (result == 1)
                break;
        }
        if (inflate->input_used == inflate->input_len && !inflate->at_end &&
            fill_input(inflate, err) < 0)
            return -1;
        if (gzip_step(inflate, out + len, size - len, &n, err) < 0)
            return -1;
        len += n;
        if (inflate->in_member && n == 0 && inflate->at_end)
            return error_set(err, ERROR_INVALID, "the archive is cut short: gzip data ends early");
    }
    *ret_len = len;
    return 0;
}

/* ------------------------------------------------------------------ all else */

static la_ssize_t raw_input(struct archive *archive, void *context, const void **ret_data)
{
    struct inflate *inflate = context;
    struct error error = ERROR_INIT;

    /* What was peeked at comes first. */
    if (inflate->input_used < inflate->input_len) {
        *ret_data = inflate->input + inflate->input_used;
        inflate->input_used = inflate->input_len;
        return (la_ssize_t)inflate->input_len;
    }
    if (fill_input(inflate, &error) < 0) {
        archive_set_error(archive, error.errnum, "%s", error.text);
        return -1;
    }
    inflate->input_used = inflate->input_len;
    *ret_data = inflate->input;
    return (la_ssize_t)inflate->input_len;
}

static int raw_error(struct inflate *inflate, const char *what, struct error *err)
{
    const char *text = archive_error_string(inflate->raw);

    return error_set(err, ERROR_INVALID, "%s: %s", what, text ? text : "unknown error");
}

static int raw_open(struct inflate *inflate, struct error *err)
{
    struct archive_entry *entry;
    int result;

    inflate->raw = archive_read_new();
    if (!inflate->raw)
        return error_set(err, ERROR_SYSTEM, "start reading an archive");
    /* By name: "all" would include formats that run external programs. */
    if (archive_read_support_filter_xz(inflate->raw) != ARCHIVE_OK ||
        archive_read_support_filter_lzma(inflate->raw) != ARCHIVE_OK ||
        archive_read_support_filter_bzip2(inflate->raw) != ARCHIVE_OK ||
        archive_read_support_filter_zstd(inflate->raw) != ARCHIVE_OK ||
        archive_read_support_filter_lz4(inflate->raw) != ARCHIVE_OK ||
        archive_read_support_filter_compress(inflate->raw) != ARCHIVE_OK ||
        archive_read_support_format_raw(inflate->raw) != ARCHIVE_OK ||
        archive_read_support_format_empty(inflate->raw) != ARCHIVE_OK)
        return raw_error(inflate, "start reading an archive", err);
    result = archive_read_open(inflate->raw, inflate, NULL, raw_input, NULL);
    if (result == ARCHIVE_OK)
        result = archive_read_next_header(inflate->raw, &entry);
    if (result == ARCHIVE_EOF)
        inflate->raw_at_end = true;
    else if (result != ARCHIVE_OK)
        return raw_error(inflate, "the archive is damaged", err);
    return 0;
}

static int raw_read(struct inflate *inflate, unsigned char *out, size_t size, size_t *ret_len,
                    struct error *err)
{
    size_t len = 0;

    while (len < size) {
        size_t n;

        if (inflate->piece_len == 0) {
            const void *piece;
            la_int64_t offset;
            int result;

            if (inflate->raw_at_end)
                break;
            result = archive_read_data_block(inflate->raw, &piece, &inflate->piece_len, &offset);
            if (result == ARCHIVE_EOF) {
                inflate->raw_at_end = true;
                inflate->piece_len = 0;
                break;
            }
            if (result != ARCHIVE_OK)
                return raw_error(inflate, "the archive is damaged", err);
            inflate->piece = piece;
        }
        n = inflate->piece_len < size - len ? inflate->piece_len : size - len;
        memcpy(out + len, inflate->piece, n);
        inflate->piece += n;
        inflate->piece_len -= n;
        len += n;
    }
    *ret_len = len;
    return 0;
}

/* ------------------------------------------------------------------ both */

static bool is_gzip(const struct inflate *inflate)
{
    return inflate->input_len >= 2 && inflate->input[0] == 0x1f && inflate->input[1] == 0x8b;
}

int inflate_open(int fd, struct inflate **ret, struct error *err)
{
    struct inflate *inflate = x_alloc(sizeof(*inflate));
    int result;

    inflate->fd = fd;
    inflate->input = x_alloc(INPUT_BYTES);
    result = peek(inflate, MAGIC_BYTES, err);
    if (result == 0 && is_gzip(inflate)) {
        inflate->gzip = x_alloc(sizeof(*inflate->gzip));
        isal_inflate_init(inflate->gzip);
        gzip_start_member(inflate);
    } else if (result == 0) {
        result = raw_open(inflate, err);
    }
    if (result < 0) {
        inflate_close(inflate);
        return -1;
    }
    *ret = inflate;
    return 0;
}

void inflate_close(struct inflate *inflate)
{
    if (!inflate)
        return;
    if (inflate->raw)
        archive_read_free(inflate->raw);
    free(inflate->gzip);
    free(inflate->input);
    free(inflate);
}

int inflate_read(struct inflate *inflate, void *data, size_t size, size_t *ret_len,
                 struct error *err)
{
    if (inflate->gzip)
        return gzip_read(inflate, data, size, ret_len, err);
    return raw_read(inflate, data, size, ret_len, err);
}
