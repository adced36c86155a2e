#pragma once

/* The zygote's own state: a table of what it has cloned and not yet been told to forget.
 *
 * Theory. One thread, one epoll. It never waits for the keeper: what the keeper has to be told is a
 * set of pending bits per slot, sent as far as the socket takes them (report.c). So a keeper that
 * died is no special case: its successor gets INVENTORY for every slot in use, and the results that
 * nobody acknowledged. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/container/wire.h"

enum {
    ZYGOTE_SLOTS = 1024,
    ZYGOTE_KEEPER_FD = 3, /* as zygote_start hands them over */
    ZYGOTE_KEEPER_EXEC_FD = 4,
    ZYGOTE_MESSAGE_MAX = WIRE_INLINE_MAX + (int)sizeof(struct wire_request),
    ZYGOTE_KEEPER_TEXT_MAX = 16 * 1024,
    ZYGOTE_KEEPER_STRINGS_MAX = 256,
};

/* Bits of slot.pending, in the order they are sent. */
enum slot_pending {
    PENDING_INVENTORY = 1,
    PENDING_SPAWNED = 2,
    PENDING_ARMED = 4,
    PENDING_STARTED = 8,
    PENDING_END = 16,
};

struct slot {
    bool is_used, is_exec;
    bool has_go; /* told to exec: a channel that closes means that it did */
    bool is_reaped, has_failed;
    uint32_t state;   /* enum zygote_state of container.h: spawned, armed, started, ended */
    uint32_t pending; /* enum slot_pending */
    int pid, pidfd;
    int channel; /* to the child until it execs; -1 after */
    int terminal_fd, stdout_fd, stderr_fd;
    int wait_status;
    char id[WIRE_ID_SIZE];
    struct wire_child_report failure;
};

struct zygote_state_table {
    int epoll_fd, signal_fd, keeper_fd, keeper_exec_fd;
    int host_mounts_fd, own_pids_fd;
    bool is_retired, is_inventory_pending, is_alive_pending, is_writable_wanted;
    int keeper_pid;            /* of one we started; 0 = it started us */
    int64_t keeper_started_ns; /* monotonic */
    uint32_t keeper_argc, keeper_envc;
    uint32_t n_slots; /* high-water mark */
    char *title;
    size_t title_size;
    char keeper_text[ZYGOTE_KEEPER_TEXT_MAX];
    struct slot slots[ZYGOTE_SLOTS];
    _Alignas(16) char message[ZYGOTE_MESSAGE_MAX];
};

/* A received request with its descriptors. */
struct request {
    const struct wire_request *header;
    const char *payload;
    size_t payload_size;
    int fds[253];
    size_t n_fds;
};

/* spawn.c */
void zygote_clone(struct zygote_state_table *zygote, struct request *request);

/* report.c */
void zygote_send_pending(struct zygote_state_table *zygote);
void zygote_refuse(struct zygote_state_table *zygote, const char *id, int errnum, int exit_code,
                   const char *text);

/* slots.c */
struct slot *slot_find(struct zygote_state_table *zygote, const char *id);
struct slot *slot_take(struct zygote_state_table *zygote, const char *id); /* NULL: table full */
void slot_release(struct zygote_state_table *zygote, struct slot *slot);
/* Read what the child said until there is no more, or it has closed its end. */
void slot_read_channel(struct zygote_state_table *zygote, struct slot *slot);
void slot_close_channel(struct zygote_state_table *zygote, struct slot *slot);
void slots_reap(struct zygote_state_table *zygote);
bool slots_are_empty(const struct zygote_state_table *zygote);

/* keeper.c */
int64_t zygote_now_ns(void);
/* The keeper is gone: start another, or end. False: not yet, try again a little later. */
bool zygote_restart_keeper(struct zygote_state_table *zygote);
int zygote_watch(const struct zygote_state_table *zygote, int fd, uint64_t data);
/* An empty, read-only root with x, empty and null in it. 0 or -errno; *ret_what names the step. */
int zygote_enter_empty_root(const char **ret_what);

/* epoll data: these, or ZYGOTE_WATCH_SLOT + index */
enum zygote_watch { ZYGOTE_WATCH_KEEPER, ZYGOTE_WATCH_SIGNAL, ZYGOTE_WATCH_SLOT };
