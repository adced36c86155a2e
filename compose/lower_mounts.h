#pragma once

/* What a service mounts, in the engine's words (a part of lower.c). */

struct arena;
struct container_spec;
struct project;
struct service;

/* Volumes, tmpfs, and the files of secrets and configs. */
void lower_mounts(struct arena *arena, const struct project *project, const struct service *service,
                  struct container_spec *spec);
