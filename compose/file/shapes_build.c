/* The keys of a service's build section, in the order `config` prints them. */

#include "compose/file/load.h"
#include "compose/file/row.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"

#define AT(member) .offset = offsetof(struct build, member)

static const char *const isolation_words[] = {"default", "process", "hyperv", NULL};

static const struct field secret_fields[] = {
    FIELD("source", "Name of the top-level secret.", .type = &kept_text),
    FIELD("target", "Its id in the Dockerfile; default: its name.", .type = &kept_text),
    FIELD("uid", "Owner of the file.", .type = &kept_text),
    FIELD("gid", "Group of the file.", .type = &kept_text),
    FIELD("mode", "Permissions of the file, such as \"0440\".", .type = &kept_file_mode),
};
static const struct shape build_secret_shape = SHAPE_OF(secret_fields);
static const struct field secret_field =
    FIELD("secrets", "A secret.", .type = &kept_build_secret, .shape = &build_secret_shape);
static const struct shape build_secrets_shape = {.each = &secret_field};

static const struct field platform_item = {.about = "A platform, such as linux/amd64.",
                                           .type = &kept_platform,
                                           .pattern = PLATFORM_PATTERN};
static const struct shape platforms_shape = {.each = &platform_item};

static const struct field build_fields[] = {
    FIELD("context", "Directory that is sent to the build; what COPY and ADD see.",
          .type = &type_context, AT(context)),
    FIELD("dockerfile", "Dockerfile to build from, relative to the context.", .type = &type_text,
          AT(dockerfile)),
    KEPT("dockerfile_inline", "The text of the Dockerfile itself, instead of a file.",
         .type = &kept_text),
    KEPT("entitlements", "Extra privileges the build may use, such as network.host.",
         .type = &kept_list, .unique = unique_text),
    FIELD("args", "Values for the Dockerfile's ARG instructions.", .type = &type_environment,
          .merge = MERGE_PAIRS, AT(args)),
    KEPT("provenance", "Attach a provenance attestation to the image.", .type = &kept_switch,
         .no_effect = "false"),
    KEPT("sbom", "Attach a bill of materials of the software to the image.", .type = &kept_switch,
         .no_effect = "false"),
    KEPT("ssh", "SSH agents and keys that RUN --mount=type=ssh may use.", .type = &kept_ssh,
         .merge = MERGE_PAIRS),
    FIELD("labels", "Labels for the image that is built.", .type = &type_labels,
          .merge = MERGE_PAIRS, AT(labels)),
    KEPT("cache_from", "Where to look for layers built earlier.", .type = &kept_list,
         .unique = unique_text),
    KEPT("cache_to", "Where to keep the build cache for others.", .type = &kept_list,
         .unique = unique_text),
    FIELD("no_cache", "Build every step again.", .type = &type_bool, AT(no_cache)),
    KEPT("no_cache_filter", "Stages to build again even if they are cached.",
         .type = &kept_text_or_list, .unique = unique_text),
    KEPT("additional_contexts", "More directories, images or services to COPY --from, by name.",
         .type = &kept_contexts, .merge = MERGE_PAIRS),
    FIELD("pull", "Look for newer base images even if they are here.", .type = &type_bool,
          AT(pull)),
    KEPT("extra_hosts", "Names and addresses that RUN can resolve.", .type = &kept_extra_hosts,
         .unique = unique_text),
    ELSEWHERE("isolation", "How a Windows build container is isolated.", .type = &kept_text,
              .words = isolation_words, .no_effect = "default"),
    KEPT("network", "Network for RUN: host, none, default or a name.", .type = &kept_text,
         .no_effect = "default"),
    FIELD("target", "Stage of the Dockerfile to build; default: the last.", .type = &type_text,
          AT(target)),
    KEPT("secrets", "Secrets that RUN --mount=type=secret may read.", .type = &kept_list,
         .shape = &build_secrets_shape, .unique = unique_build_secret),
    KEPT("shm_size", "Size of /dev/shm during the build.", .type = &kept_bytes),
    KEPT("tags", "More names for the image that is built.", .type = &kept_list,
         .unique = unique_text),
    KEPT("ulimits", "Resource limits of the processes of the build.", .type = &kept_ulimits,
         .shape = &ulimits_shape),
    FIELD("platforms", "Platforms to build the image for, such as linux/amd64.", .type = &kept_list,
          .shape = &platforms_shape, .unique = unique_text),
    KEPT("privileged", "Run the build with all privileges.", .type = &kept_true),
};
const struct shape build_shape = SHAPE_OF(build_fields, .size = sizeof(struct build),
                                          .kept_offset = offsetof(struct build, kept));
