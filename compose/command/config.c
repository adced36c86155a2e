/* berth config: the files as berth understands them. Needs no root. */

#include "compose/command/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "compose/command/command.h"
#include "compose/command/config_digests.h"
#include "compose/command/verbs.h"
#include "compose/file/explain.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"

struct config_options {
    int format; /* enum config_format */
    bool quiet;
    bool lists[CONFIG_N_LISTS]; /* all but CONFIG_HASH, which has a value */
    const char *hash;
    bool no_interpolate, no_normalize, no_path_resolution, no_consistency, no_env_resolution;
    bool resolve_image_digests, lock_image_digests;
    const char *output;
    const char *explain;
};

static const char *const format_choices[] = {"yaml", "json", NULL};

#define LIST(what)  offsetof(struct config_options, lists[what])
#define FIELD(name) offsetof(struct config_options, name)
static const struct cli_option config_flags[] = {
    {"format", 0, CLI_CHOICE, FIELD(format), "FORMAT", "how to print", format_choices},
    {"output", 'o', CLI_TEXT, FIELD(output), "FILE", "write to a file instead of standard output"},
    {"quiet", 'q', CLI_FLAG, FIELD(quiet), NULL, "only check the files"},
    {"explain", 0, CLI_TEXT, FIELD(explain), "PATH",
     "tell where a value came from: services.web.environment.FOO, services.web.ports[0] …"},
    {"services", 0, CLI_FLAG, LIST(CONFIG_SERVICES), NULL, "print names of services"},
    {"volumes", 0, CLI_FLAG, LIST(CONFIG_VOLUMES), NULL, "print names of volumes"},
    {"networks", 0, CLI_FLAG, LIST(CONFIG_NETWORKS), NULL, "print names of networks"},
    {"models", 0, CLI_FLAG, LIST(CONFIG_MODELS), NULL, "print names of models"},
    {"images", 0, CLI_FLAG, LIST(CONFIG_IMAGES), NULL, "print references of images"},
    {"profiles", 0, CLI_FLAG, LIST(CONFIG_PROFILES), NULL, "print names of profiles"},
    {"hash", 0, CLI_TEXT, FIELD(hash), "SERVICES",
     "print a hash of each service's definition; \"*\" for all, or names separated by commas"},
    {"environment", 0, CLI_FLAG, LIST(CONFIG_ENVIRONMENT), NULL,
     "print the variables that the files can use, with their values"},
    {"variables", 0, CLI_FLAG, LIST(CONFIG_VARIABLES), NULL,
     "print the variables that the files use, with their defaults"},
    {"no-interpolate", 0, CLI_FLAG, FIELD(no_interpolate), NULL, "leave $VARIABLES as they are"},
    {"no-normalize", 0, CLI_FLAG, FIELD(no_normalize), NULL,
     "don't add the default network and final names"},
    {"no-path-resolution", 0, CLI_FLAG, FIELD(no_path_resolution), NULL,
     "leave relative paths relative"},
    {"no-consistency", 0, CLI_FLAG, FIELD(no_consistency), NULL,
     "don't check that what services refer to is there"},
    {"no-env-resolution", 0, CLI_FLAG, FIELD(no_env_resolution), NULL,
     "print env_file instead of reading the files it names"},
    {"resolve-image-digests", 0, CLI_FLAG, FIELD(resolve_image_digests), NULL,
     "print images with the digest of what their tags mean now"},
    {"lock-image-digests", 0, CLI_FLAG, FIELD(lock_image_digests), NULL,
     "print an override file that pins every image to its digest"},
    CLI_OPTIONS_END,
};
#undef LIST
#undef FIELD

/* The one list that is asked for, or NULL. */
static int choose_list(const struct config_options *options, const struct config_list **ret,
                       struct error *err)
{
    *ret = NULL;
    for (size_t i = 0; i < CONFIG_N_LISTS; i++) {
        bool is_wanted = i == CONFIG_HASH ? options->hash != NULL : options->lists[i];

        if (is_wanted && *ret)
            return error_set(err, ERROR_USAGE, "--%s and --%s cannot be combined", (*ret)->option,
                             config_lists[i].option);
        if (is_wanted)
            *ret = &config_lists[i];
    }
    return 0;
}

static int fail_combined(const char *first, const char *second, struct error *err)
{
    return error_set(err, ERROR_USAGE, "--%s and --%s cannot be combined", first, second);
}

/* An option that would have no effect beside another one is refused. Digests and lists of values
 * need the project with its variables. */
static int check_combination(const struct config_options *options, const struct config_list *list,
                             const struct strings *args, struct error *err)
{
    const char *digests = options->lock_image_digests      ? "lock-image-digests"
                          : options->resolve_image_digests ? "resolve-image-digests"
                                                           : NULL;

    if (options->quiet && options->output)
        return fail_combined("quiet", "output", err);
    if (options->quiet && options->explain)
        return fail_combined("quiet", "explain", err);
    if (options->lock_image_digests && options->resolve_image_digests)
        return fail_combined("lock-image-digests", "resolve-image-digests", err);
    if (options->explain && (list || digests))
        return fail_combined("explain", list ? list->option : digests, err);
    if (options->explain && args->n > 0)
        return error_set(err, ERROR_USAGE, "--explain takes a path, and no services beside it");
    if (digests && list)
        return fail_combined(list->option, digests, err);
    if (options->no_interpolate && (digests || (list && list->needs_values)))
        return fail_combined("no-interpolate", digests ? digests : list->option, err);
    return 0;
}

static unsigned load_flags(const struct config_options *options)
{
    return PROJECT_WITH_DEPENDENCIES | (options->no_interpolate ? PROJECT_NO_INTERPOLATE : 0U) |
           (options->no_normalize ? PROJECT_NO_NORMALIZE : 0U) |
           (options->no_path_resolution ? PROJECT_NO_PATH_RESOLUTION : 0U) |
           (options->no_consistency ? PROJECT_NO_CONSISTENCY : 0U) |
           (options->no_env_resolution ? PROJECT_NO_ENV_RESOLUTION : 0U);
}

static int print_list(struct cli_context *context, const struct config_list *list,
                      const struct config_options *options, const struct strings *args,
                      struct buf *out, struct error *err)
{
    const struct project *project;

    if (command_load_project(context, args, load_flags(options) | list->flags, &project, err) < 0)
        return -1;
    return list->print(context, project, options->hash, (enum config_format)options->format, out,
                       err);
}

static int print_explanation(struct cli_context *context, const struct config_options *options,
                             struct buf *out, struct error *err)
{
    const struct project *project;
    struct explanation explanation;

    if (command_load_project(context, &(const struct strings){0},
                             load_flags(options) | PROJECT_ALL_RESOURCES | PROJECT_WITH_HISTORY,
                             &project, err) < 0 ||
        project_explain(&command_app(context)->arena, project, options->explain, &explanation,
                        err) < 0)
        return -1;
    if (options->format == CONFIG_JSON)
        explanation_print_json(out, project, &explanation);
    else
        explanation_print(out, project, &explanation,
                          context->stdout_colour && !options->output ? DIAGNOSTICS_COLOUR
                                                                     : DIAGNOSTICS_PLAIN);
    return 0;
}

static int print_project(struct cli_context *context, const struct config_options *options,
                         const struct strings *args, struct buf *out, struct error *err)
{
    const struct project *project;

    if (command_load_project(context, args, load_flags(options), &project, err) < 0)
        return -1;
    if ((options->resolve_image_digests || options->lock_image_digests) &&
        config_pin_images(context, project, &project, err) < 0)
        return -1;
    if (options->lock_image_digests)
        project_print_images(out, project,
                             options->format == CONFIG_JSON ? PROJECT_JSON : PROJECT_YAML);
    else if (options->format == CONFIG_JSON)
        project_print_json(out, project);
    else
        project_print_yaml(out, project);
    return 0;
}

/* The old file or the new one, never a part; behind a link that leads to a file, that file. What is
 * no file (/dev/null, a FIFO) is written to. */
static int write_output(const char *path, const struct buf *out, struct error *err)
{
    cleanup_free char *target = realpath(path, NULL);
    cleanup_fd int fd = -1;
    struct stat info = {.st_mode = S_IFREG | 0644};

    if (stat(path, &info) < 0 && errno != ENOENT)
        return error_sys(err, errno, "write \"%s\"", path);
    if (S_ISREG(info.st_mode))
        return fs_replace(AT_FDCWD, target ? target : path, buf_text(out), out->len,
                          info.st_mode & 0777, FS_DURABLE, err);
    fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return error_sys(err, errno, "write \"%s\"", path);
    return fs_write_all(fd, buf_text(out), out->len, err);
}

static int config_run(struct cli_context *context, const void *void_options,
                      const struct strings *args, struct error *err)
{
    const struct config_options *options = void_options;
    cleanup_buf struct buf out = BUF_INIT;
    const struct config_list *list;
    int result;

    if (choose_list(options, &list, err) < 0 || check_combination(options, list, args, err) < 0)
        return -1;
    if (options->explain)
        result = print_explanation(context, options, &out, err);
    else if (list)
        result = print_list(context, list, options, args, &out, err);
    else
        result = print_project(context, options, args, &out, err);
    if (result < 0)
        return -1;
    if (options->quiet && !list)
        return 0;
    return options->output ? write_output(options->output, &out, err) : command_print(&out, err);
}

const struct cli_verb config_verb = {
    .name = "config",
    .aliases = "convert",
    .summary = "check the files and print them as berth understands them",
    .arguments = "[SERVICE...]",
    .description = "All files merged, variables filled in, short forms written out, defaults made "
                   "visible. What is printed loads again and means the same.",
    .examples = "  berth config -q && echo fine\n"
                "  berth config --format json | jq .services\n"
                "  berth config --variables\n"
                "  berth config --no-interpolate -o whole.yaml",
    .options = config_flags,
    .options_size = sizeof(struct config_options),
    .max_args = CLI_ANY_NUMBER,
    .run = config_run,
};
