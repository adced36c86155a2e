#pragma once

/* Collects what is wrong with the files while they are loaded, and knows where in the tree a walk
 * stands, so that every message can name the path (private to compose/file). */

#include <stdbool.h>
#include <stddef.h>

#include "compose/file/project.h"
#include "engine/base/vec.h"

enum { REPORT_PATH_MAX = 128, REPORT_WARNED_MAX = 2000 };

struct report_step {
    const char *key; /* NULL: an index */
    size_t index;
};

struct report {
    struct arena *arena;
    VEC(struct diagnostic) items;
    VEC(struct source) sources;
    VEC(struct span) silenced;
    size_t n_errors;
    size_t n_warnings;
    size_t n_warned; /* calls, with those that said the same again */
    struct report_step path[REPORT_PATH_MAX];
    size_t depth;
};

#define cleanup_report __attribute__((cleanup(report_release)))
void report_init(struct report *report, struct arena *arena);
void report_release(struct report *report);

/* Takes name and path as they are (arena-owned); returns the index for spans. */
uint32_t report_add_source(struct report *report, const char *name, const char *path,
                           struct str text);
/* How messages call it. */
const char *report_source_name(const struct report *report, uint32_t source);

/* `hint` is NULL or arena-owned. Past DIAGNOSTICS_MAX messages of a kind are counted, not kept.
 * The same warning about the same place is kept once. report_error always returns -1. */
int report_error(struct report *report, struct span span, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void report_warning(struct report *report, struct span span, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* There is an error about the value at `span`: what is said about it from now on is only its
 * consequence, and dropped. */
void report_silence(struct report *report, struct span span);

/* More errors are only counted: what costs time to find out is no longer worth it. */
bool report_is_full(const struct report *report);

/* In place: what a terminal would act on becomes '?', and a message is one line. Files say such
 * things in escapes ("\e]0;…"), so the reader's check of their bytes is not enough. */
void report_make_printable(char *text);

/* The walk's position. */
void report_enter_key(struct report *report, const char *key);
void report_enter_index(struct report *report, size_t index);
void report_leave(struct report *report);
/* "services.web.ports[0]"; arena-owned. */
const char *report_path(const struct report *report);
/* "service \"web\"", "network \"back\"", or "top level"; arena-owned. */
const char *report_subject(const struct report *report);

/* "did you mean …?" for the nearest of `names`, or NULL. Names of NULL are skipped. */
const char *report_did_you_mean(const struct report *report, const char *name,
                                const char *const *names, size_t n_names);

/* What was collected, in the order of the files, copied into the arena. */
struct diagnostics report_finish(struct report *report);
/* "compose.yaml: 3 errors", "compose.yaml:3:4: message" for one. Always returns -1. */
int report_fail(const struct report *report, struct error *err);
