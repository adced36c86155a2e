#pragma once

/* Asking other name servers: the next one is asked in parallel when the one before is slow, or at
 * once when it fails; the first good answer wins. Every attempt has a socket of its own: source
 * port and id are random, and the kernel drops what comes from elsewhere. */

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/str.h"

struct error;
struct event_base;
struct forward;
struct forwarder;

/* `resolv_conf` is the host's file, read again when it changes. */
struct forwarder *forwarder_new(struct event_base *base, const char *resolv_conf);
void forwarder_free(struct forwarder *forwarder); /* cancels everything; NULL is fine */

/* A list of servers that isn't the host's. ERROR_INVALID for what is no address. */
struct upstreams;
int upstreams_parse(const struct strings *servers, struct upstreams **ret, struct error *err);
void upstreams_free(struct upstreams *upstreams); /* NULL is fine */

struct forward_request {
    const void *query; /* copied */
    size_t len;
    bool is_tcp;
    const struct upstreams *upstreams; /* borrowed until the answer; NULL: the host's servers */
    int netns_fd;                      /* borrowed: where to ask from; -1: here */
    /* Called once, not from within forward_start. len 0: nobody answered in time. The answer has
     * the id of the query. The forward is gone after it. */
    void (*answered)(void *context, const void *answer, size_t len);
    void *context;
};

/* ERROR_CONFLICT when too many are under way. */
int forward_start(struct forwarder *forwarder, const struct forward_request *request,
                  struct forward **ret, struct error *err);
void forward_cancel(struct forward *forward); /* without a call back */
