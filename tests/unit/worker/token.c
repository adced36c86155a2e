/* WWW-Authenticate headers. */

#include "engine/worker/token.h"
#include "engine/base/arena.h"
#include "tests/tap.h"

static const struct {
    const char *header;
    enum challenge_scheme scheme;
    const char *realm, *service, *scope;
} cases[] = {
    {"Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"a:b:c\"",
     CHALLENGE_BEARER, "https://auth.docker.io/token", "registry.docker.io", "a:b:c"},
    {"bearer REALM=\"x\" , service=plain", CHALLENGE_BEARER, "x", "plain", NULL},
    {"Basic realm=\"x\", Bearer realm=\"y\"", CHALLENGE_BEARER, "y", NULL, NULL},
    {"Bearer realm=\"y\", Basic realm=\"x\"", CHALLENGE_BEARER, "y", NULL, NULL},
    {"Basic realm=\"a \\\"quoted\\\" one\"", CHALLENGE_BASIC, "a \"quoted\" one", NULL, NULL},
    {"Negotiate abc==", CHALLENGE_NONE, NULL, NULL, NULL},
    {"Bearer realm=\"unclosed", CHALLENGE_BEARER, "unclosed", NULL, NULL},
    {"", CHALLENGE_NONE, NULL, NULL, NULL},
    {",,, =", CHALLENGE_NONE, NULL, NULL, NULL},
};

TEST(challenges_are_read_in_all_their_forms)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        cleanup_arena struct arena arena = ARENA_INIT;
        struct challenge challenge;

        challenge_parse(&arena, str_from(cases[i].header), &challenge);
        CHECK_INT(challenge.scheme, cases[i].scheme);
        CHECK_TEXT(challenge.realm, cases[i].realm);
        CHECK_TEXT(challenge.service, cases[i].service);
        CHECK_TEXT(challenge.scope, cases[i].scope);
    }
}
