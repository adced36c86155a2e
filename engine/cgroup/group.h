#pragma once

/* Directories and files of control groups: the little that the other files share. Private to
 * engine/cgroup. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/str.h"
#include "engine/cgroup/cgroup.h"

struct arena;
struct buf;
struct error;

#define CGROUP_TOP    "berth"
#define CGROUP_KEEPER ".keeper"

enum { CGROUP_DIRECTORY_MODE = 0755 };

/* The hierarchies in use, each once: v2 first, then v1's (cpu and cpuacct may be one). */
struct hierarchy {
    const char *root;
    bool is_v2;
    enum cgroup_controller controller; /* v1: the first one mounted there */
};

struct hierarchies {
    struct hierarchy items[CGROUP_CONTROLLERS + 1];
    size_t n;
};

struct hierarchies hierarchies_of(const struct cgroup_layout *layout);

/* Where processes are listed and signalled: v2, else the freezer, else whatever there is. */
struct hierarchy lifecycle_hierarchy(const struct cgroup_layout *layout);

/* A name that is one harmless path component. `what`: "project" or "container". */
int group_check_name(const char *name, const char *what, struct error *err);

/* "ROOT/berth/PROJECT/NAME"; project and name may be NULL. */
void group_path(struct buf *out, const char *root, const char *project, const char *name);

/* The group's directory. 1 = it doesn't exist. */
int group_open(const char *root, const char *project, const char *name, int *ret_fd,
               struct error *err);

/* Write a file of the group in one write(2). Returns 0 or -errno. */
int group_write(int group_fd, const char *file, const char *value);

/* Read a whole small file. Returns 0 or -errno. */
int group_read(int group_fd, const char *file, struct buf *ret);

/* The number after `key` and a space in a file of "key value" lines; `missing` if there is none. */
int64_t group_read_field(int group_fd, const char *file, const char *key, int64_t missing);

/* A file with one number; "max" and unreadable ones give `missing`. */
int64_t group_read_number(int group_fd, const char *file, int64_t missing);

/* The groups below group_fd as relative paths, parents before children. */
int group_list_below(int group_fd, struct arena *arena, struct strings *ret, struct error *err);
