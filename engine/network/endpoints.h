#pragma once

/* Endpoint files: run/networks/NETWORK/endpoints/IP_ID.json, or IP+ID.json while the endpoint is
 * running. The name of the file says which address is whose, so allocation and look-up read the
 * directory only, and starting and stopping are renames (writing over a file costs a flush where
 * run is not a tmpfs: 2 ms on ext4). */

#include "engine/network/network.h"

struct arena;
struct error;

/* A network's run directory, open. */
struct endpoint_dir {
    int fd;      /* run/networks/NETWORK/endpoints; -1: not open */
    int lock_fd; /* -1: not locked */
};

#define ENDPOINT_DIR_INIT                                                                          \
    {                                                                                              \
        -1, -1                                                                                     \
    }
#define cleanup_endpoint_dir __attribute__((cleanup(endpoint_dir_close)))
void endpoint_dir_close(struct endpoint_dir *dir);

int endpoint_dir_make(int run_fd, const char *network, struct error *err);
/* Returns 0, or 1 if the network has none (it isn't up). */
int endpoint_dir_open(int run_fd, const char *network, struct endpoint_dir *ret, struct error *err);
/* The same, holding the lock: nobody else attaches, changes or removes. */
int endpoint_dir_lock(int run_fd, const char *network, struct endpoint_dir *ret, struct error *err);
int endpoint_dir_remove(int run_fd, const char *network, struct error *err); /* absent is fine */

/* What file names tell. Borrows from the arena. */
struct endpoint_name {
    uint32_t address;
    const char *container;
    bool is_running;
};
struct endpoint_names {
    struct endpoint_name *items; /* sorted by address */
    size_t n;
};
int endpoint_list_names(struct arena *arena, const struct endpoint_dir *dir,
                        struct endpoint_names *ret, struct error *err);
/* By file name, as inotify tells it: false if it is none. `container` points into `file`'s copy in
 * the arena. */
bool endpoint_name_parse(struct arena *arena, const char *file, struct endpoint_name *ret);

int endpoint_write(const struct endpoint_dir *dir, const struct network_endpoint *endpoint,
                   struct error *err);
/* Returns 0, or 1 if it is gone. */
int endpoint_read(struct arena *arena, const struct endpoint_dir *dir,
                  const struct endpoint_name *name, struct network_endpoint *ret,
                  struct error *err);
/* By container. Returns 0, or 1 if it isn't attached. */
int endpoint_find(struct arena *arena, const struct endpoint_dir *dir, const char *container,
                  struct network_endpoint *ret, struct error *err);
/* Rename; updates *endpoint. */
int endpoint_set_running(const struct endpoint_dir *dir, struct network_endpoint *endpoint,
                         bool is_running, struct error *err);
int endpoint_remove(const struct endpoint_dir *dir, const struct network_endpoint *endpoint,
                    struct error *err); /* absent is fine */
