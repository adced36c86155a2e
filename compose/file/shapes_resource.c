/* The keys of top-level networks, volumes, secrets, configs and models, in the order `config`
 * prints them. */

#include "compose/file/load.h"
#include "compose/file/row.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"

static const struct field driver_option = {.about = "A number or text.",
                                           .type = &kept_driver_option};
static const struct shape driver_options_shape = {.each = &driver_option};
static const struct field text_option = {.about = "Text.", .type = &kept_text};
static const struct shape text_options_shape = {.each = &text_option};

/* ---- networks ---------------------------------------------------------------------------------
 */

static const struct field address_value = {.about = "An address.", .type = &kept_address};
static const struct shape addresses_shape = {.each = &address_value};

static const struct field pool_fields[] = {
    FIELD("subnet", "Addresses of the network, such as 172.28.0.0/16.", .type = &type_subnet,
          .offset = offsetof(struct network_pool, subnet)),
    FIELD("gateway", "The host's address in it; default: the first.", .type = &type_gateway,
          .offset = offsetof(struct network_pool, gateway)),
    KEPT("ip_range", "Part of the subnet that containers get addresses from.",
         .type = &kept_subnet),
    KEPT("aux_addresses", "Addresses that are taken, by name.", .type = &kept_map,
         .shape = &addresses_shape),
};
static const struct shape pools_shape =
    SHAPE_OF(pool_fields, .size = sizeof(struct network_pool),
             .kept_offset = offsetof(struct network_pool, kept));
static const struct field ipam_fields[] = {
    KEPT("driver", "Who hands out addresses; only default.", .type = &kept_text,
         .no_effect = "default"),
    FIELD("config", "The network's subnets.", .type = &type_pools, .merge = MERGE_POOLS,
          .shape = &pools_shape),
    KEPT("options", "Options for the driver.", .type = &kept_map, .shape = &text_options_shape),
};
static const struct shape ipam_shape = SHAPE_OF(ipam_fields, .size = sizeof(struct network),
                                                .kept_offset = offsetof(struct network, ipam_kept));

#define AT(member) .offset = offsetof(struct network, member)

static const struct field network_fields[] = {
    FIELD("name", "The network's own name, without the project's in front.", .type = &type_name,
          AT(name)),
    KEPT("driver", "What makes the network; bridge.", .type = &type_text, AT(driver),
         .no_effect = "bridge"),
    KEPT("driver_opts", "Options for the driver.", .type = &kept_map,
         .shape = &driver_options_shape),
    FIELD("ipam", "Subnets and addresses.", .type = &type_ipam, .shape = &ipam_shape),
    FIELD("external", "It exists already; berth neither makes nor removes it.",
          .type = &type_external, AT(external)),
    FIELD("internal", "No way out of the network.", .type = &type_bool, AT(internal)),
    ELSEWHERE("attachable", "Containers outside the swarm's services may join.",
              .type = &kept_true),
    FIELD("labels", "Labels for the network.", .type = &type_labels, .merge = MERGE_PAIRS,
          AT(labels)),
    KEPT("enable_ipv4", "Hand out IPv4 addresses; default true.", .type = &kept_bool,
         .no_effect = "true"),
    KEPT("enable_ipv6", "Hand out IPv6 addresses, too.", .type = &kept_bool, .no_effect = "false"),
};
const struct shape network_shape = SHAPE_OF(network_fields, .size = sizeof(struct network),
                                            .kept_offset = offsetof(struct network, kept));

/* ---- volumes ----------------------------------------------------------------------------------
 */

#undef AT
#define AT(member) .offset = offsetof(struct volume, member)

static const struct field volume_fields[] = {
    FIELD("name", "The volume's own name, without the project's in front.", .type = &type_name,
          AT(name)),
    KEPT("driver", "What keeps the data; local.", .type = &type_text, AT(driver),
         .no_effect = "local"),
    KEPT("driver_opts", "Options for the driver.", .type = &kept_map,
         .shape = &driver_options_shape),
    FIELD("external", "It exists already; berth neither makes nor removes it.",
          .type = &type_external, AT(external)),
    FIELD("labels", "Labels for the volume.", .type = &type_labels, .merge = MERGE_PAIRS,
          AT(labels)),
};
const struct shape volume_shape = SHAPE_OF(volume_fields, .size = sizeof(struct volume),
                                           .kept_offset = offsetof(struct volume, kept));

/* ---- secrets and configs ----------------------------------------------------------------------
 */

#undef AT
#define AT(member) .offset = offsetof(struct file_object, member)

static const struct field secret_fields[] = {
    FIELD("name", "The secret's own name, without the project's in front.", .type = &type_name,
          AT(name)),
    FIELD("file", "The file that has it.", .type = &type_text, AT(file)),
    KEPT("environment", "The variable that has it.", .type = &kept_text),
    KEPT("external", "It is kept outside the project.", .type = &type_external, AT(external),
         .no_effect = "false"),
    ELSEWHERE("labels", "Labels for a swarm's secret.", .type = &kept_labels, .merge = MERGE_PAIRS),
    KEPT("driver", "What keeps the secret.", .type = &kept_text),
    KEPT("driver_opts", "Options for the driver.", .type = &kept_map,
         .shape = &driver_options_shape),
    KEPT("template_driver", "What fills in the secret's text.", .type = &kept_text),
};
const struct shape secret_shape = SHAPE_OF(secret_fields, .size = sizeof(struct file_object),
                                           .kept_offset = offsetof(struct file_object, kept));

static const struct field config_fields[] = {
    FIELD("name", "The config's own name, without the project's in front.", .type = &type_name,
          AT(name)),
    FIELD("file", "The file that has it.", .type = &type_text, AT(file)),
    KEPT("environment", "The variable that has it.", .type = &kept_text),
    KEPT("content", "The text itself.", .type = &type_content, AT(content)),
    KEPT("external", "It is kept outside the project.", .type = &type_external, AT(external),
         .no_effect = "false"),
    ELSEWHERE("labels", "Labels for a swarm's config.", .type = &kept_labels, .merge = MERGE_PAIRS),
    KEPT("template_driver", "What fills in the config's text.", .type = &kept_text),
};
const struct shape config_shape = SHAPE_OF(config_fields, .size = sizeof(struct file_object),
                                           .kept_offset = offsetof(struct file_object, kept));

/* ---- models -----------------------------------------------------------------------------------
 */

#undef AT
#define AT(member) .offset = offsetof(struct ai_model, member)

static const struct field flag_item = {.about = "A flag.", .type = &kept_text};
static const struct shape flags_shape = {.each = &flag_item};

static const struct field model_fields[] = {
    FIELD("name", "A name for the model.", .type = &type_name, AT(name)),
    FIELD("model", "The model's reference, such as ai/smollm2.", .type = &kept_text,
          .is_required = true),
    FIELD("context_size", "Most tokens the model looks at.", .type = &kept_nonzero,
          .range = RANGE(0, INT64_MAX)),
    FIELD("runtime_flags", "Flags for the program that runs the model.", .type = &kept_list,
          .shape = &flags_shape),
};
const struct shape model_shape = SHAPE_OF(model_fields, .size = sizeof(struct ai_model),
                                          .kept_offset = offsetof(struct ai_model, kept));

/* ---- what services say about them -------------------------------------------------------------
 */

#undef AT
#define AT(member) .offset = offsetof(struct service_file, member)

#define FILE_OWNER                                                                                 \
    KEPT("uid", "Owner of the file.", .type = &kept_text),                                         \
        KEPT("gid", "Group of the file.", .type = &kept_text),                                     \
        KEPT("mode", "Permissions of the file, such as \"0440\".", .type = &kept_file_mode)

static const struct field service_secret_fields[] = {
    FIELD("source", "Name of the top-level secret.", .type = &type_text, .is_required = true,
          AT(source)),
    FIELD("target", "Path of the file, or its name in /run/secrets; default: the secret's.",
          .type = &type_text, AT(target)),
    FILE_OWNER,
};
static const struct shape service_secret_shape =
    SHAPE_OF(service_secret_fields, .size = sizeof(struct service_file),
             .kept_offset = offsetof(struct service_file, kept));
static const struct field service_secret_field =
    FIELD("secrets", "A secret.", .type = &type_service_file, .shape = &service_secret_shape);
/* `each` for the walks, the fields for binding one item. */
const struct shape secrets_shape = SHAPE_OF(service_secret_fields, .each = &service_secret_field,
                                            .size = sizeof(struct service_file),
                                            .kept_offset = offsetof(struct service_file, kept));

static const struct field service_config_fields[] = {
    FIELD("source", "Name of the top-level config.", .type = &type_text, .is_required = true,
          AT(source)),
    FIELD("target", "Path of the file; default: / and the config's name.", .type = &type_text,
          AT(target)),
    FILE_OWNER,
};
static const struct shape service_config_shape =
    SHAPE_OF(service_config_fields, .size = sizeof(struct service_file),
             .kept_offset = offsetof(struct service_file, kept));
static const struct field service_config_field =
    FIELD("configs", "A config.", .type = &type_service_file, .shape = &service_config_shape);
const struct shape configs_shape = SHAPE_OF(service_config_fields, .each = &service_config_field,
                                            .size = sizeof(struct service_file),
                                            .kept_offset = offsetof(struct service_file, kept));
