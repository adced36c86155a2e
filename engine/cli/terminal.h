#pragma once

/* The terminal: its size, and raw mode for exec and attach. */

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct error;

struct terminal_size {
    size_t columns;
    size_t rows;
};

bool terminal_is_tty(int fd);
bool terminal_get_size(int fd, struct terminal_size *ret); /* false if fd is no terminal */
int terminal_set_size(int fd, struct terminal_size size, struct error *err);

/* A terminal in raw mode, and what it was before. */
struct terminal_raw {
    int fd; /* borrowed; -1 = not in raw mode */
    struct termios before;
};
#define TERMINAL_RAW_INIT                                                                          \
    {                                                                                              \
        .fd = -1                                                                                   \
    }
#define cleanup_terminal_raw __attribute__((cleanup(terminal_raw_leave)))

/* Every key goes to the program inside: no echo, no ^C here. */
int terminal_raw_enter(int fd, struct terminal_raw *raw, struct error *err);
void terminal_raw_leave(struct terminal_raw *raw); /* idempotent; async-signal-safe */
