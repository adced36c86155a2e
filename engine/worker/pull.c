/* Pull: reference → manifest → config → layers → image. reference/images-build.md 1.6. */

#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/image/store.h"
#include "engine/worker/fetch.h"
#include "engine/worker/layers.h"
#include "engine/worker/manifest.h"
#include "engine/worker/registry.h"
#include "engine/worker/report.h"
#include "engine/worker/worker.h"

enum { IMAGE_CONFIG_MAX_BYTES = 8 << 20 };

struct pull_job {
    int state_fd;
    struct arena arena;
    struct fetch fetch;
    struct image_lease lease;
    struct image_reference reference;
    struct registry registry;
    struct platform platform;
    bool platform_is_given;
    const char *name; /* familiar */

    struct manifest manifest;
    char digest[DIGEST_TEXT_SIZE]; /* what the reference means */
    struct buf config_text;
};

static json_t *make_result(const char *id, const char *manifest, bool is_fresh)
{
    json_t *result = json_object();

    json_set_text(result, "id", id);
    json_set_text(result, "manifest", manifest);
    json_set_bool(result, "is_fresh", is_fresh);
    return result;
}

static int read_request(struct pull_job *job, const json_t *request, struct error *err)
{
    const char *text, *platform = json_text_or(request, "platform", NULL);

    if (json_get_text(request, "reference", &text, err) < 0 ||
        image_reference_parse(&job->arena, text, &job->reference, err) < 0)
        return -1;
    job->platform = platform_of_machine();
    if (platform && platform_parse(&job->arena, platform, &job->platform, err) < 0)
        return -1;
    job->platform_is_given = platform != NULL;
    job->name = image_reference_familiar(&job->arena, &job->reference);
    job->registry = registry_of(&job->arena, &job->reference);
    return 0;
}

/* ------------------------------------------------------------------ up to date? */

static bool platform_fits(const struct pull_job *job, const json_t *config)
{
    return text_equal(json_text_or(config, "architecture", ""), job->platform.architecture) &&
           text_equal(json_text_or(config, "os", ""), job->platform.os);
}

static bool image_is_whole(struct pull_job *job, const char *image)
{
    cleanup_json json_t *config = NULL;
    struct strings diff_ids;

    if (image_config_read(job->state_fd, image, &config, NULL) < 0 ||
        config_diff_ids(&job->arena, config, &diff_ids, NULL) < 0 || !platform_fits(job, config))
        return false;
    for (size_t i = 0; i < diff_ids.n; i++)
        if (!layer_exists(job->state_fd, diff_ids.items[i]))
            return false;
    return true;
}

/* 1 = what we have is what the registry has. A HEAD costs no part of a pull limit. */
static int check_fresh(struct pull_job *job, json_t **ret, struct error *err)
{
    const char *directory, *file;
    char digest[DIGEST_TEXT_SIZE];
    struct stored_ref ref;

    ref_place(&job->arena, &job->reference, &directory, &file);
    if (ref_read(job->state_fd, &job->arena, directory, file, &ref, NULL) < 0 || !ref.manifest ||
        !image_is_whole(job, ref.image))
        return 0;
    if (job->reference.digest) {
        *ret = make_result(ref.image, ref.manifest, true);
        return 1;
    }
    if (registry_head(&job->fetch, &job->arena, &job->registry, job->reference.tag, digest, err) <
        0)
        return -1;
    if (!text_equal(digest, ref.manifest))
        return 0;
    *ret = make_result(ref.image, ref.manifest, true);
    return 1;
}

/* ------------------------------------------------------------------ fetch */

static int get_config(struct pull_job *job, struct strings *ret_diff_ids, struct error *err)
{
    cleanup_json json_t *config = NULL;

    if (registry_blob(&job->fetch, &job->arena, &job->registry, &job->manifest.config,
                      IMAGE_CONFIG_MAX_BYTES, &job->config_text, err) < 0 ||
        json_parse(buf_str(&job->config_text), &config, err) < 0 ||
        config_diff_ids(&job->arena, config, ret_diff_ids, err) < 0)
        return error_wrap(err, "the image's config");
    if (ret_diff_ids->n != job->manifest.n_layers)
        return error_set(err, ERROR_INVALID, "the config names %zu layers, the manifest %zu",
                         ret_diff_ids->n, job->manifest.n_layers);
    if (!platform_fits(job, config)) {
        if (job->platform_is_given)
            return error_set(err, ERROR_NOT_FOUND, "the image is for %.50s/%.50s, not %s/%s",
                             json_text_or(config, "os", "?"),
                             json_text_or(config, "architecture", "?"), job->platform.os,
                             job->platform.architecture);
        report_log("warning: \"%s\" is for %.50s/%.50s, not for this machine", job->name,
                   json_text_or(config, "os", "?"), json_text_or(config, "architecture", "?"));
    }
    return 0;
}

static int lease_all(struct pull_job *job, const struct strings *diff_ids, struct error *err)
{
    if (image_lease_open(job->state_fd, &job->lease, err) < 0 ||
        image_lease_add(&job->lease, job->manifest.config.digest, err) < 0)
        return -1;
    for (size_t i = 0; i < diff_ids->n; i++)
        if (image_lease_add(&job->lease, diff_ids->items[i], err) < 0)
            return -1;
    return 0;
}

static int get_image(struct pull_job *job, json_t **ret, struct error *err)
{
    const char *name = job->reference.digest ? job->reference.digest : job->reference.tag;
    struct strings diff_ids;
    char id[DIGEST_TEXT_SIZE];

    if (registry_manifest(&job->fetch, &job->arena, &job->registry, name, &job->platform,
                          &job->manifest, job->digest, err) < 0 ||
        get_config(job, &diff_ids, err) < 0 || lease_all(job, &diff_ids, err) < 0)
        return -1;
    if (layers_get(&(struct layers_order){.state_fd = job->state_fd,
                                          .fetch = &job->fetch,
                                          .registry = &job->registry,
                                          .name = job->name,
                                          .manifest = &job->manifest,
                                          .diff_ids = &diff_ids},
                   err) < 0)
        return -1;
    if (image_write(job->state_fd,
                    &(struct image_write){.config_text = buf_str(&job->config_text),
                                          .references = &job->reference,
                                          .n_references = 1,
                                          .manifest = job->digest},
                    id, err) < 0)
        return -1;
    *ret = make_result(id, job->digest, false);
    return 0;
}

static int run(struct pull_job *job, const json_t *request, json_t **ret, struct error *err)
{
    int result;

    if (read_request(job, request, err) < 0)
        return -1;
    report_progress("%s: asking the registry", job->name);
    if (fetch_start(&job->fetch, err) < 0)
        return -1;
    result = check_fresh(job, ret, err);
    if (result == 0)
        result = get_image(job, ret, err);
    return result < 0 ? error_wrap(err, "pull \"%s\"", job->name) : 0;
}

int worker_pull(int state_fd, const json_t *request, json_t **ret, struct error *err)
{
    struct pull_job job = {
        .state_fd = state_fd,
        .arena = ARENA_INIT,
        .fetch = FETCH_INIT,
        .lease = IMAGE_LEASE_INIT,
    };
    int result = run(&job, request, ret, err);

    fetch_release(&job.fetch);
    image_lease_close(&job.lease);
    buf_release(&job.config_text);
    arena_release(&job.arena);
    return result;
}
