/* A transfer's attempts. What happened decides what comes next; reference/images-build.md 1.10 is
 * the table. Redirects are followed by hand: our token must not travel to another host. */

#include "engine/worker/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/str.h"
#include "engine/base/units.h"
#include "engine/worker/fetch.h"
#include "engine/worker/token.h"

enum {
    ATTEMPTS_MAX = 5,
    UNREACHABLE_ATTEMPTS_MAX = 2, /* a host that is not there at all: say so soon */
    REDIRECTS_MAX = 10,
    CONNECT_TIMEOUT_SECONDS = 15,
    STALL_SECONDS = 30,
    HEADER_MAX_BYTES = 16 << 10,
    FAILURE_TEXT_MAX_BYTES = 4 << 10,
    HASH_CHUNK = 256 << 10,
};
static const int64_t first_wait_ns = 250 * NS_PER_MS;
static const int64_t wait_max_ns = 60 * NS_PER_S;
static const uint64_t advance_bytes = 1 << 20; /* so much progress makes attempts count anew */

struct transfer {
    uint32_t id;
    const struct transfer_shared *shared;
    char *first_url, *url, *accept, *scope, *digest;
    bool head_only;
    uint64_t max_bytes;
    int fd;

    /* the attempt */
    CURL *easy;
    struct curl_slist *headers;
    char curl_text[CURL_ERROR_SIZE];
    struct buf authenticate, location, retry_after, content_type, registry_digest, failure_text;
    struct error error;      /* set in a callback */
    uint64_t attempt_offset; /* where this attempt began */

    /* across attempts */
    uint64_t received; /* bytes of the body in the file, all hashed */
    EVP_MD_CTX *hash;
    char *authorization; /* header value for the registry's own host */
    int n_attempts, n_redirects, n_logins, n_mismatches;
    int64_t not_before_ns;
    char computed[DIGEST_TEXT_SIZE];
};

/* ------------------------------------------------------------------ life */

static char *copy_text(const char *text)
{
    return text ? x_strdup(text) : NULL;
}

struct transfer *transfer_new_take(const struct transfer_order *order,
                                   const struct transfer_shared *shared)
{
    struct transfer *transfer = x_alloc(sizeof(*transfer));

    transfer->id = order->id;
    transfer->shared = shared;
    transfer->first_url = x_strdup(order->url);
    transfer->url = x_strdup(order->url);
    transfer->accept = copy_text(order->accept);
    transfer->scope = copy_text(order->scope);
    transfer->digest = copy_text(order->digest);
    transfer->head_only = order->head_only;
    transfer->max_bytes = order->max_bytes;
    transfer->received = order->offset;
    transfer->fd = order->fd;
    buf_init(&transfer->authenticate, HEADER_MAX_BYTES);
    buf_init(&transfer->location, HEADER_MAX_BYTES);
    buf_init(&transfer->retry_after, HEADER_MAX_BYTES);
    buf_init(&transfer->content_type, HEADER_MAX_BYTES);
    buf_init(&transfer->registry_digest, HEADER_MAX_BYTES);
    buf_init(&transfer->failure_text, FAILURE_TEXT_MAX_BYTES);
    return transfer;
}

static void end_attempt(struct transfer *transfer)
{
    if (transfer->easy)
        curl_easy_cleanup(transfer->easy);
    transfer->easy = NULL;
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
}

void transfer_free(struct transfer *transfer)
{
    if (!transfer)
        return;
    end_attempt(transfer);
    EVP_MD_CTX_free(transfer->hash);
    if (transfer->fd >= 0)
        close(transfer->fd);
    buf_release(&transfer->authenticate);
    buf_release(&transfer->location);
    buf_release(&transfer->retry_after);
    buf_release(&transfer->content_type);
    buf_release(&transfer->registry_digest);
    buf_release(&transfer->failure_text);
    free(transfer->first_url);
    free(transfer->url);
    free(transfer->accept);
    free(transfer->scope);
    free(transfer->digest);
    free(transfer->authorization);
    free(transfer);
}

uint32_t transfer_id(const struct transfer *transfer)
{
    return transfer->id;
}

int64_t transfer_not_before_ns(const struct transfer *transfer)
{
    return transfer->not_before_ns;
}

/* ------------------------------------------------------------------ the body */

static int start_hash(struct transfer *transfer)
{
    EVP_MD_CTX_free(transfer->hash);
    transfer->hash = EVP_MD_CTX_new();
    if (!transfer->hash || EVP_DigestInit_ex(transfer->hash, EVP_sha256(), NULL) != 1)
        return error_set(&transfer->error, ERROR_SYSTEM, "start a SHA-256");
    return 0;
}

/* The body from its first byte: nothing of what the file holds counts. */
static int restart_body(struct transfer *transfer)
{
    transfer->received = 0;
    transfer->attempt_offset = 0;
    if (transfer->fd >= 0 && ftruncate(transfer->fd, 0) < 0)
        return error_sys(&transfer->error, errno, "empty a partial download");
    return start_hash(transfer);
}

/* Hash what an earlier pull left in the file. */
static int hash_existing(struct transfer *transfer)
{
    cleanup_free unsigned char *chunk = x_alloc(HASH_CHUNK);
    uint64_t at = 0;

    if (start_hash(transfer) < 0)
        return -1;
    while (at < transfer->received) {
        uint64_t left = transfer->received - at;
        ssize_t n = pread(transfer->fd, chunk, left < HASH_CHUNK ? left : HASH_CHUNK, (off_t)at);

        if (n <= 0)
            return error_sys(&transfer->error, n ? errno : EIO, "read a partial download");
        if (EVP_DigestUpdate(transfer->hash, chunk, (size_t)n) != 1)
            return error_set(&transfer->error, ERROR_SYSTEM, "hash a download");
        at += (uint64_t)n;
    }
    return 0;
}

static long response_status(const struct transfer *transfer)
{
    long status = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static int store(struct transfer *transfer, const char *data, size_t len)
{
    if (transfer->received + len > transfer->max_bytes)
        return error_set(&transfer->error, ERROR_INVALID,
                         "the registry sends more than the %llu bytes announced",
                         (unsigned long long)transfer->max_bytes);
    if (EVP_DigestUpdate(transfer->hash, data, len) != 1)
        return error_set(&transfer->error, ERROR_SYSTEM, "hash a download");
    for (size_t done = 0; done < len;) {
        ssize_t n =
            pwrite(transfer->fd, data + done, len - done, (off_t)(transfer->received + done));

        if (n < 0 && errno != EINTR)
            return error_sys(&transfer->error, errno, "write a download");
        done += n > 0 ? (size_t)n : 0;
    }
    transfer->received += len;
    atomic_fetch_add_explicit(&transfer->shared->progress->received_bytes, len,
                              memory_order_relaxed);
    return 0;
}

static size_t take_body(char *data, size_t size, size_t n, void *context)
{
    struct transfer *transfer = context;
    size_t len = size * n;
    long status = response_status(transfer);

    if (status != 200 && status != 206) {
        buf_add(&transfer->failure_text, data, len); /* cut where it is full */
        return len;
    }
    /* 200 to a range request: the registry starts over, so do we. */
    if (status == 200 && transfer->attempt_offset > 0 && restart_body(transfer) < 0)
        return 0;
    return store(transfer, data, len) < 0 ? 0 : len;
}

/* ------------------------------------------------------------------ headers */

static void keep_header(struct buf *into, struct str value)
{
    if (into->len)
        buf_add_text(into, ", "); /* several of a name are a list */
    buf_add_str(into, value);
}

static size_t take_header(char *data, size_t size, size_t n, void *context)
{
    struct transfer *transfer = context;
    const struct {
        const char *name;
        struct buf *into;
    } wanted[] = {
        {"WWW-Authenticate", &transfer->authenticate},
        {"Location", &transfer->location},
        {"Retry-After", &transfer->retry_after},
        {"Content-Type", &transfer->content_type},
        {"Docker-Content-Digest", &transfer->registry_digest},
    };
    struct str line = {data, size * n}, name, value;

    if (!str_cut(line, ':', &name, &value))
        return size * n;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
        if (name.len == strlen(wanted[i].name) &&
            strncasecmp(name.data, wanted[i].name, name.len) == 0)
            keep_header(wanted[i].into, str_trim(value));
    return size * n;
}

static bool same_host(const char *a, const char *b)
{
    CURLU *left = curl_url(), *right = curl_url();
    char *left_host = NULL, *right_host = NULL, *left_port = NULL, *right_port = NULL;
    bool same = false;

    if (left && right && !curl_url_set(left, CURLUPART_URL, a, 0) &&
        !curl_url_set(right, CURLUPART_URL, b, 0) &&
        !curl_url_get(left, CURLUPART_HOST, &left_host, 0) &&
        !curl_url_get(right, CURLUPART_HOST, &right_host, 0) &&
        !curl_url_get(left, CURLUPART_PORT, &left_port, CURLU_DEFAULT_PORT) &&
        !curl_url_get(right, CURLUPART_PORT, &right_port, CURLU_DEFAULT_PORT))
        same = strcasecmp(left_host, right_host) == 0 && text_equal(left_port, right_port);
    curl_free(left_host);
    curl_free(right_host);
    curl_free(left_port);
    curl_free(right_port);
    curl_url_cleanup(left);
    curl_url_cleanup(right);
    return same;
}

static void add_header(struct transfer *transfer, const char *name, const char *value)
{
    cleanup_free char *line = x_printf("%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(transfer->headers, line);

    if (longer)
        transfer->headers = longer;
}

/* ------------------------------------------------------------------ begin */

CURL *transfer_begin(struct transfer *transfer, struct error *err)
{
    CURL *easy;

    transfer->error = (struct error)ERROR_INIT;
    if (!transfer->head_only && !transfer->hash && hash_existing(transfer) < 0) {
        *err = transfer->error;
        return NULL;
    }
    buf_clear(&transfer->authenticate);
    buf_clear(&transfer->location);
    buf_clear(&transfer->retry_after);
    buf_clear(&transfer->content_type);
    buf_clear(&transfer->registry_digest);
    buf_clear(&transfer->failure_text);
    transfer->curl_text[0] = '\0';
    transfer->attempt_offset = transfer->received;
    easy = transfer->easy = curl_easy_init();
    if (!easy) {
        error_set(err, ERROR_SYSTEM, "start libcurl");
        return NULL;
    }
    if (transfer->accept)
        add_header(transfer, "Accept", transfer->accept);
    if (transfer->authorization && same_host(transfer->url, transfer->first_url))
        add_header(transfer, "Authorization", transfer->authorization);
    if (transfer->received > 0 && !transfer->head_only) {
        cleanup_free char *range = x_printf("%llu-", (unsigned long long)transfer->received);

        curl_easy_setopt(easy, CURLOPT_RANGE, range);
    }
    curl_easy_setopt(easy, CURLOPT_URL, transfer->url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOBODY, transfer->head_only ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "berth");
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L << 10);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_SECONDS);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)STALL_SECONDS);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_text);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    return easy;
}

/* ------------------------------------------------------------------ end */

/* Later, if there are attempts left. @wait_ns 0 = the usual back-off. */
static enum transfer_outcome retry(struct transfer *transfer, int attempts_max, int64_t wait_ns)
{
    int64_t now_ns = clock_monotonic_ns();

    if (transfer->received >= transfer->attempt_offset + advance_bytes)
        transfer->n_attempts = 0;
    if (++transfer->n_attempts > attempts_max)
        return TRANSFER_FAILED;
    if (!wait_ns)
        wait_ns = first_wait_ns << (transfer->n_attempts - 1);
    transfer->not_before_ns = now_ns + (wait_ns < wait_max_ns ? wait_ns : wait_max_ns);
    return TRANSFER_AGAIN;
}

static void restore_first_url(struct transfer *transfer)
{
    free(transfer->url);
    transfer->url = x_strdup(transfer->first_url);
    transfer->n_redirects = 0;
}

static enum transfer_outcome after_curl_error(struct transfer *transfer, CURLcode code,
                                              struct error *err)
{
    int attempts_max = 0;

    if (transfer->error.code != ERROR_NONE) { /* a callback stopped it */
        *err = transfer->error;
        return TRANSFER_FAILED;
    }
    error_set(err, ERROR_REMOTE, "%s",
              transfer->curl_text[0] ? transfer->curl_text : curl_easy_strerror(code));
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
        attempts_max = UNREACHABLE_ATTEMPTS_MAX;
    else if (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR || code == CURLE_PARTIAL_FILE ||
             code == CURLE_OPERATION_TIMEDOUT || code == CURLE_GOT_NOTHING || code == CURLE_HTTP2 ||
             code == CURLE_HTTP2_STREAM || code == CURLE_SSL_CONNECT_ERROR)
        attempts_max = ATTEMPTS_MAX;
    return retry(transfer, attempts_max, 0);
}

static int finish_digest(struct transfer *transfer)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    size_t at = sizeof("sha256:") - 1;

    if (EVP_DigestFinal_ex(transfer->hash, hash, &len) != 1 || len != SHA256_BYTES)
        return -1;
    (void)snprintf(transfer->computed, sizeof(transfer->computed), "sha256:");
    for (unsigned i = 0; i < len; i++, at += 2)
        (void)snprintf(transfer->computed + at, sizeof(transfer->computed) - at, "%02x", hash[i]);
    return 0;
}

static enum transfer_outcome after_body(struct transfer *transfer, struct error *err)
{
    if (transfer->head_only)
        return TRANSFER_DONE;
    if (finish_digest(transfer) < 0) {
        error_set(err, ERROR_SYSTEM, "finish a SHA-256");
        return TRANSFER_FAILED;
    }
    if (!transfer->digest || text_equal(transfer->digest, transfer->computed))
        return TRANSFER_DONE;
    error_set(err, ERROR_INVALID, "the registry sent other content: want %s, got %s",
              transfer->digest, transfer->computed);
    if (restart_body(transfer) < 0 || transfer->n_mismatches++)
        return TRANSFER_FAILED;
    restore_first_url(transfer);
    return TRANSFER_AGAIN; /* once: it may have been the partial file of an earlier day */
}

/* {"errors":[{"code":"MANIFEST_UNKNOWN","message":"…"}]}, or what else they say. */
static void registry_text(const struct transfer *transfer, struct buf *out)
{
    cleanup_json json_t *json = NULL;
    const json_t *first;
    struct str text = buf_str(&transfer->failure_text);

    if (json_parse(text, &json, NULL) == 0) {
        first = json_array_get(json_object_get(json, "errors"), 0);
        buf_printf(out, "%.200s (%.60s)", json_text_or(first, "message", "no message"),
                   json_text_or(first, "code", "no code"));
        return;
    }
    if (text.len > 200)
        text.len = 200;
    for (size_t i = 0; i < text.len; i++)
        buf_add_char(out, text.data[i] >= ' ' && text.data[i] <= '~' ? text.data[i] : ' ');
}

static enum transfer_outcome refuse(const struct transfer *transfer, enum error_code code,
                                    const char *what, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;

    registry_text(transfer, &text);
    error_set(err, code, "%s%s%s", what, text.len ? ": " : "", buf_text(&text));
    return TRANSFER_FAILED;
}

static enum transfer_outcome after_challenge(struct transfer *transfer, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct challenge challenge;
    struct token_request request = {
        .challenge = &challenge,
        .scope = transfer->scope,
        .allow_http = text_starts_with(transfer->first_url, "http://"),
        .refresh = transfer->n_logins > 0,
    };
    const char *token;

    challenge_parse(&arena, buf_str(&transfer->authenticate), &challenge);
    if (challenge.scheme != CHALLENGE_BEARER || transfer->n_logins++ > 1)
        return refuse(
            transfer, ERROR_DENIED,
            "the registry wants a login (which is not supported yet), or there is no such "
            "image",
            err);
    if (token_get(transfer->shared->tokens, &request, &token, err) < 0)
        return TRANSFER_FAILED;
    free(transfer->authorization);
    transfer->authorization = x_printf("Bearer %s", token);
    return TRANSFER_AGAIN;
}

static enum transfer_outcome after_redirect(struct transfer *transfer, struct error *err)
{
    CURLU *url = curl_url();
    char *target = NULL;
    bool was_https = text_starts_with(transfer->url, "https://");
    bool is_good =
        url && transfer->location.len && ++transfer->n_redirects <= REDIRECTS_MAX &&
        curl_url_set(url, CURLUPART_URL, transfer->url, 0) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_URL, buf_text(&transfer->location), 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_URL, &target, 0) == CURLUE_OK &&
        (text_starts_with(target, "https://") ||
         (!was_https && text_starts_with(target, "http://")));

    if (is_good) {
        free(transfer->url);
        transfer->url = x_strdup(target);
    } else {
        error_set(err, ERROR_REMOTE, "the registry redirects to \"%.200s\", which we don't follow",
                  buf_text(&transfer->location));
    }
    curl_free(target);
    curl_url_cleanup(url);
    return is_good ? TRANSFER_AGAIN : TRANSFER_FAILED;
}

/* Seconds, or a date; 0 when there is none. */
static int64_t retry_after_ns(const struct transfer *transfer)
{
    const char *text = buf_text(&transfer->retry_after);
    uint64_t seconds;
    time_t at;

    if (parse_u64(buf_str(&transfer->retry_after), 0, 86400, &seconds, NULL) == 0)
        return (int64_t)seconds * NS_PER_S;
    at = curl_getdate(text, NULL);
    if (at <= 0)
        return 0;
    return at * NS_PER_S - clock_realtime_ns() > 0 ? at * NS_PER_S - clock_realtime_ns() : 0;
}

static enum transfer_outcome after_busy(struct transfer *transfer, long status, struct error *err)
{
    int64_t wait_ns = retry_after_ns(transfer);
    cleanup_free char *what =
        x_printf(status == 429 ? "the registry limits our requests (status %ld)"
                               : "the registry has a problem (status %ld)",
                 status);

    (void)refuse(transfer, ERROR_REMOTE, what, err);
    /* A limit that outlasts our patience will not pass by asking more often. */
    if (wait_ns > wait_max_ns)
        return TRANSFER_FAILED;
    return retry(transfer, ATTEMPTS_MAX, wait_ns);
}

static enum transfer_outcome after_status(struct transfer *transfer, long status, struct error *err)
{
    bool was_redirected = !text_equal(transfer->url, transfer->first_url);
    cleanup_free char *what = NULL;

    switch (status) {
    case 200:
    case 206:
        return after_body(transfer, err);
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return after_redirect(transfer, err);
    case 401:
        return after_challenge(transfer, err);
    case 403:
        if (was_redirected && retry(transfer, ATTEMPTS_MAX, 0) == TRANSFER_AGAIN) {
            restore_first_url(transfer); /* a signed address that has expired */
            return TRANSFER_AGAIN;
        }
        return refuse(transfer, ERROR_DENIED, "the registry denies it", err);
    case 404:
        return refuse(transfer, ERROR_NOT_FOUND, "the registry does not have it", err);
    case 416: /* our offset is not in the body: begin anew */
        if (restart_body(transfer) == 0)
            return retry(transfer, ATTEMPTS_MAX, 0);
        *err = transfer->error;
        return TRANSFER_FAILED;
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return after_busy(transfer, status, err);
    default:
        what = x_printf("the registry answers with status %ld", status);
        return refuse(transfer, ERROR_REMOTE, what, err);
    }
}

enum transfer_outcome transfer_end(struct transfer *transfer, CURLcode code, struct error *err)
{
    enum transfer_outcome outcome;

    transfer->not_before_ns = 0;
    if (code != CURLE_OK)
        outcome = after_curl_error(transfer, code, err);
    else
        outcome = after_status(transfer, response_status(transfer), err);
    end_attempt(transfer);
    return outcome;
}

void transfer_result(const struct transfer *transfer, struct transfer_result *ret)
{
    const char *digest =
        transfer->head_only ? buf_text(&transfer->registry_digest) : transfer->computed;

    *ret = (struct transfer_result){
        .id = transfer->id,
        .content_type = buf_text(&transfer->content_type),
        .size = transfer->received,
    };
    if (digest_is_valid(digest))
        (void)snprintf(ret->digest, sizeof(ret->digest), "%s", digest);
}
