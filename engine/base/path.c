/* Lexical path work. */

#include "engine/base/path.h"

#include <stddef.h>
#include <string.h>

#include "engine/base/arena.h"

bool path_is_absolute(const char *path)
{
    return path[0] == '/';
}

/* Drop the last component of out[0..len), but not past `floor`. Returns the new length. */
static size_t drop_component(const char *out, size_t len, size_t floor)
{
    while (len > floor && out[len - 1] != '/')
        len--;
    if (len > floor)
        len--;
    return len;
}

char *path_clean(struct arena *arena, const char *path)
{
    char *out = arena_alloc(arena, strlen(path) + 2);
    bool rooted = path_is_absolute(path);
    size_t len = 0, floor; /* ".." may not drop what is before floor */

    if (rooted)
        out[len++] = '/';
    floor = len;

    while (*path) {
        size_t n = strcspn(path, "/");
        bool is_dot = n == 1 && path[0] == '.';
        bool is_parent = n == 2 && path[0] == '.' && path[1] == '.';

        if (is_parent && len > floor) {
            len = drop_component(out, len, floor);
        } else if (n && !is_dot && !(is_parent && rooted)) {
            if (len > (rooted ? 1U : 0U))
                out[len++] = '/';
            memcpy(out + len, path, n);
            len += n;
            if (is_parent)
                floor = len;
        }
        path += n;
        path += strspn(path, "/");
    }

    if (!len)
        out[len++] = '.';
    out[len] = '\0';
    return out;
}

char *path_join(struct arena *arena, const char *base, const char *path)
{
    if (path_is_absolute(path))
        return path_clean(arena, path);
    return path_clean(arena, arena_printf(arena, "%s/%s", base[0] ? base : ".", path));
}

char *path_dir(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return arena_strdup(arena, ".");
    return path_clean(arena, arena_strndup(arena, path, (size_t)(slash - path) + 1));
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

bool path_is_below(const char *path, const char *root)
{
    size_t n = strlen(root);

    if (strcmp(root, "/") == 0)
        return path_is_absolute(path);
    return strncmp(path, root, n) == 0 && (path[n] == '\0' || path[n] == '/');
}
