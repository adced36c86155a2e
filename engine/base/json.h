#pragma once

/* Small helpers over jansson. Objects we print have a stable order: keys in the order they were
 * set.
 *
 * Getters: the key must exist and have the type, else ERROR_INVALID naming the key.
 * "…_or" getters return the fallback when the key is missing or of another type. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/str.h"

struct arena;
struct buf;
struct error;

#define cleanup_json __attribute__((cleanup(json_release)))
void json_release(json_t **value);

/* Parse text; depth and size are bounded by the caller's text and jansson's own depth limit. */
int json_parse(struct str text, json_t **ret, struct error *err);

/* Read a file below dirfd; larger than max_bytes is ERROR_INVALID. */
int json_read_at(int dirfd, const char *name, size_t max_bytes, json_t **ret, struct error *err);

/* Print compact (no newline) or indented by two (ends with a newline). */
void json_print(struct buf *out, const json_t *value);
void json_print_pretty(struct buf *out, const json_t *value);

int json_get_text(const json_t *object, const char *key, const char **ret, struct error *err);
int json_get_i64(const json_t *object, const char *key, int64_t *ret, struct error *err);
const char *json_text_or(const json_t *object, const char *key, const char *fallback);
int64_t json_i64_or(const json_t *object, const char *key, int64_t fallback);
bool json_bool_or(const json_t *object, const char *key, bool fallback);

/* Strings and pairs. Missing keys read as empty. Copies go into the arena. A pair's NULL value is
 * JSON null. */
struct strings json_strings(struct arena *arena, const json_t *object, const char *key);
struct pairs json_pairs(struct arena *arena, const json_t *object, const char *key);

/* Text from outside may not be UTF-8, which JSON can't hold: bad bytes become U+FFFD, rather than
 * the whole value being lost. */
json_t *json_text(const char *text);

/* Setters take plain values; NULL text is skipped (the key is not set). Empty lists are skipped. */
void json_set_text(json_t *object, const char *key, const char *text);
void json_set_i64(json_t *object, const char *key, int64_t value);
void json_set_bool(json_t *object, const char *key, bool value);
void json_set_strings(json_t *object, const char *key, const struct strings *list);
void json_set_pairs(json_t *object, const char *key, const struct pairs *list);
void json_set_take(json_t *object, const char *key, json_t *value); /* takes the reference */
