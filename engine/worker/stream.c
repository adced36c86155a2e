/* Inflate ahead: a ring of blocks between one thread that fills and one that empties it. */

#include "engine/worker/stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/worker/inflate.h"

enum { BLOCK_BYTES = 256 << 10, BLOCKS = 8 };

struct block {
    size_t len;
    unsigned char *data;
};

struct stream {
    struct inflate *inflate;
    EVP_MD_CTX *hash;
    pthread_t thread;
    bool has_thread;

    /* Under `lock`. The ring holds blocks [taken, made); the reader may look at block taken - 1. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct block blocks[BLOCKS];
    uint64_t made, taken;
    bool at_end, is_closing;
    struct error error; /* of the filling thread; valid at the end */

    bool is_finished; /* the reader saw the end */
};

/* ------------------------------------------------------------------ the filling thread */

/* Room for one more block; NULL when nobody wants any. The block being read is never overwritten:
 * it counts as taken only when the next one is asked for. */
static struct block *await_room(struct stream *stream)
{
    struct block *block = NULL;

    pthread_mutex_lock(&stream->lock);
    while (!stream->is_closing && stream->made - stream->taken >= BLOCKS - 1)
        pthread_cond_wait(&stream->changed, &stream->lock);
    if (!stream->is_closing)
        block = &stream->blocks[stream->made % BLOCKS];
    pthread_mutex_unlock(&stream->lock);
    return block;
}

static void publish(struct stream *stream, size_t len)
{
    pthread_mutex_lock(&stream->lock);
    stream->blocks[stream->made % BLOCKS].len = len;
    stream->made++;
    pthread_cond_signal(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
}

static void publish_end(struct stream *stream, const struct error *error)
{
    pthread_mutex_lock(&stream->lock);
    stream->at_end = true;
    stream->error = *error;
    pthread_cond_signal(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
}

static void *fill_ring(void *argument)
{
    struct stream *stream = argument;
    struct error error = ERROR_INIT;

    for (;;) {
        struct block *block = await_room(stream);
        size_t len = 0;

        if (!block || inflate_read(stream->inflate, block->data, BLOCK_BYTES, &len, &error) < 0)
            break;
        if (len == 0)
            break;
        if (EVP_DigestUpdate(stream->hash, block->data, len) != 1) {
            error_set(&error, ERROR_SYSTEM, "hash the archive");
            break;
        }
        publish(stream, len);
    }
    publish_end(stream, &error);
    return NULL;
}

/* ------------------------------------------------------------------ the reader */

int stream_open(int fd, struct stream **ret, struct error *err)
{
    struct stream *stream = x_alloc(sizeof(*stream));
    int errnum;

    pthread_mutex_init(&stream->lock, NULL);
    pthread_cond_init(&stream->changed, NULL);
    for (size_t i = 0; i < BLOCKS; i++)
        stream->blocks[i].data = x_alloc(BLOCK_BYTES);
    stream->hash = EVP_MD_CTX_new();
    if (!stream->hash || EVP_DigestInit_ex(stream->hash, EVP_sha256(), NULL) != 1) {
        stream_close(stream);
        return error_set(err, ERROR_SYSTEM, "start a SHA-256");
    }
    if (inflate_open(fd, &stream->inflate, err) < 0) {
        stream_close(stream);
        return -1;
    }
    errnum = pthread_create(&stream->thread, NULL, fill_ring, stream);
    if (errnum) {
        stream_close(stream);
        return error_sys(err, errnum, "start a thread");
    }
    stream->has_thread = true;
    *ret = stream;
    return 0;
}

void stream_close(struct stream *stream)
{
    if (!stream)
        return;
    if (stream->has_thread) {
        pthread_mutex_lock(&stream->lock);
        stream->is_closing = true;
        pthread_cond_signal(&stream->changed);
        pthread_mutex_unlock(&stream->lock);
        pthread_join(stream->thread, NULL);
    }
    inflate_close(stream->inflate);
    EVP_MD_CTX_free(stream->hash);
    for (size_t i = 0; i < BLOCKS; i++)
        free(stream->blocks[i].data);
    pthread_cond_destroy(&stream->changed);
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}

int stream_read(struct stream *stream, const void **ret_data, size_t *ret_len, struct error *err)
{
    struct error error = ERROR_INIT;
    bool has_block;

    pthread_mutex_lock(&stream->lock);
    while (stream->taken == stream->made && !stream->at_end)
        pthread_cond_wait(&stream->changed, &stream->lock);
    has_block = stream->taken < stream->made;
    if (has_block) {
        struct block *block = &stream->blocks[stream->taken % BLOCKS];

        *ret_data = block->data;
        *ret_len = block->len;
        stream->taken++; /* BLOCKS - 1 blocks ahead at most: this one stays untouched */
        pthread_cond_signal(&stream->changed);
    } else {
        error = stream->error;
    }
    pthread_mutex_unlock(&stream->lock);

    if (has_block)
        return 0;
    stream->is_finished = true;
    if (error.code != ERROR_NONE) {
        if (err)
            *err = error;
        return -1;
    }
    *ret_len = 0;
    return 0;
}

int stream_finish(struct stream *stream, char ret_digest[static DIGEST_TEXT_SIZE],
                  struct error *err)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned hash_len = 0;
    const void *data;
    size_t len;

    do {
        if (stream_read(stream, &data, &len, err) < 0)
            return -1;
    } while (len);
    /* The thread is past its last update: at_end was set under the lock. */
    if (EVP_DigestFinal_ex(stream->hash, hash, &hash_len) != 1 || hash_len != SHA256_BYTES)
        return error_set(err, ERROR_SYSTEM, "finish a SHA-256");
    (void)snprintf(ret_digest, DIGEST_TEXT_SIZE, "sha256:");
    for (size_t i = 0; i < SHA256_BYTES; i++)
        (void)snprintf(ret_digest + sizeof("sha256:") - 1 + 2 * i, 3, "%02x", hash[i]);
    return 0;
}

uint64_t stream_position(struct stream *stream)
{
    return inflate_position(stream->inflate);
}
