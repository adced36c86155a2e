/* Capabilities: names, and the set a container gets. */

#include "engine/security/security.h"

#include <assert.h>
#include <linux/capability.h>
#include <strings.h>

#include "engine/base/error.h"

/* Index = number in linux/capability.h. */
static const char *const capability_names[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};
static_assert(sizeof(capability_names) / sizeof(*capability_names) == CAPABILITIES, "a name each");
static_assert(CAP_CHECKPOINT_RESTORE == CAPABILITIES - 1, "the last one we know");

const uint64_t capability_default_set =
    CAPABILITY_BIT(CAP_CHOWN) | CAPABILITY_BIT(CAP_DAC_OVERRIDE) | CAPABILITY_BIT(CAP_FSETID) |
    CAPABILITY_BIT(CAP_FOWNER) | CAPABILITY_BIT(CAP_MKNOD) | CAPABILITY_BIT(CAP_NET_RAW) |
    CAPABILITY_BIT(CAP_SETGID) | CAPABILITY_BIT(CAP_SETUID) | CAPABILITY_BIT(CAP_SETFCAP) |
    CAPABILITY_BIT(CAP_SETPCAP) | CAPABILITY_BIT(CAP_NET_BIND_SERVICE) |
    CAPABILITY_BIT(CAP_SYS_CHROOT) | CAPABILITY_BIT(CAP_KILL) | CAPABILITY_BIT(CAP_AUDIT_WRITE);

enum { PREFIX_LENGTH = 4 }; /* "CAP_" */

const char *capability_name(unsigned number)
{
    return number < CAPABILITIES ? capability_names[number] : NULL;
}

static const char *without_prefix(const char *name)
{
    return strncasecmp(name, "CAP_", PREFIX_LENGTH) == 0 ? name + PREFIX_LENGTH : name;
}

/* The known name (without CAP_) that looks most like `upper`, or NULL if none does. */
static const char *nearest_name(const char *upper)
{
    enum { FAR = 5 };
    const char *best = NULL;
    size_t best_distance = FAR;

    for (unsigned i = 0; i < CAPABILITIES; i++) {
        size_t distance = text_distance(upper, capability_names[i] + PREFIX_LENGTH, FAR);

        if (distance < best_distance) {
            best_distance = distance;
            best = capability_names[i] + PREFIX_LENGTH;
        }
    }
    return best;
}

int capability_parse(const char *name, unsigned *ret_number, struct error *err)
{
    enum { NAME_MAX_BYTES = 40 };
    const char *bare = without_prefix(name);
    char upper[NAME_MAX_BYTES] = {0};

    for (unsigned i = 0; i < CAPABILITIES; i++)
        if (strcasecmp(bare, capability_names[i] + PREFIX_LENGTH) == 0) {
            *ret_number = i;
            return 0;
        }

    for (size_t i = 0; i < sizeof(upper) - 1 && bare[i]; i++)
        upper[i] = bare[i] >= 'a' && bare[i] <= 'z' ? (char)(bare[i] - 'a' + 'A') : bare[i];

    const char *nearest = nearest_name(upper);

    if (nearest)
        return error_set(err, ERROR_INVALID, "unknown capability \"%.*s\": did you mean \"%s\"?",
                         NAME_MAX_BYTES, name, nearest);
    return error_set(err, ERROR_INVALID,
                     "unknown capability \"%.*s\": see capabilities(7) for the names",
                     NAME_MAX_BYTES, name);
}

/* "ALL" and "CAP_ALL" stand for every one. */
static int parse_list(const struct strings *list, uint64_t *ret_set, bool *ret_all,
                      struct error *err)
{
    uint64_t set = 0;
    bool all = false;

    for (size_t i = 0; i < list->n; i++) {
        unsigned number;

        if (strcasecmp(without_prefix(list->items[i]), "ALL") == 0) {
            all = true;
            continue;
        }
        if (capability_parse(list->items[i], &number, err) < 0)
            return -1;
        set |= CAPABILITY_BIT(number);
    }
    *ret_set = set;
    *ret_all = all;
    return 0;
}

int capability_set(const struct strings *add, const struct strings *drop, bool privileged,
                   uint64_t *ret_set, struct error *err)
{
    uint64_t added, dropped;
    bool add_all, drop_all;

    if (parse_list(add, &added, &add_all, err) < 0)
        return error_wrap(err, "cap_add");
    if (parse_list(drop, &dropped, &drop_all, err) < 0)
        return error_wrap(err, "cap_drop");

    if (privileged)
        *ret_set = CAPABILITY_ALL_SET;
    else if (add_all)
        *ret_set = CAPABILITY_ALL_SET & ~dropped;
    else if (drop_all)
        *ret_set = added;
    else
        *ret_set = (capability_default_set & ~dropped) | added;
    return 0;
}
