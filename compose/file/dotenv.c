/* Env files: dotenv as Compose reads it, and the raw format of `docker run --env-file`. */

#include "compose/file/dotenv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "compose/file/interpolate.h"
#include "compose/file/report.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

enum { N_BUCKETS = 1024 };

struct reader {
    struct report *report;
    struct arena *arena;
    uint32_t file;
    const struct dotenv_scope *scope;
    struct str rest;
    uint32_t line;
    VEC(struct dotenv_entry) entries;
    VEC(uint32_t) previous;     /* of each entry: 1 + the one before it in its bucket */
    uint32_t newest[N_BUCKETS]; /* 1 + the last entry of a bucket; 0: none */
};

static int fail(struct reader *reader, const char *hint, const char *message)
{
    return report_error(reader->report, (struct span){reader->file, reader->line, 1}, hint, "%s",
                        message);
}

static void skip(struct reader *reader, size_t n)
{
    for (size_t i = 0; i < n; i++)
        reader->line += reader->rest.data[i] == '\n';
    reader->rest = (struct str){reader->rest.data + n, reader->rest.len - n};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static struct str trim_right(struct str s)
{
    while (s.len > 0 && (is_blank(s.data[s.len - 1]) || s.data[s.len - 1] == '\n'))
        s.len--;
    return s;
}

static void skip_blanks(struct reader *reader)
{
    size_t n = 0;

    while (n < reader->rest.len && is_blank(reader->rest.data[n]))
        n++;
    skip(reader, n);
}

/* To the end of the line, without it. */
static struct str line_of(struct str text)
{
    const char *end = text.len > 0 ? memchr(text.data, '\n', text.len) : NULL;

    return (struct str){text.data, end ? (size_t)(end - text.data) : text.len};
}

static void skip_line(struct reader *reader)
{
    size_t len = line_of(reader->rest).len;

    skip(reader, len < reader->rest.len ? len + 1 : len);
}

/* ---- values ---------------------------------------------------------------------------------- */

static size_t bucket_of(struct str name)
{
    uint32_t hash = 5381;

    for (size_t i = 0; i < name.len; i++)
        hash = hash * 33U ^ (unsigned char)name.data[i];
    return hash % N_BUCKETS;
}

static const char *find_defined(const void *context, struct str name)
{
    const struct reader *reader = context;
    const struct dotenv_scope *scope = reader->scope;
    const char *value = scope->outer->find(scope->outer->context, name);

    for (uint32_t i = reader->newest[bucket_of(name)]; i > 0 && !value;
         i = reader->previous.items[i - 1]) {
        if (str_is(name, reader->entries.items[i - 1].name))
            value = reader->entries.items[i - 1].value;
    }
    if (!value)
        value = scope->earlier->find(scope->earlier->context, name);
    return value;
}

static void warn_unset(void *context, struct str name)
{
    struct reader *reader = context;

    report_warning(reader->report, (struct span){reader->file, reader->line, 1}, NULL,
                   "the \"" STR_FMT "\" variable is not set, defaulting to a blank string",
                   STR_ARG(name));
}

static int expand_value(struct reader *reader, struct str raw, const char **ret)
{
    struct variables variables = {
        .find = find_defined, .context = reader, .warn_unset = warn_unset, .warn_context = reader};
    struct error error = ERROR_INIT;
    struct buf text;
    int result;

    buf_init(&text, INTERPOLATE_TEXT_MAX);
    result = interpolate_text(raw, &variables, &text, &error);
    if (result < 0)
        (void)fail(reader, NULL, error.text);
    else
        *ret = arena_strdup(reader->arena, buf_text(&text));
    buf_release(&text);
    return result;
}

/* Index of the quote that closes, or text.len. */
static size_t closing_quote(struct str text, char quote)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\\' && i + 1 < text.len && (quote == '"' || text.data[i + 1] == quote))
            i++;
        else if (text.data[i] == quote)
            return i;
    }
    return text.len;
}

/* What stands between single quotes: \' is the only escape. */
static const char *unquote_single(struct arena *arena, struct str body)
{
    char *text = arena_alloc(arena, body.len + 1);
    size_t n = 0;

    for (size_t i = 0; i < body.len; i++) {
        if (body.data[i] == '\\' && i + 1 < body.len && body.data[i + 1] == '\'')
            i++;
        text[n++] = body.data[i];
    }
    return text;
}

/* \0 and up to three octal digits: how many bytes it took. */
static size_t add_octal(struct buf *out, struct str digits)
{
    size_t n = 1;
    unsigned value = 0;

    while (n < digits.len && n < 4 && digits.data[n] >= '0' && digits.data[n] <= '7')
        value = value * 8 + (unsigned)(digits.data[n++] - '0');
    if (n == 1 || value == 0 || value > 255) {
        buf_add(out, "\\", 1);
        buf_add(out, digits.data, n);
    } else {
        buf_add_char(out, (char)value);
    }
    return n;
}

/* Escapes of double quotes; a literal dollar is doubled, because interpolation comes after. */
static void unescape_double(struct buf *out, struct str body)
{
    static const char from[] = "abcfnrtv\\\"";
    static const char into[] = "\a\b\0\f\n\r\t\v\\\"";

    for (size_t i = 0; i < body.len; i++) {
        char next = i + 1 < body.len ? body.data[i + 1] : 0;
        const char *known;

        if (body.data[i] != '\\' || !next) {
            buf_add_char(out, body.data[i]);
            continue;
        }
        i++;
        known = strchr(from, next);
        if (next == '$')
            buf_add_text(out, "$$");
        else if (next == 'c') /* "produce no further output" in the reference: nothing */
            continue;
        else if (known)
            buf_add_char(out, into[known - from]);
        else if (next == '0')
            i += add_octal(out, (struct str){body.data + i, body.len - i}) - 1;
        else
            buf_printf(out, "\\%c", next);
    }
}

static int check_after_quote(struct reader *reader)
{
    struct str tail = str_trim(line_of(reader->rest));

    if (tail.len > 0 && tail.data[0] != '#')
        return fail(reader, "end the value at the quote, or quote it whole",
                    "unexpected text after the closing quote");
    skip_line(reader);
    return 0;
}

static int read_quoted(struct reader *reader, const char **ret)
{
    char quote = reader->rest.data[0];
    struct str body = {reader->rest.data + 1, reader->rest.len - 1};
    size_t end = closing_quote(body, quote);
    int result = 0;

    if (end == body.len)
        return fail(reader, NULL, "unterminated quoted value");
    body.len = end;
    if (quote == '\'') {
        *ret = unquote_single(reader->arena, body);
    } else {
        struct buf text;

        buf_init(&text, DOTENV_FILE_MAX);
        unescape_double(&text, body);
        result = expand_value(reader, buf_str(&text), ret);
        buf_release(&text);
    }
    if (result < 0)
        return -1;
    skip(reader, end + 2);
    return check_after_quote(reader);
}

static int read_value(struct reader *reader, const char **ret)
{
    struct str value;

    skip_blanks(reader);
    if (reader->rest.len > 0 && (reader->rest.data[0] == '"' || reader->rest.data[0] == '\''))
        return read_quoted(reader, ret);
    value = line_of(reader->rest);
    for (size_t i = 0; i + 1 < value.len; i++) {
        if (value.data[i] == ' ' && value.data[i + 1] == '#')
            value.len = i;
    }
    if (expand_value(reader, trim_right(value), ret) < 0)
        return -1;
    skip_line(reader);
    return 0;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static bool is_key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char)c >= 0x80 || (c && strchr("_.-[]", c));
}

/* What is printed of other bytes could not be told apart. */
static int check_utf8(struct reader *reader, struct str name)
{
    return str_is_utf8(name) ? 0 : fail(reader, NULL, "a variable name is not valid UTF-8");
}

static int check_key(struct reader *reader, struct str key)
{
    for (size_t i = 0; i < key.len; i++) {
        if (is_blank(key.data[i]))
            return fail(reader, NULL, "key cannot contain a space");
        if (!is_key_char(key.data[i]))
            return fail(reader, NULL,
                        arena_printf(reader->arena,
                                     "unexpected character \"%c\" in variable name \"" STR_FMT "\"",
                                     (unsigned char)key.data[i] < 0x20 ? '?' : key.data[i],
                                     (int)(key.len < 80 ? key.len : 80), key.data));
    }
    return key.len > 0 ? check_utf8(reader, key) : fail(reader, NULL, "a variable name is missing");
}

static void add_entry(struct reader *reader, struct str name, const char *value, uint32_t line)
{
    uint32_t *newest = &reader->newest[bucket_of(name)];

    vec_push(&reader->previous, *newest);
    *newest = (uint32_t)reader->previous.n;
    vec_push(&reader->entries, (struct dotenv_entry){
                                   .name = arena_strndup(reader->arena, name.data, name.len),
                                   .value = value,
                                   .line = line,
                               });
}

static int read_definition(struct reader *reader)
{
    struct str line = line_of(reader->rest);
    uint32_t start = reader->line;
    const char *value = NULL;
    struct str key;
    size_t end = 0;

    if (str_starts_with(line, "export") && line.len > 6 && is_blank(line.data[6])) {
        skip(reader, 6);
        skip_blanks(reader);
        line = line_of(reader->rest);
    }
    while (end < line.len && line.data[end] != '=' && line.data[end] != ':')
        end++;
    key = trim_right((struct str){line.data, end});
    if (end == line.len) { /* a name alone; a comment may follow */
        struct str head;
        struct str tail;

        if (str_cut(key, '#', &head, &tail))
            key = trim_right(head);
    }
    if (check_key(reader, key) < 0)
        return -1;
    if (end == line.len) {
        skip_line(reader);
    } else {
        skip(reader, end + 1);
        if (read_value(reader, &value) < 0)
            return -1;
    }
    add_entry(reader, key, value, start);
    return 0;
}

static int read_raw_line(struct reader *reader)
{
    struct str line = line_of(reader->rest);
    struct str name;
    struct str value;
    bool has_value;

    if (line.len > 0 && line.data[line.len - 1] == '\r')
        line.len--;
    has_value = str_cut(line, '=', &name, &value);
    if (name.len == 0)
        return fail(reader, NULL,
                    arena_printf(reader->arena, "no variable name on line \"" STR_FMT "\"",
                                 (int)(line.len < 80 ? line.len : 80), line.data));
    for (size_t i = 0; i < name.len; i++) {
        if (is_blank(name.data[i]))
            return fail(reader, NULL,
                        arena_printf(reader->arena, "variable \"" STR_FMT "\" contains whitespaces",
                                     (int)(name.len < 80 ? name.len : 80), name.data));
    }
    if (check_utf8(reader, name) < 0)
        return -1;
    add_entry(reader, name, has_value ? arena_strndup(reader->arena, value.data, value.len) : NULL,
              reader->line);
    skip_line(reader);
    return 0;
}

static int read_lines(struct reader *reader, enum dotenv_format format)
{
    while (true) {
        int result;

        skip_blanks(reader);
        if (reader->rest.len == 0)
            return 0;
        if (reader->rest.data[0] == '\n' || reader->rest.data[0] == '#') {
            skip_line(reader);
            continue;
        }
        if (reader->entries.n == DOTENV_ENTRIES_MAX)
            return fail(reader, NULL, "too many variables in one file");
        result = format == DOTENV_RAW ? read_raw_line(reader) : read_definition(reader);
        if (result < 0)
            return -1;
    }
}

int dotenv_parse(struct report *report, uint32_t file, enum dotenv_format format,
                 const struct dotenv_scope *scope, struct dotenv *ret)
{
    struct reader reader = {
        .report = report,
        .arena = report->arena,
        .file = file,
        .scope = scope,
        .rest = report->sources.items[file].text,
        .line = 1,
    };
    const char *nul;
    int result;

    if (str_starts_with(reader.rest, "\xef\xbb\xbf"))
        reader.rest = (struct str){reader.rest.data + 3, reader.rest.len - 3};
    nul = reader.rest.len > 0 ? memchr(reader.rest.data, 0, reader.rest.len) : NULL;
    if (nul) {
        for (const char *at = reader.rest.data; at < nul; at++)
            reader.line += *at == '\n';
        return fail(&reader, NULL, "NUL byte: this is no text file");
    }
    result = read_lines(&reader, format);
    if (result == 0)
        *ret = (struct dotenv){.items = vec_to_arena(&reader.entries, report->arena),
                               .n = reader.entries.n};
    vec_release(&reader.entries);
    vec_release(&reader.previous);
    return result;
}
