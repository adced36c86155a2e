/* The builder as a job: engine/image/job.h, from the child's side. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/sha256.h"
#include "engine/build/build.h"
#include "engine/engine.h"
#include "engine/image/job.h"

enum { REQUEST_BYTES_MAX = 16 << 20, EVENT_TEXT_MAX = 4000, RUN_FD = JOB_FIRST_EXTRA_FD };

json_t *build_request_to_json(const struct image_build_request *request, const char *state_path)
{
    json_t *json = json_object();

    json_set_text(json, "kind", "build");
    json_set_text(json, "state_path", state_path);
    json_set_text(json, "context", request->context);
    json_set_text(json, "dockerfile", request->dockerfile);
    json_set_text(json, "target", request->target);
    json_set_pairs(json, "args", &request->args);
    json_set_strings(json, "tags", &request->tags);
    json_set_pairs(json, "labels", &request->labels);
    json_set_bool(json, "no_cache", request->no_cache);
    json_set_bool(json, "pull", request->pull);
    return json;
}

int build_request_from_json(struct arena *arena, const json_t *json,
                            struct image_build_request *ret, const char **ret_state_path,
                            struct error *err)
{
    const char *context, *state_path;

    if (json_get_text(json, "context", &context, err) < 0 ||
        json_get_text(json, "state_path", &state_path, err) < 0)
        return -1;
    *ret = (struct image_build_request){
        .context = arena_strdup(arena, context),
        .dockerfile = arena_strdup(arena, json_text_or(json, "dockerfile", NULL)),
        .target = arena_strdup(arena, json_text_or(json, "target", NULL)),
        .args = json_pairs(arena, json, "args"),
        .tags = json_strings(arena, json, "tags"),
        .labels = json_pairs(arena, json, "labels"),
        .no_cache = json_bool_or(json, "no_cache", false),
        .pull = json_bool_or(json, "pull", false),
    };
    *ret_state_path = arena_strdup(arena, state_path);
    return 0;
}

/* ------------------------------------------------------------------ events */

/* JSON needs UTF-8; containers write what they like. Bytes that are none become '?'. */
static json_t *json_of_text(const char *text)
{
    struct str s = str_from(text);
    json_t *string;

    if (s.len > EVENT_TEXT_MAX)
        s.len = EVENT_TEXT_MAX;
    string = json_stringn(s.data, s.len);
    if (string != NULL)
        return string;
    cleanup_buf struct buf clean = BUF_INIT;
    for (size_t i = 0; i < s.len; i++)
        buf_add_char(&clean, (unsigned char)s.data[i] < 0x80 ? s.data[i] : '?');
    return json_stringn(buf_text(&clean), clean.len);
}

static void send_event(json_t *event)
{
    cleanup_buf struct buf line = BUF_INIT;

    json_print(&line, event);
    buf_add_char(&line, '\n');
    (void)fs_write_all(JOB_EVENT_FD, line.data, line.len, NULL); /* nobody listens: go on */
    json_decref(event);
}

static void on_event(enum build_event_kind kind, const char *text, void *context)
{
    json_t *event = json_object();

    (void)context;
    json_set_text(event, "kind", kind == BUILD_PROGRESS ? "progress" : "log");
    if (kind == BUILD_WARNING) {
        cleanup_buf struct buf warning = BUF_INIT;
        buf_printf(&warning, "warning: %s", text);
        json_set_take(event, "text", json_of_text(buf_text(&warning)));
    } else {
        json_set_take(event, "text", json_of_text(text));
    }
    send_event(event);
}

static void send_done(const char *id)
{
    json_t *event = json_object(), *result = json_object();

    json_set_text(result, "id", id);
    json_set_text(event, "kind", "done");
    json_set_take(event, "result", result);
    send_event(event);
}

static void send_failed(const struct error *err)
{
    json_t *event = json_object();

    json_set_text(event, "kind", "failed");
    json_set_i64(event, "code", err->code);
    json_set_i64(event, "errnum", err->errnum);
    json_set_take(event, "text", json_of_text(err->text));
    send_event(event);
}

/* ------------------------------------------------------------------ main */

static int read_request(struct arena *arena, struct image_build_request *ret,
                        const char **ret_state_path, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_json json_t *json = NULL;

    buf_init(&text, REQUEST_BYTES_MAX);
    if (fs_read_all(JOB_REQUEST_FD, &text, err) < 0 || json_parse(buf_str(&text), &json, err) < 0)
        return error_wrap(err, "read the build request");
    return build_request_from_json(arena, json, ret, ret_state_path, err);
}

int build_job_main(void)
{
    static const int inherited[] = {JOB_REQUEST_FD, JOB_EVENT_FD, JOB_STATE_FD, RUN_FD};
    cleanup_arena struct arena arena = ARENA_INIT;
    struct image_build_request request;
    struct error err = ERROR_INIT;
    char id[DIGEST_TEXT_SIZE];
    const char *state_path;

    for (size_t i = 0; i < sizeof(inherited) / sizeof(inherited[0]); i++)
        (void)fcntl(inherited[i], F_SETFD, FD_CLOEXEC); /* not for the zygote */
    (void)prctl(PR_SET_NAME, "berth-build");
    if (read_request(&arena, &request, &state_path, &err) < 0 ||
        build_run(JOB_STATE_FD, state_path, RUN_FD, &request, on_event, NULL, id, &err) < 0) {
        send_failed(&err);
        return 1;
    }
    send_done(id);
    return 0;
}
