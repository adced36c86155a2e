#pragma once

/* Errors as plain values: what was tried, what went wrong, in one line (style S6).
 *
 * 0 = done; negative = failed and *err says why; positive = an outcome the function's header names.
 * `err` may be NULL where the caller does not care. Text: lower case, no full stop, quoted names.
 */

#include <stdbool.h>
#include <stddef.h>

enum error_code {
    ERROR_NONE,
    ERROR_USAGE,   /* the command line is wrong: exit 2 */
    ERROR_INVALID, /* a file or a value from outside is wrong: exit 2 for project files */
    ERROR_NOT_FOUND,
    ERROR_CONFLICT, /* exists already, or is in use */
    ERROR_CYCLE,
    ERROR_DENIED,
    ERROR_UNSUPPORTED, /* valid, but we don't do it: say what to do instead */
    ERROR_TIMEOUT,
    ERROR_CANCELLED,
    ERROR_REMOTE, /* a registry or another program answered with a failure */
    ERROR_SYSTEM, /* the kernel said no: errnum tells */
};

enum { ERROR_TEXT_MAX = 1000 };

struct error {
    enum error_code code;
    int errnum; /* 0, or the errno behind it */
    char text[ERROR_TEXT_MAX];
};

#define ERROR_INIT                                                                                 \
    {                                                                                              \
        0                                                                                          \
    }

/* Replace *err. Always returns -1. */
int error_set(struct error *err, enum error_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Replace *err with "fmt: No such file or directory (ENOENT)". Code is derived: ENOENT → NOT_FOUND,
 * EEXIST → CONFLICT, EACCES/EPERM → DENIED, ETIMEDOUT → TIMEOUT, else SYSTEM. Always returns -1. */
int error_sys(struct error *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Prefix "fmt: " to the text; code and errnum stay. Always returns -1. */
int error_wrap(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The compiler can't see that these return -1 and would warn about outputs "maybe uninitialized"
 * after `if (x(&out, err) < 0)`: let it see. */
__attribute__((always_inline)) static inline int error_failed(void)
{
    return -1;
}
#define error_set(...)  (error_set(__VA_ARGS__), error_failed())
#define error_sys(...)  (error_sys(__VA_ARGS__), error_failed())
#define error_wrap(...) (error_wrap(__VA_ARGS__), error_failed())

/* Keep the first of several errors: copies `from` into `into` if `into` is still ERROR_NONE. */
void error_gather(struct error *into, const struct error *from);

/* "ENOENT" for ENOENT, "E?" if the C library doesn't know it. Static storage. */
const char *errno_name(int errnum);

/* An impossible state: prints file:line and aborts. */
#define BUG() bug_at(__FILE__, __LINE__)
_Noreturn void bug_at(const char *file, int line);
