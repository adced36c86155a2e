#pragma once

/* What steps made last time: state/build/cache/KEY, and state/build/roots/KEY for the store.
 *
 * A key is the digest of all that a step sees. A record whose layer is gone is no record. Records
 * that nobody used for CACHE_AGE_NS go, and with them the last thing that keeps their layers. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/sha256.h"
#include "engine/base/str.h"

struct error;

#define CACHE_AGE_NS (INT64_C(7) * 24 * 3600 * 1000000000)

/* Builds a key. Parts are delimited, so ("ab","c") and ("a","bc") differ. */
struct cache_key {
    struct sha256 hash;
};

#define CACHE_KEY_INIT                                                                             \
    {                                                                                              \
        SHA256_INIT                                                                                \
    }
#define cleanup_cache_key __attribute__((cleanup(cache_key_release)))
void cache_key_release(struct cache_key *key);
void cache_key_begin(struct cache_key *key, const char *what);
void cache_key_add(struct cache_key *key, const char *name, const char *value); /* NULL is fine */
void cache_key_add_list(struct cache_key *key, const char *name, const struct strings *list);
void cache_key_end(struct cache_key *key, char ret_hex[static SHA256_HEX_SIZE]);

struct cache_record {
    char layer[DIGEST_TEXT_SIZE]; /* "": the step changed nothing */
    int64_t created_ns;
};

/* 1: there is none, or its layer is gone. Marks it as used now. */
int cache_find(int state_fd, const char *key, struct cache_record *ret);
int cache_store(int state_fd, const char *key, const struct cache_record *record,
                struct error *err);

/* Digests of files in layers, which never change. 1: not known. */
int cache_find_content(int state_fd, const char *key, char ret_hex[static SHA256_HEX_SIZE]);
int cache_store_content(int state_fd, const char *key, const char *hex, struct error *err);

/* Drop what was last used before now_ns - CACHE_AGE_NS. */
int cache_prune(int state_fd, int64_t now_ns, struct error *err);
