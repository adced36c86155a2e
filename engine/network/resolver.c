/* The name server that containers see on 127.0.0.11:53: who is asked, and what is answered. */

#include "engine/network/resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/list.h"
#include "engine/base/trace.h"
#include "engine/base/vec.h"
#include "engine/network/dns_message.h"
#include "engine/network/dns_rewrite.h"
#include "engine/network/dns_server.h"
#include "engine/network/forward.h"
#include "engine/network/netns.h"
#include "engine/network/zone.h"

enum {
    TTL_S = 5, /* scaled services and restarts change addresses; Docker's 600 is too long */
    BACKLOG = 128,
    CLASS_IN = 1,
    NETWORKS_MAX = 100,
};

struct resolver {
    struct event_base *base;
    struct zones *zones;
    struct forwarder *forwarder;
    struct list clients;
};

/* A container. */
struct client {
    struct list list;
    struct resolver *resolver;
    char *id;
    struct dns_server *server;
    VEC(struct zone *) zones;
    struct upstreams *upstreams; /* NULL: the host's */
    int netns_fd;                /* where own upstreams are asked; -1: not needed */
    bool is_internal_only;
};

static void client_free(struct client *client)
{
    dns_server_free(client->server); /* cancels what is forwarded, so before the upstreams */
    for (size_t i = 0; i < client->zones.n; i++)
        zone_release(client->zones.items[i]);
    vec_release(&client->zones);
    upstreams_free(client->upstreams);
    cleanup_close_fd(&client->netns_fd);
    list_remove(&client->list);
    free(client->id);
    free(client);
}

/* Answering. */

static void answer_code(struct dns_request *request, const struct dns_query *query,
                        enum dns_rcode rcode)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct dns_answer answer = dns_answer_begin(&out, query, request->query, rcode);

    dns_answer_end(&answer, DNS_MESSAGE_MAX_BYTES);
    dns_request_answer(request, out.data, out.len);
}

static void answer_addresses(struct dns_request *request, const struct dns_query *query,
                             const uint32_t *addresses, size_t n)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct dns_answer answer = dns_answer_begin(&out, query, request->query, DNS_NOERROR);

    /* Known names have no records but A: an empty answer, never forwarded. */
    for (size_t i = 0; i < n && (query->type == DNS_A || query->type == DNS_ANY); i++)
        dns_answer_add_a(&answer, addresses[i], TTL_S);
    dns_answer_end(&answer, request->is_tcp ? DNS_MESSAGE_MAX_BYTES : query->udp_bytes);
    dns_request_answer(request, out.data, out.len);
}

/* Returns true if the request was answered. */
static bool answer_name(struct client *client, struct dns_request *request,
                        const struct dns_query *query)
{
    bool is_stopped = false;

    for (size_t i = 0; i < client->zones.n; i++) {
        uint32_t addresses[ZONE_ADDRESSES_MAX];
        size_t n;
        enum zone_presence presence = zone_find(client->zones.items[i], query->name, addresses, &n);

        if (presence == ZONE_RUNNING) {
            answer_addresses(request, query, addresses, n);
            return true;
        }
        is_stopped |= presence == ZONE_STOPPED;
    }
    if (is_stopped) /* at once, instead of after a round trip that leaks the name */
        answer_code(request, query, DNS_NXDOMAIN);
    return is_stopped;
}

static bool answer_reverse(struct client *client, struct dns_request *request,
                           const struct dns_query *query)
{
    uint32_t address;

    if (query->type != DNS_PTR || !dns_reverse_parse(query->name, &address))
        return false;
    for (size_t i = 0; i < client->zones.n; i++) {
        const struct zone *zone = client->zones.items[i];
        const char *name = zone_find_address(zone, address);

        if (name != NULL) {
            cleanup_buf struct buf out = BUF_INIT;
            cleanup_free char *full = x_printf("%s.%s", name, zone_network(zone));
            struct dns_answer answer = dns_answer_begin(&out, query, request->query, DNS_NOERROR);

            dns_answer_add_ptr(&answer, full, TTL_S);
            dns_answer_end(&answer, request->is_tcp ? DNS_MESSAGE_MAX_BYTES : query->udp_bytes);
            dns_request_answer(request, out.data, out.len);
            return true;
        }
    }
    return false;
}

static void on_forwarded(void *context, const void *data, size_t len)
{
    struct dns_request *request = context;
    cleanup_free unsigned char *answer = NULL;
    struct dns_query query;

    request->forward = NULL;
    if (dns_query_parse(request->query, request->len, &query) != DNS_IS_QUERY)
        BUG();
    if (len == 0) {
        answer_code(request, &query, DNS_SERVFAIL);
        return;
    }
    if (request->is_tcp || len <= query.udp_bytes) {
        dns_request_answer(request, data, len);
        return;
    }
    answer = x_alloc(len);
    memcpy(answer, data, len);
    dns_request_answer(request, answer, dns_truncate(answer, len));
}

static void forward_request(struct client *client, struct dns_request *request,
                            const struct dns_query *query)
{
    struct forward_request forward_request = {.query = request->query,
                                              .len = request->len,
                                              .is_tcp = request->is_tcp,
                                              .upstreams = client->upstreams,
                                              .netns_fd = client->netns_fd,
                                              .answered = on_forwarded,
                                              .context = request};
    struct forward *forward;
    struct error err = ERROR_INIT;

    /* The host's servers would be a way out of an internal network (CVE-2024-29018). */
    if (client->is_internal_only && client->upstreams == NULL) {
        answer_code(request, query, DNS_NXDOMAIN);
        return;
    }
    if (forward_start(client->resolver->forwarder, &forward_request, &forward, &err) < 0) {
        trace(TRACE_DNS, "%s", err.text);
        answer_code(request, query, DNS_REFUSED);
        return;
    }
    request->forward = forward;
}

static void handle(struct dns_request *request, void *context)
{
    struct client *client = context;
    struct dns_query query;

    switch (dns_query_parse(request->query, request->len, &query)) {
    case DNS_IS_GARBAGE:
        dns_request_answer(request, NULL, 0);
        return;
    case DNS_IS_MALFORMED:
        query.question_len = 0;
        answer_code(request, &query, DNS_FORMERR);
        return;
    case DNS_IS_UNSUPPORTED:
        answer_code(request, &query, DNS_NOTIMP);
        return;
    case DNS_IS_QUERY:
        break;
    }
    zones_refresh(client->resolver->zones);
    if (query.class == CLASS_IN &&
        (answer_name(client, request, &query) || answer_reverse(client, request, &query)))
        return;
    forward_request(client, request, &query);
}

static void cancel(struct dns_request *request, void *context)
{
    (void)context;
    if (request->forward != NULL)
        forward_cancel(request->forward);
}

/* Sockets inside. */

static int bind_inside(int type, int *ret_fd, uint16_t *ret_port, struct error *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    cleanup_fd int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    address.sin_addr.s_addr = htonl(0x7f00000b); /* 127.0.0.11 */
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        (type == SOCK_STREAM && listen(fd, BACKLOG) < 0) ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        return error_sys(err, errno, "listen on 127.0.0.11 in the container");
    *ret_port = ntohs(address.sin_port);
    *ret_fd = fd_take(&fd);
    return 0;
}

static int open_server(struct client *client, int netns_fd, struct error *err)
{
    cleanup_netns_visit struct netns_visit visit = NETNS_VISIT_INIT;
    const struct dns_server_handler handler = {
        .handle = handle, .cancel = cancel, .context = client};
    struct dns_rewrite rewrite;
    cleanup_fd int udp_fd = -1;
    cleanup_fd int tcp_fd = -1;

    if (netns_visit_begin(&visit, netns_fd, err) < 0 ||
        bind_inside(SOCK_DGRAM, &udp_fd, &rewrite.udp_port, err) < 0 ||
        bind_inside(SOCK_STREAM, &tcp_fd, &rewrite.tcp_port, err) < 0 ||
        dns_rewrite_install(&rewrite, err) < 0)
        return -1;
    return dns_server_new(client->resolver->base, &udp_fd, &tcp_fd, &handler, &client->server, err);
}

static int open_client(struct client *client, const struct resolver_container *container,
                       struct error *err)
{
    if (container->networks.n > NETWORKS_MAX)
        return error_set(err, ERROR_INVALID, "more than %d networks", NETWORKS_MAX);
    for (size_t i = 0; i < container->networks.n; i++) {
        struct zone *zone;

        if (zone_acquire(client->resolver->zones, container->networks.items[i], &zone, err) < 0)
            return -1;
        vec_push(&client->zones, zone);
    }
    if (container->dns_servers.n > 0) {
        if (upstreams_parse(&container->dns_servers, &client->upstreams, err) < 0)
            return -1;
        client->netns_fd = fcntl(container->netns_fd, F_DUPFD_CLOEXEC, 0);
        if (client->netns_fd < 0)
            return error_sys(err, errno, "keep the network namespace");
    }
    client->is_internal_only = container->is_internal_only;
    return open_server(client, container->netns_fd, err);
}

int resolver_add_container(struct resolver *resolver, const struct resolver_container *container,
                           struct error *err)
{
    struct client *client = x_alloc(sizeof(*client));

    resolver_remove_container(resolver, container->id);
    client->resolver = resolver;
    client->id = x_strdup(container->id);
    client->netns_fd = -1;
    list_append(&resolver->clients, &client->list);
    if (open_client(client, container, err) < 0) {
        client_free(client);
        return error_wrap(err, "name service of container \"%s\"", container->id);
    }
    return 0;
}

void resolver_remove_container(struct resolver *resolver, const char *id)
{
    list_for_each (item, &resolver->clients) {
        struct client *client = container_of(item, struct client, list);

        if (text_equal(client->id, id))
            client_free(client);
    }
}

int resolver_new(struct event_base *base, const struct resolver_options *options,
                 struct resolver **ret, struct error *err)
{
    struct resolver *resolver = x_alloc(sizeof(*resolver));

    resolver->base = base;
    list_init(&resolver->clients);
    resolver->forwarder = forwarder_new(base, options->resolv_conf != NULL ? options->resolv_conf
                                                                           : "/etc/resolv.conf");
    if (zones_new(base, options->run_fd, &resolver->zones, err) < 0) {
        resolver_free(resolver);
        return -1;
    }
    *ret = resolver;
    return 0;
}

void resolver_free(struct resolver *resolver)
{
    if (resolver == NULL)
        return;
    list_for_each (item, &resolver->clients)
        client_free(container_of(item, struct client, list));
    zones_free(resolver->zones);
    forwarder_free(resolver->forwarder);
    free(resolver);
}
