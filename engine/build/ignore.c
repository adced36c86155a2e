/* .dockerignore. */

#include "engine/build/ignore.h"

#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/path.h"
#include "engine/base/vec.h"

/* "!foo/./bar/" → exception, "foo/bar". 1: nothing on the line. */
static int read_rule(struct arena *arena, struct str line, struct ignore_rule *ret,
                     struct error *err)
{
    *ret = (struct ignore_rule){0};
    if (line.len > 0 && line.data[0] == '#') /* in column 0 only */
        return 1;
    line = str_trim(line);
    if (line.len == 0)
        return 1;
    if (line.data[0] == '!') {
        ret->is_exception = true;
        line = str_trim((struct str){line.data + 1, line.len - 1});
        if (line.len == 0)
            return error_set(err, ERROR_INVALID, "a lone \"!\"");
    }
    const char *path = path_clean(arena, arena_strndup(arena, line.data, line.len));
    if (path[0] == '/')
        path++;
    if (path[0] == '\0')
        return 1; /* "/" leaves nothing to match */
    return path_pattern_parse(arena, path, PATTERN_IGNORE, &ret->pattern, err);
}

int ignore_parse(struct arena *arena, const char *name, struct str text, struct ignore *ret,
                 struct error *err)
{
    VEC(struct ignore_rule) rules = VEC_INIT;
    size_t number = 0;
    int r = 0;

    *ret = (struct ignore){0};
    if (text.len > IGNORE_BYTES_MAX)
        return error_set(err, ERROR_INVALID, "%s: larger than %d bytes", name, IGNORE_BYTES_MAX);
    if (text.len > 0 && memchr(text.data, 0, text.len) != NULL)
        return error_set(err, ERROR_INVALID, "%s: holds a NUL byte", name);
    if (str_starts_with(text, "\xef\xbb\xbf"))
        text = (struct str){text.data + 3, text.len - 3};
    while (r >= 0 && text.len > 0) {
        struct str line = text, rest = {NULL, 0};
        struct ignore_rule rule;
        (void)str_cut(text, '\n', &line, &rest); /* the last line has no end */
        text = rest;
        number++;
        r = read_rule(arena, line, &rule, err);
        if (r == 0) {
            vec_push(&rules, rule);
            ret->has_exceptions = ret->has_exceptions || rule.is_exception;
        }
        if (r >= 0 && rules.n > IGNORE_RULES_MAX)
            r = error_set(err, ERROR_INVALID, "more than %d rules", IGNORE_RULES_MAX);
    }
    ret->rules = vec_to_arena(&rules, arena);
    ret->n = rules.n;
    vec_release(&rules);
    return r < 0 ? error_wrap(err, "%s:%zu", name, number) : 0;
}

bool ignore_excludes(const struct ignore *ignore, const char *path, const uint8_t *parent,
                     uint8_t *ret_marks)
{
    bool excluded = false;

    for (size_t i = 0; i < ignore->n; i++) {
        const struct ignore_rule *rule = &ignore->rules[i];
        bool matches = parent != NULL && parent[i] != 0;
        /* A rule that can't change the answer need not be tried, unless its mark is wanted. */
        if (!matches && (ret_marks != NULL || rule->is_exception == excluded))
            matches = path_pattern_matches(&rule->pattern, path);
        if (ret_marks != NULL)
            ret_marks[i] = matches;
        if (matches)
            excluded = !rule->is_exception;
    }
    return excluded;
}

bool ignore_excludes_path(struct arena *arena, const struct ignore *ignore, const char *path,
                          uint8_t *ret_marks)
{
    char *part = arena_strdup(arena, path);
    bool excluded = false;

    memset(ret_marks, 0, ignore->n);
    for (char *slash = part;; slash++) {
        slash = strchr(slash, '/');
        if (slash != NULL)
            *slash = '\0';
        excluded = ignore_excludes(ignore, part, ret_marks, ret_marks);
        if (slash == NULL)
            return excluded;
        *slash = '/';
    }
}

bool ignore_may_have_exceptions_below(const struct ignore *ignore, const char *dir)
{
    size_t dir_len = strlen(dir);

    for (size_t i = 0; ignore->has_exceptions && i < ignore->n; i++) {
        const struct path_pattern *pattern = &ignore->rules[i].pattern;
        if (!ignore->rules[i].is_exception)
            continue;
        size_t common = pattern->prefix_len < dir_len ? pattern->prefix_len : dir_len;
        if (strncmp(pattern->prefix, dir, common) != 0)
            continue;
        if (pattern->prefix_len > dir_len ? pattern->prefix[dir_len] == '/' : !pattern->is_literal)
            return true;
    }
    return false;
}
