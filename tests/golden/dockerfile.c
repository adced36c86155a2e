/* What the parser and the graph make of Dockerfiles: tests/golden/dockerfile/NAME.in → NAME.txt. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/build/dockerfile.h"
#include "engine/build/graph.h"
#include "tests/tap.h"

static const char dir[] = "tests/golden/dockerfile";

static void print_quoted(struct buf *out, const char *text)
{
    buf_add_char(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            buf_add_text(out, "\\n");
        else
            buf_add_char(out, *text);
    }
    buf_add_char(out, '"');
}

static void print_pairs(struct buf *out, const char *what, const struct pairs *pairs)
{
    for (size_t i = 0; i < pairs->n; i++) {
        buf_printf(out, " %s%s", what, pairs->items[i].name);
        if (pairs->items[i].value != NULL) {
            buf_add_char(out, '=');
            print_quoted(out, pairs->items[i].value);
        }
    }
}

static void print_instruction(struct buf *out, const struct instruction *instruction)
{
    buf_printf(out, "%u %s", instruction->line, instruction_names[instruction->kind]);
    print_pairs(out, "--", &instruction->flags);
    if (instruction->pairs.n > 0) {
        print_pairs(out, "", &instruction->pairs);
    } else if (instruction->words.n > 0 || instruction->is_json) {
        buf_add_text(out, instruction->is_json ? " exec" : "");
        for (size_t i = 0; i < instruction->words.n; i++) {
            buf_add_char(out, ' ');
            print_quoted(out, instruction->words.items[i]);
        }
    } else {
        buf_add_char(out, ' ');
        print_quoted(out, instruction->text);
    }
    buf_add_char(out, '\n');
    for (size_t i = 0; i < instruction->n_heredocs; i++) {
        buf_printf(out, "  <<%s%s ", instruction->heredocs[i].name,
                   instruction->heredocs[i].is_raw ? " raw" : "");
        print_quoted(out, instruction->heredocs[i].body);
        buf_add_char(out, '\n');
    }
}

static void print_origin(struct buf *out, const struct build_origin *origin)
{
    if (origin->kind == ORIGIN_STAGE)
        buf_printf(out, "stage %zu", origin->stage);
    else
        buf_printf(out, "%s", origin->kind == ORIGIN_IMAGE ? origin->image : "scratch");
}

static void print_graph(struct buf *out, const struct build_graph *graph)
{
    for (size_t i = 0; i < graph->n_stages; i++) {
        const struct build_stage *stage = &graph->stages[i];
        buf_printf(out, "stage %zu %s from ", i, stage->name != NULL ? stage->name : "-");
        print_origin(out, &stage->base);
        buf_printf(out, ", %zu steps%s%s\n", stage->n_steps, stage->is_needed ? ", needed" : "",
                   i == graph->target ? ", target" : "");
        for (size_t k = 0; k < stage->n_steps; k++) {
            if (stage->steps[k].from.kind == ORIGIN_SCRATCH)
                continue;
            buf_printf(out, "  step %zu copies from ", k);
            print_origin(out, &stage->steps[k].from);
            buf_add_char(out, '\n');
        }
    }
    for (size_t i = 0; i < graph->unused_args.n; i++)
        buf_printf(out, "unused argument %s\n", graph->unused_args.items[i]);
}

static void print_all(struct arena *arena, struct str text, struct buf *out)
{
    struct pair arg_items[] = {{"VERSION", "9"}, {"STRAY", "1"}};
    struct pairs args = {arg_items, 2};
    struct graph_options options = {.args = &args, .architecture = "amd64"};
    struct dockerfile file;
    struct build_graph graph;
    struct error err = ERROR_INIT;

    if (dockerfile_parse(arena, "Dockerfile", text, &file, &err) < 0) {
        buf_printf(out, "error: %s\n", err.text);
        return;
    }
    if (file.syntax != NULL)
        buf_printf(out, "syntax %s\n", file.syntax);
    for (size_t i = 0; i < file.n_instructions; i++)
        print_instruction(out, &file.instructions[i]);
    if (build_graph_make(arena, &file, &options, &graph, &err) < 0)
        buf_printf(out, "error: %s\n", err.text);
    else
        print_graph(out, &graph);
}

static bool check_case(struct arena *arena, const char *in_name)
{
    cleanup_buf struct buf in = BUF_INIT;
    cleanup_buf struct buf want = BUF_INIT;
    cleanup_buf struct buf got = BUF_INIT;
    struct error err = ERROR_INIT;
    const char *path = arena_printf(arena, "%s/%s", dir, in_name);
    const char *want_path = arena_printf(arena, "%.*stxt", (int)(strlen(path) - 2), path);

    if (fs_read_file(AT_FDCWD, path, DOCKERFILE_BYTES_MAX, &in, &err) < 0) {
        fprintf(stderr, "# %s\n", err.text);
        return false;
    }
    print_all(arena, buf_str(&in), &got);
    if (getenv("GOLDEN_ACCEPT") != NULL)
        (void)fs_replace(AT_FDCWD, want_path, got.data, got.len, 0644, FS_VOLATILE, NULL);
    if (fs_read_file(AT_FDCWD, want_path, 1 << 20, &want, &err) < 0 ||
        !str_equal(buf_str(&got), buf_str(&want))) {
        fprintf(stderr, "# %s: got\n%s# want\n%s", path, buf_text(&got), buf_text(&want));
        return false;
    }
    return true;
}

TEST(dockerfiles_read_as_they_did)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct strings names = {0};
    struct error err = ERROR_INIT;
    size_t n_cases = 0, n_good = 0;

    CHECK_OK(fs_list(AT_FDCWD, dir, &arena, &names, &err), &err);
    for (size_t i = 0; i < names.n; i++) {
        if (!text_ends_with(names.items[i], ".in"))
            continue;
        n_cases++;
        n_good += check_case(&arena, names.items[i]);
    }
    CHECK(n_cases > 0);
    CHECK_INT(n_good, n_cases);
}
