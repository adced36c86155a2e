#pragma once

/* The keeper: one supervisor process per project. Main header of the folder.
 *
 * It runs while a container of the project lives or a client is connected, and ends by itself.
 * Started by the first client that needs it (keeper_connect), or by the zygote when its predecessor
 * was killed. See protocol.h for what clients say to it. */

#include <stdbool.h>

struct error;

/* Where things are. Roots are absolute; fds are borrowed. */
struct keeper_place {
    const char *state_root, *run_root;
    int state_fd, run_fd;
    const char *project;
};

/* Connect to the project's keeper and hear its greeting. When none runs: starts one (start), or
 * returns 1. The caller owns *ret_fd. */
int keeper_connect(const struct keeper_place *place, bool start, int *ret_fd, struct error *err);

/* Is there a keeper, or a zygote that is about to start one? Reads only. */
bool keeper_is_alive(int run_fd, const char *project);

/* Remove run/projects/PROJECT, unless a keeper is in it: it has the locks. */
int keeper_forget(int run_fd, const char *project, struct error *err);

/* `berth internal keeper PROJECT STATE_ROOT RUN_ROOT --ready|--adopt [PATIENCE_MS]`; the descriptor
 * of either option is 3. PATIENCE_MS: how long a zygote may take to answer. argv begins with the
 * program's name; `words` are the arguments behind "keeper". Returns an exit code. */
int keeper_main(int argc, char **argv, int n_words, char **words);
