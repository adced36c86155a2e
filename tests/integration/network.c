/* Networks against this kernel: bridges, addresses, the firewall's reachability matrix. */

#include "engine/network/network.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/fs.h"
#include "engine/network/dns_rewrite.h"
#include "engine/network/firewall.h"
#include "tests/integration/network_world.h"

TEST(containers_of_a_network_reach_each_other_and_the_gateway)
{
    cleanup_machine struct machine machine;
    machine_start(&machine);
    const struct network_record *net = machine_make_network(&machine, "one", false);
    struct guest a = machine_make_guest(&machine, net, "a"),
                 b = machine_make_guest(&machine, net, "b");
    int server = lab_listen(b.netns_fd, "0.0.0.0", 80);
    int host_server = lab_listen(-1, net->gateway, 81);

    CHECK_TEXT(a.endpoint->ip, "172.18.0.2");
    CHECK_TEXT(b.endpoint->ip, "172.18.0.3");
    CHECK_TEXT(b.endpoint->mac, "02:42:ac:12:00:03");
    CHECK_TEXT(lab_reaches(a.netns_fd, b.endpoint->ip, 80, server, REACHED_MS), a.endpoint->ip);
    CHECK_REACHES(a.netns_fd, net->gateway, 81, host_server);
    CHECK_REACHES(-1, b.endpoint->ip, 80, server);
}

static void check_published_ports(const char *br_netfilter)
{
    cleanup_machine struct machine machine;
    char script[100];
    machine_start(&machine);
    machine_add_outside(&machine);
    (void)snprintf(script, sizeof(script),
                   "test ! -e /proc/sys/net/bridge || sysctl -qw "
                   "net.bridge.bridge-nf-call-iptables=%s",
                   br_netfilter);
    lab_shell(script);
    const struct network_record *net = machine_make_network(&machine, "one", false);
    const struct network_record *other = machine_make_network(&machine, "two", false);
    struct guest web = machine_make_guest(&machine, net, "web"),
                 near = machine_make_guest(&machine, net, "near");
    struct guest far = machine_make_guest(&machine, other, "far");
    int server = lab_listen(web.netns_fd, "0.0.0.0", 80);

    machine_publish(&machine, net, "web", "0.0.0.0", 8080, 80);
    CHECK_TEXT(lab_reaches(machine.outside_fd, "198.51.100.1", 8080, server, REACHED_MS),
               "198.51.100.2");
    CHECK_REACHES(-1, "127.0.0.1", 8080, server);
    CHECK_REACHES(-1, "198.51.100.1", 8080, server);
    CHECK_REACHES(near.netns_fd, "198.51.100.1", 8080, server);
    CHECK_REACHES(near.netns_fd, net->gateway, 8080, server);
    CHECK_REACHES(web.netns_fd, "198.51.100.1", 8080, server);
    CHECK_REACHES(far.netns_fd, "198.51.100.1", 8080, server);
    machine_publish(&machine, net, "web", "0.0.0.0", 8081, 80);
    CHECK_BLOCKED(machine.outside_fd, "198.51.100.1", 8080, server);
    CHECK_REACHES(machine.outside_fd, "198.51.100.1", 8081, server);
}

TEST(published_ports_are_reached_from_everywhere)
{
    check_published_ports("0");
}

TEST(published_ports_are_reached_where_bridged_packets_pass_the_firewall)
{
    check_published_ports("1");
}

TEST(what_is_not_published_is_not_reached_from_outside)
{
    cleanup_machine struct machine machine;
    machine_start(&machine);
    machine_add_outside(&machine);
    const struct network_record *net = machine_make_network(&machine, "one", false);
    const struct network_record *other = machine_make_network(&machine, "two", false);
    struct guest web = machine_make_guest(&machine, net, "web"),
                 far = machine_make_guest(&machine, other, "far");
    int server = lab_listen(web.netns_fd, "0.0.0.0", 80);

    int host_server = lab_listen(-1, net->gateway, 81);

    CHECK_BLOCKED(machine.outside_fd, web.endpoint->ip, 80, server);
    CHECK_BLOCKED(machine.outside_fd, net->gateway, 81, host_server);
    CHECK_BLOCKED(far.netns_fd, web.endpoint->ip, 80, server);
    machine_publish(&machine, net, "web", "127.0.0.1", 8080, 80);
    CHECK_REACHES(-1, "127.0.0.1", 8080, server);
    CHECK_BLOCKED(machine.outside_fd, "198.51.100.1", 8080, server);
    CHECK_BLOCKED(machine.outside_fd, web.endpoint->ip, 80, server);
}

TEST(loopback_ports_of_the_host_are_not_reached_by_containers_or_neighbours)
{
    cleanup_machine struct machine machine;
    machine_start(&machine);
    machine_add_outside(&machine);
    const struct network_record *net = machine_make_network(&machine, "one", false);
    struct guest evil = machine_make_guest(&machine, net, "evil"),
                 web = machine_make_guest(&machine, net, "web");
    int secret = lab_listen(-1, "127.0.0.1", 9000);
    int server = lab_listen(web.netns_fd, "0.0.0.0", 80);
    char script[300];

    machine_publish(&machine, net, "web", "127.0.0.1", 8080, 80);
    (void)snprintf(
        script, sizeof(script),
        "for n in %d %d; do nsenter --net=/proc/%d/fd/$n sh -ec 'ip addr del 127.0.0.1/8 "
        "dev lo; ip route add 127.0.0.1 via $(ip -4 route show default | cut -d\" \" "
        "-f3); sysctl -qw net.ipv4.conf.all.route_localnet=1'; done; "
        "sysctl -qw net.ipv4.conf.up0.route_localnet=1",
        evil.netns_fd, machine.outside_fd, getpid());
    lab_shell(script);
    CHECK_BLOCKED(evil.netns_fd, "127.0.0.1", 9000, secret);
    CHECK_BLOCKED(evil.netns_fd, "127.0.0.1", 8080, server);
    CHECK_BLOCKED(machine.outside_fd, "127.0.0.1", 8080, server);
}

TEST(egress_is_masqueraded_and_internal_networks_have_none)
{
    cleanup_machine struct machine machine;
    machine_start(&machine);
    machine_add_outside(&machine);
    const struct network_record *net = machine_make_network(&machine, "one", false);
    const struct network_record *inner = machine_make_network(&machine, "inner", true);
    struct guest a = machine_make_guest(&machine, net, "a"),
                 b = machine_make_guest(&machine, inner, "b");
    struct guest c = machine_make_guest(&machine, inner, "c");
    int world = lab_listen(machine.outside_fd, "198.51.100.2", 443);
    int server = lab_listen(b.netns_fd, "0.0.0.0", 80);
    struct network_port port = {.host_ip = "0.0.0.0", .host_port = 8080, .container_port = 80};
    struct error err = ERROR_INIT;
    char script[200];

    CHECK_TEXT(lab_reaches(a.netns_fd, "198.51.100.2", 443, world, REACHED_MS), "198.51.100.1");
    /* A route of the container's own making doesn't help it. */
    (void)snprintf(script, sizeof(script),
                   "nsenter --net=/proc/%d/fd/%d ip route add default via %s", getpid(), b.netns_fd,
                   inner->gateway);
    lab_shell(script);
    CHECK_BLOCKED(b.netns_fd, "198.51.100.2", 443, world);
    /* Not one packet leaves, not even where an answer could not come back. */
    struct sockaddr_in sink = lab_address("198.51.100.2", 514);
    int drain = lab_socket(machine.outside_fd, SOCK_DGRAM);
    int leak = lab_socket(b.netns_fd, SOCK_DGRAM);
    struct pollfd poll_fd = {.fd = drain, .events = POLLIN};

    CHECK(bind(drain, (struct sockaddr *)&sink, sizeof(sink)) == 0);
    CHECK_INT(sendto(leak, "x", 1, 0, (struct sockaddr *)&sink, sizeof(sink)), 1);
    CHECK_INT(poll(&poll_fd, 1, BLOCKED_MS), 0);
    /* Nor does it reach what others publish. */
    int outer = lab_listen(a.netns_fd, "0.0.0.0", 80);

    machine_publish(&machine, net, "a", "0.0.0.0", 8090, 80);
    CHECK_REACHES(machine.outside_fd, "198.51.100.1", 8090, outer);
    CHECK_BLOCKED(b.netns_fd, "198.51.100.1", 8090, outer);
    CHECK_REACHES(c.netns_fd, b.endpoint->ip, 80, server);
    CHECK_BLOCKED(a.netns_fd, b.endpoint->ip, 80, server);
    CHECK_FAILS(network_publish(&machine.dirs, inner, "b", &port, 1, &err), ERROR_UNSUPPORTED,
                "internal network can't publish");
}

/* Loading what we print with nft gives the table that we made. */
static void check_loaded(const struct buf *printed, const char *table)
{
    struct error err = ERROR_INIT;
    int fd = open(tap_temp_dir(), O_DIRECTORY | O_CLOEXEC);
    char script[200];

    CHECK_OK(fs_replace(fd, "berth.nft", buf_text(printed), printed->len, 0644, FS_VOLATILE, &err),
             &err);
    CHECK(chdir(tap_temp_dir()) == 0);
    (void)snprintf(script, sizeof(script), "nft -t list table %s", table);
    char *ours = lab_shell_text(script);
    (void)snprintf(script, sizeof(script),
                   "unshare -n sh -ec 'nft -f berth.nft; nft -t list table %s'", table);
    CHECK_TEXT(ours, lab_shell_text(script));
}

TEST(what_is_encoded_is_what_is_printed)
{
    cleanup_machine struct machine machine;
    struct dns_rewrite rewrite = {.udp_port = 40001, .tcp_port = 40002};
    cleanup_buf struct buf text = BUF_INIT;
    struct error err = ERROR_INIT;

    machine_start(&machine);
    (void)machine_make_network(&machine, "one", false);
    firewall_print(&text);
    check_loaded(&text, "inet berth");
    buf_clear(&text);
    dns_rewrite_print(&text, &rewrite);
    for (int i = 0; i < 2; i++) { /* made, and replaced */
        CHECK_OK(dns_rewrite_install(&rewrite, &err), &err);
        check_loaded(&text, "ip berth-dns");
    }
}

TEST(a_table_of_another_version_is_replaced)
{
    cleanup_machine struct machine machine;
    machine_start(&machine);
    lab_shell("nft add table inet berth; nft 'add chain inet berth schema_0'");
    const struct network_record *net = machine_make_network(&machine, "one", false);
    char *list = lab_shell_text("nft list table inet berth");

    CHECK_CONTAINS(list, "schema_1");
    CHECK_CONTAINS(list, net->bridge);
    CHECK(strstr(list, "schema_0") == NULL);
}

TEST(a_flushed_ruleset_is_made_again_with_all_ports)
{
    cleanup_machine struct machine machine;
    machine_start(&machine);
    machine_add_outside(&machine);
    const struct network_record *net = machine_make_network(&machine, "one", false);
    struct guest web = machine_make_guest(&machine, net, "web"),
                 two = machine_make_guest(&machine, net, "two");
    int server = lab_listen(web.netns_fd, "0.0.0.0", 80);
    int server2 = lab_listen(two.netns_fd, "0.0.0.0", 80);

    machine_publish(&machine, net, "web", "0.0.0.0", 8080, 80);
    char *before = lab_shell_text("nft list table inet berth");
    lab_shell("nft flush ruleset");
    CHECK_BLOCKED(machine.outside_fd, "198.51.100.1", 8080, server);
    struct error err = ERROR_INIT;
    CHECK_OK(network_rebuild_firewall(&machine.dirs, &err), &err);
    CHECK_TEXT(lab_shell_text("nft list table inet berth"), before);
    CHECK_REACHES(machine.outside_fd, "198.51.100.1", 8080, server);
    /* Any change heals it too. */
    lab_shell("nft flush ruleset");
    machine_publish(&machine, net, "two", "0.0.0.0", 8082, 80);
    CHECK_REACHES(machine.outside_fd, "198.51.100.1", 8080, server);
    CHECK_REACHES(machine.outside_fd, "198.51.100.1", 8082, server2);
    lab_shell("nft delete element inet berth ports4_any '{ tcp . 8080 }'");
    machine_publish(&machine, net, "web", "0.0.0.0", 8083, 80);
    CHECK_REACHES(machine.outside_fd, "198.51.100.1", 8083, server);
}

TEST(a_forward_chain_that_drops_admits_our_networks_once)
{
    cleanup_machine struct machine machine;
    machine_start(&machine);
    machine_add_outside(&machine);
    lab_shell(
        "nft add table ip filter; nft 'add chain ip filter FORWARD { type filter hook forward "
        "priority filter; policy drop; }'");
    const struct network_record *net = machine_make_network(&machine, "one", false);
    const struct network_record *other = machine_make_network(&machine, "two", false);
    struct guest web = machine_make_guest(&machine, net, "web");
    int server = lab_listen(web.netns_fd, "0.0.0.0", 80);
    struct error err = ERROR_INIT;

    machine_publish(&machine, net, "web", "0.0.0.0", 8080, 80);
    CHECK_REACHES(machine.outside_fd, "198.51.100.1", 8080, server);
    CHECK_TEXT(lab_shell_text("nft list chain ip filter FORWARD | grep -c 'bt-'"), "2\n");
    CHECK_OK(network_detach(&machine.dirs, "one", "web", &err), &err);
    CHECK_OK(network_remove(&machine.dirs, "one", &err), &err);
    CHECK_OK(network_remove(&machine.dirs, other->spec.name, &err), &err);
    CHECK_TEXT(lab_shell_text("nft list chain ip filter FORWARD | grep -c 'bt-' || true"), "0\n");
}

TEST(nothing_is_left_when_the_last_network_goes)
{
    cleanup_machine struct machine machine;
    struct error err = ERROR_INIT;
    machine_start(&machine);
    const struct network_record *net = machine_make_network(&machine, "one", false);
    struct guest web = machine_make_guest(&machine, net, "web");
    int64_t end_ns = clock_monotonic_ns() + 10 * NS_PER_S;

    machine_publish(&machine, net, "web", "0.0.0.0", 8080, 80);
    CHECK_FAILS(network_remove(&machine.dirs, "one", &err), ERROR_CONFLICT,
                "1 container is still on it: web");
    CHECK_OK(network_detach(&machine.dirs, "one", "web", &err), &err);
    CHECK_OK(network_detach(&machine.dirs, "one", "web", &err), &err);
    CHECK_OK(network_remove(&machine.dirs, "one", &err), &err);
    CHECK_OK(network_remove(&machine.dirs, "one", &err), &err);
    CHECK_TEXT(lab_shell_text("nft list ruleset"), "");
    CHECK(!fs_exists(machine.dirs.state_fd, "networks/one.json"));
    /* The bridge goes behind our back, under the lock; the interface with its namespace. */
    close(web.netns_fd);
    lab_wait_for_removals(&machine);
    while (strstr(lab_shell_text("ip -o link"), "bv-") != NULL)
        CHECK(clock_monotonic_ns() < end_ns);
    CHECK_TEXT(lab_shell_text("ip -o link | grep -v ' lo:' | grep -v ifb || true"), "");
    CHECK(!fs_exists(machine.dirs.run_fd, "networks/one"));
}

TEST(a_network_comes_back_after_a_reboot_or_a_half_made_creation)
{
    cleanup_machine struct machine machine;
    struct error err = ERROR_INIT;
    struct network_records records;
    bool up[1];
    machine_start(&machine);
    const struct network_record *net = machine_make_network(&machine, "one", false);

    lab_shell(
        "nft flush ruleset; for l in $(ip -o link | grep -o 'bt-[0-9a-f]*'); do ip link del $l; "
        "done");
    CHECK_OK(network_list(&machine.arena, &machine.dirs, &records, &err), &err);
    CHECK_INT(records.n, 1);
    CHECK_OK(network_check_up(&machine.dirs, &records, up, &err), &err);
    CHECK(!up[0]);
    const struct network_record *again = machine_make_network(&machine, "one", false);
    CHECK_TEXT(again->subnet, net->subnet);
    CHECK_OK(network_check_up(&machine.dirs, &records, up, &err), &err);
    CHECK(up[0]);
}

/* The CLI was killed in `down`: the directory of endpoints is the first to go. */
TEST(a_half_removed_network_is_not_up)
{
    cleanup_machine struct machine machine;
    struct error err = ERROR_INIT;
    struct network_records records;
    bool up[1];
    machine_start(&machine);

    (void)machine_make_network(&machine, "one", false);
    CHECK_OK(network_list(&machine.arena, &machine.dirs, &records, &err), &err);
    CHECK_OK(network_check_up(&machine.dirs, &records, up, &err), &err);
    CHECK(up[0]);
    CHECK_OK(fs_remove_tree(machine.dirs.run_fd, "networks/one", &err), &err);
    CHECK_OK(network_check_up(&machine.dirs, &records, up, &err), &err);
    CHECK(!up[0]);
    (void)machine_make_network(&machine, "one", false);
    CHECK_OK(network_check_up(&machine.dirs, &records, up, &err), &err);
    CHECK(up[0]);
}

TEST(a_record_that_a_power_cut_emptied_is_made_again)
{
    cleanup_machine struct machine machine;
    struct network_records records;
    struct error err = ERROR_INIT;
    machine_start(&machine);

    (void)machine_make_network(&machine, "one", false);
    (void)machine_make_network(&machine, "two", false);
    CHECK_OK(fs_replace(machine.dirs.state_fd, "networks/one.json", "", 0, 0644, FS_VOLATILE, &err),
             &err);
    CHECK_OK(network_list(&machine.arena, &machine.dirs, &records, &err), &err);
    CHECK_INT(records.n, 1);
    CHECK_TEXT(machine_make_network(&machine, "one", false)->subnet, "172.18.0.0/24");
}

TEST(attaching_again_replaces_the_interface_and_keeps_the_address)
{
    cleanup_machine struct machine machine;
    struct error err = ERROR_INIT;
    const struct network_endpoint *endpoint;
    machine_start(&machine);
    const struct network_record *net = machine_make_network(&machine, "one", false);
    struct guest a = machine_make_guest(&machine, net, "a"),
                 b = machine_make_guest(&machine, net, "b");
    struct guest again = machine_make_guest(&machine, net, "a");
    struct network_attachment attachment = {.container = "c",
                                            .container_name = "see",
                                            .ifname = "eth0",
                                            .ip = a.endpoint->ip,
                                            .netns_fd = b.netns_fd};
    int server = lab_listen(again.netns_fd, "0.0.0.0", 80);

    CHECK_TEXT(again.endpoint->ip, a.endpoint->ip);
    close(server);
    attachment.container = attachment.container_name = "a";
    attachment.ip = NULL;
    attachment.netns_fd = again.netns_fd;
    CHECK_OK(network_attach(&machine.arena, &machine.dirs, net, &attachment, &endpoint, &err),
             &err);
    CHECK_TEXT(endpoint->ip, a.endpoint->ip);
    attachment.container = "c";
    attachment.container_name = "see";
    attachment.ip = a.endpoint->ip;
    attachment.netns_fd = b.netns_fd;
    server = lab_listen(again.netns_fd, "0.0.0.0", 80);
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
    cleanup_machine struct machine machine;
    struct error err = ERROR_INIT;
    struct network_definition definition = {.name = "bad", .subnet = "198.51.100.0/25"};
    const struct network_record *record;
    machine_start(&machine);
    machine_add_outside(&machine);
    lab_shell("ip route add 172.18.0.0/23 via 198.51.100.2; ip addr add 172.18.2.5/24 dev up0; "
              "ip route add 0.0.0.0/1 via 198.51.100.2; ip route add 128.0.0.0/1 via 198.51.100.2");

    CHECK_TEXT(machine_make_network(&machine, "one", false)->subnet, "172.18.3.0/24");
    CHECK_TEXT(machine_make_network(&machine, "two", false)->subnet, "172.18.4.0/24");
    CHECK_FAILS(network_create(&machine.arena, &machine.dirs, &definition, &record, &err),
                ERROR_CONFLICT, "which this host is on");
    definition.subnet = "172.18.4.128/25";
    CHECK_FAILS(network_create(&machine.arena, &machine.dirs, &definition, &record, &err),
                ERROR_CONFLICT, "overlaps 172.18.4.0/24 of network \"two\"");
    definition.name = "two";
    CHECK_FAILS(network_create(&machine.arena, &machine.dirs, &definition, &record, &err),
                ERROR_CONFLICT, "exists with subnet");
}

TEST(a_network_made_again_at_once_waits_for_the_old_bridge_to_go)
{
    cleanup_machine struct machine machine;
    struct error err = ERROR_INIT;
    machine_start(&machine);

    for (int i = 0; i < 5; i++) {
        const struct network_record *net = machine_make_network(&machine, "one", false);
        struct guest a = machine_make_guest(&machine, net, "a");
        struct guest b = machine_make_guest(&machine, net, "b");
        int server = lab_listen(b.netns_fd, "0.0.0.0", 80);

        CHECK_REACHES(a.netns_fd, b.endpoint->ip, 80, server);
        CHECK_REACHES(-1, b.endpoint->ip, 80, server);
        close(server);
        CHECK_OK(network_detach(&machine.dirs, "one", "a", &err), &err);
        CHECK_OK(network_detach(&machine.dirs, "one", "b", &err), &err);
        CHECK_OK(network_remove(&machine.dirs, "one", &err), &err);
        /* The namespaces stay open: their interfaces linger. */
    }
}

TEST(an_address_that_is_given_again_reaches_the_new_container)
{
    cleanup_machine struct machine machine;
    struct error err = ERROR_INIT;
    machine_start(&machine);
    machine_add_outside(&machine);
    const struct network_record *net = machine_make_network(&machine, "one", false);
    struct guest old = machine_make_guest(&machine, net, "old");
    struct guest other = machine_make_guest(&machine, net, "other");
    int old_server = lab_listen(old.netns_fd, "0.0.0.0", 80);

    machine_publish(&machine, net, "old", "0.0.0.0", 8080, 80);
    CHECK_REACHES(-1, old.endpoint->ip, 80, old_server);
    CHECK_REACHES(other.netns_fd, old.endpoint->ip, 80, old_server);
    CHECK_OK(network_detach(&machine.dirs, "one", "old", &err), &err);
    CHECK_BLOCKED(-1, old.endpoint->ip, 80, old_server);
    CHECK_BLOCKED(machine.outside_fd, "198.51.100.1", 8080, old_server);

    struct guest new = machine_make_guest(&machine, net, "new");
    int server = lab_listen(new.netns_fd, "0.0.0.0", 80);

    CHECK_TEXT(new.endpoint->ip, old.endpoint->ip);
    CHECK_REACHES(-1, new.endpoint->ip, 80, server);
    CHECK_REACHES(other.netns_fd, new.endpoint->ip, 80, server);
}

TEST(concurrent_attaches_get_different_addresses)
{
    enum { PROCESSES = 8, EACH = 5 };
    cleanup_machine struct machine machine;
    struct error err = ERROR_INIT;
    struct network_endpoints endpoints;
    machine_start(&machine);
    const struct network_record *net = machine_make_network(&machine, "one", false);

    for (int i = 0; i < PROCESSES; i++) {
        if (fork() > 0)
            continue;
        for (int k = 0; k < EACH; k++) {
            char id[20];

            (void)snprintf(id, sizeof(id), "c%d-%d", i, k);
            (void)machine_make_guest(&machine, net, id);
        }
        _exit(0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;

        CHECK(wait(&status) > 0 && status == 0);
    }
    CHECK_OK(network_list_endpoints(&machine.arena, &machine.dirs, "one", &endpoints, &err), &err);
    CHECK_INT(endpoints.n, PROCESSES * EACH);
    for (size_t i = 0; i < endpoints.n; i++) {
        char ip[NETWORK_IPV4_SIZE];

        (void)snprintf(ip, sizeof(ip), "172.18.0.%zu", i + 2);
        CHECK_TEXT(endpoints.items[i].ip, ip);
    }
}

TEST(udp_ports_take_over_flows_that_began_before)
{
    cleanup_machine struct machine machine;
    machine_start(&machine);
    machine_add_outside(&machine);
    const struct network_record *net = machine_make_network(&machine, "one", false);
    struct guest web = machine_make_guest(&machine, net, "web");
    struct network_port port = {
        .host_ip = "0.0.0.0", .host_port = 5300, .container_port = 53, .protocol = PORT_UDP};
    struct sockaddr_in server = lab_address("198.51.100.1", 5300), any = lab_address("0.0.0.0", 53);
    int client = lab_socket(machine.outside_fd, SOCK_DGRAM);
    int inside = lab_socket(web.netns_fd, SOCK_DGRAM);
    struct pollfd poll_fd = {.fd = inside, .events = POLLIN};
    struct error err = ERROR_INIT;

    CHECK(bind(inside, (struct sockaddr *)&any, sizeof(any)) == 0);
    CHECK(connect(client, (struct sockaddr *)&server, sizeof(server)) == 0);
    for (int i = 0; i < 2; i++) /* the host refuses them, and remembers the flow */
        (void)send(client, "x", 1, 0);
    CHECK_OK(network_publish(&machine.dirs, net, "web", &port, 1, &err), &err);
    (void)send(client, "x", 1, 0); /* may report the refusal */
    (void)send(client, "x", 1, 0);
    CHECK_INT(poll(&poll_fd, 1, REACHED_MS), 1);
}
