/* A laboratory for networks. */

#include "tests/integration/network_world.h"

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

#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/fs.h"
#include "engine/base/process.h"
#include "engine/network/netns.h"
#include "engine/network/rtnl.h"

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

void lab_shell(const char *script)
{
    struct buf out = BUF_INIT;
    const char *argv[] = {"/bin/sh", "-ec", script, NULL};

    if (run(argv, &out) != 0)
        tap_fail(TAP_HERE, "%s: %s", script, buf_text(&out));
    buf_release(&out);
}

char *lab_shell_text(const char *script)
{
    static struct arena texts = ARENA_INIT; /* until the test ends */
    char *text;
    struct buf out = BUF_INIT;
    const char *argv[] = {"/bin/sh", "-ec", script, NULL};

    if (run(argv, &out) != 0)
        tap_fail(TAP_HERE, "%s: %s", script, buf_text(&out));
    text = arena_strdup(&texts, buf_text(&out));
    buf_release(&out);
    return text;
}

/* Become a fresh host. `ip` and `nft` are used by tests only. */
void machine_start(struct machine *machine)
{
    struct error err = ERROR_INIT;
    int root_fd, rtnl_fd;

    if (geteuid() != 0)
        SKIP("needs root");
    *machine = (struct machine){.arena = ARENA_INIT, .outside_fd = -1};
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
}

void machine_add_outside(struct machine *machine)
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
    lab_shell(script);
}

const struct network_record *machine_make_network(struct machine *machine, const char *name,
                                                  bool is_internal)
{
    struct network_definition definition = {.name = name, .is_internal = is_internal};
    const struct network_record *record;
    struct error err = ERROR_INIT;

    CHECK_OK(network_create(&machine->arena, &machine->dirs, &definition, &record, &err), &err);
    return record;
}

struct guest machine_make_guest(struct machine *machine, const struct network_record *record,
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

int lab_socket(int netns_fd, int type)
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

struct sockaddr_in lab_address(const char *ip, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

    CHECK(inet_pton(AF_INET, ip, &address.sin_addr) == 1);
    return address;
}

int lab_listen(int netns_fd, const char *ip, uint16_t port)
{
    struct sockaddr_in address = lab_address(ip, port);
    int fd = lab_socket(netns_fd, SOCK_STREAM);

    CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(fd, 64) == 0);
    return fd;
}

/* Who does the server behind ip:port say is calling? NULL: not reached in time. */
const char *lab_reaches(int from_fd, const char *ip, uint16_t port, int server_fd, int wait_ms)
{
    static char peer_text[INET_ADDRSTRLEN];
    struct sockaddr_in address = lab_address(ip, port), peer = {0};
    socklen_t len = sizeof(peer);
    int fd = lab_socket(from_fd, SOCK_STREAM), accepted;
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

void machine_publish(struct machine *machine, const struct network_record *record, const char *id,
                     const char *host_ip, uint16_t host_port, uint16_t container_port)
{
    struct network_port port = {.host_port = host_port, .container_port = container_port};
    struct error err = ERROR_INIT;

    (void)snprintf(port.host_ip, sizeof(port.host_ip), "%s", host_ip);
    CHECK_OK(network_publish(&machine->dirs, record, id, &port, 1, &err), &err);
}

void lab_wait_for_removals(struct machine *machine)
{
    int64_t end_ns = clock_monotonic_ns() + 10 * NS_PER_S;

    for (;;) {
        struct arena arena = ARENA_INIT;
        struct strings files;
        struct error err = ERROR_INIT;
        bool is_going = false;

        CHECK_OK(fs_list(machine->dirs.run_fd, "networks", &arena, &files, &err), &err);
        for (size_t i = 0; i < files.n; i++)
            is_going |= text_starts_with(files.items[i], ".bt-");
        arena_release(&arena);
        if (!is_going)
            return;
        CHECK(clock_monotonic_ns() < end_ns);
    }
}

void machine_end(struct machine *machine)
{
    arena_release(&machine->arena);
}
