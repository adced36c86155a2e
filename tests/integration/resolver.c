/* The name server, from inside containers: names, forwarding, both transports. */

#include "engine/network/resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/fs.h"
#include "engine/network/dns_message.h"
#include "tests/integration/network_world.h"

enum { ANSWER_MS = 3000, SILENCE_MS = 300 };

struct service {
    struct machine machine;
    struct event_base *base;
    struct resolver *resolver;
    struct event *upstreams[4];
    size_t n_upstreams;
};

static void service_start(struct service *service, const char *resolv_conf)
{
    struct error err = ERROR_INIT;
    struct resolver_options options = {.resolv_conf = resolv_conf};

    *service = (struct service){0};
    machine_start(&service->machine);
    service->base = event_base_new();
    options.run_fd = service->machine.dirs.run_fd;
    CHECK_OK(resolver_new(service->base, &options, &service->resolver, &err), &err);
}

static void service_end(struct service *service)
{
    resolver_free(service->resolver);
    for (size_t i = 0; i < service->n_upstreams; i++)
        event_free(service->upstreams[i]);
    event_base_free(service->base);
    machine_end(&service->machine);
}
#define cleanup_service __attribute__((cleanup(service_end)))

static void set_running(struct service *service, const char *network, const char *id, bool is)
{
    struct error err = ERROR_INIT;

    CHECK_OK(network_endpoint_set_running(&service->machine.dirs, network, id, is, &err), &err);
}

static void add_container(struct service *service, const struct guest *guest, const char *network,
                          const char *dns_server, bool is_internal)
{
    struct error err = ERROR_INIT;
    struct resolver_container container = {.id = guest->endpoint->container,
                                           .netns_fd = guest->netns_fd,
                                           .networks = {&network, 1},
                                           .dns_servers = {&dns_server, dns_server != NULL},
                                           .is_internal_only = is_internal};

    CHECK_OK(resolver_add_container(service->resolver, &container, &err), &err);
}

/* A query in wire form. */
static size_t make_query(unsigned char *out, const char *name, uint16_t type)
{
    static const unsigned char header[] = {0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    size_t n = sizeof(header);
    struct str rest = str_from(name), label;

    memcpy(out, header, sizeof(header));
    while (rest.len > 0) {
        if (!str_cut(rest, '.', &label, &rest))
            rest.len = 0;
        out[n++] = (unsigned char)label.len;
        memcpy(out + n, label.data, label.len);
        n += label.len;
    }
    out[n++] = 0;
    out[n++] = (unsigned char)(type >> 8);
    out[n++] = (unsigned char)type;
    out[n++] = 0;
    out[n++] = 1;
    return n;
}

/* "NOERROR 172.18.0.2 172.18.0.3", "NXDOMAIN", "NOERROR" … of an answer. */
static const char *describe(const unsigned char *answer, size_t len, size_t question_len)
{
    static const char *const codes[] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                        "NXDOMAIN", "NOTIMP",  "REFUSED"};
    static struct buf text;
    size_t at = 12 + question_len;
    int n = answer[6] << 8 | answer[7];

    buf_clear(&text);
    buf_add_text(&text, codes[answer[3] & 7]);
    CHECK_INT(answer[0] << 8 | answer[1], 0x1234);
    for (int i = 0; i < n && at + 12 <= len; i++) {
        size_t data_len = (size_t)answer[at + 10] << 8 | answer[at + 11];

        if (data_len == 4)
            buf_printf(&text, " %u.%u.%u.%u", answer[at + 12], answer[at + 13], answer[at + 14],
                       answer[at + 15]);
        else
            buf_printf(&text, " %.*s", (int)answer[at + 12], (const char *)answer + at + 13);
        at += 12 + data_len;
    }
    return buf_text(&text);
}

static void run_loop_until(struct service *service, int fd, int wait_ms)
{
    int64_t end_ns = clock_monotonic_ns() + wait_ms * NS_PER_MS;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    while (clock_monotonic_ns() < end_ns) {
        CHECK(event_base_loop(service->base, EVLOOP_NONBLOCK) >= 0);
        if (poll(&poll_fd, 1, 1) > 0)
            return;
    }
}

static const char *ask_for(struct service *service, const struct guest *guest, const char *name,
                           uint16_t type)
{
    struct sockaddr_in server = lab_address("127.0.0.11", 53);
    unsigned char query[300], answer[4096];
    size_t len = make_query(query, name, type);
    int fd = lab_socket(guest->netns_fd, SOCK_DGRAM);
    ssize_t n;

    CHECK(connect(fd, (struct sockaddr *)&server, sizeof(server)) == 0);
    CHECK(send(fd, query, len, 0) == (ssize_t)len);
    run_loop_until(service, fd, ANSWER_MS);
    n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
    close(fd);
    return n < 12 ? "no answer" : describe(answer, (size_t)n, len - 12);
}

static const char *ask(struct service *service, const struct guest *guest, const char *name)
{
    return ask_for(service, guest, name, DNS_A);
}

TEST(names_of_running_neighbours_are_answered_at_once)
{
    cleanup_service struct service service;
    service_start(&service, "/nonexistent");
    const struct network_record *net = machine_make_network(&service.machine, "shop_back", false);
    struct guest web = machine_make_guest(&service.machine, net, "web");
    struct guest db = machine_make_guest(&service.machine, net, "Db");

    add_container(&service, &web, "shop_back", NULL, false);
    CHECK_TEXT(ask(&service, &web, "db"), "NXDOMAIN");
    set_running(&service, "shop_back", "Db", true);
    CHECK_TEXT(ask(&service, &web, "db"), "NOERROR 172.18.0.3");
    CHECK_TEXT(ask(&service, &web, "dB"), "NOERROR 172.18.0.3");
    CHECK_TEXT(ask(&service, &web, "db.shop_back"), "NOERROR 172.18.0.3");
    CHECK_TEXT(ask_for(&service, &web, "db", DNS_AAAA), "NOERROR");
    CHECK_TEXT(ask_for(&service, &web, "db", 15), "NOERROR");
    CHECK_TEXT(ask_for(&service, &web, "3.0.18.172.in-addr.arpa", DNS_PTR), "NOERROR db");
    set_running(&service, "shop_back", "Db", false);
    CHECK_TEXT(ask(&service, &web, "db"), "NXDOMAIN");
    close(db.netns_fd);
}

TEST(replicas_take_turns_and_detached_ones_are_gone)
{
    cleanup_service struct service service;
    struct error err = ERROR_INIT;
    const struct network_endpoint *endpoint;
    const char *alias = "App";
    service_start(&service, "/nonexistent");
    const struct network_record *net = machine_make_network(&service.machine, "one", false);
    struct guest web = machine_make_guest(&service.machine, net, "web");
    struct network_attachment attachment = {.ifname = "eth0", .names = {&alias, 1}};

    add_container(&service, &web, "one", NULL, false);
    for (int i = 1; i <= 2; i++) {
        char id[10];

        (void)snprintf(id, sizeof(id), "app%d", i);
        attachment.container = attachment.container_name = id;
        CHECK_OK(netns_new(&attachment.netns_fd, &err), &err);
        CHECK_OK(network_attach(&service.machine.arena, &service.machine.dirs, net, &attachment,
                                &endpoint, &err),
                 &err);
        set_running(&service, "one", id, true);
    }
    CHECK_TEXT(ask(&service, &web, "app"), "NOERROR 172.18.0.3 172.18.0.4");
    CHECK_TEXT(ask(&service, &web, "app"), "NOERROR 172.18.0.4 172.18.0.3");
    CHECK_OK(network_detach(&service.machine.dirs, "one", "app1", &err), &err);
    CHECK_TEXT(ask(&service, &web, "app"), "NOERROR 172.18.0.4");
}

TEST(names_of_other_networks_are_not_known)
{
    cleanup_service struct service service;
    service_start(&service, "/nonexistent");
    const struct network_record *one = machine_make_network(&service.machine, "one", false);
    const struct network_record *two = machine_make_network(&service.machine, "two", true);
    struct guest a = machine_make_guest(&service.machine, one, "a");
    struct guest b = machine_make_guest(&service.machine, two, "b");

    add_container(&service, &b, "two", NULL, true);
    set_running(&service, "one", a.endpoint->container, true);
    CHECK_TEXT(ask(&service, &b, "a"), "NXDOMAIN");
}

/* An upstream on 127.0.0.1:53 of the host that answers A questions with 192.0.2.<digit>. */
static void serve_upstream(int fd, unsigned char digit)
{
    unsigned char message[600];
    struct sockaddr_in client = {0};
    socklen_t len = sizeof(client);
    ssize_t n = recvfrom(fd, message, 512, MSG_DONTWAIT, (struct sockaddr *)&client, &len);
    const unsigned char record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, digit};

    if (n < 0)
        return;
    message[2] |= 0x80;
    message[7] = 1;
    memcpy(message + n, record, sizeof(record));
    (void)sendto(fd, message, (size_t)n + sizeof(record), 0, (struct sockaddr *)&client, len);
}

static void on_upstream(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    serve_upstream(fd, *(unsigned char *)context);
}

static void start_upstream(struct service *service, int netns_fd, const char *ip,
                           unsigned char *digit)
{
    struct sockaddr_in address = lab_address(ip, 53);
    int fd = lab_socket(netns_fd, SOCK_DGRAM);

    CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    service->upstreams[service->n_upstreams] =
        event_new(service->base, fd, EV_READ | EV_PERSIST, on_upstream, digit);
    (void)event_add(service->upstreams[service->n_upstreams++], NULL);
}

static const char *write_resolv_conf(const char *text)
{
    static char path[300];
    struct error err = ERROR_INIT;

    (void)snprintf(path, sizeof(path), "%s/resolv.conf", tap_temp_dir());
    CHECK_OK(fs_replace(AT_FDCWD, path, text, strlen(text), 0644, FS_VOLATILE, &err), &err);
    return path;
}

TEST(other_names_are_asked_of_the_hosts_servers)
{
    cleanup_service struct service service;
    unsigned char seven = 7, eight = 8;
    /* The first doesn't exist on this host: refused at once, the next is asked. */
    service_start(&service, write_resolv_conf("nameserver 127.0.0.9\nnameserver 127.0.0.1\n"));
    const struct network_record *net = machine_make_network(&service.machine, "one", false);
    struct guest web = machine_make_guest(&service.machine, net, "web");

    start_upstream(&service, -1, "127.0.0.1", &seven);
    add_container(&service, &web, "one", NULL, false);
    CHECK_TEXT(ask(&service, &web, "example.org"), "NOERROR 192.0.2.7");
    CHECK_TEXT(ask(&service, &web, "unknown"), "NOERROR 192.0.2.7");
    /* The file changes: so do the servers. */
    start_upstream(&service, -1, "127.0.0.3", &eight);
    (void)write_resolv_conf("# new\nnameserver 127.0.0.3\n");
    CHECK_TEXT(ask(&service, &web, "example.org"), "NOERROR 192.0.2.8");
}

TEST(a_silent_server_is_hedged_by_the_next)
{
    cleanup_service struct service service;
    unsigned char seven = 7;
    struct sockaddr_in address = lab_address("127.0.0.5", 53);
    int64_t begin_ns;
    int silent;
    service_start(&service, write_resolv_conf("nameserver 127.0.0.5\nnameserver 127.0.0.1\n"));
    const struct network_record *net = machine_make_network(&service.machine, "one", false);
    struct guest web = machine_make_guest(&service.machine, net, "web");

    silent = lab_socket(-1, SOCK_DGRAM);
    CHECK(bind(silent, (struct sockaddr *)&address, sizeof(address)) == 0);
    start_upstream(&service, -1, "127.0.0.1", &seven);
    add_container(&service, &web, "one", NULL, false);
    begin_ns = clock_monotonic_ns();
    CHECK_TEXT(ask(&service, &web, "example.org"), "NOERROR 192.0.2.7");
    CHECK(clock_monotonic_ns() - begin_ns < NS_PER_S);
}

TEST(containers_on_internal_networks_reach_only_servers_on_them)
{
    cleanup_service struct service service;
    unsigned char seven = 7, nine = 9;
    service_start(&service, write_resolv_conf("nameserver 127.0.0.1\n"));
    const struct network_record *net = machine_make_network(&service.machine, "inner", true);
    struct guest a = machine_make_guest(&service.machine, net, "a");
    struct guest ns = machine_make_guest(&service.machine, net, "ns");

    start_upstream(&service, -1, "127.0.0.1", &seven);
    start_upstream(&service, ns.netns_fd, ns.endpoint->ip, &nine);
    add_container(&service, &a, "inner", NULL, true);
    CHECK_TEXT(ask(&service, &a, "example.org"), "NXDOMAIN");
    add_container(&service, &a, "inner", ns.endpoint->ip, true);
    CHECK_TEXT(ask(&service, &a, "example.org"), "NOERROR 192.0.2.9");
}

TEST(without_any_server_the_answer_is_servfail)
{
    cleanup_service struct service service;
    service_start(&service, write_resolv_conf("nameserver 127.0.0.1\n"));
    const struct network_record *net = machine_make_network(&service.machine, "one", false);
    struct guest web = machine_make_guest(&service.machine, net, "web");

    add_container(&service, &web, "one", NULL, false);
    CHECK_TEXT(ask(&service, &web, "example.org"), "SERVFAIL");
}

TEST(tcp_takes_several_queries_in_one_connection)
{
    cleanup_service struct service service;
    struct sockaddr_in server = lab_address("127.0.0.11", 53);
    unsigned char out[600], in[600];
    size_t first, second, got = 0;
    int fd;
    service_start(&service, "/nonexistent");
    const struct network_record *net = machine_make_network(&service.machine, "one", false);
    struct guest web = machine_make_guest(&service.machine, net, "web");

    add_container(&service, &web, "one", NULL, false);
    set_running(&service, "one", "web", true);
    first = make_query(out + 2, "web", DNS_A);
    out[0] = 0;
    out[1] = (unsigned char)first;
    second = make_query(out + first + 4, "web", DNS_AAAA);
    out[first + 2] = 0;
    out[first + 3] = (unsigned char)second;
    fd = lab_socket(web.netns_fd, SOCK_STREAM);
    CHECK(connect(fd, (struct sockaddr *)&server, sizeof(server)) == 0 || errno == EINPROGRESS);
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    CHECK_INT(poll(&poll_fd, 1, ANSWER_MS), 1);
    CHECK(send(fd, out, first + second + 4, 0) == (ssize_t)(first + second + 4));
    while (got < 2 + first + 16 + 2 + second) {
        run_loop_until(&service, fd, ANSWER_MS);
        ssize_t n = recv(fd, in + got, sizeof(in) - got, MSG_DONTWAIT);

        CHECK(n > 0);
        got += (size_t)n;
    }
    CHECK_TEXT(describe(in + 2, first + 16, first - 12), "NOERROR 172.18.0.2");
    CHECK_TEXT(describe(in + 2 + first + 16 + 2, second, second - 12), "NOERROR");
    /* Half a query and then silence: the connection ends, the server goes on. */
    CHECK(send(fd, out, 5, 0) == 5);
    CHECK(shutdown(fd, SHUT_WR) == 0);
    run_loop_until(&service, fd, ANSWER_MS);
    CHECK_INT(recv(fd, in, sizeof(in), MSG_DONTWAIT), 0);
    CHECK_TEXT(ask(&service, &web, "web"), "NOERROR 172.18.0.2");
}

TEST(port_53_of_the_container_stays_its_own)
{
    cleanup_service struct service service;
    struct sockaddr_in any = lab_address("0.0.0.0", 53);
    int udp, tcp;
    service_start(&service, "/nonexistent");
    const struct network_record *net = machine_make_network(&service.machine, "one", false);
    struct guest web = machine_make_guest(&service.machine, net, "web");

    add_container(&service, &web, "one", NULL, false);
    set_running(&service, "one", "web", true);
    udp = lab_socket(web.netns_fd, SOCK_DGRAM);
    tcp = lab_socket(web.netns_fd, SOCK_STREAM);
    CHECK(bind(udp, (struct sockaddr *)&any, sizeof(any)) == 0);
    CHECK(bind(tcp, (struct sockaddr *)&any, sizeof(any)) == 0 && listen(tcp, 1) == 0);
    CHECK_TEXT(ask(&service, &web, "web"), "NOERROR 172.18.0.2");
}

TEST(removing_a_container_lets_its_namespace_go)
{
    cleanup_service struct service service;
    struct error err = ERROR_INIT;
    char script[300];
    service_start(&service, "/nonexistent");
    const struct network_record *net = machine_make_network(&service.machine, "one", false);
    struct guest web = machine_make_guest(&service.machine, net, "web");
    int64_t end_ns;

    add_container(&service, &web, "one", "172.18.0.1", false);
    add_container(&service, &web, "one", "172.18.0.1", false);
    resolver_remove_container(service.resolver, "web");
    resolver_remove_container(service.resolver, "web");
    close(web.netns_fd);
    /* Its interface goes with it, asynchronously. */
    (void)snprintf(script, sizeof(script), "ip -o link show %s 2>/dev/null || true",
                   web.endpoint->host_ifname);
    end_ns = clock_monotonic_ns() + 5 * NS_PER_S;
    while (lab_shell_text(script)[0] != '\0')
        CHECK(clock_monotonic_ns() < end_ns);
    CHECK_OK(network_detach(&service.machine.dirs, "one", "web", &err), &err);
}
