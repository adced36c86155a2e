/* Dockerfile parser, graph, expansion and .dockerignore take any bytes. */

#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/build/dockerfile.h"
#include "engine/build/expand.h"
#include "engine/build/graph.h"
#include "engine/build/ignore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expand_all(struct arena *arena, const struct dockerfile *file)
{
    static const struct pair values[] = {{"A", "aaa/bbb"}, {"B", ""}, {"C", NULL}};
    struct expand_scope scope = {values, 3, file->escape};
    const char *ret = NULL;

    for (size_t i = 0; i < file->n_instructions; i++) {
        const struct instruction *instruction = &file->instructions[i];
        (void)expand_text(arena, &scope, instruction->text, &ret, NULL);
        for (size_t k = 0; k < instruction->words.n; k++)
            (void)expand_word(arena, &scope, instruction->words.items[k], &ret, NULL);
        for (size_t k = 0; k < instruction->pairs.n; k++)
            if (instruction->pairs.items[k].value != NULL)
                (void)expand_word(arena, &scope, instruction->pairs.items[k].value, &ret, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct str text = {(const char *)data, size};
    struct pairs args = {0};
    struct graph_options options = {.args = &args, .architecture = "amd64"};
    struct dockerfile file;
    struct build_graph graph;
    struct ignore ignore;
    struct error err = ERROR_INIT;

    if (dockerfile_parse(&arena, "Dockerfile", text, &file, &err) == 0) {
        expand_all(&arena, &file);
        (void)build_graph_make(&arena, &file, &options, &graph, &err);
    }
    if (ignore_parse(&arena, ".dockerignore", text, &ignore, &err) == 0 && ignore.n < 64) {
        uint8_t marks[64];
        (void)ignore_excludes_path(&arena, &ignore, "a/b/c.d", marks);
        (void)ignore_may_have_exceptions_below(&ignore, "a/b");
    }
    return 0;
}
