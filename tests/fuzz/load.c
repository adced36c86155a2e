/* A whole project of several files, from hostile bytes: every line "=== NAME" begins a file, up to
 * FILES_MAX of them, in a directory that lives in memory; "args" are words as in tests/golden. It
 * loads or is refused; the laws of tests/compose_laws.h hold. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compose/file/project.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/path.h"
#include "tests/compose_args.h"
#include "tests/compose_laws.h"

enum { FILES_MAX = 16, ARGS_MAX = 16, NAME_MAX_BYTES = 40 };

static const char mark[] = "=== ";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct case_ {
    struct arena *arena;
    const char *dir;
    struct project_options options;
    const char *files[ARGS_MAX];
    const char *profiles[ARGS_MAX];
    const char *env_files[ARGS_MAX];
    const char *services[ARGS_MAX];
    struct pair environment[ARGS_MAX];
    bool is_plain; /* nothing outside the files can be at fault */
};

/* ---- the directory ----------------------------------------------------------------------------
 */

static const char *make_dir(struct arena *arena)
{
    const char *dir = arena_printf(arena, "/dev/shm/berth-fuzz-%d/p", (int)getpid());

    if (fs_remove_tree(AT_FDCWD, path_dir(arena, dir), NULL) < 0 || /* of a run that crashed */
        mkdir(path_dir(arena, dir), 0700) != 0 || mkdir(dir, 0700) != 0)
        abort();
    return dir;
}

/* Below the directory, whatever is in it: no "..", no way out. */
static bool is_safe_name(struct str name)
{
    if (name.len == 0 || name.len > NAME_MAX_BYTES || name.data[0] == '/' || name.data[0] == '-')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              strchr("._-/", c)))
            return false;
        if (c == '.' && i + 1 < name.len && name.data[i + 1] == '.')
            return false;
    }
    return name.data[name.len - 1] != '/';
}

static void write_file(struct case_ *c, const char *name, struct str text)
{
    const char *path = path_join(c->arena, c->dir, name);
    cleanup_fd int fd = -1;

    (void)fs_make_dirs(AT_FDCWD, path_dir(c->arena, path), 0700, NULL); /* is a file: no matter */
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        (void)fs_write_all(fd, text.data, text.len, NULL);
}

/* ---- args -------------------------------------------------------------------------------------
 */

static void add(struct strings *list, const char **items, const char *value)
{
    list->items = items;
    if (list->n < ARGS_MAX)
        items[list->n++] = value;
}

static void add_variable(struct case_ *c, struct str definition)
{
    struct str name;
    struct str value = {0};

    (void)str_cut(definition, '=', &name, &value);
    if (name.len == 0 || c->options.environment.n == ARGS_MAX)
        return;
    c->environment[c->options.environment.n++] =
        (struct pair){arena_strndup(c->arena, name.data, name.len),
                      arena_strndup(c->arena, value.data ? value.data : "", value.len)};
}

static void read_arg(struct case_ *c, struct str line)
{
    struct str word;
    struct str rest = {0};
    const char *value;

    (void)str_cut(line, ' ', &word, &rest);
    value = arena_strndup(c->arena, rest.data ? rest.data : "", rest.len);
    if (str_is(word, "file") && is_safe_name(rest))
        add(&c->options.files, c->files, value);
    else if (str_is(word, "profile"))
        add(&c->options.profiles, c->profiles, value);
    else if (str_is(word, "env-file") && is_safe_name(rest))
        add(&c->options.env_files, c->env_files, value);
    else if (str_is(word, "service")) {
        add(&c->options.services, c->services, value);
        /* as every command that prints: alone, its links would lead nowhere */
        c->options.flags |= PROJECT_WITH_DEPENDENCIES;
    } else if (str_is(word, "env"))
        add_variable(c, rest);
    else if (str_is(word, "name"))
        c->options.name = value;
    else
        c->options.flags |= args_flag(word);
}

static void read_args(struct case_ *c, struct str text)
{
    c->is_plain = false;
    while (text.len > 0) {
        struct str line;
        struct str rest = {0};

        if (!str_cut(text, '\n', &line, &rest))
            rest.len = 0;
        if (!memchr(line.data, '\0', line.len))
            read_arg(c, line);
        text = rest;
    }
}

/* ---- one input --------------------------------------------------------------------------------
 */

static void add_file(struct case_ *c, struct str name, struct str text)
{
    if (str_is(name, "args"))
        read_args(c, text);
    else if (is_safe_name(name))
        write_file(c, arena_strndup(c->arena, name.data, name.len), text);
}

/* What has no line "=== NAME" is compose.yaml. */
static void unpack(struct case_ *c, struct str text)
{
    struct str name = STR("compose.yaml");
    size_t n = 0;

    while (n++ < FILES_MAX) {
        const char *found = text.len > 0 ? memmem(text.data, text.len, "\n=== ", 5) : NULL;
        struct str body = text;

        if (str_starts_with(text, mark) && str_cut(text, '\n', &name, &body)) {
            name = (struct str){name.data + strlen(mark), name.len - strlen(mark)};
            text = body;
            found = text.len > 0 ? memmem(text.data, text.len, "\n=== ", 5) : NULL;
        }
        if (found)
            body.len = (size_t)(found - body.data) + 1;
        add_file(c, name, body);
        if (!found)
            return;
        text.len -= body.len;
        text.data += body.len;
    }
}

static bool has_compose_file(const struct case_ *c)
{
    struct stat info;

    return stat(path_join(c->arena, c->dir, "compose.yaml"), &info) == 0 && S_ISREG(info.st_mode);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct case_ c = {.arena = &arena, .dir = make_dir(&arena), .is_plain = true};
    const struct project *project = NULL;
    const char *broken;
    struct error err = ERROR_INIT;

    c.options = (struct project_options){.working_dir = c.dir, .stdin_fd = -1};
    c.options.environment.items = c.environment;
    add_variable(&c, STR("HOME=/home/user"));
    unpack(&c, (struct str){(const char *)data, size});
    /* .env can name files and the project */
    if (memmem(data, size, "COMPOSE_", 8) || !has_compose_file(&c))
        c.is_plain = false;
    broken = law_loads_again(&arena, &c.options, c.is_plain ? LAW_ERRORS_HAVE_LINES : LAW_ANY_PLACE,
                             &project);
    /* costs much: for one in eight, always the same ones */
    if (!broken && project && size % 8 == 0)
        broken = law_everything_is_explained(&arena, &c.options, project);
    (void)fs_remove_tree(AT_FDCWD, path_dir(&arena, c.dir), &err); /* the next one would abort */
    if (!broken)
        return 0;
    fprintf(stderr, "%s\n", broken);
    abort();
}
