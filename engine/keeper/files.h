#pragma once

/* Names in run/projects/PROJECT that keeper and clients share. */

#include <sys/types.h>

#include "engine/base/fs.h"

struct error;
struct sockaddr_un;

#define KEEPER_SOCKET      "keeper.sock"
#define KEEPER_LOCK_FILE   "keeper.lock"   /* held by who starts a keeper, and by one that ends */
#define KEEPER_ALIVE_FILE  "keeper.alive"  /* flock-ed by the keeper; "PID START_TICKS" of it */
#define KEEPER_ZYGOTE_FILE "keeper.zygote" /* "PID START_TICKS" of who restarts the keeper */

/* The address of a socket in a directory, by descriptor: the path may be longer than an address
 * takes. */
void keeper_address(int dir_fd, const char *name, struct sockaddr_un *ret);

/* The process that one of these names by "PID START_TICKS"; 0 when it has ended. */
pid_t keeper_living_process(int dir_fd, const char *file);

/* 0; 1 when it is held (FS_LOCK_TRY). Closing *ret_fd unlocks. */
int keeper_lock(int dir_fd, enum fs_lock how, int *ret_fd, struct error *err);
