/* What control group hierarchies this host has.
 *
 * Theory
 *   Each hierarchy is one mount: v2 (type cgroup2), or v1 (type cgroup) whose options name the
 *   controllers. Only mountinfo tells; names of directories are habit. A mount shows the hierarchy
 *   from its "root" on (field 4), so our own group lies at mount point + (own path − root). We take
 *   the top of what is visible if groups can be made there, else our own group. */

#include "engine/cgroup/cgroup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/random.h"
#include "engine/base/trace.h"
#include "engine/cgroup/device_program.h"
#include "engine/cgroup/group.h"

const char *const cgroup_controller_names[] = {
    [CGROUP_CPU] = "cpu",         [CGROUP_CPUACCT] = "cpuacct", [CGROUP_CPUSET] = "cpuset",
    [CGROUP_MEMORY] = "memory",   [CGROUP_PIDS] = "pids",       [CGROUP_DEVICES] = "devices",
    [CGROUP_FREEZER] = "freezer",
};
static_assert(sizeof(cgroup_controller_names) / sizeof(*cgroup_controller_names) ==
                  CGROUP_CONTROLLERS,
              "a name each");

enum { MOUNTINFO_MAX_BYTES = 16 << 20, PROBE_DIGITS = 8 };

/* One line of mountinfo: "31 23 0:28 ROOT POINT OPTIONS … - TYPE SOURCE SUPER_OPTIONS". */
struct mount_line {
    struct str root, point, type, super_options;
};

static bool next_word(struct str *rest, struct str *ret)
{
    if (rest->len == 0)
        return false;
    if (!str_cut(*rest, ' ', ret, rest))
        *rest = (struct str){NULL, 0};
    return true;
}

static bool parse_mount_line(struct str line, struct mount_line *ret)
{
    struct str skipped;

    for (int i = 0; i < 3; i++)
        if (!next_word(&line, &skipped))
            return false;
    if (!next_word(&line, &ret->root) || !next_word(&line, &ret->point))
        return false;
    do
        if (!next_word(&line, &skipped))
            return false;
    while (!str_is(skipped, "-"));
    return next_word(&line, &ret->type) && next_word(&line, &skipped) &&
           next_word(&line, &ret->super_options);
}

static bool has_option(struct str options, const char *name)
{
    struct str option;

    while (options.len > 0) {
        if (!str_cut(options, ',', &option, &options))
            options = (struct str){NULL, 0};
        if (str_is(option, name))
            return true;
    }
    return false;
}

/* Our own group in the hierarchy with that controller (NULL = v2), from /proc/self/cgroup. */
static struct str own_group(struct str table, const char *controller)
{
    struct str line, number, rest, controllers, path;

    while (table.len > 0) {
        if (!str_cut(table, '\n', &line, &table))
            table = (struct str){NULL, 0};
        if (!str_cut(line, ':', &number, &rest) || !str_cut(rest, ':', &controllers, &path))
            continue;
        if (controller ? has_option(controllers, controller) : controllers.len == 0)
            return path;
    }
    return STR("/");
}

/* Can groups be made below? Also makes the "berth" directory. */
static bool is_usable(const char *root)
{
    cleanup_buf struct buf path = BUF_INIT;
    char digits[PROBE_DIGITS + 1];

    buf_printf(&path, "%s/" CGROUP_TOP, root);
    if (mkdir(buf_text(&path), CGROUP_DIRECTORY_MODE) != 0 && errno != EEXIST)
        return false;
    random_hex(digits, PROBE_DIGITS);
    buf_printf(&path, "/.probe-%s", digits);
    if (mkdir(buf_text(&path), CGROUP_DIRECTORY_MODE) != 0)
        return false;
    return rmdir(buf_text(&path)) == 0;
}

/* The directory of a hierarchy in which we make groups, or NULL. */
static const char *choose_root(struct arena *arena, const struct mount_line *mount, struct str own)
{
    const char *top = arena_strndup(arena, mount->point.data, mount->point.len);

    if (is_usable(top))
        return top;
    if (!str_is(mount->root, "/")) {
        if (own.len < mount->root.len || memcmp(own.data, mount->root.data, mount->root.len) != 0)
            return NULL; /* the mount doesn't show our group */
        own.data += mount->root.len;
        own.len -= mount->root.len;
    }
    if (own.len == 0 || str_is(own, "/"))
        return NULL;

    const char *below = arena_printf(arena, "%s" STR_FMT, top, STR_ARG(own));

    return is_usable(below) ? below : NULL;
}

static void take_mount(struct arena *arena, const struct mount_line *mount, struct str own_groups,
                       struct cgroup_layout *layout)
{
    if (str_is(mount->type, "cgroup2")) {
        if (!layout->v2_root)
            layout->v2_root = choose_root(arena, mount, own_group(own_groups, NULL));
        return;
    }

    const char *root = NULL;

    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++) {
        if (layout->v1_roots[c] || !has_option(mount->super_options, cgroup_controller_names[c]))
            continue;
        if (!root)
            root = choose_root(arena, mount, own_group(own_groups, cgroup_controller_names[c]));
        layout->v1_roots[c] = root;
    }
}

static uint32_t parse_controllers(struct str list)
{
    uint32_t set = 0;
    struct str word;

    list = str_trim(list);
    while (next_word(&list, &word))
        for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++)
            if (str_is(word, cgroup_controller_names[c]))
                set |= 1U << c;
    return set;
}

/* Controllers that v2 has and that can be handed down to berth/. */
static void probe_v2_controllers(struct cgroup_layout *layout)
{
    cleanup_buf struct buf names = BUF_INIT;
    cleanup_buf struct buf path = BUF_INIT;
    cleanup_fd int root_fd = open(layout->v2_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_fd int top_fd = -1;

    if (root_fd < 0 || group_read(root_fd, "cgroup.controllers", &names) < 0)
        return;
    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++) {
        if (!(parse_controllers(buf_str(&names)) & 1U << c))
            continue;
        buf_clear(&path);
        buf_printf(&path, "+%s", cgroup_controller_names[c]);

        int r = group_write(root_fd, "cgroup.subtree_control", buf_text(&path));

        if (r < 0)
            trace(TRACE_CONTAINER, "controller %s stays unused: %s", cgroup_controller_names[c],
                  errno_name(-r));
    }

    buf_clear(&names);
    if (group_open(layout->v2_root, NULL, NULL, &top_fd, NULL) != 0 ||
        group_read(top_fd, "cgroup.controllers", &names) < 0)
        return;
    layout->v2_controllers = parse_controllers(buf_str(&names));
    if (layout->v2_controllers & 1U << CGROUP_CPU)
        layout->v2_controllers |= 1U << CGROUP_CPUACCT;
}

/* Attaching to the (empty) top group and taking it away again tells more than a version number. */
static bool probe_device_filter(int top_fd)
{
    struct bpf_insn insns[DEVICE_PROGRAM_INSNS_PER_RULE];
    cleanup_fd int program_fd = -1;

    return device_program_load(insns, device_program_make(NULL, 0, insns), &program_fd, NULL) ==
               0 &&
           device_program_attach(top_fd, program_fd, false, NULL) == 0 &&
           device_program_detach(top_fd, NULL) == 0;
}

static void probe_v2(struct cgroup_layout *layout)
{
    cleanup_buf struct buf probe = BUF_INIT;
    cleanup_fd int probe_fd = -1;
    char digits[PROBE_DIGITS + 1];

    probe_v2_controllers(layout);

    /* in a group of its own: the device filter denies all */
    random_hex(digits, PROBE_DIGITS);
    buf_printf(&probe, "%s/" CGROUP_TOP "/.probe-%s", layout->v2_root, digits);
    if (mkdir(buf_text(&probe), CGROUP_DIRECTORY_MODE) != 0)
        return;
    probe_fd = open(buf_text(&probe), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (probe_fd >= 0) {
        layout->has_kill = faccessat(probe_fd, "cgroup.kill", F_OK, 0) == 0;
        layout->has_device_filter = probe_device_filter(probe_fd);
    }
    (void)rmdir(buf_text(&probe)); /* empty; a leftover would harm nobody */
}

int cgroup_detect(struct arena *arena, struct cgroup_layout *ret, struct error *err)
{
    cleanup_buf struct buf mounts = BUF_INIT;
    cleanup_buf struct buf own = BUF_INIT;
    struct cgroup_layout layout = {0};
    struct str line, rest;

    if (fs_read_file(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX_BYTES, &mounts, err) < 0 ||
        fs_read_file(AT_FDCWD, "/proc/self/cgroup", MOUNTINFO_MAX_BYTES, &own, err) < 0)
        return error_wrap(err, "look for control groups");

    for (rest = buf_str(&mounts); rest.len > 0;) {
        struct mount_line mount;

        if (!str_cut(rest, '\n', &line, &rest))
            rest = (struct str){NULL, 0};
        if (parse_mount_line(line, &mount) &&
            (str_is(mount.type, "cgroup") || str_is(mount.type, "cgroup2")))
            take_mount(arena, &mount, buf_str(&own), &layout);
    }
    if (layout.v2_root)
        probe_v2(&layout);
    if (!lifecycle_hierarchy(&layout).root)
        return error_set(err, ERROR_UNSUPPORTED,
                         "no control group hierarchy is mounted in which groups can be made "
                         "(mount -t cgroup2 none /sys/fs/cgroup)");
    *ret = layout;
    return 0;
}

/* ------------------------------------------------------------------ JSON */

json_t *cgroup_layout_to_json(const struct cgroup_layout *layout)
{
    json_t *json = json_object();
    json_t *v1 = json_object();
    json_t *v2 = json_array();

    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++) {
        json_set_text(v1, cgroup_controller_names[c], layout->v1_roots[c]);
        if (layout->v2_controllers & 1U << c)
            json_array_append_new(v2, json_string(cgroup_controller_names[c]));
    }
    json_set_text(json, "v2", layout->v2_root);
    json_set_take(json, "v2_controllers", v2);
    json_set_take(json, "v1", v1);
    json_set_bool(json, "kill", layout->has_kill);
    json_set_bool(json, "device_filter", layout->has_device_filter);
    return json;
}

int cgroup_layout_from_json(struct arena *arena, const json_t *json, struct cgroup_layout *ret,
                            struct error *err)
{
    struct cgroup_layout layout = {0};
    const json_t *v1 = json_object_get(json, "v1");
    struct strings v2 = json_strings(arena, json, "v2_controllers");

    layout.v2_root = arena_strdup(arena, json_text_or(json, "v2", NULL));
    layout.has_kill = json_bool_or(json, "kill", false);
    layout.has_device_filter = json_bool_or(json, "device_filter", false);
    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++) {
        layout.v1_roots[c] =
            arena_strdup(arena, json_text_or(v1, cgroup_controller_names[c], NULL));
        if (strings_contain(&v2, cgroup_controller_names[c]))
            layout.v2_controllers |= 1U << c;
    }
    if (!lifecycle_hierarchy(&layout).root)
        return error_set(err, ERROR_INVALID, "the record of control groups names no hierarchy");
    *ret = layout;
    return 0;
}
