#pragma once

/* A laboratory for networks: every test is a machine of its own, that is a fresh network namespace
 * as "host", others as containers and as the world outside. Needs root; `ip`, `nft` and `nsenter`
 * are used by tests only. Everything goes with the process of the test. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/network/network.h"
#include "tests/tap.h"

enum { BLOCKED_MS = 250, REACHED_MS = 3000 };

struct machine {
    struct network_dirs dirs;
    struct arena arena;
    int outside_fd; /* namespace of a neighbour: 198.51.100.2, default route by the host .1 */
};

struct guest {
    int netns_fd;
    const struct network_endpoint *endpoint;
};

void lab_shell(const char *script);
char *lab_shell_text(const char *script);
void machine_start(struct machine *machine);
void machine_end(struct machine *machine);
#define cleanup_machine __attribute__((cleanup(machine_end)))
void machine_add_outside(struct machine *machine);
const struct network_record *machine_make_network(struct machine *machine, const char *name,
                                                  bool is_internal);
struct guest machine_make_guest(struct machine *machine, const struct network_record *record,
                                const char *id);
int lab_socket(int netns_fd, int type);
struct sockaddr_in lab_address(const char *ip, uint16_t port);
int lab_listen(int netns_fd, const char *ip, uint16_t port);
const char *lab_reaches(int from_fd, const char *ip, uint16_t port, int server_fd, int wait_ms);
void machine_publish(struct machine *machine, const struct network_record *record, const char *id,
                     const char *host_ip, uint16_t host_port, uint16_t container_port);

/* Until bridges that are being deleted are gone. */
void lab_wait_for_removals(struct machine *machine);

#define CHECK_REACHES(from, ip, port, server)                                                      \
    do {                                                                                           \
        if (lab_reaches(from, ip, port, server, REACHED_MS) == NULL)                               \
            tap_fail(TAP_HERE, "%s:%d is not reached", ip, port);                                  \
    } while (0)
#define CHECK_BLOCKED(from, ip, port, server)                                                      \
    do {                                                                                           \
        if (lab_reaches(from, ip, port, server, BLOCKED_MS) != NULL)                               \
            tap_fail(TAP_HERE, "%s:%d is reached", ip, port);                                      \
    } while (0)
