/* Finding the descriptors that a setup program names. Every mount is made detached: no path in the
 * host's mount namespace ever leads to it, and closing the descriptor is all the cleaning up. */

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "engine/base/alloc.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/path.h"
#include "engine/base/str.h"
#include "engine/base/trace.h"
#include "engine/base/vec.h"
#include "engine/container/container.h"
#include "engine/container/overlay.h"
#include "engine/container/prepared.h"
#include "engine/container/setup.h"
#include "engine/engine.h"
#include "engine/security/security.h"

enum { MOUNTINFO_MAX = 4 << 20, CPUS_MAX = 4096, PATH_TEXT_MAX = 64 };

/* ------------------------------------------------------------------ binds */

/* Is the mount a path lies on shared? Asking for rshared or rslave elsewhere would silently give a
 * private mount. Field 1 of mountinfo is the id, the optional fields before "-" tell. */
static int check_shared(int fd, const char *source, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    char wanted[PATH_TEXT_MAX];
    struct statx status;
    const char *line, *end, *tag;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) < 0)
        return error_sys(err, errno, "stat \"%s\"", source);
    if (fs_read_file(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, err) < 0)
        return -1;
    (void)snprintf(wanted, sizeof(wanted), "%llu ", (unsigned long long)status.stx_mnt_id);
    for (line = buf_text(&text); *line != '\0'; line = *end == '\0' ? end : end + 1) {
        end = strchrnul(line, '\n');
        if (!text_starts_with(line, wanted))
            continue;
        tag = strstr(line, " shared:");
        if (tag != NULL && tag < end)
            return 0;
    }
    return error_set(err, ERROR_INVALID, "\"%s\" is not on a shared mount", source);
}

static int open_source(const struct setup_slot *slot, int *ret_fd, struct error *err)
{
    cleanup_fd int fd = open(slot->source, O_PATH | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT && slot->create_source) {
        cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (root < 0)
            return error_sys(err, errno, "open /");
        if (fs_make_dirs(root, slot->source + 1, 0755, err) < 0)
            return error_wrap(err, "make mount source \"%s\"", slot->source);
        fd = open(slot->source, O_PATH | O_CLOEXEC);
    }
    if (fd < 0)
        return error_sys(err, errno, "mount source \"%s\"", slot->source);
    *ret_fd = fd_take(&fd);
    return 0;
}

static int clone_tree(int fd, const char *path, const char *label, int *ret_fd, struct error *err)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
    int tree = open_tree(fd, path, flags | (*path == '\0' ? AT_EMPTY_PATH : 0));

    if (tree < 0)
        return error_sys(err, errno, "clone mount source \"%s\"", label);
    *ret_fd = tree;
    return 0;
}

static int set_mount(int fd, const struct mount_attr *attr, bool is_recursive, const char *label,
                     struct error *err)
{
    struct mount_attr copy = *attr;

    if (mount_setattr(fd, "", AT_EMPTY_PATH | (is_recursive ? AT_RECURSIVE : 0), &copy,
                      sizeof(copy)) < 0)
        return error_sys(err, errno, "set attributes of mount \"%s\"", label);
    return 0;
}

static int open_bind(const struct setup_slot *slot, int *ret_fd, struct error *err)
{
    cleanup_fd int source = -1, tree = -1;
    struct mount_attr attributes = {.attr_set = slot->attributes}, propagation = {0};
    uint64_t kind;
    bool is_recursive;

    if (open_source(slot, &source, err) < 0 ||
        propagation_parse(slot->propagation, &kind, &is_recursive, err) < 0)
        return -1;
    propagation.propagation = kind;
    if (propagation.propagation != MS_PRIVATE && check_shared(source, slot->source, err) < 0)
        return error_wrap(err, "propagation %s", slot->propagation);
    if (clone_tree(source, "", slot->source, &tree, err) < 0)
        return -1;
    if (slot->attributes != 0 && set_mount(tree, &attributes, true, slot->source, err) < 0)
        return -1;
    /* a clone of a shared mount is in its group already */
    if (propagation.propagation != MS_SHARED &&
        set_mount(tree, &propagation, is_recursive, slot->source, err) < 0)
        return -1;
    *ret_fd = fd_take(&tree);
    return 0;
}

static int open_file(int dir_fd, const struct setup_slot *slot, int *ret_fd, struct error *err)
{
    cleanup_fd int tree = -1;
    struct mount_attr attributes = {.attr_set = slot->attributes, .propagation = MS_PRIVATE};

    if (clone_tree(dir_fd, slot->source, slot->source, &tree, err) < 0 ||
        set_mount(tree, &attributes, false, slot->source, err) < 0)
        return -1;
    *ret_fd = fd_take(&tree);
    return 0;
}

/* ------------------------------------------------------------------ whole */

static int open_slots(struct container_prepared *prepared, int dir_fd, int *root_fd,
                      struct error *err)
{
    for (size_t i = 0; i < prepared->program->n_slots; i++) {
        const struct setup_slot *slot = &prepared->program->slots[i];
        struct mount_attr attributes = {.attr_set = slot->attributes, .propagation = MS_PRIVATE};
        int result = 0;

        prepared->is_owned[i] = slot->kind != SLOT_GIVEN;
        switch (slot->kind) {
        case SLOT_GIVEN:
            prepared->slots[i] = slot->given_fd;
            break;
        case SLOT_OVERLAY:
            prepared->slots[i] = fd_take(root_fd);
            result = set_mount(prepared->slots[i], &attributes, false, "/", err);
            break;
        case SLOT_BIND:
            result = open_bind(slot, &prepared->slots[i], err);
            break;
        case SLOT_FILE:
            result = open_file(dir_fd, slot, &prepared->slots[i], err);
            break;
        }
        if (result < 0)
            return -1;
    }
    return 0;
}

static struct container_prepared *prepared_new(void)
{
    struct container_prepared *prepared = x_alloc(sizeof(*prepared));

    for (size_t i = 0; i < WIRE_SLOTS_MAX; i++)
        prepared->slots[i] = -1;
    prepared->cgroup_fd = prepared->target_fd = -1;
    prepared->kept_fds[0] = prepared->kept_fds[1] = -1;
    return prepared;
}

void container_prepared_release(struct container_prepared *prepared)
{
    int saved = errno;

    if (prepared == NULL)
        return;
    for (size_t i = 0; i < WIRE_SLOTS_MAX; i++) {
        if (prepared->is_owned[i] && prepared->slots[i] >= 0)
            (void)close(prepared->slots[i]);
    }
    buf_release(&prepared->bytes);
    arena_release(&prepared->arena);
    free(prepared);
    errno = saved;
}

void container_prepared_cleanup(struct container_prepared **prepared)
{
    container_prepared_release(*prepared);
}

void container_prepared_print(struct buf *out, const struct container_prepared *prepared)
{
    setup_program_print(out, prepared->program);
}

static void trace_program(const char *id, const struct container_prepared *prepared)
{
    cleanup_buf struct buf text = BUF_INIT;

    if (!trace_is_on(TRACE_CONTAINER))
        return;
    setup_program_print(&text, prepared->program);
    trace(TRACE_CONTAINER, "setup program of %s\n%s", id, buf_text(&text));
}

int container_prepare(const struct container_build *build, struct container_prepared **ret,
                      struct error *err)
{
    cleanup_prepared struct container_prepared *prepared = prepared_new();
    cleanup_fd int root_fd = -1;
    struct user_resolved user;

    if (overlay_open(&build->layers, build->dir_fd, &root_fd, err) < 0 ||
        user_resolve(&prepared->arena, root_fd, build->process->user, &user, err) < 0 ||
        setup_program_make(&prepared->arena, build, &user, &prepared->program, err) < 0 ||
        open_slots(prepared, build->dir_fd, &root_fd, err) < 0 ||
        setup_program_encode(prepared->program, &prepared->bytes, err) < 0)
        return -1;
    prepared->cgroup_fd = build->cgroup2_fd;
    prepared->kept_fds[0] = build->kept_fds[0];
    prepared->kept_fds[1] = build->kept_fds[1];
    trace_program(build->id, prepared);
    *ret = ptr_take(&prepared);
    return 0;
}

/* The container's root, through its init. That it still is that process is certain only if the
 * pidfd says so after the open. */
static int open_root_of(const struct exec_build *build, int *ret_fd, struct error *err)
{
    char path[PATH_TEXT_MAX];
    cleanup_fd int fd = -1;

    (void)snprintf(path, sizeof(path), "/proc/%d/root", build->pid);
    fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, ERROR_NOT_FOUND, "the container is not running");
    if (fd < 0)
        return error_sys(err, errno, "open root of the container");
    if (pidfd_send_signal(build->pidfd, 0, NULL, 0) < 0)
        return error_set(err, ERROR_NOT_FOUND, "the container is not running");
    *ret_fd = fd_take(&fd);
    return 0;
}

int container_prepare_exec(const struct exec_build *build, struct container_prepared **ret,
                           struct error *err)
{
    cleanup_prepared struct container_prepared *prepared = prepared_new();
    cleanup_fd int root_fd = -1;
    struct user_resolved user;

    if (open_root_of(build, &root_fd, err) < 0 ||
        user_resolve(&prepared->arena, root_fd, build->user, &user, err) < 0 ||
        setup_program_make_exec(&prepared->arena, build, &user, &prepared->program, err) < 0 ||
        open_slots(prepared, -1, &root_fd, err) < 0 ||
        setup_program_encode(prepared->program, &prepared->bytes, err) < 0)
        return -1;
    prepared->cgroup_fd = build->cgroup2_fd;
    prepared->target_fd = build->pidfd;
    trace_program(build->id, prepared);
    *ret = ptr_take(&prepared);
    return 0;
}

/* ------------------------------------------------------------------ default paths */

/* "…/cpu*" stands for every CPU's; others for themselves. Only what this kernel has. */
static struct strings expand_paths(struct arena *arena, const char *const *paths)
{
    VEC(const char *) found = VEC_INIT;
    struct strings ret;

    for (; *paths != NULL; paths++) {
        const char *star = strchr(*paths, '*');

        if (star == NULL) {
            if (fs_exists(AT_FDCWD, *paths))
                vec_push(&found, *paths);
            continue;
        }
        for (int cpu = 0; cpu < CPUS_MAX; cpu++) {
            const char *path =
                arena_printf(arena, "%.*s%d%s", (int)(star - *paths), *paths, cpu, star + 1);

            if (!fs_exists(AT_FDCWD, path_dir(arena, path)))
                break;
            if (fs_exists(AT_FDCWD, path))
                vec_push(&found, path);
        }
    }
    ret = (struct strings){found.n > 0 ? vec_to_arena(&found, arena) : NULL, found.n};
    vec_release(&found);
    return ret;
}

int container_default_paths(struct arena *arena, struct strings *ret_masked,
                            struct strings *ret_read_only, struct error *err)
{
    (void)err;
    *ret_masked = expand_paths(arena, security_masked_paths);
    *ret_read_only = expand_paths(arena, security_readonly_paths);
    return 0;
}
