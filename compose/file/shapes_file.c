/* The keys of a Compose file.
 *
 * To support a key anywhere: give its row a type (types.h), a merge rule where the generic one is
 * wrong, and the member it binds to; KEPT if the engine doesn't honour it yet. A row without a type
 * (LATER) is refused by name. */

#include "compose/file/load.h"
#include "compose/file/row.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"

static const struct field include_fields[] = {
    FIELD("path", "The file, or files that override one another.", .is_required = true,
          .type = &type_text_or_list, .offset = offsetof(struct include, paths)),
    FIELD("project_directory", "What its relative paths are relative to.", .type = &type_text,
          .offset = offsetof(struct include, project_directory)),
    FIELD("env_file", "Files with variables for its interpolation.", .type = &type_text_or_list,
          .offset = offsetof(struct include, env_files)),
};
const struct shape include_shape = SHAPE_OF(include_fields, .size = sizeof(struct include));
static const struct field include_field =
    FIELD("include", "A file, or files with their own directory.", .type = &type_include_item,
          .shape = &include_shape);
static const struct shape includes_shape = {.each = &include_field};

static const struct field service_field = FIELD("services", "A service: containers made alike.",
                                                .type = &type_object, .shape = &service_shape);
static const struct shape services_shape = {.each = &service_field};
static const struct field network_field = FIELD("networks", "A network that services can join.",
                                                .type = &type_resource, .shape = &network_shape);
static const struct shape networks_shape = {.each = &network_field};
static const struct field volume_field = FIELD("volumes", "A volume that services can mount.",
                                               .type = &type_resource, .shape = &volume_shape);
static const struct shape volumes_shape = {.each = &volume_field};

static const struct field file_fields[] = {
    FIELD("version", "Obsolete; has no effect.", .type = &type_ignored),
    FIELD("name", "The project's name; default: the directory's.", .type = &type_ignored),
    FIELD("include", "Other Compose files whose services and resources belong to this project.",
          .type = &type_include, .shape = &includes_shape),
    FIELD("services", "The services of the project, by name.", .type = &type_services,
          .shape = &services_shape),
    FIELD("networks", "The networks of the project, by name.", .type = &type_networks,
          .shape = &networks_shape),
    FIELD("volumes", "The volumes of the project, by name.", .type = &type_volumes,
          .shape = &volumes_shape),
    LATER("secrets", "Secrets that services may read, by name."),
    LATER("configs", "Configuration files that services may read, by name."),
    LATER("models", "AI models that services use, by name."),
};
const struct shape file_shape = SHAPE_OF(file_fields, .size = sizeof(struct model));
const struct field file_field =
    FIELD("", "A Compose file.", .type = &type_object, .shape = &file_shape);
