#pragma once

/* Tests in C, printed as TAP and run by prove.
 *
 *     TEST(second_up_plans_nothing)
 *     {
 *         struct error err = ERROR_INIT;
 *
 *         CHECK_OK(plan(&want, &plan, &err), &err);
 *         CHECK_TEXT(plan_text(&plan), "");
 *     }
 *
 * A name is a sentence that states the behaviour. Every test runs in a process of its own, with a
 * time limit (30 s, TAP_TIMEOUT= sets another) and its stdout sent to stderr. The first failed
 * CHECK ends the test. `--list` prints the tests, `--only PART` runs those whose name has PART in
 * it. */

#include <stdbool.h>
#include <string.h>

#include "engine/base/error.h"

struct tap_test {
    const char *name;
    void (*run)(void);
    struct tap_test *next;
};

void tap_register(struct tap_test *test);

#define TEST(id)                                                                                   \
    static void id(void);                                                                          \
    __attribute__((constructor)) static void tap_register_##id(void)                               \
    {                                                                                              \
        static struct tap_test test = {#id, id, NULL};                                             \
        tap_register(&test);                                                                       \
    }                                                                                              \
    static void id(void)

struct tap_place {
    const char *file;
    int line;
};
#define TAP_HERE ((struct tap_place){__FILE__, __LINE__})

/* Prints "# file:line: text" and ends the test. */
_Noreturn void tap_fail(struct tap_place place, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
_Noreturn void tap_skip(const char *reason);

void tap_check_int(struct tap_place place, const char *what, long long got, long long want);
void tap_check_text(struct tap_place place, const char *what, const char *got, const char *want);
void tap_check_contains(struct tap_place place, const char *what, const char *got,
                        const char *part);
void tap_check_ok(struct tap_place place, const char *what, int result, const struct error *err);
void tap_check_fails(struct tap_place place, const char *what, int result, const struct error *err,
                     enum error_code code, const char *part);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            tap_fail(TAP_HERE, "%s", #condition);                                                  \
    } while (0)
#define CHECK_INT(got, want)  tap_check_int(TAP_HERE, #got, (long long)(got), (long long)(want))
#define CHECK_TEXT(got, want) tap_check_text(TAP_HERE, #got, (got), (want))
/* `part` occurs in `got` */
#define CHECK_CONTAINS(got, part) tap_check_contains(TAP_HERE, #got, (got), (part))
/* The call returns 0; else err->text is printed. */
#define CHECK_OK(call, err) tap_check_ok(TAP_HERE, #call, (call), (err))
/* The call returns a negative number and sets `err` (a struct error in scope) to this code and a
 * text that has `part` in it. */
#define CHECK_FAILS(call, code, part) tap_check_fails(TAP_HERE, #call, (call), &err, (code), (part))

/* Not possible here: counts as skipped, or as failed under STRICT=1. */
#define SKIP(reason) tap_skip(reason)

/* A directory of the test's own below TMPDIR, removed by the runner when the test ends. Borrowed
 * text. */
const char *tap_temp_dir(void);
