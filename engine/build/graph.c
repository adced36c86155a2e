/* Instructions → stages. */

#include "engine/build/graph.h"

#include <ctype.h>
#include <stdint.h>
#include <strings.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "engine/base/vec.h"
#include "engine/build/dockerfile.h"
#include "engine/build/expand.h"

struct grapher {
    struct arena *arena;
    const struct dockerfile *file;
    const struct graph_options *options;
    struct build_graph *graph;
    VEC(struct pair) globals;
    struct error *err;
};

#define fail(grapher, instruction, ...)                                                            \
    (dockerfile_error((grapher)->file, (instruction)->line, (grapher)->err, __VA_ARGS__), -1)

static const char *const proxy_names[] = {"http_proxy", "https_proxy", "ftp_proxy", "no_proxy",
                                          "all_proxy"};

bool build_arg_is_proxy(const char *name)
{
    for (size_t i = 0; i < sizeof(proxy_names) / sizeof(proxy_names[0]); i++)
        if (strcasecmp(name, proxy_names[i]) == 0)
            return true;
    return false;
}

static int expand(struct grapher *grapher, const struct instruction *instruction, const char *word,
                  const char **ret)
{
    struct expand_scope scope = {grapher->globals.items, grapher->globals.n, grapher->file->escape};

    if (expand_word(grapher->arena, &scope, word, ret, grapher->err) < 0)
        return dockerfile_error_wrap(grapher->file, instruction->line, grapher->err);
    return 0;
}

static void add_platform_args(struct grapher *grapher)
{
    const char *architecture = grapher->options->architecture;
    const char *platform = arena_printf(grapher->arena, "linux/%s", architecture);
    static const char *const sides[] = {"BUILD", "TARGET"};

    for (size_t i = 0; i < 2; i++) {
        const struct pair args[] = {
            {arena_printf(grapher->arena, "%sPLATFORM", sides[i]), platform},
            {arena_printf(grapher->arena, "%sOS", sides[i]), "linux"},
            {arena_printf(grapher->arena, "%sARCH", sides[i]), architecture},
            {arena_printf(grapher->arena, "%sVARIANT", sides[i]), ""},
        };
        for (size_t k = 0; k < sizeof(args) / sizeof(args[0]); k++)
            vec_push(&grapher->globals, args[k]);
    }
}

static int add_global_args(struct grapher *grapher, const struct instruction *instruction)
{
    for (size_t i = 0; i < instruction->pairs.n; i++) {
        struct pair arg = instruction->pairs.items[i];
        const char *given = pairs_find(grapher->options->args, arg.name);
        if (given != NULL)
            arg.value = given;
        else if (arg.value != NULL && expand(grapher, instruction, arg.value, &arg.value) < 0)
            return -1;
        vec_push(&grapher->globals, arg);
    }
    return 0;
}

/* ------------------------------------------------------------------ stages */

static bool stage_name_is_valid(const char *name)
{
    if (!islower((unsigned char)name[0]))
        return false;
    for (; *name != '\0'; name++)
        if (!islower((unsigned char)*name) && !isdigit((unsigned char)*name) &&
            strchr("-_.", *name) == NULL)
            return false;
    return true;
}

/* Index of the stage of that name before `n`; -1 = none. The last one of equal names. */
static int64_t find_stage(const struct build_graph *graph, const char *name, size_t n)
{
    for (size_t i = n; i-- > 0;)
        if (graph->stages[i].name != NULL && strcasecmp(graph->stages[i].name, name) == 0)
            return (int64_t)i;
    return -1;
}

static int read_stage_name(struct grapher *grapher, const struct instruction *from,
                           const char **ret)
{
    *ret = NULL;
    if (from->words.n < 3)
        return 0;
    char *name = arena_strdup(grapher->arena, from->words.items[2]);
    for (char *c = name; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    if (!stage_name_is_valid(name))
        return fail(grapher, from, ERROR_INVALID, "invalid stage name \"%.100s\"", name);
    if (text_equal(name, "scratch"))
        return fail(grapher, from, ERROR_INVALID, "the stage name \"scratch\" is reserved");
    *ret = name;
    return 0;
}

static int check_platform(struct grapher *grapher, const struct instruction *from)
{
    const char *platform = instruction_flag(from, "platform");

    if (platform == NULL)
        return 0;
    const char *own = arena_printf(grapher->arena, "linux/%s", grapher->options->architecture);
    if (expand(grapher, from, platform, &platform) < 0)
        return -1;
    if (platform[0] != '\0' && !text_equal(platform, own))
        return fail(grapher, from, ERROR_UNSUPPORTED,
                    "platform \"%.60s\" is not supported: this machine is %s", platform, own);
    return 0;
}

static int begin_stage(struct grapher *grapher, const struct instruction *from,
                       struct build_stage *stage)
{
    const char *base;
    size_t index = (size_t)(stage - grapher->graph->stages);

    *stage = (struct build_stage){.from = from};
    if (check_platform(grapher, from) < 0 || read_stage_name(grapher, from, &stage->name) < 0 ||
        expand(grapher, from, from->words.items[0], &base) < 0)
        return -1;
    if (base[0] == '\0')
        return fail(grapher, from, ERROR_INVALID, "the base image \"%.100s\" expands to nothing",
                    from->words.items[0]);

    int64_t earlier = find_stage(grapher->graph, base, index);
    if (text_equal(base, "scratch"))
        stage->base.kind = ORIGIN_SCRATCH;
    else if (earlier >= 0)
        stage->base = (struct build_origin){.kind = ORIGIN_STAGE, .stage = (size_t)earlier};
    else
        stage->base = (struct build_origin){.kind = ORIGIN_IMAGE, .image = base};
    return 0;
}

/* COPY --from: a number, the name of an earlier stage, or an image. */
static int read_copy_origin(struct grapher *grapher, size_t stage_index,
                            const struct instruction *copy, struct build_origin *ret)
{
    const char *from = instruction_flag(copy, "from");
    uint64_t number;

    *ret = (struct build_origin){.kind = ORIGIN_SCRATCH};
    if (copy->kind != INSTRUCTION_COPY || from == NULL)
        return 0;
    if (strchr(from, '$') != NULL)
        return fail(grapher, copy, ERROR_UNSUPPORTED,
                    "COPY --from can't hold a variable: write FROM %.100s AS name, and --from=name",
                    from);
    if (copy->n_heredocs > 0)
        return fail(grapher, copy, ERROR_INVALID, "COPY --from can't copy a here-document");

    bool is_number = parse_u64(str_from(from), 0, UINT32_MAX, &number, NULL) == 0;
    int64_t earlier =
        is_number ? (int64_t)number : find_stage(grapher->graph, from, grapher->graph->n_stages);
    if (is_number && number >= stage_index)
        return fail(grapher, copy, ERROR_INVALID, "COPY --from=%s: no stage %s before this one",
                    from, from);
    if (earlier >= (int64_t)stage_index)
        earlier = find_stage(grapher->graph, from, stage_index);
    if (earlier >= 0)
        *ret = (struct build_origin){.kind = ORIGIN_STAGE, .stage = (size_t)earlier};
    else if (find_stage(grapher->graph, from, grapher->graph->n_stages) >= 0)
        return fail(grapher, copy, ERROR_INVALID,
                    "COPY --from=%s: the stage must be defined before this one", from);
    else
        *ret = (struct build_origin){.kind = ORIGIN_IMAGE, .image = from};
    return 0;
}

static size_t count_stages(const struct dockerfile *file)
{
    size_t n = 0;

    for (size_t i = 0; i < file->n_instructions; i++)
        n += file->instructions[i].kind == INSTRUCTION_FROM;
    return n;
}

static int make_stages(struct grapher *grapher)
{
    const struct dockerfile *file = grapher->file;
    struct build_graph *graph = grapher->graph;
    struct build_stage *stage = NULL;
    size_t n = count_stages(file);

    if (n > GRAPH_STAGES_MAX)
        return error_set(grapher->err, ERROR_INVALID, "%s: more than %d stages", file->name,
                         GRAPH_STAGES_MAX);
    graph->stages = arena_new_array(grapher->arena, struct build_stage, n);
    for (size_t i = 0; i < file->n_instructions; i++) {
        const struct instruction *instruction = &file->instructions[i];
        if (instruction->kind == INSTRUCTION_FROM) {
            stage = &graph->stages[graph->n_stages];
            if (begin_stage(grapher, instruction, stage) < 0)
                return -1;
            graph->n_stages++;
            stage->steps =
                arena_new_array(grapher->arena, struct build_step, file->n_instructions - i);
        } else if (stage == NULL) {
            if (add_global_args(grapher, instruction) < 0)
                return -1;
        } else {
            stage->steps[stage->n_steps++].instruction = instruction;
        }
    }
    for (size_t i = 0; i < graph->n_stages; i++)
        for (size_t k = 0; k < graph->stages[i].n_steps; k++)
            if (read_copy_origin(grapher, i, graph->stages[i].steps[k].instruction,
                                 &graph->stages[i].steps[k].from) < 0)
                return -1;
    return 0;
}

/* ------------------------------------------------------------------ target */

static int find_target(struct grapher *grapher)
{
    struct build_graph *graph = grapher->graph;
    const char *target = grapher->options->target;
    uint64_t number;

    graph->target = graph->n_stages - 1;
    if (target == NULL || target[0] == '\0')
        return 0;
    int64_t found = find_stage(graph, target, graph->n_stages);
    if (found < 0 && parse_u64(str_from(target), 0, graph->n_stages - 1, &number, NULL) == 0)
        found = (int64_t)number;
    if (found >= 0) {
        graph->target = (size_t)found;
        return 0;
    }
    for (size_t i = 0; i < graph->n_stages; i++)
        if (graph->stages[i].name != NULL && text_distance(target, graph->stages[i].name, 3) < 3)
            return error_set(grapher->err, ERROR_NOT_FOUND,
                             "%s: no stage \"%.100s\", did you mean \"%.100s\"?",
                             grapher->file->name, target, graph->stages[i].name);
    return error_set(grapher->err, ERROR_NOT_FOUND, "%s: no stage \"%.100s\"", grapher->file->name,
                     target);
}

/* Backwards: whoever needs a stage stands behind it. */
static void mark_needed(struct build_graph *graph)
{
    graph->stages[graph->target].is_needed = true;
    for (size_t i = graph->target + 1; i-- > 0;) {
        const struct build_stage *stage = &graph->stages[i];
        if (!stage->is_needed)
            continue;
        if (stage->base.kind == ORIGIN_STAGE)
            graph->stages[stage->base.stage].is_needed = true;
        for (size_t k = 0; k < stage->n_steps; k++)
            if (stage->steps[k].from.kind == ORIGIN_STAGE)
                graph->stages[stage->steps[k].from.stage].is_needed = true;
    }
}

static bool arg_is_asked_for(const struct dockerfile *file, const char *name)
{
    for (size_t i = 0; i < file->n_instructions; i++)
        if (file->instructions[i].kind == INSTRUCTION_ARG &&
            pairs_have(&file->instructions[i].pairs, name))
            return true;
    return build_arg_is_proxy(name);
}

static void find_unused_args(struct grapher *grapher)
{
    const struct pairs *args = grapher->options->args;
    struct strings *unused = &grapher->graph->unused_args;

    unused->items = arena_new_array(grapher->arena, const char *, args->n);
    unused->n = 0;
    for (size_t i = 0; i < args->n; i++)
        if (args->items[i].value != NULL && !arg_is_asked_for(grapher->file, args->items[i].name))
            unused->items[unused->n++] = args->items[i].name;
}

int build_graph_make(struct arena *arena, const struct dockerfile *file,
                     const struct graph_options *options, struct build_graph *ret,
                     struct error *err)
{
    struct grapher grapher = {
        .arena = arena, .file = file, .options = options, .graph = ret, .err = err};

    *ret = (struct build_graph){0};
    add_platform_args(&grapher);
    int r = make_stages(&grapher);
    ret->global_args = (struct pairs){vec_to_arena(&grapher.globals, arena), grapher.globals.n};
    vec_release(&grapher.globals);
    if (r < 0 || find_target(&grapher) < 0)
        return -1;
    mark_needed(ret);
    find_unused_args(&grapher);
    return 0;
}
