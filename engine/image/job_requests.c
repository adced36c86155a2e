/* What can be asked of the worker: each request checked here, before a process is made. */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/engine.h"
#include "engine/image/image.h"
#include "engine/image/job.h"

static void set_now(json_t *object, const char *key)
{
    cleanup_buf struct buf text = BUF_INIT;

    clock_print_rfc3339(&text, clock_realtime_ns());
    json_set_text(object, key, buf_text(&text));
}

/* The image config without rootfs and history, which the worker adds. */
static int make_import_config(const struct image_import_request *request, json_t **ret,
                              struct error *err)
{
    cleanup_json json_t *config = image_config_new();

    set_now(config, "created");
    for (size_t i = 0; i < request->changes.n; i++)
        if (image_config_apply_change(config, request->changes.items[i], err) < 0)
            return error_wrap(err, "change \"%s\"", request->changes.items[i]);
    *ret = json_incref(config);
    return 0;
}

static int open_archive(const struct image_import_request *request, int *ret_owned, int *ret_fd,
                        struct error *err)
{
    if (text_equal(request->path, "-")) {
        *ret_fd = request->stdin_fd;
        return 0;
    }
    *ret_owned = open(request->path, O_RDONLY | O_CLOEXEC);
    if (*ret_owned < 0)
        return error_sys(err, errno, "open \"%s\"", request->path);
    *ret_fd = *ret_owned;
    return 0;
}

int image_import_start(int state_fd, const struct image_import_request *request, struct job **ret,
                       struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_json json_t *json = json_object(), *config = NULL;
    struct image_reference reference;
    cleanup_fd int owned_fd = -1;
    int archive_fd;

    json_set_text(json, "job", "import");
    json_set_text(json, "source", request->path);
    json_set_text(json, "message", request->message);
    if (request->reference) {
        if (image_reference_parse(&arena, request->reference, &reference, err) < 0)
            return -1;
        if (reference.digest)
            return error_set(err, ERROR_INVALID, "an import cannot be named by digest: \"%s\"",
                             request->reference);
        json_set_text(json, "reference", image_reference_text(&arena, &reference));
    }
    if (make_import_config(request, &config, err) < 0 ||
        open_archive(request, &owned_fd, &archive_fd, err) < 0)
        return error_wrap(err, "import");
    json_set_take(json, "config", json_incref(config));

    return job_start(
        &(struct job_options){
            .request = json, .state_fd = state_fd, .extra_fds = &archive_fd, .n_extra_fds = 1},
        ret, err);
}

int image_pull_start(int state_fd, const struct image_pull_request *request, struct job **ret,
                     struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_json json_t *json = json_object();
    struct image_reference reference;

    if (image_reference_parse(&arena, request->reference, &reference, err) < 0)
        return -1;
    json_set_text(json, "job", "pull");
    json_set_text(json, "reference", image_reference_text(&arena, &reference));
    json_set_text(json, "platform", request->platform);
    return job_start(&(struct job_options){.request = json, .state_fd = state_fd}, ret, err);
}

int image_resolve_start(int state_fd, const char *reference, struct job **ret, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_json json_t *json = json_object();
    struct image_reference parsed;

    if (image_reference_parse(&arena, reference, &parsed, err) < 0)
        return -1;
    json_set_text(json, "job", "resolve");
    json_set_text(json, "reference", image_reference_text(&arena, &parsed));
    return job_start(&(struct job_options){.request = json, .state_fd = state_fd}, ret, err);
}

int image_extract_start(int state_fd, int archive_fd, int directory_fd, const char *owner,
                        struct job **ret, struct error *err)
{
    cleanup_json json_t *json = json_object();
    const int fds[] = {archive_fd, directory_fd};

    json_set_text(json, "job", "extract");
    json_set_text(json, "owner", owner);
    return job_start(
        &(struct job_options){
            .request = json, .state_fd = state_fd, .extra_fds = fds, .n_extra_fds = 2},
        ret, err);
}
