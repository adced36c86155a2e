/* The keys of a service's networks and ports, in the order `config` prints them. */

#include "compose/file/load.h"
#include "compose/file/row.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"

#define AT(member) .offset = offsetof(struct service_network, member)

static const struct field address_item = {.about = "An address.", .type = &kept_address};
static const struct shape addresses_shape = {.each = &address_item};

static const struct field attachment_fields[] = {
    FIELD("aliases", "More names by which others on this network find the service.",
          .type = &type_texts, AT(aliases), .unique = unique_text),
    KEPT("driver_opts", "Options for the network's driver.", .type = &kept_map),
    KEPT("gw_priority", "The network with the highest one gives the default route.",
         .type = &kept_nonzero),
    KEPT("interface_name", "Name of the network interface in the container.", .type = &kept_text,
         .pattern = "^[^/: ]{1,15}$"),
    FIELD("ipv4_address", "Fixed IPv4 address in this network.", .type = &type_ipv4,
          AT(ipv4_address)),
    KEPT("ipv6_address", "Fixed IPv6 address in this network.", .type = &kept_address),
    KEPT("link_local_ips", "Link-local addresses for the interface.", .type = &kept_list,
         .shape = &addresses_shape, .unique = unique_text),
    KEPT("mac_address", "Hardware address of the interface.", .type = &kept_text,
         .pattern = MAC_ADDRESS_PATTERN),
    KEPT("priority", "Networks are attached in this order, the highest first.",
         .type = &kept_nonzero),
};
static const struct shape attachment_shape =
    SHAPE_OF(attachment_fields, .size = sizeof(struct service_network),
             .kept_offset = offsetof(struct service_network, kept));
static const struct field attachment_field =
    FIELD("networks", "How the service is attached to the network.", .type = &type_object_or_null,
          .shape = &attachment_shape);
const struct shape attachments_shape =
    SHAPE_OF(attachment_fields, .each = &attachment_field, .size = sizeof(struct service_network),
             .kept_offset = offsetof(struct service_network, kept));

#undef AT
#define AT(member) .offset = offsetof(struct service_port, member)

static const struct field port_fields[] = {
    FIELD("name", "A name for the port, for people.", .type = &type_text, AT(name)),
    FIELD("mode", "ingress or host; the same on one machine.", .type = &type_port_mode, AT(mode)),
    FIELD("host_ip", "Address of the host to listen on; default: all.", .type = &type_address,
          AT(host_ip)),
    FIELD("target", "Port in the container.", .type = &type_port_target, .is_required = true),
    FIELD("published", "Port of the host, or a range to take a free one from.",
          .type = &type_port_published),
    FIELD("protocol", "tcp, udp or sctp; default tcp.", .type = &type_port_protocol, AT(protocol)),
    FIELD("app_protocol", "What is spoken on the port, such as http; for people.",
          .type = &type_text, AT(app_protocol)),
};
static const struct service_port port_defaults = {.protocol = "tcp", .mode = "ingress"};
const struct shape ports_shape =
    SHAPE_OF(port_fields, .size = sizeof(struct service_port), .defaults = &port_defaults,
             .kept_offset = offsetof(struct service_port, kept));
