/* The fetching child: requests in, answers out, as many transfers at once as asked for. */

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/sys.h"
#include "engine/base/vec.h"
#include "engine/worker/fetch.h"
#include "engine/worker/sandbox.h"
#include "engine/worker/token.h"
#include "engine/worker/transfer.h"

enum { POLL_MS = 10000, HOST_CONNECTIONS_MAX = 6 };

struct loop {
    int socket;
    CURLM *multi;
    struct transfer_shared shared;
    VEC(struct transfer *) waiting; /* for their time to begin (again) */
};

/* The worker is gone when it cannot hear us: it kills us, too. */
static void answer_take(struct loop *loop, json_t *json)
{
    cleanup_buf struct buf text = BUF_INIT;

    json_print(&text, json);
    (void)sys_send_fds(loop->socket, text.data, text.len, NULL, 0);
    json_decref(json);
}

static void answer_failed(struct loop *loop, uint32_t id, const struct error *error)
{
    json_t *json = json_object(), *failure = json_object();

    json_set_i64(failure, "code", error->code);
    json_set_text(failure, "text", error->text);
    json_set_i64(json, "id", id);
    json_set_take(json, "error", failure);
    answer_take(loop, json);
}

static void answer_done(struct loop *loop, const struct transfer *transfer)
{
    json_t *json = json_object();
    struct transfer_result result;

    transfer_result(transfer, &result);
    json_set_i64(json, "id", result.id);
    json_set_text(json, "type", result.content_type);
    json_set_text(json, "digest", result.digest);
    json_set_i64(json, "size", (int64_t)result.size);
    answer_take(loop, json);
}

/* ------------------------------------------------------------------ transfers */

static void begin(struct loop *loop, struct transfer *transfer)
{
    struct error error = ERROR_INIT;
    CURL *easy = transfer_begin(transfer, &error);

    if (easy && curl_multi_add_handle(loop->multi, easy) == CURLM_OK)
        return;
    if (error.code == ERROR_NONE)
        error_set(&error, ERROR_SYSTEM, "start a transfer");
    answer_failed(loop, transfer_id(transfer), &error);
    transfer_free(transfer);
}

/* Begin those whose time has come; the time until the next, at most POLL_MS. */
static int begin_waiting(struct loop *loop)
{
    int64_t now_ns = clock_monotonic_ns(), next_ns = now_ns + POLL_MS * NS_PER_MS;
    size_t n_left = 0;

    for (size_t i = 0; i < loop->waiting.n; i++) {
        struct transfer *transfer = loop->waiting.items[i];
        int64_t at_ns = transfer_not_before_ns(transfer);

        if (at_ns <= now_ns) {
            begin(loop, transfer);
            continue;
        }
        next_ns = at_ns < next_ns ? at_ns : next_ns;
        loop->waiting.items[n_left++] = transfer;
    }
    loop->waiting.n = n_left;
    return (int)((next_ns - now_ns) / NS_PER_MS) + 1;
}

static void end(struct loop *loop, CURL *easy, CURLcode code)
{
    struct error error = ERROR_INIT;
    struct transfer *transfer = NULL;
    char *private = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    transfer = (struct transfer *)(void *)private;
    curl_multi_remove_handle(loop->multi, easy);
    switch (transfer_end(transfer, code, &error)) {
    case TRANSFER_AGAIN:
        vec_push(&loop->waiting, transfer);
        return;
    case TRANSFER_DONE:
        answer_done(loop, transfer);
        break;
    case TRANSFER_FAILED:
        answer_failed(loop, transfer_id(transfer), &error);
        break;
    }
    transfer_free(transfer);
}

static void end_finished(struct loop *loop)
{
    const CURLMsg *message;
    int n_left;

    while ((message = curl_multi_info_read(loop->multi, &n_left)))
        if (message->msg == CURLMSG_DONE)
            end(loop, message->easy_handle, message->data.result);
}

/* ------------------------------------------------------------------ requests */

static void take_request(struct loop *loop, const json_t *json, int fd)
{
    struct transfer_order order = {
        .id = (uint32_t)json_i64_or(json, "id", 0),
        .url = json_text_or(json, "url", ""),
        .accept = json_text_or(json, "accept", NULL),
        .scope = json_text_or(json, "scope", NULL),
        .digest = json_text_or(json, "digest", NULL),
        .head_only = json_bool_or(json, "head_only", false),
        .offset = (uint64_t)json_i64_or(json, "offset", 0),
        .max_bytes = (uint64_t)json_i64_or(json, "max_bytes", 0),
        .fd = fd,
    };
    struct transfer *transfer = transfer_new_take(&order, &loop->shared);

    vec_push(&loop->waiting, transfer);
}

/* 0 = go on, 1 = the worker has gone. */
static int receive_request(struct loop *loop)
{
    cleanup_free char *text = x_alloc(FETCH_MESSAGE_MAX);
    cleanup_json json_t *json = NULL;
    cleanup_fd int fd = -1;
    size_t n_fds = 1;
    ssize_t n = sys_receive_fds(loop->socket, text, FETCH_MESSAGE_MAX, &fd, &n_fds);

    if (n <= 0)
        return 1;
    if (n_fds == 0)
        fd = -1;
    if (json_parse((struct str){text, (size_t)n}, &json, NULL) < 0)
        return 1;
    take_request(loop, json, fd_take(&fd));
    return 0;
}

/* ------------------------------------------------------------------ the loop */

static int run(struct loop *loop)
{
    for (;;) {
        struct curl_waitfd wait = {.fd = loop->socket, .events = CURL_WAIT_POLLIN};
        int timeout_ms = begin_waiting(loop);
        int n_running;

        if (curl_multi_perform(loop->multi, &n_running) != CURLM_OK)
            return 1;
        end_finished(loop);
        if (loop->waiting.n)
            timeout_ms = begin_waiting(loop);
        if (curl_multi_poll(loop->multi, &wait, 1, timeout_ms, NULL) != CURLM_OK)
            return 1;
        if (wait.revents && receive_request(loop) != 0)
            return 0;
    }
}

int fetch_loop(int socket, struct fetch_progress *progress)
{
    struct loop loop = {.socket = socket, .shared = {.progress = progress}};
    struct error error = ERROR_INIT;

    if (sandbox_enter_fetch(&error) < 0) {
        answer_failed(&loop, 0, &error);
        return 1;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return 1;
    loop.multi = curl_multi_init();
    if (!loop.multi)
        return 1;
    curl_multi_setopt(loop.multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)HOST_CONNECTIONS_MAX);
    loop.shared.tokens = token_cache_new();
    return run(&loop); /* the process ends with it: nothing is worth freeing */
}
