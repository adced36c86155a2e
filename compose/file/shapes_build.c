/* The keys of a service's build section, in the order `config` prints them. */

#include "compose/file/load.h"
#include "compose/file/row.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"

#define AT(member) .offset = offsetof(struct build, member)

static const struct field build_fields[] = {
    FIELD("context", "Directory that is sent to the build; what COPY and ADD see.",
          .type = &type_text, AT(context)),
    FIELD("dockerfile", "Dockerfile to build from, relative to the context.", .type = &type_text,
          AT(dockerfile)),
    LATER("dockerfile_inline", "The text of the Dockerfile itself, instead of a file."),
    LATER("entitlements", "Extra privileges the build may use, such as network.host."),
    FIELD("args", "Values for the Dockerfile's ARG instructions.", .type = &type_environment,
          .merge = MERGE_PAIRS, AT(args)),
    LATER("provenance", "Attach a provenance attestation to the image."),
    LATER("sbom", "Attach a bill of materials of the software to the image."),
    LATER("ssh", "SSH agents and keys that RUN --mount=type=ssh may use."),
    KEPT("labels", "Labels for the image that is built.", .type = &kept_labels,
         .merge = MERGE_PAIRS),
    LATER("cache_from", "Where to look for layers built earlier."),
    LATER("cache_to", "Where to keep the build cache for others."),
    KEPT("no_cache", "Build every step again.", .type = &kept_true),
    LATER("no_cache_filter", "Stages to build again even if they are cached."),
    LATER("additional_contexts", "More directories, images or services to COPY --from, by name."),
    KEPT("pull", "Look for newer base images even if they are here.", .type = &kept_true),
    LATER("extra_hosts", "Names and addresses that RUN can resolve."),
    LATER("isolation", "How a Windows build container is isolated."),
    LATER("network", "Network for RUN: host, none, default or a name."),
    FIELD("target", "Stage of the Dockerfile to build; default: the last.", .type = &type_text,
          AT(target)),
    LATER("secrets", "Secrets that RUN --mount=type=secret may read."),
    LATER("shm_size", "Size of /dev/shm during the build."),
    LATER("tags", "More names for the image that is built."),
    LATER("ulimits", "Resource limits of the processes of the build."),
    LATER("platforms", "Platforms to build the image for, such as linux/amd64."),
    LATER("privileged", "Run the build with all privileges."),
};
const struct shape build_shape = SHAPE_OF(build_fields, .size = sizeof(struct build),
                                          .kept_offset = offsetof(struct build, kept));
