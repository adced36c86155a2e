/* The keys of a service's volumes, in the order `config` prints them. */

#include "compose/file/load.h"
#include "compose/file/row.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"

#define AT(member) .offset = offsetof(struct service_mount, member)
#define SECTION_OF(fields, member)                                                                 \
    SHAPE_OF(fields, .size = sizeof(struct service_mount),                                         \
             .kept_offset = offsetof(struct service_mount, member))

static const char *const recursive_words[] = {"enabled", "disabled", "writable", "readonly", NULL};
static const char *const consistency_words[] = {"consistent", "cached", "delegated", "default",
                                                NULL};

static const struct field bind_fields[] = {
    FIELD("selinux", "SELinux label of the source: z shared, Z private.", .type = &type_selinux,
          AT(selinux)),
    FIELD("propagation", "Whether mounts below the source propagate, such as rslave.",
          .type = &type_mount_propagation, AT(propagation)),
    FIELD("create_host_path", "Make the source directory if it does not exist; default true.",
          .type = &type_bool_default_true, AT(create_host_path)),
    KEPT("recursive",
         "What becomes of mounts below the source: enabled, disabled, writable or "
         "readonly.",
         .type = &kept_text, .words = recursive_words, .no_effect = "enabled"),
};
static const struct shape bind_shape = SECTION_OF(bind_fields, bind_kept);

static const struct field volume_option_fields[] = {
    KEPT("labels", "Labels for the volume, if it is made for this mount.", .type = &kept_labels,
         .merge = MERGE_PAIRS),
    FIELD("nocopy", "Don't fill an empty volume with what the image has at the target.",
          .type = &type_bool, AT(nocopy)),
    KEPT("subpath", "Mount this directory of the volume, not all of it.", .type = &kept_text),
};
static const struct shape volume_option_shape = SECTION_OF(volume_option_fields, volume_kept);

static const struct field tmpfs_fields[] = {
    FIELD("size", "Most bytes it may hold, such as 64m.", .type = &type_bytes, AT(tmpfs_size)),
    FIELD("mode", "Permissions of its root, such as \"1777\".", .type = &type_file_mode,
          AT(tmpfs_mode)),
};
static const struct shape tmpfs_shape = SECTION_OF(tmpfs_fields, tmpfs_kept);

static const struct field image_fields[] = {
    KEPT("subpath", "Mount this directory of the image, not all of it.", .type = &kept_text),
};
static const struct shape image_shape = SECTION_OF(image_fields, image_kept);

/* The sections bind to the mount itself; the mount's type prints the one that applies. */
static const struct field mount_fields[] = {
    FIELD("type", "What is mounted: bind, volume, tmpfs or image.", .type = &type_mount_type,
          .is_required = true),
    FIELD("source", "Path on the host of a bind, or the name of a volume.", .type = &type_text,
          AT(source)),
    FIELD("target", "Absolute path in the container.", .type = &type_text, .pattern = "^/",
          .is_required = true, AT(target)),
    FIELD("read_only", "Mount it so that the container can't write.", .type = &type_bool,
          AT(read_only)),
    ELSEWHERE("consistency", "How strictly a desktop's file sharing keeps both sides equal.",
              .type = &kept_text, .words = consistency_words, .no_effect = "default"),
    FIELD("bind", "Options of a bind mount.", .type = &type_mount_section, .shape = &bind_shape),
    FIELD("volume", "Options of a volume mount.", .type = &type_mount_section,
          .shape = &volume_option_shape),
    FIELD("tmpfs", "Options of a tmpfs mount.", .type = &type_mount_section, .shape = &tmpfs_shape),
    FIELD("image", "Options of an image mount.", .type = &type_mount_section,
          .shape = &image_shape),
};
static const struct shape mount_shape =
    SHAPE_OF(mount_fields, .size = sizeof(struct service_mount),
             .kept_offset = offsetof(struct service_mount, kept));
static const struct field mount_field =
    FIELD("volumes", "A mount.", .type = &type_object_or_text, .shape = &mount_shape);
static const struct service_mount mount_defaults = {
    .tmpfs_size = -1, .tmpfs_mode = -1, .create_host_path = true};
/* `each` for the walks, the fields for binding one item. */
const struct shape mounts_shape =
    SHAPE_OF(mount_fields, .each = &mount_field, .size = sizeof(struct service_mount),
             .defaults = &mount_defaults, .kept_offset = offsetof(struct service_mount, kept));
