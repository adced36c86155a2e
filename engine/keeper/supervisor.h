#pragma once

/* The keeper's inside: its two structures and the doors between its files.
 *
 *   keeper.c     start, loop, end            supervise.c  lifecycle requests → acts; exits; states
 *   control.c    clients, their requests     build.c      record → network, mounts, zygote
 *   probe.c      health checks               attach.c     networks, names, ports of a container
 *   exec.c       exec requests               adopt.c      what a dead keeper or zygote left
 *   patience.c   a zygote that hangs
 *
 * One thread, one loop. Nothing is written or told in the middle of a turn: changes mark a
 * container dirty, and at the end of the turn its state is written once, then clients are answered,
 * then the zygote may forget (keeper_flush). So nobody hears of what is not on disk, and what the
 * zygote forgets is on disk. */

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/list.h"
#include "engine/base/process.h"
#include "engine/base/vec.h"
#include "engine/cgroup/cgroup.h"
#include "engine/container/container.h"
#include "engine/container/record.h"
#include "engine/keeper/health.h"
#include "engine/keeper/keeper.h"
#include "engine/keeper/lifecycle.h"
#include "engine/keeper/log_pump.h"
#include "engine/keeper/protocol.h"
#include "engine/network/network.h"

enum {
    KEEPER_CLIENTS_MAX = 200,
    KEEPER_CONTAINERS_MAX = 5000,
    HEALTH_OUTPUT_MAX = 4096,
};

struct keeper;

/* ------------------------------------------------------------------ clients */

struct client {
    struct list link; /* keeper.clients */
    struct keeper *keeper;
    int fd;
    struct event *event;
    bool is_watching;
    bool is_gone;       /* freed at the end of the turn */
    bool wants_settled; /* waits for the answer to OP_SETTLE */
    uint32_t settle_tag;
};

/* A request whose answer waits for something to happen to a container. */
struct waiter {
    struct list link; /* supervised.waiters */
    struct client *client;
    uint32_t tag;
    enum protocol_op op;
    bool remove_volumes;
};

/* ------------------------------------------------------------------ containers */

struct supervised_port {
    struct port_reservation reservation;
    struct proxy *proxy; /* IPv6 side */
    char host_ip[NETWORK_IPV4_SIZE];
    uint16_t host_port, container_port;
    enum port_protocol protocol;
};

struct supervised_endpoint {
    char *network;
    char ip[NETWORK_IPV4_SIZE];
    char mac[NETWORK_MAC_SIZE];
};

struct probe;

struct supervised {
    struct list link; /* keeper.containers */
    struct keeper *keeper;
    char id[CONTAINER_ID_SIZE];
    char *name;
    int dir_fd;

    struct lifecycle life;
    bool is_tainted, is_oom_killed;
    struct error failure;            /* why the last build or exec failed */
    int64_t started_ns, finished_ns; /* real time */

    pid_t pid; /* 0 = none */
    int pidfd;
    uint64_t start_ticks;
    bool is_orphan;            /* not a child of our zygote: watched through pidfd_event */
    struct event *pidfd_event; /* its end; an orphan's: then a clock until its code is known */
    bool has_ended;            /* says its pidfd; the zygote has not told yet */
    bool is_blind_retry; /* built again because the zygote could not be told; not spawned yet */
    int n_exit_polls;    /* orphan: how often its exit code was asked for in vain */
    bool has_to_forget;  /* the zygote still holds its end, which is not on disk yet */

    bool has_old_cgroup;  /* there may be one of an earlier run */
    struct cgroup cgroup; /* of the run: execs go there too; empty when nothing is open */
    int netns_fd;
    struct supervised_endpoint *endpoints;
    size_t n_endpoints;
    bool publishes_ports; /* wants to, when it runs */
    struct supervised_port *ports;
    size_t n_ports;

    struct log_file log;
    struct log_source sources[LOG_STREAMS];
    uint64_t pipe_inodes[LOG_STREAMS];
    struct event *source_events[LOG_STREAMS];
    bool has_more_log[LOG_STREAMS]; /* its turn was over before its pipe was empty */

    struct event *timer; /* of the lifecycle */
    struct health health;
    char *health_output;
    struct probe *probe; /* NULL without a check */

    struct list waiters;
    bool has_waiters_to_check;
    bool is_in_inventory;
    bool is_dirty; /* state.json is older than this */
    bool has_news; /* watchers have not been told */
};

/* ------------------------------------------------------------------ the keeper */

struct keeper {
    struct keeper_place place;
    int project_run_fd; /* run/projects/PROJECT */
    int alive_fd;       /* flock-ed as long as we are the project's keeper */
    int listen_fd;
    char boot_id[37];
    struct event_base *base;
    struct listener *listener;
    struct event *child_event; /* a child has ended */
    bool is_over;

    struct arena arena; /* layout, argv */
    struct cgroup_layout layout;
    struct zygote zygote;
    bool has_zygote;
    int64_t zygote_replaced_ns; /* monotonic: when the last one that died was replaced */
    struct event *zygote_event, *zygote_death_event;
    struct event *patience_timer; /* while somebody waits for what the zygote will tell */
    int64_t patience_ms;          /* how long it may take to answer */
    int64_t patience_due_ns;      /* monotonic: when the timer was to fire */
    bool is_asked_for_life, is_zygote_killed;
    struct strings masked_paths, read_only_paths; /* read with the first container */
    int device_filter_fd;                         /* -1 = none, or not loaded */
    const char *const *restart_argv;              /* for the zygote: how to start our successor */
    bool is_adopting;                             /* the inventory has not ended */

    struct resolver *resolver; /* made with the first container on a network */
    int firewall_fd;           /* likewise; 0 = not yet */
    struct log_pump *pump;

    struct list containers;
    struct list clients;
    struct list execs;
    size_t n_clients;
    uint64_t exec_counter;
    bool has_removed; /* directories wait to be deleted */
    struct process sweeper;
    struct event *sweep_event; /* its time has come, or its process has ended */
    char *buffer;              /* PROTOCOL_MAX_BYTES, while clients are connected */
};

/* ------------------------------------------------------------------ doors */

/* keeper.c */
int keeper_zygote_need(struct keeper *keeper, struct error *err);
void keeper_zygote_use(struct keeper *keeper); /* watch keeper->zygote */
void keeper_zygote_lost(struct keeper *keeper);
struct supervised *keeper_find(struct keeper *keeper, const char *name);
struct supervised *keeper_find_id(struct keeper *keeper, const char *id);
void keeper_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
struct network_dirs keeper_network_dirs(const struct keeper *keeper);

/* patience.c: a zygote that doesn't answer is killed. */
void patience_start(struct keeper *keeper);            /* somebody waits now */
void patience_ask(struct supervised *container);       /* does its state? */
void patience_rewarded(struct keeper *keeper);         /* the zygote has answered */
void patience_stop(struct keeper *keeper);             /* there is no zygote */
void patience_watch_end(struct supervised *container); /* pid and pidfd of the zygote's child */
void patience_end_predecessor(struct keeper *keeper);

/* supervise.c */
struct supervised *supervised_new(struct keeper *keeper, const struct container_record *record);
void supervised_free(struct supervised *container);
void supervise(struct supervised *container, const struct life_input *input);
void supervise_event(struct supervised *container, enum life_event event);
void supervise_zygote_event(struct keeper *keeper, struct zygote_event *event);
/* The first process is gone; its end is known. */
void supervise_ended(struct supervised *container, int exit_code);
void supervise_failed(struct supervised *container, int exit_code, const struct error *why);
void supervise_watch_log(struct supervised *container, enum log_stream stream, int *fd,
                         bool is_terminal);
/* At the end of a turn of the loop: sources that had more get another one. */
void supervise_go_on_logging(struct supervised *container);
void supervise_close_log(struct supervised *container);
void supervise_forget_process(struct supervised *container);
void supervise_watch_pidfd(struct supervised *container);
void supervise_changed(struct supervised *container); /* state and news */
/* From the disk and the kernel. The caller frees `container` after it. Goes on after a failure; the
 * first one is in *ret_failure. */
void supervise_remove(struct supervised *container, bool with_volumes, struct error *ret_failure);
void supervised_state(const struct supervised *container, struct arena *arena,
                      struct container_state *ret);
int supervise_write_state(struct supervised *container, struct error *err);

/* build.c: everything up to the zygote's message. */
int build_container(struct supervised *container, struct error *err);
/* Open the container's control group unless it is open. */
int build_cgroup(struct supervised *container, const struct container_spec *spec,
                 struct error *err);
/* Bytes of the container's system call filter, empty when it has none. */
int build_seccomp(struct keeper *keeper, const struct container_spec *spec, uint64_t capabilities,
                  struct buf *ret, struct error *err);

/* update.c */
int update_container(struct supervised *container, struct error *err);

/* attach.c */
int attach_networks(struct supervised *container, const struct container_record *record,
                    struct error *err);
int attach_ports(struct supervised *container, const struct container_record *record,
                 struct error *err); /* reserve and publish */
int attach_resolver(struct supervised *container, const struct container_record *record,
                    struct error *err);
int attach_name_files(struct supervised *container, const struct container_record *record,
                      struct error *err);
/* Of a running container whose record was `old`: ports that stay stay open. On failure they are as
 * before, as far as nobody else has taken them meanwhile. */
int attach_change_ports(struct supervised *container, const struct container_record *old,
                        const struct container_record *record, struct error *err);
void attach_set_running(struct supervised *container, bool is_running);
void attach_release_ports(struct supervised *container);
void attach_release(struct supervised *container); /* namespace and ports; addresses stay */
void attach_detach(struct supervised *container, const struct container_record *record);

/* port_holder.c: "container "shop-web-1" (service …)" if one of ours has the port (request->first).
 */
bool port_holder_find(const struct supervised *asking, const struct port_request *wanted,
                      struct buf *ret_text);

/* volumes.c: the mounts' host side. */
int volumes_open(struct keeper *keeper, struct arena *arena, const struct container_record *record,
                 struct build_mount **ret, size_t *ret_n, struct error *err);

/* control.c */
int control_listen(struct keeper *keeper, struct error *err); /* ready, but not switched on */
void client_send(struct client *client, json_t *message_take, const int *fds, size_t n_fds);
void client_free(struct client *client);
void control_news(struct supervised *container); /* to all watchers */
/* Answer those who wait until nothing is under way for clients that are gone. */
void control_tell_settled(struct keeper *keeper);
/* Somebody waits for its removal: what is written of it now is not read any more. */
bool control_is_removing(const struct supervised *container);
void control_settle(struct supervised *container); /* answer the waiters it satisfies */
void control_fail_waiters(struct supervised *container, const struct error *why);

/* probe.c */
void probe_new(struct supervised *container, const struct container_record *record);
void probe_free(struct supervised *container);
void probe_start(struct supervised *container); /* it runs now */
void probe_stop(struct supervised *container);  /* it has ended */
void probe_adopt(struct supervised *container, enum health_status status, int streak);

/* exec.c: processes besides the first. `done` is called once; then the exec is gone. */
struct exec;
typedef void exec_done(void *context, int exit_code, const struct error *failure);
struct exec_options {
    struct supervised *container;
    const struct container_prepared *prepared; /* borrowed */
    struct client *client;                     /* NULL for a probe */
    uint32_t tag;
    exec_done *done; /* probes */
    void *context;
};
int exec_start(const struct exec_options *options, struct exec **ret, struct error *err);
void exec_kill(struct exec *exec, int signal);
void exec_orphan(struct exec *exec); /* kill it and never call `done` */
bool exec_handle_event(struct keeper *keeper, struct zygote_event *event);
void exec_client_gone(struct keeper *keeper, struct client *client);
void exec_zygote_gone(struct keeper *keeper);
int exec_request(struct client *client, uint32_t tag, const json_t *request, const int fds[3],
                 struct error *err);
/* What `ret` names is borrowed until exec_start: build's descriptors, those of the container. */
int exec_prepare(struct supervised *container, const struct container_record *record,
                 struct exec_build *build, struct container_prepared **ret, struct error *err);

/* shield.c */
/* Nobody in the process would notice the signal: it is the first of its pid namespace, has no
 * handler, and waits for no signal. */
bool shield_ignores(pid_t pid, int signal);

/* adopt.c */
int adopt_records(struct keeper *keeper, struct error *err); /* at start */
void adopt_inventory(struct keeper *keeper, struct zygote_event *event);
void adopt_inventory_end(struct keeper *keeper);
void adopt_armed(struct supervised *container);   /* built by our predecessor */
void adopt_started(struct supervised *container); /* built and let go by our predecessor */
void adopt_zygote_death(struct keeper *keeper);
/* The exit code of a process we hold a pidfd of: from waitid when it is our child, else from the
 * kernel's memory (PIDFD_GET_INFO, Linux 6.15), else from what is left of it as a zombie. Returns 1
 * while it is not known. */
int adopt_exit_code(int pidfd, pid_t pid, int *ret_code);

/* reap.c: children that nobody else waits for. */
void reap_start(struct keeper *keeper);
void reap_stop(struct keeper *keeper);

/* sweep.c: deleting the trees of removed containers, in a process of its own. */
void sweep_soon(struct keeper *keeper);
void sweep_at_end(struct keeper *keeper); /* starts it and leaves it alone */
int sweep_main(int argc, char **argv, const char *state_root);

/* sockets.c: is somebody listening that wasn't before? */
struct socket_watch;
int socket_watch_new(int netns_fd, struct socket_watch **ret, struct error *err);
void socket_watch_free(struct socket_watch *watch);
bool socket_watch_has_new(struct socket_watch *watch);
