/* The keys of a service's volumes, in the order `config` prints them. */

#include "compose/file/load.h"
#include "compose/file/row.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"

static const struct field bind_fields[] = {
    FIELD("propagation", .type = &type_mount_propagation,
          .offset = offsetof(struct service_mount, propagation)),
    FIELD("create_host_path", .type = &type_bool_default_true,
          .offset = offsetof(struct service_mount, create_host_path)),
    LATER("recursive"),
    FIELD("selinux", .type = &type_selinux, .offset = offsetof(struct service_mount, selinux)),
};
static const struct shape bind_shape = SHAPE_OF(bind_fields, .size = sizeof(struct service_mount));
static const struct field volume_option_fields[] = {
    LATER("labels"),
    FIELD("nocopy", .type = &type_bool, .offset = offsetof(struct service_mount, nocopy)),
    LATER("subpath"),
};
static const struct shape volume_option_shape =
    SHAPE_OF(volume_option_fields, .size = sizeof(struct service_mount));
static const struct field tmpfs_fields[] = {
    FIELD("size", .type = &type_bytes, .offset = offsetof(struct service_mount, tmpfs_size)),
    FIELD("mode", .type = &type_file_mode, .offset = offsetof(struct service_mount, tmpfs_mode)),
};
static const struct shape tmpfs_shape =
    SHAPE_OF(tmpfs_fields, .size = sizeof(struct service_mount));
/* The sections bind to the mount itself; the mount's type prints the one that applies. */
static const struct field mount_fields[] = {
    FIELD("type", .type = &type_mount_type),
    FIELD("source", .type = &type_text, .offset = offsetof(struct service_mount, source)),
    FIELD("target", .type = &type_text, .offset = offsetof(struct service_mount, target)),
    FIELD("read_only", .type = &type_bool, .offset = offsetof(struct service_mount, read_only)),
    LATER("consistency"),
    FIELD("bind", .type = &type_object, .shape = &bind_shape),
    FIELD("volume", .type = &type_object, .shape = &volume_option_shape),
    FIELD("tmpfs", .type = &type_object, .shape = &tmpfs_shape),
    LATER("image"),
};
static const struct service_mount mount_defaults = {
    .tmpfs_size = -1, .tmpfs_mode = -1, .create_host_path = true};
const struct shape mounts_shape =
    SHAPE_OF(mount_fields, .size = sizeof(struct service_mount), .defaults = &mount_defaults);
