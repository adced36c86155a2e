/* engine/base/error.h */

#include <errno.h>

#include "tests/tap.h"

TEST(set_returns_failure_and_keeps_code_and_text)
{
    struct error err = ERROR_INIT;

    CHECK_INT(error_set(&err, ERROR_CONFLICT, "volume \"%s\" exists", "data"), -1);
    CHECK_INT(err.code, ERROR_CONFLICT);
    CHECK_TEXT(err.text, "volume \"data\" exists");
}

TEST(system_errors_say_what_the_kernel_said)
{
    struct error err = ERROR_INIT;

    CHECK_INT(error_sys(&err, EPERM, "mount \"%s\"", "proc"), -1);
    CHECK_TEXT(err.text, "mount \"proc\": Operation not permitted (EPERM)");
    CHECK_INT(err.errnum, EPERM);
    CHECK_INT(err.code, ERROR_DENIED);
}

TEST(system_errors_derive_their_code)
{
    static const struct {
        int errnum;
        enum error_code code;
    } cases[] = {{ENOENT, ERROR_NOT_FOUND},
                 {EEXIST, ERROR_CONFLICT},
                 {EACCES, ERROR_DENIED},
                 {ETIMEDOUT, ERROR_TIMEOUT},
                 {EIO, ERROR_SYSTEM}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = ERROR_INIT;

        error_sys(&err, cases[i].errnum, "x");
        CHECK_INT(err.code, cases[i].code);
    }
}

TEST(an_unknown_errno_still_prints)
{
    struct error err = ERROR_INIT;

    error_sys(&err, 9999, "x");
    CHECK_TEXT(err.text, "x: unknown error (E?)");
}

TEST(wrap_puts_context_in_front_and_keeps_the_rest)
{
    struct error err = ERROR_INIT;

    error_sys(&err, EEXIST, "mkdir");
    CHECK_INT(error_wrap(&err, "start \"%s\"", "web"), -1);
    CHECK_TEXT(err.text, "start \"web\": mkdir: File exists (EEXIST)");
    CHECK_INT(err.code, ERROR_CONFLICT);
    CHECK_INT(err.errnum, EEXIST);
}

TEST(a_text_may_quote_the_one_it_replaces)
{
    struct error err = ERROR_INIT;

    error_set(&err, ERROR_INVALID, "inner");
    error_set(&err, ERROR_USAGE, "outer: %s", err.text);
    CHECK_TEXT(err.text, "outer: inner");
}

TEST(long_texts_are_cut_not_overrun)
{
    struct error err = ERROR_INIT;

    error_set(&err, ERROR_INVALID, "%02000d", 1);
    error_wrap(&err, "%02000d", 1);
    CHECK_INT(strlen(err.text), ERROR_TEXT_MAX - 1);
}

TEST(a_caller_who_does_not_care_passes_null)
{
    CHECK_INT(error_set(NULL, ERROR_INVALID, "x"), -1);
    CHECK_INT(error_sys(NULL, EIO, "x"), -1);
    CHECK_INT(error_wrap(NULL, "x"), -1);
}

TEST(gather_keeps_the_first)
{
    struct error all = ERROR_INIT, one = ERROR_INIT, two = ERROR_INIT;

    error_set(&one, ERROR_INVALID, "one");
    error_set(&two, ERROR_INVALID, "two");
    error_gather(&all, &one);
    error_gather(&all, &two);
    CHECK_TEXT(all.text, "one");
}
