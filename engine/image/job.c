/* The parent's side of jobs: start a child with a request, read its events. */

#include "engine/image/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/path.h"
#include "engine/base/process.h"
#include "engine/engine.h"

/* One event line is at most this long; a child that writes more is broken. */
enum { EVENT_LINE_MAX = 256 << 10, READ_CHUNK = 4096 };

struct job {
    struct process process;
    int event_fd;
    struct buf input;
    json_t *result;
    struct error error;
    bool is_over; /* the last event was handed out */
    bool at_end;  /* the child closed its side */
};

/* ------------------------------------------------------------------ start */

static int make_request_fd(const json_t *request, int *ret_fd, struct error *err)
{
    cleanup_fd int fd = memfd_create("berth-request", MFD_CLOEXEC);
    cleanup_buf struct buf text = BUF_INIT;

    if (fd < 0)
        return error_sys(err, errno, "make a request file");
    json_print(&text, request);
    if (fs_write_all(fd, text.data, text.len, err) < 0)
        return -1;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_sys(err, errno, "rewind a request file");
    *ret_fd = fd_take(&fd);
    return 0;
}

/* The directory the running program lies in. */
static int program_dir(struct arena *arena, const char **ret, struct error *err)
{
    char path[4097]; /* PATH_MAX: the kernel gives no longer link */
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (n < 0)
        return error_sys(err, errno, "find the running program");
    path[n] = '\0';
    *ret = path_dir(arena, path);
    return 0;
}

static int find_worker(struct arena *arena, const char **ret, struct error *err)
{
    const char *dir, *beside, *installed;

    if (program_dir(arena, &dir, err) < 0)
        return -1;
    beside = path_join(arena, dir, "berth-worker");
    installed = path_join(arena, dir, "../libexec/berth/berth-worker");
    if (access(beside, X_OK) == 0)
        *ret = beside;
    else if (access(installed, X_OK) == 0)
        *ret = installed;
    else
        return error_set(err, ERROR_NOT_FOUND, "the worker program is neither \"%s\" nor \"%s\"",
                         beside, installed);
    return 0;
}

static int spawn(const struct job_options *options, const char *const *argv, int request_fd,
                 int event_fd, struct process *ret, struct error *err)
{
    int fds[3 + JOB_EXTRA_FDS_MAX] = {request_fd, event_fd, options->state_fd};
    struct process_options process = PROCESS_OPTIONS_INIT;

    if (options->n_extra_fds > JOB_EXTRA_FDS_MAX)
        BUG();
    if (options->n_extra_fds)
        memcpy(fds + 3, options->extra_fds, options->n_extra_fds * sizeof(*fds));
    process.argv = argv;
    process.keep_fds = fds;
    process.n_keep_fds = 3 + options->n_extra_fds;
    process.die_with_parent = true;
    return process_spawn(&process, ret, err);
}

int job_start(const struct job_options *options, struct job **ret, struct error *err)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_fd int request_fd = -1, read_fd = -1, write_fd = -1;
    cleanup_process struct process process = PROCESS_INIT;
    const char *worker_argv[] = {NULL, NULL};
    const char *const *argv = options->argv;
    int pipe_fds[2];
    struct job *job;

    if (!argv) {
        if (find_worker(&arena, &worker_argv[0], err) < 0)
            return -1;
        argv = worker_argv;
    }
    if (make_request_fd(options->request, &request_fd, err) < 0)
        return -1;
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_sys(err, errno, "make a pipe");
    read_fd = pipe_fds[0];
    write_fd = pipe_fds[1];
    if (fcntl(read_fd, F_SETFL, O_NONBLOCK) < 0)
        return error_sys(err, errno, "make a pipe non-blocking");
    if (spawn(options, argv, request_fd, write_fd, &process, err) < 0)
        return -1;

    job = x_alloc(sizeof(*job));
    buf_init(&job->input, EVENT_LINE_MAX);
    job->process = process;
    process = (struct process)PROCESS_INIT;
    job->event_fd = fd_take(&read_fd);
    *ret = job;
    return 0;
}

void job_close(struct job *job)
{
    if (!job)
        return;
    process_release(&job->process);
    if (job->event_fd >= 0)
        close(job->event_fd);
    buf_release(&job->input);
    json_release(&job->result);
    free(job);
}

/* ------------------------------------------------------------------ events */

int job_fd(const struct job *job)
{
    return job->event_fd;
}

const json_t *job_result(const struct job *job)
{
    return job->result;
}

static void set_text(struct job_event *event, const char *text)
{
    (void)snprintf(event->text, sizeof(event->text), "%s", text); /* longer lines are cut */
}

static void fail(struct job *job, struct job_event *ret)
{
    job->is_over = true;
    ret->kind = JOB_FAILED;
    ret->error = &job->error;
    set_text(ret, job->error.text);
}

static void fill_error(struct job *job, const json_t *json)
{
    int64_t code = json_i64_or(json, "code", ERROR_SYSTEM);

    if (code <= ERROR_NONE || code > ERROR_SYSTEM)
        code = ERROR_SYSTEM;
    error_set(&job->error, (enum error_code)code, "%s", json_text_or(json, "text", "failed"));
    job->error.errnum = (int)json_i64_or(json, "errnum", 0);
}

static void read_event(struct job *job, struct str line, struct job_event *ret)
{
    cleanup_json json_t *json = NULL;
    const char *kind;

    if (json_parse(line, &json, &job->error) < 0) {
        error_wrap(&job->error, "the worker's answer");
        fail(job, ret);
        return;
    }
    kind = json_text_or(json, "kind", "");
    set_text(ret, json_text_or(json, "text", ""));
    if (text_equal(kind, "progress")) {
        ret->kind = JOB_PROGRESS;
    } else if (text_equal(kind, "log")) {
        ret->kind = JOB_LOG;
    } else if (text_equal(kind, "done")) {
        job->is_over = true;
        job->result = json_incref(json_object_get(json, "result"));
        ret->kind = JOB_DONE;
        set_text(ret, json_text_or(job->result, "id", ""));
    } else {
        fill_error(job, json);
        fail(job, ret);
    }
}

/* The child ended without a word. */
static void report_death(struct job *job, struct job_event *ret)
{
    int status = -1;

    if (job->process.pidfd >= 0)
        (void)process_wait(&job->process, &status, NULL); /* the status is for the text only */
    if (status > 128)
        error_set(&job->error, ERROR_CANCELLED, "the worker was killed by signal %d", status - 128);
    else
        error_set(&job->error, ERROR_SYSTEM, "the worker ended with code %d and no answer", status);
    fail(job, ret);
}

/* More bytes into the buffer. 0 = some or the end, 1 = none now. */
static int fill(struct job *job, struct error *err)
{
    char *at = buf_reserve(&job->input, READ_CHUNK);
    ssize_t n;

    if (!at)
        return error_set(err, ERROR_SYSTEM, "the worker sent a line of more than %d bytes",
                         EVENT_LINE_MAX);
    n = fs_read(job->event_fd, at, READ_CHUNK);
    if (n < 0 && errno == EAGAIN)
        return 1;
    if (n < 0)
        return error_sys(err, errno, "read the worker's answer");
    job->at_end = n == 0;
    buf_commit(&job->input, (size_t)n);
    return 0;
}

int job_read(struct job *job, struct job_event *ret, struct error *err)
{
    struct job_event event = {0};
    struct str line, rest;
    int result;

    if (job->is_over)
        return 1;
    while (!str_cut(buf_str(&job->input), '\n', &line, &rest)) {
        if (job->at_end) {
            report_death(job, &event);
            *ret = event;
            return 0;
        }
        result = fill(job, err);
        if (result != 0)
            return result;
    }
    read_event(job, line, &event);
    buf_consume(&job->input, line.len + 1);
    *ret = event;
    return 0;
}

int job_wait(struct job *job, void (*on_event)(const struct job_event *event, void *context),
             void *context, struct error *err)
{
    /* Nobody else looks at it now: block. */
    if (fcntl(job->event_fd, F_SETFL, 0) < 0)
        return error_sys(err, errno, "wait for the worker");
    for (;;) {
        struct job_event event;
        int result = job_read(job, &event, err);

        if (result < 0)
            return -1;
        if (result == 1)
            return 0;
        if (event.kind == JOB_FAILED) {
            if (err)
                *err = *event.error;
            return -1;
        }
        if (event.kind == JOB_DONE)
            return 0;
        if (on_event)
            on_event(&event, context);
    }
}
