#pragma once

/* Jobs: long or dangerous work on images in a process of its own (second public header of
 * engine/image; engine/jobs.c and engine/build use it).
 *
 * Protocol. The child gets, beside its standard streams:
 *   fd 3   the request: one JSON object, read to the end (a memfd)
 *   fd 4   events: JSON lines, {"kind":"progress"|"log","text":"…"} and at the end exactly one of
 *          {"kind":"done","result":{…}} or {"kind":"failed","code":N,"errnum":N,"text":"…"}
 *   fd 5…  what the request's kind says, first of all the state directory
 * It dies with its parent. A child that ends without a last event has failed. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/str.h"

struct error;
struct image_import_request;
struct image_pull_request;
struct job;
struct job_event;

enum { JOB_REQUEST_FD = 3, JOB_EVENT_FD = 4, JOB_STATE_FD = 5, JOB_FIRST_EXTRA_FD = 6 };
enum { JOB_EXTRA_FDS_MAX = 8 };

struct job_options {
    const char *const *argv; /* program and arguments; NULL = berth-worker */
    const json_t *request;   /* borrowed */
    int state_fd;
    const int *extra_fds; /* borrowed; arrive as 6, 7, … */
    size_t n_extra_fds;
};

/* berth-worker is looked for beside the running program (a build), then in ../libexec/berth from
 * there (an installation, wherever it was moved). ERROR_NOT_FOUND names both. */
int job_start(const struct job_options *options, struct job **ret, struct error *err);
int job_fd(const struct job *job); /* readable when job_read has something, also at the end */
/* 0 and one event, or 1 when there is none now. After JOB_DONE or JOB_FAILED nothing follows.
 * JOB_DONE's text is result.id when there is one. */
int job_read(struct job *job, struct job_event *ret, struct error *err);
/* The "result" of JOB_DONE: borrowed, lives as long as the job. NULL before. */
const json_t *job_result(const struct job *job);
/* Wait for the end. Events before the last one go to `on_event` (NULL = dropped). A job that failed
 * returns its error. */
int job_wait(struct job *job, void (*on_event)(const struct job_event *event, void *context),
             void *context, struct error *err);
void job_close(struct job *job); /* kills what still runs */

/* ------------------------------------------------------------------ what the worker does */

/* engine_image_import: result {"id":"sha256:…","diff_id":"sha256:…"}. */
int image_import_start(int state_fd, const struct image_import_request *request, struct job **ret,
                       struct error *err);
/* engine_image_pull: result {"id":"sha256:…","manifest":"sha256:…"}. */
int image_pull_start(int state_fd, const struct image_pull_request *request, struct job **ret,
                     struct error *err);
/* engine_image_resolve: result {"id":"docker.io/library/nginx:1.25@sha256:…"}. */
int image_resolve_start(int state_fd, const char *reference, struct job **ret, struct error *err);
/* Unpack an archive (tar, compressed or not) into a directory as Dockerfile ADD does: names stay
 * inside, what exists is replaced, no whiteouts. archive_fd and directory_fd are borrowed.
 * owner: "uid:gid" to force, NULL = as the archive says. Result {"n_entries":N,"size_bytes":N}.
 * ERROR_UNSUPPORTED: not an archive we know (ADD then copies the file). */
int image_extract_start(int state_fd, int archive_fd, int directory_fd, const char *owner,
                        struct job **ret, struct error *err);
