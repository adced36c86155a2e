/* References: the grammar of distribution/reference and Docker's normalisation. */

#include "engine/base/arena.h"
#include "engine/image/image.h"
#include "tests/tap.h"

static const struct good {
    const char *text, *full, *familiar;
} good[] = {
    {"nginx", "docker.io/library/nginx:latest", "nginx:latest"},
    {"nginx:1.25", "docker.io/library/nginx:1.25", "nginx:1.25"},
    {"library/nginx", "docker.io/library/nginx:latest", "nginx:latest"},
    {"docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"},
    {"index.docker.io/library/nginx:1", "docker.io/library/nginx:1", "nginx:1"},
    {"a/b", "docker.io/a/b:latest", "a/b:latest"},
    {"localhost/x", "localhost/x:latest", "localhost/x:latest"},
    {"localhost", "docker.io/library/localhost:latest", "localhost:latest"},
    {"localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000/x:y"},
    {"localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"},
    {"ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1"},
    {"Foo/bar", "Foo/bar:latest", "Foo/bar:latest"},
    {"[fd00::1]:5000/x", "[fd00::1]:5000/x:latest", "[fd00::1]:5000/x:latest"},
    {"a__b/c--d.e_f", "docker.io/a__b/c--d.e_f:latest", "a__b/c--d.e_f:latest"},
    {"docker.io/library/a.b/c", "docker.io/library/a.b/c:latest", "library/a.b/c:latest"},
    {"x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
     "docker.io/library/x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
     "x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
    {"x:tag@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
     "docker.io/library/x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
     "x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
};

TEST(references_are_normalised_as_docker_does)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct arena arena = ARENA_INIT;
        struct image_reference reference;
        struct error err = ERROR_INIT;

        CHECK_OK(image_reference_parse(&arena, good[i].text, &reference, &err), &err);
        CHECK_TEXT(image_reference_text(&arena, &reference), good[i].full);
        CHECK_TEXT(image_reference_familiar(&arena, &reference), good[i].familiar);
        arena_release(&arena);
    }
}

static const struct bad {
    const char *text, *reason;
} bad[] = {
    {"", "empty"},
    {"Nginx", "lower case"},
    {"docker.io/Nginx", "lower case"},
    {"a//b", "repository name"},
    {"/a", "repository name"},
    {"a/", "repository name"},
    {"-a", "repository name"},
    {"a___b", "repository name"},
    {"a..b", "repository name"},
    {"a.-b", "repository name"},
    {"a:", "tag"},
    {"a:.x", "tag"},
    {"a:b:c", "repository name"},
    {"a b", "repository name"},
    {"../x", "host name"},
    {"a.b:port/x", "host name"},
    {"-h.x/y", "host name"},
    {"x@sha256:12", "64"},
    {"x@", "64"},
    {"x@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", "64"},
    {"x@sha512:0123", "only sha256"},
    {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "image id"},
};

TEST(bad_references_are_refused_with_the_rule_they_break)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct arena arena = ARENA_INIT;
        struct image_reference reference;
        struct error err = ERROR_INIT;

        if (image_reference_parse(&arena, bad[i].text, &reference, &err) == 0)
            tap_fail(TAP_HERE, "\"%s\" was taken", bad[i].text);
        CHECK_CONTAINS(err.text, bad[i].reason);
        arena_release(&arena);
    }
}

TEST(the_familiar_form_means_the_same_image)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct arena arena = ARENA_INIT;
        struct image_reference reference;
        struct error err = ERROR_INIT;

        CHECK_OK(image_reference_parse(&arena, good[i].familiar, &reference, &err), &err);
        CHECK_TEXT(image_reference_text(&arena, &reference), good[i].full);
        arena_release(&arena);
    }
}

TEST(a_name_of_more_than_255_characters_is_refused)
{
    struct arena arena = ARENA_INIT;
    struct image_reference reference;
    struct error err = ERROR_INIT;
    char text[260];

    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    CHECK_FAILS(image_reference_parse(&arena, text, &reference, &err), ERROR_INVALID, "255");
    arena_release(&arena);
}
