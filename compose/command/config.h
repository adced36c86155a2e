#pragma once

/* What `berth config` prints beside the whole project (private to it). */

#include <stdbool.h>

struct buf;
struct cli_context;
struct error;
struct project;

enum config_format { CONFIG_YAML, CONFIG_JSON };

/* One list or table. `project` is loaded with `flags`; `argument` is the option's value or NULL. */
struct config_list {
    const char *option; /* "services" */
    unsigned flags;     /* enum project_flags: added to those of loading */
    bool needs_values;  /* not without interpolation */
    int (*print)(struct cli_context *context, const struct project *project, const char *argument,
                 enum config_format format, struct buf *out, struct error *err);
};

enum config_what {
    CONFIG_SERVICES,
    CONFIG_VOLUMES,
    CONFIG_NETWORKS,
    CONFIG_MODELS,
    CONFIG_IMAGES,
    CONFIG_PROFILES,
    CONFIG_HASH,
    CONFIG_ENVIRONMENT,
    CONFIG_VARIABLES,
    CONFIG_N_LISTS,
};
extern const struct config_list config_lists[CONFIG_N_LISTS];
