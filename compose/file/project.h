#pragma once

/* The Compose model: what a set of Compose files says, normalised (compose.md section 1).
 *
 * Everything is arena-owned and immutable after project_load(). Strings are NUL-terminated; lists
 * are struct strings / struct pairs; arrays are `things` + `n_things`. services, networks, volumes,
 * secrets, configs, models, a service's networks and depends_on are sorted by name, so that what is
 * printed is stable. Times are nanoseconds, sizes bytes. Unset: NULL, -1, or what the field's
 * comment says. `kept`: keys that are not honoured yet, as they are printed; NULL when there is
 * none.
 *
 * Loading is pure apart from reading the named files: the environment is an argument. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/span.h"
#include "engine/base/str.h"

struct arena;
struct buf;
struct error;
struct history; /* of loading, private to compose/file */
struct node;    /* YAML with positions, private to compose/file */

/* ---- the model ---------------------------------------------------------------------------- */

struct build {
    const char *context;    /* absolute path; NULL = the service has no build section */
    const char *dockerfile; /* relative to the context unless absolute; default "Dockerfile"; NULL
                             * = dockerfile_inline, which is kept */
    const char *target;     /* NULL = last stage */
    struct pairs args;      /* resolved; sorted by name; every value set */
    struct pairs labels;    /* sorted by name; every value set */
    bool no_cache;
    bool pull; /* newer base images, even if they are here */
    const struct node *kept;
    struct span span;
};

struct service_port {
    const char *host_ip;      /* NULL = all addresses */
    uint16_t published_first; /* 0 = ephemeral */
    uint16_t published_last;  /* = first, or the end of a range of which one free port is taken */
    uint16_t target;
    const char *protocol;     /* "tcp", "udp" or "sctp" */
    const char *mode;         /* "ingress" or "host": the same without a swarm */
    const char *name;         /* NULL */
    const char *app_protocol; /* "http": for people; NULL */
    const struct node *kept;
    struct span span;
};

enum service_mount_type {
    SERVICE_MOUNT_BIND,
    SERVICE_MOUNT_VOLUME,
    SERVICE_MOUNT_TMPFS,
    SERVICE_MOUNT_IMAGE,   /* not honoured yet */
    SERVICE_MOUNT_NPIPE,   /* of Windows: not made */
    SERVICE_MOUNT_CLUSTER, /* of a swarm: not made */
};

struct service_mount {
    enum service_mount_type type;
    const char *source;      /* bind: absolute host path; volume: KEY of a project volume, or NULL =
                                anonymous; tmpfs: NULL */
    const char *target;      /* absolute, cleaned */
    const char *propagation; /* bind: "rprivate", "rshared" …; NULL = default */
    const char *selinux;     /* bind: "z", "Z" or NULL */
    int64_t tmpfs_size;      /* bytes; -1 = unset */
    int64_t tmpfs_mode;      /* permission bits; -1 = unset */
    bool read_only;
    bool create_host_path; /* bind: make the source directory when it is missing */
    bool nocopy;           /* volume: don't fill an empty one from the image */
    const struct node *kept;
    const struct node *bind_kept; /* of its sections */
    const struct node *volume_kept;
    const struct node *tmpfs_kept;
    const struct node *image_kept;
    bool has_section; /* that of its type is there, and printed even when empty */
    struct span span;
};

/* A config or secret that appears as a file in the container. */
struct service_file {
    const char *source; /* KEY of project->configs or ->secrets */
    const char *target; /* of configs as written, NULL: the source's name; service_config_path */
    const struct node *kept;
    struct span span;
};

/* Where it appears in the container: what is relative is below /run/secrets, or below /. */
const char *service_secret_path(struct arena *arena, const struct service_file *file);
const char *service_config_path(struct arena *arena, const struct service_file *file);

struct service_network {
    const char *key;          /* of project->networks */
    struct strings aliases;   /* without the service's own name, which is implied */
    const char *ipv4_address; /* NULL = any */
    bool has_section;         /* a mapping stands there, and is printed even when empty */
    const struct node *kept;
    struct span span;
};

enum service_condition { SERVICE_STARTED, SERVICE_HEALTHY, SERVICE_COMPLETED_SUCCESSFULLY };

struct service_dependency {
    const char *service;
    enum service_condition condition;
    bool restart;  /* restart us when Compose restarts or recreates the dependency */
    bool required; /* false: a warning only, when the dependency is missing or fails */
    const struct node *kept;
    struct span span;
};

struct service_health {
    bool is_set;         /* the section is there and says something; else the image's check holds */
    bool disable;        /* no check, not even the image's; as with a test of NONE */
    struct strings test; /* "CMD", …; "CMD-SHELL", text; "NONE"; n = 0: the image's test */
    int64_t interval_ns; /* -1 = default (30 s) */
    int64_t timeout_ns;  /* -1 = default (30 s) */
    int64_t start_period_ns;   /* -1 = default (0) */
    int64_t start_interval_ns; /* -1 = default (5 s) */
    int64_t retries;           /* -1 = default (3) */
    const struct node *kept;
};

enum service_restart {
    SERVICE_RESTART_UNSET,
    SERVICE_RESTART_NO,
    SERVICE_RESTART_ALWAYS,
    SERVICE_RESTART_ON_FAILURE,
    SERVICE_RESTART_UNLESS_STOPPED,
};

struct service_ulimit {
    const char *name; /* "nofile" */
    int64_t soft;     /* -1 = unlimited */
    int64_t hard;     /* -1 = unlimited */
    bool is_single;   /* written as one number */
    const struct node *kept;
};

/* What of deploy is honoured: the same as other keys say, which are unset or equal; restart is
 * stronger than the service's. */
struct service_deploy {
    const struct node *kept; /* all it says, as it is printed; NULL = no such section */
    double cpus;             /* -1 = unset */
    int64_t mem_limit;       /* -1 = unset */
    int64_t pids_limit;      /* INT64_MIN = unset */
    enum service_restart restart;
    int64_t restart_retries;
};

/* A list that can be absent, empty (clears the image's), or given. */
struct service_command {
    bool is_set;
    struct strings argv;
};

struct service {
    const char *name;
    struct span span; /* of the key */

    const char *image; /* NULL = only built: `<project>-<service>` */
    struct build build;
    struct service_command command;
    struct service_command entrypoint;
    struct pairs environment; /* sorted by name, env_file merged in; NULL value = remove the image's
                               */
    const struct span *environment_spans; /* one for each: env files have lines, too */
    struct pairs labels;                  /* sorted by name; every value set */

    struct service_port *ports; /* in the order of the file, ranges expanded */
    size_t n_ports;
    struct strings expose; /* "80", "80-90/udp" */
    struct service_mount *volumes;
    size_t n_volumes;
    struct strings tmpfs; /* "/run" or "/run:size=64m,mode=755" */
    struct service_network *networks;
    size_t n_networks;
    struct service_file *configs;
    size_t n_configs;
    struct service_file *secrets;
    size_t n_secrets;
    struct service_dependency *depends_on;
    size_t n_depends_on;
    struct service_health healthcheck;

    enum service_restart restart;
    int64_t restart_retries; /* on-failure:N; 0 = no limit */
    const char *user;
    const char *working_dir;
    const char *hostname;
    const char *container_name;
    int init;   /* -1 = unset, 0, 1 */
    int attach; /* -1 = unset, 0: an attached up does not show its logs, 1 */
    bool no_new_privileges;
    const char *stop_signal; /* as written, checked; NULL = the image's, or SIGTERM */
    int64_t stop_grace_ns;   /* -1 = default (10 s) */
    bool read_only;
    bool privileged;
    bool stdin_open;
    bool tty;
    struct strings cap_add;
    struct strings cap_drop;
    int64_t mem_limit;              /* bytes; -1 = unset; 0 = no limit */
    double cpus;                    /* -1 = unset; 0 = no limit */
    int64_t pids_limit;             /* INT64_MIN = unset; -1 and 0 = no limit */
    struct service_ulimit *ulimits; /* sorted by name */
    size_t n_ulimits;
    struct pairs sysctls;     /* sorted by name */
    struct pairs extra_hosts; /* host → one address or "host-gateway"; a host can come twice */
    struct strings dns;
    struct strings profiles;

    struct service_deploy deploy;
    const struct node *kept;
    const struct node *source; /* the section, for x-* and spans */
};

#define SERVICE_PIDS_UNSET INT64_MIN

/* In the order they are printed in. */
enum resource_kind {
    RESOURCE_NETWORK,
    RESOURCE_VOLUME,
    RESOURCE_SECRET,
    RESOURCE_CONFIG,
    RESOURCE_MODEL,
    RESOURCE_KINDS
};

/* What networks, volumes, secrets, configs and models all begin with. */
#define RESOURCE_MEMBERS                                                                           \
    const char *key;                                                                               \
    const char *name; /* final: `<project>_<key>`, or as written; of models: as written */         \
    struct span span;                                                                              \
    bool external;                                                                                 \
    const struct node *source

struct resource {
    RESOURCE_MEMBERS;
};

#define RESOURCE_HEAD                                                                              \
    union {                                                                                        \
        struct resource resource;                                                                  \
        struct {                                                                                   \
            RESOURCE_MEMBERS;                                                                      \
        };                                                                                         \
    }

struct network_pool {
    const char *subnet;  /* CIDR; NULL = pick one */
    const char *gateway; /* NULL = first address */
    const struct node *kept;
};

struct network {
    RESOURCE_HEAD;
    bool internal;
    const char *driver; /* NULL, or as written: "bridge" is honoured */
    struct network_pool *pools;
    size_t n_pools; /* more than one is not honoured */
    struct pairs labels;
    const struct node *kept;
    const struct node *ipam_kept;
};

struct volume {
    RESOURCE_HEAD;
    const char *driver; /* NULL, or as written: "local" is honoured */
    struct pairs labels;
    const struct node *kept;
};

/* A secret or a config. */
struct file_object {
    RESOURCE_HEAD;
    const char *file;    /* absolute; NULL: from elsewhere */
    const char *content; /* of a config; NULL */
    const char *value;   /* of the variable it comes from, as its own file sees it; or NULL */
    const struct node *kept;
};

struct ai_model {
    RESOURCE_HEAD;
    const struct node *kept;
};

struct resource_list {
    void *items; /* struct network, … of the list's kind, sorted by key */
    size_t n;
};

/* ---- diagnostics --------------------------------------------------------------------------- */

/* A text that spans point into. */
struct source {
    const char *name; /* as messages show it: "compose.yaml", "-" for stdin */
    const char *path; /* absolute; NULL for stdin */
    struct str text;
};

enum severity { SEVERITY_ERROR, SEVERITY_WARNING };

struct diagnostic {
    enum severity severity;
    struct span span;    /* line 0 = about no place */
    const char *message; /* lower case, no full stop */
    const char *hint;    /* NULL, or what to do about it */
};

/* In the order found. Arena-owned. At most DIAGNOSTICS_MAX errors are kept. */
struct diagnostics {
    struct diagnostic *items;
    size_t n;
    size_t n_errors;
    const struct source *sources; /* spans' file indexes these */
    size_t n_sources;
};

enum { DIAGNOSTICS_MAX = 100 };

enum diagnostics_colour { DIAGNOSTICS_PLAIN, DIAGNOSTICS_COLOUR };

/* "compose.yaml:31:7: error: message", the source line, a caret, and the hint, for each. */
void diagnostics_print(struct buf *out, const struct diagnostics *diagnostics,
                       enum diagnostics_colour colour);

/* ---- the project ---------------------------------------------------------------------------- */

/* A key of the specification that berth doesn't honour yet. */
struct unhonoured {
    const char *section; /* "services"; NULL: at the top level */
    const char *owner;   /* "web" */
    const char *subject; /* "service \"web\"" */
    const char *path;    /* below the owner: "cpuset", "build.labels" */
    struct span span;    /* of the key */
    bool is_selinux;     /* has no effect, and is fine, where the kernel has no SELinux */
};

struct project {
    const char *name;
    const char *directory; /* absolute: what relative paths of all files are relative to */
    const char **files;    /* absolute paths of the Compose files; "-" for stdin */
    size_t n_files;

    struct service *services;
    size_t n_services;
    struct service *disabled_services; /* by profiles or selection: their containers are no orphans
                                        */
    size_t n_disabled_services;
    /* Those that enabled services use; the same by kind and by name. */
    union {
        struct resource_list resources[RESOURCE_KINDS];
        struct {
            struct network *networks;
            size_t n_networks;
            struct volume *volumes;
            size_t n_volumes;
            struct file_object *secrets;
            size_t n_secrets;
            struct file_object *configs;
            size_t n_configs;
            struct ai_model *models;
            size_t n_models;
        };
    };

    struct strings profiles;             /* active */
    struct pairs environment;            /* what interpolation saw: process, --env-file, .env */
    const struct unhonoured *unhonoured; /* of disabled services and unused resources, too */
    size_t n_unhonoured;

    const struct source *sources; /* spans' file indexes these: Compose and env files */
    size_t n_sources;
    const struct node *root;       /* merged, canonical */
    unsigned flags;                /* it was loaded with: printing honours them */
    const struct history *history; /* NULL without PROJECT_WITH_HISTORY */
};

enum project_flags {
    PROJECT_WITH_DEPENDENCIES = 1 << 0, /* of the services named in the options */
    PROJECT_KEEP_ALL = 1 << 1,          /* naming services enables their profiles, drops nobody */
    PROJECT_NO_CONSISTENCY = 1 << 2,
    PROJECT_ALL_RESOURCES = 1 << 3,      /* keep networks, volumes, … that no service uses */
    PROJECT_NO_INTERPOLATE = 1 << 4,     /* and nothing that could depend on variables: no
                                            consistency, no env files; for printing only */
    PROJECT_NO_NORMALIZE = 1 << 5,       /* no default network, no final names; for printing only */
    PROJECT_NO_PATH_RESOLUTION = 1 << 6, /* relative paths stay relative; for printing only */
    PROJECT_NO_ENV_RESOLUTION = 1 << 7,  /* env files are not read; for printing only */
    PROJECT_WITH_HISTORY = 1 << 8,       /* for project_explain (explain.h) */
};

struct project_options {
    struct strings files;          /* -f; empty: COMPOSE_FILE, else search; "-" = stdin_fd */
    const char *project_directory; /* --project-directory, or NULL */
    const char *name;              /* -p, or NULL */
    struct strings env_files;      /* --env-file */
    struct strings profiles;       /* --profile */
    struct strings services;       /* named on the command line; empty = all */
    struct pairs environment;      /* of the process */
    const char *working_dir;       /* absolute */
    int stdin_fd;                  /* read for "-f -"; -1 = refuse it */
    unsigned flags;                /* enum project_flags */
};

/* Load, check and normalise. *ret_diagnostics is always set (errors and warnings, arena-owned); on
 * failure *err summarises: ERROR_INVALID "compose.yaml: 3 errors", or ERROR_NOT_FOUND when there is
 * no file. */
int project_load(struct arena *arena, const struct project_options *options,
                 const struct project **ret, struct diagnostics *ret_diagnostics,
                 struct error *err);

enum project_use {
    PROJECT_USE_UP,
    PROJECT_USE_UP_SELINUX, /* on a kernel where files have SELinux labels */
    PROJECT_USE_BUILD,
};

/* An error for each key that making containers, or building images, would have to ignore; only of
 * the enabled services and what they use. 0 when there is none. Call before anything is made. */
int project_refuse_unhonoured(struct arena *arena, const struct project *project,
                              enum project_use use, struct diagnostics *ret, struct error *err);

/* The model as `docker compose config` prints it; loading the result gives the same result. */
void project_print_yaml(struct buf *out, const struct project *project);
void project_print_json(struct buf *out, const struct project *project);

/* An override file that sets each service's image, and nothing else. Services without one are left
 * out. */
enum project_format { PROJECT_YAML, PROJECT_JSON };
void project_print_images(struct buf *out, const struct project *project,
                          enum project_format format);

/* What tells whether a service's containers are what the files say (compose.md 6.2), by a SHA-256
 * of
 *
 *     "berth service 1\n" + the service as project_print_json() prints it, keys sorted by bytes,
 *
 * without what changes no container: build, pull_policy, scale, deploy.replicas, depends_on,
 * profiles, and x-…. So the order of keys, short or long forms and the file a value stands in don't
 * matter; variables count with their values, env files with their content. */
void project_print_hashed(struct buf *out, const struct service *service);

/* Variables that the files use, sorted by name, however deep inside defaults. Load with
 * PROJECT_NO_INTERPOLATE. */
struct project_variable {
    const char *name;
    bool is_required;        /* ${X:?…} somewhere */
    const char *default_;    /* as written in ${X:-…}; NULL = none */
    const char *alternative; /* as written in ${X:+…}; NULL = none */
};
void project_variables(struct arena *arena, const struct project *project,
                       struct project_variable **ret, size_t *ret_n);

/* NULL if there is none. */
const struct service *project_find_service(const struct project *project, const char *name);
const struct network *project_find_network(const struct project *project, const char *key);
const struct volume *project_find_volume(const struct project *project, const char *key);
const struct file_object *project_find_secret(const struct project *project, const char *key);
const struct file_object *project_find_config(const struct project *project, const char *key);

/* The project with only the named services (all, if the list is empty), and with what they depend
 * on if with_dependencies. The others go to disabled_services. ERROR_NOT_FOUND: "no such service:
 * foo" and what may have been meant. */
int project_select(struct arena *arena, const struct project *project,
                   const struct strings *services, bool with_dependencies,
                   const struct project **ret, struct error *err);

/* Where a service's key was written, or (`member` not NULL) a member below it: "environment",
 * "FOO"; else the nearest enclosing one that was. Variables of env files stand there. */
struct span project_service_span(const struct service *service, const char *key,
                                 const char *member);

/* "compose.yaml:31:7" into `out`; nothing for line 0. */
void project_print_span(struct buf *out, const struct project *project, struct span span);
