/* The keys of a service's build section, in the order `config` prints them. */

#include "compose/file/load.h"
#include "compose/file/row.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"

static const struct field build_fields[] = {
    FIELD("context", .type = &type_text, .offset = offsetof(struct build, context)),
    FIELD("dockerfile", .type = &type_text, .offset = offsetof(struct build, dockerfile)),
    LATER("dockerfile_inline"),
    LATER("entitlements"),
    FIELD("args", .type = &type_environment, .merge = MERGE_PAIRS,
          .offset = offsetof(struct build, args)),
    LATER("provenance"),
    LATER("sbom"),
    LATER("ssh"),
    LATER("labels"),
    LATER("cache_from"),
    LATER("cache_to"),
    LATER("no_cache"),
    LATER("no_cache_filter"),
    LATER("additional_contexts"),
    LATER("pull"),
    LATER("extra_hosts"),
    LATER("isolation"),
    LATER("network"),
    FIELD("target", .type = &type_text, .offset = offsetof(struct build, target)),
    LATER("secrets"),
    LATER("shm_size"),
    LATER("tags"),
    LATER("ulimits"),
    LATER("platforms"),
    LATER("privileged"),
};
const struct shape build_shape = SHAPE_OF(build_fields, .size = sizeof(struct build));
