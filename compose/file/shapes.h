#pragma once

/* The tables: every key of the Compose specification (private to compose/file). Each stands in the
 * shapes_*.c of its concept. */

#include "compose/file/field.h"

/* The whole file; binds to struct model. */
extern const struct shape file_shape;
extern const struct field file_field; /* the root, for merging */

extern const struct shape include_shape; /* struct include (load.h) */
extern const struct shape extends_shape; /* struct extends (load.h) */
extern const struct shape service_shape; /* struct draft */
extern const struct shape network_shape; /* struct network */
extern const struct shape volume_shape;  /* struct volume */
extern const struct shape secret_shape;  /* struct file_object */
extern const struct shape config_shape;  /* struct file_object */
extern const struct shape model_shape;   /* struct ai_model */

/* Parts of a service. */
extern const struct shape build_shape;       /* struct build */
extern const struct shape mounts_shape;      /* items of volumes: struct service_mount */
extern const struct shape attachments_shape; /* values of networks: struct service_network */
extern const struct shape secrets_shape;     /* items of secrets: struct service_file */
extern const struct shape configs_shape;     /* items of configs: struct service_file */
extern const struct shape deploy_shape;      /* struct draft's deploy */
extern const struct shape ports_shape;       /* items of ports: struct service_port */
extern const struct shape ulimits_shape;     /* values of ulimits: struct service_ulimit */

/* Kept. */
extern const struct shape blkio_shape;
extern const struct shape develop_shape;
extern const struct shape gpus_shape;  /* items of gpus */
extern const struct shape hooks_shape; /* items of post_start and pre_stop */
extern const struct shape logging_shape;
extern const struct shape provider_shape;
extern const struct shape start_hooks_shape; /* items of pre_start */
