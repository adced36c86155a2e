/* A stage while it is built: what the instructions share. */

#include "engine/build/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/build/expand.h"
#include "engine/build/root.h"
#include "engine/build/seal.h"
#include "engine/engine.h"

enum { PROGRESS_TEXT_MAX = 300 };

struct strings stage_layers(const struct stage *stage)
{
    return (struct strings){stage->layers.list.items, stage->layers.list.n};
}

const char *stage_config_text(const struct stage *stage, const char *key)
{
    return json_text_or(json_object_get(stage->image, "config"), key, "");
}

const char *stage_working_dir(const struct stage *stage)
{
    const char *dir = stage_config_text(stage, "WorkingDir");
    return dir[0] != '\0' ? dir : "/";
}

struct strings stage_shell(const struct stage *stage)
{
    static const char *default_shell[] = {"/bin/sh", "-c"};
    struct strings shell =
        json_strings(&stage->builder->arena, json_object_get(stage->image, "config"), "Shell");

    return shell.n > 0 ? shell : (struct strings){default_shell, 2};
}

int stage_expand(const struct stage *stage, const char *word, const char **ret, struct error *err)
{
    struct expand_scope scope = {stage->variables.items, stage->variables.n,
                                 stage->builder->file.escape};
    return expand_word(&stage->builder->arena, &scope, word, ret, err);
}

int stage_expand_all(const struct stage *stage, const struct strings *words, struct strings *ret,
                     struct error *err)
{
    struct strings result = {arena_new_array(&stage->builder->arena, const char *, words->n + 1),
                             words->n};

    for (size_t i = 0; i < words->n; i++)
        if (stage_expand(stage, words->items[i], &result.items[i], err) < 0)
            return -1;
    *ret = result;
    return 0;
}

/* The later one wins, so it goes to the end. */
void stage_set_variable(struct stage *stage, const char *name, const char *value)
{
    size_t n = 0;

    for (size_t i = 0; i < stage->variables.n; i++)
        if (!text_equal(stage->variables.items[i].name, name))
            stage->variables.items[n++] = stage->variables.items[i];
    stage->variables.n = n;
    vec_push(&stage->variables, (struct pair){name, value});
}

void builder_event(const struct builder *builder, enum build_event_kind kind, const char *fmt, ...)
{
    cleanup_buf struct buf text = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    builder->on_event(kind, buf_text(&text), builder->event_context);
}

void stage_add_history(struct stage *stage, const char *created_by, const char *created,
                       bool is_empty_layer)
{
    json_t *history = json_object_get(stage->image, "history");
    json_t *entry = json_object();

    if (!json_is_array(history)) {
        history = json_array();
        json_set_take(stage->image, "history", history);
    }
    json_set_text(entry, "created", created);
    json_set_text(entry, "created_by", created_by);
    if (is_empty_layer)
        json_set_bool(entry, "empty_layer", true);
    if (json_array_append_new(history, entry) < 0)
        BUG();
}

/* ------------------------------------------------------------------ steps with a layer */

void stage_key_begin(const struct stage *stage, const char *what, struct cache_key *ret)
{
    struct strings layers = stage_layers(stage);

    cache_key_begin(ret, what);
    cache_key_add(ret, "format", "1");
    cache_key_add(ret, "architecture", image_config_architecture());
    cache_key_add_list(ret, "layers", &layers);
}

static void say_step(const struct stage *stage, const char *suffix)
{
    const struct instruction *instruction = stage->current;
    struct builder *builder = stage->builder;
    const char *name = stage->plan->name != NULL ? stage->plan->name : "stage";
    struct str text = str_from(instruction->text);

    if (text.len > PROGRESS_TEXT_MAX)
        text.len = PROGRESS_TEXT_MAX;
    builder_event(builder, BUILD_PROGRESS, "[%s %zu/%zu] %s " STR_FMT "%s", name, builder->step,
                  builder->n_steps, instruction_names[instruction->kind], STR_ARG(text), suffix);
}

static void apply_record(struct stage *stage, const struct layer_step *step,
                         const struct cache_record *record)
{
    struct arena *arena = &stage->builder->arena;
    cleanup_buf struct buf created = BUF_INIT;

    clock_print_rfc3339(&created, record->created_ns);
    stage->created = arena_strdup(arena, buf_text(&created));
    if (record->layer[0] != '\0')
        vec_push(&stage->layers.list, arena_strdup(arena, record->layer));
    stage_add_history(stage, step->created_by, stage->created, record->layer[0] == '\0');
}

/* The root of the tree looks like the root below it: overlayfs shows the top one's attributes. */
static int copy_root_attributes(struct stage *stage, int tree_fd, struct error *err)
{
    struct strings layers = stage_layers(stage);
    cleanup_fd int lower_fd = -1;
    struct stat stat;

    if (layers.n == 0)
        return 0;
    if (layer_open(stage->builder->state_fd, layers.items[layers.n - 1], &lower_fd, NULL, err) < 0)
        return -1;
    if (fstat(lower_fd, &stat) < 0 || fchown(tree_fd, stat.st_uid, stat.st_gid) < 0 ||
        fchmod(tree_fd, stat.st_mode & 07777) < 0)
        return error_sys(err, errno, "prepare a layer");
    return 0;
}

static int commit_layer(struct stage *stage, struct layer_stage *layer, struct cache_record *ret,
                        struct error *err)
{
    struct builder *builder = stage->builder;
    struct layer_sum sum;

    if (layer_seal(layer->tree_fd, &sum, err) < 0)
        return error_wrap(err, "make a layer");
    ret->created_ns = clock_realtime_ns();
    ret->layer[0] = '\0';
    if (sum.n_entries == 0)
        return 0;
    if (fs_remove_tree(layer->dir_fd, "work", err) < 0)
        return -1;
    memcpy(ret->layer, sum.diff_id, sizeof(ret->layer));
    struct layer_commit commit = {.stage = layer,
                                  .diff_id = sum.diff_id,
                                  .size_bytes = sum.size_bytes,
                                  .n_entries = sum.n_entries};
    if (image_lease_add(&builder->lease, sum.diff_id, err) < 0)
        return -1;
    return layer_stages_commit(builder->state_fd, &commit, 1, err);
}

static int do_work(struct stage *stage, const struct layer_step *step, struct cache_record *ret,
                   struct error *err)
{
    struct builder *builder = stage->builder;
    cleanup_layer_stage struct layer_stage layer = LAYER_STAGE_INIT;
    struct strings layers = stage_layers(stage);
    struct layer_work work = {.layer = &layer, .root_fd = -1};
    cleanup_fd int work_fd = -1;
    cleanup_fd int root_fd = -1;

    if (layer_stage_begin(builder->state_fd, &layer, err) < 0 ||
        copy_root_attributes(stage, layer.tree_fd, err) < 0)
        return -1;
    if (step->needs_root &&
        (fs_open_dirs(layer.dir_fd, "work", 0700, &work_fd, err) < 0 ||
         stage_root_open(builder->state_fd, &layers, layer.tree_fd, work_fd, &root_fd, err) < 0))
        return -1;
    work.root_fd = root_fd;
    work.upper_fd = layer.tree_fd;
    if (step->work(stage, &work, step->context, err) < 0)
        return -1;
    if (root_fd >= 0)
        (void)close(fd_take(&root_fd)); /* the overlay is gone before its upper is read */
    return commit_layer(stage, &layer, ret, err);
}

int stage_layer_step(struct stage *stage, const struct layer_step *step, struct error *err)
{
    struct builder *builder = stage->builder;
    struct cache_record record;

    bool is_known =
        !builder->request->no_cache && cache_find(builder->state_fd, step->key, &record) == 0;
    if (is_known && record.layer[0] != '\0') {
        /* Leased, it can't go any more; it may have gone a moment ago. */
        if (image_lease_add(&builder->lease, record.layer, err) < 0)
            return -1;
        is_known = layer_exists(builder->state_fd, record.layer);
    }
    say_step(stage, is_known ? " (cached)" : "");
    if (!is_known) {
        if (do_work(stage, step, &record, err) < 0 ||
            cache_store(builder->state_fd, step->key, &record, err) < 0)
            return -1;
        builder->has_stored = true;
    }
    apply_record(stage, step, &record);
    return 0;
}
