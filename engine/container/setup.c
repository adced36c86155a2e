/* Making setup programs. Pure: what the kernel will be asked to do, in which order, and why that
 * order.
 *
 *   cgroups, then the cgroup namespace   its root is where the process is
 *   network                              before sysfs and sysctls, which show the current one
 *   root, /proc, sysctls, masks          sysctls before /proc/sys becomes read-only
 *   /sys, /dev, the user's mounts        by depth, so that a parent never covers its child
 *   pivot, session, terminal, limits     nothing of the host is reachable from here on
 *   armed                                everything that can fail for reasons of ours has
 *   credentials, filter, exec            runtime.md 5.8: without no_new_privs a filter can be
 *                                        loaded only while CAP_SYS_ADMIN is effective */

#include "engine/container/setup.h"

#include <linux/capability.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/path.h"
#include "engine/base/vec.h"
#include "engine/container/container.h"
#include "engine/engine.h"
#include "engine/security/security.h"

enum { NOFILE_SOFT = 1024, NOFILE_HARD = 524288, CONTAINER_UMASK = 022 };

void setup_maker_init(struct setup_maker *maker, struct arena *arena)
{
    *maker = (struct setup_maker){.arena = arena};
}

void setup_maker_release(struct setup_maker *maker)
{
    free(maker->steps);
    free(maker->slots);
    maker->steps = NULL;
    maker->slots = NULL;
}

struct setup_step *setup_add(struct setup_maker *maker, enum setup_op op)
{
    struct setup_step *step;

    if (maker->n_steps == WIRE_STEPS_MAX) {
        maker->too_large = true;
        maker->n_steps--; /* the result is thrown away */
    }
    if (maker->n_steps == maker->steps_capacity)
        maker->steps = vec_grow(maker->steps, &maker->steps_capacity, maker->n_steps + 1,
                                sizeof(*maker->steps));
    step = &maker->steps[maker->n_steps++];
    *step = (struct setup_step){.op = op, .slot = -1};
    return step;
}

int setup_add_slot(struct setup_maker *maker, const struct setup_slot *slot)
{
    if (maker->n_slots == WIRE_SLOTS_MAX) {
        maker->too_large = true;
        return 0;
    }
    if (maker->n_slots == maker->slots_capacity)
        maker->slots = vec_grow(maker->slots, &maker->slots_capacity, maker->n_slots + 1,
                                sizeof(*maker->slots));
    maker->slots[maker->n_slots] = *slot;
    return (int)maker->n_slots++;
}

int setup_add_given(struct setup_maker *maker, const char *label, int fd)
{
    struct setup_slot slot = {.kind = SLOT_GIVEN, .label = label, .given_fd = fd};

    return setup_add_slot(maker, &slot);
}

int setup_maker_finish(struct setup_maker *maker, const struct setup_program **ret,
                       struct error *err)
{
    struct setup_program *program;

    if (maker->too_large)
        return error_set(err, ERROR_UNSUPPORTED,
                         "too many mounts: at most about %d fit one container", WIRE_SLOTS_MAX);
    program = arena_new(maker->arena, struct setup_program);
    program->n_steps = maker->n_steps;
    program->steps =
        arena_memdup(maker->arena, maker->steps, maker->n_steps * sizeof(*maker->steps));
    program->n_slots = maker->n_slots;
    if (maker->n_slots > 0)
        program->slots =
            arena_memdup(maker->arena, maker->slots, maker->n_slots * sizeof(*maker->slots));
    program->layers = maker->layers;
    *ret = program;
    return 0;
}

/* ------------------------------------------------------------------ pieces */

static void add_cgroups(struct setup_maker *maker, const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int slot = setup_add_given(maker, "cgroup.procs", fds[i]);

        setup_add(maker, SETUP_JOIN_CGROUP)->slot = slot;
    }
}

static int add_sysctls(struct setup_maker *maker, const struct container_build *build,
                       struct error *err)
{
    const struct pairs *sysctls = &build->spec->sysctls;

    for (size_t i = 0; i < sysctls->n; i++) {
        cleanup_buf struct buf path = BUF_INIT;
        const struct pair *pair = &sysctls->items[i];
        struct setup_step *step;

        if (sysctl_check(pair->name, pair->value, build->netns_fd >= 0, err) < 0)
            return -1;
        sysctl_path(&path, pair->name);
        step = setup_add(maker, SETUP_SYSCTL);
        step->path = arena_strdup(maker->arena, buf_text(&path));
        step->text = pair->value;
    }
    return 0;
}

static void add_stdio(struct setup_maker *maker, const int fds[static 3])
{
    static const char *const labels[] = {"stdin", "stdout", "stderr"};

    for (unsigned i = 0; i < 3; i++) {
        int slot = fds[i] < 0 ? -1 : setup_add_given(maker, labels[i], fds[i]);
        struct setup_step *step = setup_add(maker, SETUP_STDIO);

        step->slot = slot;
        step->number[0] = i;
    }
}

static int add_limits(struct setup_maker *maker, const struct container_spec *spec,
                      struct error *err)
{
    bool has_nofile = false;
    struct setup_step *step;

    for (size_t i = 0; i < spec->n_ulimits; i++) {
        const struct ulimit_spec *ulimit = &spec->ulimits[i];
        int resource;

        if (ulimit_parse(ulimit->name, &resource, err) < 0)
            return -1;
        if (ulimit->soft < -1 || ulimit->hard < -1 ||
            (ulimit->hard != -1 && (ulimit->soft == -1 || ulimit->soft > ulimit->hard)))
            return error_set(err, ERROR_INVALID,
                             "ulimit \"%s\": the soft limit is above the hard one", ulimit->name);
        has_nofile = has_nofile || resource == RLIMIT_NOFILE;
        step = setup_add(maker, SETUP_RLIMIT);
        step->text = ulimit->name;
        step->number[0] = (uint64_t)resource;
        step->number[1] = (uint64_t)ulimit->soft; /* -1 is RLIM_INFINITY */
        step->number[2] = (uint64_t)ulimit->hard;
    }
    if (!has_nofile) { /* the same everywhere, instead of whatever the engine was started with */
        step = setup_add(maker, SETUP_RLIMIT);
        step->text = "nofile";
        step->number[0] = RLIMIT_NOFILE;
        step->number[1] = NOFILE_SOFT;
        step->number[2] = NOFILE_HARD;
    }
    return 0;
}

struct credentials {
    const struct user_resolved *user;
    uint64_t capabilities;
    bool no_new_privileges, has_init;
    const void *seccomp;
    size_t seccomp_size;
};

static void add_capabilities(struct setup_maker *maker, uint64_t set)
{
    setup_add(maker, SETUP_CAPABILITIES)->number[0] = set;
}

static void add_credentials(struct setup_maker *maker, const struct credentials *who)
{
    uint64_t final = who->user->uid == 0 ? who->capabilities : 0;
    bool is_kept_back = who->seccomp != NULL && !who->no_new_privileges;
    struct setup_step *step;

    setup_add(maker, SETUP_BOUNDING)->number[0] = who->capabilities;
    step = setup_add(maker, SETUP_GROUPS);
    step->data = who->user->groups;
    step->data_size = who->user->n_groups * sizeof(gid_t);
    step = setup_add(maker, SETUP_USER);
    step->number[0] = who->user->uid;
    step->number[1] = who->user->gid;
    add_capabilities(maker, is_kept_back ? final | CAPABILITY_BIT(CAP_SYS_ADMIN) : final);
    if (who->no_new_privileges)
        setup_add(maker, SETUP_NO_NEW_PRIVILEGES);
    if (who->seccomp != NULL) {
        step = setup_add(maker, SETUP_SECCOMP);
        step->data = who->seccomp;
        step->data_size = who->seccomp_size;
    }
    if (is_kept_back && !(final & CAPABILITY_BIT(CAP_SYS_ADMIN)))
        add_capabilities(maker, final);
    if (who->has_init)
        setup_add(maker, SETUP_INIT);
}

/* HOME from /etc/passwd unless somebody set it. */
static struct strings with_home(struct arena *arena, const struct strings *environment,
                                const char *home)
{
    struct strings ret = {arena_new_array(arena, const char *, environment->n + 1), 0};
    bool has_home = false;

    for (size_t i = 0; i < environment->n; i++) {
        has_home = has_home || text_starts_with(environment->items[i], "HOME=");
        ret.items[ret.n++] = environment->items[i];
    }
    if (!has_home)
        ret.items[ret.n++] = arena_printf(arena, "HOME=%s", home);
    return ret;
}

static int add_exec(struct setup_maker *maker, const struct strings *argv,
                    const struct strings *environment, const char *home, struct error *err)
{
    struct setup_step *step;

    if (argv->n == 0)
        return error_set(err, ERROR_INVALID, "no command to run");
    step = setup_add(maker, SETUP_EXEC);
    step->path = argv->items[0];
    step->argv = *argv;
    step->environment = with_home(maker->arena, environment, home);
    step->number[0] = argv->n;
    step->number[1] = step->environment.n;
    if (argv->n > WIRE_STRINGS_MAX || step->environment.n > WIRE_STRINGS_MAX)
        return error_set(err, ERROR_UNSUPPORTED, "more than %d arguments or variables",
                         WIRE_STRINGS_MAX);
    return 0;
}

static int add_working_dir(struct setup_maker *maker, const char *path, bool is_made,
                           struct error *err)
{
    struct setup_step *step;

    if (path == NULL)
        path = "/";
    if (!path_is_absolute(path))
        return error_set(err, ERROR_INVALID, "working directory \"%s\" is not absolute", path);
    step = setup_add(maker, SETUP_CHDIR);
    step->path = path_clean(maker->arena, path);
    step->number[0] = is_made;
    return 0;
}

/* ------------------------------------------------------------------ whole programs */

static int make_container(struct setup_maker *maker, const struct container_build *build,
                          const struct user_resolved *user, struct error *err)
{
    const struct container_spec *spec = build->spec;
    const struct credentials who = {user,       build->capabilities, spec->no_new_privileges,
                                    spec->init, build->seccomp,      build->seccomp_size};

    maker->layers = build->layers;
    add_cgroups(maker, build->cgroup1_fds, build->n_cgroup1_fds);
    setup_add(maker, SETUP_NEW_CGROUP_NAMESPACE);
    if (build->netns_fd >= 0) {
        int slot = setup_add_given(maker, "network", build->netns_fd);

        setup_add(maker, SETUP_JOIN_NETWORK)->slot = slot;
    }
    if (build->hostname != NULL)
        setup_add(maker, SETUP_HOSTNAME)->text = build->hostname;
    if (setup_add_mounts(maker, build, err) < 0)
        return -1;
    setup_add(maker, SETUP_SESSION);
    if (spec->tty)
        setup_add(maker, SETUP_TERMINAL)->number[0] = 1;
    else
        add_stdio(maker, build->stdio_fds);
    if (add_working_dir(maker, build->process->working_dir, true, err) < 0)
        return -1;
    if (spec->read_only)
        setup_add(maker, SETUP_ROOT_READ_ONLY);
    if (add_limits(maker, spec, err) < 0)
        return -1;
    setup_add(maker, SETUP_UMASK)->number[0] = CONTAINER_UMASK;
    setup_add(maker, SETUP_ARMED)->number[0] = 1;
    add_credentials(maker, &who);
    return add_exec(maker, &build->process->argv, &build->process->environment, user->home, err);
}

/* /proc is mounted first of all, the sysctls follow at once; setup_mounts.c calls back. */
int setup_add_sysctls(struct setup_maker *maker, const struct container_build *build,
                      struct error *err)
{
    setup_add(maker, SETUP_OOM_SCORE)->number[0] = 0; /* the zygote's own may be lower */
    return add_sysctls(maker, build, err);
}

int setup_program_make(struct arena *arena, const struct container_build *build,
                       const struct user_resolved *user, const struct setup_program **ret,
                       struct error *err)
{
    struct setup_maker maker;
    int result;

    setup_maker_init(&maker, arena);
    result = make_container(&maker, build, user, err);
    if (result == 0)
        result = setup_maker_finish(&maker, ret, err);
    setup_maker_release(&maker);
    return result;
}

static int make_exec(struct setup_maker *maker, const struct exec_build *build,
                     const struct user_resolved *user, struct error *err)
{
    const struct credentials who = {user,  build->capabilities, build->no_new_privileges,
                                    false, build->seccomp,      build->seccomp_size};
    struct setup_step *step;
    int slot;

    add_cgroups(maker, build->cgroup1_fds, build->n_cgroup1_fds);
    slot = setup_add_given(maker, "container", build->pidfd);
    step = setup_add(maker, SETUP_JOIN_NAMESPACES);
    step->slot = slot;
    step->number[0] = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    if (build->has_network)
        step->number[0] |= CLONE_NEWNET;
    setup_add(maker, SETUP_SESSION);
    if (build->tty)
        setup_add(maker, SETUP_TERMINAL)->number[1] =
            (uint64_t)(build->rows & 0xffff) << 16 | (build->columns & 0xffff);
    else
        add_stdio(maker, build->stdio_fds);
    if (add_limits(maker, build->spec, err) < 0)
        return -1;
    setup_add(maker, SETUP_UMASK)->number[0] = CONTAINER_UMASK;
    if (add_working_dir(maker, build->working_dir, false, err) < 0)
        return -1;
    setup_add(maker, SETUP_ARMED);
    add_credentials(maker, &who);
    return add_exec(maker, &build->argv, &build->environment, user->home, err);
}

int setup_program_make_exec(struct arena *arena, const struct exec_build *build,
                            const struct user_resolved *user, const struct setup_program **ret,
                            struct error *err)
{
    struct setup_maker maker;
    int result;

    setup_maker_init(&maker, arena);
    result = make_exec(&maker, build, user, err);
    if (result == 0)
        result = setup_maker_finish(&maker, ret, err);
    setup_maker_release(&maker);
    return result;
}
