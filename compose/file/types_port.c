/* ports: "[[IP:]HOST:]CONTAINER[/proto]" and the long form (compose.md 3.4). */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"
#include "compose/file/unhonoured.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "engine/base/vec.h"

struct port_range {
    uint16_t first;
    uint16_t last; /* 0, 0: none */
};

struct short_port {
    struct str host_ip;
    struct port_range published;
    struct port_range target;
    const char *protocol;
};

/* "[[IP:]HOST:]CONTAINER[/proto]", with ranges */
#define SHORT_PATTERN                                                                              \
    "^(((\\[?[0-9a-fA-F.:]+\\]?)?:)?([0-9]+(-[0-9]+)?)?:)?[0-9]+(-[0-9]+)?(/[a-zA-Z]+)?$"
static const struct schema port_schema = {
    .forms = SCHEMA_INT | SCHEMA_TEXT, .pattern = SHORT_PATTERN, .range = RANGE(1, 65535)};
static const char *const port_modes[] = {"ingress", "host", NULL};
static const char *const protocols[] = {"tcp", "udp", "sctp", NULL};

static const char *find_protocol(struct str text)
{
    for (size_t i = 0; protocols[i]; i++) {
        if (text.len == strlen(protocols[i]) && strncasecmp(text.data, protocols[i], text.len) == 0)
            return protocols[i];
    }
    return NULL;
}

static int parse_range(struct str text, uint16_t min, struct port_range *ret)
{
    struct str first;
    struct str last;
    uint64_t low;
    uint64_t high;

    if (!str_cut(text, '-', &first, &last))
        last = first;
    if (parse_u64(first, min, 65535, &low, NULL) < 0 ||
        parse_u64(last, min, 65535, &high, NULL) < 0 || high < low)
        return -1;
    *ret = (struct port_range){.first = (uint16_t)low, .last = (uint16_t)high};
    return 0;
}

static bool is_address(struct str text)
{
    char copy[INET6_ADDRSTRLEN + 1];
    unsigned char binary[16];

    if (text.len == 0 || text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    return inet_pton(AF_INET, copy, binary) == 1 || inet_pton(AF_INET6, copy, binary) == 1;
}

static int parse_host_ip(struct str text, struct str *ret, struct error *err)
{
    if (text.len > 2 && text.data[0] == '[' && text.data[text.len - 1] == ']')
        text = (struct str){text.data + 1, text.len - 2};
    if (!is_address(text))
        return error_set(err, ERROR_INVALID, "invalid ip address: " STR_FMT, STR_ARG(text));
    *ret = text;
    return 0;
}

static int parse_short(const char *spec, struct short_port *ret, struct error *err)
{
    struct short_port port = {.protocol = "tcp"};
    struct str rest = str_from(spec);
    struct str head;
    struct str tail = {0};
    bool has_host;

    if (str_cut_last(rest, '/', &head, &tail)) {
        port.protocol = find_protocol(tail);
        rest = head;
    }
    if (!port.protocol)
        return error_set(err, ERROR_INVALID, "invalid proto: " STR_FMT, STR_ARG(tail));
    has_host = str_cut_last(rest, ':', &head, &tail);
    if (!has_host)
        tail = rest;
    if (tail.len == 0)
        return error_set(err, ERROR_INVALID, "no port specified: %s", *spec ? spec : "<empty>");
    if (parse_range(tail, 1, &port.target) < 0)
        return error_set(err, ERROR_INVALID, "invalid containerPort: " STR_FMT, STR_ARG(tail));
    if (has_host) {
        struct str published = head;
        struct str address;
        bool has_address = str_cut_last(head, ':', &address, &published);

        if (!has_address)
            published = head;
        /* ":80:80", of ${BIND:-}:80:80, is every address */
        if (has_address && address.len > 0 && parse_host_ip(address, &port.host_ip, err) < 0)
            return -1;
        if (published.len > 0 && parse_range(published, 0, &port.published) < 0)
            return error_set(err, ERROR_INVALID, "invalid hostPort: " STR_FMT, STR_ARG(published));
    }
    if (port.published.last > 0 && port.target.first != port.target.last &&
        port.published.last - port.published.first != port.target.last - port.target.first)
        return error_set(err, ERROR_INVALID,
                         "invalid ranges specified for container and host ports: " STR_FMT,
                         STR_ARG(rest));
    *ret = port;
    return 0;
}

/* ---- long form --------------------------------------------------------------------------------
 */

static const struct node *int_node(struct load *load, unsigned value, struct span span)
{
    return node_new_scalar(load->arena, NODE_INT, arena_printf(load->arena, "%u", value), span);
}

static struct node *long_port(struct load *load, const struct short_port *port, unsigned offset,
                              struct span span)
{
    struct node *map = node_new(load->arena, NODE_MAP, span, 5);
    const char *published = NULL;

    if (port->published.last > 0 && port->target.first == port->target.last &&
        port->published.first != port->published.last)
        published = arena_printf(load->arena, "%u-%u", port->published.first, port->published.last);
    else if (port->published.last > 0)
        published = arena_printf(load->arena, "%u", port->published.first + offset);
    node_add(map, "mode", span, node_new_text(load->arena, "ingress", span));
    if (port->host_ip.len > 0)
        node_add(map, "host_ip", span,
                 node_new_text(load->arena,
                               arena_strndup(load->arena, port->host_ip.data, port->host_ip.len),
                               span));
    node_add(map, "target", span, int_node(load, port->target.first + offset, span));
    if (published)
        node_add(map, "published", span, node_new_text(load->arena, published, span));
    node_add(map, "protocol", span, node_new_text(load->arena, port->protocol, span));
    return map;
}

enum { PORTS_MAX = 70000 }; /* of a project: the whole range, and some */

struct port_list {
    struct node_entry *items;
    size_t n;
    size_t capacity;
};

static bool is_short_form(const struct node *item)
{
    return item->kind == NODE_SCALAR && (item->type == NODE_TEXT || item->type == NODE_INT);
}

/* An item as entries of the long list. A short form that can't be parsed is reported and stays;
 * binding passes over it. Returns -1 when there are too many. */
static int add_long(struct load *load, const struct node *item, struct port_list *list)
{
    struct short_port port = {0};
    struct error error = ERROR_INIT;
    bool is_short = is_short_form(item);
    unsigned n_ports = 1;

    if (is_short && parse_short(item->text, &port, &error) < 0) {
        report_error(&load->report, item->span, NULL, "%s: %s", report_path(&load->report),
                     error.text);
        is_short = false;
    }
    if (is_short)
        n_ports = port.target.last - port.target.first + 1U;
    load->n_ports += n_ports;
    if (load->n_ports > PORTS_MAX)
        return report_error(&load->report, item->span, NULL, "more than %d ports", PORTS_MAX);
    for (unsigned i = 0; i < n_ports; i++) {
        if (list->n == list->capacity)
            list->items = vec_grow(list->items, &list->capacity, list->n + 1, sizeof(*list->items));
        list->items[list->n++] = (struct node_entry){
            .span = item->span,
            .value = is_short ? long_port(load, &port, i, item->span) : item,
        };
    }
    return 0;
}

static struct node *ports_canonical(struct load *load, const struct field *field,
                                    const struct node *node)
{
    struct port_list ports = {0};
    struct node *list;
    int result = 0;

    (void)field;
    if (node->kind != NODE_LIST)
        return NULL;
    for (size_t i = 0; i < node->n && load->n_ports <= PORTS_MAX && result == 0; i++) {
        report_enter_index(&load->report, i);
        result = add_long(load, node->entries[i].value, &ports);
        report_leave(&load->report);
    }
    list = node_new(load->arena, NODE_LIST, node->span, ports.n);
    for (size_t i = 0; i < ports.n; i++)
        node_add(list, NULL, ports.items[i].span, ports.items[i].value);
    free(ports.items);
    return list;
}

static const char *scalar_or(const struct node *map, const char *key, const char *fallback)
{
    const struct node *value = node_get(map, key);

    return value && value->kind == NODE_SCALAR && !node_is_null(value) ? value->text : fallback;
}

const char *port_unique(struct arena *arena, const struct node *item)
{
    if (item->kind != NODE_MAP)
        return NULL;
    return arena_printf(arena, "%s|%s|%s|%s", scalar_or(item, "host_ip", "0.0.0.0"),
                        scalar_or(item, "published", ""), scalar_or(item, "target", ""),
                        scalar_or(item, "protocol", "tcp"));
}

/* ---- binding ----------------------------------------------------------------------------------
 */

static void ports_decode(struct load *load, const struct field *field, const struct node *node,
                         void *object)
{
    struct service *service = object;

    if (!want_kind(load, node, WANT_LIST))
        return;
    service->ports = arena_new_array(load->arena, struct service_port, node->n + 1);
    for (size_t i = 0; i < node->n; i++) {
        const struct node *item = node->entries[i].value;
        struct service_port *port = &service->ports[service->n_ports];

        if (is_short_form(item))
            continue; /* reported as a short form */
        report_enter_index(&load->report, i);
        if (item->kind != NODE_MAP) {
            wrong_type(load, item, "a number, string or mapping");
        } else {
            shape_init(field->shape, port);
            port->span = item->span;
            shape_decode(load, field->shape, item, port);
            service->n_ports++;
        }
        report_leave(&load->report);
    }
}

static int compare_targets(const void *a, const void *b)
{
    char left[sizeof("65535")];
    char right[sizeof("65535")];

    (void)snprintf(left, sizeof(left), "%u", ((const struct service_port *)a)->target);
    (void)snprintf(right, sizeof(right), "%u", ((const struct service_port *)b)->target);
    return strcmp(left, right);
}

/* Compose prints what one range gave sorted as text: 10000 before 9999. */
static struct service_port *printed_order(const struct encoder *encoder,
                                          const struct service *service)
{
    struct service_port *ports =
        arena_memdup(encoder->arena, service->ports, service->n_ports * sizeof(ports[0]));
    size_t first = 0;

    for (size_t i = 1; i <= service->n_ports; i++) {
        if (i < service->n_ports && span_equal(ports[i].span, ports[first].span))
            continue;
        qsort(&ports[first], i - first, sizeof(ports[0]), compare_targets);
        first = i;
    }
    return ports;
}

static const struct node *ports_encode(const struct encoder *encoder, const struct field *field,
                                       const void *object)
{
    const struct service *service = object;
    struct node *list = encode_list(encoder, service->n_ports);
    const struct service_port *ports;

    if (service->n_ports == 0)
        return NULL;
    ports = printed_order(encoder, service);
    for (size_t i = 0; i < service->n_ports; i++)
        encode_put(list, NULL, shape_encode(encoder, field->shape, &ports[i]));
    return list;
}

const struct field_type type_ports = {.canonical = ports_canonical,
                                      .decode = ports_decode,
                                      .encode = ports_encode,
                                      .schema = {.forms = SCHEMA_LIST, .items = &port_schema}};

static void target_decode(struct load *load, const struct field *field, const struct node *node,
                          void *object)
{
    struct service_port *port = object;
    int64_t value;

    (void)field;
    if (want_int(load, node, 1, 65535, &value) == 0)
        port->target = (uint16_t)value;
}

static const struct node *target_encode(const struct encoder *encoder, const struct field *field,
                                        const void *object)
{
    const struct service_port *port = object;

    (void)field;
    return encode_int(encoder, port->target);
}

const struct field_type type_port_target = {.decode = target_decode,
                                            .encode = target_encode,
                                            .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT,
                                                       .pattern = INTEGER_PATTERN,
                                                       .range = RANGE(1, 65535)}};

static void published_decode(struct load *load, const struct field *field, const struct node *node,
                             void *object)
{
    struct service_port *port = object;
    struct port_range range;

    (void)field;
    if (node->kind != NODE_SCALAR || (node->type != NODE_TEXT && node->type != NODE_INT)) {
        wrong_type(load, node, "a number or string");
    } else if (*node->text && parse_range(str_from(node->text), 0, &range) < 0) {
        report_error(&load->report, node->span, NULL, "%s: \"%s\" is no port or range of ports",
                     report_path(&load->report), node->text);
    } else if (*node->text) {
        port->published_first = range.first;
        port->published_last = range.last;
    }
}

static const struct node *published_encode(const struct encoder *encoder, const struct field *field,
                                           const void *object)
{
    const struct service_port *port = object;

    (void)field;
    if (port->published_last == 0)
        return NULL;
    if (port->published_first == port->published_last)
        return encode_text(encoder, arena_printf(encoder->arena, "%u", port->published_first));
    return encode_text(encoder, arena_printf(encoder->arena, "%u-%u", port->published_first,
                                             port->published_last));
}

const struct field_type type_port_published = {.decode = published_decode,
                                               .encode = published_encode,
                                               .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT,
                                                          .pattern = "^([0-9]+(-[0-9]+)?)?$",
                                                          .range = RANGE(0, 65535)}};

static void protocol_decode(struct load *load, const struct field *field, const struct node *node,
                            void *object)
{
    const char *text = want_text(load, node);
    const char *protocol = text ? find_protocol(str_from(text)) : NULL;

    if (text && !protocol)
        report_error(&load->report, node->span, "tcp, udp or sctp", "%s: invalid proto: %s",
                     report_path(&load->report), text);
    else if (text && strcmp(protocol, "sctp") == 0)
        unhonoured_note_value(load, node);
    *SLOT(const char *, object, field) = protocol;
}

static const struct node *protocol_encode(const struct encoder *encoder, const struct field *field,
                                          const void *object)
{
    return encode_text(encoder, *SLOT_CONST(char *, object, field));
}

const struct field_type type_port_protocol = {
    .decode = protocol_decode,
    .encode = protocol_encode,
    .schema = {.forms = SCHEMA_TEXT,
               .words = protocols,
               .pattern = "^([tT][cC][pP]|[uU][dD][pP]|[sS][cC][tT][pP])$"}};

/* They mean the same without a swarm; so does any other word, of which some are in wide use. */
static void mode_decode(struct load *load, const struct field *field, const struct node *node,
                        void *object)
{
    bool is_known = false;

    if (!want_text(load, node))
        return;
    for (size_t i = 0; port_modes[i]; i++)
        is_known |= strcmp(node->text, port_modes[i]) == 0;
    if (!is_known && *node->text)
        report_warning(&load->report, node->span, "ingress or host",
                       "%s: mode \"%s\" is unknown and has no effect", report_path(&load->report),
                       node->text);
    if (*node->text)
        *SLOT(const char *, object, field) = node->text;
}

const struct field_type type_port_mode = {
    .decode = mode_decode, .encode = protocol_encode, .schema = {.forms = SCHEMA_TEXT}};
