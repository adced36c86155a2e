/* Host ports. */

#include "engine/network/port.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/str.h"

const char *const port_protocol_names[] = {[PORT_TCP] = "tcp", [PORT_UDP] = "udp"};
static_assert(sizeof(port_protocol_names) / sizeof(port_protocol_names[0]) == PORT_PROTOCOLS,
              "one per protocol");

enum {
    BACKLOG = 128,
    PAIR_ATTEMPTS = 20, /* to find a free port number that both families have */
    PROC_NET_MAX_BYTES = 64 << 20,
    INODE_TEXT_SIZE = 32,
    PROCESS_TITLE_MAX = 60,
};

void port_reservation_release(struct port_reservation *reservation)
{
    cleanup_close_fd(&reservation->fd4);
    cleanup_close_fd(&reservation->fd6);
    *reservation = (struct port_reservation)PORT_RESERVATION_INIT;
}

/* Where to bind: an address of either family with a port to come. */
struct place {
    struct sockaddr_storage address;
    socklen_t len;
};

static void place_set_port(struct place *place, uint16_t port)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (place->address.ss_family == AF_INET) {
        memcpy(&v4, &place->address, sizeof(v4));
        v4.sin_port = htons(port);
        memcpy(&place->address, &v4, sizeof(v4));
    } else {
        memcpy(&v6, &place->address, sizeof(v6));
        v6.sin6_port = htons(port);
        memcpy(&place->address, &v6, sizeof(v6));
    }
}

static bool place_parse(const char *ip, struct place *ret)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    size_t len = strlen(ip);
    cleanup_free char *bare =
        len > 2 && ip[0] == '[' && ip[len - 1] == ']' ? x_strndup(ip + 1, len - 2) : x_strdup(ip);

    *ret = (struct place){0};
    if (inet_pton(AF_INET, bare, &v4.sin_addr) == 1) {
        memcpy(&ret->address, &v4, sizeof(v4));
        ret->len = sizeof(v4);
        return true;
    }
    if (inet_pton(AF_INET6, bare, &v6.sin6_addr) == 1) {
        memcpy(&ret->address, &v6, sizeof(v6));
        ret->len = sizeof(v6);
        return true;
    }
    return false;
}

static int set_option(int fd, int level, int option, const char *what, struct error *err)
{
    int on = 1;

    if (setsockopt(fd, level, option, &on, sizeof(on)) < 0)
        return error_sys(err, errno, "reserve a port: set %s", what);
    return 0;
}

/* Returns 0, or 1 with *ret_errno when the kernel refuses the address. */
static int bind_silently(const struct place *place, enum port_protocol protocol, int *ret_fd,
                         int *ret_errno, struct error *err)
{
    static struct sock_filter drop_all = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = 1, .filter = &drop_all};
    int family = place->address.ss_family;
    cleanup_fd int fd =
        socket(family, (protocol == PORT_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        *ret_errno = errno;
        return errno == EAFNOSUPPORT ? 1 : error_sys(err, errno, "reserve a port: open a socket");
    }
    /* Before bind: nothing may be queued that nobody will answer. */
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
        return error_sys(err, errno, "reserve a port: attach a filter");
    if (protocol == PORT_TCP && set_option(fd, SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR", err) < 0)
        return -1;
    if (family == AF_INET6 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY", err) < 0)
        return -1;
    /* With SO_REUSEADDR only listening conflicts. */
    if (bind(fd, (const struct sockaddr *)&place->address, place->len) < 0 ||
        (protocol == PORT_TCP && listen(fd, BACKLOG) < 0)) {
        *ret_errno = errno;
        return 1;
    }
    *ret_fd = fd_take(&fd);
    return 0;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage address;
    struct sockaddr_in v4;
    socklen_t len = sizeof(address);

    if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        return 0;
    memcpy(&v4, &address, sizeof(v4)); /* the port lies at the same place in both families */
    return ntohs(v4.sin_port);
}

/* Who has it? The inode of the socket from /proc/net, then whose descriptor it is. */

static bool find_inode(enum port_protocol protocol, int family, uint16_t port,
                       char ret_inode[static INODE_TEXT_SIZE])
{
    static const char *const files[PORT_PROTOCOLS][2] = {
        [PORT_TCP] = {"/proc/net/tcp", "/proc/net/tcp6"},
        [PORT_UDP] = {"/proc/net/udp", "/proc/net/udp6"},
    };
    const unsigned int wanted_state = protocol == PORT_TCP ? 0x0a : 0x07; /* LISTEN, CLOSE */
    cleanup_buf struct buf text = BUF_INIT;
    struct str rest, line;

    buf_init(&text, PROC_NET_MAX_BYTES);
    if (fs_read_file(AT_FDCWD, files[protocol][family == AF_INET6], PROC_NET_MAX_BYTES, &text,
                     NULL) < 0)
        return false;
    for (rest = buf_str(&text); rest.len > 0;) {
        unsigned int local_port, state;
        char inode[INODE_TEXT_SIZE];

        if (!str_cut(rest, '\n', &line, &rest))
            rest.len = 0;
        cleanup_free char *copy = x_strndup(line.data, line.len);

        if (sscanf(copy, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*s %*s %31s",
                   &local_port, &state, inode) == 3 &&
            local_port == port && state == wanted_state && strcmp(inode, "0") != 0) {
            memcpy(ret_inode, inode, sizeof(inode));
            return true;
        }
    }
    return false;
}

static bool process_has_socket(int proc_fd, const char *pid, const char *link_wanted)
{
    cleanup_free char *path = x_printf("%s/fd", pid);
    int fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char target[64] = {0};

        if (readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1) > 0 &&
            strcmp(target, link_wanted) == 0)
            return true;
    }
    return false;
}

/* What ps shows: the title that a process gave itself, or its command, cut to a line. */
static void print_process(int proc_fd, const char *pid, struct buf *out)
{
    cleanup_buf struct buf title = BUF_INIT;
    cleanup_free char *path = x_printf("%s/cmdline", pid);
    cleanup_fd int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    char bytes[PROCESS_TITLE_MAX];
    ssize_t n = fd >= 0 ? fs_read(fd, bytes, sizeof(bytes)) : -1;

    for (ssize_t i = 0; i < n; i++)
        buf_add_char(&title, isprint((unsigned char)bytes[i]) ? bytes[i] : ' ');
    buf_add_char(out, '"');
    buf_add_str(out, str_trim(buf_str(&title)));
    buf_printf(out, "\" (process %s)", pid);
}

static bool find_holder(const char *inode, struct buf *ret_text)
{
    cleanup_free char *link_wanted = x_printf("socket:[%s]", inode);
    cleanup_dir DIR *proc = opendir("/proc");
    struct dirent *entry;

    while (proc != NULL && (entry = readdir(proc)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]) &&
            process_has_socket(dirfd(proc), entry->d_name, link_wanted)) {
            print_process(dirfd(proc), entry->d_name, ret_text);
            return true;
        }
    return false;
}

static int report_refusal(const struct port_request *request, int family, uint16_t port, int errnum,
                          struct error *err)
{
    cleanup_buf struct buf holder = BUF_INIT;
    char inode[INODE_TEXT_SIZE];
    const char *ip = request->host_ip != NULL ? request->host_ip : "";

    if (errnum == EADDRNOTAVAIL || errnum == EAFNOSUPPORT)
        return error_set(err, ERROR_INVALID, "publish port %u: this host has no address %s", port,
                         ip);
    if (errnum != EADDRINUSE)
        return error_sys(err, errnum, "reserve port %u", port);
    /* A port of one address conflicts with that of all, and IPv6 listeners may have both. */
    if (!find_inode(request->protocol, family, port, inode) &&
        !find_inode(request->protocol, AF_INET6, port, inode))
        return error_set(err, ERROR_CONFLICT, "port %u/%s is already in use", port,
                         port_protocol_names[request->protocol]);
    if (!find_holder(inode, &holder))
        buf_add_text(&holder, "a process that can't be seen from here");
    return error_set(err, ERROR_CONFLICT, "port %u/%s is already in use by %s", port,
                     port_protocol_names[request->protocol], buf_text(&holder));
}

struct port_try {
    struct place places[2]; /* of which the last may be of a family the host doesn't have */
    size_t n_places;
};

/* One number on every place. Returns 0, or 1 with *ret_errno and *ret_family when it is taken. */
static int try_port(const struct port_try *attempt, enum port_protocol protocol, uint16_t port,
                    struct port_reservation *ret, int *ret_errno, int *ret_family,
                    struct error *err)
{
    cleanup_port_reservation struct port_reservation reservation = PORT_RESERVATION_INIT;

    reservation.port = port;
    for (size_t i = 0; i < attempt->n_places; i++) {
        struct place place = attempt->places[i];
        int *fd = place.address.ss_family == AF_INET ? &reservation.fd4 : &reservation.fd6;
        int result;

        place_set_port(&place, reservation.port);
        *ret_family = place.address.ss_family;
        result = bind_silently(&place, protocol, fd, ret_errno, err);
        if (result < 0)
            return -1;
        if (result == 1 && i > 0 && (*ret_errno == EAFNOSUPPORT || *ret_errno == EADDRNOTAVAIL))
            continue; /* no IPv6 here */
        if (result == 1)
            return 1;
        if (reservation.port == 0)
            reservation.port = bound_port(*fd);
    }
    *ret = reservation;
    reservation = (struct port_reservation)PORT_RESERVATION_INIT;
    return 0;
}

int port_reserve(const struct port_request *request, struct port_reservation *ret,
                 struct error *err)
{
    bool is_any = request->host_ip == NULL || request->host_ip[0] == '\0';
    struct port_try attempt = {.n_places = is_any ? 2 : 1};
    unsigned int n_tries =
        request->first == 0 ? PAIR_ATTEMPTS : (unsigned int)(request->last - request->first) + 1;
    int errnum = EADDRINUSE, family = AF_INET;

    if (!place_parse(is_any ? "0.0.0.0" : request->host_ip, &attempt.places[0]))
        return error_set(err, ERROR_INVALID, "host address \"%s\" is not an IP address",
                         request->host_ip);
    if (is_any)
        (void)place_parse("::", &attempt.places[1]); /* a constant */
    if (request->first > request->last)
        return error_set(err, ERROR_INVALID, "port range %u-%u is empty", request->first,
                         request->last);

    for (unsigned int i = 0; i < n_tries; i++) {
        uint16_t port = request->first == 0 ? 0 : (uint16_t)(request->first + i);
        int result = try_port(&attempt, request->protocol, port, ret, &errnum, &family, err);

        if (result <= 0)
            return result;
        if (errnum != EADDRINUSE)
            break;
    }
    if (request->first != request->last && errnum == EADDRINUSE)
        return error_set(err, ERROR_CONFLICT, "all ports from %u to %u/%s are already in use",
                         request->first, request->last, port_protocol_names[request->protocol]);
    return report_refusal(request, family, request->first, errnum, err);
}
