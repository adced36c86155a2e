/* Bearer tokens. The request for one blocks: whoever needs it cannot go on without, and the others
 * mostly need the same. */

#include "engine/worker/token.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/vec.h"

enum {
    ANSWER_MAX_BYTES = 1 << 20,
    TOKEN_MAX_LENGTH = 64 << 10,
    TIMEOUT_SECONDS = 30,
    LIFE_MIN_SECONDS = 60,
    LIFE_MAX_SECONDS = 24 * 3600,
};

struct token {
    char *key; /* URL of the request */
    char *text;
    int64_t expires_ns;
};

struct token_cache {
    VEC(struct token) tokens;
};

/* ------------------------------------------------------------------ challenges */

static bool is_token_char(char c)
{
    return c && (isalnum((unsigned char)c) || strchr("!#$%&'*+-.^_`|~", c));
}

static void skip_separators(struct str *rest)
{
    while (rest->len && (isspace((unsigned char)rest->data[0]) || rest->data[0] == ','))
        *rest = (struct str){rest->data + 1, rest->len - 1};
}

static struct str take_token(struct str *rest)
{
    size_t n = 0;
    struct str token;

    while (n < rest->len && is_token_char(rest->data[n]))
        n++;
    token = (struct str){rest->data, n};
    *rest = (struct str){rest->data + n, rest->len - n};
    return token;
}

/* token | "quoted \" string" */
static const char *take_value(struct arena *arena, struct str *rest)
{
    cleanup_buf struct buf value = BUF_INIT;
    size_t i = 1;

    if (!rest->len || rest->data[0] != '"') {
        struct str token = take_token(rest);

        return arena_strndup(arena, token.data, token.len);
    }
    for (; i < rest->len && rest->data[i] != '"'; i++) {
        if (rest->data[i] == '\\' && i + 1 < rest->len)
            i++;
        buf_add_char(&value, rest->data[i]);
    }
    i = i < rest->len ? i + 1 : i;
    *rest = (struct str){rest->data + i, rest->len - i};
    return arena_strdup(arena, buf_text(&value));
}

static bool token_is(struct str token, const char *text)
{
    return token.len == strlen(text) && strncasecmp(token.data, text, token.len) == 0;
}

static void set_parameter(struct challenge *challenge, struct str name, const char *value)
{
    if (token_is(name, "realm"))
        challenge->realm = value;
    else if (token_is(name, "service"))
        challenge->service = value;
    else if (token_is(name, "scope"))
        challenge->scope = value;
}

void challenge_parse(struct arena *arena, struct str header, struct challenge *ret)
{
    struct challenge best = {0}, current = {0};
    struct str rest = header;

    for (;;) {
        struct str token;

        skip_separators(&rest);
        token = take_token(&rest);
        if (token.len && rest.len && rest.data[0] == '=') {
            rest = (struct str){rest.data + 1, rest.len - 1};
            set_parameter(&current, token, take_value(arena, &rest));
            continue;
        }
        if (current.scheme > best.scheme)
            best = current;
        if (!token.len)
            break;
        current = (struct challenge){
            .scheme = token_is(token, "Bearer")  ? CHALLENGE_BEARER
                      : token_is(token, "Basic") ? CHALLENGE_BASIC
                                                 : CHALLENGE_NONE,
        };
    }
    *ret = best;
}

/* ------------------------------------------------------------------ tokens */

struct token_cache *token_cache_new(void)
{
    return x_alloc(sizeof(struct token_cache));
}

void token_cache_free(struct token_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < cache->tokens.n; i++) {
        free(cache->tokens.items[i].key);
        free(cache->tokens.items[i].text);
    }
    vec_release(&cache->tokens);
    free(cache);
}

static void add_parameter(struct buf *url, const char *name, const char *value)
{
    char *escaped;

    if (!value || !value[0])
        return;
    escaped = curl_easy_escape(NULL, value, 0);
    buf_printf(url, "%c%s=%s", memchr(url->data, '?', url->len) ? '&' : '?', name,
               escaped ? escaped : "");
    curl_free(escaped);
}

static int make_url(struct buf *url, const struct token_request *request, struct error *err)
{
    const struct challenge *challenge = request->challenge;
    const char *realm = challenge->realm ? challenge->realm : "";

    if (!text_starts_with(realm, "https://") &&
        !(request->allow_http && text_starts_with(realm, "http://")))
        return error_set(err, ERROR_REMOTE, "the registry sends us to \"%.200s\" for a token",
                         realm);
    buf_add_text(url, realm);
    add_parameter(url, "service", challenge->service);
    add_parameter(url, "scope", challenge->scope ? challenge->scope : request->scope);
    return 0;
}

static size_t take_body(char *data, size_t size, size_t n, void *context)
{
    struct buf *body = context;

    buf_add(body, data, size * n);
    return body->truncated ? 0 : size * n;
}

static int request_token(const char *url, struct buf *body, struct error *err)
{
    CURL *easy = curl_easy_init();
    char text[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURLcode code;

    if (!easy)
        return error_set(err, ERROR_SYSTEM, "start libcurl");
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)TIMEOUT_SECONDS);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "berth");
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, text);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, body);
    code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(easy);
    if (code != CURLE_OK)
        return error_set(err, ERROR_REMOTE, "get a token from %.200s: %s", url,
                         text[0] ? text : curl_easy_strerror(code));
    if (status == 401 || status == 403)
        return error_set(err, ERROR_DENIED, "the registry gives no anonymous token (status %ld)",
                         status);
    if (status != 200)
        return error_set(err, ERROR_REMOTE, "get a token from %.200s: status %ld", url, status);
    return 0;
}

static int parse_token(const struct buf *body, struct token *token, struct error *err)
{
    cleanup_json json_t *json = NULL;
    const char *text;
    int64_t life;

    if (json_parse(buf_str(body), &json, err) < 0)
        return error_wrap(err, "read the registry's token");
    text = json_text_or(json, "token", NULL);
    if (!text)
        text = json_text_or(json, "access_token", NULL);
    if (!text || !text[0] || strlen(text) > TOKEN_MAX_LENGTH)
        return error_set(err, ERROR_REMOTE, "the registry's answer holds no token");
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~') /* it becomes part of a header */
            return error_set(err, ERROR_REMOTE, "the registry's token is malformed");
    life = json_i64_or(json, "expires_in", LIFE_MIN_SECONDS);
    if (life < LIFE_MIN_SECONDS || life > LIFE_MAX_SECONDS)
        life = LIFE_MIN_SECONDS;
    token->text = x_strdup(text);
    token->expires_ns = clock_monotonic_ns() + life * NS_PER_S * 8 / 10;
    return 0;
}

int token_get(struct token_cache *cache, const struct token_request *request, const char **ret,
              struct error *err)
{
    cleanup_buf struct buf url = BUF_INIT, body = BUF_INIT;
    struct token *known = NULL, fresh = {0};

    if (make_url(&url, request, err) < 0)
        return -1;
    for (size_t i = 0; i < cache->tokens.n; i++)
        if (text_equal(cache->tokens.items[i].key, buf_text(&url)))
            known = &cache->tokens.items[i];
    if (known && !request->refresh && clock_monotonic_ns() < known->expires_ns) {
        *ret = known->text;
        return 0;
    }
    buf_init(&body, ANSWER_MAX_BYTES);
    if (request_token(buf_text(&url), &body, err) < 0 || parse_token(&body, &fresh, err) < 0)
        return -1;
    if (known) {
        free(known->text);
        known->text = fresh.text;
        known->expires_ns = fresh.expires_ns;
    } else {
        fresh.key = x_strdup(buf_text(&url));
        vec_push(&cache->tokens, fresh);
    }
    *ret = fresh.text;
    return 0;
}
