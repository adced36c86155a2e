/* Reserving host ports, and the proxy for IPv6 clients. High ports of loopback: no root needed. */

#include "engine/network/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/network/proxy.h"
#include "tests/tap.h"

enum { WAIT_MS = 5000 };

static int reserve(const char *ip, uint16_t first, uint16_t last, enum port_protocol protocol,
                   struct port_reservation *ret, struct error *err)
{
    struct port_request request = {
        .host_ip = ip, .first = first, .last = last, .protocol = protocol};

    return port_reserve(&request, ret, err);
}

TEST(any_port_is_a_free_one_of_both_families)
{
    struct port_reservation reservation;
    struct error err = ERROR_INIT;

    CHECK_OK(reserve(NULL, 0, 0, PORT_TCP, &reservation, &err), &err);
    CHECK(reservation.fd4 >= 0 && reservation.port != 0);
    port_reservation_release(&reservation);
    CHECK_INT(reservation.fd4, -1);
    CHECK_OK(reserve("127.0.0.1", 0, 0, PORT_UDP, &reservation, &err), &err);
    CHECK(reservation.fd4 >= 0 && reservation.fd6 == -1);
}

TEST(a_taken_port_is_a_conflict_that_names_the_holder)
{
    struct port_reservation first, second;
    struct error err = ERROR_INIT;
    char part[64];

    for (int protocol = PORT_TCP; protocol <= PORT_UDP; protocol++) {
        CHECK_OK(reserve(NULL, 0, 0, (enum port_protocol)protocol, &first, &err), &err);
        (void)snprintf(part, sizeof(part), "port %u/%s is already in use by", first.port,
                       port_protocol_names[protocol]);
        CHECK_FAILS(reserve("127.0.0.1", first.port, first.port, (enum port_protocol)protocol,
                            &second, &err),
                    ERROR_CONFLICT, part);
        (void)snprintf(part, sizeof(part), "(process %d)", getpid());
        CHECK_CONTAINS(err.text, part);
        CHECK_FAILS(
            reserve("", first.port, first.port, (enum port_protocol)protocol, &second, &err),
            ERROR_CONFLICT, "already in use");
        port_reservation_release(&first);
    }
}

TEST(a_range_gives_the_first_free_port)
{
    struct port_reservation first, second, third;
    struct error err = ERROR_INIT;

    do {
        CHECK_OK(reserve("127.0.0.1", 0, 0, PORT_TCP, &first, &err), &err);
    } while (first.port == UINT16_MAX);
    if (reserve("127.0.0.1", first.port, (uint16_t)(first.port + 1), PORT_TCP, &second, &err) < 0)
        SKIP("the next port is in use");
    CHECK_INT(second.port, first.port + 1);
    CHECK_FAILS(reserve("127.0.0.1", first.port, second.port, PORT_TCP, &third, &err),
                ERROR_CONFLICT, "all ports from");
}

TEST(wrong_addresses_are_refused)
{
    struct port_reservation reservation;
    struct error err = ERROR_INIT;

    CHECK_FAILS(reserve("localhost", 0, 0, PORT_TCP, &reservation, &err), ERROR_INVALID,
                "\"localhost\" is not an IP address");
    CHECK_FAILS(reserve("192.0.2.250", 0, 0, PORT_TCP, &reservation, &err), ERROR_INVALID,
                "this host has no address 192.0.2.250");
}

TEST(nothing_is_answered_while_a_port_is_only_reserved)
{
    struct port_reservation reservation;
    struct error err = ERROR_INIT;
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct pollfd poll_fd = {.events = POLLOUT};

    CHECK_OK(reserve("127.0.0.1", 0, 0, PORT_TCP, &reservation, &err), &err);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(reservation.port);
    poll_fd.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(connect(poll_fd.fd, (struct sockaddr *)&address, sizeof(address)) < 0 &&
          errno == EINPROGRESS);
    CHECK_INT(poll(&poll_fd, 1, 100), 0);
}

/* A server on 127.0.0.1, and a proxy to it on [::1]. */
struct relay {
    struct event_base *base;
    struct proxy *proxy;
    int server_fd;
    struct sockaddr_in6 address; /* of the proxy */
};

static void relay_start(struct relay *relay, enum port_protocol protocol)
{
    struct port_reservation reservation;
    struct error err = ERROR_INIT;
    struct sockaddr_in server = {.sin_family = AF_INET};
    socklen_t len = sizeof(server);
    int type = protocol == PORT_TCP ? SOCK_STREAM : SOCK_DGRAM;

    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    relay->server_fd = socket(AF_INET, type, 0);
    CHECK(bind(relay->server_fd, (struct sockaddr *)&server, len) == 0);
    CHECK(protocol == PORT_UDP || listen(relay->server_fd, 5) == 0);
    CHECK(getsockname(relay->server_fd, (struct sockaddr *)&server, &len) == 0);
    if (reserve("[::1]", 0, 0, protocol, &reservation, &err) < 0)
        SKIP("no IPv6 loopback");
    CHECK(reservation.fd4 == -1 && reservation.fd6 >= 0);
    relay->base = event_base_new();
    CHECK_OK(proxy_start(relay->base, protocol, &reservation.fd6, "127.0.0.1",
                         ntohs(server.sin_port), &relay->proxy, &err),
             &err);
    CHECK_INT(reservation.fd6, -1);
    relay->address = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                           .sin6_addr = IN6ADDR_LOOPBACK_INIT,
                                           .sin6_port = htons(reservation.port)};
}

static void run_until_readable(struct relay *relay, int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int64_t end_ns = clock_monotonic_ns() + WAIT_MS * NS_PER_MS;

    while (poll(&poll_fd, 1, 1) == 0) {
        CHECK(clock_monotonic_ns() < end_ns);
        CHECK(event_base_loop(relay->base, EVLOOP_NONBLOCK) >= 0);
    }
}

TEST(the_proxy_relays_tcp_in_both_directions_with_half_close)
{
    struct relay relay;
    char bytes[1000];
    size_t total = 0, wanted = 3000000, sent = 0;
    int client, peer;
    ssize_t n;

    relay_start(&relay, PORT_TCP);
    client = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK(connect(client, (struct sockaddr *)&relay.address, sizeof(relay.address)) == 0);
    run_until_readable(&relay, relay.server_fd);
    peer = accept(relay.server_fd, NULL, NULL);
    CHECK(peer >= 0);
    /* More than all buffers between: back pressure must neither lose nor block the loop. */
    memset(bytes, 'x', sizeof(bytes));
    while (total < wanted) {
        while (sent < wanted && (n = send(client, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
            sent += (size_t)n;
        CHECK(event_base_loop(relay.base, EVLOOP_NONBLOCK) >= 0);
        while ((n = recv(peer, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
            total += (size_t)n;
    }
    CHECK_INT(total, sent);
    CHECK(shutdown(client, SHUT_WR) == 0);
    run_until_readable(&relay, peer);
    CHECK_INT(recv(peer, bytes, sizeof(bytes), MSG_DONTWAIT), 0);
    CHECK_INT(send(peer, "bye", 3, 0), 3);
    close(peer);
    run_until_readable(&relay, client);
    CHECK_INT(recv(client, bytes, sizeof(bytes), MSG_DONTWAIT), 3);
    run_until_readable(&relay, client);
    CHECK_INT(recv(client, bytes, sizeof(bytes), MSG_DONTWAIT), 0);
    proxy_free(relay.proxy);
    event_base_free(relay.base);
}

TEST(the_proxy_relays_udp_to_each_client)
{
    struct relay relay;
    struct sockaddr_in from[2];
    socklen_t len = sizeof(from[0]);
    int clients[2];
    char bytes[10];

    relay_start(&relay, PORT_UDP);
    for (int i = 0; i < 2; i++) {
        clients[i] = socket(AF_INET6, SOCK_DGRAM, 0);
        CHECK(connect(clients[i], (struct sockaddr *)&relay.address, sizeof(relay.address)) == 0);
        CHECK_INT(send(clients[i], "ask", 3, 0), 3);
        run_until_readable(&relay, relay.server_fd);
        CHECK_INT(
            recvfrom(relay.server_fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from[i], &len),
            3);
    }
    for (int i = 1; i >= 0; i--) {
        CHECK_INT(sendto(relay.server_fd, i == 0 ? "a" : "bb", (size_t)i + 1, 0,
                         (struct sockaddr *)&from[i], len),
                  i + 1);
        run_until_readable(&relay, clients[i]);
        CHECK_INT(recv(clients[i], bytes, sizeof(bytes), 0), i + 1);
    }
    proxy_free(relay.proxy);
    event_base_free(relay.base);
}

TEST(clients_of_the_proxy_leave_descriptors_to_others)
{
    enum { CLIENTS = 30, FILES = 100 };
    const struct rlimit files = {FILES, FILES};
    struct relay relay;
    int fd;

    relay_start(&relay, PORT_TCP);
    for (int i = 0; i < CLIENTS; i++) {
        fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
        CHECK(connect(fd, (struct sockaddr *)&relay.address, sizeof(relay.address)) == 0 ||
              errno == EINPROGRESS);
    }
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
    for (int i = 0; i < CLIENTS; i++)
        CHECK(event_base_loop(relay.base, EVLOOP_NONBLOCK) >= 0);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd > CLIENTS && fd < FILES - CLIENTS);
    proxy_free(relay.proxy);
    event_base_free(relay.base);
}

TEST(the_proxy_ends_connections_that_the_container_refuses)
{
    struct relay relay;
    char byte;
    int client;

    relay_start(&relay, PORT_TCP);
    close(relay.server_fd);
    client = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK(connect(client, (struct sockaddr *)&relay.address, sizeof(relay.address)) == 0);
    run_until_readable(&relay, client);
    CHECK(recv(client, &byte, 1, MSG_DONTWAIT) <= 0);
    proxy_free(relay.proxy);
    event_base_free(relay.base);
}
