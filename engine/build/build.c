/* From the request to the image. */

#include "engine/build/build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/path.h"
#include "engine/build/runner.h"
#include "engine/build/stage.h"
#include "engine/build/stats.h"
#include "engine/engine.h"
#include "engine/image/job.h"

static const char default_path[] =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* ------------------------------------------------------------------ reading */

static const char *dockerfile_path(struct builder *builder)
{
    const char *name = builder->request->dockerfile;

    return path_join(&builder->arena, builder->request->context,
                     name != NULL && name[0] != '\0' ? name : "Dockerfile");
}

static int check_context(const struct builder *builder, struct error *err)
{
    struct stat stat_buf;

    if (stat(builder->request->context, &stat_buf) < 0)
        return error_sys(err, errno, "open the build context \"%s\"", builder->request->context);
    if (!S_ISDIR(stat_buf.st_mode))
        return error_set(err, ERROR_INVALID, "the build context \"%s\" is not a directory",
                         builder->request->context);
    return 0;
}

static int read_dockerfile(struct builder *builder, struct error *err)
{
    struct buf text = BUF_INIT;
    const char *path = dockerfile_path(builder);
    int r = fs_read_file(AT_FDCWD, path, DOCKERFILE_BYTES_MAX, &text, err);

    if (r == 0) { /* instructions borrow from the text */
        struct str copy = {arena_strndup(&builder->arena, buf_text(&text), text.len), text.len};
        r = dockerfile_parse(&builder->arena, path_base(path), copy, &builder->file, err);
    } else {
        r = error_wrap(err, "read the Dockerfile");
    }
    buf_release(&text);
    return r;
}

static int parse_ignore(struct builder *builder, const char *path, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;

    if (fs_read_file(AT_FDCWD, path, IGNORE_BYTES_MAX, &text, err) < 0)
        return -1;
    struct str copy = {arena_strndup(&builder->arena, buf_text(&text), text.len), text.len};
    return ignore_parse(&builder->arena, path_base(path), copy, &builder->ignore, err);
}

/* Dockerfile.dockerignore beside the Dockerfile, else .dockerignore of the context. */
static int read_ignore(struct builder *builder, struct error *err)
{
    const char *paths[] = {
        arena_printf(&builder->arena, "%s.dockerignore", dockerfile_path(builder)),
        path_join(&builder->arena, builder->request->context, ".dockerignore"),
    };

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (fs_exists(AT_FDCWD, paths[i]))
            return parse_ignore(builder, paths[i], err);
    return 0;
}

static int make_graph(struct builder *builder, struct error *err)
{
    struct graph_options options = {.args = &builder->request->args,
                                    .target = builder->request->target,
                                    .architecture = image_config_architecture()};
    struct build_graph *graph = &builder->graph;

    if (build_graph_make(&builder->arena, &builder->file, &options, graph, err) < 0)
        return -1;
    if (builder->file.syntax != NULL)
        builder_event(builder, BUILD_WARNING, "%s: the directive syntax=%s has no effect",
                      builder->file.name, builder->file.syntax);
    for (size_t i = 0; i < graph->unused_args.n; i++)
        builder_event(builder, BUILD_WARNING, "%s: no ARG asks for the build argument %s",
                      builder->file.name, graph->unused_args.items[i]);
    for (size_t i = 0; i < graph->n_stages; i++)
        builder->n_steps += graph->stages[i].is_needed ? graph->stages[i].n_steps : 0;
    return 0;
}

/* ------------------------------------------------------------------ bases */

static void set_variables_from_env(struct stage *stage)
{
    struct arena *arena = &stage->builder->arena;
    struct strings env = json_strings(arena, json_object_get(stage->image, "config"), "Env");

    for (size_t i = 0; i < env.n; i++) {
        struct str name, value;
        if (str_cut(str_from(env.items[i]), '=', &name, &value))
            stage_set_variable(stage, arena_strndup(arena, name.data, name.len),
                               arena_strndup(arena, value.data, value.len));
    }
}

static int add_default_path(struct stage *stage, struct error *err)
{
    const char *word = default_path;
    struct strings words = {&word, 1};
    struct strings env =
        json_strings(&stage->builder->arena, json_object_get(stage->image, "config"), "Env");

    for (size_t i = 0; i < env.n; i++)
        if (text_starts_with(env.items[i], "PATH="))
            return 0;
    return image_config_apply(stage->image, "ENV", &words, CONFIG_SHELL_FORM, err);
}

static void on_pull_event(const struct job_event *event, void *context)
{
    const struct builder *builder = context;

    if (event->kind == JOB_PROGRESS)
        builder_event(builder, BUILD_PROGRESS, "FROM: %s", event->text);
}

static int pull_image(struct builder *builder, const char *reference, struct error *err)
{
    struct image_pull_request request = {.reference = reference};
    struct job *job = NULL;

    builder_event(builder, BUILD_PROGRESS, "pull %s", reference);
    int r = image_pull_start(builder->state_fd, &request, &job, err);
    if (r == 0)
        r = job_wait(job, on_pull_event, builder, err);
    job_close(job);
    return r;
}

int builder_need_image(struct builder *builder, const char *reference, struct image_info *ret,
                       struct error *err)
{
    struct error why = ERROR_INIT, pull_err = ERROR_INIT;

    if (builder->request->pull && pull_image(builder, reference, err) < 0)
        return error_wrap(err, "pull \"%s\"", reference);
    if (image_find(builder->state_fd, &builder->arena, reference, ret, &why) < 0) {
        if (why.code != ERROR_NOT_FOUND)
            return error_set(err, why.code, "%s", why.text);
        if (pull_image(builder, reference, &pull_err) < 0)
            return error_set(err, ERROR_NOT_FOUND, "%s (it can't be pulled: %s)", why.text,
                             pull_err.text);
        if (image_find(builder->state_fd, &builder->arena, reference, ret, err) < 0)
            return -1;
    }
    return image_lease_add(&builder->lease, ret->id, err);
}

static int begin_from_image(struct stage *stage, const char *reference, struct error *err)
{
    struct builder *builder = stage->builder;
    struct image_info info;

    builder_event(builder, BUILD_PROGRESS, "FROM %s", reference);
    if (builder_need_image(builder, reference, &info, err) < 0 ||
        image_config_read(builder->state_fd, info.id, &stage->image, err) < 0)
        return -1;
    if (json_array_size(json_object_get(json_object_get(stage->image, "config"), "OnBuild")) > 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the image \"%s\" has ONBUILD triggers, which are not supported",
                         reference);
    for (size_t i = 0; i < info.layers.n; i++)
        vec_push(&stage->layers.list, info.layers.items[i]);
    const char *created = json_text_or(stage->image, "created", NULL);
    stage->created = created != NULL ? arena_strdup(&builder->arena, created) : NULL;
    return 0;
}

static void begin_from_stage(struct stage *stage, const struct stage *base)
{
    stage->image = json_deep_copy(base->image);
    stage->created = base->created;
    for (size_t i = 0; i < base->layers.list.n; i++)
        vec_push(&stage->layers.list, base->layers.list.items[i]);
    for (size_t i = 0; i < base->variables.n; i++)
        vec_push(&stage->variables, base->variables.items[i]);
}

static int begin_stage(struct stage *stage, struct error *err)
{
    const struct build_origin *base = &stage->plan->base;
    int r = 0;

    switch (base->kind) {
    case ORIGIN_SCRATCH:
        stage->image = image_config_new();
        break;
    case ORIGIN_STAGE:
        begin_from_stage(stage, &stage->builder->stages[base->stage]);
        return 0; /* PATH and variables came along */
    case ORIGIN_IMAGE:
        r = begin_from_image(stage, base->image, err);
        break;
    }
    if (r == 0)
        r = add_default_path(stage, err);
    if (r == 0)
        set_variables_from_env(stage);
    return r;
}

/* ------------------------------------------------------------------ steps */

typedef int step_fn(struct stage *stage, const struct build_step *step, struct error *err);

static step_fn *const step_functions[INSTRUCTION_KINDS] = {
    [INSTRUCTION_ADD] = stage_copy,
    [INSTRUCTION_ARG] = stage_arg,
    [INSTRUCTION_CMD] = stage_configure,
    [INSTRUCTION_COPY] = stage_copy,
    [INSTRUCTION_ENTRYPOINT] = stage_configure,
    [INSTRUCTION_ENV] = stage_configure,
    [INSTRUCTION_EXPOSE] = stage_configure,
    [INSTRUCTION_HEALTHCHECK] = stage_configure,
    [INSTRUCTION_LABEL] = stage_configure,
    [INSTRUCTION_MAINTAINER] = stage_configure,
    [INSTRUCTION_RUN] = stage_run,
    [INSTRUCTION_SHELL] = stage_configure,
    [INSTRUCTION_STOPSIGNAL] = stage_configure,
    [INSTRUCTION_USER] = stage_configure,
    [INSTRUCTION_VOLUME] = stage_configure,
    [INSTRUCTION_WORKDIR] = stage_workdir,
};

static int build_stage(struct stage *stage, struct error *err)
{
    struct builder *builder = stage->builder;

    if (begin_stage(stage, err) < 0)
        return dockerfile_error_wrap(&builder->file, stage->plan->from->line, err);
    for (size_t i = 0; i < stage->plan->n_steps; i++) {
        const struct build_step *step = &stage->plan->steps[i];
        builder->step++;
        stage->current = step->instruction;
        if (step_functions[step->instruction->kind](stage, step, err) < 0)
            return dockerfile_error_wrap(&builder->file, step->instruction->line, err);
    }
    return 0;
}

static int build_stages(struct builder *builder, struct error *err)
{
    struct build_graph *graph = &builder->graph;

    builder->stages = arena_new_array(&builder->arena, struct stage, graph->n_stages);
    for (size_t i = 0; i < graph->n_stages; i++) {
        builder->stages[i].builder = builder;
        builder->stages[i].plan = &graph->stages[i];
    }
    for (size_t i = 0; i <= graph->target; i++)
        if (graph->stages[i].is_needed && build_stage(&builder->stages[i], err) < 0)
            return -1;
    return 0;
}

/* ------------------------------------------------------------------ the image */

static int add_labels(struct stage *stage, struct error *err)
{
    const struct pairs *labels = &stage->builder->request->labels;
    struct arena *arena = &stage->builder->arena;

    for (size_t i = 0; i < labels->n; i++) {
        const char *value = labels->items[i].value != NULL ? labels->items[i].value : "";
        const char *word = arena_printf(arena, "%s=%s", labels->items[i].name, value);
        struct strings words = {&word, 1};
        if (image_config_apply(stage->image, "LABEL", &words, CONFIG_SHELL_FORM, err) < 0)
            return -1;
    }
    return 0;
}

static const char *const dropped_keys[] = {"id", "parent", "container", "container_config",
                                           "docker_version"};

/* The document depends on nothing but the steps, so that a build whose steps are all cached gives
 * the image it gave before. */
static void finish_config(struct stage *stage)
{
    struct strings layers = stage_layers(stage);
    json_t *rootfs = json_object();

    for (size_t i = 0; i < sizeof(dropped_keys) / sizeof(dropped_keys[0]); i++)
        (void)json_object_del(stage->image, dropped_keys[i]); /* may be absent */
    json_set_text(stage->image, "created",
                  stage->created != NULL ? stage->created : "1970-01-01T00:00:00Z");
    json_set_text(rootfs, "type", "layers");
    json_set_take(rootfs, "diff_ids", json_array());
    json_set_strings(rootfs, "diff_ids", &layers);
    json_set_take(stage->image, "rootfs", rootfs);
}

static int write_image(struct builder *builder, char ret_id[static DIGEST_TEXT_SIZE],
                       struct error *err)
{
    struct stage *stage = &builder->stages[builder->graph.target];
    const struct strings *tags = &builder->request->tags;
    struct image_reference *references =
        arena_new_array(&builder->arena, struct image_reference, tags->n);

    for (size_t i = 0; i < tags->n; i++)
        if (image_reference_parse(&builder->arena, tags->items[i], &references[i], err) < 0)
            return -1;
    if (add_labels(stage, err) < 0)
        return -1;
    finish_config(stage);
    struct image_write write = {
        .config = stage->image, .references = references, .n_references = tags->n};
    return image_write(builder->state_fd, &write, ret_id, err);
}

/* ------------------------------------------------------------------ whole */

static void builder_release(struct builder *builder)
{
    for (size_t i = 0; builder->stages != NULL && i < builder->graph.n_stages; i++) {
        json_decref(builder->stages[i].image);
        vec_release(&builder->stages[i].layers.list);
        vec_release(&builder->stages[i].variables);
    }
    runner_close(builder->runner);
    file_stats_close(builder->context.stats);
    if (builder->context.root_fd >= 0)
        (void)close(builder->context.root_fd);
    image_lease_close(&builder->lease);
    arena_release(&builder->arena);
}

static int build_all(struct builder *builder, char ret_id[static DIGEST_TEXT_SIZE],
                     struct error *err)
{
    if (check_context(builder, err) < 0 || read_dockerfile(builder, err) < 0 ||
        read_ignore(builder, err) < 0 || make_graph(builder, err) < 0 ||
        image_lease_open(builder->state_fd, &builder->lease, err) < 0)
        return -1;
    int r = build_stages(builder, err);
    if (builder->context.stats != NULL && file_stats_save(builder->context.stats, NULL) < 0)
        builder_event(builder, BUILD_WARNING, "can't keep the digests of the context, continuing");
    if (r < 0 || write_image(builder, ret_id, err) < 0)
        return -1;
    if (builder->has_stored && cache_prune(builder->state_fd, clock_realtime_ns(), NULL) < 0)
        builder_event(builder, BUILD_WARNING, "can't clean the build cache, continuing");
    return 0;
}

int build_run(int state_fd, const char *state_path, int run_fd,
              const struct image_build_request *request, build_event_fn *on_event, void *context,
              char ret_id[static 72], struct error *err)
{
    struct builder builder = {.state_fd = state_fd,
                              .run_fd = run_fd,
                              .state_path = state_path,
                              .request = request,
                              .on_event = on_event,
                              .event_context = context,
                              .context = {.root_fd = -1, .is_context = true},
                              .lease = IMAGE_LEASE_INIT};

    builder.context.ignore = &builder.ignore;
    mode_t old_mask = umask(0); /* modes in layers are those that are asked for */
    int r = build_all(&builder, ret_id, err);
    builder_release(&builder);
    (void)umask(old_mask);
    return r;
}
