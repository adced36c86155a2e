#include "compose/command/config_digests.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "compose/command/command.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

/* Registries that are asked at the same time. */
enum { JOBS_MAX = 8 };

/* One image, of one or several services. */
struct question {
    const char *image;
    const struct service *service; /* the first: errors name it */
    const char *pinned;            /* NULL = as it is */
    struct engine_job *job;
};

static int compare_questions(const void *a, const void *b)
{
    const struct question *left = a;
    const struct question *right = b;
    int order = strcmp(left->image, right->image);

    return order != 0 ? order : strcmp(left->service->name, right->service->name);
}

/* The images, each once. One that is built for a service and pulled for another is a question. */
static struct question *collect(struct arena *arena, const struct project *project, size_t *ret_n)
{
    struct question *questions = arena_new_array(arena, struct question, project->n_services + 1);
    size_t n = 0;
    size_t n_kept = 0;

    for (size_t i = 0; i < project->n_services; i++) {
        if (project->services[i].image)
            questions[n++] = (struct question){.image = project->services[i].image,
                                               .service = &project->services[i]};
    }
    if (n > 1)
        qsort(questions, n, sizeof(questions[0]), compare_questions);
    for (size_t i = 0; i < n; i++) {
        struct question *last = n_kept > 0 ? &questions[n_kept - 1] : NULL;

        if (!last || strcmp(last->image, questions[i].image) != 0)
            questions[n_kept++] = questions[i];
        else if (last->service->build.context)
            last->service = questions[i].service;
    }
    *ret_n = n_kept;
    return questions;
}

static int fail(const struct project *project, const struct question *question, struct error *err)
{
    cleanup_buf struct buf place = BUF_INIT;

    project_print_span(&place, project, project_service_span(question->service, "image", NULL));
    return error_wrap(err, "%s: service \"%s\"", buf_text(&place), question->service->name);
}

/* What is known here, else a job that asks. */
static int ask(struct cli_context *context, struct engine *engine, struct question *question,
               struct error *err)
{
    int result = engine_image_pin(engine, &command_app(context)->arena, question->image,
                                  &question->pinned, err);

    if (result <= 0 || question->service->build.context)
        return result < 0 ? -1 : 0;
    return engine_image_resolve(engine, question->image, &question->job, err);
}

static int wait_for(struct cli_context *context, struct question *question, struct error *err)
{
    while (true) {
        struct pollfd poll_fd = {.fd = engine_job_fd(question->job), .events = POLLIN};
        struct job_event event;
        int result;

        if (poll(&poll_fd, 1, -1) < 0 && errno != EINTR)
            return error_sys(err, errno, "wait for the registry");
        while ((result = engine_job_read(question->job, &event, err)) == 0) {
            if (event.kind == JOB_FAILED) {
                if (err)
                    *err = *event.error;
                return -1;
            }
            if (event.kind != JOB_DONE)
                continue;
            question->pinned = arena_strdup(&command_app(context)->arena, event.text);
            return 0;
        }
        if (result < 0)
            return -1;
    }
}

static int answer_all(struct cli_context *context, struct engine *engine,
                      const struct project *project, struct question *questions, size_t n,
                      struct error *err)
{
    int result = 0;
    size_t n_asked = 0;

    for (size_t i = 0; i < n && result == 0; i++) {
        for (; n_asked < n && n_asked < i + JOBS_MAX && result == 0; n_asked++) {
            if (ask(context, engine, &questions[n_asked], err) < 0)
                result = fail(project, &questions[n_asked], err);
        }
        if (result == 0 && questions[i].job && wait_for(context, &questions[i], err) < 0)
            result = fail(project, &questions[i], err);
    }
    for (size_t i = 0; i < n; i++)
        engine_job_close(questions[i].job);
    return result;
}

static int compare_image(const void *image, const void *item)
{
    return strcmp(image, ((const struct question *)item)->image);
}

static const struct question *find_question(const struct question *questions, size_t n,
                                            const char *image)
{
    return bsearch(image, questions, n, sizeof(questions[0]), compare_image);
}

static const struct project *with_images(struct arena *arena, const struct project *project,
                                         const struct question *questions, size_t n)
{
    struct project *copy = arena_memdup(arena, project, sizeof(*project));

    copy->services =
        arena_memdup(arena, project->services, project->n_services * sizeof(struct service));
    for (size_t i = 0; i < copy->n_services; i++) {
        struct service *service = &copy->services[i];
        const struct question *question =
            service->image ? find_question(questions, n, service->image) : NULL;

        if (question && question->pinned)
            service->image = question->pinned;
    }
    return copy;
}

int config_pin_images(struct cli_context *context, const struct project *project,
                      const struct project **ret, struct error *err)
{
    struct arena *arena = &command_app(context)->arena;
    struct question *questions;
    struct engine *engine;
    size_t n;
    int result;

    questions = collect(arena, project, &n);
    if (command_engine(context, &engine, err) < 0)
        return -1;
    result = answer_all(context, engine, project, questions, n, err);
    engine_close(engine);
    if (result == 0)
        *ret = with_images(arena, project, questions, n);
    return result;
}
