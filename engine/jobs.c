/* engine_job_* and the requests that make jobs: engine/image/job.h under the engine's public names.
 */

#include "engine/base/json.h"
#include "engine/build/build.h"
#include "engine/engine.h"
#include "engine/engine_internal.h"
#include "engine/image/job.h"

/* One struct under two names: the engine's users never see struct job. */
static struct job *job_of(struct engine_job *job)
{
    return (struct job *)(void *)job;
}

/* Its arguments may not be computed by one another's call: C leaves their order open. */
static int hand_out(int result, struct job *job, struct engine_job **ret)
{
    if (result == 0)
        *ret = (struct engine_job *)(void *)job;
    return result;
}

int engine_image_import(struct engine *engine, const struct image_import_request *request,
                        struct engine_job **ret, struct error *err)
{
    struct job *job = NULL;
    int result = image_import_start(engine->state_fd, request, &job, err);

    return hand_out(result, job, ret);
}

int engine_image_pull(struct engine *engine, const struct image_pull_request *request,
                      struct engine_job **ret, struct error *err)
{
    struct job *job = NULL;
    int result = image_pull_start(engine->state_fd, request, &job, err);

    return hand_out(result, job, ret);
}

int engine_image_resolve(struct engine *engine, const char *reference, struct engine_job **ret,
                         struct error *err)
{
    struct job *job = NULL;
    int result = image_resolve_start(engine->state_fd, reference, &job, err);

    return hand_out(result, job, ret);
}

/* The builder is this program again (engine/internal.c): it needs no big library, but a process of
 * its own, whose death ends the build. */
int engine_image_build(struct engine *engine, const struct image_build_request *request,
                       struct engine_job **ret, struct error *err)
{
    static const char *const argv[] = {"/proc/self/exe", "internal", "build", NULL};
    cleanup_json json_t *json = build_request_to_json(request, engine->state_root);
    struct job_options options = {
        .argv = argv,
        .request = json,
        .state_fd = engine->state_fd,
        .extra_fds = &engine->run_fd,
        .n_extra_fds = 1,
    };
    struct job *job = NULL;
    int result = job_start(&options, &job, err);

    return hand_out(result, job, ret);
}

int engine_job_fd(const struct engine_job *job)
{
    return job_fd((const struct job *)(const void *)job);
}

int engine_job_read(struct engine_job *job, struct job_event *ret, struct error *err)
{
    return job_read(job_of(job), ret, err);
}

void engine_job_close(struct engine_job *job)
{
    job_close(job_of(job));
}
