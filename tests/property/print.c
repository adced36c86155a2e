/* What is printed reads back as what it was: random trees with every nasty text, as YAML and as
 * JSON; and templates, by a model that knows only the rules. SEED=n replays one case. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compose/file/dotenv.h"
#include "compose/file/emit.h"
#include "compose/file/interpolate.h"
#include "compose/file/node.h"
#include "compose/file/report.h"
#include "compose/file/yaml.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "tests/property/plan_world.h"
#include "tests/tap.h"

enum { CASES = 20000, DEPTH = 4, WIDTH = 4, PIECES = 6 };

static const char *const pieces[] = {
    "a",
    "B",
    "0",
    "1",
    "-",
    "--",
    "---",
    "...",
    "?",
    ":",
    ": ",
    " :",
    "#",
    " #",
    "'",
    "''",
    "\"",
    "\\",
    "\\n",
    "\n",
    "\n\n",
    "\n ",
    " \n",
    "\t",
    "\r",
    "\r\n",
    " ",
    "  ",
    "$",
    "$$",
    "${A}",
    "$A",
    "{",
    "}",
    "[",
    "]",
    "{}",
    "[]",
    ",",
    "&a",
    "*a",
    "!t",
    "!",
    "|",
    ">",
    "|-",
    ">+",
    "%",
    "%YAML",
    "@",
    "`",
    "~",
    "null",
    "Null",
    "true",
    "TRUE",
    "yes",
    "No",
    "on",
    "off",
    "y",
    "n",
    "0x1f",
    "0o7",
    "017",
    "1e3",
    "1_000",
    ".5",
    ".inf",
    "-.Inf",
    ".nan",
    "1:2",
    "1:2:3",
    "2024-01-02",
    "2024-01-02T03:04:05Z",
    "<<",
    "=",
    "\x01",
    "\x7f",
    "\u00e9",
    "\xc2\x85",
    "\u00a0",
    "\u2028",
    "\u2029",
    "\ufeff",
    "\ufffd",
    "\U0001f600",
    "\U0010ffff",
    "x: y",
    "- z",
    "a:b",
    "http://h:1/p#q",
    "very long text without any place to break it, which goes on and on",
};

/* ---- trees ------------------------------------------------------------------------------------
 */

static const char *random_text(struct arena *arena, struct random *random)
{
    struct buf text = BUF_INIT;
    const char *copy;

    for (uint32_t n = random_below(random, PIECES); n > 0; n--)
        buf_add_text(&text, pieces[random_below(random, sizeof(pieces) / sizeof(pieces[0]))]);
    copy = arena_strdup(arena, buf_text(&text));
    buf_release(&text);
    return copy;
}

static const struct node *random_scalar(struct arena *arena, struct random *random)
{
    static const struct {
        enum node_type type;
        const char *text;
    } others[] = {
        {NODE_NULL, ""},      {NODE_BOOL, "true"},  {NODE_BOOL, "False"}, {NODE_INT, "0"},
        {NODE_INT, "-17"},    {NODE_INT, "0x1f"},   {NODE_INT, "0755"},   {NODE_INT, "1_000"},
        {NODE_FLOAT, "1.50"}, {NODE_FLOAT, "-1e3"}, {NODE_FLOAT, ".5"},
    };
    size_t i = random_below(random, 3 * sizeof(others) / sizeof(others[0]));

    if (i < sizeof(others) / sizeof(others[0]))
        return node_new_scalar(arena, others[i].type, others[i].text, (struct span){0});
    return node_new_text(arena, random_text(arena, random), (struct span){0});
}

static const struct node *random_node(struct arena *arena, struct random *random, int depth)
{
    uint32_t n = random_below(random, WIDTH + 1);
    struct node *node;

    if (depth == 0 || (depth < DEPTH && random_one_in(random, 2)))
        return random_scalar(arena, random);
    node = node_new(arena, depth == DEPTH || random_one_in(random, 2) ? NODE_MAP : NODE_LIST,
                    (struct span){0}, n);
    for (uint32_t i = 0; i < n; i++) {
        const char *key = node->kind == NODE_MAP ? random_text(arena, random) : NULL;

        if (!key || !node_find(node, key))
            node_add(node, key, (struct span){0}, random_node(arena, random, depth - 1));
    }
    return node;
}

static bool is_number(const struct node *node)
{
    return node->type == NODE_INT || node->type == NODE_FLOAT;
}

static double number_of(const struct node *node)
{
    int64_t value;

    return node->type == NODE_INT &&
                   node_int_value((struct str){node->text, node->text_len}, &value)
               ? (double)value
               : strtod(node->text, NULL);
}

/* Numbers by value: 0x1f is printed as 31, and in JSON -1e3 as -1000. */
static bool same_scalar(const struct node *a, const struct node *b)
{
    if (is_number(a) && is_number(b))
        return number_of(a) == number_of(b);
    if (a->type != b->type)
        return false;
    if (a->type == NODE_BOOL)
        return node_bool_value(a->text) == node_bool_value(b->text);
    return a->type == NODE_NULL ||
           (a->text_len == b->text_len && memcmp(a->text, b->text, a->text_len) == 0);
}

static bool same(const struct node *a, const struct node *b)
{
    if (a->kind != b->kind || a->n != b->n)
        return false;
    if (a->kind == NODE_SCALAR)
        return same_scalar(a, b);
    for (size_t i = 0; i < a->n; i++) { /* mappings are printed sorted */
        const struct node *other =
            a->kind == NODE_MAP ? node_get(b, a->entries[i].key) : b->entries[i].value;

        if (!other || !same(a->entries[i].value, other))
            return false;
    }
    return true;
}

/* NULL: it does not parse. */
static const struct node *parse(struct arena *arena, const struct buf *text)
{
    cleanup_report struct report report;
    struct yaml_documents documents = {0};
    const struct node *node = NULL;

    report_init(&report, arena);
    if (yaml_parse(&report,
                   report_add_source(&report, "printed", NULL,
                                     (struct str){arena_strdup(arena, buf_text(text)), text->len}),
                   &documents) == 0 &&
        documents.n == 1 && report.n_errors == 0)
        node = documents.items[0];
    for (size_t i = 0; i < report.items.n; i++)
        fprintf(stderr, "# %u:%u: %s\n", report.items.items[i].span.line,
                report.items.items[i].span.column, report.items.items[i].message);
    vec_release(&documents);
    return node;
}

static uint64_t first_seed(size_t *ret_n)
{
    const char *seed = getenv("SEED");

    *ret_n = seed ? 1 : CASES;
    return seed ? strtoull(seed, NULL, 10) : 1;
}

static void check_reads_back(void (*print)(struct buf *, const struct node *, enum dollars),
                             bool is_json)
{
    size_t n;
    uint64_t seed = first_seed(&n);

    for (size_t i = 0; i < n; i++, seed++) {
        cleanup_arena struct arena arena = ARENA_INIT;
        cleanup_buf struct buf text = BUF_INIT;
        struct random random = {seed * 0x9e3779b97f4a7c15ULL};
        const struct node *node = random_node(&arena, &random, DEPTH);
        const struct node *back;
        json_t *json = NULL;

        print(&text, node, DOLLARS_PLAIN);
        back = parse(&arena, &text);
        if (!back || !same(node, back))
            tap_fail(TAP_HERE, "SEED=%llu: reads back otherwise:\n%s", (unsigned long long)seed,
                     buf_text(&text));
        if (is_json && json_parse(buf_str(&text), &json, NULL) < 0)
            tap_fail(TAP_HERE, "SEED=%llu: is no JSON:\n%s", (unsigned long long)seed,
                     buf_text(&text));
        json_release(&json);
    }
}

TEST(what_is_printed_as_yaml_reads_back_the_same)
{
    check_reads_back(node_print_yaml, false);
}

TEST(what_is_printed_as_json_reads_back_the_same)
{
    check_reads_back(node_print_json, true);
}

TEST(interpolation_undoes_the_doubling_of_dollars)
{
    size_t n;
    uint64_t seed = first_seed(&n);

    for (size_t i = 0; i < n / 4 + 1; i++, seed++) {
        cleanup_arena struct arena arena = ARENA_INIT;
        cleanup_buf struct buf text = BUF_INIT;
        cleanup_report struct report report;
        struct random random = {seed * 0x9e3779b97f4a7c15ULL};
        struct pairs none = {0};
        struct variables variables = {.find = variables_find_sorted, .context = &none};
        const struct node *node = random_node(&arena, &random, DEPTH);
        const struct node *back;
        size_t n_bytes = 0;

        report_init(&report, &arena);
        node_print_yaml(&text, node, DOLLARS_DOUBLED);
        back = parse(&arena, &text);
        if (back)
            back = interpolate_node(&report, back, &variables, &n_bytes);
        if (report.items.n > 0 || !back || !same(node, back))
            tap_fail(TAP_HERE, "SEED=%llu: expands to something else:\n%s",
                     (unsigned long long)seed, buf_text(&text));
    }
}

/* ---- templates --------------------------------------------------------------------------------
 */

static struct pair known[] = {{"EMPTY", ""}, {"ONE", "one"}, {"RAW", "$ONE ${ONE} }{"}};
static const struct pairs environment = {known, 3};

/* A random template into `text`, what it means into `want`; false: it fails as a whole. `is_used`:
 * it stands where it is expanded. */
static bool random_template(struct random *random, int depth, bool is_used, struct buf *text,
                            struct buf *want);

static bool random_expression(struct random *random, int depth, bool is_used, struct buf *text,
                              struct buf *want)
{
    static const char *const names[] = {"EMPTY", "ONE", "RAW", "UNSET", "_u1"};
    static const char *const operators[] = {"", ":-", "-", ":+", "+", ":?", "?"};
    const char *name = names[random_below(random, 5)];
    const char *operator= operators[random_below(random, depth > 0 ? 7 : 1)];
    const char *value = pairs_find(&environment, name);
    bool is_given = value && (operator[0] != ':' || * value);
    char kind = operator[0] == ':' ? operator[1] : operator[0];
    bool takes_word = kind == '+' ? is_given : (kind == '-' || kind == '?') && !is_given;
    bool is_good = true;

    if (!kind && random_one_in(random, 2)) {
        buf_printf(text, "${%s}", name);
    } else if (!kind) {
        buf_printf(text, "$%s", name); /* what follows begins no name: see below */
    } else {
        buf_printf(text, "${%s%s", name, operator);
        is_good = random_template(random, depth - 1, is_used && takes_word, text,
                                  kind == '?' ? NULL : want);
        buf_add_char(text, '}');
    }
    if (want && is_used && value && kind != '+' && !takes_word)
        buf_add_text(want, value);
    return is_good && !(is_used && kind == '?' && takes_word);
}

static bool random_template(struct random *random, int depth, bool is_used, struct buf *text,
                            struct buf *want)
{
    static const char *const literals[] = {" ",   "-x", ".",    ":-", "?",
                                           "{x}", "{}", "/a:b", "\n", "'"};
    bool is_good = true;

    for (uint32_t n = random_below(random, 4); n > 0; n--) {
        const char *literal = literals[random_below(random, 10)];

        if (random_one_in(random, 4)) {
            buf_add_text(text, "$$");
            literal = "$";
        } else if (random_one_in(random, 2)) {
            is_good &= random_expression(random, depth, is_used, text, want);
            literal = "";
        } else {
            buf_add_text(text, literal);
        }
        if (want && is_used)
            buf_add_text(want, literal);
    }
    return is_good;
}

TEST(templates_mean_what_the_rules_say)
{
    size_t n;
    uint64_t seed = first_seed(&n);

    for (size_t i = 0; i < n; i++, seed++) {
        cleanup_buf struct buf text = BUF_INIT, want = BUF_INIT, got = BUF_INIT;
        struct random random = {seed * 0x9e3779b97f4a7c15ULL};
        struct variables variables = {.find = variables_find_sorted, .context = &environment};
        bool is_good = random_template(&random, DEPTH, true, &text, &want);
        struct error err = ERROR_INIT;
        int result = interpolate_text(buf_str(&text), &variables, &got, &err);

        if ((result == 0) != is_good || (is_good && strcmp(buf_text(&got), buf_text(&want)) != 0))
            tap_fail(TAP_HERE, "SEED=%llu: \"%s\" gives \"%s\" (%s), not \"%s\"",
                     (unsigned long long)seed, buf_text(&text), buf_text(&got), err.text,
                     is_good ? buf_text(&want) : "an error");
    }
}

/* ---- env files --------------------------------------------------------------------------------
 */

TEST(single_quoted_values_of_env_files_are_what_they_look_like)
{
    size_t n;
    uint64_t seed = first_seed(&n);

    for (size_t i = 0; i < n / 4 + 1; i++, seed++) {
        cleanup_arena struct arena arena = ARENA_INIT;
        cleanup_report struct report report;
        cleanup_buf struct buf file = BUF_INIT;
        struct random random = {seed * 0x9e3779b97f4a7c15ULL};
        struct pairs none = {0};
        struct variables outer = {.find = variables_find_sorted, .context = &none};
        struct dotenv_scope scope = {.outer = &outer, .earlier = &outer};
        struct dotenv parsed = {0};
        const char *value = random_text(&arena, &random);
        uint32_t source;

        if (strpbrk(value, "'\\\r"))
            continue;
        buf_printf(&file, "# first\nA='%s' # behind\nB=2\n", value);
        report_init(&report, &arena);
        source = report_add_source(&report, ".env", NULL, buf_str(&file));
        if (dotenv_parse(&report, source, DOTENV_COMPOSE, &scope, &parsed) < 0 || parsed.n != 2 ||
            strcmp(parsed.items[0].value, value) != 0 || strcmp(parsed.items[1].value, "2") != 0)
            tap_fail(TAP_HERE, "SEED=%llu: %s reads as %s", (unsigned long long)seed,
                     buf_text(&file), parsed.n > 0 ? parsed.items[0].value : "nothing");
    }
}
