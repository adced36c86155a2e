/* Directories and files of control groups. */

#include "engine/cgroup/group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/units.h"
#include "engine/base/vec.h"

enum {
    FILE_MAX_BYTES = 1 << 20, /* cgroup.procs of a group with a hundred thousand processes */
    GROUPS_MAX = 10000,       /* that a container may have made below its own */
    NAME_MAX_BYTES = 255,
};

struct hierarchies hierarchies_of(const struct cgroup_layout *layout)
{
    struct hierarchies all = {.n = 0};

    if (layout->v2_root)
        all.items[all.n++] = (struct hierarchy){layout->v2_root, true, CGROUP_CPU};
    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++) {
        bool is_new = layout->v1_roots[c] != NULL;

        for (size_t i = 0; i < all.n && is_new; i++)
            is_new = !text_equal(all.items[i].root, layout->v1_roots[c]);
        if (is_new)
            all.items[all.n++] = (struct hierarchy){layout->v1_roots[c], false, c};
    }
    return all;
}

struct hierarchy lifecycle_hierarchy(const struct cgroup_layout *layout)
{
    struct hierarchies all = hierarchies_of(layout);

    if (!layout->v2_root && layout->v1_roots[CGROUP_FREEZER])
        return (struct hierarchy){layout->v1_roots[CGROUP_FREEZER], false, CGROUP_FREEZER};
    return all.n > 0 ? all.items[0] : (struct hierarchy){NULL, false, CGROUP_CPU};
}

int group_check_name(const char *name, const char *what, struct error *err)
{
    size_t len = strlen(name);

    if (len == 0 || len > NAME_MAX_BYTES || strchr(name, '/') || strchr(name, '\n') ||
        text_equal(name, ".") || text_equal(name, "..") || text_equal(name, CGROUP_KEEPER))
        return error_set(err, ERROR_INVALID, "\"%.60s\" can't be the name of a %s", name, what);
    return 0;
}

void group_path(struct buf *out, const char *root, const char *project, const char *name)
{
    buf_printf(out, "%s/" CGROUP_TOP, root);
    if (project)
        buf_printf(out, "/%s", project);
    if (name)
        buf_printf(out, "/%s", name);
}

int group_open(const char *root, const char *project, const char *name, int *ret_fd,
               struct error *err)
{
    cleanup_buf struct buf path = BUF_INIT;

    /* All components are ours, nobody else writes there: a whole path is as good as steps. */
    group_path(&path, root, project, name);

    cleanup_fd int fd = open(buf_text(&path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return 1;
    if (fd < 0)
        return error_sys(err, errno, "open control group \"%s\"", buf_text(&path));
    *ret_fd = fd_take(&fd);
    return 0;
}

int group_write(int group_fd, const char *file, const char *value)
{
    cleanup_fd int fd = openat(group_fd, file, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, value, strlen(value)) < 0)
        return -errno;
    return 0;
}

int group_read(int group_fd, const char *file, struct buf *ret)
{
    struct error err = ERROR_INIT;

    if (fs_read_file(group_fd, file, FILE_MAX_BYTES, ret, &err) < 0)
        return err.errnum ? -err.errnum : -EIO;
    return 0;
}

int64_t group_read_field(int group_fd, const char *file, const char *key, int64_t missing)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct str line, rest, name, value;
    int64_t number;

    if (group_read(group_fd, file, &text) < 0)
        return missing;
    for (rest = buf_str(&text); rest.len > 0;) {
        if (!str_cut(rest, '\n', &line, &rest))
            rest = (struct str){NULL, 0};
        if (str_cut(line, ' ', &name, &value) && str_is(name, key) &&
            parse_i64(str_trim(value), 0, INT64_MAX, &number, NULL) == 0)
            return number;
    }
    return missing;
}

int64_t group_read_number(int group_fd, const char *file, int64_t missing)
{
    cleanup_buf struct buf text = BUF_INIT;
    int64_t number;

    if (group_read(group_fd, file, &text) < 0 ||
        parse_i64(str_trim(buf_str(&text)), INT64_MIN, INT64_MAX, &number, NULL) < 0)
        return missing;
    return number;
}

static int list_one(int group_fd, const char *below, struct arena *arena, struct strings *ret)
{
    cleanup_fd int fd = openat(group_fd, below, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    cleanup_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    VEC(const char *) found = VEC_INIT;

    if (!dir)
        return errno == ENOENT ? 0 : -errno; /* it went meanwhile */
    (void)fd_take(&fd);                      /* the DIR has it now */

    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_type != DT_DIR || text_equal(entry->d_name, ".") ||
            text_equal(entry->d_name, ".."))
            continue;
        vec_push(&found, text_equal(below, ".")
                             ? arena_strdup(arena, entry->d_name)
                             : arena_printf(arena, "%s/%s", below, entry->d_name));
    }
    ret->n = found.n;
    ret->items = found.n > 0 ? vec_to_arena(&found, arena) : NULL;
    vec_release(&found);
    return 0;
}

int group_list_below(int group_fd, struct arena *arena, struct strings *ret, struct error *err)
{
    VEC(const char *) all = VEC_INIT;
    struct strings some = {NULL, 0};
    int r = list_one(group_fd, ".", arena, &some);

    for (size_t i = 0; r == 0; i++) {
        for (size_t k = 0; k < some.n && all.n < GROUPS_MAX; k++)
            vec_push(&all, some.items[k]);
        if (i == all.n)
            break;
        some = (struct strings){NULL, 0};
        r = list_one(group_fd, all.items[i], arena, &some);
    }
    if (r == 0)
        *ret = (struct strings){all.n > 0 ? vec_to_arena(&all, arena) : NULL, all.n};
    vec_release(&all);
    return r < 0 ? error_sys(err, -r, "list control groups") : 0;
}
