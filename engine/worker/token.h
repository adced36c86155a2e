#pragma once

/* Registry authentication: challenges, and tokens fetched once and kept (distribution: spec/auth).
 */

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/str.h"

struct arena;
struct error;
struct token_cache;

enum challenge_scheme { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
    enum challenge_scheme scheme;
    const char *realm, *service, *scope; /* NULL = not given */
};

/* One WWW-Authenticate value, which may hold several challenges; Bearer wins. Pure. */
void challenge_parse(struct arena *arena, struct str header, struct challenge *ret);

struct token_cache *token_cache_new(void);
void token_cache_free(struct token_cache *cache);
/* Anonymous token for a Bearer challenge. `scope` is used when the challenge names none.
 * `allow_http`: the registry itself is spoken to in plain text. *ret: borrowed, until the cache is
 * freed or the same token is asked for with `refresh`. */
struct token_request {
    const struct challenge *challenge;
    const char *scope;
    bool allow_http, refresh;
};
int token_get(struct token_cache *cache, const struct token_request *request, const char **ret,
              struct error *err);
