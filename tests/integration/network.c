/* Networks against this kernel: bridges, addresses, the firewall's reachability matrix. Every test
 * is a machine of its own: a fresh network namespace as "host", others as containers and as the
 * world outside. Needs root. */

#include "engine/network/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/fs.h"
#include "engine/base/process.h"
#include "engine/network/endpoints.h"
#include "engine/network/firewall.h"
#include "engine/network/netns.h"
#include "engine/network/rtnl.h"
#include "tests/tap.h"

enum { BLOCKED_MS = 250, REACHED_MS = 3000 };

struct machine {
    struct network_dirs dirs;
    struct arena arena;
    int outside_fd; /* namespace of a neighbour: 198.51.100.2, default route by the host .1 */
};

static int run(const char *const *argv, struct buf *out)
{
    struct process_options options = PROCESS_OPTIONS_INIT;
    struct process process = PROCESS_INIT;
    struct error err = ERROR_INIT;
    int pipe_fds[2], status;

    CHECK(pipe2(pipe_fds, O_CLOEXEC) == 0);
    options.argv = argv;
    options.stdout_fd = pipe_fds[1];
    CHECK_OK(process_spawn(&options, &process, &err), &err);
    close(pipe_fds[1]);
    CHECK_OK(fs_read_all(pipe_fds[0], out, &err), &err);
    close(pipe_fds[0]);
    CHECK_OK(process_wait(&process, &status, &err), &err);
    return status;
}

static void shell(const char *script)
{
    struct buf out = BUF_INIT;
    const char *argv[] = {"/bin/sh", "-ec", script, NULL};

    if (run(argv, &out) != 0)
        tap_fail(TAP_HERE, "%s: %s", script, buf_text(&out));
    buf_release(&out);
}

static char *shell_text(const char *script)
{
    struct buf out = BUF_INIT;
    const char *argv[] = {"/bin/sh", "-ec", script, NULL};

    if (run(argv, &out) != 0)
        tap_fail(TAP_HERE, "%s: %s", script, buf_text(&out));
    return x_strdup(buf_text(&out));
}

/* Become a fresh host. `ip` and `nft` are used by tests only. */
static void machine_start(struct machine *machine)
{
    struct error err = ERROR_INIT;
    int root_fd, rtnl_fd;

    if (geteuid() != 0)
        SKIP("needs root");
    CHECK(unshare(CLONE_NEWNET | CLONE_NEWNS) == 0);
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mount("sysfs", "/sys", "sysfs", 0, NULL) == 0);
    CHECK_OK(rtnl_open(&rtnl_fd, &err), &err);
    CHECK_OK(rtnl_loopback_up(rtnl_fd, &err), &err);
    close(rtnl_fd);
    root_fd = open(tap_temp_dir(), O_DIRECTORY | O_CLOEXEC);
    CHECK(root_fd >= 0);
    CHECK_OK(fs_open_dirs(root_fd, "state", 0755, &machine->dirs.state_fd, &err), &err);
    CHECK_OK(fs_open_dirs(root_fd, "run", 0755, &machine->dirs.run_fd, &err), &err);
    machine->arena = (struct arena)ARENA_INIT;
    machine->outside_fd = -1;
}

static void machine_add_outside(struct machine *machine)
{
    struct error err = ERROR_INIT;
    char script[400];

    CHECK_OK(netns_new(&machine->outside_fd, &err), &err);
    (void)snprintf(script, sizeof(script),
                   "ip link add up0 type veth peer name out0 netns /proc/%d/fd/%d && "
                   "ip addr add 198.51.100.1/24 dev up0 && ip link set up0 up && "
                   "nsenter --net=/proc/%d/fd/%d sh -ec 'ip addr add 198.51.100.2/24 dev out0; "
                   "ip link set out0 up; ip route add default via 198.51.100.1'",
                   getpid(), machine->outside_fd, getpid(), machine->outside_fd);
    shell(script);
}

static const struct network_record *make_network(struct machine *machine, const char *name,
                                                 bool is_internal)
{
    struct network_definition definition = {.name = name, .is_internal = is_internal};
    const struct network_record *record;
    struct error err = ERROR_INIT;

    CHECK_OK(network_create(&machine->arena, &machine->dirs, &definition, &record, &err), &err);
    return record;
}

struct guest {
    int netns_fd;
    const struct network_endpoint *endpoint;
};

static struct guest make_guest(struct machine *machine, const struct network_record *record,
                               const char *id)
{
    struct guest guest;
    struct error err = ERROR_INIT;
    struct network_attachment attachment = {
        .container = id, .container_name = id, .ifname = "eth0", .is_default_route = true};

    CHECK_OK(netns_new(&guest.netns_fd, &err), &err);
    attachment.netns_fd = guest.netns_fd;
    CHECK_OK(
        network_attach(&machine->arena, &machine->dirs, record, &attachment, &guest.endpoint, &err),
        &err);
    return guest;
}

static int socket_in(int netns_fd, int type)
{
    cleanup_netns_visit struct netns_visit visit = NETNS_VISIT_INIT;
    struct error err = ERROR_INIT;
    int fd;

    if (netns_fd >= 0)
        CHECK_OK(netns_visit_begin(&visit, netns_fd, &err), &err);
    fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(fd >= 0);
    return fd;
}

static struct sockaddr_in socket_address(const char *ip, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

    CHECK(inet_pton(AF_INET, ip, &address.sin_addr) == 1);
    return address;
}

static int listen_in(int netns_fd, const char *ip, uint16_t port)
{
    struct sockaddr_in address = socket_address(ip, port);
    int fd = socket_in(netns_fd, SOCK_STREAM);

    CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(fd, 64) == 0);
    return fd;
}

/* Who does the server behind ip:port say is calling? NULL: not reached in time. */
static const char *reaches(int from_fd, const char *ip, uint16_t port, int server_fd, int wait_ms)
{
    static char peer_text[INET_ADDRSTRLEN];
    struct sockaddr_in address = socket_address(ip, port), peer = {0};
    socklen_t len = sizeof(peer);
    int fd = socket_in(from_fd, SOCK_STREAM), accepted;
    struct pollfd poll_fd = {.fd = server_fd, .events = POLLIN};

    (void)connect(fd, (struct sockaddr *)&address, sizeof(address)); /* in progress */
    if (poll(&poll_fd, 1, wait_ms) <= 0) {
        close(fd);
        return NULL;
    }
    accepted = accept4(server_fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
    CHECK(accepted >= 0);
    close(accepted);
    close(fd);
    CHECK(inet_ntop(AF_INET, &peer.sin_addr, peer_text, sizeof(peer_text)) != NULL);
    return peer_text;
}

#define CHECK_REACHES(from, ip, port, server)                                                      \
    do {                                                                                           \
        if (reaches(from, ip, port, server, REACHED_MS) == NULL)                                   \
            tap_fail(TAP_HERE, "%s:%d is not reached", ip, port);                                  \
    } while (0)
#define CHECK_BLOCKED(from, ip, port, server)                                                      \
    do {                                                                                           \
        if (reaches(from, ip, port, server, BLOCKED_MS) != NULL)                                   \
            tap_fail(TAP_HERE, "%s:%d is reached", ip, port);                                      \
    } while (0)

static void publish(struct machine *machine, const struct network_record *record, const char *id,
                    const char *host_ip, uint16_t host_port, uint16_t container_port)
{
    struct network_port port = {.host_port = host_port, .container_port = container_port};
    struct error err = ERROR_INIT;

    (void)snprintf(port.host_ip, sizeof(port.host_ip), "%s", host_ip);
    CHECK_OK(network_publish(&machine->dirs, record, id, &port, 1, &err), &err);
}

TEST(containers_of_a_network_reach_each_other_and_the_gateway)
{
    struct machine machine;
    machine_start(&machine);
    const struct network_record *net = make_network(&machine, "one", false);
    struct guest a = make_guest(&machine, net, "a"), b = make_guest(&machine, net, "b");
    int server = listen_in(b.netns_fd, "0.0.0.0", 80);
    int host_server = listen_in(-1, net->gateway, 81);

    CHECK_TEXT(a.endpoint->ip, "172.18.0.2");
    CHECK_TEXT(b.endpoint->ip, "172.18.0.3");
    CHECK_TEXT(b.endpoint->mac, "02:42:ac:12:00:03");
    CHECK_TEXT(reaches(a.netns_fd, b.endpoint->ip, 80, server, REACHED_MS), a.endpoint->ip);
    CHECK_REACHES(a.netns_fd, net->gateway, 81, host_server);
    CHECK_REACHES(-1, b.endpoint->ip, 80, server);
}

TEST(published_ports_are_reached_from_everywhere)
{
    struct machine machine;
    machine_start(&machine);
    machine_add_outside(&machine);
    const struct network_record *net = make_network(&machine, "one", false);
    const struct network_record *other = make_network(&machine, "two", false);
    struct guest web = make_guest(&machine, net, "web"), near = make_guest(&machine, net, "near");
    struct guest far = make_guest(&machine, other, "far");
    int server = listen_in(web.netns_fd, "0.0.0.0", 80);

    publish(&machine, net, "web", "0.0.0.0", 8080, 80);
    CHECK_TEXT(reaches(machine.outside_fd, "198.51.100.1", 8080, server, REACHED_MS),
               "198.51.100.2");
    CHECK_REACHES(-1, "127.0.0.1", 8080, server);
    CHECK_REACHES(-1, "198.51.100.1", 8080, server);
    CHECK_REACHES(near.netns_fd, "198.51.100.1", 8080, server);
    CHECK_REACHES(near.netns_fd, net->gateway, 8080, server);
    CHECK_REACHES(web.netns_fd, "198.51.100.1", 8080, server);
    CHECK_REACHES(far.netns_fd, "198.51.100.1", 8080, server);
    publish(&machine, net, "web", "0.0.0.0", 8081, 80);
    CHECK_BLOCKED(machine.outside_fd, "198.51.100.1", 8080, server);
    CHECK_REACHES(machine.outside_fd, "198.51.100.1", 8081, server);
}

TEST(what_is_not_published_is_not_reached_from_outside)
{
    struct machine machine;
    machine_start(&machine);
    machine_add_outside(&machine);
    const struct network_record *net = make_network(&machine, "one", false);
    const struct network_record *other = make_network(&machine, "two", false);
    struct guest web = make_guest(&machine, net, "web"), far = make_guest(&machine, other, "far");
    int server = listen_in(web.netns_fd, "0.0.0.0", 80);

    CHECK_BLOCKED(machine.outside_fd, web.endpoint->ip, 80, server);
    CHECK_BLOCKED(far.netns_fd, web.endpoint->ip, 80, server);
    publish(&machine, net, "web", "127.0.0.1", 8080, 80);
    CHECK_REACHES(-1, "127.0.0.1", 8080, server);
    CHECK_BLOCKED(machine.outside_fd, "198.51.100.1", 8080, server);
    CHECK_BLOCKED(machine.outside_fd, web.endpoint->ip, 80, server);
}

TEST(loopback_ports_of_the_host_are_not_reached_by_containers_or_neighbours)
{
    struct machine machine;
    machine_start(&machine);
    machine_add_outside(&machine);
    const struct network_record *net = make_network(&machine, "one", false);
    struct guest evil = make_guest(&machine, net, "evil"), web = make_guest(&machine, net, "web");
    int secret = listen_in(-1, "127.0.0.1", 9000);
    int server = listen_in(web.netns_fd, "0.0.0.0", 80);
    char script[300];

    publish(&machine, net, "web", "127.0.0.1", 8080, 80);
    (void)snprintf(
        script, sizeof(script),
        "for n in %d %d; do nsenter --net=/proc/%d/fd/$n sh -ec 'ip addr del 127.0.0.1/8 "
        "dev lo; ip route add 127.0.0.1 via $(ip -4 route show default | cut -d\" \" "
        "-f3); sysctl -qw net.ipv4.conf.all.route_localnet=1'; done; "
        "sysctl -qw net.ipv4.conf.up0.route_localnet=1",
        evil.netns_fd, machine.outside_fd, getpid());
    shell(script);
    CHECK_BLOCKED(evil.netns_fd, "127.0.0.1", 9000, secret);
    CHECK_BLOCKED(evil.netns_fd, "127.0.0.1", 8080, server);
    CHECK_BLOCKED(machine.outside_fd, "127.0.0.1", 8080, server);
}

TEST(egress_is_masqueraded_and_internal_networks_have_none)
{
    struct machine machine;
    machine_start(&machine);
    machine_add_outside(&machine);
    const struct network_record *net = make_network(&machine, "one", false);
    const struct network_record *inner = make_network(&machine, "inner", true);
    struct guest a = make_guest(&machine, net, "a"), b = make_guest(&machine, inner, "b");
    struct guest c = make_guest(&machine, inner, "c");
    int world = listen_in(machine.outside_fd, "198.51.100.2", 443);
    int server = listen_in(b.netns_fd, "0.0.0.0", 80);
    struct network_port port = {.host_ip = "0.0.0.0", .host_port = 8080, .container_port = 80};
    struct error err = ERROR_INIT;
    char script[200];

    CHECK_TEXT(reaches(a.netns_fd, "198.51.100.2", 443, world, REACHED_MS), "198.51.100.1");
    /* A route of the container's own making doesn't help it. */
    (void)snprintf(script, sizeof(script),
                   "nsenter --net=/proc/%d/fd/%d ip route add default via %s", getpid(), b.netns_fd,
                   inner->gateway);
    shell(script);
    CHECK_BLOCKED(b.netns_fd, "198.51.100.2", 443, world);
    CHECK_REACHES(c.netns_fd, b.endpoint->ip, 80, server);
    CHECK_BLOCKED(a.netns_fd, b.endpoint->ip, 80, server);
    CHECK_FAILS(network_publish(&machine.dirs, inner, "b", &port, 1, &err), ERROR_UNSUPPORTED,
                "internal network can't publish");
}

TEST(what_is_encoded_is_what_is_printed)
{
    struct machine machine;
    struct buf text = BUF_INIT;
    struct error err = ERROR_INIT;
    int fd;

    machine_start(&machine);
    (void)make_network(&machine, "one", false);
    firewall_print(&text);
    fd = open(tap_temp_dir(), O_DIRECTORY | O_CLOEXEC);
    CHECK_OK(fs_replace(fd, "berth.nft", buf_text(&text), text.len, 0644, FS_VOLATILE, &err), &err);
    CHECK(chdir(tap_temp_dir()) == 0);
    char *ours = shell_text("nft -t list table inet berth");
    char *theirs = shell_text("unshare -n sh -ec 'nft -f berth.nft; nft -t list table inet berth'");
    CHECK_TEXT(ours, theirs);
}

TEST(a_flushed_ruleset_is_made_again_with_all_ports)
{
    struct machine machine;
    machine_start(&machine);
    machine_add_outside(&machine);
    const struct network_record *net = make_network(&machine, "one", false);
    struct guest web = make_guest(&machine, net, "web"), two = make_guest(&machine, net, "two");
    int server = listen_in(web.netns_fd, "0.0.0.0", 80);
    int server2 = listen_in(two.netns_fd, "0.0.0.0", 80);

    publish(&machine, net, "web", "0.0.0.0", 8080, 80);
    char *before = shell_text("nft list table inet berth");
    shell("nft flush ruleset");
    CHECK_BLOCKED(machine.outside_fd, "198.51.100.1", 8080, server);
    struct error err = ERROR_INIT;
    CHECK_OK(network_rebuild_firewall(&machine.dirs, &err), &err);
    CHECK_TEXT(shell_text("nft list table inet berth"), before);
    CHECK_REACHES(machine.outside_fd, "198.51.100.1", 8080, server);
    /* Any change heals it too. */
    shell("nft flush ruleset");
    publish(&machine, net, "two", "0.0.0.0", 8082, 80);
    CHECK_REACHES(machine.outside_fd, "198.51.100.1", 8080, server);
    CHECK_REACHES(machine.outside_fd, "198.51.100.1", 8082, server2);
    shell("nft delete element inet berth ports4_any '{ tcp . 8080 }'");
    publish(&machine, net, "web", "0.0.0.0", 8083, 80);
    CHECK_REACHES(machine.outside_fd, "198.51.100.1", 8083, server);
}

TEST(a_forward_chain_that_drops_admits_our_networks_once)
{
    struct machine machine;
    machine_start(&machine);
    machine_add_outside(&machine);
    shell("nft add table ip filter; nft 'add chain ip filter FORWARD { type filter hook forward "
          "priority filter; policy drop; }'");
    const struct network_record *net = make_network(&machine, "one", false);
    const struct network_record *other = make_network(&machine, "two", false);
    struct guest web = make_guest(&machine, net, "web");
    int server = listen_in(web.netns_fd, "0.0.0.0", 80);
    struct error err = ERROR_INIT;

    publish(&machine, net, "web", "0.0.0.0", 8080, 80);
    CHECK_REACHES(machine.outside_fd, "198.51.100.1", 8080, server);
    CHECK_TEXT(shell_text("nft list chain ip filter FORWARD | grep -c 'bt-'"), "2\n");
    CHECK_OK(network_detach(&machine.dirs, "one", "web", &err), &err);
    CHECK_OK(network_remove(&machine.dirs, "one", &err), &err);
    CHECK_OK(network_remove(&machine.dirs, other->spec.name, &err), &err);
    CHECK_TEXT(shell_text("nft list chain ip filter FORWARD | grep -c 'bt-' || true"), "0\n");
}

TEST(nothing_is_left_when_the_last_network_goes)
{
    struct machine machine;
    struct error err = ERROR_INIT;
    machine_start(&machine);
    const struct network_record *net = make_network(&machine, "one", false);
    struct guest web = make_guest(&machine, net, "web");

    publish(&machine, net, "web", "0.0.0.0", 8080, 80);
    CHECK_FAILS(network_remove(&machine.dirs, "one", &err), ERROR_CONFLICT,
                "1 container is still on it: web");
    CHECK_OK(network_detach(&machine.dirs, "one", "web", &err), &err);
    CHECK_OK(network_detach(&machine.dirs, "one", "web", &err), &err);
    CHECK_OK(network_remove(&machine.dirs, "one", &err), &err);
    CHECK_OK(network_remove(&machine.dirs, "one", &err), &err);
    CHECK_TEXT(shell_text("nft list ruleset"), "");
    CHECK_TEXT(shell_text("ip -o link | grep -v ' lo:' | grep -v ifb || true"), "");
    CHECK(!fs_exists(machine.dirs.run_fd, "networks/one"));
    CHECK(!fs_exists(machine.dirs.state_fd, "networks/one.json"));
    close(web.netns_fd);
}

TEST(a_network_comes_back_after_a_reboot_or_a_half_made_creation)
{
    struct machine machine;
    struct error err = ERROR_INIT;
    struct network_records records;
    bool up[1];
    machine_start(&machine);
    const struct network_record *net = make_network(&machine, "one", false);

    shell("nft flush ruleset; for l in $(ip -o link | grep -o 'bt-[0-9a-f]*'); do ip link del $l; "
          "done");
    CHECK_OK(network_list(&machine.arena, &machine.dirs, &records, &err), &err);
    CHECK_INT(records.n, 1);
    CHECK_OK(network_check_up(&records, up, &err), &err);
    CHECK(!up[0]);
    const struct network_record *again = make_network(&machine, "one", false);
    CHECK_TEXT(again->subnet, net->subnet);
    CHECK_OK(network_check_up(&records, up, &err), &err);
    CHECK(up[0]);
}

TEST(attaching_again_replaces_the_interface_and_keeps_the_address)
{
    struct machine machine;
    struct error err = ERROR_INIT;
    const struct network_endpoint *endpoint;
    machine_start(&machine);
    const struct network_record *net = make_network(&machine, "one", false);
    struct guest a = make_guest(&machine, net, "a"), b = make_guest(&machine, net, "b");
    struct guest again = make_guest(&machine, net, "a");
    struct network_attachment attachment = {.container = "c",
                                            .container_name = "see",
                                            .ifname = "eth0",
                                            .ip = a.endpoint->ip,
                                            .netns_fd = b.netns_fd};
    int server = listen_in(again.netns_fd, "0.0.0.0", 80);

    CHECK_TEXT(again.endpoint->ip, a.endpoint->ip);
    CHECK_REACHES(b.netns_fd, a.endpoint->ip, 80, server);
    CHECK_FAILS(network_attach(&machine.arena, &machine.dirs, net, &attachment, &endpoint, &err),
                ERROR_CONFLICT, "in use by container \"a\"");
    attachment.ip = "172.18.0.77";
    attachment.ifname = "eth1";
    CHECK_OK(network_attach(&machine.arena, &machine.dirs, net, &attachment, &endpoint, &err),
             &err);
    CHECK_TEXT(endpoint->ip, "172.18.0.77");
    attachment.ip = "172.19.0.77";
    CHECK_FAILS(network_attach(&machine.arena, &machine.dirs, net, &attachment, &endpoint, &err),
                ERROR_INVALID, "not in the subnet");
}

TEST(subnets_avoid_routes_addresses_and_each_other)
{
    struct machine machine;
    struct error err = ERROR_INIT;
    struct network_definition definition = {.name = "bad", .subnet = "198.51.100.0/25"};
    const struct network_record *record;
    machine_start(&machine);
    machine_add_outside(&machine);
    shell("ip route add 172.18.0.0/23 via 198.51.100.2; ip addr add 172.18.2.5/24 dev up0; "
          "ip route add 0.0.0.0/1 via 198.51.100.2; ip route add 128.0.0.0/1 via 198.51.100.2");

    CHECK_TEXT(make_network(&machine, "one", false)->subnet, "172.18.3.0/24");
    CHECK_TEXT(make_network(&machine, "two", false)->subnet, "172.18.4.0/24");
    CHECK_FAILS(network_create(&machine.arena, &machine.dirs, &definition, &record, &err),
                ERROR_CONFLICT, "which this host is on");
    definition.subnet = "172.18.4.128/25";
    CHECK_FAILS(network_create(&machine.arena, &machine.dirs, &definition, &record, &err),
                ERROR_CONFLICT, "overlaps 172.18.4.0/24 of network \"two\"");
    definition.name = "two";
    CHECK_FAILS(network_create(&machine.arena, &machine.dirs, &definition, &record, &err),
                ERROR_CONFLICT, "exists with subnet");
}
