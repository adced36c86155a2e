/* OCI image-spec manifests and indexes, and Docker's schema 2. */

#include "engine/worker/manifest.h"

#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/sha256.h"
#include "engine/image/image.h"

enum { LAYERS_MAX = 500, CHILDREN_MAX = 10000, PLATFORMS_SHOWN = 20 };

static const uint64_t blob_size_max = 1ULL << 40;

#define OCI_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX       "application/vnd.oci.image.index.v1+json"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LIST     "application/vnd.docker.distribution.manifest.list.v2+json"

const char manifest_accept[] =
    OCI_INDEX ", " DOCKER_LIST ", " OCI_MANIFEST ", " DOCKER_MANIFEST ", */*;q=0.1";

static const char *const config_types[] = {
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
};

static const char *const layer_types[] = {
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
};

/* ------------------------------------------------------------------ platforms */

static const struct synonym {
    const char *name, *architecture, *variant;
} synonyms[] = {
    {"x86_64", "amd64", NULL}, {"x86-64", "amd64", NULL}, {"aarch64", "arm64", NULL},
    {"armhf", "arm", "v7"},    {"armel", "arm", "v6"},    {"i386", "386", NULL},
    {"i686", "386", NULL},     {"macos", "darwin", NULL},
};

static const char *const known_systems[] = {"linux", "windows", "darwin", "freebsd"};

static bool is_one_of(const char *text, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text_equal(text, list[i]))
            return true;
    return false;
}

static void normalise(struct platform *platform)
{
    for (size_t i = 0; i < sizeof(synonyms) / sizeof(*synonyms); i++) {
        if (!text_equal(platform->architecture, synonyms[i].name))
            continue;
        platform->architecture = synonyms[i].architecture;
        if (!platform->variant)
            platform->variant = synonyms[i].variant;
    }
    if (text_equal(platform->architecture, "arm") && !platform->variant)
        platform->variant = "v7";
    if ((text_equal(platform->architecture, "arm64") && text_equal(platform->variant, "v8")) ||
        (text_equal(platform->architecture, "amd64") && text_equal(platform->variant, "v1")))
        platform->variant = NULL;
}

struct platform platform_of_machine(void)
{
    struct platform platform = {"linux", image_config_architecture(), NULL};

    normalise(&platform);
    return platform;
}

int platform_parse(struct arena *arena, const char *text, struct platform *ret, struct error *err)
{
    struct platform platform = {"linux", NULL, NULL};
    const char *parts[3] = {NULL, NULL, NULL};
    struct str head, rest = str_from(text);
    size_t n = 0, at = 0;
    bool more = true;

    while (more && n < 3) {
        more = str_cut(rest, '/', &head, &rest);
        if (!head.len)
            return error_set(err, ERROR_INVALID, "platform \"%s\": a part is empty", text);
        parts[n++] = arena_strndup(arena, head.data, head.len);
    }
    if (more)
        return error_set(err, ERROR_INVALID, "platform \"%s\" is not os/architecture/variant",
                         text);
    if (is_one_of(parts[0], known_systems, sizeof(known_systems) / sizeof(*known_systems)))
        platform.os = parts[at++];
    else if (n == 3)
        return error_set(err, ERROR_INVALID, "platform \"%s\": \"%s\" is no operating system", text,
                         parts[0]);
    if (!text_equal(platform.os, "linux"))
        return error_set(err, ERROR_UNSUPPORTED, "platform \"%s\": only linux images run here",
                         text);
    platform.architecture = at < n ? parts[at++] : image_config_architecture();
    platform.variant = at < n ? parts[at] : NULL;
    normalise(&platform);
    *ret = platform;
    return 0;
}

/* 0 = does not run; more is better. */
static int platform_score(const struct platform *have, const struct platform *want)
{
    if (!text_equal(have->os, want->os) || !text_equal(have->architecture, want->architecture))
        return 0;
    if (text_equal(have->variant, want->variant))
        return 100;
    if (!want->variant)
        /* Levels above the base (amd64/v3) need a processor we did not check. */
        return text_equal(have->architecture, "amd64") ? 0 : 50;
    if (!have->variant)
        return 40;
    /* arm: an older level runs on a newer processor, the newest of them best. */
    if (text_equal(want->architecture, "arm") && strlen(have->variant) == 2 &&
        strlen(want->variant) == 2 && have->variant[1] < want->variant[1] && have->variant[1] > '0')
        return 10 + have->variant[1] - '0';
    return 0;
}

/* ------------------------------------------------------------------ parsing */

static int parse_descriptor(struct arena *arena, const json_t *json, const char *what,
                            struct descriptor *ret, struct error *err)
{
    const char *digest;
    int64_t size;

    if (json_get_text(json, "digest", &digest, err) < 0 ||
        json_get_i64(json, "size", &size, err) < 0)
        return error_wrap(err, "manifest: %s", what);
    if (!digest_is_valid(digest))
        return error_set(err, ERROR_UNSUPPORTED, "manifest: %s: \"%.100s\" is no sha256 digest",
                         what, digest);
    if (size < 0 || (uint64_t)size > blob_size_max)
        return error_set(err, ERROR_INVALID, "manifest: %s: %lld bytes cannot be", what,
                         (long long)size);
    *ret = (struct descriptor){
        .media_type = arena_strdup(arena, json_text_or(json, "mediaType", "")),
        .digest = arena_strdup(arena, digest),
        .size = (uint64_t)size,
    };
    return 0;
}

/* With or without "+gzip", ".gzip", "+zstd": the bytes decide. */
static bool is_layer_type(const char *type)
{
    for (size_t i = 0; i < sizeof(layer_types) / sizeof(*layer_types); i++) {
        size_t len = strlen(layer_types[i]);

        if (strncmp(type, layer_types[i], len) == 0 && !strstr(type, "encrypted") &&
            (type[len] == '\0' || type[len] == '+' || type[len] == '.'))
            return true;
    }
    return false;
}

static int parse_image(struct arena *arena, const json_t *json, struct manifest *ret,
                       struct error *err)
{
    const json_t *layers = json_object_get(json, "layers");
    struct manifest manifest = {.kind = MANIFEST_IMAGE};

    if (parse_descriptor(arena, json_object_get(json, "config"), "config", &manifest.config, err) <
        0)
        return -1;
    if (!is_one_of(manifest.config.media_type, config_types,
                   sizeof(config_types) / sizeof(*config_types)))
        return error_set(err, ERROR_UNSUPPORTED, "not a container image but \"%.200s\"",
                         manifest.config.media_type);
    if (!json_is_array(layers) || json_array_size(layers) > LAYERS_MAX)
        return error_set(err, ERROR_INVALID, "manifest: layers: not a list of at most %d",
                         LAYERS_MAX);
    manifest.n_layers = json_array_size(layers);
    manifest.layers = arena_new_array(arena, struct descriptor, manifest.n_layers);
    for (size_t i = 0; i < manifest.n_layers; i++) {
        if (parse_descriptor(arena, json_array_get(layers, i), "layer", &manifest.layers[i], err) <
            0)
            return -1;
        if (!is_layer_type(manifest.layers[i].media_type))
            return error_set(err, ERROR_UNSUPPORTED, "layer %zu is of type \"%.200s\"", i + 1,
                             manifest.layers[i].media_type);
    }
    *ret = manifest;
    return 0;
}

/* False for attestations and descriptors that don't say what they are for. */
static bool read_platform(const json_t *child, struct platform *ret)
{
    const json_t *json = json_object_get(child, "platform");
    const json_t *annotations = json_object_get(child, "annotations");
    struct platform platform = {
        .os = json_text_or(json, "os", NULL),
        .architecture = json_text_or(json, "architecture", NULL),
        .variant = json_text_or(json, "variant", NULL),
    };

    if (!platform.os || !platform.architecture || text_equal(platform.os, "unknown") ||
        json_object_get(annotations, "vnd.docker.reference.type"))
        return false;
    if (platform.variant && !platform.variant[0])
        platform.variant = NULL;
    normalise(&platform);
    *ret = platform;
    return true;
}

static int no_platform(const json_t *children, const struct platform *want, struct error *err)
{
    cleanup_buf struct buf list = BUF_INIT;
    size_t n_shown = 0;

    for (size_t i = 0; i < json_array_size(children) && n_shown < PLATFORMS_SHOWN; i++) {
        struct platform platform;

        if (read_platform(json_array_get(children, i), &platform))
            buf_printf(&list, "%s%.30s/%.30s%s%.30s", n_shown++ ? ", " : "", platform.os,
                       platform.architecture, platform.variant ? "/" : "",
                       platform.variant ? platform.variant : "");
    }
    return error_set(err, ERROR_NOT_FOUND, "no image for %s/%s%s%s; there are: %s", want->os,
                     want->architecture, want->variant ? "/" : "",
                     want->variant ? want->variant : "", n_shown ? buf_text(&list) : "none");
}

static int parse_index(struct arena *arena, const json_t *json, const struct platform *want,
                       struct manifest *ret, struct error *err)
{
    const json_t *children = json_object_get(json, "manifests");
    struct manifest manifest = {.kind = MANIFEST_INDEX};
    const json_t *best = NULL;
    int best_score = 0;

    if (!json_is_array(children) || json_array_size(children) > CHILDREN_MAX)
        return error_set(err, ERROR_INVALID, "index: manifests: not a list of at most %d",
                         CHILDREN_MAX);
    /* Among equals the first wins (image-spec, image-index.md). */
    for (size_t i = 0; i < json_array_size(children); i++) {
        const json_t *child = json_array_get(children, i);
        struct platform platform;
        int score = 0;

        if (read_platform(child, &platform))
            score = platform_score(&platform, want);
        else if (!json_object_get(child, "platform") &&
                 !json_object_get(json_object_get(child, "annotations"),
                                  "vnd.docker.reference.type"))
            score = 1; /* last resort: its config tells */
        if (score > best_score) {
            best = child;
            best_score = score;
        }
    }
    if (!best)
        return no_platform(children, want, err);
    if (parse_descriptor(arena, best, "index entry", &manifest.chosen, err) < 0)
        return -1;
    *ret = manifest;
    return 0;
}

static int parse_object(struct arena *arena, const json_t *json, const char *content_type,
                        const struct platform *platform, struct manifest *ret, struct error *err)
{
    const char *type = json_text_or(json, "mediaType", NULL);
    bool has_children = json_object_get(json, "manifests") != NULL;
    bool has_layers =
        json_object_get(json, "layers") != NULL || json_object_get(json, "config") != NULL;

    if (!json_is_object(json))
        return error_set(err, ERROR_INVALID, "the manifest is not a JSON object");
    if (json_i64_or(json, "schemaVersion", 0) == 1)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the image has a manifest of schema 1, which is obsolete: push it again "
                         "with a current tool");
    /* One body that reads as both is an attack on caches (CVE-2021-41190). */
    if (has_children && has_layers)
        return error_set(err, ERROR_INVALID, "the manifest claims to be image and index at once");
    if (type && content_type && text_starts_with(content_type, "application/vnd.") &&
        !text_equal(type, content_type))
        return error_set(err, ERROR_INVALID,
                         "the manifest says \"%.200s\", the registry \"%.200s\"", type,
                         content_type);
    if (has_children)
        return parse_index(arena, json, platform, ret, err);
    return parse_image(arena, json, ret, err);
}

int manifest_parse(struct arena *arena, struct str text, const char *content_type,
                   const struct platform *platform, struct manifest *ret, struct error *err)
{
    cleanup_json json_t *json = NULL;

    if (json_parse(text, &json, err) < 0)
        return error_wrap(err, "read the manifest");
    return parse_object(arena, json, content_type, platform, ret, err);
}
