/* A container's place in its networks: namespace, interfaces, name server, names, ports. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/fs.h"
#include "engine/base/trace.h"
#include "engine/base/units.h"
#include "engine/keeper/supervisor.h"

enum { RESOLV_CONF_MAX_BYTES = 64 << 10, PORTS_MAX = NETWORK_PORTS_MAX };

static bool has_own_namespace(const struct container_spec *spec)
{
    return !spec->network_mode || strcmp(spec->network_mode, "none") == 0;
}

/* ------------------------------------------------------------------ interfaces */

static void endpoint_set(struct supervised_endpoint *endpoint, const char *network,
                         const struct network_endpoint *attached)
{
    free(endpoint->network);
    endpoint->network = x_strdup(network);
    memcpy(endpoint->ip, attached->ip, sizeof(endpoint->ip));
    memcpy(endpoint->mac, attached->mac, sizeof(endpoint->mac));
}

/* Aliases, and the short id: what the container takes for its own hostname. */
static struct strings endpoint_names(struct arena *arena, const struct supervised *container,
                                     const struct strings *aliases)
{
    enum { SHORT_ID_DIGITS = 12 };
    struct strings names = {.items = arena_new_array(arena, const char *, aliases->n + 1)};

    for (size_t i = 0; i < aliases->n; i++)
        names.items[names.n++] = aliases->items[i];
    names.items[names.n++] = arena_strndup(arena, container->id, SHORT_ID_DIGITS);
    return names;
}

static int attach_one(struct supervised *container, const struct container_record *record, size_t i,
                      bool *has_way_out, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const struct network_dirs dirs = keeper_network_dirs(container->keeper);
    const struct attachment_spec *wanted = &record->spec->networks[i];
    const struct network_record *network;
    const struct network_endpoint *endpoint;
    struct network_attachment attachment = {
        .container = container->id,
        .container_name = container->name,
        .project = record->project,
        .names = endpoint_names(&arena, container, &wanted->aliases),
        .ip = wanted->ipv4_address,
        .netns_fd = container->netns_fd,
        .ifname = arena_printf(&arena, "eth%zu", i),
    };

    if (network_find(&arena, &dirs, wanted->network, &network, err) < 0)
        return error_wrap(err, "attach to network \"%s\"", wanted->network);
    attachment.is_default_route = !*has_way_out && !network->spec.is_internal;
    *has_way_out |= attachment.is_default_route;
    if (network_attach(&arena, &dirs, network, &attachment, &endpoint, err) < 0)
        return error_wrap(err, "attach to network \"%s\"", wanted->network);
    endpoint_set(&container->endpoints[i], wanted->network, endpoint);
    return 0;
}

/* With a namespace that is still held (a restart by policy) nothing has to be done. */
int attach_networks(struct supervised *container, const struct container_record *record,
                    struct error *err)
{
    bool has_way_out = false; /* the default route is that of the first network that has one */

    if (!has_own_namespace(record->spec) || container->netns_fd >= 0)
        return 0;
    if (netns_new(&container->netns_fd, err) < 0)
        return -1;
    if (container->n_endpoints == 0 && record->spec->n_networks > 0) {
        free(container->endpoints);
        container->endpoints =
            x_alloc_array(record->spec->n_networks, sizeof(*container->endpoints));
        container->n_endpoints = record->spec->n_networks;
    }
    for (size_t i = 0; i < container->n_endpoints; i++) {
        if (attach_one(container, record, i, &has_way_out, err) < 0)
            return -1;
    }
    return 0;
}

/* ------------------------------------------------------------------ names */

static int resolver_need(struct keeper *keeper, struct error *err)
{
    struct resolver_options options = {.run_fd = keeper->place.run_fd};

    if (keeper->resolver)
        return 0;
    if (keeper->firewall_fd == 0 && network_open_firewall(&keeper->firewall_fd, err) < 0)
        return -1;
    return resolver_new(keeper->base, &options, &keeper->resolver, err);
}

static bool all_networks_internal(struct keeper *keeper, const struct container_spec *spec)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const struct network_dirs dirs = keeper_network_dirs(keeper);

    for (size_t i = 0; i < spec->n_networks; i++) {
        const struct network_record *network;
        struct error ignored;

        if (network_find(&arena, &dirs, spec->networks[i].network, &network, &ignored) < 0 ||
            !network->spec.is_internal)
            return false;
    }
    return true;
}

int attach_resolver(struct supervised *container, const struct container_record *record,
                    struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct resolver_container resolved = {
        .id = container->id,
        .netns_fd = container->netns_fd,
        .networks.items = arena_new_array(&arena, const char *, record->spec->n_networks),
        .networks.n = record->spec->n_networks,
        .dns_servers = record->spec->dns,
    };

    if (container->netns_fd < 0 || record->spec->n_networks == 0)
        return 0;
    for (size_t i = 0; i < record->spec->n_networks; i++)
        resolved.networks.items[i] = record->spec->networks[i].network;
    resolved.is_internal_only = all_networks_internal(container->keeper, record->spec);
    if (resolver_need(container->keeper, err) < 0)
        return -1;
    return resolver_add_container(container->keeper->resolver, &resolved, err);
}

void attach_set_running(struct supervised *container, bool is_running)
{
    const struct network_dirs dirs = keeper_network_dirs(container->keeper);

    for (size_t i = 0; i < container->n_endpoints; i++) {
        struct error err = ERROR_INIT;

        if (network_endpoint_set_running(&dirs, container->endpoints[i].network, container->id,
                                         is_running, &err) < 0 &&
            err.code != ERROR_NOT_FOUND)
            keeper_log("names of \"%s\": %s, continuing", container->name, err.text);
    }
}

/* The gateway of the network with the default route: what "host-gateway" stands for. */
static const char *default_gateway(struct arena *arena, struct supervised *container)
{
    const struct network_dirs dirs = keeper_network_dirs(container->keeper);
    const struct network_record *network;
    struct error ignored;

    if (container->n_endpoints == 0 ||
        network_find(arena, &dirs, container->endpoints[0].network, &network, &ignored) < 0)
        return NULL;
    return network->gateway;
}

/* "name:ip" and "name=ip", the name alone without an address is the parser's error. */
static struct pairs extra_hosts(struct arena *arena, const struct strings *list)
{
    struct pairs pairs = {arena_new_array(arena, struct pair, list->n), list->n};

    for (size_t i = 0; i < list->n; i++) {
        const char *text = list->items[i];
        size_t len = strcspn(text, ":=");

        pairs.items[i].name = arena_strndup(arena, text, len);
        pairs.items[i].value = text[len] ? text + len + 1 : "";
    }
    return pairs;
}

/* The container can't see it before it is whole: no temporary name, no rename. What an earlier run
 * had mounted is another file. */
static int write_file(int dir_fd, const char *name, const struct buf *text, struct error *err)
{
    cleanup_fd int fd = -1;

    (void)unlinkat(dir_fd, name, 0); /* absent the first time */
    fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_sys(err, errno, "make \"%s\"", name);
    return fs_write_all(fd, text->data, text->len, err);
}

static int write_hosts(struct supervised *container, const struct container_record *record,
                       struct arena *arena, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct hosts_options options = {
        .hostname = record->resolved.hostname,
        .addresses.items = arena_new_array(arena, const char *, container->n_endpoints),
        .addresses.n = container->n_endpoints,
        .extra_hosts = extra_hosts(arena, &record->spec->extra_hosts),
        .host_gateway = default_gateway(arena, container),
    };

    for (size_t i = 0; i < container->n_endpoints; i++)
        options.addresses.items[i] = container->endpoints[i].ip;
    if (hosts_print(&text, &options, err) < 0)
        return -1;
    return write_file(container->dir_fd, "hosts", &text, err);
}

static int write_resolv_conf(struct supervised *container, const struct container_record *record,
                             struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT, host = BUF_INIT;
    struct error ignored;
    struct resolv_conf_options options = {
        .has_resolver = container->n_endpoints > 0,
        .dns_servers = record->spec->dns,
    };

    /* A host without the file has no name servers: the same as an empty one. */
    (void)fs_read_file(-1, "/etc/resolv.conf", RESOLV_CONF_MAX_BYTES, &host, &ignored);
    options.host_text = buf_text(&host);
    resolv_conf_print(&text, &options);
    return write_file(container->dir_fd, "resolv.conf", &text, err);
}

int attach_name_files(struct supervised *container, const struct container_record *record,
                      struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf hostname = BUF_INIT;

    hostname_print(&hostname, record->resolved.hostname);
    if (write_hosts(container, record, &arena, err) < 0 ||
        write_resolv_conf(container, record, err) < 0)
        return -1;
    return write_file(container->dir_fd, "hostname", &hostname, err);
}

/* ------------------------------------------------------------------ ports */

/* The kernel knows processes only, and that of a port is a keeper. */
static int refused(const struct supervised *container, const struct port_request *request,
                   struct error *err)
{
    cleanup_buf struct buf holder = BUF_INIT;

    if (err->code == ERROR_CONFLICT && request->first == request->last &&
        port_holder_find(container, request, &holder))
        return error_set(err, ERROR_CONFLICT, "port %u/%s is already published by %s",
                         request->first, port_protocol_names[request->protocol], buf_text(&holder));
    return -1;
}

static int reserve(const struct supervised *container, const struct port_spec *spec,
                   const struct supervised_port *known, struct supervised_port *ret,
                   struct error *err)
{
    struct port_request request = {
        .host_ip = spec->host_ip,
        .first = known ? known->host_port : spec->host_first,
        .last = known ? known->host_port : spec->host_last,
        .protocol = strcmp(spec->protocol, "udp") == 0 ? PORT_UDP : PORT_TCP,
    };
    bool is_address = spec->host_ip && *spec->host_ip && !strchr(spec->host_ip, ':');

    *ret = (struct supervised_port){.reservation = PORT_RESERVATION_INIT};
    if (request.last < request.first)
        request.last = request.first;
    if (port_reserve(&request, &ret->reservation, err) < 0)
        return refused(container, &request, err);
    ret->host_port = ret->reservation.port;
    ret->container_port = spec->container_port;
    ret->protocol = request.protocol;
    (void)snprintf(ret->host_ip, sizeof(ret->host_ip), "%s",
                   is_address ? spec->host_ip : "0.0.0.0");
    return 0;
}

/* Ports are reached through the first network with a way out; with internal ones only, the first
 * is asked, and says why not. */
static int find_publisher(struct arena *arena, const struct supervised *container,
                          const struct supervised_endpoint **ret,
                          const struct network_record **ret_network, struct error *err)
{
    const struct network_dirs dirs = keeper_network_dirs(container->keeper);

    for (size_t i = 0; i < container->n_endpoints; i++) {
        const struct network_record *network;

        if (network_find(arena, &dirs, container->endpoints[i].network, &network, err) < 0)
            return -1;
        if (i > 0 && network->spec.is_internal)
            continue;
        *ret = &container->endpoints[i];
        *ret_network = network;
        if (!network->spec.is_internal)
            break;
    }
    return 0;
}

static int publish(struct supervised *container, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const struct network_dirs dirs = keeper_network_dirs(container->keeper);
    const struct network_record *network = NULL;
    const struct supervised_endpoint *endpoint = NULL;
    struct network_port *ports = arena_new_array(&arena, struct network_port, container->n_ports);
    size_t n = 0;

    if (find_publisher(&arena, container, &endpoint, &network, err) < 0)
        return -1;

    for (size_t i = 0; i < container->n_ports; i++) {
        struct supervised_port *port = &container->ports[i];

        if (port->reservation.fd6 >= 0 &&
            proxy_start(container->keeper->base, port->protocol, &port->reservation.fd6,
                        endpoint->ip, port->container_port, &port->proxy, err) < 0)
            return -1;
        if (port->reservation.fd4 < 0)
            continue;
        ports[n].host_port = port->host_port;
        ports[n].container_port = port->container_port;
        ports[n].protocol = port->protocol;
        memcpy(ports[n].host_ip, port->host_ip, sizeof(ports[n].host_ip));
        n++;
    }
    return network_publish(&dirs, network, container->id, ports, n, err);
}

/* No rule leads to the container any more. */
static void unpublish(struct supervised *container)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const struct network_dirs dirs = keeper_network_dirs(container->keeper);
    const struct network_record *network = NULL;
    const struct supervised_endpoint *endpoint = NULL;
    struct error err = ERROR_INIT;

    if (container->n_endpoints > 0 &&
        (find_publisher(&arena, container, &endpoint, &network, &err) < 0 ||
         network_publish(&dirs, network, container->id, NULL, 0, &err) < 0) &&
        err.code != ERROR_NOT_FOUND)
        keeper_log("ports of \"%s\": %s, continuing", container->name, err.text);
}

/* A port that was had before (restart, new keeper) is wanted again, not just any of the range. */
int attach_ports(struct supervised *container, const struct container_record *record,
                 struct error *err)
{
    const struct container_spec *spec = record->spec;
    struct supervised_port *known = container->ports;
    size_t n_known = container->n_ports;
    int result = 0;

    if (spec->n_ports == 0 || container->n_endpoints == 0)
        return 0;
    if (spec->n_ports > PORTS_MAX)
        return error_set(err, ERROR_INVALID, "publish ports: more than %d", (int)PORTS_MAX);
    container->ports = x_alloc_array(spec->n_ports, sizeof(*container->ports));
    container->n_ports = 0;
    for (size_t i = 0; i < spec->n_ports && result == 0; i++) {
        result = reserve(container, &spec->ports[i], n_known == spec->n_ports ? &known[i] : NULL,
                         &container->ports[i], err);
        container->n_ports += result == 0;
    }
    free(known);
    if (result == 0)
        result = publish(container, err);
    if (result < 0) {
        unpublish(container); /* what the keeper before this one published, too */
        attach_release_ports(container);
        return error_wrap(err, "publish ports");
    }
    return 0;
}

static void port_release(struct supervised_port *port)
{
    proxy_free(port->proxy);
    port_reservation_release(&port->reservation);
    port->proxy = NULL;
}

/* The port of `was` is what `want` asks for. */
static bool is_same_port(const struct port_spec *was, const struct port_spec *want,
                         const struct supervised_port *port)
{
    bool same_number =
        want->host_first == 0
            ? was->host_first == 0
            : port->host_port >= want->host_first &&
                  port->host_port <= (want->host_last ? want->host_last : want->host_first);

    return same_number &&
           text_equal(was->host_ip ? was->host_ip : "", want->host_ip ? want->host_ip : "") &&
           was->container_port == want->container_port &&
           strcmp(was->protocol, want->protocol) == 0;
}

enum { NOT_KEPT = -1 };

/* from[i]: which of the old ports the new one is. Every one is used once. */
static void match_ports(const struct supervised *container, const struct container_spec *old,
                        const struct container_spec *spec, int *from)
{
    bool is_used[PORTS_MAX] = {false};

    for (size_t i = 0; i < spec->n_ports; i++) {
        from[i] = NOT_KEPT;
        for (size_t j = 0; j < container->n_ports && from[i] == NOT_KEPT; j++) {
            if (is_used[j] || !is_same_port(&old->ports[j], &spec->ports[i], &container->ports[j]))
                continue;
            is_used[j] = true;
            from[i] = (int)j;
        }
    }
    for (size_t j = 0; j < container->n_ports; j++) {
        if (!is_used[j])
            port_release(&container->ports[j]);
    }
}

/* Back to the ports of `old`, as many as can be had. `before` has one each, of which those that are
 * not kept were released; NULL: they are all had anew. */
static void restore_ports(struct supervised *container, const struct container_spec *old,
                          const struct supervised_port *before)
{
    struct error err = ERROR_INIT;

    container->n_ports = 0;
    for (size_t j = 0; j < old->n_ports; j++) {
        struct supervised_port *port = &container->ports[container->n_ports];
        const struct supervised_port *known = before ? &before[j] : NULL;

        *port = known ? *known : (struct supervised_port){.reservation = PORT_RESERVATION_INIT};
        if (port->reservation.fd4 >= 0 || port->reservation.fd6 >= 0 || port->proxy ||
            reserve(container, &old->ports[j], known, port, &err) == 0)
            container->n_ports++;
        else
            keeper_log("ports of \"%s\": %s, continuing without it", container->name, err.text);
    }
    if (publish(container, &err) < 0)
        keeper_log("ports of \"%s\": %s, continuing", container->name, err.text);
}

/* Some of the old ones could not be had again, so it is not known which. */
static int begin_ports_anew(struct supervised *container, const struct container_spec *old,
                            const struct container_record *record, struct error *err)
{
    attach_release_ports(container);
    if (attach_ports(container, record, err) == 0)
        return 0;
    free(container->ports);
    container->ports = x_alloc_array(old->n_ports, sizeof(*container->ports));
    restore_ports(container, old, NULL);
    supervise_changed(container); /* more than before, if somebody let go of one */
    return -1;
}

int attach_change_ports(struct supervised *container, const struct container_record *old,
                        const struct container_record *record, struct error *err)
{
    const struct container_spec *spec = record->spec;
    struct supervised_port *before = container->ports;
    size_t n_before = container->n_ports;
    int from[PORTS_MAX], result = 0;

    if (container->n_endpoints == 0 || (spec->n_ports == 0 && n_before == 0))
        return 0;
    if (spec->n_ports > PORTS_MAX)
        return error_set(err, ERROR_INVALID, "publish ports: more than %d", (int)PORTS_MAX);
    if (n_before != old->spec->n_ports)
        return begin_ports_anew(container, old->spec, record, err);
    match_ports(container, old->spec, spec, from);
    container->ports =
        x_alloc_array(spec->n_ports > n_before ? spec->n_ports : n_before, sizeof(*before));
    container->n_ports = 0;
    for (size_t i = 0; i < spec->n_ports && result == 0; i++) {
        if (from[i] != NOT_KEPT)
            container->ports[i] = before[from[i]];
        else
            result = reserve(container, &spec->ports[i], NULL, &container->ports[i], err);
        container->n_ports += result == 0;
    }
    if (result == 0)
        result = publish(container, err);
    if (result < 0) {
        for (size_t i = 0; i < container->n_ports; i++) {
            if (from[i] == NOT_KEPT)
                port_release(&container->ports[i]);
            else
                before[from[i]] = container->ports[i]; /* it may have its proxy now */
        }
        restore_ports(container, old->spec, before);
        (void)error_wrap(err, "publish ports");
    }
    free(before);
    return result;
}

void attach_release_ports(struct supervised *container)
{
    if (container->n_ports == 0)
        return;
    unpublish(container);
    for (size_t i = 0; i < container->n_ports; i++)
        port_release(&container->ports[i]);
    free(container->ports);
    container->ports = NULL;
    container->n_ports = 0;
}

/* ------------------------------------------------------------------ letting go */

void attach_release(struct supervised *container)
{
    attach_release_ports(container);
    if (container->keeper->resolver)
        resolver_remove_container(container->keeper->resolver, container->id);
    if (container->netns_fd >= 0)
        close(container->netns_fd);
    container->netns_fd = -1;
}

static void detach(struct supervised *container, const char *network)
{
    const struct network_dirs dirs = keeper_network_dirs(container->keeper);
    struct error err = ERROR_INIT;

    if (network_detach(&dirs, network, container->id, &err) < 0)
        keeper_log("detach \"%s\" from \"%s\": %s, continuing", container->name, network, err.text);
}

/* Addresses too. The record names networks that were never reached, which is harmless. */
void attach_detach(struct supervised *container, const struct container_record *record)
{
    attach_release(container);
    for (size_t i = 0; i < container->n_endpoints; i++) {
        if (container->endpoints[i].network)
            detach(container, container->endpoints[i].network);
    }
    for (size_t i = 0; record && container->n_endpoints == 0 && i < record->spec->n_networks; i++)
        detach(container, record->spec->networks[i].network);
}
