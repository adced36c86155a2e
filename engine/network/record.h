#pragma once

/* Records of networks: state/networks/NAME.json. */

#include "engine/network/network.h"

struct arena;
struct error;

/* Names are parts of file names: refuses everything but [A-Za-z0-9][A-Za-z0-9_.-]{0,199}. `what` is
 * "network" or "container". */
int record_check_name(const char *what, const char *name, struct error *err);

/* Open state/networks, made when needed. */
int record_open_dir(const struct network_dirs *dirs, int *ret_fd, struct error *err);

int record_write(int dir_fd, const struct network_record *record, struct error *err);
/* Returns 0, or 1 if there is none. */
int record_read(struct arena *arena, int dir_fd, const char *name,
                const struct network_record **ret, struct error *err);
int record_list(struct arena *arena, int dir_fd, struct network_records *ret, struct error *err);
int record_remove(int dir_fd, const char *name, struct error *err); /* absent is fine */
