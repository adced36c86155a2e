/* Instructions that change the config only. */

#include <stdlib.h>
#include <strings.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/build/stage.h"
#include "engine/build/words.h"
#include "engine/engine.h"

/* The words an instruction has for image_config_apply. */
struct config_words {
    VEC(const char *) words;
    enum config_form form;
};

static struct arena *arena_of(const struct stage *stage)
{
    return &stage->builder->arena;
}

static int add_pairs(struct stage *stage, const struct instruction *instruction,
                     struct config_words *ret, struct error *err)
{
    size_t n = instruction->pairs.n;
    struct pair *expanded = arena_new_array(arena_of(stage), struct pair, n);

    for (size_t i = 0; i < n; i++) /* all see the values from before */
        if (stage_expand(stage, instruction->pairs.items[i].name, &expanded[i].name, err) < 0 ||
            stage_expand(stage, instruction->pairs.items[i].value, &expanded[i].value, err) < 0)
            return -1;
    for (size_t i = 0; i < n; i++) {
        if (expanded[i].name[0] == '\0')
            return error_set(err, ERROR_INVALID, "a name is empty");
        vec_push(&ret->words,
                 arena_printf(arena_of(stage), "%s=%s", expanded[i].name, expanded[i].value));
        if (instruction->kind == INSTRUCTION_ENV)
            stage_set_variable(stage, expanded[i].name, expanded[i].value);
    }
    return 0;
}

static int add_expanded(struct stage *stage, const char *word, struct config_words *ret,
                        struct error *err)
{
    const char *text;

    if (stage_expand(stage, word, &text, err) < 0)
        return -1;
    vec_push(&ret->words, text);
    return 0;
}

/* Ports may come several at a time out of one variable; protocols in any case. */
static int add_ports(struct stage *stage, const struct instruction *instruction,
                     struct config_words *ret, struct error *err)
{
    for (size_t i = 0; i < instruction->words.n; i++) {
        const char *text;
        if (stage_expand(stage, instruction->words.items[i], &text, err) < 0)
            return -1;
        struct strings ports = words_split(arena_of(stage), str_from(text));
        for (size_t k = 0; k < ports.n; k++) {
            char *port = arena_strdup(arena_of(stage), ports.items[k]);
            for (char *c = port; *c != '\0'; c++)
                *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
            vec_push(&ret->words, port);
        }
    }
    if (ret->words.n == 0)
        return error_set(err, ERROR_INVALID, "EXPOSE \"%.200s\" expands to nothing",
                         instruction->text);
    return 0;
}

static int add_volumes(struct stage *stage, const struct instruction *instruction,
                       struct config_words *ret, struct error *err)
{
    for (size_t i = 0; i < instruction->words.n; i++)
        if (add_expanded(stage, instruction->words.items[i], ret, err) < 0)
            return -1;
    return 0;
}

static void add_command(const struct instruction *instruction, struct config_words *ret)
{
    ret->form = instruction->is_json ? CONFIG_EXEC_FORM : CONFIG_SHELL_FORM;
    if (!instruction->is_json)
        vec_push(&ret->words, instruction->text);
    for (size_t i = 0; instruction->is_json && i < instruction->words.n; i++)
        vec_push(&ret->words, instruction->words.items[i]);
}

static void add_health(struct stage *stage, const struct instruction *instruction,
                       struct config_words *ret)
{
    if (!instruction->is_json && instruction->words.n == 1) {
        vec_push(&ret->words, "NONE");
        return;
    }
    for (size_t i = 0; i < instruction->flags.n; i++)
        vec_push(&ret->words,
                 arena_printf(arena_of(stage), "--%s=%s", instruction->flags.items[i].name,
                              instruction->flags.items[i].value));
    vec_push(&ret->words, "CMD");
    add_command(instruction, ret);
}

/* An entrypoint makes an inherited command meaningless. */
static void drop_inherited_command(struct stage *stage)
{
    json_t *config = json_object_get(stage->image, "config");

    if (!stage->has_cmd && config != NULL)
        (void)json_object_del(config, "Cmd"); /* may be absent */
}

static int make_words(struct stage *stage, const struct instruction *instruction,
                      struct config_words *ret, struct error *err)
{
    switch (instruction->kind) {
    case INSTRUCTION_ENV:
    case INSTRUCTION_LABEL:
        return add_pairs(stage, instruction, ret, err);
    case INSTRUCTION_EXPOSE:
        return add_ports(stage, instruction, ret, err);
    case INSTRUCTION_VOLUME:
        return add_volumes(stage, instruction, ret, err);
    case INSTRUCTION_USER:
    case INSTRUCTION_STOPSIGNAL:
        return add_expanded(stage, instruction->text, ret, err);
    case INSTRUCTION_MAINTAINER:
        vec_push(&ret->words, instruction->text);
        return 0;
    case INSTRUCTION_HEALTHCHECK:
        add_health(stage, instruction, ret);
        return 0;
    case INSTRUCTION_ENTRYPOINT:
        drop_inherited_command(stage);
        add_command(instruction, ret);
        return 0;
    case INSTRUCTION_CMD:
        stage->has_cmd = true;
        add_command(instruction, ret);
        return 0;
    case INSTRUCTION_SHELL:
        add_command(instruction, ret);
        return 0;
    case INSTRUCTION_ADD:
    case INSTRUCTION_ARG:
    case INSTRUCTION_COPY:
    case INSTRUCTION_FROM:
    case INSTRUCTION_RUN:
    case INSTRUCTION_WORKDIR:
    case INSTRUCTION_KINDS:
        break;
    }
    BUG();
}

int stage_configure(struct stage *stage, const struct build_step *step, struct error *err)
{
    const struct instruction *instruction = step->instruction;
    const char *name = instruction_names[instruction->kind];
    struct config_words words = {VEC_INIT, CONFIG_SHELL_FORM};

    int r = make_words(stage, instruction, &words, err);
    if (r == 0) {
        struct strings list = {words.words.items, words.words.n};
        r = image_config_apply(stage->image, name, &list, words.form, err);
    }
    vec_release(&words.words);
    if (r == 0)
        stage_add_history(stage, arena_printf(arena_of(stage), "%s %s", name, instruction->text),
                          stage->created, true);
    return r;
}

/* --build-arg, else the default, else the value from before the first FROM. */
int stage_arg(struct stage *stage, const struct build_step *step, struct error *err)
{
    const struct pairs *args = &step->instruction->pairs;
    const struct pairs *globals = &stage->builder->graph.global_args;

    for (size_t i = 0; i < args->n; i++) {
        const char *name = args->items[i].name;
        const char *value = pairs_find(&stage->builder->request->args, name);
        if (value == NULL && args->items[i].value != NULL) {
            if (stage_expand(stage, args->items[i].value, &value, err) < 0)
                return -1;
        } else if (value == NULL) {
            for (size_t k = 0; k < globals->n; k++) /* the last one wins */
                if (text_equal(globals->items[k].name, name))
                    value = globals->items[k].value;
        }
        if (value != NULL)
            stage_set_variable(stage, name, value);
    }
    stage_add_history(stage, arena_printf(arena_of(stage), "ARG %s", step->instruction->text),
                      stage->created, true);
    return 0;
}
