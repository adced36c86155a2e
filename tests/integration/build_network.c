/* The network of RUN. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/fs.h"
#include "tests/integration/build_world.h"
#include "tests/tap.h"

enum { DNS_HEADER = 12, DNS_QUESTION_TAIL = 5, DNS_TYPE_A = 1, DNS_PORT = 53 };

/* Question in, "10.9.8.7" out; no answer for other types. */
static size_t make_answer(unsigned char *message, size_t len)
{
    static const unsigned char record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 9, 8, 7};
    size_t end = DNS_HEADER;

    while (end < len && message[end] != 0)
        end += message[end] + 1U;
    end += DNS_QUESTION_TAIL;
    CHECK(end <= len);
    message[2] = 0x81;
    message[3] = 0x80;
    memset(message + 6, 0, 6);
    if (message[end - 3] != DNS_TYPE_A)
        return end;
    message[7] = 1;
    memcpy(message + end, record, sizeof(record));
    return end + sizeof(record);
}

static void serve(int fd)
{
    unsigned char message[600];
    struct sockaddr_in from;

    for (;;) {
        socklen_t from_len = sizeof(from);
        ssize_t n = recvfrom(fd, message, 512, 0, (struct sockaddr *)&from, &from_len);
        if (n > DNS_HEADER)
            (void)sendto(fd, message, make_answer(message, (size_t)n), 0, (struct sockaddr *)&from,
                         from_len);
    }
}

/* A name server on an address of the host's loopback, as systemd-resolved is. */
static pid_t start_server(const char *address)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(DNS_PORT)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    CHECK(inet_pton(AF_INET, address, &here.sin_addr) == 1);
    if (bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0)
        SKIP("port 53 of the loopback is taken");
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(fd);
    }
    close(fd);
    return pid;
}

/* In a mount namespace of our own: call it before anything is opened. */
static void set_host_resolv_conf(const char *text)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const char *path = arena_printf(&arena, "%s/resolv.conf", tap_temp_dir());
    struct error err = ERROR_INIT;

    if (geteuid() != 0)
        SKIP("needs root");
    CHECK_OK(fs_replace(AT_FDCWD, path, text, strlen(text), 0644, FS_VOLATILE, &err), &err);
    CHECK(unshare(CLONE_NEWNS) == 0);
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0);
}

TEST(run_reaches_a_name_server_on_the_loopback_of_the_host)
{
    struct build_world world;

    set_host_resolv_conf("nameserver 127.0.77.53\n");
    build_world_open(&world);
    pid_t pid = start_server("127.0.77.53");
    build(&world, "FROM busybox:1\n"
                  "RUN nslookup some.test | grep -o '10[.]9[.]8[.]7' > /answer\n"
                  "RUN ip -o -4 addr show eth0 | grep -c inet > /own\n");
    CHECK_TEXT(built_file(&world, "/answer"), "file 644 0:0 10.9.8.7");
    CHECK_TEXT(built_file(&world, "/own"), "file 644 0:0 1");
    CHECK(kill(pid, SIGKILL) == 0);
    build_world_close(&world);
}

TEST(a_host_without_name_servers_can_build)
{
    struct build_world world;

    set_host_resolv_conf("");
    build_world_open(&world);
    build(&world, "FROM busybox:1\nRUN echo done > /x\n");
    CHECK_TEXT(built_file(&world, "/x"), "file 644 0:0 done");
    build_world_close(&world);
}

TEST(run_without_network_has_none_and_with_the_hosts_has_all)
{
    struct build_world world;

    build_world_open(&world);
    build(&world, "FROM busybox:1\n"
                  "RUN --network=none ip -o link | wc -l > /none\n"
                  "RUN --network=host ip -o link | grep -c -w eth0 > /host; true\n"
                  "RUN ip route | grep -c default > /default\n");
    CHECK_TEXT(built_file(&world, "/none"), "file 644 0:0 1");
    CHECK_TEXT(built_file(&world, "/default"), "file 644 0:0 1");
    CHECK(try_build(&world, "FROM busybox:1\nRUN --network=other true\n") < 0);
    CHECK_CONTAINS(world.err.text, "must be default, none or host");
    build_world_close(&world);
}
