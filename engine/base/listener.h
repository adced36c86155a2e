#pragma once

/* A listening socket in an event loop.
 *
 * A process that has no descriptors left can't accept, and can't refuse either: the client stays in
 * the queue, the socket stays readable, and the loop would spin. So a listener that can't accept
 * pauses (LISTENER_PAUSE_MS); clients wait in the queue meanwhile. */

#include <stdbool.h>

struct error;
struct event_base;
struct listener;

enum { LISTENER_PAUSE_MS = 100 };

struct listener_handler {
    /* A client; the descriptor is the callee's, close-on-exec and non-blocking. */
    void (*accept)(int fd, void *context);
    /* It can't accept: why, once until it can again. NULL = nobody wants to know. */
    void (*trouble)(const struct error *why, void *context);
    void *context;
    int accepts_per_turn; /* of the loop: clients are not all that we serve */
};

/* Borrows `fd`, which listens and doesn't block. It accepts when it is switched on. */
int listener_new(struct event_base *base, int fd, const struct listener_handler *handler,
                 struct listener **ret, struct error *err);
void listener_free(struct listener *listener); /* NULL is fine */
int listener_on(struct listener *listener, struct error *err);
/* Accept those who have come, without waiting for the loop. */
void listener_run(struct listener *listener);
