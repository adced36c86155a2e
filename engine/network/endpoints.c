/* Endpoint files. */

#include "engine/network/endpoints.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/network/ipv4.h"

enum { ENDPOINT_MAX_BYTES = 1 << 20 };

static const char suffix[] = ".json";

static char *file_name(const char *ip, const char *container, bool is_running)
{
    return x_printf("%s%c%s%s", ip, is_running ? '+' : '_', container, suffix);
}

void endpoint_dir_close(struct endpoint_dir *dir)
{
    cleanup_close_fd(&dir->fd);
    cleanup_close_fd(&dir->lock_fd);
    dir->fd = dir->lock_fd = -1;
}

int endpoint_dir_make(int run_fd, const char *network, struct error *err)
{
    cleanup_free char *path = x_printf("networks/%s/endpoints", network);

    return fs_make_dirs(run_fd, path, 0755, err);
}

int endpoint_dir_open(int run_fd, const char *network, struct endpoint_dir *ret, struct error *err)
{
    cleanup_free char *path = x_printf("networks/%s/endpoints", network);
    int fd = openat(run_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return 1;
    if (fd < 0)
        return error_sys(err, errno, "open endpoints of network \"%s\"", network);
    ret->fd = fd;
    return 0;
}

int endpoint_dir_lock(int run_fd, const char *network, struct endpoint_dir *ret, struct error *err)
{
    cleanup_free char *path = x_printf("networks/%s/lock", network);
    cleanup_fd int lock_fd = openat(run_fd, path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    int found;

    if (lock_fd < 0 && errno == ENOENT)
        return 1;
    if (lock_fd < 0)
        return error_sys(err, errno, "open lock of network \"%s\"", network);
    if (fs_lock(lock_fd, FS_LOCK_EXCLUSIVE, err) < 0)
        return error_wrap(err, "lock network \"%s\"", network);
    /* Whoever removes the network holds the lock too: the directory is gone then. */
    found = endpoint_dir_open(run_fd, network, ret, err);
    if (found == 0)
        ret->lock_fd = fd_take(&lock_fd);
    return found;
}

int endpoint_dir_remove(int run_fd, const char *network, struct error *err)
{
    cleanup_free char *path = x_printf("networks/%s", network);

    return fs_remove_tree(run_fd, path, err);
}

bool endpoint_name_parse(struct arena *arena, const char *file, struct endpoint_name *ret)
{
    size_t ip_len = strcspn(file, "_+"), len = strlen(file);
    struct str ip = {file, ip_len};

    if (!text_ends_with(file, suffix) || ip_len + sizeof(suffix) >= len ||
        ipv4_parse(ip, &ret->address, NULL) < 0)
        return false;
    ret->is_running = file[ip_len] == '+';
    ret->container = arena_strndup(arena, file + ip_len + 1, len - ip_len - sizeof(suffix));
    return true;
}

static int compare_names(const void *a, const void *b)
{
    const struct endpoint_name *left = a, *right = b;

    return (left->address > right->address) - (left->address < right->address);
}

int endpoint_list_names(struct arena *arena, const struct endpoint_dir *dir,
                        struct endpoint_names *ret, struct error *err)
{
    struct strings files;
    size_t n = 0;

    if (fs_list(dir->fd, ".", arena, &files, err) < 0)
        return error_wrap(err, "list endpoints");
    ret->items = arena_new_array(arena, struct endpoint_name, files.n);
    for (size_t i = 0; i < files.n; i++)
        if (endpoint_name_parse(arena, files.items[i], &ret->items[n]))
            n++;
    ret->n = n;
    if (n > 0)
        qsort(ret->items, n, sizeof(ret->items[0]), compare_names);
    return 0;
}

static json_t *ports_to_json(const struct network_endpoint *endpoint)
{
    json_t *list = json_array();

    for (size_t i = 0; i < endpoint->n_ports; i++) {
        const struct network_port *port = &endpoint->ports[i];
        json_t *json = json_object();

        json_set_text(json, "host_ip", port->host_ip);
        json_set_i64(json, "host_port", port->host_port);
        json_set_i64(json, "container_port", port->container_port);
        json_set_text(json, "protocol", port_protocol_names[port->protocol]);
        (void)json_array_append_new(list, json); /* fails only without memory */
    }
    return list;
}

int endpoint_write(const struct endpoint_dir *dir, const struct network_endpoint *endpoint,
                   struct error *err)
{
    cleanup_json json_t *json = json_object();
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_free char *file = file_name(endpoint->ip, endpoint->container, endpoint->is_running);

    json_set_text(json, "container", endpoint->container);
    json_set_text(json, "container_name", endpoint->container_name);
    json_set_text(json, "project", endpoint->project);
    json_set_strings(json, "names", &endpoint->names);
    json_set_text(json, "ip", endpoint->ip);
    json_set_text(json, "mac", endpoint->mac);
    json_set_text(json, "ifname", endpoint->ifname);
    json_set_text(json, "host_ifname", endpoint->host_ifname);
    if (endpoint->n_ports > 0)
        json_set_take(json, "ports", ports_to_json(endpoint));
    json_print(&text, json);
    return fs_replace(dir->fd, file, buf_text(&text), text.len, 0644, FS_VOLATILE, err);
}

/* Copy a text that must fit. */
static int copy_text(const json_t *json, const char *key, char *ret, size_t size, struct error *err)
{
    const char *text;

    if (json_get_text(json, key, &text, err) < 0)
        return -1;
    if (strlen(text) >= size)
        return error_set(err, ERROR_INVALID, "\"%s\" is too long", key);
    memcpy(ret, text, strlen(text) + 1);
    return 0;
}

static int parse_port(const json_t *json, struct network_port *port, struct error *err)
{
    const char *protocol;
    int64_t host_port, container_port;

    if (copy_text(json, "host_ip", port->host_ip, sizeof(port->host_ip), err) < 0 ||
        json_get_i64(json, "host_port", &host_port, err) < 0 ||
        json_get_i64(json, "container_port", &container_port, err) < 0 ||
        json_get_text(json, "protocol", &protocol, err) < 0)
        return -1;
    if (host_port < 1 || host_port > UINT16_MAX || container_port < 1 ||
        container_port > UINT16_MAX)
        return error_set(err, ERROR_INVALID, "a port is out of range");
    port->host_port = (uint16_t)host_port;
    port->container_port = (uint16_t)container_port;
    for (int i = 0; i < PORT_PROTOCOLS; i++)
        if (text_equal(protocol, port_protocol_names[i])) {
            port->protocol = (enum port_protocol)i;
            return 0;
        }
    return error_set(err, ERROR_INVALID, "protocol \"%s\" is unknown", protocol);
}

static int parse_endpoint(struct arena *arena, const json_t *json, struct network_endpoint *ret,
                          struct error *err)
{
    const json_t *ports = json_object_get(json, "ports");
    size_t n_ports = json_is_array(ports) ? json_array_size(ports) : 0;

    if (copy_text(json, "ip", ret->ip, sizeof(ret->ip), err) < 0 ||
        copy_text(json, "mac", ret->mac, sizeof(ret->mac), err) < 0 ||
        copy_text(json, "ifname", ret->ifname, sizeof(ret->ifname), err) < 0 ||
        copy_text(json, "host_ifname", ret->host_ifname, sizeof(ret->host_ifname), err) < 0)
        return -1;
    ret->container = arena_strdup(arena, json_text_or(json, "container", ""));
    ret->container_name = arena_strdup(arena, json_text_or(json, "container_name", ""));
    ret->project = arena_strdup(arena, json_text_or(json, "project", NULL));
    ret->names = json_strings(arena, json, "names");
    if (n_ports > NETWORK_PORTS_MAX || ret->names.n > NETWORK_NAMES_MAX)
        return error_set(err, ERROR_INVALID, "too many ports or names");
    ret->ports = arena_new_array(arena, struct network_port, n_ports);
    for (size_t i = 0; i < n_ports; i++)
        if (parse_port(json_array_get(ports, i), &ret->ports[i], err) < 0)
            return -1;
    ret->n_ports = n_ports;
    return 0;
}

int endpoint_read(struct arena *arena, const struct endpoint_dir *dir,
                  const struct endpoint_name *name, struct network_endpoint *ret, struct error *err)
{
    cleanup_json json_t *json = NULL;
    char ip[IPV4_TEXT_SIZE];
    struct network_endpoint endpoint = {0};
    struct error failure = ERROR_INIT;

    ipv4_print(name->address, ip);
    cleanup_free char *file = file_name(ip, name->container, name->is_running);

    if (json_read_at(dir->fd, file, ENDPOINT_MAX_BYTES, &json, &failure) < 0) {
        if (failure.code == ERROR_NOT_FOUND)
            return 1;
        if (err != NULL)
            *err = failure;
        return -1;
    }
    if (parse_endpoint(arena, json, &endpoint, err) < 0)
        return error_wrap(err, "read endpoint \"%s\"", file);
    endpoint.is_running = name->is_running;
    *ret = endpoint;
    return 0;
}

int endpoint_find(struct arena *arena, const struct endpoint_dir *dir, const char *container,
                  struct network_endpoint *ret, struct error *err)
{
    struct endpoint_names names;

    if (endpoint_list_names(arena, dir, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (text_equal(names.items[i].container, container))
            return endpoint_read(arena, dir, &names.items[i], ret, err);
    return 1;
}

int endpoint_set_running(const struct endpoint_dir *dir, struct network_endpoint *endpoint,
                         bool is_running, struct error *err)
{
    cleanup_free char *from = file_name(endpoint->ip, endpoint->container, endpoint->is_running);
    cleanup_free char *to = file_name(endpoint->ip, endpoint->container, is_running);

    if (renameat(dir->fd, from, dir->fd, to) < 0)
        return error_sys(err, errno, "mark endpoint %s", endpoint->ip);
    endpoint->is_running = is_running;
    return 0;
}

int endpoint_remove(const struct endpoint_dir *dir, const struct network_endpoint *endpoint,
                    struct error *err)
{
    cleanup_free char *file = file_name(endpoint->ip, endpoint->container, endpoint->is_running);

    if (unlinkat(dir->fd, file, 0) < 0 && errno != ENOENT)
        return error_sys(err, errno, "free address %s", endpoint->ip);
    return 0;
}
