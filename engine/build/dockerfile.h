#pragma once

/* Dockerfile text → instructions. Pure: no file is touched, nothing is expanded.
 *
 * Everything is checked for shape here (keyword, flags, number of arguments), so that a typing
 * error in line 80 is told before line 1 runs. What berth does not honour is refused by name. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/str.h"

struct arena;

enum {
    DOCKERFILE_BYTES_MAX = 1 << 20,
    DOCKERFILE_LINES_MAX = 20000,
    DOCKERFILE_LINE_BYTES_MAX = 65535, /* as upstream's line scanner */
    DOCKERFILE_HEREDOCS_MAX = 64,      /* of one instruction */
};

enum instruction_kind {
    INSTRUCTION_ADD,
    INSTRUCTION_ARG,
    INSTRUCTION_CMD,
    INSTRUCTION_COPY,
    INSTRUCTION_ENTRYPOINT,
    INSTRUCTION_ENV,
    INSTRUCTION_EXPOSE,
    INSTRUCTION_FROM,
    INSTRUCTION_HEALTHCHECK,
    INSTRUCTION_LABEL,
    INSTRUCTION_MAINTAINER,
    INSTRUCTION_RUN,
    INSTRUCTION_SHELL,
    INSTRUCTION_STOPSIGNAL,
    INSTRUCTION_USER,
    INSTRUCTION_VOLUME,
    INSTRUCTION_WORKDIR,
    INSTRUCTION_KINDS,
};

extern const char *const instruction_names[INSTRUCTION_KINDS]; /* "ADD", "ARG", … */

struct heredoc {
    const char *name; /* the delimiter, without quotes */
    const char *body; /* ends with a newline unless empty; tabs are gone after <<- */
    bool is_raw;      /* a quoted delimiter: no expansion */
};

struct instruction {
    enum instruction_kind kind;
    uint32_t line;        /* from 1: where it starts */
    struct pairs flags;   /* "--name=value"; NULL value: no '=' */
    const char *text;     /* what follows keyword and flags, continuation lines joined, trimmed */
    bool is_json;         /* exec form: `words` is the decoded array */
    struct strings words; /* JSON array, or words, see the shape of the keyword */
    struct pairs pairs;   /* ENV, LABEL, ARG: quotes still there; ARG: NULL = no default */
    struct heredoc *heredocs; /* RUN, COPY, ADD; in order of appearance */
    size_t n_heredocs;
};

struct dockerfile {
    const char *name;  /* as errors say it */
    struct str *lines; /* physical lines without their ends, for excerpts */
    size_t n_lines;
    char escape;        /* '\\' or '`' */
    const char *syntax; /* of the directive; NULL: none. Has no effect */
    struct instruction *instructions;
    size_t n_instructions;
};

/* The result borrows `text`, which must outlive it. ERROR_INVALID or ERROR_UNSUPPORTED as
 * dockerfile_error makes them. */
int dockerfile_parse(struct arena *arena, const char *name, struct str text, struct dockerfile *ret,
                     struct error *err);

/* "Dockerfile:12: fmt" and the source line below it. Always returns -1. */
int dockerfile_error(const struct dockerfile *file, uint32_t line, struct error *err,
                     enum error_code code, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Prefix "Dockerfile:12: " to *err and show the line below, unless it has a position. Returns -1.
 */
int dockerfile_error_wrap(const struct dockerfile *file, uint32_t line, struct error *err);

/* Value of a flag; NULL when absent. */
const char *instruction_flag(const struct instruction *instruction, const char *name);
