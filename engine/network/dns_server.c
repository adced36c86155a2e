/* The transports of the name server. */

#include "engine/network/dns_server.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/listener.h"
#include "engine/base/trace.h"
#include "engine/network/dns_message.h"

enum {
    CONNECTIONS_MAX = 64,
    REQUESTS_PER_CONNECTION_MAX = 32,
    OUTPUT_MAX_BYTES = 256 * 1024,
    IDLE_S = 10, /* without a whole query, or without reading our answers */
    DATAGRAMS_PER_WAKEUP = 64,
    ACCEPTS_PER_WAKEUP = 16,
    LENGTH_BYTES = 2,
};

struct dns_server {
    struct event_base *base;
    struct dns_server_handler handler;
    int udp_fd, tcp_fd;
    struct event *udp_event;
    struct listener *listener; /* TCP */
    struct list requests;
    struct list connections;
    size_t n_connections;
};

struct dns_connection {
    struct list list;
    struct dns_server *server;
    int fd;
    struct event *readable, *writable;
    struct buf in, out;
    size_t n_requests; /* that wait for an answer */
    bool is_read_ended;
    bool is_parsing; /* connection_parse is on the stack */
};

static const struct timeval idle = {.tv_sec = IDLE_S};

static struct dns_request *request_new(struct dns_server *server, const void *query, size_t len)
{
    struct dns_request *request = x_alloc(sizeof(*request) + len);

    request->server = server;
    request->len = len;
    memcpy(request->query, query, len);
    list_append(&server->requests, &request->list);
    return request;
}

static void event_drop(struct event **event)
{
    if (*event != NULL)
        event_free(*event);
    *event = NULL;
}

static void connection_free(struct dns_connection *connection)
{
    list_for_each (item, &connection->server->requests) {
        struct dns_request *request = container_of(item, struct dns_request, list);

        if (request->connection == connection)
            request->connection = NULL;
    }
    event_drop(&connection->readable);
    event_drop(&connection->writable);
    cleanup_close_fd(&connection->fd);
    buf_release(&connection->in);
    buf_release(&connection->out);
    list_remove(&connection->list);
    connection->server->n_connections--;
    free(connection);
}

/* Returns false if the connection is gone. */
static bool connection_flush(struct dns_connection *connection)
{
    while (connection->out.len > 0) {
        ssize_t n = send(connection->fd, connection->out.data, connection->out.len,
                         MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            (void)event_add(connection->writable, &idle);
            return true;
        }
        if (n < 0) {
            connection_free(connection);
            return false;
        }
        buf_consume(&connection->out, (size_t)n);
    }
    if (connection->is_read_ended && connection->n_requests == 0) {
        connection_free(connection);
        return false;
    }
    return true;
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct dns_connection *connection = context;

    (void)fd;
    if ((what & EV_TIMEOUT) != 0)
        connection_free(connection);
    else
        (void)connection_flush(connection);
}

static bool connection_exists(const struct dns_server *server,
                              const struct dns_connection *connection)
{
    list_for_each (item, &server->connections)
        if (item == &connection->list)
            return true;
    return false;
}

/* Hand out whole queries. Answers may come at once and may close the connection: so take one, then
 * look whether it is still there. */
static void connection_parse(struct dns_connection *connection)
{
    struct dns_server *server = connection->server;

    connection->is_parsing = true;
    while (connection->in.len >= LENGTH_BYTES &&
           connection->n_requests < REQUESTS_PER_CONNECTION_MAX) {
        const unsigned char *bytes = (const unsigned char *)connection->in.data;
        size_t len = (size_t)bytes[0] << 8 | bytes[1];
        struct dns_request *request;

        if (len == 0 || len > DNS_QUERY_MAX_BYTES) {
            connection_free(connection);
            return;
        }
        if (connection->in.len < LENGTH_BYTES + len)
            break;
        request = request_new(server, bytes + LENGTH_BYTES, len);
        request->is_tcp = true;
        request->connection = connection;
        connection->n_requests++;
        buf_consume(&connection->in, LENGTH_BYTES + len);
        server->handler.handle(request, server->handler.context);
        if (!connection_exists(server, connection))
            return;
    }
    connection->is_parsing = false;
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct dns_connection *connection = context;
    char bytes[DNS_QUERY_MAX_BYTES];
    ssize_t n;

    if ((what & EV_TIMEOUT) != 0) {
        connection_free(connection);
        return;
    }
    n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        connection_free(connection);
        return;
    }
    if (n == 0) {
        connection->is_read_ended = true;
        (void)event_del(connection->readable);
        (void)connection_flush(connection); /* closes when nothing is owed */
        return;
    }
    buf_add(&connection->in, bytes, (size_t)n);
    if (connection->in.truncated)
        connection_free(connection); /* pipelines more than we hold */
    else
        connection_parse(connection);
}

static void start_connection(struct dns_server *server, int fd)
{
    struct dns_connection *connection = x_alloc(sizeof(*connection));

    connection->server = server;
    connection->fd = fd;
    buf_init(&connection->in, 4 * DNS_QUERY_MAX_BYTES);
    buf_init(&connection->out, OUTPUT_MAX_BYTES);
    list_append(&server->connections, &connection->list);
    server->n_connections++;
    connection->readable =
        event_new(server->base, fd, EV_READ | EV_PERSIST, on_readable, connection);
    connection->writable = event_new(server->base, fd, EV_WRITE, on_writable, connection);
    if (connection->readable == NULL || connection->writable == NULL ||
        event_add(connection->readable, &idle) < 0)
        connection_free(connection);
}

static void on_client(int client_fd, void *context)
{
    struct dns_server *server = context;

    if (server->n_connections >= CONNECTIONS_MAX)
        close(client_fd);
    else
        start_connection(server, client_fd);
}

static void on_trouble(const struct error *why, void *context)
{
    (void)context;
    trace(TRACE_DNS, "name server: %s: clients wait, continuing", why->text);
}

static void on_datagram(evutil_socket_t fd, short what, void *context)
{
    struct dns_server *server = context;
    char bytes[DNS_QUERY_MAX_BYTES];

    (void)what;
    for (int i = 0; i < DATAGRAMS_PER_WAKEUP; i++) {
        struct sockaddr_in client = {0};
        socklen_t client_len = sizeof(client);
        ssize_t n = recvfrom(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC,
                             (struct sockaddr *)&client, &client_len);
        struct dns_request *request;

        if (n < 0)
            return;
        if (n == 0 || (size_t)n > sizeof(bytes))
            continue;
        request = request_new(server, bytes, (size_t)n);
        request->client = client;
        server->handler.handle(request, server->handler.context);
    }
}

static void answer_tcp(struct dns_connection *connection, const void *data, size_t len)
{
    unsigned char prefix[LENGTH_BYTES] = {(unsigned char)(len >> 8), (unsigned char)len};
    bool was_full = connection->n_requests == REQUESTS_PER_CONNECTION_MAX;

    connection->n_requests--;
    if (len > 0) {
        buf_add(&connection->out, prefix, sizeof(prefix));
        buf_add(&connection->out, data, len);
    }
    if (connection->out.truncated)
        connection_free(connection); /* it doesn't read what it asked for */
    else if (connection_flush(connection) && was_full && !connection->is_parsing)
        connection_parse(connection);
}

void dns_request_answer(struct dns_request *request, const void *data, size_t len)
{
    if (request->is_tcp && request->connection != NULL)
        answer_tcp(request->connection, data, len);
    else if (!request->is_tcp && len > 0)
        (void)sendto(request->server->udp_fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL,
                     (struct sockaddr *)&request->client,
                     sizeof(request->client)); /* the client asks again */
    list_remove(&request->list);
    free(request);
}

int dns_server_new(struct event_base *base, int *udp_fd, int *tcp_fd,
                   const struct dns_server_handler *handler, struct dns_server **ret,
                   struct error *err)
{
    struct dns_server *server = x_alloc(sizeof(*server));
    const struct listener_handler listener = {.accept = on_client,
                                              .trouble = on_trouble,
                                              .context = server,
                                              .accepts_per_turn = ACCEPTS_PER_WAKEUP};

    server->base = base;
    server->handler = *handler;
    server->udp_fd = server->tcp_fd = -1;
    list_init(&server->requests);
    list_init(&server->connections);
    server->udp_event = event_new(base, *udp_fd, EV_READ | EV_PERSIST, on_datagram, server);
    if (server->udp_event == NULL || event_add(server->udp_event, NULL) < 0) {
        dns_server_free(server);
        return error_set(err, ERROR_SYSTEM, "name server: register with the event loop");
    }
    if (listener_new(base, *tcp_fd, &listener, &server->listener, err) < 0 ||
        listener_on(server->listener, err) < 0) {
        dns_server_free(server);
        return error_wrap(err, "name server");
    }
    server->udp_fd = fd_take(udp_fd);
    server->tcp_fd = fd_take(tcp_fd);
    *ret = server;
    return 0;
}

void dns_server_free(struct dns_server *server)
{
    if (server == NULL)
        return;
    list_for_each (item, &server->requests) {
        struct dns_request *request = container_of(item, struct dns_request, list);

        server->handler.cancel(request, server->handler.context);
        list_remove(&request->list);
        free(request);
    }
    list_for_each (item, &server->connections)
        connection_free(container_of(item, struct dns_connection, list));
    event_drop(&server->udp_event);
    listener_free(server->listener);
    cleanup_close_fd(&server->udp_fd);
    cleanup_close_fd(&server->tcp_fd);
    free(server);
}
