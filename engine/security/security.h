#pragma once

/* What a container may do: capabilities, system call filter, hidden paths, devices, sysctls,
 * resource limits. Docker's defaults, because images depend on them.
 *
 * Tables and pure functions, except the cache of compiled filters (seccomp_filter_*). The tables
 * are in constant memory; arrays of text end with NULL. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/base/str.h"

struct buf;
struct error;

/* ------------------------------------------------------------------ capabilities */

/* A set of capabilities is a uint64_t with bit N for capability number N (linux/capability.h). */
#define CAPABILITY_BIT(number) (UINT64_C(1) << (number))

enum { CAPABILITIES = 41 }; /* CAP_CHOWN … CAP_CHECKPOINT_RESTORE */

#define CAPABILITY_ALL_SET ((UINT64_C(1) << CAPABILITIES) - 1)

/* The 14 that Docker leaves to a container. */
extern const uint64_t capability_default_set;

/* "CAP_CHOWN" for 0; NULL past the end. */
const char *capability_name(unsigned number);

/* "CHOWN", "cap_chown", "CAP_CHOWN" … give 0. Unknown: ERROR_INVALID that names the nearest one. */
int capability_parse(const char *name, unsigned *ret_number, struct error *err);

/* The bounding set of a container. privileged: all. "ALL" in `add`: all but `drop`. "ALL" in
 * `drop`: exactly `add`. Else the default less `drop` plus `add`. Capabilities that a running
 * kernel doesn't know are harmless here: whoever drops the others loops to cap_last_cap. */
int capability_set(const struct strings *add, const struct strings *drop, bool privileged,
                   uint64_t *ret_set, struct error *err);

/* ------------------------------------------------------------------ system call filter
 * A program is an array of struct sock_filter (linux/filter.h), ready for seccomp(2)
 * SECCOMP_SET_MODE_FILTER; the bytes are in ret_program->data. It depends on the bounding set only
 * by the capabilities that the profile mentions. privileged and seccomp=unconfined: no filter,
 * don't call these.
 *
 * Kept in run_fd/seccomp/KEY.bpf; KEY says profile version, library version, kernel class,
 * architecture and capability class, so a stale file is never read. */

/* From the cache only (the keeper): 0; or 1 when nobody has compiled it yet. */
int seccomp_filter_read(int run_fd, uint64_t bounding_set, struct buf *ret_program,
                        struct error *err);

/* From the cache, else compiled by libseccomp (some ms) and stored. The CLI calls this before it
 * asks the keeper to start anything. `ret_program` may be NULL: only see that it is there. */
int seccomp_filter_get(int run_fd, uint64_t bounding_set, struct buf *ret_program,
                       struct error *err);

/* ------------------------------------------------------------------ paths */

/* Hidden from the container: a directory gets an empty read-only directory over it, a file gets
 * /dev/null. Absent ones are skipped. The "*" in thermal_throttle's line stands for every number.
 */
extern const char *const security_masked_paths[];
/* Bound onto themselves read-only. */
extern const char *const security_readonly_paths[];

/* ------------------------------------------------------------------ devices */

struct device_node {
    const char *name; /* below /dev */
    mode_t mode;      /* S_IFCHR | 0666 */
    unsigned major, minor;
};

extern const struct device_node security_device_nodes[];
extern const size_t security_n_device_nodes; /* 6 */

enum { DEVICE_READ = 1, DEVICE_WRITE = 2, DEVICE_MKNOD = 4, DEVICE_ALL = 7 };
enum { DEVICE_ANY_NUMBER = -1 };

/* What may be done with devices. All else is denied. */
struct device_rule {
    char type;            /* 'c', 'b'; 'a' = both */
    int64_t major, minor; /* DEVICE_ANY_NUMBER = every */
    unsigned access;      /* DEVICE_READ | … */
};

extern const struct device_rule security_device_rules[];
extern const size_t security_n_device_rules;

/* "c 10:200 rwm", "b *:* r", as Compose's device_cgroup_rules. */
int device_rule_parse(const char *text, struct device_rule *ret, struct error *err);
/* The same form back, without a newline. */
void device_rule_print(struct buf *out, const struct device_rule *rule);

/* ------------------------------------------------------------------ sysctls */

/* May a container set this sysctl? Only those that belong to a namespace it has for itself:
 * kernel.{msg*,sem,shm*,domainname}, fs.mqueue.*, and net.* if has_private_net. The value must be
 * one line. ERROR_DENIED / ERROR_INVALID / ERROR_UNSUPPORTED tell why not. */
int sysctl_check(const char *name, const char *value, bool has_private_net, struct error *err);

/* Path below /proc/sys: "net.ipv4.ip_forward" → "net/ipv4/ip_forward"; as sysctl(8), a name whose
 * first separator is '/' keeps its dots: "net/ipv4/conf/eth0.1/forwarding". Only for names that
 * passed sysctl_check. */
void sysctl_path(struct buf *out, const char *name);

struct sysctl_default {
    const char *name, *value;
};

/* Written when the network namespace is private, before those of the spec. Ends with {NULL}. */
extern const struct sysctl_default sysctl_net_defaults[];

/* ------------------------------------------------------------------ ulimits */

struct ulimit_name {
    const char *name; /* "nofile" */
    int resource;     /* RLIMIT_NOFILE */
};

extern const struct ulimit_name ulimit_names[]; /* sorted by name; ends with {NULL} */

/* RLIMIT_* for a name; ERROR_INVALID that lists the known ones. */
int ulimit_parse(const char *name, int *ret_resource, struct error *err);
