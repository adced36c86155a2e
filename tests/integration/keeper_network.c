/* Containers on networks: names, published ports, what is freed. And how long ten of them take. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tests/integration/keeper_world.h"
#include "tests/tap.h"

enum { MANY = 10, ROUNDS = 5 };

static const char *network_new(struct world *world)
{
    const char *name = arena_printf(&world->arena, "%s_default", world->project);
    struct network_spec spec = {.name = name, .project = world->project};
    struct error err = ERROR_INIT;

    CHECK_OK(engine_network_create(world->engine, &spec, &err), &err);
    return name;
}

static void network_end(struct world *world, const char *name)
{
    struct error err = ERROR_INIT;

    CHECK_OK(engine_network_remove(world->engine, name, &err), &err);
}

static struct container_spec networked(struct world *world, const char *network, const char *name,
                                       const char *line)
{
    struct container_spec spec = world_spec(world, name, line);
    struct attachment_spec *attachment = arena_new(&world->arena, struct attachment_spec);

    attachment->network = network;
    attachment->aliases.items = arena_new_array(&world->arena, const char *, 1);
    attachment->aliases.items[0] = name;
    attachment->aliases.n = 1;
    spec.network_mode = NULL;
    spec.networks = attachment;
    spec.n_networks = 1;
    return spec;
}

/* What a server on a port of this host says; "" when it can't be reached. */
static const char *ask(struct world *world, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {1, 0};
    char text[100] = "";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        read(fd, text, sizeof(text) - 1) < 0)
        text[0] = '\0';
    close(fd);
    return arena_strdup(&world->arena, text);
}

TEST(containers_find_each_other_by_alias)
{
    struct world *world = world_open();
    const char *network = network_new(world);
    struct container_spec server = networked(world, network, "server", NULL);
    struct container_spec client = networked(world, network, "client", "ping -c 1 -W 2 server");

    world_run(world, &server);
    CHECK_INT(world_info(world, server.name).n_endpoints, 1);
    world_run(world, &client);
    CHECK_INT(world_wait_status(world, client.name, CONTAINER_EXITED).exit_code, 0);
    CHECK_CONTAINS(world_log(world, client.name),
                   world_info(world, server.name).endpoints[0].ipv4_address);
    world_do(world, WORLD_REMOVE, &client);
    world_do(world, WORLD_REMOVE, &server);
    network_end(world, network);
}

TEST(a_published_port_is_reached_until_the_container_stops)
{
    struct world *world = world_open();
    const char *network = network_new(world);
    struct container_spec spec =
        networked(world, network, "server", "while :; do echo hello | nc -l -p 80; done");
    struct port_spec port = {.container_port = 80, .protocol = "tcp"};
    struct container_info info;
    int tries = 0;

    spec.ports = &port;
    spec.n_ports = 1;
    world_run(world, &spec);
    info = world_info(world, spec.name);
    CHECK_INT(info.n_ports, 1);
    CHECK(info.ports[0].host_port > 0);
    while (strcmp(ask(world, info.ports[0].host_port), "hello\n") != 0 && ++tries < 200)
        usleep(10000);
    CHECK(tries < 200);
    world_do(world, WORLD_STOP, &spec);
    CHECK_INT(world_info(world, spec.name).n_ports, 0);
    CHECK_TEXT(ask(world, info.ports[0].host_port), "");
    world_do(world, WORLD_REMOVE, &spec);
    network_end(world, network);
}

static int ping(struct world *world, const struct container_spec *from, const char *name)
{
    const char *argv[] = {"ping", "-c", "1", "-W", "2", name};
    struct exec_request request = {.container = from->name,
                                   .argv = {argv, 6},
                                   .stdin_fd = -1,
                                   .stdout_fd = -1,
                                   .stderr_fd = -1};
    struct error err = ERROR_INIT;
    int code = -1;

    CHECK_OK(engine_exec(world->engine, world->project, &request, &code, &err), &err);
    return code;
}

TEST(names_and_ports_work_on_under_the_next_keeper)
{
    struct world *world = world_open();
    const char *network = network_new(world);
    struct container_spec server =
        networked(world, network, "server", "while :; do echo hello | nc -l -p 80; done");
    struct container_spec client = networked(world, network, "client", NULL);
    struct port_spec port = {.container_port = 80, .protocol = "tcp"};
    struct container_info before, after;
    int tries = 0;

    server.ports = &port;
    server.n_ports = 1;
    world_run(world, &server);
    world_run(world, &client);
    CHECK_INT(ping(world, &client, "server"), 0);
    before = world_info(world, server.name);
    for (int both = 0; both < 2; both++) {
        pid_t keeper = world_keeper_pid(world), zygote = world_zygote_pid(world);

        if (both) {
            CHECK(kill(keeper, SIGSTOP) == 0 && kill(zygote, SIGKILL) == 0);
            world_await_end(zygote);
        }
        CHECK(kill(keeper, SIGKILL) == 0);
        world_await_end(keeper);
        world_reconnect(world);
        CHECK_INT(ping(world, &client, "server"), 0);
        CHECK(ping(world, &client, "nobody") != 0);
        after = world_info(world, server.name);
        CHECK_INT(after.pid, before.pid);
        CHECK_INT(after.n_ports, 1);
        CHECK_INT(after.ports[0].host_port, before.ports[0].host_port);
        while (strcmp(ask(world, after.ports[0].host_port), "hello\n") != 0 && ++tries < 200)
            usleep(10000);
        CHECK(tries < 200);
    }
    world_do(world, WORLD_STOP, &server);
    CHECK(ping(world, &client, "server") != 0);
    world_do(world, WORLD_REMOVE, &client);
    world_do(world, WORLD_REMOVE, &server);
    network_end(world, network);
}

TEST(a_port_that_is_taken_is_an_error_that_names_it)
{
    struct world *world = world_open();
    const char *network = network_new(world);
    struct container_spec first = networked(world, network, "first", NULL);
    struct container_spec second = networked(world, network, "second", NULL);
    struct port_spec port = {.container_port = 80, .protocol = "tcp"};
    struct error err = ERROR_INIT;

    first.ports = second.ports = &port;
    first.n_ports = second.n_ports = 1;
    world_run(world, &first);
    port.host_first = port.host_last = world_info(world, first.name).ports[0].host_port;
    world_do(world, WORLD_CREATE, &second);
    CHECK(world_try(world, WORLD_START, &second, &err) < 0);
    CHECK_CONTAINS(err.text, arena_printf(&world->arena,
                                          "port %u/tcp is already published by "
                                          "container \"%s\"",
                                          port.host_first, first.name));
    world_do(world, WORLD_REMOVE, &first);
    world_do(world, WORLD_REMOVE, &second);
    network_end(world, network);
}

static struct port_spec tcp_port(uint16_t host, uint16_t container)
{
    return (struct port_spec){
        .host_first = host, .host_last = host, .container_port = container, .protocol = "tcp"};
}

static void await_text(struct world *world, uint16_t port, const char *text)
{
    int tries = 0;

    while (strcmp(ask(world, port), text) != 0 && ++tries < 200)
        usleep(10000);
    CHECK_TEXT(ask(world, port), text);
}

/* Says "x" and expects to hear it. */
static void check_echo(int fd)
{
    char heard = 0;

    CHECK(write(fd, "x", 1) == 1);
    CHECK(read(fd, &heard, 1) == 1);
    CHECK_INT(heard, 'x');
}

static int try_update(struct world *world, const struct container_spec *spec, struct error *err)
{
    uint32_t tag = ++world->last_tag;

    CHECK_OK(engine_session_update(world->session, tag, spec, err), err);
    return world_answer(world, tag, err);
}

TEST(ports_change_while_it_runs_and_those_that_stay_stay_open)
{
    struct world *world = world_open();
    const char *network = network_new(world);
    struct container_spec server =
        networked(world, network, "server",
                  "nc -ll -p 80 -e echo one & nc -ll -p 81 -e echo two & "
                  "nc -ll -p 82 -e cat");
    struct container_spec other = networked(world, network, "other", NULL);
    struct port_spec ports[] = {tcp_port(8001, 80), tcp_port(8002, 82)};
    struct port_spec others = tcp_port(8009, 80);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(8002), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct error err = ERROR_INIT;
    pid_t pid;

    server.ports = ports;
    server.n_ports = 2;
    other.ports = &others;
    other.n_ports = 1;
    world_run(world, &server);
    world_run(world, &other);
    pid = world_info(world, server.name).pid;
    await_text(world, 8001, "one\n");
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    check_echo(fd);

    /* One goes, one comes, one stays with its connection. */
    ports[0] = tcp_port(8003, 81);
    CHECK_OK(try_update(world, &server, &err), &err);
    await_text(world, 8003, "two\n");
    CHECK_TEXT(ask(world, 8001), "");
    check_echo(fd);
    /* The same number for another port of the container. */
    ports[0] = tcp_port(8003, 80);
    CHECK_OK(try_update(world, &server, &err), &err);
    await_text(world, 8003, "one\n");

    /* Taken: all is as it was, and the record says so. */
    ports[0] = tcp_port(8009, 81);
    CHECK(try_update(world, &server, &err) < 0);
    CHECK_CONTAINS(err.text, other.name);
    CHECK_TEXT(ask(world, 8003), "one\n");
    check_echo(fd);
    CHECK_INT(world_info(world, server.name).n_ports, 2);
    CHECK_INT(world_info(world, server.name).spec->ports[0].host_first, 8003);

    server.n_ports = 0;
    CHECK_OK(try_update(world, &server, &err), &err);
    CHECK_TEXT(ask(world, 8003), "");
    CHECK_INT(world_info(world, server.name).n_ports, 0);
    CHECK_INT(world_info(world, server.name).pid, pid);
    close(fd);
    world_do(world, WORLD_REMOVE, &server);
    world_do(world, WORLD_REMOVE, &other);
    network_end(world, network);
}

/* On every address of this host; somebody else's, as far as berth knows. */
static int take_port(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 1) == 0);
    return fd;
}

/* A failure is told before the state is written. */
static void await_n_ports(struct world *world, const struct container_spec *spec, size_t n)
{
    int tries = 0;

    while (world_info(world, spec->name).n_ports != n && ++tries < 200)
        usleep(10000);
    CHECK_INT(world_info(world, spec->name).n_ports, n);
}

/* A port was taken while no keeper lived, so the next one had to do without. */
TEST(a_change_that_fails_brings_back_the_ports_that_could_not_be_had)
{
    struct world *world = world_open();
    const char *network = network_new(world);
    struct container_spec server =
        networked(world, network, "server", "nc -ll -p 80 -e echo one & nc -ll -p 81 -e echo two");
    struct container_spec other = networked(world, network, "other", NULL);
    struct port_spec ports[] = {tcp_port(8001, 80), tcp_port(8002, 81)};
    struct port_spec others = tcp_port(8009, 80);
    struct error err = ERROR_INIT;
    pid_t keeper, zygote;
    int thief;

    server.ports = ports;
    server.n_ports = 2;
    other.ports = &others;
    other.n_ports = 1;
    world_run(world, &server);
    world_run(world, &other);
    await_text(world, 8001, "one\n");

    keeper = world_keeper_pid(world);
    zygote = world_zygote_pid(world);
    CHECK(kill(zygote, SIGSTOP) == 0 && kill(keeper, SIGKILL) == 0);
    world_await_end(keeper);
    thief = take_port(8001);
    CHECK(kill(zygote, SIGCONT) == 0);
    world_reconnect(world);
    CHECK_INT(world_info(world, server.name).n_ports, 0);
    CHECK_TEXT(ask(world, 8001), ""); /* who took it does not answer, and gets what comes */
    CHECK_TEXT(ask(world, 8002), "");

    /* Still taken: what can be had comes back. */
    ports[1] = tcp_port(8009, 81);
    CHECK(try_update(world, &server, &err) < 0);
    CHECK_CONTAINS(err.text, "8001");
    await_n_ports(world, &server, 1);
    await_text(world, 8002, "two\n");
    /* Not any more, but what is wanted instead is. */
    close(thief);
    CHECK(try_update(world, &server, &err) < 0);
    CHECK_CONTAINS(err.text, other.name);
    await_n_ports(world, &server, 2);
    await_text(world, 8001, "one\n");
    await_text(world, 8002, "two\n");
    world_do(world, WORLD_REMOVE, &server);
    world_do(world, WORLD_REMOVE, &other);
    network_end(world, network);
}

/* In whatever order they come. */
static void await_answers(struct world *world, int n)
{
    while (n > 0) {
        struct session_event event;
        struct error err = ERROR_INIT;

        CHECK_OK(engine_session_receive(world->session, 10000, &event, &err), &err);
        CHECK(event.kind == SESSION_STATE || event.kind == SESSION_DONE);
        n -= event.kind == SESSION_DONE;
    }
}

TEST(ten_containers_come_and_go_quickly)
{
    struct world *world = world_open();
    const char *network = network_new(world);
    struct container_spec specs[MANY];
    int64_t best_up_ms = INT64_MAX, best_down_ms = INT64_MAX;

    for (int i = 0; i < MANY; i++)
        specs[i] = networked(world, network, arena_printf(&world->arena, "c%d", i), NULL);
    for (int round = 0; round < ROUNDS; round++) {
        struct error err = ERROR_INIT;
        int64_t start_ms = world_now_ms(), up_ms, down_ms;

        for (int i = 0; i < MANY; i++)
            CHECK_OK(engine_session_create(world->session, ++world->last_tag, &specs[i], &err),
                     &err);
        await_answers(world, MANY);
        for (int i = 0; i < MANY; i++)
            CHECK_OK(engine_session_start(world->session, ++world->last_tag, specs[i].name, &err),
                     &err);
        await_answers(world, MANY);
        up_ms = world_now_ms() - start_ms;
        start_ms = world_now_ms();
        for (int i = 0; i < MANY; i++)
            CHECK_OK(
                engine_session_remove(world->session, ++world->last_tag, specs[i].name, true, &err),
                &err);
        await_answers(world, MANY);
        down_ms = world_now_ms() - start_ms;
        fprintf(stderr, "# up %lld ms, down %lld ms\n", (long long)up_ms, (long long)down_ms);
        best_up_ms = up_ms < best_up_ms ? up_ms : best_up_ms;
        best_down_ms = down_ms < best_down_ms ? down_ms : best_down_ms;
    }
    /* Far above what it takes, far below what would be wrong. */
    CHECK(best_up_ms < 1000 && best_down_ms < 1000);
    network_end(world, network);
}
