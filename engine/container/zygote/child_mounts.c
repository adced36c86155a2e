/* Steps that build the container's file system tree. Sources are detached mounts or made here;
 * targets are only ever descriptors opened inside the root. */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "engine/container/zygote/call.h"
#include "engine/container/zygote/child.h"
#include "engine/container/zygote/inroot.h"

enum { UMOUNT_DETACH = 2, OPTIONS_MAX = 1024 };

static int set_attributes(int fd, unsigned flags, uint64_t attributes)
{
    struct mount_attr attr = {.attr_set = attributes};

    return (int)call(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | flags, &attr, sizeof(attr));
}

static int move_to(int mount_fd, int target_fd)
{
    return (int)call(SYS_move_mount, mount_fd, "", target_fd, "",
                     MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/* A fresh file system has no business on a symlink, a user's mount none on procfs: a write that a
 * privileged helper aims at /proc/self/attr must not be caught by a volume (CVE-2025-52881). */
static int attach_at(const struct child *child, int mount_fd, const struct wire_step *step,
                     enum inroot_kind kind)
{
    uint64_t resolve = step->number[1] & SETUP_NO_SYMLINKS ? RESOLVE_NO_SYMLINKS : 0;
    int target = inroot_target(child->root_fd, child_text(child, step->path), kind, 0755, resolve);
    struct statfs file_system;
    int ret;

    if (target < 0)
        return target;
    ret = (int)call(SYS_fstatfs, target, &file_system);
    if (ret == 0 && (step->number[1] & SETUP_USER_MOUNT) && file_system.f_type == PROC_SUPER_MAGIC)
        ret = -EPERM;
    if (ret == 0)
        ret = move_to(mount_fd, target);
    close_fd(target);
    return ret;
}

int step_attach_root(struct child *child, const struct wire_step *step)
{
    int fd = child->slots[step->slot];
    long ret = call(SYS_move_mount, fd, "", AT_FDCWD, "/x", MOVE_MOUNT_F_EMPTY_PATH);

    if (ret < 0)
        return (int)ret;
    child->root_fd = fd;
    return 0;
}

/* "a=b,c": one fsconfig each. */
static int set_options(int fs_fd, const char *options)
{
    char word[OPTIONS_MAX];

    while (options != NULL && *options != '\0') {
        size_t n = 0, value = 0;
        long ret;

        for (; *options != '\0' && *options != ','; options++) {
            if (n + 1 >= sizeof(word))
                return -E2BIG;
            if (*options == '=' && value == 0) {
                word[n++] = '\0';
                value = n;
            } else {
                word[n++] = *options;
            }
        }
        word[n] = '\0';
        if (*options == ',')
            options++;
        if (value > 0)
            ret = call(SYS_fsconfig, fs_fd, FSCONFIG_SET_STRING, word, word + value, 0);
        else
            ret = call(SYS_fsconfig, fs_fd, FSCONFIG_SET_FLAG, word, NULL, 0);
        if (ret < 0)
            return (int)ret;
    }
    return 0;
}

int step_mount(struct child *child, const struct wire_step *step)
{
    const char *path = child_text(child, step->path);
    int fs_fd = (int)call(SYS_fsopen, child_text(child, step->text), FSOPEN_CLOEXEC);
    int mount_fd, ret;

    if (fs_fd < 0)
        return fs_fd;
    ret = set_options(fs_fd, child_text(child, step->options));
    if (ret == 0)
        ret = (int)call(SYS_fsconfig, fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
    mount_fd = ret < 0 ? ret : (int)call(SYS_fsmount, fs_fd, FSMOUNT_CLOEXEC, step->number[0]);
    close_fd(fs_fd);
    if (mount_fd < 0)
        return mount_fd;
    ret = attach_at(child, mount_fd, step, INROOT_DIRECTORY);
    if (ret == 0 && text_is_same(path, "/proc")) {
        child->proc_fd = mount_fd;
        return 0;
    }
    close_fd(mount_fd);
    return ret;
}

int step_attach(struct child *child, const struct wire_step *step)
{
    int fd = child->slots[step->slot];
    struct stat status;
    long ret = call(SYS_fstat, fd, &status);

    if (ret < 0)
        return (int)ret;
    return attach_at(child, fd, step, S_ISDIR(status.st_mode) ? INROOT_DIRECTORY : INROOT_FILE);
}

/* The cover is one of the zygote's own two empty read-only things, never anything of the image
 * (CVE-2025-31133). */
int step_mask(struct child *child, const struct wire_step *step)
{
    int target = inroot_open(child->root_fd, child_text(child, step->path), O_PATH | O_NOFOLLOW,
                             RESOLVE_NO_SYMLINKS);
    struct stat status;
    int cover, ret;

    if (target == -ENOENT || target == -ENOTDIR)
        return 0;
    if (target < 0)
        return target;
    ret = (int)call(SYS_fstat, target, &status);
    if (ret == 0) {
        cover = (int)call(SYS_open_tree, AT_FDCWD, S_ISDIR(status.st_mode) ? "/empty" : "/null",
                          OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        ret = cover < 0 ? cover : move_to(cover, target);
        close_fd(cover);
    }
    close_fd(target);
    return ret;
}

int step_read_only(struct child *child, const struct wire_step *step)
{
    int target = inroot_open(child->root_fd, child_text(child, step->path), O_PATH | O_NOFOLLOW,
                             RESOLVE_NO_SYMLINKS);
    int copy, ret;

    if (target == -ENOENT || target == -ENOTDIR)
        return 0;
    if (target < 0)
        return target;
    copy = (int)call(SYS_open_tree, target, "",
                     AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    ret = copy < 0 ? copy
                   : set_attributes(copy, AT_RECURSIVE,
                                    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                        MOUNT_ATTR_NOEXEC);
    if (ret == 0)
        ret = move_to(copy, target);
    close_fd(copy);
    close_fd(target);
    return ret;
}

int step_root_read_only(struct child *child, const struct wire_step *step)
{
    (void)step;
    return set_attributes(child->root_fd, 0, MOUNT_ATTR_RDONLY);
}

int step_make_directory(struct child *child, const struct wire_step *step)
{
    int fd = inroot_target(child->root_fd, child_text(child, step->path), INROOT_DIRECTORY,
                           (uint32_t)step->number[0], 0);

    close_fd(fd);
    return fd < 0 ? fd : 0;
}

/* The directory of a path, kept open for the next one: nodes and links come in runs. */
static int open_parent(struct child *child, const char *path, const char **ret_name)
{
    size_t last = 0;
    int fd;

    for (size_t i = 0; path[i] != '\0'; i++) {
        if (path[i] == '/')
            last = i;
    }
    if (child->parent_fd >= 0 && last < sizeof(child->parent) && child->parent[last] == '\0' &&
        memcmp(child->parent, path, last) == 0) {
        *ret_name = path + last + 1;
        return child->parent_fd;
    }
    fd = inroot_parent(child->root_fd, path, ret_name);
    if (fd < 0)
        return fd;
    close_fd(child->parent_fd);
    child->parent_fd = fd;
    memset(child->parent, 1, sizeof(child->parent));
    if (last < sizeof(child->parent)) {
        memcpy(child->parent, path, last);
        child->parent[last] = '\0';
    }
    return fd;
}

int step_make_link(struct child *child, const struct wire_step *step)
{
    const char *name;
    int parent = open_parent(child, child_text(child, step->path), &name);

    if (parent < 0)
        return parent;
    return (int)call(SYS_symlinkat, child_text(child, step->text), parent, name);
}

int step_make_node(struct child *child, const struct wire_step *step)
{
    uint32_t uid = (uint32_t)(step->number[2] >> 32), gid = (uint32_t)step->number[2];
    const char *name;
    int parent = open_parent(child, child_text(child, step->path), &name);
    long ret;

    if (parent < 0)
        return parent;
    ret = call(SYS_mknodat, parent, name, step->number[0], step->number[1]);
    if (ret == 0 && (uid != 0 || gid != 0))
        ret = call(SYS_fchownat, parent, name, uid, gid, AT_SYMLINK_NOFOLLOW);
    return (int)ret;
}

int step_pivot(struct child *child, const struct wire_step *step)
{
    long ret = call(SYS_fchdir, child->root_fd);

    (void)step;
    if (ret == 0)
        ret = call(SYS_pivot_root, ".", ".");
    if (ret == 0) /* "." is the old root now, stacked on the new one */
        ret = call(SYS_umount2, ".", UMOUNT_DETACH);
    if (ret == 0)
        ret = call(SYS_chdir, "/");
    return (int)ret;
}
