#include "tests/compose_laws.h"

#include <sys/mman.h>
#include <unistd.h>

#include "compose/file/emit.h"
#include "compose/file/field.h"
#include "compose/file/node.h"
#include "compose/file/shapes.h"
#include "compose/file/yaml.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "tests/explain_laws.h"

/* ---- diagnostics ------------------------------------------------------------------------------
 */

/* Line `number` of the text; false: it has no such line. One behind the last is its end. */
static bool find_line(struct str text, uint32_t number, struct str *ret)
{
    for (uint32_t i = 1; i < number; i++) {
        struct str line;
        struct str rest = {0};

        if (text.len == 0)
            return i + 1 >= number;
        (void)str_cut(text, '\n', &line, &rest);
        text = rest;
    }
    if (!str_cut(text, '\n', ret, &(struct str){0}))
        *ret = text;
    return true;
}

static const char *check_place(struct arena *arena, const struct diagnostics *diagnostics,
                               const struct diagnostic *item)
{
    struct str line = {0};

    if (item->span.file >= diagnostics->n_sources)
        return arena_printf(arena, "a place in no file: %s", item->message);
    if (!find_line(diagnostics->sources[item->span.file].text, item->span.line, &line))
        return arena_printf(arena, "line %u is behind the end: %s", item->span.line, item->message);
    if (item->span.column == 0 || item->span.column > line.len + 2)
        return arena_printf(arena, "column %u of a line of %zu bytes: %s", item->span.column,
                            line.len, item->message);
    return NULL;
}

static bool has_control_character(const char *text)
{
    for (; *text; text++) {
        if (((unsigned char)*text < ' ' && *text != '\n' && *text != '\t') || *text == 0x7f)
            return true;
    }
    return false;
}

static const char *check_diagnostics(struct arena *arena, const struct diagnostics *diagnostics,
                                     unsigned flags)
{
    cleanup_buf struct buf text = BUF_INIT;

    for (size_t i = 0; i < diagnostics->n; i++) {
        const struct diagnostic *item = &diagnostics->items[i];
        const char *broken = NULL;

        if (!item->message || !*item->message)
            return "a message without a text";
        if (item->span.line > 0)
            broken = check_place(arena, diagnostics, item);
        else if (item->severity == SEVERITY_ERROR && flags & LAW_ERRORS_HAVE_LINES)
            broken = arena_printf(arena, "an error without a line: %s", item->message);
        if (broken)
            return broken;
    }
    diagnostics_print(&text, diagnostics, DIAGNOSTICS_PLAIN);
    if (has_control_character(buf_text(&text)))
        return arena_printf(arena, "control characters in messages: %s", buf_text(&text));
    buf_clear(&text);
    diagnostics_print(&text, diagnostics, DIAGNOSTICS_COLOUR);
    return NULL;
}

/* ---- whole projects ---------------------------------------------------------------------------
 */

int load_text(struct arena *arena, const struct project_options *options, struct str text,
              const struct project **ret, struct diagnostics *ret_diagnostics, struct error *err)
{
    cleanup_fd int fd = memfd_create("compose", MFD_CLOEXEC);
    struct project_options from_memory = *options;
    const char *minus = "-";

    *ret_diagnostics = (struct diagnostics){0};
    if (fd < 0 || fs_write_all(fd, text.data, text.len, err) < 0 || lseek(fd, 0, SEEK_SET) != 0)
        return error_set(err, ERROR_SYSTEM, "write a file in memory");
    from_memory.files = (struct strings){.items = &minus, .n = 1};
    from_memory.stdin_fd = fd;
    return project_load(arena, &from_memory, ret, ret_diagnostics, err);
}

static void print(struct buf *out, const struct project *project, enum project_format format)
{
    if (format == PROJECT_JSON)
        project_print_json(out, project);
    else
        project_print_yaml(out, project);
}

static const char *check_format(struct arena *arena, const struct project_options *options,
                                const struct project *project, enum project_format format)
{
    cleanup_buf struct buf first = BUF_INIT;
    cleanup_buf struct buf second = BUF_INIT;
    struct project_options again = *options;
    struct diagnostics diagnostics;
    const struct project *reloaded = NULL;
    struct error err = ERROR_INIT;

    again.project_directory = project->directory;
    again.environment = project->environment;
    print(&first, project, format);
    if (load_text(arena, &again, buf_str(&first), &reloaded, &diagnostics, &err) < 0)
        return arena_printf(arena, "what is printed does not load: %s\n%s", err.text,
                            buf_text(&first));
    print(&second, reloaded, format);
    if (strcmp(buf_text(&first), buf_text(&second)) != 0)
        return arena_printf(arena, "printed:\n%s\nloaded and printed again:\n%s", buf_text(&first),
                            buf_text(&second));
    return NULL;
}

const char *law_loads_again(struct arena *arena, const struct project_options *options,
                            unsigned flags, const struct project **ret)
{
    struct diagnostics diagnostics = {0};
    const struct project *project = NULL;
    struct error err = ERROR_INIT;
    int result = project_load(arena, options, &project, &diagnostics, &err);
    const char *broken = check_diagnostics(arena, &diagnostics, flags);

    if (ret)
        *ret = project;
    if (broken)
        return broken;
    if (result < 0 && (err.code == ERROR_NONE || !*err.text || project))
        return "refused without an error";
    if (result < 0)
        return flags & LAW_ERRORS_HAVE_LINES && diagnostics.n_errors == 0
                   ? arena_printf(arena, "refused without a diagnostic: %s", err.text)
                   : NULL;
    if (err.code != ERROR_NONE || !project || diagnostics.n_errors > 0)
        return "loaded with an error";
    broken = check_format(arena, options, project, PROJECT_YAML);
    return broken ? broken : check_format(arena, options, project, PROJECT_JSON);
}

/* ---- explanations -----------------------------------------------------------------------------
 */

const char *law_everything_is_explained(struct arena *arena, const struct project_options *options,
                                        const struct project *project)
{
    cleanup_buf struct buf without = BUF_INIT;
    cleanup_buf struct buf with = BUF_INIT;
    struct project_options traced_options = *options;
    struct diagnostics diagnostics;
    const struct project *traced = NULL;
    struct error err = ERROR_INIT;

    traced_options.flags |= PROJECT_WITH_HISTORY;
    if (project_load(arena, &traced_options, &traced, &diagnostics, &err) < 0)
        return arena_printf(arena, "does not load with its history: %s", err.text);
    project_print_yaml(&without, project);
    project_print_yaml(&with, traced);
    if (strcmp(buf_text(&without), buf_text(&with)) != 0)
        return arena_printf(arena, "with its history another project:\n%s", buf_text(&with));
    return law_explains(arena, traced);
}

/* ---- trees ------------------------------------------------------------------------------------
 */

void trees_init(struct trees *trees, struct arena *arena)
{
    static struct pair pairs[] = {{"BAR", ""}, {"FOO", "first"}, {"HOME", "/home/user"}};

    *trees = (struct trees){.options = {.working_dir = "/project", .stdin_fd = -1}};
    trees->load = (struct load){.arena = arena,
                                .options = &trees->options,
                                .environment = {pairs, 3},
                                .root_environment = {pairs, 3},
                                .directory = "/project",
                                .name = "laws"};
    trees->load.variables =
        (struct variables){.find = variables_find_sorted, .context = &trees->load.environment};
    report_init(&trees->load.report, arena);
}

void trees_release(struct trees *trees)
{
    vec_release(&trees->load.parsed_files);
    vec_release(&trees->load.unhonoured);
    vec_release(&trees->load.warned);
    report_release(&trees->load.report);
}

const struct node *trees_read(struct trees *trees, struct str text)
{
    struct load *load = &trees->load;
    struct yaml_documents documents = {0};
    const struct node *tree = NULL;
    /* spans point into it for as long as the arena lives */
    const char *copy = arena_strndup(load->arena, text.data ? text.data : "", text.len);
    uint32_t source =
        report_add_source(&load->report, "a.yaml", "/a.yaml", (struct str){copy, text.len});

    if (yaml_parse(&load->report, source, &documents) == 0 && documents.n > 0 &&
        documents.items[0]->kind == NODE_MAP)
        tree = load_document(load, documents.items[0], load->directory);
    vec_release(&documents);
    return load->report.n_errors > 0 ? NULL : tree;
}

static const char *compare(struct load *load, const char *what, const struct node *got,
                           const struct node *want)
{
    cleanup_buf struct buf text = BUF_INIT;

    if (node_equal(load->arena, got, want))
        return NULL;
    buf_printf(&text, "%s:\n", what);
    node_print_yaml(&text, got, DOLLARS_PLAIN);
    buf_add_text(&text, "instead of:\n");
    node_print_yaml(&text, want, DOLLARS_PLAIN);
    return arena_strdup(load->arena, buf_text(&text));
}

const char *law_long_form_stays(struct trees *trees, const struct node *tree)
{
    struct load *load = &trees->load;
    const struct node *again;

    load->n_ports = 0; /* those of the trees before are counted as if they were of one project */
    again = field_canonical(load, &file_field, tree);
    if (load->report.n_errors > 0)
        return arena_printf(load->arena, "the long form is refused: %s",
                            load->report.items.items[0].message);
    return compare(load, "the long form's long form", again, tree);
}

/* The same keys, down to `depth`, and null for what they stand for. */
static const struct node *nulls(struct load *load, const struct node *tree, unsigned depth)
{
    struct node *node;

    if (depth == 0 || tree->kind != NODE_MAP)
        return node_new_scalar(load->arena, NODE_NULL, "", tree->span);
    node = node_new(load->arena, NODE_MAP, tree->span, tree->n);
    for (size_t i = 0; i < tree->n; i++)
        node_add(node, tree->entries[i].key, tree->entries[i].span,
                 nulls(load, tree->entries[i].value, depth - 1));
    return node;
}

const char *law_nothing_changes_nothing(struct trees *trees, const struct node *tree)
{
    struct load *load = &trees->load;
    const struct node *nothing = node_new(load->arena, NODE_MAP, tree->span, 0);
    const struct node *alone = merge_documents(load, NULL, tree);
    const char *broken;

    if (alone->has_tags)
        return "tags are left after merging";
    broken = compare(load, "nothing merged over it", merge_documents(load, alone, nothing), alone);
    for (unsigned depth = 1; depth <= 2 && !broken; depth++)
        broken = compare(load, "null merged over it",
                         merge_documents(load, alone, nulls(load, alone, depth)), alone);
    return broken
               ? broken
               : compare(load, "merged over nothing", merge_documents(load, nothing, tree), alone);
}

const char *law_merged_is_long(struct trees *trees, const struct node *base,
                               const struct node *over)
{
    struct load *load = &trees->load;
    const struct node *merged = merge_documents(load, merge_documents(load, NULL, base), over);

    if (load->report.n_errors > 0)
        return NULL;
    if (merged->has_tags)
        return "tags are left after merging";
    if (merged->depth > NODE_DEPTH_MAX)
        return "merging made it deeper than its parts";
    return law_long_form_stays(trees, merged);
}

const char *law_merge_is_associative(struct trees *trees, const struct node *a,
                                     const struct node *b, const struct node *c)
{
    struct load *load = &trees->load;
    const struct node *left = merge_documents(load, merge_documents(load, a, b), c);
    const struct node *right;

    if (load->report.n_errors > 0) /* a string over a list */
        return NULL;
    right = merge_documents(load, a, merge_documents(load, b, c));
    if (load->report.n_errors > 0)
        return NULL;
    return compare(load, "(a, b), c", left, right);
}
