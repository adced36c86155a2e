/* The root file system as instructions. Docker's default mounts (runtime.md 7.5), the user's on
 * top. A user's mount on a default target replaces the default; one on /dev replaces everything
 * below it. */

#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/path.h"
#include "engine/container/container.h"
#include "engine/container/setup.h"
#include "engine/engine.h"

static const uint64_t no_nothing =
    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC; /* not even a device */

static const uint64_t default_shm_bytes = 64 << 20;

struct default_node {
    const char *path;
    unsigned major, minor;
};

static const struct default_node default_nodes[] = {
    {"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
    {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
};

static const struct pair default_links[] = {
    {"/dev/fd", "/proc/self/fd"},       {"/dev/stdin", "/proc/self/fd/0"},
    {"/dev/stdout", "/proc/self/fd/1"}, {"/dev/stderr", "/proc/self/fd/2"},
    {"/dev/core", "/proc/kcore"},       {"/dev/ptmx", "pts/ptmx"},
};

/* A mount at a place the user can also put one. */
struct placed {
    const char *target;              /* cleaned */
    const struct build_mount *mount; /* NULL: one of the name files */
    const char *file;
};

/* ------------------------------------------------------------------ the user's targets */

static const char *const refused_targets[] = {"/", "/proc"};

static int check_target(const char *target, struct error *err)
{
    if (!path_is_absolute(target))
        return error_set(err, ERROR_INVALID, "mount target \"%s\" is not absolute", target);
    for (size_t i = 0; i < sizeof(refused_targets) / sizeof(*refused_targets); i++) {
        if (text_equal(target, refused_targets[i]))
            return error_set(err, ERROR_INVALID, "mount target \"%s\" is not allowed", target);
    }
    if (path_is_below(target, "/proc"))
        return error_set(err, ERROR_INVALID, "mount target \"%s\" is inside /proc", target);
    return 0;
}

static bool is_taken(const struct placed *placed, size_t n, const char *target)
{
    for (size_t i = 0; i < n; i++) {
        if (placed[i].mount != NULL && text_equal(placed[i].target, target))
            return true;
    }
    return false;
}

static size_t depth_of(const char *path)
{
    size_t n = 0;

    for (; *path != '\0'; path++)
        n += *path == '/';
    return n;
}

/* Parents before children; else the order of the spec, so that equal specs give equal programs. */
static void sort_by_depth(struct placed *placed, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct placed moved = placed[i];
        size_t at = i;

        for (; at > 0 && depth_of(placed[at - 1].target) > depth_of(moved.target); at--)
            placed[at] = placed[at - 1];
        placed[at] = moved;
    }
}

static int place_all(struct arena *arena, const struct container_build *build, struct placed **ret,
                     size_t *ret_n, struct error *err)
{
    const struct {
        const char *target, *name;
        bool is_wanted;
    } files[] = {{"/etc/hosts", "hosts", build->has_hosts},
                 {"/etc/hostname", "hostname", build->has_hostname},
                 {"/etc/resolv.conf", "resolv.conf", build->has_resolv_conf}};
    struct placed *placed = arena_new_array(arena, struct placed, build->n_mounts + 3);
    size_t n = 0;

    for (size_t i = 0; i < build->n_mounts; i++) {
        const char *target = path_clean(arena, build->mounts[i].spec->target);

        if (check_target(target, err) < 0)
            return -1;
        if (is_taken(placed, n, target))
            return error_set(err, ERROR_INVALID, "two mounts on \"%s\"", target);
        placed[n++] = (struct placed){.target = target, .mount = &build->mounts[i]};
    }
    for (size_t i = 0; i < 3; i++) {
        if (files[i].is_wanted && !is_taken(placed, n, files[i].target))
            placed[n++] = (struct placed){.target = files[i].target, .file = files[i].name};
    }
    sort_by_depth(placed, n);
    *ret = placed;
    *ret_n = n;
    return 0;
}

/* ------------------------------------------------------------------ fresh file systems */

static void add_mount(struct setup_maker *maker, const char *type, const char *path,
                      const char *options, uint64_t attributes)
{
    struct setup_step *step = setup_add(maker, SETUP_MOUNT);

    step->path = path;
    step->text = type;
    step->options = options;
    step->number[0] = attributes;
    step->number[1] = SETUP_NO_SYMLINKS;
}

/* What the container sees of its groups: the v2 tree, or a tmpfs with the v1 hierarchies it is in.
 */
static void add_cgroup_view(struct setup_maker *maker, const struct container_build *build)
{
    uint64_t attributes = no_nothing | (build->spec->privileged ? 0 : MOUNT_ATTR_RDONLY);
    const struct strings *hierarchies = &build->cgroup1_hierarchies;

    if (hierarchies->n == 0) {
        if (build->cgroup2_fd >= 0)
            add_mount(maker, "cgroup2", "/sys/fs/cgroup", NULL, attributes);
        return;
    }
    add_mount(maker, "tmpfs", "/sys/fs/cgroup", "mode=755,size=64k", no_nothing);
    for (size_t i = 0; i < hierarchies->n; i++) {
        const char *options = hierarchies->items[i];
        const char *name = text_starts_with(options, "name=") ? options + 5 : options;

        add_mount(maker, "cgroup", arena_printf(maker->arena, "/sys/fs/cgroup/%s", name), options,
                  attributes);
    }
}

static void add_hidden_paths(struct setup_maker *maker, const struct container_build *build,
                             const char *below)
{
    for (size_t i = 0; i < build->masked_paths.n; i++) {
        if (path_is_below(build->masked_paths.items[i], below))
            setup_add(maker, SETUP_MASK)->path = build->masked_paths.items[i];
    }
    for (size_t i = 0; i < build->read_only_paths.n; i++) {
        if (path_is_below(build->read_only_paths.items[i], below))
            setup_add(maker, SETUP_READ_ONLY)->path = build->read_only_paths.items[i];
    }
}

static void add_node(struct setup_maker *maker, const struct build_device *device)
{
    static const struct {
        char letter;
        mode_t type;
    } types[] = {{'c', S_IFCHR}, {'b', S_IFBLK}, {'p', S_IFIFO}};
    struct setup_step *step = setup_add(maker, SETUP_MAKE_NODE);

    step->path = device->path;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        if (types[i].letter == device->type)
            step->number[0] = types[i].type | (device->mode & 07777);
    }
    step->number[1] = makedev(device->major, device->minor);
    step->number[2] = (uint64_t)device->uid << 32 | device->gid;
}

static int add_devices(struct setup_maker *maker, const struct container_build *build,
                       struct error *err)
{
    for (size_t i = 0; i < sizeof(default_nodes) / sizeof(*default_nodes); i++) {
        const struct default_node *node = &default_nodes[i];

        add_node(maker, &(struct build_device){.path = node->path,
                                               .type = 'c',
                                               .major = node->major,
                                               .minor = node->minor,
                                               .mode = 0666});
    }
    for (size_t i = 0; i < build->n_devices; i++) {
        const char *path = path_clean(maker->arena, build->devices[i].path);

        if (!path_is_below(path, "/dev") || text_equal(path, "/dev"))
            return error_set(err, ERROR_INVALID, "device \"%s\" is not below /dev", path);
        add_node(maker, &build->devices[i]);
    }
    return 0;
}

static int add_dev(struct setup_maker *maker, const struct container_build *build,
                   const struct placed *placed, size_t n, struct error *err)
{
    uint64_t shm = build->shm_bytes > 0 ? build->shm_bytes : default_shm_bytes;

    if (is_taken(placed, n, "/dev"))
        return 0;
    add_mount(maker, "tmpfs", "/dev", "mode=755,size=65536k",
              MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME);
    if (add_devices(maker, build, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(default_links) / sizeof(*default_links); i++) {
        struct setup_step *step = setup_add(maker, SETUP_MAKE_LINK);

        step->path = default_links[i].name;
        step->text = default_links[i].value;
    }
    add_mount(maker, "devpts", "/dev/pts", "newinstance,ptmxmode=0666,mode=0620,gid=5",
              MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    if (!is_taken(placed, n, "/dev/shm"))
        add_mount(maker, "tmpfs", "/dev/shm",
                  arena_printf(maker->arena, "mode=1777,size=%llu", (unsigned long long)shm),
                  no_nothing);
    if (!is_taken(placed, n, "/dev/mqueue"))
        add_mount(maker, "mqueue", "/dev/mqueue", NULL, no_nothing);
    return 0;
}

static int add_defaults(struct setup_maker *maker, const struct container_build *build,
                        const struct placed *placed, size_t n, struct error *err)
{
    uint64_t sys_attributes = no_nothing | (build->spec->privileged ? 0 : MOUNT_ATTR_RDONLY);

    add_mount(maker, "proc", "/proc", NULL, no_nothing);
    if (setup_add_sysctls(maker, build, err) < 0)
        return -1;
    add_hidden_paths(maker, build, "/proc");
    if (!is_taken(placed, n, "/sys")) {
        add_mount(maker, "sysfs", "/sys", NULL, sys_attributes);
        add_hidden_paths(maker, build, "/sys");
        if (!is_taken(placed, n, "/sys/fs/cgroup"))
            add_cgroup_view(maker, build);
    }
    return add_dev(maker, build, placed, n, err);
}

/* ------------------------------------------------------------------ the user's mounts */

static void attach(struct setup_maker *maker, const char *target, const struct setup_slot *source,
                   uint64_t flags)
{
    int slot = setup_add_slot(maker, source);
    struct setup_step *step = setup_add(maker, SETUP_ATTACH);

    step->slot = slot;
    step->path = target;
    step->number[1] = flags;
}

static int add_bind(struct setup_maker *maker, const struct placed *placed, struct error *err)
{
    const struct mount_spec *spec = placed->mount->spec;
    struct setup_slot source = {
        .kind = SLOT_BIND,
        .source = placed->mount->source,
        .attributes = spec->read_only ? MOUNT_ATTR_RDONLY : 0,
        .propagation = spec->propagation != NULL ? spec->propagation : "rprivate",
        .create_source = spec->kind == MOUNT_BIND && spec->create_source,
    };
    uint64_t propagation;
    bool is_recursive;

    if (source.source == NULL || !path_is_absolute(source.source))
        return error_set(err, ERROR_INVALID, "mount \"%s\": the source \"%s\" is not absolute",
                         placed->target, source.source != NULL ? source.source : "");
    if (propagation_parse(source.propagation, &propagation, &is_recursive, err) < 0)
        return error_wrap(err, "mount \"%s\"", placed->target);
    attach(maker, placed->target, &source, SETUP_USER_MOUNT);
    return 0;
}

static int add_tmpfs(struct setup_maker *maker, const struct placed *placed, struct error *err)
{
    const struct mount_spec *spec = placed->mount->spec;
    struct tmpfs_options options;
    struct setup_step *step;

    if (tmpfs_options_make(maker->arena, spec, &options, err) < 0)
        return error_wrap(err, "tmpfs \"%s\"", placed->target);
    step = setup_add(maker, SETUP_MOUNT);
    step->path = placed->target;
    step->text = "tmpfs";
    step->options = options.options;
    step->number[0] = options.attributes | (spec->read_only ? MOUNT_ATTR_RDONLY : 0);
    step->number[1] = SETUP_USER_MOUNT;
    return 0;
}

static int add_placed(struct setup_maker *maker, const struct container_build *build,
                      const struct placed *placed, struct error *err)
{
    if (placed->mount == NULL) {
        struct setup_slot source = {.kind = SLOT_FILE,
                                    .source = placed->file,
                                    .attributes = build->spec->read_only ? MOUNT_ATTR_RDONLY : 0};

        attach(maker, placed->target, &source, SETUP_USER_MOUNT);
        return 0;
    }
    switch (placed->mount->spec->kind) {
    case MOUNT_BIND:
    case MOUNT_VOLUME:
        return add_bind(maker, placed, err);
    case MOUNT_TMPFS:
        return add_tmpfs(maker, placed, err);
    }
    BUG();
}

int setup_add_mounts(struct setup_maker *maker, const struct container_build *build,
                     struct error *err)
{
    struct setup_slot root = {.kind = SLOT_OVERLAY,
                              .attributes = build->spec->privileged ? 0 : MOUNT_ATTR_NODEV};
    struct placed *placed;
    size_t n;
    int slot;

    if (place_all(maker->arena, build, &placed, &n, err) < 0)
        return -1;
    slot = setup_add_slot(maker, &root);
    setup_add(maker, SETUP_ATTACH_ROOT)->slot = slot;
    if (add_defaults(maker, build, placed, n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (add_placed(maker, build, &placed[i], err) < 0)
            return -1;
    }
    setup_add(maker, SETUP_PIVOT);
    return 0;
}
