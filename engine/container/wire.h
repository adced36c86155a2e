#pragma once

/* What keeper and zygote say to each other, and the flat form of a setup program.
 *
 * Compiled into both programs, so nothing here needs libc. A program is one block of bytes: header,
 * steps, then texts and data that steps refer to by offset and size from the block's start. The
 * reader trusts nothing: wire_check() looks at every offset, size and count before the first step
 * runs, and nothing else walks the block. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_MAGIC = 0x62727468,
    WIRE_VERSION = 1,
    WIRE_INLINE_MAX = 64 * 1024,        /* larger programs travel in a sealed memfd */
    WIRE_PROGRAM_MAX = 4 * 1024 * 1024, /* argv + environment may be 2 MiB (ARG_MAX) */
    WIRE_STEPS_MAX = 2048,
    WIRE_SLOTS_MAX = 240, /* with the message's own descriptors below SCM_MAX_FD (253) */
    WIRE_STRINGS_MAX = 65536,
    WIRE_ID_SIZE = 72, /* CONTAINER_ID_MAX and NUL, rounded up */
    WIRE_TEXT_MAX = 512,
};

/* op, printed name, what it needs */
#define SETUP_OPS(X)                                                                               \
    X(JOIN_CGROUP, "join cgroup", WIRE_SLOT)                                                       \
    X(NEW_CGROUP_NAMESPACE, "new cgroup namespace", 0)                                             \
    X(JOIN_NETWORK, "join network", WIRE_SLOT)                                                     \
    X(JOIN_NAMESPACES, "join namespaces", WIRE_SLOT)                                               \
    X(ATTACH_ROOT, "attach root", WIRE_SLOT)                                                       \
    X(MOUNT, "mount", WIRE_PATH | WIRE_TEXT)                                                       \
    X(ATTACH, "attach mount", WIRE_SLOT | WIRE_PATH)                                               \
    X(MASK, "mask", WIRE_PATH)                                                                     \
    X(READ_ONLY, "make read-only", WIRE_PATH)                                                      \
    X(ROOT_READ_ONLY, "make root read-only", 0)                                                    \
    X(MAKE_DIRECTORY, "make directory", WIRE_PATH)                                                 \
    X(MAKE_LINK, "make link", WIRE_PATH | WIRE_TEXT)                                               \
    X(MAKE_NODE, "make node", WIRE_PATH)                                                           \
    X(SYSCTL, "write sysctl", WIRE_PATH | WIRE_TEXT)                                               \
    X(HOSTNAME, "set hostname", WIRE_TEXT)                                                         \
    X(OOM_SCORE, "set oom score", 0)                                                               \
    X(PIVOT, "pivot", 0)                                                                           \
    X(SESSION, "new session", 0)                                                                   \
    X(TERMINAL, "open terminal", 0)                                                                \
    X(STDIO, "set descriptor", 0)                                                                  \
    X(RLIMIT, "limit", WIRE_TEXT)                                                                  \
    X(UMASK, "set umask", 0)                                                                       \
    X(CHDIR, "change directory", WIRE_PATH)                                                        \
    X(ARMED, "report armed", 0)                                                                    \
    X(BOUNDING, "bound capabilities", 0)                                                           \
    X(GROUPS, "set groups", WIRE_DATA)                                                             \
    X(USER, "set user", 0)                                                                         \
    X(CAPABILITIES, "set capabilities", 0)                                                         \
    X(NO_NEW_PRIVILEGES, "no new privileges", 0)                                                   \
    X(SECCOMP, "filter system calls", WIRE_DATA)                                                   \
    X(INIT, "split off init", 0)                                                                   \
    X(EXEC, "execute", WIRE_PATH | WIRE_DATA)

enum setup_op {
#define X(op, name, needs) SETUP_##op,
    SETUP_OPS(X)
#undef X
        SETUP_OP_COUNT,
};

extern const char *const setup_op_names[SETUP_OP_COUNT];

enum wire_needs { WIRE_SLOT = 1, WIRE_PATH = 2, WIRE_TEXT = 4, WIRE_DATA = 8 };

/* number[] per op:
 *   MOUNT            0 MOUNT_ATTR_*, 1 enum setup_flags     path target, text type, options
 *   ATTACH           1 enum setup_flags
 *   MAKE_DIRECTORY   0 mode
 *   MAKE_NODE        0 mode with type, 1 makedev, 2 uid << 32 | gid
 *   JOIN_NAMESPACES  0 CLONE_NEW*
 *   STDIO            0 which of 0, 1, 2; slot -1 = the container's /dev/null
 *   RLIMIT           0 resource, 1 soft, 2 hard
 *   UMASK            0 mask
 *   OOM_SCORE        0 adjustment (as int64_t)
 *   TERMINAL         0 1 = bind it over /dev/console, 1 rows << 16 | columns
 *   ARMED            0 1 = then wait for go
 *   GROUPS           data gid_t[]
 *   BOUNDING, CAPABILITIES  0 the set
 *   USER             0 uid, 1 gid
 *   SECCOMP          data struct sock_filter[]
 *   EXEC             path program as written; data argc strings, then envc strings, each with its
 *                    NUL; 0 argc, 1 envc */
enum setup_flags {
    SETUP_NO_SYMLINKS = 1, /* the target's path may not contain one: /proc, /sys, /dev */
    SETUP_USER_MOUNT = 2,  /* may not land on procfs (CVE-2025-52881) */
};

struct wire_range {
    uint32_t offset, size; /* size 0 = absent; a text's size counts its NUL */
};

struct wire_step {
    uint32_t op;
    int32_t slot; /* index into the descriptors sent along; -1 = none */
    uint64_t number[3];
    struct wire_range path, text, options, data;
};

struct wire_program {
    uint32_t magic, version;
    uint32_t size; /* of everything */
    uint32_t n_steps, n_slots;
    uint32_t reserved;
};

/* May `bytes` be run? Pure. The block must be 8-byte aligned. */
bool wire_check(const void *bytes, size_t size, size_t n_slots);

/* Accessors for a checked program. NULL for an absent text. */
const struct wire_step *wire_step(const struct wire_program *program, uint32_t index);
const char *wire_text(const struct wire_program *program, struct wire_range range);

/* ------------------------------------------------------------------ keeper → zygote */

enum wire_request_kind {
    WIRE_KEEPER, /* payload: argc, envc (two uint32_t), then that many strings: how to start one */
    WIRE_SPAWN,  /* payload: the program, unless WIRE_IN_FD */
    WIRE_EXEC,
    WIRE_GO,
    WIRE_FORGET,
    WIRE_RETIRE,
    WIRE_PING, /* answered by WIRE_ALIVE */
};

/* Which descriptors come before those of the program, in this order. */
enum wire_request_flags {
    WIRE_HAS_CGROUP = 1, /* directory to clone into */
    WIRE_HAS_TARGET = 2, /* pidfd whose pid namespace the exec is born in */
    WIRE_HAS_STDOUT = 4, /* kept for the next keeper */
    WIRE_HAS_STDERR = 8,
    WIRE_IN_FD = 16, /* the program itself */
};

struct wire_request {
    uint32_t kind, flags;
    char id[WIRE_ID_SIZE];
};

/* ------------------------------------------------------------------ zygote → keeper */

enum wire_report_kind {
    WIRE_SPAWNED,
    WIRE_ARMED,
    WIRE_STARTED,
    WIRE_FAILED,
    WIRE_EXITED,
    WIRE_INVENTORY,
    WIRE_INVENTORY_END,
    WIRE_ALIVE, /* no id */
    WIRE_REPORT_KINDS,
};

enum wire_report_fds {
    WIRE_REPORT_PIDFD = 1,
    WIRE_REPORT_TERMINAL = 2,
    WIRE_REPORT_STDOUT = 4,
    WIRE_REPORT_STDERR = 8,
};

struct wire_report {
    uint32_t kind, fds;
    char id[WIRE_ID_SIZE];
    uint32_t is_exec, state; /* enum zygote_state */
    int32_t pid;
    int32_t wait_status;      /* EXITED: as wait4 gives it */
    int32_t errnum;           /* FAILED */
    int32_t exit_code;        /* FAILED */
    char text[WIRE_TEXT_MAX]; /* FAILED: what was tried */
};

/* ------------------------------------------------------------------ child → zygote, before exec */

struct wire_child_report {
    uint32_t kind; /* WIRE_ARMED (with the terminal's master, if any) or WIRE_FAILED */
    int32_t errnum;
    int32_t exit_code;
    char text[WIRE_TEXT_MAX];
};
