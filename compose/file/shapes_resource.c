/* The keys of top-level networks and volumes, in the order `config` prints them. */

#include "compose/file/load.h"
#include "compose/file/row.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"

static const struct field pool_fields[] = {
    FIELD("subnet", .type = &type_subnet, .offset = offsetof(struct network_pool, subnet)),
    FIELD("gateway", .type = &type_ipv4, .offset = offsetof(struct network_pool, gateway)),
    LATER("ip_range"),
    LATER("aux_addresses"),
};
static const struct shape pools_shape = SHAPE_OF(pool_fields, .size = sizeof(struct network_pool));
static const struct field ipam_fields[] = {
    FIELD("driver", .type = &type_ipam_driver),
    FIELD("config", .type = &type_pools, .merge = MERGE_POOLS, .shape = &pools_shape),
    LATER("options"),
};
static const struct shape ipam_shape = SHAPE_OF(ipam_fields, .size = sizeof(struct network));

static const struct field network_fields[] = {
    FIELD("name", .type = &type_name, .offset = offsetof(struct network, name)),
    FIELD("driver", .type = &type_network_driver, .offset = offsetof(struct network, driver)),
    FIELD("driver_opts", .type = &type_empty),
    FIELD("ipam", .type = &type_ipam, .shape = &ipam_shape),
    FIELD("external", .type = &type_bool, .offset = offsetof(struct network, external)),
    FIELD("internal", .type = &type_bool, .offset = offsetof(struct network, internal)),
    LATER("attachable"),
    FIELD("labels", .type = &type_labels, .merge = MERGE_PAIRS,
          .offset = offsetof(struct network, labels)),
    LATER("enable_ipv4"),
    LATER("enable_ipv6"),
};
const struct shape network_shape = SHAPE_OF(network_fields, .size = sizeof(struct network));

static const struct field volume_fields[] = {
    FIELD("name", .type = &type_name, .offset = offsetof(struct volume, name)),
    FIELD("driver", .type = &type_volume_driver, .offset = offsetof(struct volume, driver)),
    FIELD("driver_opts", .type = &type_empty),
    FIELD("external", .type = &type_bool, .offset = offsetof(struct volume, external)),
    FIELD("labels", .type = &type_labels, .merge = MERGE_PAIRS,
          .offset = offsetof(struct volume, labels)),
};
const struct shape volume_shape = SHAPE_OF(volume_fields, .size = sizeof(struct volume));
