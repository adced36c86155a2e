/* engine_job_* and the requests that make jobs: engine/image/job.h under the engine's public names.
 */

#include "engine/engine.h"
#include "engine/engine_internal.h"
#include "engine/image/job.h"

/* One struct under two names: the engine's users never see struct job. */
static struct job *job_of(struct engine_job *job)
{
    return (struct job *)(void *)job;
}

int engine_image_import(struct engine *engine, const struct image_import_request *request,
                        struct engine_job **ret, struct error *err)
{
    return image_import_start(engine->state_fd, request, (struct job **)(void *)ret, err);
}

int engine_image_pull(struct engine *engine, const struct image_pull_request *request,
                      struct engine_job **ret, struct error *err)
{
    return image_pull_start(engine->state_fd, request, (struct job **)(void *)ret, err);
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
