/* Words in mount options. */

#include <linux/mount.h>
#include <sys/mount.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "engine/container/setup.h"
#include "engine/engine.h"

enum { TMPFS_OPTIONS_MAX = 900, MODE_MAX = 07777 };

/* Words that set or clear a bit of the mount. */
struct flag_word {
    const char *word;
    uint64_t set, clear;
};

static const struct flag_word tmpfs_flags[] = {
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, MOUNT_ATTR_RDONLY},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"noatime", MOUNT_ATTR_NOATIME, 0},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"relatime", 0, MOUNT_ATTR_NOATIME},
    {"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR_NOATIME},
};

/* Words with a value that go to the file system. The kernel checks the values. */
static const char *const tmpfs_keys[] = {
    "size=", "nr_blocks=", "nr_inodes=", "mode=", "uid=", "gid=", "mpol=", "huge="};

static bool take_flag(struct str word, uint64_t *attributes)
{
    for (size_t i = 0; i < sizeof(tmpfs_flags) / sizeof(*tmpfs_flags); i++) {
        if (!str_is(word, tmpfs_flags[i].word))
            continue;
        *attributes = (*attributes | tmpfs_flags[i].set) & ~tmpfs_flags[i].clear;
        return true;
    }
    return false;
}

static void add_option(struct buf *out, struct str word)
{
    if (out->len > 0)
        buf_add_char(out, ',');
    buf_add_str(out, word);
}

/* One word of the raw list. *has_mode: the mode is given. */
static int take_word(struct str word, struct buf *options, uint64_t *attributes, bool *has_mode,
                     struct error *err)
{
    if (word.len == 0 || take_flag(word, attributes))
        return 0;
    for (size_t i = 0; i < sizeof(tmpfs_keys) / sizeof(*tmpfs_keys); i++) {
        if (!str_starts_with(word, tmpfs_keys[i]))
            continue;
        *has_mode = *has_mode || str_starts_with(word, "mode=");
        add_option(options, word);
        return 0;
    }
    return error_set(err, ERROR_INVALID, "option \"" STR_FMT "\" is unknown", STR_ARG(word));
}

int tmpfs_options_make(struct arena *arena, const struct mount_spec *spec,
                       struct tmpfs_options *ret, struct error *err)
{
    cleanup_buf struct buf options = BUF_INIT;
    struct str rest = str_from(spec->options), word;
    uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    bool has_mode = false;

    buf_init(&options, TMPFS_OPTIONS_MAX);
    if (spec->mode > MODE_MAX)
        return error_set(err, ERROR_INVALID, "mode %o is out of range", (unsigned)spec->mode);
    if (spec->size_bytes > 0)
        buf_printf(&options, "size=%llu", (unsigned long long)spec->size_bytes);
    while (rest.len > 0) {
        if (!str_cut(rest, ',', &word, &rest))
            rest = (struct str){NULL, 0};
        if (take_word(word, &options, &attributes, &has_mode, err) < 0)
            return -1;
    }
    if (!has_mode) {
        if (options.len > 0)
            buf_add_char(&options, ',');
        buf_printf(&options, "mode=%o", spec->mode >= 0 ? (unsigned)spec->mode : 01777U);
    }
    if (options.truncated)
        return error_set(err, ERROR_INVALID, "the option list is too long");
    ret->options = arena_strdup(arena, buf_text(&options));
    ret->attributes = attributes;
    return 0;
}

int propagation_parse(const char *word, uint64_t *ret_propagation, bool *ret_is_recursive,
                      struct error *err)
{
    static const struct {
        const char *word;
        uint64_t flag;
    } words[] = {{"private", MS_PRIVATE}, {"shared", MS_SHARED}, {"slave", MS_SLAVE}};
    bool is_recursive;

    if (word == NULL)
        word = "rprivate";
    is_recursive = word[0] == 'r';
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (!text_equal(word + is_recursive, words[i].word))
            continue;
        *ret_propagation = words[i].flag;
        *ret_is_recursive = is_recursive;
        return 0;
    }
    return error_set(err, ERROR_INVALID,
                     "propagation \"%s\" is none of private, rprivate, shared, rshared, slave, "
                     "rslave",
                     word);
}
