/* Dockerfile text → physical lines → logical lines.
 *
 * A line that ends with the escape character goes on in the next one; comment lines and empty lines
 * in between vanish. Only the first physical line loses its leading white space. */

#include "engine/build/lines.h"

#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/vec.h"
#include "engine/build/dockerfile.h"
#include "engine/build/words.h"

static struct str trim_line_end(struct str line)
{
    while (line.len > 0 && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
        line.len--;
    return line;
}

static struct str trim_left(struct str text)
{
    while (text.len > 0 && word_is_blank(text.data[0])) {
        text.data++;
        text.len--;
    }
    return text;
}

/* jansson refuses text that is not UTF-8: so do we, because names end up in JSON. */
static bool is_utf8(struct str text)
{
    cleanup_json json_t *string = json_stringn(text.data, text.len);
    return string != NULL;
}

static int check_text(const struct dockerfile *file, struct str text, struct error *err)
{
    if (text.len > DOCKERFILE_BYTES_MAX)
        return error_set(err, ERROR_INVALID, "%s: larger than %d bytes", file->name,
                         DOCKERFILE_BYTES_MAX);
    if (text.len > 0 && memchr(text.data, 0, text.len) != NULL)
        return error_set(err, ERROR_INVALID, "%s: holds a NUL byte", file->name);
    if (!is_utf8(text))
        return error_set(err, ERROR_INVALID, "%s: is not UTF-8 text", file->name);
    if (str_trim(text).len == 0)
        return error_set(err, ERROR_INVALID, "%s: is empty", file->name);
    return 0;
}

static int split_lines(struct arena *arena, struct str text, struct dockerfile *file,
                       struct error *err)
{
    VEC(struct str) lines = VEC_INIT;
    int r = 0;

    if (str_starts_with(text, "\xef\xbb\xbf")) /* byte order mark */
        text = (struct str){text.data + 3, text.len - 3};
    while (text.len > 0) {
        const char *end = memchr(text.data, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.data) + 1 : text.len;
        vec_push(&lines, trim_line_end((struct str){text.data, len}));
        text = (struct str){text.data + len, text.len - len};
        if (lines.n > DOCKERFILE_LINES_MAX || vec_last(&lines)->len > DOCKERFILE_LINE_BYTES_MAX) {
            r = error_set(err, ERROR_INVALID, "%s:%zu: more than %d %s", file->name, lines.n,
                          lines.n > DOCKERFILE_LINES_MAX ? DOCKERFILE_LINES_MAX
                                                         : DOCKERFILE_LINE_BYTES_MAX,
                          lines.n > DOCKERFILE_LINES_MAX ? "lines" : "bytes in one line");
            break;
        }
    }
    file->lines = vec_to_arena(&lines, arena);
    file->n_lines = lines.n;
    vec_release(&lines);
    return r;
}

/* "# key = value" with a known key. */
static bool split_directive(struct str line, struct str *ret_key, struct str *ret_value)
{
    static const char *const keys[] = {"syntax", "escape", "check"};
    struct str text = str_trim(line), key, value;

    if (text.len == 0 || text.data[0] != '#')
        return false;
    text = (struct str){text.data + 1, text.len - 1};
    if (!str_cut(text, '=', &key, &value))
        return false;
    key = str_trim(key);
    value = str_trim(value);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (key.len == strlen(keys[i]) && strncasecmp(key.data, keys[i], key.len) == 0 &&
            value.len > 0) {
            *ret_key = str_from(keys[i]);
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static int read_directive(struct arena *arena, struct dockerfile *file, uint32_t line,
                          struct str key, struct str value, struct error *err)
{
    if (str_is(key, "escape")) {
        if (!str_is(value, "\\") && !str_is(value, "`"))
            return dockerfile_error(file, line, err, ERROR_INVALID,
                                    "invalid escape \"" STR_FMT "\": must be \\ or `",
                                    STR_ARG(value));
        file->escape = value.data[0];
        return 0;
    }
    if (str_is(key, "check"))
        return dockerfile_error(file, line, err, ERROR_UNSUPPORTED,
                                "the directive \"check\" is not supported: remove the line");
    file->syntax = arena_strndup(arena, value.data, value.len);
    return 0;
}

/* Leading lines only: the first that is no directive ends them for good. */
static int read_directives(struct arena *arena, struct dockerfile *file, size_t *ret_first,
                           struct error *err)
{
    struct str seen[3], key, value;
    size_t n_seen = 0, at = 0;

    for (; at < file->n_lines && split_directive(file->lines[at], &key, &value); at++) {
        for (size_t i = 0; i < n_seen; i++)
            if (str_equal(seen[i], key))
                return dockerfile_error(file, (uint32_t)at + 1, err, ERROR_INVALID,
                                        "the directive \"" STR_FMT "\" is given twice",
                                        STR_ARG(key));
        seen[n_seen++] = key;
        if (read_directive(arena, file, (uint32_t)at + 1, key, value, err) < 0)
            return -1;
    }
    *ret_first = at;
    return 0;
}

int dockerfile_read_lines(struct arena *arena, const char *name, struct str text,
                          struct dockerfile *ret, size_t *ret_first, struct error *err)
{
    *ret = (struct dockerfile){.name = arena_strdup(arena, name), .escape = '\\'};
    if (check_text(ret, text, err) < 0 || split_lines(arena, text, ret, err) < 0)
        return -1;
    return read_directives(arena, ret, ret_first, err);
}

/* Cuts the continuation character off; an escaped one (\\ at the end) does not continue. */
static bool cut_continuation(struct str *line, char escape)
{
    size_t len = line->len;

    while (len > 0 && (line->data[len - 1] == ' ' || line->data[len - 1] == '\t'))
        len--;
    if (len == 0 || line->data[len - 1] != escape)
        return false;
    if (len >= 2 && line->data[len - 2] == escape)
        return false;
    line->len = len - 1;
    return true;
}

int dockerfile_next_line(struct arena *arena, const struct dockerfile *file, size_t *at,
                         struct str *ret, uint32_t *ret_line)
{
    cleanup_buf struct buf text = BUF_INIT;
    bool continues = false;

    for (; *at < file->n_lines; (*at)++) {
        struct str line = file->lines[*at], bare = trim_left(line);
        if (bare.len == 0 || bare.data[0] == '#')
            continue;
        if (text.len == 0) {
            line = bare;
            *ret_line = (uint32_t)*at + 1;
        }
        continues = cut_continuation(&line, file->escape);
        buf_add_str(&text, line);
        if (!continues && str_trim(buf_str(&text)).len > 0) {
            (*at)++;
            break;
        }
    }
    struct str joined = str_trim(buf_str(&text));
    if (joined.len == 0)
        return 1;
    *ret = (struct str){arena_strndup(arena, joined.data, joined.len), joined.len};
    return 0;
}
