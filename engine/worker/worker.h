#pragma once

/* The jobs of berth-worker. Each takes the request and returns its result (the caller owns it).
 *
 * Processes of a job: the worker itself parses requests, manifests and configs (small JSON) and
 * writes the store; sandboxed children unpack archives (child.h) and talk to registries
 * (fetch.h). */

#include <jansson.h>

struct error;

/* Rootfs archive on fd 6 → one layer, an image. */
int worker_import(int state_fd, const json_t *request, json_t **ret, struct error *err);
/* Archive on fd 6 into the directory on fd 7. */
int worker_extract(int state_fd, const json_t *request, json_t **ret, struct error *err);
/* What a reference means, asked of its registry. */
int worker_resolve(int state_fd, const json_t *request, json_t **ret, struct error *err);
/* Image of a registry. */
int worker_pull(int state_fd, const json_t *request, json_t **ret, struct error *err);
