/* engine/cli/parse.h */

#include "engine/cli/parse.h"

#include <stddef.h>

#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/cli/cli.h"
#include "tests/tap.h"

struct global_options {
    const char *project;
    struct strings files;
};

struct up_options {
    bool detach;
    bool follow;
    int verbose;
    const char *file;
    int64_t parallel;
    int64_t timeout_ns;
    int64_t wait_ns;
    uint64_t memory;
    int pull;
    struct strings scale;
};

static const struct cli_option global_flags[] = {
    {"project-name", 'p', CLI_TEXT, offsetof(struct global_options, project), "NAME", "x", NULL, 0},
    {"file", 'f', CLI_LIST, offsetof(struct global_options, files), "FILE", "x", NULL, 0},
    CLI_OPTIONS_END,
};

static const char *const pull_choices[] = {"missing", "always", "never", NULL};

static const struct cli_option up_flags[] = {
    {"detach", 'd', CLI_FLAG, offsetof(struct up_options, detach), NULL, "x", NULL, 0},
    {"follow", 'f', CLI_FLAG, offsetof(struct up_options, follow), NULL, "x", NULL, 0},
    {"verbose", 'v', CLI_COUNT, offsetof(struct up_options, verbose), NULL, "x", NULL, 0},
    {"out-file", 'o', CLI_TEXT, offsetof(struct up_options, file), "FILE", "x", NULL, 0},
    {"parallel", 0, CLI_INT, offsetof(struct up_options, parallel), "N", "x", NULL, 0},
    {"timeout", 't', CLI_SECONDS, offsetof(struct up_options, timeout_ns), "T", "x", NULL, 0},
    {"wait", 0, CLI_DURATION, offsetof(struct up_options, wait_ns), "T", "x", NULL, 0},
    {"memory", 'm', CLI_BYTES, offsetof(struct up_options, memory), "SIZE", "x", NULL, 0},
    {"pull", 0, CLI_CHOICE, offsetof(struct up_options, pull), "POLICY", "x", pull_choices, 0},
    {"scale", 0, CLI_LIST, offsetof(struct up_options, scale), "S=N", "x", NULL, 0},
    {"force-recreate", 0, CLI_FLAG, offsetof(struct up_options, detach), NULL, "x", NULL, 0},
    {"secret", 0, CLI_FLAG, offsetof(struct up_options, detach), NULL, "x", NULL, 1},
    CLI_OPTIONS_END,
};

static const struct up_options up_defaults = {.timeout_ns = 10 * NS_PER_S, .parallel = 4};

static int run_nothing(struct cli_context *context, const void *options, const struct strings *args,
                       struct error *err)
{
    (void)context, (void)options, (void)args, (void)err;
    return 0;
}

static const struct cli_verb up_verb = {.name = "up",
                                        .aliases = "start-all,u",
                                        .summary = "x",
                                        .arguments = "[SERVICE...]",
                                        .options = up_flags,
                                        .options_size = sizeof(struct up_options),
                                        .defaults = &up_defaults,
                                        .max_args = CLI_ANY_NUMBER,
                                        .run = run_nothing};
static const struct cli_verb exec_verb = {.name = "exec",
                                          .summary = "x",
                                          .arguments = "SERVICE COMMAND [ARG...]",
                                          .options = up_flags,
                                          .options_size = sizeof(struct up_options),
                                          .min_args = 2,
                                          .max_args = CLI_ANY_NUMBER,
                                          .flags = CLI_STOP_AT_ARGUMENT,
                                          .run = run_nothing};
static const struct cli_verb image_verbs[] = {
    {.name = "ls", .aliases = "list", .summary = "x", .run = run_nothing},
    {.name = "rm",
     .summary = "x",
     .arguments = "IMAGE",
     .min_args = 1,
     .max_args = 1,
     .run = run_nothing},
    {.name = NULL},
};
static const struct cli_verb image_verb = {.name = "image", .summary = "x", .verbs = image_verbs};
static const struct cli_verb *const members[] = {&up_verb, &exec_verb, &image_verb, NULL};
static const struct cli_verb root = {.name = "berth",
                                     .summary = "x",
                                     .options = global_flags,
                                     .options_size = sizeof(struct global_options),
                                     .members = members};

/* Lives as long as the test's process. */
static struct arena arena;

static int parse(struct cli_parsed *ret, struct error *err, char **argv)
{
    int argc = 0;

    while (argv[argc])
        argc++;
    return cli_parse(&arena, &root, argc, argv, ret, err);
}

static char *text(const char *constant)
{
    return arena_strdup(&arena, constant);
}

/* argv of the words of a line. */
static char **words(const char *line)
{
    char **argv = arena_new_array(&arena, char *, 64);
    struct str rest = str_from(line), word;

    for (size_t n = 0; rest.len; n++) {
        str_cut(rest, ' ', &word, &rest);
        argv[n] = arena_strndup(&arena, word.data, word.len);
    }
    return argv;
}

static const struct up_options *up_of(const char *line, struct cli_parsed *parsed)
{
    struct error err = ERROR_INIT;

    CHECK_OK(parse(parsed, &err, words(line)), &err);
    return parsed->options;
}

TEST(global_options_stand_before_and_behind_the_verb)
{
    struct cli_parsed parsed;
    const struct up_options *up = up_of("berth -f x.yaml -p name up -d --file=y.yaml web", &parsed);
    const struct global_options *globals = parsed.globals;

    CHECK(up->detach);
    CHECK_TEXT(parsed.path, "berth up");
    CHECK_TEXT(globals->project, "name");
    CHECK_INT(globals->files.n, 2);
    CHECK_TEXT(globals->files.items[1], "y.yaml");
    CHECK_INT(parsed.args.n, 1);
    CHECK_TEXT(parsed.args.items[0], "web");
    CHECK(!parsed.args.items[1]);
}

TEST(the_verbs_own_letter_wins_over_the_global_one)
{
    struct cli_parsed parsed;
    const struct up_options *up = up_of("berth up -f", &parsed);
    const struct global_options *globals = parsed.globals;

    CHECK(up->follow);
    CHECK_INT(globals->files.n, 0);
}

TEST(defaults_hold_until_an_option_is_given)
{
    struct cli_parsed parsed;
    const struct up_options *up = up_of("berth up", &parsed);

    CHECK_INT(up->timeout_ns, 10 * NS_PER_S);
    CHECK_INT(up->parallel, 4);
    CHECK_INT(up_of("berth up --parallel 9", &parsed)->parallel, 9);
}

TEST(letters_bundle_and_the_last_may_take_the_rest_as_value)
{
    struct cli_parsed parsed;
    const struct up_options *up = up_of("berth up -dvvofile", &parsed);

    CHECK(up->detach);
    CHECK_INT(up->verbose, 2);
    CHECK_TEXT(up->file, "file");
    CHECK_TEXT(up_of("berth up -o=x", &parsed)->file, "x");
    CHECK_TEXT(up_of("berth up -o x", &parsed)->file, "x");
}

TEST(every_kind_of_value_is_parsed)
{
    struct cli_parsed parsed;
    const struct up_options *up =
        up_of("berth up -t 5 --wait=1m30s -m 64m --pull never --scale a=1 --scale b=2", &parsed);

    CHECK_INT(up->timeout_ns, 5 * NS_PER_S);
    CHECK_INT(up->wait_ns, 90 * NS_PER_S);
    CHECK_INT(up->memory, 64 << 20);
    CHECK_INT(up->pull, 2);
    CHECK_INT(up->scale.n, 2);
    CHECK_TEXT(up->scale.items[0], "a=1");
    CHECK_INT(up_of("berth up -t 1500ms", &parsed)->timeout_ns, 1500 * NS_PER_MS);
}

TEST(flags_can_be_set_to_false)
{
    struct cli_parsed parsed;

    CHECK(!up_of("berth up -d --detach=false", &parsed)->detach);
    CHECK(up_of("berth up --detach=true", &parsed)->detach);
}

TEST(a_value_may_look_like_an_option)
{
    struct cli_parsed parsed;

    CHECK_TEXT(up_of("berth up --out-file --detach", &parsed)->file, "--detach");
    CHECK_TEXT(up_of("berth up -o -", &parsed)->file, "-");
}

TEST(two_dashes_end_the_options)
{
    struct cli_parsed parsed;
    const struct up_options *up = up_of("berth up -- -d --help", &parsed);

    CHECK(!up->detach);
    CHECK(!parsed.wants_help);
    CHECK_INT(parsed.args.n, 2);
    CHECK_TEXT(parsed.args.items[0], "-d");
}

TEST(a_command_behind_exec_keeps_its_own_options)
{
    struct cli_parsed parsed;
    const struct up_options *up = up_of("berth exec -d web ls -v --help", &parsed);

    CHECK(up->detach);
    CHECK_INT(up->verbose, 0);
    CHECK_INT(parsed.args.n, 4);
    CHECK_TEXT(parsed.args.items[3], "--help");
}

TEST(groups_and_aliases_lead_to_their_verbs)
{
    struct cli_parsed parsed;
    struct error err = ERROR_INIT;

    CHECK_OK(parse(&parsed, &err, words("berth image list")), &err);
    CHECK_TEXT(parsed.path, "berth image ls");
    CHECK_OK(parse(&parsed, &err, words("berth u")), &err);
    CHECK_TEXT(parsed.path, "berth up");
    CHECK_OK(parse(&parsed, &err, words("berth image")), &err);
    CHECK(cli_is_group(parsed.verb));
}

TEST(help_is_understood_everywhere)
{
    struct cli_parsed parsed;
    struct error err = ERROR_INIT;

    CHECK_OK(parse(&parsed, &err, words("berth -h")), &err);
    CHECK(parsed.wants_help);
    CHECK_OK(parse(&parsed, &err, words("berth image rm --help")), &err);
    CHECK(parsed.wants_help);
    CHECK_TEXT(parsed.path, "berth image rm");
}

TEST(unknown_flags_are_named_with_the_nearest_one)
{
    struct cli_parsed parsed;
    struct error err = ERROR_INIT;

    CHECK_FAILS(parse(&parsed, &err, words("berth up --detahc")), ERROR_USAGE,
                "unknown flag --detahc of berth up, did you mean --detach?");
    CHECK_FAILS(parse(&parsed, &err, words("berth up --force")), ERROR_USAGE,
                "did you mean --force-recreate?");
    CHECK_FAILS(parse(&parsed, &err, words("berth up --project")), ERROR_USAGE,
                "did you mean --project-name?");
    CHECK_FAILS(parse(&parsed, &err, words("berth up -dx")), ERROR_USAGE,
                "unknown flag -x of berth up");
    CHECK_FAILS(parse(&parsed, &err, words("berth up --zzzzzz=1")), ERROR_USAGE,
                "unknown flag --zzzzzz of berth up");
    CHECK(!strstr(err.text, "did you mean"));
    CHECK_FAILS(parse(&parsed, &err, words("berth up --secre")), ERROR_USAGE, "--secre of");
    CHECK(!strstr(err.text, "did you mean --secret"));
}

TEST(unknown_verbs_are_named_with_the_nearest_one)
{
    struct cli_parsed parsed;
    struct error err = ERROR_INIT;

    CHECK_FAILS(parse(&parsed, &err, words("berth imgae ls")), ERROR_USAGE,
                "unknown command \"imgae\" of berth, did you mean \"image\"?");
    CHECK_FAILS(parse(&parsed, &err, words("berth image up")), ERROR_USAGE,
                "unknown command \"up\" of berth image");
    CHECK_TEXT(parsed.path, "berth image");
    CHECK_FAILS(parse(&parsed, &err, words("berth -- up")), ERROR_USAGE, "unknown command");
}

TEST(bad_values_name_the_flag_and_the_verb)
{
    struct cli_parsed parsed;
    struct error err = ERROR_INIT;

    CHECK_FAILS(parse(&parsed, &err, words("berth up --parallel x")), ERROR_USAGE,
                "--parallel of berth up: \"x\" is not a whole number");
    CHECK_FAILS(parse(&parsed, &err, words("berth up --parallel=-1")), ERROR_USAGE, "--parallel");
    CHECK_FAILS(parse(&parsed, &err, words("berth up --pull maybe")), ERROR_USAGE,
                "--pull of berth up: \"maybe\" is none of missing, always, never");
    CHECK_FAILS(parse(&parsed, &err, words("berth up --wait 10")), ERROR_USAGE, "missing unit");
    CHECK_FAILS(parse(&parsed, &err, words("berth up --detach=maybe")), ERROR_USAGE,
                "neither true nor false");
    CHECK_FAILS(parse(&parsed, &err, words("berth up --verbose=2")), ERROR_USAGE, "takes no value");
    CHECK_FAILS(parse(&parsed, &err, words("berth up --out-file")), ERROR_USAGE,
                "--out-file of berth up needs a value: --out-file FILE");
}

TEST(the_number_of_arguments_is_checked)
{
    struct cli_parsed parsed;
    struct error err = ERROR_INIT;

    CHECK_FAILS(parse(&parsed, &err, words("berth exec web")), ERROR_USAGE,
                "berth exec needs at least 2 arguments: SERVICE COMMAND [ARG...]");
    CHECK_FAILS(parse(&parsed, &err, words("berth image rm")), ERROR_USAGE,
                "berth image rm needs 1 argument: IMAGE");
    CHECK_FAILS(parse(&parsed, &err, words("berth image rm a b")), ERROR_USAGE, "at most 1");
    CHECK_FAILS(parse(&parsed, &err, words("berth image ls x")), ERROR_USAGE,
                "berth image ls takes no arguments, and \"x\" is one");
}

TEST(empty_texts_are_arguments_and_values)
{
    struct cli_parsed parsed;
    struct error err = ERROR_INIT;
    char *argv[] = {text("berth"), text("up"), text("--out-file="), text(""), NULL};
    const struct up_options *up;

    CHECK_OK(parse(&parsed, &err, argv), &err);
    up = parsed.options;
    CHECK_TEXT(up->file, "");
    CHECK_INT(parsed.args.n, 1);
    CHECK_TEXT(parsed.args.items[0], "");
}
