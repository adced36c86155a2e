#pragma once

/* Copy what is in a directory, with everything that makes a file what it is. Private to
 * engine/volume. */

struct error;

/* Copy the content of source_fd into the empty directory target_fd, then give target_fd the
 * source's own owner, mode, attributes and times. Content: files (holes stay holes), directories,
 * symlinks as they are, hard links among the files copied, devices, fifos, sockets; overlay
 * whiteouts are left out. Never follows a symlink. */
int copy_tree(int source_fd, int target_fd, struct error *err);

/* Only owner, mode, attributes; and times if with_times. */
enum copy_times { COPY_TIMES, KEEP_TIMES };
int copy_attributes(int source_fd, int target_fd, enum copy_times times, struct error *err);
