/* IPv6 clients of published ports, in user space.
 *
 * TCP: client ⇄ pipe ⇄ container by splice(2): bytes never enter this process. Each direction is a
 * `struct flow`; it is closed on its own (half-close), the connection when both are.
 * UDP: one connected socket per client address, dropped after UDP_IDLE_S without traffic. */

#include "engine/network/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/list.h"
#include "engine/base/listener.h"
#include "engine/base/trace.h"

enum {
    CONNECTIONS_MAX = 4096, /* per port */
    MOVES_PER_WAKEUP = 16,  /* 1 MiB: two that keep up with us are not all that we serve */
    SPLICE_BYTES = 65536,   /* the default size of a pipe */
    DATAGRAM_BYTES = 65535,
    DATAGRAMS_PER_WAKEUP = 64,
    ACCEPTS_PER_WAKEUP = 64,
    UDP_IDLE_S = 90,
};

struct proxy {
    struct event_base *base;
    enum port_protocol protocol;
    int listen_fd;
    struct listener *listener; /* TCP */
    struct event *event;       /* UDP */
    struct sockaddr_in target;
    struct list links; /* struct link */
    size_t n_links;
    char *datagram; /* DATAGRAM_BYTES, UDP only */
};

/* One direction of a TCP connection. */
struct flow {
    int from_fd, to_fd; /* borrowed from the link */
    int pipe_fds[2];
    size_t in_pipe;
    bool is_read_ended;
    bool is_done; /* and passed on */
    struct event *readable, *writable;
    struct link *link;
};

/* A client. */
struct link {
    struct list list; /* in proxy->links */
    struct proxy *proxy;
    int client_fd; /* -1 for UDP: the listener answers */
    int target_fd;
    struct flow flows[2];       /* TCP: to the container, to the client */
    struct sockaddr_in6 client; /* UDP */
    struct event *target_event; /* UDP: answers, or idle */
};

/* Clients from anywhere take no more than half of the descriptors: supervising needs the others.
 * (The kernel gives the lowest number that is free.) */
static bool is_crowded(int newest_fd)
{
    struct rlimit files;

    return getrlimit(RLIMIT_NOFILE, &files) == 0 && (rlim_t)newest_fd >= files.rlim_cur / 2;
}

static void event_drop(struct event **event)
{
    if (*event != NULL)
        event_free(*event);
    *event = NULL;
}

static void link_free(struct link *link)
{
    for (int i = 0; i < 2; i++) {
        event_drop(&link->flows[i].readable);
        event_drop(&link->flows[i].writable);
        cleanup_close_fd(&link->flows[i].pipe_fds[0]);
        cleanup_close_fd(&link->flows[i].pipe_fds[1]);
    }
    event_drop(&link->target_event);
    cleanup_close_fd(&link->client_fd);
    cleanup_close_fd(&link->target_fd);
    list_remove(&link->list);
    link->proxy->n_links--;
    free(link);
}

static struct link *link_new(struct proxy *proxy)
{
    struct link *link = x_alloc(sizeof(*link));

    link->proxy = proxy;
    link->client_fd = link->target_fd = -1;
    for (int i = 0; i < 2; i++) {
        link->flows[i].pipe_fds[0] = link->flows[i].pipe_fds[1] = -1;
        link->flows[i].link = link;
    }
    list_append(&proxy->links, &link->list);
    proxy->n_links++;
    return link;
}

/* TCP. */

/* Move what can be moved in a turn. Returns false when the connection is broken. */
static bool flow_move(struct flow *flow)
{
    for (int i = 0; i < MOVES_PER_WAKEUP; i++) {
        bool moved = false;

        if (!flow->is_read_ended && flow->in_pipe < SPLICE_BYTES) {
            ssize_t n = splice(flow->from_fd, NULL, flow->pipe_fds[1], NULL,
                               SPLICE_BYTES - flow->in_pipe, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

            if (n > 0)
                flow->in_pipe += (size_t)n;
            else if (n == 0)
                flow->is_read_ended = true;
            else if (errno != EAGAIN && errno != EINTR)
                return false;
            moved = n > 0;
        }
        if (flow->in_pipe > 0) {
            ssize_t n = splice(flow->pipe_fds[0], NULL, flow->to_fd, NULL, flow->in_pipe,
                               SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

            if (n > 0)
                flow->in_pipe -= (size_t)n;
            else if (n < 0 && errno != EAGAIN && errno != EINTR)
                return false;
            moved |= n > 0;
        }
        if (flow->is_read_ended && flow->in_pipe == 0 && !flow->is_done) {
            flow->is_done = true;
            (void)shutdown(flow->to_fd, SHUT_WR); /* a broken one shows in the other direction */
        }
        if (!moved)
            break;
    }
    return true;
}

/* Wait for what is missing: room on one side, or bytes on the other. */
static void flow_wait(const struct flow *flow)
{
    if (flow->in_pipe > 0)
        (void)event_add(flow->writable, NULL);
    else
        (void)event_del(flow->writable);
    if (!flow->is_read_ended && flow->in_pipe < SPLICE_BYTES)
        (void)event_add(flow->readable, NULL);
    else
        (void)event_del(flow->readable);
}

static void on_flow(evutil_socket_t fd, short what, void *context)
{
    struct flow *flow = context;
    struct link *link = flow->link;

    (void)fd;
    (void)what;
    if (!flow_move(flow) || (link->flows[0].is_done && link->flows[1].is_done)) {
        link_free(link);
        return;
    }
    flow_wait(flow);
}

static int flow_init(struct flow *flow, struct event_base *base, int from_fd, int to_fd)
{
    flow->from_fd = from_fd;
    flow->to_fd = to_fd;
    if (pipe2(flow->pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -1;
    flow->readable = event_new(base, from_fd, EV_READ, on_flow, flow);
    flow->writable = event_new(base, to_fd, EV_WRITE, on_flow, flow);
    return flow->readable != NULL && flow->writable != NULL ? 0 : -1;
}

static void on_connected(evutil_socket_t fd, short what, void *context)
{
    struct link *link = context;
    int failure = 0;
    socklen_t len = sizeof(failure);

    (void)what;
    event_drop(&link->target_event);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) < 0 || failure != 0) {
        link_free(link);
        return;
    }
    flow_wait(&link->flows[0]);
    flow_wait(&link->flows[1]);
}

static void start_connection(struct proxy *proxy, int client_fd)
{
    struct link *link = link_new(proxy);
    int on = 1;

    link->client_fd = client_fd;
    link->target_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (link->target_fd < 0 ||
        (connect(link->target_fd, (struct sockaddr *)&proxy->target, sizeof(proxy->target)) < 0 &&
         errno != EINPROGRESS) ||
        flow_init(&link->flows[0], proxy->base, client_fd, link->target_fd) < 0 ||
        flow_init(&link->flows[1], proxy->base, link->target_fd, client_fd) < 0) {
        trace(TRACE_NET, "proxy: connection dropped: %s", errno_name(errno));
        link_free(link);
        return;
    }
    /* Latency only: a failure changes nothing else. */
    (void)setsockopt(link->target_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(client_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    link->target_event = event_new(proxy->base, link->target_fd, EV_WRITE, on_connected, link);
    if (link->target_event == NULL || event_add(link->target_event, NULL) < 0)
        link_free(link);
}

static void on_client(int client_fd, void *context)
{
    struct proxy *proxy = context;

    if (proxy->n_links >= CONNECTIONS_MAX || is_crowded(client_fd))
        close(client_fd);
    else
        start_connection(proxy, client_fd);
}

static void on_trouble(const struct error *why, void *context)
{
    (void)context;
    trace(TRACE_NET, "proxy: %s: clients wait, continuing", why->text);
}

static int listen_tcp(struct proxy *proxy, int fd, struct error *err)
{
    const struct listener_handler handler = {.accept = on_client,
                                             .trouble = on_trouble,
                                             .context = proxy,
                                             .accepts_per_turn = ACCEPTS_PER_WAKEUP};

    if (listener_new(proxy->base, fd, &handler, &proxy->listener, err) < 0)
        return -1;
    return listener_on(proxy->listener, err);
}

/* UDP. */

static const struct timeval udp_idle = {.tv_sec = UDP_IDLE_S};

static void on_answer(evutil_socket_t fd, short what, void *context)
{
    struct link *link = context;
    struct proxy *proxy = link->proxy;

    if ((what & EV_TIMEOUT) != 0) {
        link_free(link);
        return;
    }
    for (int i = 0; i < DATAGRAMS_PER_WAKEUP; i++) {
        ssize_t n = recv(fd, proxy->datagram, DATAGRAM_BYTES, MSG_DONTWAIT);

        if (n < 0)
            return; /* also ECONNREFUSED: the container may listen later */
        (void)sendto(proxy->listen_fd, proxy->datagram, (size_t)n, MSG_DONTWAIT,
                     (struct sockaddr *)&link->client, sizeof(link->client)); /* UDP may lose */
    }
}

static struct link *find_client(struct proxy *proxy, const struct sockaddr_in6 *client)
{
    struct link *link;

    list_for_each (item, &proxy->links) {
        link = container_of(item, struct link, list);
        if (link->client.sin6_port == client->sin6_port &&
            memcmp(&link->client.sin6_addr, &client->sin6_addr, sizeof(client->sin6_addr)) == 0)
            return link;
    }
    if (proxy->n_links >= CONNECTIONS_MAX)
        return NULL;

    link = link_new(proxy);
    link->client = *client;
    link->target_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (link->target_fd >= 0 && !is_crowded(link->target_fd) &&
        connect(link->target_fd, (struct sockaddr *)&proxy->target, sizeof(proxy->target)) == 0)
        link->target_event =
            event_new(proxy->base, link->target_fd, EV_READ | EV_PERSIST, on_answer, link);
    if (link->target_event == NULL) {
        link_free(link);
        return NULL;
    }
    return link;
}

static void on_datagram(evutil_socket_t fd, short what, void *context)
{
    struct proxy *proxy = context;

    (void)what;
    for (int i = 0; i < DATAGRAMS_PER_WAKEUP; i++) {
        struct sockaddr_in6 client = {0};
        socklen_t len = sizeof(client);
        ssize_t n = recvfrom(fd, proxy->datagram, DATAGRAM_BYTES, MSG_DONTWAIT,
                             (struct sockaddr *)&client, &len);
        struct link *link;

        if (n < 0)
            return;
        link = find_client(proxy, &client);
        if (link == NULL)
            continue;
        (void)send(link->target_fd, proxy->datagram, (size_t)n, MSG_DONTWAIT); /* UDP may lose */
        (void)event_add(link->target_event, &udp_idle);
    }
}

static int listen_udp(struct proxy *proxy, int fd, struct error *err)
{
    proxy->datagram = x_alloc(DATAGRAM_BYTES);
    proxy->event = event_new(proxy->base, fd, EV_READ | EV_PERSIST, on_datagram, proxy);
    if (proxy->event == NULL || event_add(proxy->event, NULL) < 0)
        return error_set(err, ERROR_SYSTEM, "register with the event loop");
    return 0;
}

int proxy_start(struct event_base *base, enum port_protocol protocol, int *listen_fd,
                const char *ip, uint16_t port, struct proxy **ret, struct error *err)
{
    struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct proxy *proxy;
    int off = 0, result;

    if (inet_pton(AF_INET, ip, &target.sin_addr) != 1)
        return error_set(err, ERROR_INVALID, "\"%s\" is not an IPv4 address", ip);
    if (fcntl(*listen_fd, F_SETFL, O_NONBLOCK) < 0)
        return error_sys(err, errno, "proxy: make the socket nonblocking");
    /* The filter of the reservation; ENOENT: it has none. */
    if (setsockopt(*listen_fd, SOL_SOCKET, SO_DETACH_FILTER, &off, sizeof(off)) < 0 &&
        errno != ENOENT)
        return error_sys(err, errno, "proxy: detach the filter");

    proxy = x_alloc(sizeof(*proxy));
    proxy->base = base;
    proxy->protocol = protocol;
    proxy->target = target;
    proxy->listen_fd = -1;
    list_init(&proxy->links);
    result = protocol == PORT_TCP ? listen_tcp(proxy, *listen_fd, err)
                                  : listen_udp(proxy, *listen_fd, err);
    if (result < 0) {
        proxy_free(proxy);
        return error_wrap(err, "proxy");
    }
    proxy->listen_fd = fd_take(listen_fd);
    *ret = proxy;
    return 0;
}

void proxy_free(struct proxy *proxy)
{
    if (proxy == NULL)
        return;
    list_for_each (item, &proxy->links)
        link_free(container_of(item, struct link, list));
    listener_free(proxy->listener);
    event_drop(&proxy->event);
    cleanup_close_fd(&proxy->listen_fd);
    free(proxy->datagram);
    free(proxy);
}
