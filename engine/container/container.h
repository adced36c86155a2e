#pragma once

/* How a container comes to be.
 *
 * Theory. The keeper gathers everything one creation needs in a `struct container_build`.
 * container_prepare() turns it into a flat list of instructions (`struct setup_program`, made by a
 * pure function) and the descriptors those name: an overlay, a /dev, volumes, a network namespace …
 * Mounts are made detached, so nothing ever shows up in the host's mount namespace. zygote_spawn()
 * sends both to the zygote, a tiny static program in an empty mount namespace of its own, which
 * clones the container. The child interprets the program up to `wait`, reports ARMED and blocks;
 * zygote_go() lets it take its credentials and exec.
 *
 *     read record → container_resolve_process → container_prepare → zygote_spawn
 *         → SPAWNED → ARMED → zygote_go → STARTED → EXITED → zygote_forget
 *
 * Every id ends with exactly one of FAILED and EXITED. Until the keeper answers it with
 * zygote_forget() the zygote remembers it, so a keeper that is killed loses nothing: the zygote
 * starts the next one and hands over its inventory (zygote_adopt).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/base/error.h"
#include "engine/base/str.h"

struct arena;
struct buf;
struct container_spec;
struct image_info;
struct mount_spec;
struct setup_program;

enum { CONTAINER_ID_MAX = 64 };

/* ------------------------------------------------------------------ what runs */

struct process_resolved {
    struct strings argv;        /* entrypoint + command; never empty */
    struct strings environment; /* NAME=value; HOME is added when the user is known */
    const char *user;           /* "" = root */
    const char *working_dir;    /* absolute */
    const char *stop_signal;    /* "SIGTERM" */
};

/* Merge spec and image as Docker does. Pure; the result borrows from all three and the arena.
 *
 * The environment is PATH (default), HOSTNAME, TERM=xterm with a tty, the image's, the spec's; a
 * pair with NULL value removes a name.
 * Fails with ERROR_INVALID when there is nothing to run. */
int container_resolve_process(struct arena *arena, const struct container_spec *spec,
                              const struct image_info *image, const char *hostname,
                              struct process_resolved *ret, struct error *err);

/* The container's hostname: the spec's, else the first 12 digits of its id. */
const char *container_hostname(struct arena *arena, const struct container_spec *spec,
                               const char *id);

struct user_resolved {
    uid_t uid;
    gid_t gid;
    const gid_t *groups; /* supplementary, ascending, without duplicates; in the arena */
    size_t n_groups;
    const char *home; /* "/" when /etc/passwd knows none */
};

/* Look up "user", "uid", "user:group", "uid:gid", ":gid" in /etc/passwd and /etc/group below
 * root_fd (an image's or a container's root: hostile; own parser, no NSS). "" and NULL are root.
 * ERROR_NOT_FOUND for a missing name, ERROR_INVALID for numbers out of 0…2^31-1. */
int user_resolve(struct arena *arena, int root_fd, const char *user, struct user_resolved *ret,
                 struct error *err);

/* ------------------------------------------------------------------ what to build */

struct build_mount {
    const struct mount_spec *spec;
    const char *source; /* absolute host path: the bind's source (exists), the volume's data
                         * directory; NULL for tmpfs */
};

struct build_device { /* a node in /dev */
    const char *path; /* absolute, below /dev */
    char type;        /* 'c', 'b' or 'p' */
    unsigned major, minor;
    mode_t mode;
    uid_t uid;
    gid_t gid;
};

/* Everything one creation needs. All borrowed: nothing here is closed or freed by us. */
struct container_build {
    const char *id;       /* at most CONTAINER_ID_MAX characters */
    const char *hostname; /* NULL: leave the UTS name alone */
    const struct container_spec *spec;
    const struct process_resolved *process;

    struct strings layers; /* absolute paths of layer trees, bottom first; at least one */
    int dir_fd;            /* the container's directory: upper/, work/ and the name files */
    bool has_hosts, has_resolv_conf, has_hostname; /* bind dir_fd/"hosts", … over /etc/… */
    const struct build_mount *mounts;
    size_t n_mounts;

    int netns_fd;           /* -1 = the network namespace the zygote lives in (host) */
    int cgroup2_fd;         /* directory to be born in; -1 = none */
    const int *cgroup1_fds; /* cgroup.procs of v1 hierarchies, opened O_WRONLY */
    size_t n_cgroup1_fds;
    struct strings cgroup1_hierarchies; /* mount options of the v1 hierarchies to show read-only
                                         * below /sys/fs/cgroup: "cpu,cpuacct", "name=systemd";
                                         * empty = show the v2 tree */

    int stdio_fds[3]; /* -1 = the container's /dev/null; unused when spec->tty */
    int kept_fds[2];  /* our ends of stdout and stderr (-1 = none): the zygote keeps duplicates for
                       * the next keeper */

    const void *seccomp;                /* struct sock_filter[]; NULL = no filter */
    size_t seccomp_size;                /* bytes */
    uint64_t capabilities;              /* bounding set, and what root in the container has */
    const struct build_device *devices; /* besides null zero full random urandom tty */
    size_t n_devices;
    struct strings masked_paths, read_only_paths; /* absolute; those that are missing are skipped */
    uint64_t shm_bytes;                           /* 0 = 64 MiB */
};

#define CONTAINER_BUILD_INIT                                                                       \
    {                                                                                              \
        .dir_fd = -1, .netns_fd = -1, .cgroup2_fd = -1, .stdio_fds = {-1, -1, -1}, .kept_fds = {   \
            -1,                                                                                    \
            -1                                                                                     \
        }                                                                                          \
    }

/* An exec into a running container. */
struct exec_build {
    const struct container_spec *spec; /* of the container: its ulimits hold here too */
    const char *id;                    /* of the exec; unique among all ids of this zygote */
    int pidfd;                         /* of the container's init */
    pid_t pid;                         /* the same; to look at its root */
    int cgroup2_fd;                    /* as above: of the container */
    const int *cgroup1_fds;
    size_t n_cgroup1_fds;
    bool has_network; /* the container has a network namespace of its own */
    struct strings argv;
    struct strings environment; /* complete: the container's with the request's over it */
    const char *user, *working_dir;
    bool tty, no_new_privileges;
    unsigned int rows, columns; /* of the tty, from the start; 0 = unknown */
    bool privileged;            /* all capabilities, whatever the container has */
    int stdio_fds[3];
    const void *seccomp;
    size_t seccomp_size;
    uint64_t capabilities;
};

#define EXEC_BUILD_INIT                                                                            \
    {                                                                                              \
        .pidfd = -1, .cgroup2_fd = -1, .stdio_fds = { -1, -1, -1 }                                 \
    }

/* What to put into masked_paths and read_only_paths of a container that is not privileged: the
 * tables of engine/security less what this kernel doesn't have, the "*" expanded. Worth keeping:
 * it doesn't change while the machine runs. */
int container_default_paths(struct arena *arena, struct strings *ret_masked,
                            struct strings *ret_read_only, struct error *err);

/* ------------------------------------------------------------------ the setup program
 * (engine/container/setup.h holds the type.) */

/* Pure. `user` comes from user_resolve. Mounts are sorted by depth; a mount on a default target
 * (/dev/shm, /etc/hosts …) replaces the default. Fails with ERROR_INVALID or ERROR_UNSUPPORTED and
 * a text that names what in the spec can't be done. */
int setup_program_make(struct arena *arena, const struct container_build *build,
                       const struct user_resolved *user, const struct setup_program **ret,
                       struct error *err);
int setup_program_make_exec(struct arena *arena, const struct exec_build *build,
                            const struct user_resolved *user, const struct setup_program **ret,
                            struct error *err);

/* One line per step, as golden tests and `berth internal setup-program` show it. */
void setup_program_print(struct buf *out, const struct setup_program *program);

/* The flat form the zygote reads. */
int setup_program_encode(const struct setup_program *program, struct buf *ret, struct error *err);

/* ------------------------------------------------------------------ prepared: program + fds */

struct container_prepared; /* a program with all its descriptors; owned, freed by _release */

/* Opens and makes all mounts; the build's own descriptors are borrowed until zygote_spawn. Nothing
 * outside the container's own directory is changed (except bind sources with create_source). */
int container_prepare(const struct container_build *build, struct container_prepared **ret,
                      struct error *err);
int container_prepare_exec(const struct exec_build *build, struct container_prepared **ret,
                           struct error *err);
void container_prepared_release(struct container_prepared *prepared); /* NULL is fine */
#define cleanup_prepared __attribute__((cleanup(container_prepared_cleanup)))
void container_prepared_cleanup(struct container_prepared **prepared);

/* The text of the program, for traces and errors. */
void container_prepared_print(struct buf *out, const struct container_prepared *prepared);

/* ------------------------------------------------------------------ the zygote, seen by the keeper
 */

struct zygote {
    int fd;    /* SOCK_SEQPACKET; poll for reading, then zygote_receive until it returns 1 */
    int pidfd; /* readable when it has died */
    pid_t pid;
};

#define ZYGOTE_INIT                                                                                \
    {                                                                                              \
        .fd = -1, .pidfd = -1                                                                      \
    }

struct zygote_options {
    const char *project;
    /* The keeper to start when this one is gone: executable (a descriptor, kept open), argv and
     * environment, both NULL-terminated. It finds its socket to the zygote on descriptor 3. */
    int keeper_exec_fd;
    const char *const *keeper_argv;
    const char *const *keeper_envp;
};

int zygote_start(const struct zygote_options *options, struct zygote *ret, struct error *err);
/* Take over from a keeper that died: `fd` is descriptor 3. INVENTORY events follow by themselves.
 */
int zygote_adopt(int fd, struct zygote *ret, struct error *err);
/* Closes the socket. A zygote that has nothing left to watch exits; one that has starts a keeper.
 */
void zygote_close(struct zygote *zygote);

/* Requests fail with ERROR_NOT_FOUND when the zygote is dead; one that doesn't read them for some
 * seconds is killed first. */

/* Clone; SPAWNED or FAILED follows. The descriptors of `prepared` may be closed after. */
int zygote_spawn(struct zygote *zygote, const char *id, const struct container_prepared *prepared,
                 struct error *err);
/* The same for an exec; SPAWNED and ARMED are reported too, but nobody has to say go. */
int zygote_exec(struct zygote *zygote, const char *id, const struct container_prepared *prepared,
                struct error *err);
/* Before ARMED: it will not wait. */
int zygote_go(struct zygote *zygote, const char *id, struct error *err);
/* Acknowledge FAILED or EXITED: the zygote drops the id and its descriptors. */
int zygote_forget(struct zygote *zygote, const char *id, struct error *err);
/* Tell the zygote not to start another keeper: it ends when its socket closes and leaves what runs
 * to our subreaper. */
int zygote_retire(struct zygote *zygote, struct error *err);
/* Ask for a sign of life: ALIVE follows, whatever its children do. Never waits. */
int zygote_ping(struct zygote *zygote, struct error *err);

enum zygote_event_kind {
    ZYGOTE_SPAWNED,   /* pid, pidfd */
    ZYGOTE_ARMED,     /* terminal_fd (pty master) when it has a tty */
    ZYGOTE_STARTED,   /* exec worked */
    ZYGOTE_FAILED,    /* error, exit_code (125, 126, 127); the process is gone and reaped */
    ZYGOTE_EXITED,    /* exit_code: code or 128 + signal; reaped */
    ZYGOTE_INVENTORY, /* after zygote_adopt, one per id: state, pid, pidfd, terminal_fd, kept_fds;
                       * FAILED and EXITED follow as events of their own */
    ZYGOTE_INVENTORY_END, /* no id */
    ZYGOTE_ALIVE,         /* no id */
};

enum zygote_state {
    ZYGOTE_STATE_SPAWNED,
    ZYGOTE_STATE_ARMED,
    ZYGOTE_STATE_STARTED,
    ZYGOTE_STATE_ENDED
};

struct zygote_event {
    enum zygote_event_kind kind;
    char id[CONTAINER_ID_MAX + 1];
    bool is_exec;
    enum zygote_state state; /* INVENTORY */
    pid_t pid;
    int pidfd, terminal_fd, kept_fds[2]; /* -1 = none; those not taken are closed by _release */
    int exit_code;                       /* FAILED, EXITED */
    int term_signal;                     /* EXITED by a signal; else 0 */
    struct error error;                  /* FAILED: "attach mount /data: … (EACCES)" */
};

#define ZYGOTE_EVENT_INIT                                                                          \
    {                                                                                              \
        .pidfd = -1, .terminal_fd = -1, .kept_fds = { -1, -1 }                                     \
    }
#define cleanup_zygote_event __attribute__((cleanup(zygote_event_release)))
void zygote_event_release(struct zygote_event *event); /* closes its fds, makes it empty */

/* Next event without waiting: 0; 1 when there is none now. ERROR_NOT_FOUND when the zygote is gone.
 * `ret` must be empty (ZYGOTE_EVENT_INIT or released). */
int zygote_receive(struct zygote *zygote, struct zygote_event *ret, struct error *err);
