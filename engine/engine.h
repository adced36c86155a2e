#pragma once

/* The embedded engine: networks, volumes, images, containers on one machine. The only public
 * header.
 *
 * The engine never sees a Compose project. `project` here is a plain scope name: containers of one
 * scope share a keeper (supervisor process). Names are final; the caller made them.
 *
 * Reading (list, find, logs) needs no other process: records on disk say it all. Changing networks,
 * volumes and images happens in the caller's process. Changing containers is asked of the scope's
 * keeper through an engine_session, which starts the keeper when it does not run. All operations
 * are idempotent: creating what exists with an equal spec and removing what is gone are done at
 * once.
 *
 * Values handed out live in the caller's arena. Handles (engine, session, …) have _open and _close.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/base/str.h"

struct arena;
struct buf;
struct error;
struct engine;
typedef struct json_t json_t;

/* ------------------------------------------------------------------ open */

struct engine_options {
    const char *state_root; /* NULL = /var/lib/berth */
    const char *run_root;   /* NULL = /run/berth */
};

int engine_open(const struct engine_options *options, struct engine **ret, struct error *err);
void engine_close(struct engine *engine); /* NULL is fine */

/* The engine's own processes are this program, started as "berth internal keeper …" or "berth
 * internal build". Returns their exit code, or -1 when argv asks for none of them: main goes on. */
int engine_internal_main(int argc, char **argv);

/* ------------------------------------------------------------------ specs
 * What must exist, in engine words. Equal specs print equal JSON (engine/container/spec.c), and the
 * record of an object holds that JSON whole. */

enum mount_kind { MOUNT_BIND, MOUNT_VOLUME, MOUNT_TMPFS };

struct mount_spec {
    enum mount_kind kind;
    const char *source; /* bind: absolute host path; volume: its name, NULL = anonymous: named after
                         container and target; tmpfs: NULL */
    const char *target; /* absolute path in the container */
    bool read_only;
    bool create_source;      /* bind: make a missing source directory (Compose short form) */
    bool no_copy;            /* volume: don't fill an empty volume from the image */
    const char *propagation; /* bind: NULL = rprivate */
    uint64_t size_bytes;     /* tmpfs: 0 = no limit of its own */
    int mode;                /* tmpfs: permission bits; -1 = 01777 */
    const char
        *options; /* tmpfs: raw option list of the short form ("size=1m,uid=1000"), NULL = none */
};

struct port_spec {
    const char *host_ip; /* NULL = every address */
    uint16_t host_first; /* 0 = the engine picks one */
    uint16_t host_last;  /* any free port of host_first…host_last */
    uint16_t container_port;
    const char *protocol; /* "tcp" or "udp" */
};

/* A port of this host address conflicts with that of any other: NULL, "", "0.0.0.0", "::". */
bool host_ip_is_any(const char *host_ip);

struct ulimit_spec {
    const char *name;   /* "nofile", … without RLIMIT_ */
    int64_t soft, hard; /* -1 = unlimited */
};

struct attachment_spec {
    const char *network; /* engine network name */
    struct strings aliases;
    const char *ipv4_address; /* NULL = the engine picks one */
};

enum restart_policy { RESTART_NO, RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_UNLESS_STOPPED };
extern const char
    *const restart_policy_names[]; /* "no", "always", "on-failure", "unless-stopped" */

struct health_spec {
    bool is_set;         /* false: the image's check, if it has one */
    bool disabled;       /* no check at all */
    struct strings test; /* {"CMD", …} or {"CMD-SHELL", line}; empty = the image's test */
    int64_t interval_ns, timeout_ns, start_period_ns, start_interval_ns; /* 0 = default */
    int retries;                                                         /* 0 = default */
};

struct container_spec {
    const char *name;
    const char *project;
    const char *image;    /* reference as written */
    const char *image_id; /* "sha256:…" of the image config it was resolved to */
    bool has_entrypoint;  /* entrypoint replaces the image's (and drops the image's command) */
    struct strings entrypoint;
    bool has_command;
    struct strings command;
    struct pairs environment;                  /* sorted; NULL value removes the image's */
    const char *working_dir, *user, *hostname; /* NULL = image's / default */
    struct pairs labels;                       /* sorted */
    struct mount_spec *mounts;
    size_t n_mounts;
    struct attachment_spec *networks; /* sorted by name; empty = no network but loopback */
    size_t n_networks;
    const char *network_mode; /* NULL = networks; "none" or "host" otherwise */
    struct port_spec *ports;
    size_t n_ports;
    struct strings expose;      /* "80/tcp" */
    struct strings extra_hosts; /* "name:ip", ip may be "host-gateway" */
    struct strings dns;
    bool init, tty, stdin_open, read_only, privileged, no_new_privileges;
    struct strings cap_add, cap_drop; /* "NET_ADMIN", "ALL" */
    struct pairs sysctls;
    struct ulimit_spec *ulimits;
    size_t n_ulimits;
    uint64_t memory_bytes; /* 0 = unlimited */
    int64_t nano_cpus;     /* 0 = unlimited */
    int64_t pids_limit;    /* 0 = unset, -1 = unlimited */
    enum restart_policy restart;
    int restart_max_retries; /* on-failure: 0 = no limit */
    struct health_spec health;
    const char *stop_signal; /* NULL = image's, else SIGTERM */
    int64_t stop_grace_ns;   /* -1 = default (10 s) */
};

struct network_spec {
    const char *name;
    const char *project;          /* NULL when made by hand */
    bool internal;                /* no way out */
    const char *subnet, *gateway; /* NULL = the engine picks */
    struct pairs labels;
};

struct volume_spec {
    const char *name;
    const char *project;
    struct pairs labels;
};

/* Canonical JSON: keys in a fixed order, defaults left out. Round trips. The caller owns *ret. */
json_t *container_spec_to_json(const struct container_spec *spec);
int container_spec_from_json(struct arena *arena, const json_t *json, struct container_spec *ret,
                             struct error *err);
json_t *network_spec_to_json(const struct network_spec *spec);
int network_spec_from_json(struct arena *arena, const json_t *json, struct network_spec *ret,
                           struct error *err);
json_t *volume_spec_to_json(const struct volume_spec *spec);
int volume_spec_from_json(struct arena *arena, const json_t *json, struct volume_spec *ret,
                          struct error *err);

/* ------------------------------------------------------------------ what exists */

enum container_status {
    CONTAINER_CREATED, /* record only, or armed: built, not yet started */
    CONTAINER_RUNNING,
    CONTAINER_RESTARTING, /* exited, waits for its back-off */
    CONTAINER_STOPPING,   /* stop signal sent */
    CONTAINER_EXITED,
};
extern const char *const container_status_names[]; /* "created", "running", … */

enum health_status { HEALTH_NONE, HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };
extern const char *const health_status_names[]; /* "", "starting", … */

struct endpoint_info {
    const char *network, *ipv4_address, *mac_address;
};

struct published_port {
    const char *host_ip; /* "0.0.0.0" when every address */
    uint16_t host_port, container_port;
    const char *protocol;
};

struct container_info {
    const char *id; /* 64 hex digits */
    const char *name, *project;
    const struct container_spec *spec;
    json_t *spec_json;   /* borrowed: lives as long as the arena's owner keeps the list; see
                          * engine_containers_release */
    struct strings argv; /* what runs: entrypoint + command after the image's defaults */
    enum container_status status;
    bool tainted; /* creation failed half-way: replace it */
    bool stopped_by_user;
    enum health_status health;
    int health_failing_streak;
    const char *health_output; /* of the last check; NULL = none */
    pid_t pid;                 /* 0 unless running */
    int exit_code;             /* -1 = never ended, or unknown */
    bool oom_killed;
    int restarts;
    int64_t created_ns, started_ns, finished_ns; /* real time; 0 = never */
    struct endpoint_info *endpoints;
    size_t n_endpoints;
    struct published_port *ports;
    size_t n_ports;
};

/* Containers of a project (NULL = of all), sorted by name. A process that died while nobody watched
 * reads as exited with code -1. */
int engine_containers_list(struct engine *engine, struct arena *arena, const char *project,
                           struct container_info **ret, size_t *ret_n, struct error *err);
/* By full name, or by id prefix of at least 4 digits. ERROR_NOT_FOUND. */
int engine_container_find(struct engine *engine, struct arena *arena, const char *name_or_id,
                          struct container_info *ret, struct error *err);

struct network_info {
    const struct network_spec *spec;
    const char *interface; /* bridge */
    const char *subnet, *gateway;
    bool is_up; /* the kernel has the bridge */
    size_t n_endpoints;
};

int engine_networks_list(struct engine *engine, struct arena *arena, struct network_info **ret,
                         size_t *ret_n, struct error *err);
int engine_network_create(struct engine *engine, const struct network_spec *spec,
                          struct error *err);
/* ERROR_CONFLICT while containers are attached; the text names them. Absent is done. */
int engine_network_remove(struct engine *engine, const char *name, struct error *err);

struct volume_info {
    const struct volume_spec *spec;
    const char *path; /* absolute, of the data directory */
    int64_t created_ns;
};

int engine_volumes_list(struct engine *engine, struct arena *arena, struct volume_info **ret,
                        size_t *ret_n, struct error *err);
int engine_volume_create(struct engine *engine, const struct volume_spec *spec, struct error *err);
int engine_volume_remove(struct engine *engine, const char *name, struct error *err);

struct image_info {
    const char *id;            /* "sha256:…" of the config */
    struct strings references; /* "docker.io/library/nginx:1.25" in familiar form "nginx:1.25" */
    uint64_t size_bytes;       /* of its layers, unpacked */
    int64_t created_ns;
    struct strings layers;                           /* diff ids, bottom first */
    struct strings entrypoint, command, environment; /* environment as NAME=value */
    struct strings exposed_ports, volumes;
    const char *user, *working_dir, *stop_signal;
    struct pairs labels;
    struct health_spec health;
};

int engine_images_list(struct engine *engine, struct arena *arena, struct image_info **ret,
                       size_t *ret_n, struct error *err);
/* By reference or id (prefix). ERROR_NOT_FOUND says how to get it (import, build). */
int engine_image_find(struct engine *engine, struct arena *arena, const char *reference,
                      struct image_info *ret, struct error *err);
/* The reference with the digest of what it was pulled as: "docker.io/library/nginx:1.25@sha256:…".
 * 1: it was not pulled here (nor does it name a digest itself); engine_image_resolve asks the
 * registry. */
int engine_image_pin(struct engine *engine, struct arena *arena, const char *reference,
                     const char **ret, struct error *err);
/* Removes a reference; the image and its layers go when nothing else needs them (containers, other
 * references, the build cache of a live build). ERROR_CONFLICT names the containers. */
int engine_image_remove(struct engine *engine, const char *reference, bool force,
                        struct error *err);

/* ------------------------------------------------------------------ jobs
 * Long work on images runs in a process of its own and reports over a pipe. The caller polls job
 * fd, then calls engine_job_read until it says ENGINE_JOB_MORE is over. Closing an unfinished job
 * kills it. */

struct engine_job;

struct image_import_request {
    const char *path;       /* tar, possibly compressed; "-" = stdin_fd */
    int stdin_fd;           /* -1 unless path is "-" */
    const char *reference;  /* NULL = untagged */
    struct strings changes; /* Dockerfile instructions, as docker import --change */
    const char *message;
};

struct image_build_request {
    const char *context;    /* absolute directory */
    const char *dockerfile; /* NULL = "Dockerfile"; relative to the context, or absolute */
    const char *target;     /* NULL = last stage */
    struct pairs args; /* NULL value = from the caller's environment, already resolved: dropped */
    struct strings tags;
    struct pairs labels;
    bool no_cache, pull;
};

struct image_pull_request {
    const char *reference;
    const char *platform; /* NULL = this machine's */
};

enum job_event_kind { JOB_PROGRESS, JOB_LOG, JOB_DONE, JOB_FAILED };

struct job_event {
    enum job_event_kind kind;
    char text[4096];     /* progress: short state; log: one line of output; done: image id */
    struct error *error; /* JOB_FAILED: borrowed until the next call */
};

int engine_image_import(struct engine *engine, const struct image_import_request *request,
                        struct engine_job **ret, struct error *err);
int engine_image_build(struct engine *engine, const struct image_build_request *request,
                       struct engine_job **ret, struct error *err);
int engine_image_pull(struct engine *engine, const struct image_pull_request *request,
                      struct engine_job **ret, struct error *err);
/* What the reference means in its registry now, without pulling it: JOB_DONE's text is as that of
 * engine_image_pin. */
int engine_image_resolve(struct engine *engine, const char *reference, struct engine_job **ret,
                         struct error *err);
int engine_job_fd(const struct engine_job *job); /* readable when engine_job_read has something */
/* 0 and one event; 1 when there is none right now. After JOB_DONE or JOB_FAILED nothing follows. */
int engine_job_read(struct engine_job *job, struct job_event *ret, struct error *err);
void engine_job_close(struct engine_job *job);

/* ------------------------------------------------------------------ containers: the session
 * One connection to the keeper of a project. Requests are sent without waiting; answers and state
 * changes come back as events, in order per container. `tag` comes back with the answer. */

struct engine_session;

/* Starts the keeper when none runs (start_keeper), else returns ERROR_NOT_FOUND. */
int engine_session_open(struct engine *engine, const char *project, bool start_keeper,
                        struct engine_session **ret, struct error *err);
void engine_session_close(struct engine_session *session);
int engine_session_fd(const struct engine_session *session);
/* Something can be received although the descriptor may be silent: what came while a request was
 * sent. To be asked before polling. */
bool engine_session_has_more(const struct engine_session *session);

/* Write the record (id, name, spec) and ask the keeper to build it: armed, everything but exec
 * done. ERROR_CONFLICT at once when the name is taken by another spec or project. */
int engine_session_create(struct engine_session *session, uint32_t tag,
                          const struct container_spec *spec, struct error *err);
int engine_session_start(struct engine_session *session, uint32_t tag, const char *name,
                         struct error *err);
/* grace_ns: -1 = the container's own. The answer comes when it has ended. */
int engine_session_stop(struct engine_session *session, uint32_t tag, const char *name,
                        int64_t grace_ns, struct error *err);
int engine_session_kill(struct engine_session *session, uint32_t tag, const char *name, int signal,
                        struct error *err);
/* Ends it (SIGKILL) if it runs; frees addresses, ports, cgroup, upper layer, record, anonymous
 * volumes if remove_volumes. */
int engine_session_remove(struct engine_session *session, uint32_t tag, const char *name,
                          bool remove_volumes, struct error *err);
/* Change live fields (limits, restart policy, health, labels, ports …) to those of `spec`; record
 * too. */
int engine_session_update(struct engine_session *session, uint32_t tag,
                          const struct container_spec *spec, struct error *err);
/* From now on state changes of every container of the project arrive as SESSION_STATE, preceded by
 * one for each container as it stands. */
int engine_session_watch(struct engine_session *session, uint32_t tag, struct error *err);

enum session_event_kind { SESSION_DONE, SESSION_FAILED, SESSION_STATE, SESSION_CLOSED };

struct session_event {
    enum session_event_kind kind;
    uint32_t tag;        /* DONE, FAILED */
    struct error *error; /* FAILED; borrowed until the next call */
    char name[256];      /* STATE: which container */
    enum container_status status;
    enum health_status health;
    int exit_code;
    bool oom_killed;
};

/* Next event: 0; or 1 when timeout_ms passed without one (-1 = wait for ever). */
int engine_session_receive(struct engine_session *session, int timeout_ms,
                           struct session_event *ret, struct error *err);

/* ------------------------------------------------------------------ exec and logs */

struct exec_request {
    const char *container; /* name */
    struct strings argv;
    struct pairs environment;
    const char *user, *working_dir; /* NULL = the container's */
    bool tty, privileged;
    int stdin_fd, stdout_fd, stderr_fd; /* given to the process as they are; with tty: relayed */
};

/* Blocks until the process ends. *ret_code: its exit code, 128 + signal, or 126/127. Relays signals
 * and window size when tty. */
int engine_exec(struct engine *engine, const char *project, const struct exec_request *request,
                int *ret_code, struct error *err);

struct log_options {
    int64_t since_ns, until_ns; /* real time; 0 = unbounded */
    int64_t tail;               /* last N lines; -1 = all */
    bool follow;
};

struct log_line {
    int64_t time_ns;
    bool is_stderr;
    bool is_partial; /* goes on in the next line of the same stream */
    struct str text; /* without the newline; borrowed until the next call */
};

struct engine_log;
int engine_log_open(struct engine *engine, const char *container_id,
                    const struct log_options *options, struct engine_log **ret, struct error *err);
int engine_log_fd(const struct engine_log *log); /* inotify: readable when there may be more */
/* 0 and a line; 1 = nothing more now (poll engine_log_fd when following, else it is the end). */
int engine_log_read(struct engine_log *log, struct log_line *ret, struct error *err);
void engine_log_close(struct engine_log *log);

/* ------------------------------------------------------------------ project directories */

/* Lock a project for a change: flock on run/projects/PROJECT/lock, which names holder and verb.
 * Waits at most timeout_ms; on ERROR_TIMEOUT the text says who holds it since when.
 * engine_project_unlock, or closing the fd, unlocks. */
int engine_project_lock(struct engine *engine, const char *project, const char *verb,
                        int timeout_ms, int *ret_fd, struct error *err);
/* Closes *fd. A project that has no state directory, because nothing of it was ever made or all was
 * removed, loses its run directory. */
void engine_project_unlock(struct engine *engine, const char *project, int *fd);
/* state/projects/PROJECT, made when missing: generations live there. */
int engine_project_dir(struct engine *engine, const char *project, int *ret_fd, struct error *err);
/* run/projects/PROJECT, made when missing: the journal lives there. */
int engine_project_run_dir(struct engine *engine, const char *project, int *ret_fd,
                           struct error *err);
/* Removes both when nothing of the project is left. */
int engine_project_forget(struct engine *engine, const char *project, struct error *err);
