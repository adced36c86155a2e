/* The keys of a Compose file.
 *
 * To support a key anywhere: give its row a type (types.h), a merge rule where the generic one is
 * wrong, and the member it binds to; KEPT if the engine doesn't honour it yet. */

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
const struct shape include_shape =
    SHAPE_OF(include_fields, .size = sizeof(struct include), .is_closed = true);
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
static const struct field secret_field = FIELD("secrets", "A secret that services can read.",
                                               .type = &type_file_object, .shape = &secret_shape);
static const struct shape secrets_section_shape = {.each = &secret_field};
static const struct field config_field = FIELD("configs", "A configuration file for services.",
                                               .type = &type_file_object, .shape = &config_shape);
static const struct shape configs_section_shape = {.each = &config_field};
/* what a service asks for is refused there */
static const struct field model_field = KEPT("models", "An AI model that services can ask.",
                                             .type = &type_file_object, .shape = &model_shape);
static const struct shape models_section_shape = {.each = &model_field};

static const struct field file_fields[] = {
    FIELD("version", "Obsolete; has no effect.", .type = &type_version),
    FIELD("name", "The project's name; default: the directory's.", .type = &type_ignored),
    FIELD("include", "Other Compose files whose services and resources belong to this project.",
          .type = &type_include, .shape = &includes_shape),
    FIELD("services", "The services of the project, by name.", .type = &type_services,
          .shape = &services_shape),
    FIELD("networks", "The networks of the project, by name.", .type = &type_resources,
          .shape = &networks_shape),
    FIELD("volumes", "The volumes of the project, by name.", .type = &type_resources,
          .shape = &volumes_shape),
    FIELD("secrets", "Secrets that services may read, by name.", .type = &type_resources,
          .shape = &secrets_section_shape),
    FIELD("configs", "Configuration files that services may read, by name.",
          .type = &type_resources, .shape = &configs_section_shape),
    FIELD("models", "AI models that services use, by name.", .type = &type_resources,
          .shape = &models_section_shape),
};
const struct shape file_shape = SHAPE_OF(file_fields, .size = sizeof(struct model));
const struct field file_field =
    FIELD("", "A Compose file.", .type = &type_object, .shape = &file_shape);
