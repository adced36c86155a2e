/* berth build: images of services that have a build section. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "compose/command/command.h"
#include "compose/command/verbs.h"
#include "engine/base/error.h"

struct build_options {
    struct strings args;
    bool no_cache;
};

static const struct cli_option build_flags[] = {
    {"build-arg", 0, CLI_LIST, offsetof(struct build_options, args), "NAME=VALUE",
     "set an ARG of the Dockerfiles; NAME alone passes our variable on"},
    {"no-cache", 0, CLI_FLAG, offsetof(struct build_options, no_cache), NULL,
     "run every step again"},
    CLI_OPTIONS_END,
};

/* Own arguments behind those of the file: a later one of the same name wins. */
static struct pairs add_args(struct cli_context *context, const struct pairs *base,
                             const struct strings *list)
{
    struct app *app = command_app(context);
    struct pairs all = {.items = arena_new_array(&app->arena, struct pair, base->n + list->n)};

    for (size_t i = 0; i < base->n; i++)
        all.items[all.n++] = base->items[i];
    for (size_t i = 0; i < list->n; i++) {
        struct str name, value;
        bool has_value = str_cut(str_from(list->items[i]), '=', &name, &value);
        struct pair pair = {.name = arena_strndup(&app->arena, name.data, name.len)};
        size_t place = 0;

        pair.value = has_value ? arena_strndup(&app->arena, value.data, value.len)
                               : pairs_find(&app->environment, pair.name);
        while (place < all.n && !text_equal(all.items[place].name, pair.name))
            place++;
        all.items[place] = pair;
        all.n = place == all.n ? all.n + 1 : all.n;
    }
    pairs_sort(&all);
    return all;
}

static int build_run(struct cli_context *context, const void *void_options,
                     const struct strings *args, struct error *err)
{
    const struct build_options *options = void_options;
    struct plan_options plan_options = PLAN_OPTIONS_INIT;
    struct desired *desired;
    struct desired_image *images;
    struct loaded loaded;
    size_t n_builds = 0;

    if (command_load(context, args, 0, &loaded, err) < 0 ||
        command_refuse_unhonoured(context, loaded.project, PROJECT_USE_BUILD, err) < 0)
        return -1;
    desired = arena_memdup(&command_app(context)->arena, loaded.desired, sizeof(*desired));
    images = arena_new_array(&command_app(context)->arena, struct desired_image, desired->n_images);
    for (size_t i = 0; i < desired->n_images; i++) {
        struct image_build_request *request;

        if (!desired->images[i].build)
            continue;
        request =
            arena_memdup(&command_app(context)->arena, desired->images[i].build, sizeof(*request));
        request->args = add_args(context, &request->args, &options->args);
        request->no_cache = options->no_cache;
        images[n_builds] = desired->images[i];
        images[n_builds++].build = request;
    }
    desired->images = images;
    desired->n_images = n_builds;
    if (n_builds == 0) {
        dprintf(STDERR_FILENO, "no service here has a build section\n");
        return 0;
    }
    plan_options.goal = PLAN_IMAGES;
    plan_options.build = true;
    return command_change(context, desired, &plan_options, "build", false, err);
}

const struct cli_verb build_verb = {
    .name = "build",
    .summary = "build images from Dockerfiles",
    .arguments = "[SERVICE...]",
    .options = build_flags,
    .options_size = sizeof(struct build_options),
    .max_args = CLI_ANY_NUMBER,
    .run = build_run,
};
