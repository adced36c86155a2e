#pragma once

/* System calls that glibc 2.36 has no wrapper for, and descriptors over sockets. */

#include <linux/openat2.h>
#include <linux/sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

int sys_openat2(int dirfd, const char *path, const struct open_how *how); /* -1 with errno */
pid_t sys_clone3(const struct clone_args *args);                          /* as fork(2) */

enum { SYS_FDS_MAX = 250 }; /* SCM_MAX_FD is 253 */

/* One SOCK_SEQPACKET/SOCK_DGRAM message with descriptors (borrowed). MSG_NOSIGNAL. -1 with errno.
 */
ssize_t sys_send_fds(int socket, const void *data, size_t len, const int *fds, size_t n_fds);
/* Receives at most `len` bytes and `*n_fds` descriptors (MSG_CMSG_CLOEXEC; the caller owns them).
 * Returns bytes, 0 at end, -1 with errno (EMSGSIZE if data or descriptors were cut; none are
 * leaked). */
ssize_t sys_receive_fds(int socket, void *data, size_t len, int *ret_fds, size_t *n_fds);

/* Value of field 22 of /proc/PID/stat: start time in ticks; 0 if the process has ended (is gone,
 * or a zombie). */
uint64_t sys_process_start_ticks(pid_t pid);

/* This boot's id (36 characters), cached nowhere: one read. */
int sys_boot_id(char ret_id[static 37], struct error *err);

/* Name shown by ps: rewrites the argv area and PR_SET_NAME. Call from main with its argv. */
void sys_set_process_title(int argc, char **argv, const char *title);
