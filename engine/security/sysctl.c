/* Which kernel parameters a container may set: those of its own namespaces.
 *
 * Names are checked as paths, not as text: "net.ipv4../../kernel/core_pattern" must not pass for a
 * net parameter, nor a value with a newline for one line (CVE-2022-0811). */

#include "engine/security/security.h"

#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"

enum { NAME_MAX_BYTES = 200, VALUE_MAX_BYTES = 4000 };

/* As paths. A name that ends with '/' stands for all below it. */
static const char *const private_sysctls[] = {
    "kernel/domainname",
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
    "fs/mqueue/",
    NULL,
};

const struct sysctl_default sysctl_net_defaults[] = {
    {"net.ipv4.ip_unprivileged_port_start", "0"},
    {"net.ipv4.ping_group_range", "0 2147483647"},
    {NULL, NULL},
};

void sysctl_path(struct buf *out, const char *name)
{
    const char *first = strpbrk(name, "./");
    bool has_slashes = first && *first == '/';

    for (const char *c = name; *c; c++)
        buf_add_char(out, *c == '.' && !has_slashes ? '/' : *c);
}

/* Every component has letters in it and none is "." or "..". */
static bool is_clean_path(const char *path)
{
    size_t component = 0; /* characters that are not dots */
    bool starts = true;

    for (const char *c = path;; c++) {
        if (*c == '/' || *c == '\0') {
            if (starts || component == 0)
                return false;
            if (*c == '\0')
                return true;
            component = 0;
            starts = true;
            continue;
        }
        bool is_plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                        (*c >= '0' && *c <= '9') || *c == '_' || *c == '-' || *c == ':' ||
                        *c == '@';

        if (!is_plain && *c != '.')
            return false;
        component += is_plain;
        starts = false;
    }
}

static bool is_private(const char *path)
{
    for (const char *const *known = private_sysctls; *known; known++)
        if (text_equal(path, *known) ||
            (text_ends_with(*known, "/") && text_starts_with(path, *known)))
            return true;
    return false;
}

int sysctl_check(const char *name, const char *value, bool has_private_net, struct error *err)
{
    cleanup_buf struct buf path = BUF_INIT;

    if (strlen(name) > NAME_MAX_BYTES)
        return error_set(err, ERROR_INVALID, "sysctl name \"%.40s…\" is too long", name);
    sysctl_path(&path, name);
    if (!is_clean_path(buf_text(&path)))
        return error_set(err, ERROR_INVALID,
                         "sysctl \"%s\" isn't a name of the form net.ipv4.ip_forward", name);

    if (!value || strlen(value) > VALUE_MAX_BYTES || strpbrk(value, "\n\r"))
        return error_set(err, ERROR_INVALID, "the value of sysctl \"%s\" must be one line", name);

    if (is_private(buf_text(&path)))
        return 0;
    if (text_equal(buf_text(&path), "kernel/hostname"))
        return error_set(err, ERROR_UNSUPPORTED,
                         "sysctl \"%s\" can't be set: use the hostname key instead", name);
    if (text_starts_with(buf_text(&path), "net/")) {
        if (has_private_net)
            return 0;
        return error_set(err, ERROR_DENIED,
                         "sysctl \"%s\" would change the host: not with network_mode \"host\"",
                         name);
    }
    return error_set(err, ERROR_DENIED,
                     "sysctl \"%s\" isn't the container's own: it would change the whole host",
                     name);
}
