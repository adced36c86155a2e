/* berth image ls, import, build, pull, rm. */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/path.h"
#include "engine/base/units.h"
#include "engine/cli/app.h"
#include "engine/cli/cli.h"
#include "engine/cli/table.h"
#include "engine/command/command.h"
#include "engine/command/listing.h"
#include "engine/engine.h"

enum { SHORT_ID_DIGITS = 12, DIGEST_PREFIX = 7 /* "sha256:" */ };

/* ---- ls
 * ------------------------------------------------------------------------------------------- */

static const char *short_id(struct arena *arena, const char *id)
{
    const char *digits = text_starts_with(id, "sha256:") ? id + DIGEST_PREFIX : id;

    return arena_strndup(arena, digits, SHORT_ID_DIGITS);
}

static void add_row(struct table *table, struct arena *arena, const struct image_info *image,
                    const char *reference)
{
    cleanup_buf struct buf age = BUF_INIT, size = BUF_INIT;
    struct str repository = str_from(reference), tag = STR("<none>");
    const char *colon = reference ? strrchr(reference, ':') : NULL;

    if (colon && !strchr(colon, '/'))
        str_cut_last(str_from(reference), ':', &repository, &tag);
    if (image->created_ns > 0) {
        print_age(&age, clock_realtime_ns() - image->created_ns);
        buf_add_text(&age, " ago");
    }
    print_bytes(&size, image->size_bytes);
    table_cell(table, reference ? arena_strndup(arena, repository.data, repository.len) : "<none>");
    table_cell(table, arena_strndup(arena, tag.data, tag.len));
    table_cell(table, short_id(arena, image->id));
    table_cell(table, image->created_ns > 0 ? buf_text(&age) : "N/A");
    table_cell(table, buf_text(&size));
}

static void add_rows(struct table *table, struct arena *arena, const void *item)
{
    const struct image_info *image = item;

    for (size_t i = 0; i < image->references.n; i++)
        add_row(table, arena, image, image->references.items[i]);
    if (image->references.n == 0)
        add_row(table, arena, image, NULL);
}

static int load(struct engine *engine, struct arena *arena, void **ret_items, size_t *ret_n,
                struct error *err)
{
    return engine_images_list(engine, arena, (struct image_info **)ret_items, ret_n, err);
}

static const char *key(const void *item)
{
    const struct image_info *image = item;

    return image->id;
}

static json_t *to_json(const void *item)
{
    const struct image_info *image = item;
    json_t *json = json_object();
    cleanup_buf struct buf created = BUF_INIT;

    clock_print_rfc3339(&created, image->created_ns);
    json_set_text(json, "ID", image->id);
    json_set_take(json, "References", json_array());
    json_set_strings(json, "References", &image->references);
    json_set_text(json, "Created", buf_text(&created));
    json_set_i64(json, "Size", (int64_t)image->size_bytes);
    json_set_i64(json, "Layers", (int64_t)image->layers.n);
    return json;
}

static int ls_run(struct cli_context *context, const void *options, const struct strings *args,
                  struct error *err)
{
    static const char *const headings[] = {"REPOSITORY", "TAG",  "IMAGE ID",
                                           "CREATED",    "SIZE", NULL};
    static const struct listing listing = {headings, sizeof(struct image_info), load, key, add_rows,
                                           to_json};

    (void)args;
    return listing_run(context, options, &listing, err);
}

/* ---- import
 * ----------------------------------------------------------------------------------------- */

struct import_options {
    struct strings changes;
    const char *message;
};

static const struct cli_option import_flags[] = {
    {"change", 'c', CLI_LIST, offsetof(struct import_options, changes), "INSTRUCTION",
     "apply a Dockerfile instruction: CMD, ENTRYPOINT, ENV, EXPOSE, USER, WORKDIR, …"},
    {"message", 'm', CLI_TEXT, offsetof(struct import_options, message), "TEXT",
     "text for the image's history"},
    CLI_OPTIONS_END,
};

static int import_run(struct cli_context *context, const void *void_options,
                      const struct strings *args, struct error *err)
{
    const struct import_options *options = void_options;
    bool is_stdin = text_equal(args->items[0], "-");
    struct image_import_request request = {
        .path = is_stdin ? "-"
                         : path_join(&app_of(context)->arena, app_of(context)->working_dir,
                                     args->items[0]),
        .stdin_fd = is_stdin ? STDIN_FILENO : -1,
        .reference = args->n > 1 ? args->items[1] : NULL,
        .changes = options->changes,
        .message = options->message,
    };
    struct engine_job *job;
    struct engine *engine;
    int result;

    if (engine_command_open(context, &engine, err) < 0)
        return -1;
    result = engine_image_import(engine, &request, &job, err);
    if (result == 0)
        result = engine_command_finish_job_take(context, job, "Image import", err);
    engine_close(engine);
    return result;
}

/* ---- build
 * ------------------------------------------------------------------------------------------- */

struct build_options {
    struct strings args, tags;
    const char *file, *target;
    bool no_cache;
};

static const struct cli_option build_flags[] = {
    {"tag", 't', CLI_LIST, offsetof(struct build_options, tags), "REFERENCE", "name of the image"},
    {"file", 'f', CLI_TEXT, offsetof(struct build_options, file), "FILE",
     "Dockerfile (default: Dockerfile in the context)"},
    {"target", 0, CLI_TEXT, offsetof(struct build_options, target), "STAGE", "stop at this stage"},
    {"build-arg", 0, CLI_LIST, offsetof(struct build_options, args), "NAME=VALUE", "set an ARG"},
    {"no-cache", 0, CLI_FLAG, offsetof(struct build_options, no_cache), NULL,
     "run every step again"},
    CLI_OPTIONS_END,
};

static struct pairs read_args(struct app *app, const struct strings *list)
{
    struct pairs pairs = {.items = arena_new_array(&app->arena, struct pair, list->n)};

    for (size_t i = 0; i < list->n; i++) {
        struct str name, value;
        bool has_value = str_cut(str_from(list->items[i]), '=', &name, &value);
        const char *key = arena_strndup(&app->arena, name.data, name.len);

        pairs.items[pairs.n++] = (struct pair){
            .name = key,
            .value = has_value ? arena_strndup(&app->arena, value.data, value.len)
                               : pairs_find(&app->environment, key),
        };
    }
    return pairs;
}

static int build_run(struct cli_context *context, const void *void_options,
                     const struct strings *args, struct error *err)
{
    const struct build_options *options = void_options;
    struct app *app = app_of(context);
    struct image_build_request request = {
        .context = path_join(&app->arena, app->working_dir, args->items[0]),
        .dockerfile =
            options->file ? path_join(&app->arena, app->working_dir, options->file) : NULL,
        .target = options->target,
        .args = read_args(app, &options->args),
        .tags = options->tags,
        .no_cache = options->no_cache,
    };
    struct engine_job *job;
    struct engine *engine;
    int result;

    if (engine_command_open(context, &engine, err) < 0)
        return -1;
    result = engine_image_build(engine, &request, &job, err);
    if (result == 0)
        result = engine_command_finish_job_take(context, job, "Image build", err);
    engine_close(engine);
    return result;
}

/* ---- pull, rm
 * ------------------------------------------------------------------------------------------ */

static int pull_run(struct cli_context *context, const void *options, const struct strings *args,
                    struct error *err)
{
    struct image_pull_request request = {.reference = args->items[0]};
    struct engine_job *job;
    struct engine *engine;
    int result;

    (void)options;
    if (engine_command_open(context, &engine, err) < 0)
        return -1;
    result = engine_image_pull(engine, &request, &job, err);
    if (result == 0)
        result = engine_command_finish_job_take(
            context, job, arena_printf(&app_of(context)->arena, "Image %s", args->items[0]), err);
    engine_close(engine);
    return result;
}

struct rm_options {
    bool force;
};

static const struct cli_option rm_flags[] = {
    {"force", 'f', CLI_FLAG, offsetof(struct rm_options, force), NULL,
     "remove all references of an id, and don't complain about an image that is not there"},
    CLI_OPTIONS_END,
};

static int rm_run(struct cli_context *context, const void *void_options, const struct strings *args,
                  struct error *err)
{
    const struct rm_options *options = void_options;
    struct engine *engine;
    int result = 0;

    if (engine_command_open(context, &engine, err) < 0)
        return -1;
    for (size_t i = 0; i < args->n && result == 0; i++) {
        struct error failure = ERROR_INIT;

        result = engine_image_remove(engine, args->items[i], options->force, &failure);
        if (result < 0 && options->force && failure.code == ERROR_NOT_FOUND)
            result = 0;
        else if (result < 0 && err)
            *err = failure;
        else
            printf("removed %s\n", args->items[i]);
    }
    engine_close(engine);
    return result;
}

/* ---- tables
 * --------------------------------------------------------------------------------------------- */

static const struct cli_verb image_verbs[] = {
    {
        .name = "ls",
        .aliases = "list",
        .summary = "list images",
        .options = listing_flags,
        .options_size = sizeof(struct listing_options),
        .run = ls_run,
    },
    {
        .name = "import",
        .summary = "make an image from a root filesystem archive",
        .arguments = "FILE|- [REFERENCE]",
        .description = "FILE is a tar archive, plain or compressed; - reads standard input.",
        .examples =
            "  mmdebstrap --variant=minbase bookworm - | berth image import - debian:bookworm\n"
            "  berth image import -c 'CMD [\"/bin/sh\"]' rootfs.tar.gz mine:1",
        .options = import_flags,
        .options_size = sizeof(struct import_options),
        .min_args = 1,
        .max_args = 2,
        .run = import_run,
    },
    {
        .name = "build",
        .summary = "build an image from a Dockerfile",
        .arguments = "DIR",
        .examples = "  berth image build -t shop/web:2 --build-arg VERSION=2 .",
        .options = build_flags,
        .options_size = sizeof(struct build_options),
        .min_args = 1,
        .max_args = 1,
        .run = build_run,
    },
    {
        .name = "pull",
        .summary = "fetch an image from a registry",
        .arguments = "REFERENCE",
        .min_args = 1,
        .max_args = 1,
        .run = pull_run,
    },
    {
        .name = "rm",
        .aliases = "remove",
        .summary = "remove images",
        .arguments = "REFERENCE|ID...",
        .options = rm_flags,
        .options_size = sizeof(struct rm_options),
        .min_args = 1,
        .max_args = CLI_ANY_NUMBER,
        .run = rm_run,
    },
    {.name = NULL},
};

const struct cli_verb image_verb = {
    .name = "image",
    .heading = "Engine",
    .summary = "images: ls, import, build, pull, rm",
    .verbs = image_verbs,
};
