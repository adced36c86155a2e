/* The last steps: who the process is and what it may do, then exec.
 *
 * Order (setup.c): bounding set, groups, user, capabilities with CAP_SYS_ADMIN kept back if a
 * filter comes without no_new_privs, filter, final capabilities, exec. Every call from the filter
 * on is one that the filter lets through: capset, prctl, clone, close_range, execve. */

#include <errno.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "engine/container/zygote/call.h"
#include "engine/container/zygote/child.h"

struct capability_sets {
    struct __user_cap_header_struct header;
    struct __user_cap_data_struct data[2];
};

int step_bounding(struct child *child, const struct wire_step *step)
{
    (void)child;
    for (unsigned i = 0; i < 64; i++) {
        long ret;

        if (step->number[0] & (UINT64_C(1) << i))
            continue;
        ret = call(SYS_prctl, PR_CAPBSET_DROP, i, 0, 0, 0);
        if (ret == -EINVAL) /* past the last one this kernel knows */
            break;
        if (ret < 0)
            return (int)ret;
    }
    return 0;
}

int step_groups(struct child *child, const struct wire_step *step)
{
    return (int)call(SYS_setgroups, step->data.size / sizeof(uint32_t),
                     (const char *)child->program + step->data.offset);
}

static bool is_pseudo_terminal(const struct stat *status)
{
    uint64_t major = status->st_rdev >> 8 & 0xfff;

    return S_ISCHR(status->st_mode) && major >= 136 && major <= 143;
}

/* So that `echo > /dev/stderr` works for users other than root. Host devices are left alone. */
static void give_stdio(uint32_t uid)
{
    for (int fd = 0; fd <= 2; fd++) {
        struct stat status;

        if (call(SYS_fstat, fd, &status) < 0 || status.st_uid == uid)
            continue;
        if (S_ISFIFO(status.st_mode) || is_pseudo_terminal(&status))
            (void)call(SYS_fchown, fd, uid, -1);
    }
}

int step_user(struct child *child, const struct wire_step *step)
{
    uint32_t uid = (uint32_t)step->number[0], gid = (uint32_t)step->number[1];
    long ret;

    (void)child;
    give_stdio(uid);
    ret = call(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0); /* exec clears it */
    if (ret == 0)
        ret = call(SYS_setresgid, gid, gid, gid);
    if (ret == 0)
        ret = call(SYS_setresuid, uid, uid, uid);
    return (int)ret;
}

/* Permitted and effective; inheritable stays empty (CVE-2022-24769). What we don't have ourselves
 * we can't give. */
int step_capabilities(struct child *child, const struct wire_step *step)
{
    struct capability_sets sets = {.header = {_LINUX_CAPABILITY_VERSION_3, 0}};
    long ret = call(SYS_capget, &sets.header, sets.data);

    (void)child;
    if (ret < 0)
        return (int)ret;
    for (unsigned i = 0; i < 2; i++) {
        sets.data[i].permitted &= (uint32_t)(step->number[0] >> (32 * i));
        sets.data[i].effective = sets.data[i].permitted;
        sets.data[i].inheritable = 0;
    }
    ret = call(SYS_capset, &sets.header, sets.data);
    if (ret < 0)
        return (int)ret;
    (void)call(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return 0;
}

int step_no_new_privileges(struct child *child, const struct wire_step *step)
{
    (void)child, (void)step;
    return (int)call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int step_seccomp(struct child *child, const struct wire_step *step)
{
    struct sock_fprog filter = {
        .len = (unsigned short)(step->data.size / sizeof(struct sock_filter)),
        .filter = (struct sock_filter *)((uintptr_t)child->program + step->data.offset)};
    long ret = call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &filter);

    if (ret == -EINVAL)
        ret = call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
    return (int)ret;
}

/* ------------------------------------------------------------------ exec */

struct image {
    const char **argv, **envp;
};

/* The two arrays over the strings of the program, in memory that exec throws away. */
static int lay_out(const struct child *child, const struct wire_step *step, struct image *ret)
{
    size_t argc = step->number[0], envc = step->number[1];
    const char *at = (const char *)child->program + step->data.offset;
    long memory = call(SYS_mmap, NULL, (argc + envc + 2) * sizeof(char *), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory < 0 && memory > -4096)
        return (int)memory;
    ret->argv = (const char **)memory;
    ret->envp = ret->argv + argc + 1;
    for (size_t i = 0; i < argc + envc; i++) {
        if (i < argc)
            ret->argv[i] = at;
        else
            ret->envp[i - argc] = at;
        at += text_size(at) + 1;
    }
    return 0;
}

static const char *search_path(const struct image *image)
{
    const char *found = "";

    for (const char **entry = image->envp; *entry != NULL; entry++) {
        if (memcmp(*entry, "PATH=", 5) == 0) /* at least NUL-terminated: memcmp stops there */
            found = *entry + 5;
    }
    return found;
}

static int execute(const char *path, const struct image *image)
{
    return (int)call(SYS_execve, path, image->argv, image->envp);
}

/* Each directory of PATH in turn. One where it lies but can't be run is remembered, and the search
 * goes on, as execvp does. */
static int execute_by_search(const char *name, const struct image *image)
{
    const char *rest = search_path(image);
    char path[4096];
    int ret = -ENOENT;

    while (*rest != '\0') {
        size_t n = 0;
        int attempt;

        for (; *rest != '\0' && *rest != ':'; rest++) {
            if (n + 1 < sizeof(path))
                path[n++] = *rest;
        }
        path[n] = '\0';
        if (*rest == ':')
            rest++;
        n = text_append(path, sizeof(path), n, n == 0 ? "./" : "/");
        n = text_append(path, sizeof(path), n, name);
        if (n + 1 >= sizeof(path))
            continue;
        attempt = execute(path, image);
        if (attempt != -ENOENT && attempt != -ENOTDIR && attempt != -EACCES)
            return attempt;
        if (attempt == -EACCES)
            ret = -EACCES;
    }
    return ret;
}

int step_exec(struct child *child, const struct wire_step *step)
{
    const char *name = child_text(child, step->path);
    struct image image;
    int ret = lay_out(child, step, &image);

    if (ret < 0)
        return ret;
    /* Everything has close-on-exec from birth; this is the belt to those braces. */
    (void)call(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '/')
            return execute(name, &image);
    }
    return *name == '\0' ? -ENOENT : execute_by_search(name, &image);
}
