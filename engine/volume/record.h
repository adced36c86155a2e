#pragma once

/* What the files of the room share. Private to engine/volume. */

struct error;

#define VOLUME_DATA "data"

/* The volume's own directory. ERROR_NOT_FOUND: no such volume. */
int volume_open(int state_fd, const char *name, int *ret_fd, struct error *err);

/* A copy of image content that a kill interrupted while it was moved in: move the rest. */
int volume_finish_fill(int volume_fd, struct error *err);
