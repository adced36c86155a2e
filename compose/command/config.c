/* berth config: the files as berth understands them. Needs no root. */

#include <stdlib.h>

#include "compose/command/command.h"
#include "compose/command/verbs.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

struct config_options {
    int format;
    bool quiet, services, volumes, networks, images, profiles;
};

enum config_format { CONFIG_YAML, CONFIG_JSON };
static const char *const format_choices[] = {"yaml", "json", NULL};

static const struct cli_option config_flags[] = {
    {"format", 0, CLI_CHOICE, offsetof(struct config_options, format), "FORMAT", "how to print",
     format_choices},
    {"quiet", 'q', CLI_FLAG, offsetof(struct config_options, quiet), NULL, "only check the files"},
    {"services", 0, CLI_FLAG, offsetof(struct config_options, services), NULL,
     "print names of services"},
    {"volumes", 0, CLI_FLAG, offsetof(struct config_options, volumes), NULL,
     "print names of volumes"},
    {"networks", 0, CLI_FLAG, offsetof(struct config_options, networks), NULL,
     "print names of networks"},
    {"images", 0, CLI_FLAG, offsetof(struct config_options, images), NULL,
     "print references of images"},
    {"profiles", 0, CLI_FLAG, offsetof(struct config_options, profiles), NULL,
     "print names of profiles"},
    CLI_OPTIONS_END,
};

static void print_names(const struct loaded *loaded, const struct config_options *options,
                        struct buf *out)
{
    const struct project *project = loaded->project;

    for (size_t i = 0; options->services && i < project->n_services; i++)
        buf_printf(out, "%s\n", project->services[i].name);
    for (size_t i = 0; options->networks && i < project->n_networks; i++)
        buf_printf(out, "%s\n", project->networks[i].key);
    for (size_t i = 0; options->volumes && i < project->n_volumes; i++)
        buf_printf(out, "%s\n", project->volumes[i].key);
    for (size_t i = 0; options->images && i < loaded->desired->n_images; i++)
        buf_printf(out, "%s\n", loaded->desired->images[i].reference);
}

static void print_profiles(struct arena *arena, const struct project *project, struct buf *out)
{
    struct strings seen = {0};
    size_t n = 0;

    for (size_t i = 0; i < project->n_services; i++)
        n += project->services[i].profiles.n;
    for (size_t i = 0; i < project->n_disabled_services; i++)
        n += project->disabled_services[i].profiles.n;
    seen.items = arena_new_array(arena, const char *, n);
    for (size_t i = 0; i < project->n_services + project->n_disabled_services; i++) {
        const struct service *service = i < project->n_services
                                            ? &project->services[i]
                                            : &project->disabled_services[i - project->n_services];

        for (size_t j = 0; j < service->profiles.n; j++) {
            if (!strings_contain(&seen, service->profiles.items[j]))
                seen.items[seen.n++] = service->profiles.items[j];
        }
    }
    strings_sort(&seen);
    for (size_t i = 0; i < seen.n; i++)
        buf_printf(out, "%s\n", seen.items[i]);
}

static int config_run(struct cli_context *context, const void *void_options,
                      const struct strings *args, struct error *err)
{
    const struct config_options *options = void_options;
    cleanup_buf struct buf out = BUF_INIT;
    struct loaded loaded;

    if (command_load(context, args, PROJECT_WITH_DEPENDENCIES, &loaded, err) < 0)
        return -1;
    if (options->quiet)
        return 0;
    if (options->profiles)
        print_profiles(&command_app(context)->arena, loaded.project, &out);
    else if (options->services || options->networks || options->volumes || options->images)
        print_names(&loaded, options, &out);
    else if (options->format == CONFIG_JSON)
        project_print_json(&out, loaded.project);
    else
        project_print_yaml(&out, loaded.project);
    return command_print(&out, err);
}

const struct cli_verb config_verb = {
    .name = "config",
    .aliases = "convert",
    .summary = "check the files and print them as berth understands them",
    .arguments = "[SERVICE...]",
    .description = "All files merged, variables filled in, short forms written out, defaults made "
                   "visible.",
    .examples = "  berth config -q && echo fine\n"
                "  berth config --format json | jq .services",
    .options = config_flags,
    .options_size = sizeof(struct config_options),
    .max_args = CLI_ANY_NUMBER,
    .run = config_run,
};
