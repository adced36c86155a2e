/* Dockerfile instructions applied to image configs. */

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/path.h"
#include "engine/base/units.h"
#include "engine/image/image.h"

/* One application: the "config" object and the arguments. */
struct apply {
    json_t *image, *config;
    const char *instruction;
    const struct strings *words;
    enum config_form form;
};

static int refuse(const struct apply *apply, const char *reason, struct error *err)
{
    return error_set(err, ERROR_INVALID, "%s: %s", apply->instruction, reason);
}

static json_t *object_at(json_t *parent, const char *key)
{
    json_t *object = json_object_get(parent, key);

    if (!json_is_object(object)) {
        object = json_object();
        json_set_take(parent, key, object);
    }
    return object;
}

/* ["/bin/sh","-c",line] or what SHELL set. */
static void shell_command(struct arena *arena, const struct apply *apply, const char *line,
                          struct strings *ret)
{
    struct strings shell = json_strings(arena, apply->config, "Shell");
    struct strings argv;

    if (!shell.n) {
        static const char *default_shell[] = {"/bin/sh", "-c"};

        shell = (struct strings){default_shell, 2};
    }
    argv = (struct strings){arena_new_array(arena, const char *, shell.n + 1), shell.n + 1};
    memcpy(argv.items, shell.items, shell.n * sizeof(*argv.items));
    argv.items[shell.n] = line;
    *ret = argv;
}

static void set_list(const struct apply *apply, const char *key, const struct strings *list)
{
    if (list->n)
        json_set_strings(apply->config, key, list);
    else
        json_set_take(apply->config, key, json_array());
}

static int apply_command(const struct apply *apply, const char *key, struct error *err)
{
    struct arena arena = ARENA_INIT;
    struct strings argv = *apply->words;

    if (apply->form == CONFIG_SHELL_FORM) {
        if (argv.n != 1)
            return refuse(apply, "needs a command", err);
        shell_command(&arena, apply, argv.items[0], &argv);
    }
    set_list(apply, key, &argv);
    arena_release(&arena);
    return 0;
}

static int apply_cmd(const struct apply *apply, struct error *err)
{
    return apply_command(apply, "Cmd", err);
}

static int apply_entrypoint(const struct apply *apply, struct error *err)
{
    return apply_command(apply, "Entrypoint", err);
}

static int apply_shell(const struct apply *apply, struct error *err)
{
    if (apply->form != CONFIG_EXEC_FORM || !apply->words->n)
        return refuse(apply, "needs a JSON list of strings", err);
    set_list(apply, "Shell", apply->words);
    return 0;
}

/* Env is a list of NAME=value; a new value takes the place of the old one. */
static void set_env(json_t *list, const char *word, size_t name_len)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *old = json_string_value(json_array_get(list, i));

        if (old && strncmp(old, word, name_len) == 0 && old[name_len] == '=') {
            if (json_array_set_new(list, i, json_string(word)) < 0)
                BUG();
            return;
        }
    }
    if (json_array_append_new(list, json_string(word)) < 0)
        BUG();
}

/* Every word is name=value with a name. */
static int check_pairs(const struct apply *apply, struct error *err)
{
    if (!apply->words->n)
        return refuse(apply, "needs name=value", err);
    for (size_t i = 0; i < apply->words->n; i++) {
        const char *word = apply->words->items[i];
        const char *equals = strchr(word, '=');
        json_t *probe;

        if (!equals || equals == word)
            return error_set(err, ERROR_INVALID, "%s: \"%s\" is not name=value", apply->instruction,
                             word);
        probe = json_string(word);
        if (!probe)
            return error_set(err, ERROR_INVALID, "%s: word %zu is not UTF-8", apply->instruction,
                             i + 1);
        json_decref(probe);
    }
    return 0;
}

static int apply_env(const struct apply *apply, struct error *err)
{
    json_t *list = json_object_get(apply->config, "Env");

    if (check_pairs(apply, err) < 0)
        return -1;
    if (!json_is_array(list)) {
        list = json_array();
        json_set_take(apply->config, "Env", list);
    }
    for (size_t i = 0; i < apply->words->n; i++) {
        const char *word = apply->words->items[i];

        set_env(list, word, (size_t)(strchr(word, '=') - word));
    }
    return 0;
}

static int apply_label(const struct apply *apply, struct error *err)
{
    struct arena arena = ARENA_INIT;
    json_t *labels;

    if (check_pairs(apply, err) < 0)
        return -1;
    labels = object_at(apply->config, "Labels");
    for (size_t i = 0; i < apply->words->n; i++) {
        const char *word = apply->words->items[i];
        const char *equals = strchr(word, '=');

        json_set_text(labels, arena_strndup(&arena, word, (size_t)(equals - word)), equals + 1);
    }
    arena_release(&arena);
    return 0;
}

static int parse_port(struct str text, uint64_t *ret, struct error *err)
{
    return parse_u64(text, 1, 65535, ret, err);
}

/* "80", "80/udp", "8000-8010/tcp" */
static int expose_word(const struct apply *apply, json_t *ports, const char *word,
                       struct error *err)
{
    struct str range, protocol, first_text, last_text;
    uint64_t first, last;

    if (!str_cut(str_from(word), '/', &range, &protocol))
        protocol = STR("tcp");
    if (!str_is(protocol, "tcp") && !str_is(protocol, "udp") && !str_is(protocol, "sctp"))
        return error_set(err, ERROR_INVALID, "%s: \"%s\": the protocol is tcp, udp or sctp",
                         apply->instruction, word);
    if (!str_cut(range, '-', &first_text, &last_text))
        last_text = first_text;
    if (parse_port(first_text, &first, err) < 0 || parse_port(last_text, &last, err) < 0)
        return error_wrap(err, "%s: \"%s\"", apply->instruction, word);
    if (last < first)
        return error_set(err, ERROR_INVALID, "%s: \"%s\": the range ends before it begins",
                         apply->instruction, word);
    for (uint64_t port = first; port <= last; port++) {
        char key[sizeof("65535/sctp")];

        (void)snprintf(key, sizeof(key), "%u/" STR_FMT, (unsigned)port, STR_ARG(protocol));
        json_set_take(ports, key, json_object());
    }
    return 0;
}

static int apply_expose(const struct apply *apply, struct error *err)
{
    json_t *ports;

    if (!apply->words->n)
        return refuse(apply, "needs a port", err);
    ports = object_at(apply->config, "ExposedPorts");
    for (size_t i = 0; i < apply->words->n; i++)
        if (expose_word(apply, ports, apply->words->items[i], err) < 0)
            return -1;
    return 0;
}

static int apply_volume(const struct apply *apply, struct error *err)
{
    json_t *volumes;

    if (!apply->words->n)
        return refuse(apply, "needs a path", err);
    volumes = object_at(apply->config, "Volumes");
    for (size_t i = 0; i < apply->words->n; i++) {
        if (!apply->words->items[i][0])
            return refuse(apply, "a path is empty", err);
        json_set_take(volumes, apply->words->items[i], json_object());
    }
    return 0;
}

static int one_word(const struct apply *apply, const char **ret, struct error *err)
{
    if (apply->words->n != 1 || !apply->words->items[0][0])
        return refuse(apply, "needs exactly one argument", err);
    *ret = apply->words->items[0];
    return 0;
}

static int apply_user(const struct apply *apply, struct error *err)
{
    const char *word;

    if (one_word(apply, &word, err) < 0)
        return -1;
    json_set_text(apply->config, "User", word);
    return 0;
}

static int apply_maintainer(const struct apply *apply, struct error *err)
{
    const char *word;

    if (one_word(apply, &word, err) < 0)
        return -1;
    json_set_text(apply->image, "author", word);
    return 0;
}

static int apply_workdir(const struct apply *apply, struct error *err)
{
    struct arena arena = ARENA_INIT;
    const char *word, *current;

    if (one_word(apply, &word, err) < 0)
        return -1;
    current = json_text_or(apply->config, "WorkingDir", "");
    json_set_text(apply->config, "WorkingDir",
                  path_join(&arena, path_is_absolute(current) ? current : "/", word));
    arena_release(&arena);
    return 0;
}

static int apply_stop_signal(const struct apply *apply, struct error *err)
{
    const char *word;
    int number;

    if (one_word(apply, &word, err) < 0)
        return -1;
    if (parse_signal(str_from(word), &number, err) < 0)
        return error_wrap(err, "%s", apply->instruction);
    json_set_text(apply->config, "StopSignal", word);
    return 0;
}

static int apply_on_build(const struct apply *apply, struct error *err)
{
    json_t *list = json_object_get(apply->config, "OnBuild");
    const char *word;

    if (one_word(apply, &word, err) < 0)
        return -1;
    if (text_starts_with(word, "ONBUILD") || text_starts_with(word, "FROM") ||
        text_starts_with(word, "MAINTAINER"))
        return refuse(apply, "ONBUILD, FROM and MAINTAINER are not allowed as triggers", err);
    if (!json_is_array(list)) {
        list = json_array();
        json_set_take(apply->config, "OnBuild", list);
    }
    if (json_array_append_new(list, json_string(word)) < 0)
        return refuse(apply, "the line is not UTF-8", err);
    return 0;
}

static const struct health_option {
    const char *prefix, *key;
} health_options[] = {
    {"--interval=", "Interval"},
    {"--timeout=", "Timeout"},
    {"--start-period=", "StartPeriod"},
    {"--start-interval=", "StartInterval"},
};

static int apply_health_option(const struct apply *apply, json_t *health, const char *word,
                               struct error *err)
{
    static const char retries[] = "--retries=";
    uint64_t count;
    int64_t ns;

    if (text_starts_with(word, retries)) {
        if (parse_u64(str_from(word + sizeof(retries) - 1), 0, INT32_MAX, &count, err) < 0)
            return error_wrap(err, "%s: --retries", apply->instruction);
        json_set_i64(health, "Retries", (int64_t)count);
        return 0;
    }
    for (size_t i = 0; i < sizeof(health_options) / sizeof(*health_options); i++) {
        const struct health_option *option = &health_options[i];

        if (!text_starts_with(word, option->prefix))
            continue;
        if (parse_duration_ns(str_from(word + strlen(option->prefix)), &ns, err) < 0)
            return error_wrap(err, "%s: %s", apply->instruction, word);
        if (ns != 0 && ns < NS_PER_MS)
            return error_set(err, ERROR_INVALID, "%s: %s: less than 1ms", apply->instruction, word);
        json_set_i64(health, option->key, ns);
        return 0;
    }
    return error_set(err, ERROR_INVALID,
                     "%s: \"%s\" is unknown: options (--interval=, --timeout=, --start-period=, "
                     "--start-interval=, --retries=), then CMD or NONE",
                     apply->instruction, word);
}

static int fill_health(const struct apply *apply, json_t *health, struct error *err)
{
    const struct strings *words = apply->words;
    json_t *test = json_array();
    size_t i = 0;

    json_set_take(health, "Test", test);
    while (i < words->n && text_starts_with(words->items[i], "--"))
        if (apply_health_option(apply, health, words->items[i++], err) < 0)
            return -1;
    if (i == words->n)
        return refuse(apply, "needs CMD or NONE", err);
    if (text_equal(words->items[i], "NONE")) {
        if (words->n != 1)
            return refuse(apply, "NONE takes no options and no arguments", err);
        json_array_append_new(test, json_string("NONE"));
        return 0;
    }
    if (!text_equal(words->items[i], "CMD"))
        return apply_health_option(apply, health, words->items[i], err); /* says what is known */
    if (++i == words->n || (apply->form == CONFIG_SHELL_FORM && words->n - i != 1))
        return refuse(apply, "CMD needs a command", err);
    json_array_append_new(test,
                          json_string(apply->form == CONFIG_SHELL_FORM ? "CMD-SHELL" : "CMD"));
    for (; i < words->n; i++)
        if (json_array_append_new(test, json_string(words->items[i])) < 0)
            return refuse(apply, "the command is not UTF-8", err);
    return 0;
}

static int apply_healthcheck(const struct apply *apply, struct error *err)
{
    json_t *health = json_object();
    int result = fill_health(apply, health, err);

    if (result == 0)
        json_object_set(apply->config, "Healthcheck", health);
    json_decref(health);
    return result;
}

static const struct instruction {
    const char *name;
    int (*apply)(const struct apply *apply, struct error *err);
} instructions[] = {
    {"CMD", apply_cmd},
    {"ENTRYPOINT", apply_entrypoint},
    {"ENV", apply_env},
    {"EXPOSE", apply_expose},
    {"HEALTHCHECK", apply_healthcheck},
    {"LABEL", apply_label},
    {"MAINTAINER", apply_maintainer},
    {"ONBUILD", apply_on_build},
    {"SHELL", apply_shell},
    {"STOPSIGNAL", apply_stop_signal},
    {"USER", apply_user},
    {"VOLUME", apply_volume},
    {"WORKDIR", apply_workdir},
};

int image_config_apply(json_t *image, const char *name, const struct strings *words,
                       enum config_form form, struct error *err)
{
    for (size_t i = 0; i < sizeof(instructions) / sizeof(*instructions); i++) {
        const struct instruction *instruction = &instructions[i];
        struct apply apply = {.image = image,
                              .config = NULL,
                              .instruction = instruction->name,
                              .words = words,
                              .form = form};

        if (!text_equal(instruction->name, name))
            continue;
        apply.config = object_at(image, "config");
        return instruction->apply(&apply, err);
    }
    return error_set(err, ERROR_INVALID, "%s does not change an image's configuration", name);
}

/* ------------------------------------------------------------------ new configs */

static const struct architecture {
    const char *machine, *name, *variant;
} architectures[] = {
    {"x86_64", "amd64", NULL},        {"aarch64", "arm64", NULL},   {"armv7l", "arm", "v7"},
    {"armv6l", "arm", "v6"},          {"i686", "386", NULL},        {"i386", "386", NULL},
    {"riscv64", "riscv64", NULL},     {"ppc64le", "ppc64le", NULL}, {"s390x", "s390x", NULL},
    {"loongarch64", "loong64", NULL},
};

static const struct architecture *this_architecture(void)
{
    struct utsname name;

    if (uname(&name) < 0)
        return &architectures[0];
    for (size_t i = 0; i < sizeof(architectures) / sizeof(*architectures); i++)
        if (text_equal(name.machine, architectures[i].machine))
            return &architectures[i];
    return &architectures[0];
}

const char *image_config_architecture(void)
{
    return this_architecture()->name;
}

json_t *image_config_new(void)
{
    const struct architecture *architecture = this_architecture();
    json_t *image = json_object(), *rootfs = json_object();

    json_set_text(image, "architecture", architecture->name);
    json_set_text(image, "variant", architecture->variant);
    json_set_text(image, "os", "linux");
    json_set_take(image, "config", json_object());
    json_set_text(rootfs, "type", "layers");
    json_set_take(rootfs, "diff_ids", json_array());
    json_set_take(image, "rootfs", rootfs);
    json_set_take(image, "history", json_array());
    return image;
}
