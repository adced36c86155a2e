/* What the engine verbs share. */

#include "engine/command/command.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/cli/app.h"
#include "engine/cli/cli.h"
#include "engine/cli/progress.h"
#include "engine/engine.h"

int engine_command_open(struct cli_context *context, struct engine **ret, struct error *err)
{
    struct engine_options options = {
        .state_root = app_state_root(context),
        .run_root = app_run_root(context),
    };

    if (app_enable_trace(context, err) < 0)
        return -1;
    return engine_open(&options, ret, err);
}

int engine_command_each(struct cli_context *context, const struct strings *names,
                        engine_command_act *act, struct error *err)
{
    struct engine *engine;
    int result = 0;

    if (engine_command_open(context, &engine, err) < 0)
        return -1;
    for (size_t i = 0; i < names->n && result == 0; i++) {
        result = act(context, engine, names->items[i], err);
        if (result == 0)
            printf("%s\n", names->items[i]);
    }
    engine_close(engine);
    return result;
}

/* One event to the screen. 1 = go on, 0 = done, -1 = failed. */
static int show_event(struct progress *progress, const char *subject, const struct job_event *event,
                      struct error *err)
{
    switch (event->kind) {
    case JOB_PROGRESS:
        progress_update(progress, subject, PROGRESS_WORKING, event->text);
        return 1;
    case JOB_LOG:
        progress_log(progress, event->text);
        return 1;
    case JOB_DONE:
        progress_update(progress, subject, PROGRESS_DONE, "done");
        printf("%s\n", event->text);
        return 0;
    case JOB_FAILED:
        /* the caller tells why, once and whole */
        progress_update(progress, subject, PROGRESS_ERROR, "failed");
        if (err)
            *err = *event->error;
        return -1;
    }
    return -1;
}

static int follow(struct progress *progress, struct engine_job *job, const char *subject,
                  struct error *err)
{
    struct job_event event;

    for (;;) {
        int result = engine_job_read(job, &event, err);

        if (result < 0)
            return -1;
        if (result == 0) {
            result = show_event(progress, subject, &event, err);
            if (result <= 0)
                return result;
            continue;
        }
        struct pollfd wait = {.fd = engine_job_fd(job), .events = POLLIN};

        if (poll(&wait, 1, PROGRESS_TICK_MS) < 0 && errno != EINTR)
            return error_sys(err, errno, "wait for %s", subject);
        progress_tick(progress);
    }
}

int engine_command_finish_job_take(struct cli_context *context, struct engine_job *job,
                                   const char *subject, struct error *err)
{
    struct progress *progress = progress_new(STDERR_FILENO, PROGRESS_AUTO, context->stderr_colour);
    int result;

    progress_update(progress, subject, PROGRESS_WORKING, NULL);
    result = follow(progress, job, subject, err);
    progress_finish(progress);
    engine_job_close(job);
    return result;
}
