/* Resource limits by their names in Compose files. */

#include "engine/security/security.h"

#include <sys/resource.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

const struct ulimit_name ulimit_names[] = {
    {"as", RLIMIT_AS},
    {"core", RLIMIT_CORE},
    {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},
    {"fsize", RLIMIT_FSIZE},
    {"locks", RLIMIT_LOCKS},
    {"memlock", RLIMIT_MEMLOCK},
    {"msgqueue", RLIMIT_MSGQUEUE},
    {"nice", RLIMIT_NICE},
    {"nofile", RLIMIT_NOFILE},
    {"nproc", RLIMIT_NPROC},
    {"rss", RLIMIT_RSS},
    {"rtprio", RLIMIT_RTPRIO},
    {"rttime", RLIMIT_RTTIME},
    {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
    {NULL, -1},
};

int ulimit_parse(const char *name, int *ret_resource, struct error *err)
{
    cleanup_buf struct buf known = BUF_INIT;

    for (const struct ulimit_name *entry = ulimit_names; entry->name; entry++) {
        if (text_equal(name, entry->name)) {
            *ret_resource = entry->resource;
            return 0;
        }
        buf_printf(&known, "%s%s", known.len ? ", " : "", entry->name);
    }
    return error_set(err, ERROR_INVALID, "unknown ulimit \"%.40s\" (known: %s)", name,
                     buf_text(&known));
}
