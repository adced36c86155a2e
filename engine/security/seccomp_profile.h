#pragma once

/* Which system calls a container may make: Docker's default profile as data. Private to
 * engine/security. */

#include <stddef.h>
#include <stdint.h>

enum {
    SECCOMP_PROFILE_VERSION = 1
}; /* raise when a table changes: it is part of the cache's key */

enum seccomp_arch {
    SECCOMP_ARCH_ANY = 0,
    SECCOMP_ARCH_X86_FAMILY = 1, /* x86_64 with i386 and x32 */
    SECCOMP_ARCH_ARM_FAMILY = 2, /* aarch64 with arm */
};

/* Compares of the low 32 bits: the kernel looks at no more of an int argument. */
struct seccomp_compare {
    unsigned argument;
    uint32_t mask, value; /* (argument & mask) == value */
};

struct seccomp_group {
    const char *calls;  /* names, separated by spaces */
    uint64_t if_any_of; /* capabilities: the group holds if the set has one of them; 0 = always */
    uint64_t unless_any_of;                 /* … and not if it has one of these */
    enum seccomp_arch arch;                 /* only there */
    int errnum;                             /* 0 = allow; else refuse with this errno */
    const struct seccomp_compare *compares; /* any of them must match; NULL = unconditional */
    size_t n_compares;
};

extern const struct seccomp_group seccomp_groups[];
extern const size_t seccomp_n_groups;

/* All capabilities that any group looks at: two sets that agree in these share one filter. */
uint64_t seccomp_relevant_capabilities(void);

/* Numbers of calls that the library may be too old to know. From SECCOMP_FIRST_COMMON_CALL on a
 * number means the same on every architecture. */
struct seccomp_number {
    const char *name;
    int number;
    enum seccomp_arch arch; /* for numbers below SECCOMP_FIRST_COMMON_CALL: only on 64 bits there */
};

extern const struct seccomp_number seccomp_new_calls[]; /* sorted by number; ends with {NULL} */

enum {
    SECCOMP_FIRST_COMMON_CALL = 424,
    /* Calls from here on are newer than the profile: ENOSYS, so that programs try older ones. */
    SECCOMP_FIRST_UNKNOWN_CALL = 467,
};
