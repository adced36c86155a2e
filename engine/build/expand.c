/* Variables and quotes.
 *
 * One pass over the word with a position; ${…} recurses for its word. Patterns (# % /) are matched
 * by running all positions of the pattern at once, so no pattern is exponential; a budget bounds
 * what remains. */

#include "engine/build/expand.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

enum { PATTERN_BYTES_MAX = 256, PATTERN_STEPS_MAX = 20 * 1000 * 1000 };

struct expander {
    const struct expand_scope *scope;
    struct str input;
    size_t at;
    size_t depth;
    bool keeps_quotes; /* expand_text */
    char escape;
    struct error *err;
};

/* How a word within ${…} ends, and what becomes of escapes in it. */
enum word_mode { WORD_PLAIN, WORD_PATTERN };

static int expand_until(struct expander *expander, char stop, enum word_mode mode, struct buf *out);

static bool at_end(const struct expander *expander)
{
    return expander->at >= expander->input.len;
}

static char peek(const struct expander *expander)
{
    return at_end(expander) ? '\0' : expander->input.data[expander->at];
}

static int bad(struct expander *expander, const char *what)
{
    return error_set(expander->err, ERROR_INVALID, "%s in \"%.*s\"", what,
                     (int)(expander->input.len < 200 ? expander->input.len : 200),
                     expander->input.data);
}

static const char *find_value(const struct expand_scope *scope, struct str name)
{
    for (size_t i = scope->n; i-- > 0;)
        if (str_is(name, scope->items[i].name))
            return scope->items[i].value;
    return NULL;
}

/* A name, a run of digits, or one special character; empty when there is none. */
static struct str take_name(struct expander *expander)
{
    size_t start = expander->at;
    unsigned char first = (unsigned char)peek(expander);

    if (isalpha(first) || first == '_') {
        while (isalnum((unsigned char)peek(expander)) || peek(expander) == '_')
            expander->at++;
    } else if (isdigit(first)) {
        while (isdigit((unsigned char)peek(expander)))
            expander->at++;
    } else if (first != '\0' && strchr("@*#?-$!", first) != NULL) {
        expander->at++;
    }
    return (struct str){expander->input.data + start, expander->at - start};
}

/* ------------------------------------------------------------------ patterns */

enum pattern_item { PATTERN_CHAR, PATTERN_ANY_CHAR, PATTERN_ANY_RUN };

struct pattern {
    uint8_t items[PATTERN_BYTES_MAX];
    char chars[PATTERN_BYTES_MAX];
    size_t n;
    uint64_t steps; /* spent so far */
};

static int compile_pattern(struct expander *expander, struct str text, bool reversed,
                           struct pattern *ret)
{
    ret->n = 0;
    ret->steps = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (ret->n == PATTERN_BYTES_MAX)
            return bad(expander, "too long a pattern");
        char c = text.data[i];
        uint8_t item = PATTERN_CHAR;
        if (c == '*')
            item = PATTERN_ANY_RUN;
        else if (c == '?')
            item = PATTERN_ANY_CHAR;
        else if (c == '\\' && i + 1 < text.len) {
            c = text.data[++i];
            if (strchr("*?\\}/", c) == NULL)
                return bad(expander, "invalid escape in a pattern");
        } else if (c == '\\')
            return bad(expander, "a backslash at the end of a pattern");
        ret->items[ret->n] = item;
        ret->chars[ret->n++] = c;
    }
    for (size_t i = 0; reversed && i < ret->n / 2; i++) {
        size_t j = ret->n - 1 - i;
        uint8_t item = ret->items[i];
        char c = ret->chars[i];
        ret->items[i] = ret->items[j];
        ret->chars[i] = ret->chars[j];
        ret->items[j] = item;
        ret->chars[j] = c;
    }
    return 0;
}

/* Which positions of the pattern are reachable; n is the end. */
struct pattern_state {
    bool on[PATTERN_BYTES_MAX + 1];
};

static void state_add(const struct pattern *pattern, struct pattern_state *state, size_t i)
{
    state->on[i] = true;
    while (i < pattern->n && pattern->items[i] == PATTERN_ANY_RUN)
        state->on[++i] = true;
}

static bool state_step(struct pattern *pattern, struct pattern_state *state, char c)
{
    struct pattern_state next = {0};
    bool alive = false;

    for (size_t i = 0; i < pattern->n; i++) {
        if (!state->on[i])
            continue;
        if (pattern->items[i] == PATTERN_ANY_RUN) {
            state_add(pattern, &next, i);
            alive = true;
        } else if (pattern->items[i] == PATTERN_ANY_CHAR || pattern->chars[i] == c) {
            state_add(pattern, &next, i + 1);
            alive = true;
        }
    }
    pattern->steps += pattern->n + 1;
    *state = next;
    return alive;
}

/* Length of the shortest or longest match at the start of `text` (backwards: at its end).
 * -1 = none. */
static int64_t match_length(struct pattern *pattern, struct str text, bool backwards, bool longest)
{
    struct pattern_state state = {0};
    int64_t found = -1;

    state_add(pattern, &state, 0);
    if (state.on[pattern->n])
        found = 0;
    for (size_t i = 0; i < text.len && (longest || found < 0); i++) {
        if (!state_step(pattern, &state, text.data[backwards ? text.len - 1 - i : i]))
            break;
        if (state.on[pattern->n])
            found = (int64_t)i + 1;
    }
    return found;
}

static int trim_match(struct expander *expander, struct str value, struct str pattern_text,
                      bool suffix, bool longest, struct buf *out)
{
    struct pattern pattern;

    if (compile_pattern(expander, pattern_text, suffix, &pattern) < 0)
        return -1;
    int64_t len = match_length(&pattern, value, suffix, longest);
    if (len > 0) {
        value.data += suffix ? 0 : len;
        value.len -= (size_t)len;
    }
    buf_add_str(out, value);
    return 0;
}

static int replace_matches(struct expander *expander, struct str value, struct str pattern_text,
                           struct str replacement, bool all, struct buf *out)
{
    struct pattern pattern;
    bool done = false;

    if (compile_pattern(expander, pattern_text, false, &pattern) < 0)
        return -1;
    for (size_t i = 0; i < value.len;) {
        struct str rest = {value.data + i, value.len - i};
        int64_t len = done ? -1 : match_length(&pattern, rest, false, true);
        if (pattern.steps > PATTERN_STEPS_MAX)
            return bad(expander, "too much work to replace a pattern");
        if (len > 0) {
            buf_add_str(out, replacement);
            i += (size_t)len;
            done = !all;
        } else {
            buf_add_char(out, value.data[i++]);
        }
    }
    return 0;
}

/* ------------------------------------------------------------------ ${…} */

static int expand_pattern(struct expander *expander, char op, const char *value, struct buf *out)
{
    cleanup_buf struct buf pattern = BUF_INIT;
    cleanup_buf struct buf replacement = BUF_INIT;
    bool twice = peek(expander) == op;
    struct str text = str_from(value);

    buf_init(&pattern, EXPAND_BYTES_MAX);
    buf_init(&replacement, EXPAND_BYTES_MAX);
    if (twice)
        expander->at++;
    if (op != '/') {
        if (expand_until(expander, '}', WORD_PATTERN, &pattern) < 0)
            return -1;
        return trim_match(expander, text, buf_str(&pattern), op == '%', twice, out);
    }
    if (expand_until(expander, '/', WORD_PATTERN, &pattern) < 0 ||
        expand_until(expander, '}', WORD_PLAIN, &replacement) < 0)
        return -1;
    return replace_matches(expander, text, buf_str(&pattern), buf_str(&replacement), twice, out);
}

static int expand_modifier(struct expander *expander, struct str name, char modifier,
                           bool empty_is_unset, struct buf *out)
{
    cleanup_buf struct buf word = BUF_INIT;
    const char *value = find_value(expander->scope, name);
    bool is_set = value != NULL && (!empty_is_unset || value[0] != '\0');

    buf_init(&word, EXPAND_BYTES_MAX);
    if (modifier == '\0' || strchr("+-?", modifier) == NULL)
        return bad(expander, "unsupported modifier of a variable");
    if (expand_until(expander, '}', WORD_PLAIN, &word) < 0)
        return -1;
    if (modifier == '?' && !is_set) {
        const char *why =
            empty_is_unset ? "is not allowed to be empty" : "is not allowed to be unset";
        return error_set(expander->err, ERROR_INVALID, "%.*s: %.300s",
                         (int)(name.len < 100 ? name.len : 100), name.data,
                         word.len > 0 ? buf_text(&word) : why);
    }
    if (modifier == '+')
        buf_add_str(out, is_set ? buf_str(&word) : STR(""));
    else if (is_set)
        buf_add_text(out, value);
    else
        buf_add_str(out, buf_str(&word));
    return 0;
}

static int expand_braces(struct expander *expander, struct buf *out)
{
    expander->at++; /* { */
    if (at_end(expander))
        return bad(expander, "missing \"}\"");
    struct str name = take_name(expander);
    if (name.len == 0)
        return bad(expander, "bad substitution");
    if (at_end(expander))
        return bad(expander, "missing \"}\"");

    char op = expander->input.data[expander->at++];
    const char *value = find_value(expander->scope, name);
    switch (op) {
    case '}':
        buf_add_text(out, value != NULL ? value : "");
        return 0;
    case ':': {
        char modifier = peek(expander);
        expander->at++;
        return expand_modifier(expander, name, modifier, true, out);
    }
    case '+':
    case '-':
    case '?':
        return expand_modifier(expander, name, op, false, out);
    case '#':
    case '%':
    case '/':
        return expand_pattern(expander, op, value != NULL ? value : "", out);
    default:
        return bad(expander, "unsupported modifier of a variable");
    }
}

static int expand_dollar(struct expander *expander, struct buf *out)
{
    expander->at++; /* $ */
    if (peek(expander) == '{') {
        if (expander->depth >= EXPAND_DEPTH_MAX)
            return bad(expander, "variables nested too deep");
        expander->depth++;
        int r = expand_braces(expander, out);
        expander->depth--;
        return r;
    }
    struct str name = take_name(expander);
    const char *value = name.len > 0 ? find_value(expander->scope, name) : NULL;
    if (name.len == 0)
        buf_add_char(out, '$');
    else if (value != NULL)
        buf_add_text(out, value);
    return 0;
}

/* ------------------------------------------------------------------ quotes */

static int expand_single_quoted(struct expander *expander, struct buf *out)
{
    expander->at++;
    while (!at_end(expander) && peek(expander) != '\'')
        buf_add_char(out, expander->input.data[expander->at++]);
    if (at_end(expander))
        return bad(expander, "a single quote is not closed");
    expander->at++;
    return 0;
}

static int expand_double_quoted(struct expander *expander, struct buf *out)
{
    expander->at++;
    while (!at_end(expander) && peek(expander) != '"') {
        char c = peek(expander);
        if (c == '$') {
            if (expand_dollar(expander, out) < 0)
                return -1;
            continue;
        }
        expander->at++;
        if (c == expander->escape) {
            if (at_end(expander))
                break;
            char next = expander->input.data[expander->at++];
            if (next != '"' && next != '$' && next != expander->escape)
                buf_add_char(out, c);
            c = next;
        }
        buf_add_char(out, c);
    }
    if (at_end(expander))
        return bad(expander, "a double quote is not closed");
    expander->at++;
    return 0;
}

/* An escape outside quotes goes, what follows it stays as it is. In patterns both stay. */
static void take_escaped(struct expander *expander, enum word_mode mode, struct buf *out)
{
    expander->at++;
    if (mode == WORD_PATTERN)
        buf_add_char(out, '\\');
    else if (expander->keeps_quotes && peek(expander) != '$' && peek(expander) != expander->escape)
        buf_add_char(out, expander->escape);
    if (!at_end(expander))
        buf_add_char(out, expander->input.data[expander->at++]);
}

/* Up to `stop`, which is taken; '\0' = up to the end. */
static int expand_until(struct expander *expander, char stop, enum word_mode mode, struct buf *out)
{
    while (!at_end(expander)) {
        char c = peek(expander);
        int r = 0;
        if (stop != '\0' && c == stop) {
            expander->at++;
            return 0;
        }
        if (c == '\'' && !expander->keeps_quotes)
            r = expand_single_quoted(expander, out);
        else if (c == '"' && !expander->keeps_quotes)
            r = expand_double_quoted(expander, out);
        else if (c == '$')
            r = expand_dollar(expander, out);
        else if (c == expander->escape)
            take_escaped(expander, mode, out);
        else {
            buf_add_char(out, c);
            expander->at++;
        }
        if (r < 0)
            return r;
        if (out->truncated)
            return bad(expander, "the value is too long");
    }
    if (stop != '\0')
        return bad(expander, stop == '}' ? "missing \"}\"" : "missing \"/\"");
    return 0;
}

static int expand(struct arena *arena, struct expander *expander, size_t max, const char **ret)
{
    cleanup_buf struct buf out = BUF_INIT;

    buf_init(&out, max);
    if (expand_until(expander, '\0', WORD_PLAIN, &out) < 0)
        return -1;
    if (out.truncated)
        return bad(expander, "the value is too long");
    *ret = arena_strndup(arena, buf_text(&out), out.len);
    return 0;
}

int expand_word(struct arena *arena, const struct expand_scope *scope, const char *word,
                const char **ret, struct error *err)
{
    struct expander expander = {
        .scope = scope, .input = str_from(word), .escape = scope->escape, .err = err};
    return expand(arena, &expander, EXPAND_BYTES_MAX, ret);
}

int expand_text(struct arena *arena, const struct expand_scope *scope, const char *text,
                const char **ret, struct error *err)
{
    struct expander expander = {
        .scope = scope, .input = str_from(text), .keeps_quotes = true, .escape = '\\', .err = err};
    return expand(arena, &expander, 8 * EXPAND_BYTES_MAX, ret);
}
