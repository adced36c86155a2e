#pragma once

/* What the worker's processes give up before they look at bytes from outside. */

#include <sys/types.h>

struct error;

/* The worker itself: keeps only the capabilities its children and the store need. */
int sandbox_enter_worker(struct error *err);
/* Unpacks an archive below tree_fd: chroot into it, owner and permission capabilities only, no
 * sockets, no programs, no code that was not mapped before, only harmless device nodes. Call
 * before making threads. */
int sandbox_enter_unpack(int tree_fd, struct error *err);
/* Talks to registries: nobody, no capabilities, no programs. */
int sandbox_enter_fetch(struct error *err);
