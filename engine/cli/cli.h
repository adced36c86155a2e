#pragma once

/* The command line: every verb and every flag is a row of a table, and everything else is printed
 * from the tables: help, "did you mean", completions, man pages. So they can't disagree.
 *
 *     struct up_options { bool detach; int64_t timeout_s; struct strings scale; };
 *     static const struct up_options up_defaults = {.timeout_s = 10};
 *     static const struct cli_option up_flags[] = {
 *         {"detach", 'd', CLI_FLAG, offsetof(struct up_options, detach), NULL, "return when …"},
 *         {"timeout", 't', CLI_INT, offsetof(struct up_options, timeout_s), "SECONDS", "…"},
 *         {"scale", 0, CLI_LIST, offsetof(struct up_options, scale), "SERVICE=N", "…"},
 *         CLI_OPTIONS_END,
 *     };
 *     const struct cli_verb up_verb = {
 *         .name = "up", .summary = "create and start what compose.yaml says",
 *         .arguments = "[SERVICE...]", .max_args = CLI_ANY_NUMBER, .options = up_flags,
 *         .options_size = sizeof(struct up_options), .defaults = &up_defaults, .run = up_run,
 *     };
 *
 * Syntax: --name VALUE, --name=VALUE, --flag=false, -abc, -fVALUE, -f=VALUE, -- ends the options.
 * Options may stand between the arguments, unless the verb has CLI_STOP_AT_ARGUMENT (exec SERVICE
 * COMMAND -x). The root's options are global: they are taken before, between and behind verbs,
 * where the verb has none of the same name. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/str.h"

struct arena;
struct buf;
struct error;

enum cli_kind {
    CLI_FLAG,     /* bool; --x, --x=true, --x=false */
    CLI_COUNT,    /* int; how often it was given: -vvv */
    CLI_TEXT,     /* const char *; borrowed from argv */
    CLI_LIST,     /* struct strings; may be given again and again */
    CLI_INT,      /* int64_t; >= 0 unless CLI_NEGATIVE is set */
    CLI_DURATION, /* int64_t, nanoseconds; "1m30s" */
    CLI_SECONDS,  /* int64_t, nanoseconds; a bare number means seconds: "10", "1m30s" */
    CLI_BYTES,    /* uint64_t; "64m" */
    CLI_CHOICE,   /* int (or an enum); index into `choices` */
};

enum cli_option_flags {
    CLI_OPTION_HIDDEN = 1, /* works, but is not in help and completions */
    CLI_NEGATIVE = 2,      /* CLI_INT: negative numbers are fine */
};

struct cli_option {
    const char *name; /* without "--"; NULL ends the table */
    char letter;      /* 'd' for -d; 0 = none */
    enum cli_kind kind;
    size_t offset;              /* of the field in the verb's options */
    const char *value_name;     /* "SECONDS"; NULL for flags; FILE and DIR complete as such */
    const char *help;           /* lower case, no full stop */
    const char *const *choices; /* CLI_CHOICE: NULL-terminated */
    unsigned flags;             /* enum cli_option_flags */
};
#define CLI_OPTIONS_END                                                                            \
    {                                                                                              \
        .name = NULL                                                                               \
    }

struct cli_context;

enum { CLI_ANY_NUMBER = -1 };

enum cli_verb_flags {
    CLI_STOP_AT_ARGUMENT = 1, /* what follows the first argument are arguments, whatever it is */
    CLI_VERB_HIDDEN = 2,      /* works, but is not in help and completions */
};

struct cli_verb {
    const char *name;                 /* NULL ends a table of verbs */
    const char *aliases;              /* "list,dir", or NULL */
    const char *heading;              /* help: starts a new section of the list; NULL = as before */
    const char *summary;              /* one line, lower case, no full stop */
    const char *arguments;            /* "SERVICE COMMAND [ARG...]", "" or NULL: none */
    const char *description;          /* paragraphs, separated by empty lines; or NULL */
    const char *examples;             /* lines, printed as they are; or NULL */
    const struct cli_option *options; /* or NULL */
    size_t options_size;              /* of the struct that the options fill */
    const void *defaults;             /* of that size; NULL = all zero */
    int min_args, max_args;           /* max_args may be CLI_ANY_NUMBER */
    unsigned flags;                   /* enum cli_verb_flags */

    /* Returns the exit code, or -1 with *err. @options as filled, @args NULL-terminated in
     * args->items[args->n]; both live as long as the call. */
    int (*run)(struct cli_context *context, const void *options, const struct strings *args,
               struct error *err);
    const struct cli_verb *verbs;          /* a group: its verbs; then `run` is NULL */
    const struct cli_verb *const *members; /* the same as pointers, NULL-terminated; one of both */
};

/* What a verb may know about the world around the process. */
struct cli_context {
    const struct cli_verb *root;
    const void *globals; /* the root's options */
    const char *path;    /* "berth image ls" */
    bool stdout_is_tty;
    bool stderr_is_tty;
    bool stdout_colour; /* wanted: a terminal or CLICOLOR_FORCE, and no NO_COLOR */
    bool stderr_colour;
    size_t columns; /* of the terminal; 80 without one */
    void *user;     /* main's own */

    /* Called when the globals are known, before the verb; or NULL. */
    void (*on_globals)(struct cli_context *context);
};

/* The one place where the environment is asked about colours and width. */
void cli_context_init(struct cli_context *context, const struct cli_verb *root);

/* main: parse, then help, or the verb. Prints errors to stderr. Returns the exit code. */
int cli_run(struct cli_context *context, int argc, char **argv);

/* 2 for usage errors and invalid projects, 130 for cancelled, else 1. */
int cli_exit_code(const struct error *err);

/* The i-th verb of a group, whichever of the two tables it has; NULL behind the last. */
const struct cli_verb *cli_verb_at(const struct cli_verb *group, size_t i);
bool cli_is_group(const struct cli_verb *verb);
