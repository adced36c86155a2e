#pragma once

/* One request to a registry through all it may take: token, redirects, retries, resumption. Used by
 * the fetching child only. */

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"

struct fetch_progress;
struct token_cache;
struct transfer;

/* What the loop gives to every transfer. */
struct transfer_shared {
    struct token_cache *tokens;
    struct fetch_progress *progress;
};

/* What one asks for: see struct fetch_request. Texts are copied, the fd is taken. */
struct transfer_order {
    uint32_t id;
    const char *url, *accept, *scope, *digest;
    bool head_only;
    uint64_t offset, max_bytes;
    int fd;
};

struct transfer *transfer_new_take(const struct transfer_order *order,
                                   const struct transfer_shared *shared);
void transfer_free(struct transfer *transfer);

/* A handle for the next attempt, to be given to the multi handle; NULL with *err set. Its
 * CURLOPT_PRIVATE is the transfer. */
CURL *transfer_begin(struct transfer *transfer, struct error *err);

enum transfer_outcome {
    TRANSFER_DONE,  /* all is well: transfer_result */
    TRANSFER_AGAIN, /* begin again, not before transfer_not_before_ns */
    TRANSFER_FAILED,
};
/* The attempt has ended; its handle is cleaned up. */
enum transfer_outcome transfer_end(struct transfer *transfer, CURLcode code, struct error *err);
int64_t transfer_not_before_ns(const struct transfer *transfer); /* monotonic */

struct transfer_result {
    uint32_t id;
    const char *content_type; /* borrowed */
    char digest[DIGEST_TEXT_SIZE];
    uint64_t size;
};
void transfer_result(const struct transfer *transfer, struct transfer_result *ret);
uint32_t transfer_id(const struct transfer *transfer);
