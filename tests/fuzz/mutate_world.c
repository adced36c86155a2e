/* Most random bytes make a file that is refused while it is read, and nothing behind the reader is
 * tested. These mutations keep most lines what they are: keys become other keys of the tables,
 * subtrees (a line and those indented deeper below it) are removed, doubled, moved and exchanged,
 * values become others that mean something somewhere, tags and anchors appear. */

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "compose/file/field.h"
#include "compose/file/shapes.h"
#include "engine/base/buf.h"
#include "engine/base/str.h"
#include "engine/base/vec.h"

enum { LINES_MAX = 4000, WALK_MAX = 12 };

/* libFuzzer's own; not there when the seeds run as ordinary tests. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max) __attribute__((weak));

/* What libFuzzer and main.c find here when a fuzzer is linked with this file. */
size_t LLVMFuzzerCustomMutator(uint8_t *text, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data, size_t size, const uint8_t *other,
                                 size_t other_size, uint8_t *out, size_t max, unsigned seed);
void mutate_print_dictionary(void);

struct lines {
    struct str *items;
    size_t n;
    size_t capacity;
};

static const char *const values[] = {
    "null",
    "\"\"",
    "[]",
    "{}",
    "true",
    "no",
    "0",
    "-1",
    "1.5",
    "0x1f",
    "1e400",
    "99999999999999999999",
    "a",
    "\"a: b\"",
    "[a, b]",
    "{a: b}",
    "[{a: b}, [c]]",
    "1m30s",
    "-5s",
    "64m",
    "1.5gb",
    "0444",
    "\"80\"",
    "\"8080:80\"",
    "\"127.0.0.1:8000-8010:80-90/udp\"",
    "\"[::1]:53:53/udp\"",
    "80-70",
    "./data:/data:ro",
    "data:/data",
    "/a:/b:z,rslave",
    "~/x:/y",
    "CMD",
    "[CMD, \"true\"]",
    "service_healthy",
    "${FOO}",
    "${FOO:-${BAR-x}}",
    "${U:?gone}",
    "${U?}",
    "$$",
    "$",
    "${",
    "${FOO:+[a, b]}",
    "$FOO$BAR",
    "*a",
    "&a",
    "!reset null",
    "!override",
    "!reset",
    "!!str 1",
    "!!binary eA==",
    "|-\n      a\n      b",
    ">+\n      a",
    "compose.yaml",
    "base.yaml",
    "./base.yaml",
    ".env",
    "web",
    "db",
    "service:web",
    "host",
    "none",
    "on-failure:3",
    "10.0.0.0/24",
    "fd00::/64",
    "linux/amd64",
    "always",
    "every_1h",
    "default",
    "bridge",
    "\"é\\u0085\\n\"",
    "x-a",
};

enum { N_VALUES = sizeof(values) / sizeof(values[0]) };

static const char *const marks[] = {"!reset ", "!override ", "&a ", "*a ",
                                    "!!map ",  "? ",         "- ",  "<<: "};

enum { N_MARKS = sizeof(marks) / sizeof(marks[0]) };

static unsigned next(unsigned *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

static size_t below(unsigned *state, size_t n)
{
    return n == 0 ? 0 : next(state) % n;
}

/* ---- keys of the tables -----------------------------------------------------------------------
 */

static void add_keys(struct lines *keys, const struct shape *shape, unsigned depth);

static void add_key(struct lines *keys, const struct field *field, unsigned depth)
{
    bool is_known = field->name.len == 0;

    for (size_t i = 0; i < keys->n && !is_known; i++)
        is_known = str_equal(keys->items[i], field->name);
    if (!is_known)
        vec_push(keys, field->name);
    if (field->shape && depth < WALK_MAX)
        add_keys(keys, field->shape, depth + 1);
}

static void add_keys(struct lines *keys, const struct shape *shape, unsigned depth)
{
    for (size_t i = 0; i < shape->n_fields; i++)
        add_key(keys, &shape->fields[i], depth);
    if (shape->each)
        add_key(keys, shape->each, depth);
}

static struct str random_key(unsigned *state)
{
    struct lines keys = {0};
    struct str key;

    add_key(&keys, &file_field, 0);
    key = keys.items[below(state, keys.n)];
    vec_release(&keys);
    return key;
}

/* ---- lines and subtrees -----------------------------------------------------------------------
 */

static void split(struct str text, struct lines *lines)
{
    while (text.len > 0 && lines->n < LINES_MAX) {
        struct str line;
        struct str rest = {0};

        if (lines->n + 1 == LINES_MAX || !str_cut(text, '\n', &line, &rest)) {
            line = text;
            rest.len = 0;
        }
        vec_push(lines, line);
        text = rest;
    }
}

static size_t indent(struct str line)
{
    size_t n = 0;

    while (n < line.len && (line.data[n] == ' ' ||
                            (line.data[n] == '-' && n + 1 < line.len && line.data[n + 1] == ' ')))
        n++;
    return n;
}

/* The first line that does not belong to the subtree of `at`. */
static size_t subtree_end(const struct lines *lines, size_t at)
{
    size_t own = indent(lines->items[at]);
    size_t end = at + 1;

    while (end < lines->n && (lines->items[end].len == 0 || indent(lines->items[end]) > own))
        end++;
    return end;
}

static void add_lines(struct buf *out, const struct lines *lines, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        buf_add_str(out, lines->items[i]);
        buf_add_char(out, '\n');
    }
}

/* A subtree moved to another indentation. */
static void add_subtree(struct buf *out, const struct lines *lines, size_t at, size_t to_indent)
{
    size_t own = indent(lines->items[at]);
    size_t end = subtree_end(lines, at);

    for (size_t i = at; i < end; i++) {
        struct str line = lines->items[i];
        size_t has = indent(line);
        size_t cut = own > to_indent ? own - to_indent : 0;

        cut = cut > has ? has : cut;
        for (size_t k = own; k < to_indent; k++)
            buf_add_char(out, ' ');
        buf_add_str(out, (struct str){line.data + cut, line.len - cut});
        buf_add_char(out, '\n');
    }
}

/* The line's key, its indentation and its value; false: it has none. */
static bool split_line(struct str line, struct str *ret_front, struct str *ret_key,
                       struct str *ret_value)
{
    size_t own = indent(line);
    struct str body = {line.data + own, line.len - own};
    struct str rest = {0};

    *ret_front = (struct str){line.data, own};
    if (!str_cut(body, ':', ret_key, &rest))
        return false;
    *ret_value = rest;
    return true;
}

/* ---- mutations --------------------------------------------------------------------------------
 */

/* A line with another key, value, or mark. */
static void change_line(struct buf *out, struct str line, unsigned *state)
{
    struct str front;
    struct str key = {0};
    struct str value = {0};
    size_t what = below(state, 4);

    if (!split_line(line, &front, &key, &value)) {
        buf_add_str(out, front);
        buf_add_text(out, what < 2 ? marks[below(state, N_MARKS)] : values[below(state, N_VALUES)]);
        if (what != 2)
            buf_add_str(out, (struct str){line.data + front.len, line.len - front.len});
    } else if (what == 0) {
        buf_add_str(out, front);
        buf_add_str(out, random_key(state));
        buf_add_char(out, ':');
        buf_add_str(out, value);
    } else {
        buf_add_str(out, front);
        buf_add_str(out, key);
        buf_add_text(out, ": ");
        if (what == 1)
            buf_add_text(out, marks[below(state, N_MARKS)]);
        else
            buf_add_text(out, values[below(state, N_VALUES)]);
        if (what == 1)
            buf_add_str(out, value);
    }
    buf_add_char(out, '\n');
}

static void new_line(struct buf *out, struct str like, unsigned *state)
{
    struct str front = {like.data, indent(like)};

    buf_add_str(out, front);
    buf_add_str(out, random_key(state));
    buf_add_text(out, ": ");
    buf_add_text(out, values[below(state, N_VALUES)]);
    buf_add_char(out, '\n');
}

static void mutate_lines(struct buf *out, const struct lines *lines, unsigned *state)
{
    size_t at = below(state, lines->n);
    size_t end = subtree_end(lines, at);
    size_t to = below(state, lines->n);
    size_t own = indent(lines->items[to]);

    switch (below(state, 7)) {
    case 0: /* remove */
        add_lines(out, lines, 0, at);
        add_lines(out, lines, end, lines->n);
        break;
    case 1: /* double */
        add_lines(out, lines, 0, end);
        add_lines(out, lines, at, lines->n);
        break;
    case 2: /* copy elsewhere, beside or below */
        add_lines(out, lines, 0, to + 1);
        add_subtree(out, lines, at, own + 2 * below(state, 2));
        add_lines(out, lines, to + 1, lines->n);
        break;
    case 3: /* replace */
        add_lines(out, lines, 0, to);
        add_subtree(out, lines, at, own);
        add_lines(out, lines, subtree_end(lines, to), lines->n);
        break;
    case 4:
        add_lines(out, lines, 0, at);
        new_line(out, lines->items[at], state);
        add_lines(out, lines, at, lines->n);
        break;
    default:
        add_lines(out, lines, 0, at);
        change_line(out, lines->items[at], state);
        add_lines(out, lines, at + 1, lines->n);
    }
}

static size_t take(const struct buf *from, uint8_t *out, size_t max)
{
    size_t n = from->len < max ? from->len : max;

    if (n > 0)
        memcpy(out, from->data, n);
    return n;
}

/* One random mutation of `text` (room for `max` bytes), or what libFuzzer does to bytes. Returns
 * the new size. */
size_t LLVMFuzzerCustomMutator(uint8_t *text, size_t size, size_t max, unsigned seed)
{
    cleanup_buf struct buf changed = BUF_INIT;
    unsigned state = seed;
    struct lines lines = {0};

    if (LLVMFuzzerMutate && below(&state, 3) == 0)
        return LLVMFuzzerMutate(text, size, max);
    split((struct str){(const char *)text, size}, &lines);
    if (lines.n == 0)
        vec_push(&lines, STR("services:"));
    mutate_lines(&changed, &lines, &state);
    vec_release(&lines);
    return take(&changed, text, max);
}

/* A subtree of `other` put into `data`, the result into `out`. Returns its size. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data, size_t size, const uint8_t *other,
                                 size_t other_size, uint8_t *out, size_t max, unsigned seed)
{
    cleanup_buf struct buf changed = BUF_INIT;
    unsigned state = seed;
    struct lines lines = {0};
    struct lines others = {0};
    size_t at;
    size_t from;

    split((struct str){(const char *)data, size}, &lines);
    split((struct str){(const char *)other, other_size}, &others);
    if (lines.n > 0 && others.n > 0) {
        at = below(&state, lines.n);
        from = below(&state, others.n);
        add_lines(&changed, &lines, 0, at + 1);
        add_subtree(&changed, &others, from, indent(lines.items[at]) + 2 * below(&state, 2));
        add_lines(&changed, &lines, at + 1, lines.n);
    }
    vec_release(&lines);
    vec_release(&others);
    return take(&changed, out, max);
}

/* Every key of the tables, as libFuzzer reads a dictionary, to stdout (main.c). */
void mutate_print_dictionary(void)
{
    struct lines keys = {0};

    add_key(&keys, &file_field, 0);
    for (size_t i = 0; i < keys.n; i++)
        printf("\"" STR_FMT ":\"\n", STR_ARG(keys.items[i]));
    vec_release(&keys);
}
