#pragma once

/* HTTP from registries, done by a child without privileges.
 *
 * The worker asks over a socket: one URL, an open file for the body, what is expected of it. The
 * child authenticates, follows redirects, retries, resumes, hashes, and answers once per request.
 * It is given nothing but that socket and those files. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/process.h"
#include "engine/base/sha256.h"

struct arena;
struct error;

enum { FETCH_MESSAGE_MAX = 64 << 10 };

struct fetch {
    struct process process;
    int socket; /* SOCK_SEQPACKET: readable when there is an answer */
    struct fetch_progress *progress;
};
#define FETCH_INIT                                                                                 \
    {                                                                                              \
        .process = PROCESS_INIT, .socket = -1                                                      \
    }
#define cleanup_fetch __attribute__((cleanup(fetch_release)))

struct fetch_progress { /* shared memory */
    _Atomic uint64_t received_bytes;
};

struct fetch_request {
    uint32_t id;
    const char *url;    /* http: or https: */
    const char *accept; /* NULL = anything */
    const char *scope;  /* for the token: "repository:library/nginx:pull" */
    const char *digest; /* what the body must hash to; NULL = unknown */
    bool head_only;     /* no body: just what the headers say */
    uint64_t offset;    /* the file has this much of the body already */
    uint64_t max_bytes; /* more is an error */
    int fd;             /* borrowed; read and written by offset; -1 with head_only */
};

struct fetch_answer {
    uint32_t id;
    const char *content_type;      /* "" = none */
    char digest[DIGEST_TEXT_SIZE]; /* of the body; head_only: what the registry says, or "" */
    uint64_t size;
};

int fetch_start(struct fetch *ret, struct error *err);
void fetch_release(struct fetch *fetch);
int fetch_send(struct fetch *fetch, const struct fetch_request *request, struct error *err);
/* Blocks for the next answer. A failed request returns -1 with its error; *ret_id tells which (0 =
 * the child itself failed). Texts live in the arena. */
int fetch_receive(struct fetch *fetch, struct arena *arena, struct fetch_answer *ret,
                  uint32_t *ret_id, struct error *err);

/* The child's side (fetch_loop.c). */
int fetch_loop(int socket, struct fetch_progress *progress);
