/* The keys of a service's networks and ports, in the order `config` prints them. */

#include "compose/file/load.h"
#include "compose/file/row.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"

static const struct field attachment_fields[] = {
    FIELD("aliases", .type = &type_texts, .offset = offsetof(struct service_network, aliases),
          .unique = unique_text),
    LATER("interface_name"),
    FIELD("ipv4_address", .type = &type_ipv4,
          .offset = offsetof(struct service_network, ipv4_address)),
    LATER("ipv6_address"),
    LATER("link_local_ips"),
    LATER("mac_address"),
    LATER("driver_opts"),
    LATER("priority"),
    LATER("gw_priority"),
};
static const struct shape attachment_shape =
    SHAPE_OF(attachment_fields, .size = sizeof(struct service_network));
static const struct field attachment_field =
    FIELD("networks", .type = &type_object, .shape = &attachment_shape);
const struct shape attachments_shape =
    SHAPE_OF(attachment_fields, .each = &attachment_field, .size = sizeof(struct service_network));

static const struct field port_fields[] = {
    FIELD("name", .type = &type_text, .offset = offsetof(struct service_port, name)),
    FIELD("mode", .type = &type_port_mode),
    FIELD("host_ip", .type = &type_address, .offset = offsetof(struct service_port, host_ip)),
    FIELD("target", .type = &type_port_target),
    FIELD("published", .type = &type_port_published),
    FIELD("protocol", .type = &type_port_protocol,
          .offset = offsetof(struct service_port, protocol)),
    LATER("app_protocol"),
};
static const struct service_port port_defaults = {.protocol = "tcp"};
const struct shape ports_shape =
    SHAPE_OF(port_fields, .size = sizeof(struct service_port), .defaults = &port_defaults);
