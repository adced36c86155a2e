/* The keys of top-level networks and volumes, in the order `config` prints them. */

#include "compose/file/load.h"
#include "compose/file/row.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"

static const struct field pool_fields[] = {
    FIELD("subnet", "Addresses of the network, such as 172.28.0.0/16.", .type = &type_subnet,
          .offset = offsetof(struct network_pool, subnet)),
    FIELD("gateway", "The host's address in it; default: the first.", .type = &type_ipv4,
          .offset = offsetof(struct network_pool, gateway)),
    LATER("ip_range", "Part of the subnet that containers get addresses from."),
    LATER("aux_addresses", "Addresses that are taken, by name."),
};
static const struct shape pools_shape =
    SHAPE_OF(pool_fields, .size = sizeof(struct network_pool),
             .kept_offset = offsetof(struct network_pool, kept));
static const struct field ipam_fields[] = {
    FIELD("driver", "Who hands out addresses; only default.", .type = &type_ipam_driver),
    FIELD("config", "The network's subnets.", .type = &type_pools, .merge = MERGE_POOLS,
          .shape = &pools_shape),
    LATER("options", "Options for the driver."),
};
static const struct shape ipam_shape = SHAPE_OF(ipam_fields, .size = sizeof(struct network),
                                                .kept_offset = offsetof(struct network, ipam_kept));

#define AT(member) .offset = offsetof(struct network, member)

static const struct field network_fields[] = {
    FIELD("name", "The network's own name, without the project's in front.", .type = &type_name,
          AT(name)),
    FIELD("driver", "What makes the network; bridge.", .type = &type_network_driver, AT(driver)),
    FIELD("driver_opts", "Options for the driver.", .type = &type_empty),
    FIELD("ipam", "Subnets and addresses.", .type = &type_ipam, .shape = &ipam_shape),
    FIELD("external", "It exists already; berth neither makes nor removes it.", .type = &type_bool,
          AT(external)),
    FIELD("internal", "No way out of the network.", .type = &type_bool, AT(internal)),
    LATER("attachable", "Containers of others may join."),
    FIELD("labels", "Labels for the network.", .type = &type_labels, .merge = MERGE_PAIRS,
          AT(labels)),
    LATER("enable_ipv4", "Hand out IPv4 addresses; default true."),
    LATER("enable_ipv6", "Hand out IPv6 addresses, too."),
};
const struct shape network_shape = SHAPE_OF(network_fields, .size = sizeof(struct network),
                                            .kept_offset = offsetof(struct network, kept));

#undef AT
#define AT(member) .offset = offsetof(struct volume, member)

static const struct field volume_fields[] = {
    FIELD("name", "The volume's own name, without the project's in front.", .type = &type_name,
          AT(name)),
    FIELD("driver", "What keeps the data; local.", .type = &type_volume_driver, AT(driver)),
    FIELD("driver_opts", "Options for the driver.", .type = &type_empty),
    FIELD("external", "It exists already; berth neither makes nor removes it.", .type = &type_bool,
          AT(external)),
    FIELD("labels", "Labels for the volume.", .type = &type_labels, .merge = MERGE_PAIRS,
          AT(labels)),
};
const struct shape volume_shape = SHAPE_OF(volume_fields, .size = sizeof(struct volume),
                                           .kept_offset = offsetof(struct volume, kept));
