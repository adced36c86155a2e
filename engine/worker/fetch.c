/* The worker's side of the fetching child. */

#include "engine/worker/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/sys.h"
#include "engine/worker/child.h"

struct fetch_context {
    int socket;
    struct fetch_progress *progress;
};

static int run_fetch(void *argument)
{
    const struct fetch_context *context = argument;

    return fetch_loop(context->socket, context->progress);
}

int fetch_start(struct fetch *ret, struct error *err)
{
    cleanup_fetch struct fetch fetch = FETCH_INIT;
    struct fetch_context context;
    cleanup_fd int theirs = -1;
    int sockets[2];
    void *shared = mmap(NULL, sizeof(*fetch.progress), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (shared == MAP_FAILED)
        return error_sys(err, errno, "share memory");
    fetch.progress = shared;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        return error_sys(err, errno, "make a socket");
    fetch.socket = sockets[0];
    theirs = sockets[1];
    context = (struct fetch_context){theirs, fetch.progress};
    if (child_fork(run_fetch, &context, &theirs, 1, &fetch.process, err) < 0)
        return -1;

    *ret = fetch;
    fetch = (struct fetch)FETCH_INIT;
    return 0;
}

void fetch_release(struct fetch *fetch)
{
    int saved = errno;

    if (fetch->socket >= 0)
        close(fd_take(&fetch->socket));
    process_release(&fetch->process);
    if (fetch->progress)
        munmap(fetch->progress, sizeof(*fetch->progress));
    fetch->progress = NULL;
    errno = saved;
}

int fetch_send(struct fetch *fetch, const struct fetch_request *request, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_json json_t *json = json_object();

    json_set_i64(json, "id", request->id);
    json_set_text(json, "url", request->url);
    json_set_text(json, "accept", request->accept);
    json_set_text(json, "scope", request->scope);
    json_set_text(json, "digest", request->digest);
    json_set_bool(json, "head_only", request->head_only);
    json_set_i64(json, "offset", (int64_t)request->offset);
    json_set_i64(json, "max_bytes", (int64_t)request->max_bytes);
    json_print(&text, json);
    if (sys_send_fds(fetch->socket, text.data, text.len, &request->fd, request->fd >= 0) < 0)
        return error_sys(err, errno, "ask the fetching process");
    return 0;
}

static int take_answer(struct arena *arena, const json_t *json, struct fetch_answer *ret,
                       struct error *err)
{
    const char *digest = json_text_or(json, "digest", "");
    struct fetch_answer answer = {
        .id = (uint32_t)json_i64_or(json, "id", 0),
        .content_type = arena_strdup(arena, json_text_or(json, "type", "")),
        .size = (uint64_t)json_i64_or(json, "size", 0),
    };

    if (digest[0] && !digest_is_valid(digest))
        return error_set(err, ERROR_SYSTEM, "the fetching process answered nonsense");
    (void)snprintf(answer.digest, sizeof(answer.digest), "%s", digest);
    *ret = answer;
    return 0;
}

int fetch_receive(struct fetch *fetch, struct arena *arena, struct fetch_answer *ret,
                  uint32_t *ret_id, struct error *err)
{
    cleanup_free char *text = x_alloc(FETCH_MESSAGE_MAX);
    cleanup_json json_t *json = NULL;
    const json_t *failure;
    size_t n_fds = 0;
    ssize_t n;

    *ret_id = 0;
    n = sys_receive_fds(fetch->socket, text, FETCH_MESSAGE_MAX, NULL, &n_fds);
    if (n < 0)
        return error_sys(err, errno, "hear from the fetching process");
    if (n == 0)
        return error_set(err, ERROR_SYSTEM, "the fetching process died");
    if (json_parse((struct str){text, (size_t)n}, &json, err) < 0)
        return error_wrap(err, "the fetching process's answer");
    *ret_id = (uint32_t)json_i64_or(json, "id", 0);
    failure = json_object_get(json, "error");
    if (failure) {
        int64_t code = json_i64_or(failure, "code", ERROR_SYSTEM);

        error_set(err,
                  code > ERROR_NONE && code <= ERROR_SYSTEM ? (enum error_code)code : ERROR_SYSTEM,
                  "%s", json_text_or(failure, "text", "failed"));
        return -1;
    }
    return take_answer(arena, json, ret, err);
}
