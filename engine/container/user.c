/* Users and groups of an image. /etc/passwd and /etc/group are hostile: opened inside the root,
 * regular files only, bounded, read by this parser and never by NSS (CVE-2019-14271). Numbers are
 * strict: an id that overflows must not become root (CVE-2024-40635, CVE-2026-30892). */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/units.h"
#include "engine/base/vec.h"
#include "engine/container/container.h"

enum { FILE_MAX = 1 << 20, LINE_MAX_BYTES = 4096, GROUPS_MAX = 65536 };

static const uint64_t id_max = INT32_MAX;

/* Fields of a line, separated by ':'. */
enum { PASSWD_NAME, PASSWD_PASSWORD, PASSWD_UID, PASSWD_GID, PASSWD_GECOS, PASSWD_HOME };
enum { GROUP_NAME, GROUP_PASSWORD, GROUP_GID, GROUP_MEMBERS };
enum { FIELDS_MAX = 7 };

/* A missing file is an empty one. */
static int read_file(int root_fd, const char *path, struct buf *ret, struct error *err)
{
    cleanup_fd int fd = -1;
    struct error missing = ERROR_INIT;
    struct stat status;

    buf_init(ret, FILE_MAX);
    /* O_NONBLOCK: a fifo in its place must not hang us */
    if (fs_open_in_root(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, &missing) < 0) {
        if (missing.code == ERROR_NOT_FOUND || missing.errnum == ENOTDIR)
            return 0;
        if (err != NULL)
            *err = missing;
        return -1;
    }
    if (fstat(fd, &status) < 0)
        return error_sys(err, errno, "stat %s of the image", path);
    if (!S_ISREG(status.st_mode))
        return error_set(err, ERROR_INVALID, "%s of the image is not a regular file", path);
    if (fs_read_all(fd, ret, err) < 0)
        return error_wrap(err, "read %s of the image", path);
    return 0;
}

static bool next_line(struct str *rest, struct str *ret_line)
{
    while (rest->len > 0) {
        struct str tail = {NULL, 0};

        if (!str_cut(*rest, '\n', ret_line, &tail))
            tail = (struct str){NULL, 0};
        *rest = tail;
        *ret_line = str_trim(*ret_line);
        if (ret_line->len > 0 && ret_line->len <= LINE_MAX_BYTES && ret_line->data[0] != '#')
            return true;
    }
    return false;
}

static size_t split_fields(struct str line, struct str fields[static FIELDS_MAX])
{
    size_t n = 0;
    struct str tail;

    while (n < FIELDS_MAX - 1 && str_cut(line, ':', &fields[n], &tail)) {
        line = tail;
        n++;
    }
    fields[n++] = line;
    for (size_t i = n; i < FIELDS_MAX; i++)
        fields[i] = (struct str){"", 0};
    return n;
}

static bool parse_id(struct str text, uint64_t *ret)
{
    return text.len > 0 && text.data[0] != '+' && parse_u64(text, 0, id_max, ret, NULL) == 0;
}

static bool looks_like_number(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return i > 0 ? false : (text.data[0] == '-' || text.data[0] == '+') && text.len > 1;
    }
    return text.len > 0;
}

/* The first line of /etc/passwd with that name, or that uid if `wanted` is a number. */
struct passwd_entry {
    struct str name, home;
    uint64_t uid, gid;
};

static bool find_passwd(struct str text, struct str wanted, bool is_number, uint64_t uid,
                        struct passwd_entry *ret)
{
    struct str line, fields[FIELDS_MAX];

    while (next_line(&text, &line)) {
        struct passwd_entry entry;

        if (split_fields(line, fields) < 4 || !parse_id(fields[PASSWD_UID], &entry.uid) ||
            !parse_id(fields[PASSWD_GID], &entry.gid))
            continue;
        if (is_number ? entry.uid != uid : !str_equal(fields[PASSWD_NAME], wanted))
            continue;
        entry.name = fields[PASSWD_NAME];
        entry.home = fields[PASSWD_HOME];
        *ret = entry;
        return true;
    }
    return false;
}

static bool find_group(struct str text, struct str wanted, uint64_t *ret_gid)
{
    struct str line, fields[FIELDS_MAX];

    while (next_line(&text, &line)) {
        if (split_fields(line, fields) >= 3 && str_equal(fields[GROUP_NAME], wanted) &&
            parse_id(fields[GROUP_GID], ret_gid))
            return true;
    }
    return false;
}

static bool lists_member(struct str members, struct str name)
{
    struct str member, tail;
    bool has_more = true;

    while (has_more) {
        has_more = str_cut(members, ',', &member, &tail);
        if (str_equal(str_trim(member), name))
            return true;
        members = tail;
    }
    return false;
}

static int compare_gids(const void *a, const void *b)
{
    gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;

    return (x > y) - (x < y);
}

/* The groups that list the user, and its own. */
static void collect_groups(struct arena *arena, struct str text, struct str name,
                           struct user_resolved *user)
{
    VEC(gid_t) groups = VEC_INIT;
    struct str line, fields[FIELDS_MAX];
    gid_t *kept;

    vec_push(&groups, user->gid);
    while (name.len > 0 && groups.n < GROUPS_MAX && next_line(&text, &line)) {
        uint64_t gid;

        if (split_fields(line, fields) >= 4 && parse_id(fields[GROUP_GID], &gid) &&
            lists_member(fields[GROUP_MEMBERS], name))
            vec_push(&groups, (gid_t)gid);
    }
    qsort(groups.items, groups.n, sizeof(*groups.items), compare_gids);
    kept = arena_new_array(arena, gid_t, groups.n);
    user->n_groups = 0;
    for (size_t i = 0; i < groups.n; i++) {
        if (user->n_groups == 0 || kept[user->n_groups - 1] != groups.items[i])
            kept[user->n_groups++] = groups.items[i];
    }
    user->groups = kept;
    vec_release(&groups);
}

static int resolve_group(struct str group, struct str text, gid_t *ret, struct error *err)
{
    uint64_t gid;

    if (parse_id(group, &gid)) {
        *ret = (gid_t)gid;
        return 0;
    }
    if (looks_like_number(group))
        return error_set(err, ERROR_INVALID, "group \"" STR_FMT "\" is not in 0…2147483647",
                         STR_ARG(group));
    if (!find_group(text, group, &gid))
        return error_set(err, ERROR_NOT_FOUND,
                         "group \"" STR_FMT "\" is not in /etc/group of the image", STR_ARG(group));
    *ret = (gid_t)gid;
    return 0;
}

static int resolve_name(struct str name, struct str passwd, struct passwd_entry *ret,
                        struct error *err)
{
    uint64_t uid = 0;
    bool is_number = name.len == 0 || parse_id(name, &uid);

    if (!is_number && looks_like_number(name))
        return error_set(err, ERROR_INVALID, "user \"" STR_FMT "\" is not in 0…2147483647",
                         STR_ARG(name));
    if (find_passwd(passwd, name, is_number, uid, ret))
        return 0;
    if (!is_number)
        return error_set(err, ERROR_NOT_FOUND,
                         "user \"" STR_FMT "\" is not in /etc/passwd of the image", STR_ARG(name));
    *ret = (struct passwd_entry){.uid = uid};
    return 0;
}

int user_resolve(struct arena *arena, int root_fd, const char *user, struct user_resolved *ret,
                 struct error *err)
{
    cleanup_buf struct buf passwd = BUF_INIT, groups = BUF_INIT;
    struct str name, group = {NULL, 0};
    struct passwd_entry entry;
    struct user_resolved found = {.home = "/"};
    bool has_group = str_cut(str_from(user), ':', &name, &group);

    if (read_file(root_fd, "etc/passwd", &passwd, err) < 0 ||
        read_file(root_fd, "etc/group", &groups, err) < 0 ||
        resolve_name(name, buf_str(&passwd), &entry, err) < 0)
        return -1;
    found.uid = (uid_t)entry.uid;
    found.gid = (gid_t)entry.gid;
    if (has_group && group.len > 0) {
        if (resolve_group(group, buf_str(&groups), &found.gid, err) < 0)
            return -1;
        found.groups = arena_memdup(arena, &found.gid, sizeof(gid_t));
        found.n_groups = 1;
    } else {
        collect_groups(arena, buf_str(&groups), entry.name, &found);
    }
    if (entry.home.len > 0)
        found.home = arena_strndup(arena, entry.home.data, entry.home.len);
    *ret = found;
    return 0;
}
