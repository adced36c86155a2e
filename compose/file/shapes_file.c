/* The keys of a Compose file.
 *
 * To support a key anywhere: give its row a type (types.h), a merge rule where the generic one is
 * wrong, and the member it binds to. A row without a type is refused by name. */

#include "compose/file/load.h"
#include "compose/file/row.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"

static const struct field include_fields[] = {
    FIELD("path", .type = &type_text_or_list, .offset = offsetof(struct include, paths)),
    FIELD("project_directory", .type = &type_text,
          .offset = offsetof(struct include, project_directory)),
    FIELD("env_file", .type = &type_text_or_list, .offset = offsetof(struct include, env_files)),
};
const struct shape include_shape = SHAPE_OF(include_fields, .size = sizeof(struct include));
static const struct field include_field =
    FIELD("include", .type = &type_include_item, .shape = &include_shape);
static const struct shape includes_shape = {.each = &include_field};

static const struct field service_field =
    FIELD("services", .type = &type_object, .shape = &service_shape);
static const struct shape services_shape = {.each = &service_field};
static const struct field network_field =
    FIELD("networks", .type = &type_resource, .shape = &network_shape);
static const struct shape networks_shape = {.each = &network_field};
static const struct field volume_field =
    FIELD("volumes", .type = &type_resource, .shape = &volume_shape);
static const struct shape volumes_shape = {.each = &volume_field};

static const struct field file_fields[] = {
    FIELD("version", .type = &type_ignored),
    FIELD("name", .type = &type_ignored),
    FIELD("include", .type = &type_include, .shape = &includes_shape),
    FIELD("services", .type = &type_services, .shape = &services_shape),
    FIELD("networks", .type = &type_networks, .shape = &networks_shape),
    FIELD("volumes", .type = &type_volumes, .shape = &volumes_shape),
    LATER("configs"),
    LATER("secrets"),
    LATER("models"),
};
const struct shape file_shape = SHAPE_OF(file_fields, .size = sizeof(struct model));
const struct field file_field = FIELD("", .type = &type_object, .shape = &file_shape);
