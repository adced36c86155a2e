/* Errors as plain values. */

#include "engine/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Formats may quote the old text, so print beside it and copy over. */
static void error_vset(struct error *err, enum error_code code, int errnum, const char *fmt,
                       va_list args)
{
    char text[ERROR_TEXT_MAX];

    vsnprintf(text, sizeof(text), fmt, args);
    err->code = code;
    err->errnum = errnum;
    memcpy(err->text, text, sizeof(text));
}

static enum error_code code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOENT:
        return ERROR_NOT_FOUND;
    case EEXIST:
        return ERROR_CONFLICT;
    case EACCES:
    case EPERM:
        return ERROR_DENIED;
    case ETIMEDOUT:
        return ERROR_TIMEOUT;
    default:
        return ERROR_SYSTEM;
    }
}

#undef error_set
#undef error_sys
#undef error_wrap

int error_set(struct error *err, enum error_code code, const char *fmt, ...)
{
    va_list args;

    if (!err)
        return -1;

    va_start(args, fmt);
    error_vset(err, code, 0, fmt, args);
    va_end(args);
    return -1;
}

int error_sys(struct error *err, int errnum, const char *fmt, ...)
{
    const char *description = strerrordesc_np(errnum);
    va_list args;
    size_t len;

    if (!err)
        return -1;

    va_start(args, fmt);
    error_vset(err, code_of_errno(errnum), errnum, fmt, args);
    va_end(args);

    len = strlen(err->text);
    snprintf(err->text + len, sizeof(err->text) - len, ": %s (%s)",
             description ? description : "unknown error", errno_name(errnum));
    return -1;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
    char old[ERROR_TEXT_MAX];
    va_list args;
    size_t len;

    if (!err)
        return -1;

    memcpy(old, err->text, sizeof(old));
    va_start(args, fmt);
    error_vset(err, err->code, err->errnum, fmt, args);
    va_end(args);

    len = strlen(err->text);
    snprintf(err->text + len, sizeof(err->text) - len, ": %s", old);
    return -1;
}

void error_gather(struct error *into, const struct error *from)
{
    if (into && into->code == ERROR_NONE)
        *into = *from;
}

const char *errno_name(int errnum)
{
    const char *name = strerrorname_np(errnum);

    return name ? name : "E?";
}

void bug_at(const char *file, int line)
{
    fprintf(stderr, "berth: bug at %s:%d: this state is impossible\n", file, line);
    abort();
}
