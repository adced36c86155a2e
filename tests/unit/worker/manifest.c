/* Manifests and indexes: what is chosen, what is refused. */

#include "engine/worker/manifest.h"
#include "engine/base/arena.h"
#include "tests/tap.h"

#define DIGEST(c) "sha256:" c c c c c c c c c c c c c c c c
#define A         DIGEST("aaaa")
#define B         DIGEST("bbbb")
#define C         DIGEST("cccc")
#define CONFIG                                                                                     \
    "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" A       \
    "\",\"size\":2}"
#define LAYER(type) "{\"mediaType\":\"" type "\",\"digest\":\"" B "\",\"size\":3}"

static int parse(struct arena *arena, const char *text, const char *type,
                 const struct platform *platform, struct manifest *ret, struct error *err)
{
    return manifest_parse(arena, str_from(text), type, platform, ret, err);
}

static const struct platform amd64 = {"linux", "amd64", NULL};

TEST(an_image_manifest_gives_config_and_layers)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct error err = ERROR_INIT;
    struct manifest manifest;

    CHECK_OK(parse(&arena,
                   "{\"schemaVersion\":2," CONFIG
                   ",\"layers\":[" LAYER("application/vnd.oci.image.layer.v1.tar+zstd") "," LAYER(
                       "application/vnd.docker.image.rootfs.diff.tar.gzip") "]}",
                   NULL, &amd64, &manifest, &err),
             &err);
    CHECK_INT(manifest.kind, MANIFEST_IMAGE);
    CHECK_TEXT(manifest.config.digest, A);
    CHECK_INT(manifest.n_layers, 2);
    CHECK_TEXT(manifest.layers[1].digest, B);
    CHECK_INT(manifest.layers[1].size, 3);
}

static const struct bad {
    const char *text, *type;
    enum error_code code;
    const char *reason;
} bad[] = {
    {"[]", NULL, ERROR_INVALID, "not a JSON object"},
    {"{", NULL, ERROR_INVALID, "manifest"},
    {"{\"a\":1,\"a\":2}", NULL, ERROR_INVALID, "duplicate"},
    {"{\"schemaVersion\":1,\"fsLayers\":[]}", NULL, ERROR_UNSUPPORTED, "schema 1"},
    {"{" CONFIG ",\"layers\":[],\"manifests\":[]}", NULL, ERROR_INVALID, "at once"},
    {"{\"mediaType\":\"application/vnd.a\"," CONFIG ",\"layers\":[]}", "application/vnd.b",
     ERROR_INVALID, "the registry"},
    {"{\"config\":{\"mediaType\":\"application/vnd.cncf.helm.config.v1+json\",\"digest\":\"" A
     "\",\"size\":2},\"layers\":[]}",
     NULL, ERROR_UNSUPPORTED, "not a container image"},
    {"{" CONFIG ",\"layers\":[" LAYER("application/x-tar") "]}", NULL, ERROR_UNSUPPORTED,
     "layer 1"},
    {"{" CONFIG ",\"layers\":[" LAYER("application/vnd.oci.image.layer.v1.tar+encrypted") "]}",
     NULL, ERROR_UNSUPPORTED, "encrypted"},
    {"{" CONFIG "}", NULL, ERROR_INVALID, "layers"},
    {"{\"config\":{\"digest\":\"md5:1\",\"size\":2},\"layers\":[]}", NULL, ERROR_UNSUPPORTED,
     "sha256"},
    {"{\"config\":{\"digest\":\"" A "\",\"size\":-2},\"layers\":[]}", NULL, ERROR_INVALID,
     "cannot be"},
    {"{\"config\":{\"digest\":\"" A "\"},\"layers\":[]}", NULL, ERROR_INVALID, "size"},
    {"{\"manifests\":[]}", NULL, ERROR_NOT_FOUND, "none"},
};

TEST(bad_manifests_are_refused_with_a_reason)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        cleanup_arena struct arena arena = ARENA_INIT;
        struct error err = ERROR_INIT;
        struct manifest manifest;

        CHECK_FAILS(parse(&arena, bad[i].text, bad[i].type, &amd64, &manifest, &err), bad[i].code,
                    bad[i].reason);
    }
}

#define CHILD(digest, platform)                                                                    \
    "{\"mediaType\":\"x\",\"digest\":\"" digest "\",\"size\":1,\"platform\":{" platform "}}"
#define OS_ARCH(os, arch) "\"os\":\"" os "\",\"architecture\":\"" arch "\""

static const struct choice {
    const char *children, *platform, *chosen; /* NULL = none */
} choices[] = {
    {CHILD(A, OS_ARCH("linux", "arm64")) "," CHILD(B, OS_ARCH("linux", "amd64")), "amd64", B},
    {CHILD(A, OS_ARCH("linux", "amd64")) "," CHILD(B, OS_ARCH("linux", "amd64")), "linux/amd64", A},
    {CHILD(A, OS_ARCH("linux", "x86_64")), "amd64", A},
    {CHILD(A, OS_ARCH("windows", "amd64")), "amd64", NULL},
    {CHILD(A, OS_ARCH("linux", "amd64") ",\"variant\":\"v3\""), "amd64", NULL},
    {CHILD(A, OS_ARCH("linux", "amd64") ",\"variant\":\"v3\"") "," CHILD(B,
                                                                         OS_ARCH("linux", "amd64")),
     "amd64", B},
    {CHILD(A, OS_ARCH("linux", "arm64") ",\"variant\":\"v8\""), "arm64", A},
    {CHILD(A, OS_ARCH("linux", "arm") ",\"variant\":\"v5\"") "," CHILD(
         B, OS_ARCH("linux", "arm") ",\"variant\":\"v6\""),
     "linux/arm/v7", B},
    {CHILD(A, OS_ARCH("linux", "arm") ",\"variant\":\"v7\""), "linux/arm/v6", NULL},
    {CHILD(A, OS_ARCH("unknown", "unknown")), "amd64", NULL},
    {"{\"digest\":\"" A "\",\"size\":1}", "amd64", A},
    {"{\"digest\":\"" A "\",\"size\":1}," CHILD(B, OS_ARCH("linux", "amd64")), "amd64", B},
    {"{\"digest\":\"" A "\",\"size\":1,\"annotations\":{\"vnd.docker.reference.type\":\"x\"}}",
     "amd64", NULL},
};

TEST(an_index_gives_the_best_child_for_a_platform)
{
    for (size_t i = 0; i < sizeof(choices) / sizeof(*choices); i++) {
        cleanup_arena struct arena arena = ARENA_INIT;
        struct error err = ERROR_INIT;
        struct manifest manifest = {0};
        struct platform platform;
        const char *text =
            arena_printf(&arena, "{\"schemaVersion\":2,\"manifests\":[%s]}", choices[i].children);
        int result;

        CHECK_OK(platform_parse(&arena, choices[i].platform, &platform, &err), &err);
        result = parse(&arena, text, NULL, &platform, &manifest, &err);
        if (!choices[i].chosen) {
            CHECK_INT(result, -1);
            CHECK_INT(err.code, ERROR_NOT_FOUND);
            continue;
        }
        CHECK_OK(result, &err);
        CHECK_TEXT(manifest.chosen.digest, choices[i].chosen);
    }
}

TEST(platforms_we_cannot_run_are_refused)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct error err = ERROR_INIT;
    struct platform platform;

    CHECK_FAILS(platform_parse(&arena, "windows/amd64", &platform, &err), ERROR_UNSUPPORTED,
                "only linux");
    CHECK_FAILS(platform_parse(&arena, "a/b/c/d", &platform, &err), ERROR_INVALID, "a/b/c/d");
    CHECK_FAILS(platform_parse(&arena, "linux//v7", &platform, &err), ERROR_INVALID, "empty");
    CHECK_FAILS(platform_parse(&arena, "plan9/amd64/v1", &platform, &err), ERROR_INVALID, "plan9");
}
