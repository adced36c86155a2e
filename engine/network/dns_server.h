#pragma once

/* The transports of the name server: UDP, and TCP with several queries per connection, answered in
 * any order. Knows bytes, not names. Limits: connections, bytes and time per connection; requests
 * that wait for an answer are bounded by whoever answers. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/list.h"

struct dns_connection;
struct dns_server;
struct error;
struct event_base;

/* A message that came in. Owned by the server until it is answered. */
struct dns_request {
    struct list list; /* in the server */
    struct dns_server *server;
    struct dns_connection *connection; /* NULL: UDP, or closed meanwhile */
    bool is_tcp;
    struct sockaddr_in client; /* UDP */
    void *forward;             /* for whoever answers later; NULL: nothing to cancel */
    size_t len;
    unsigned char query[];
};

struct dns_server_handler {
    /* Must lead to one dns_request_answer, now or later. */
    void (*handle)(struct dns_request *request, void *context);
    /* The server goes: the request will be freed, forget it. */
    void (*cancel)(struct dns_request *request, void *context);
    void *context;
};

/* Takes both descriptors on success. */
int dns_server_new(struct event_base *base, int *udp_fd, int *tcp_fd,
                   const struct dns_server_handler *handler, struct dns_server **ret,
                   struct error *err);
void dns_server_free(struct dns_server *server); /* NULL is fine */

/* Sends (len 0: nothing) and frees the request. */
void dns_request_answer(struct dns_request *request, const void *data, size_t len);
