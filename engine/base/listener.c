/* See listener.h. */

#include "engine/base/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "engine/base/alloc.h"
#include "engine/base/error.h"

struct listener {
    struct listener_handler handler;
    int fd;
    struct event *readable, *pause;
    bool is_in_trouble;
};

/* We have no room for it; all else is about the one client (accept(2), Linux passes on errors of
 * its connection) or nothing (EAGAIN). */
static bool is_ours(int errnum)
{
    return errnum == EMFILE || errnum == ENFILE || errnum == ENOBUFS || errnum == ENOMEM;
}

static void start_pause(struct listener *listener, int errnum)
{
    static const struct timeval pause = {0, LISTENER_PAUSE_MS * 1000};
    struct error why = ERROR_INIT;

    (void)event_del(listener->readable);
    (void)event_add(listener->pause, &pause);
    if (listener->is_in_trouble)
        return;
    listener->is_in_trouble = true;
    (void)error_sys(&why, errnum, "accept a client");
    if (listener->handler.trouble)
        listener->handler.trouble(&why, listener->handler.context);
}

void listener_run(struct listener *listener)
{
    for (int i = 0; i < listener->handler.accepts_per_turn; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            listener->is_in_trouble = false;
            listener->handler.accept(fd, listener->handler.context);
            continue;
        }
        if (errno == EAGAIN)
            return;
        if (is_ours(errno)) {
            start_pause(listener, errno);
            return;
        }
    }
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    listener_run(context);
}

static void on_pause_over(evutil_socket_t fd, short what, void *context)
{
    struct listener *listener = context;

    (void)fd;
    (void)what;
    (void)event_add(listener->readable, NULL); /* it was added before: there is room for it */
}

int listener_new(struct event_base *base, int fd, const struct listener_handler *handler,
                 struct listener **ret, struct error *err)
{
    struct listener *listener = x_alloc(sizeof(*listener));

    listener->handler = *handler;
    listener->fd = fd;
    listener->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, listener);
    listener->pause = evtimer_new(base, on_pause_over, listener);
    if (!listener->readable || !listener->pause) {
        listener_free(listener);
        return error_set(err, ERROR_SYSTEM, "make events for a listening socket");
    }
    *ret = listener;
    return 0;
}

void listener_free(struct listener *listener)
{
    if (!listener)
        return;
    if (listener->readable)
        event_free(listener->readable);
    if (listener->pause)
        event_free(listener->pause);
    free(listener);
}

int listener_on(struct listener *listener, struct error *err)
{
    if (event_add(listener->readable, NULL) < 0)
        return error_set(err, ERROR_SYSTEM, "watch a listening socket");
    return 0;
}
