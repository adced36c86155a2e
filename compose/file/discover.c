/* Which files make the project, where it lives, what it is called, and what variables it sees
 * (compose.md 1.1). */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "compose/file/history.h"
#include "compose/file/load.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/path.h"

static const char *const file_names[] = {"compose.yaml", "compose.yml", "docker-compose.yml",
                                         "docker-compose.yaml"};
static const char *const override_names[] = {"compose.override.yml", "compose.override.yaml",
                                             "docker-compose.override.yml",
                                             "docker-compose.override.yaml"};

/* ---- reading ----------------------------------------------------------------------------------
 */

const char *load_shown_path(const struct load *load, const char *path)
{
    size_t len = strlen(load->options->working_dir);

    if (strncmp(path, load->options->working_dir, len) != 0)
        return path;
    if (path[len] == '/' && path[len + 1])
        return path + len + 1;
    return len == 1 && path[1] ? path + 1 : path;
}

/* Opens without waiting for a FIFO's writer; reads wait as usual. */
static int open_source(const char *path, struct stat *ret_info)
{
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int flags;

    if (fd < 0 || fstat(fd, ret_info) < 0)
        return -1;
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
        return -1;
    return fd_take(&fd);
}

static int read_source(struct load *load, int fd, const char *path, size_t max_bytes,
                       struct span at, struct buf *out)
{
    const char *shown = strcmp(path, "-") == 0 ? "standard input" : load_shown_path(load, path);
    struct error error = ERROR_INIT;

    buf_init(out, max_bytes);
    if (fs_read_all(fd, out, &error) == 0)
        return 0;
    if (error.code == ERROR_INVALID)
        return report_error(&load->report, at, NULL, "%s is larger than %zu MB", shown,
                            max_bytes >> 20);
    return report_error(&load->report, at, NULL, "read %s: %s", shown, error.text);
}

static int add_read_source(struct load *load, int fd, const char *path, size_t max_bytes,
                           struct span at, uint32_t *ret_source)
{
    struct buf bytes;
    int result = read_source(load, fd, path, max_bytes, at, &bytes);
    bool is_stdin = strcmp(path, "-") == 0;

    load->n_bytes += bytes.len;
    if (result == 0 && load->n_bytes > LOAD_TOTAL_MAX)
        result = report_error(&load->report, at, NULL, "the files are larger than %d MB together",
                              LOAD_TOTAL_MAX >> 20);
    if (result == 0)
        *ret_source = report_add_source(
            &load->report, is_stdin ? "-" : load_shown_path(load, path), is_stdin ? NULL : path,
            (struct str){arena_memdup(load->arena, buf_text(&bytes), bytes.len + 1), bytes.len});
    buf_release(&bytes);
    return result;
}

/* What is neither a file nor a directory, by name. */
static const char *kind_of(mode_t mode)
{
    if (S_ISFIFO(mode))
        return "a FIFO";
    if (S_ISSOCK(mode))
        return "a socket";
    return S_ISDIR(mode) ? "a directory" : "a device";
}

/* The shell's <(…), and what stands before a `|`. */
static bool is_descriptor(const char *path)
{
    return strcmp(path, "/dev/stdin") == 0 || text_starts_with(path, "/dev/fd/") ||
           text_starts_with(path, "/proc/self/fd/");
}

static int check_source(struct load *load, const char *path, const struct stat *info,
                        size_t max_bytes, unsigned flags, struct span at)
{
    bool is_null = S_ISCHR(info->st_mode) && info->st_rdev == makedev(1, 3);
    bool is_pipe = S_ISFIFO(info->st_mode) && (flags & LOAD_FROM_USER) != 0 && is_descriptor(path);
    const char *shown = load_shown_path(load, path);

    if (!S_ISREG(info->st_mode) && !is_null && !is_pipe)
        return report_error(&load->report, at, NULL, "%s is %s, not a file", shown,
                            kind_of(info->st_mode));
    if (S_ISREG(info->st_mode) && (uint64_t)info->st_size > max_bytes)
        return report_error(&load->report, at, NULL, "%s is larger than %zu MB", shown,
                            max_bytes >> 20);
    return 0;
}

int load_source(struct load *load, const char *path, size_t max_bytes, unsigned flags,
                struct span at, uint32_t *ret_source)
{
    const char *shown = load_shown_path(load, path);
    struct stat info;
    cleanup_fd int fd = -1;

    if (strcmp(path, "-") == 0) {
        if (load->options->stdin_fd < 0)
            return report_error(&load->report, at, NULL, "standard input is not available");
        return add_read_source(load, load->options->stdin_fd, path, max_bytes, at, ret_source);
    }
    for (size_t i = 0; i < load->report.sources.n; i++) { /* services share env files */
        if (text_equal(load->report.sources.items[i].path, path)) {
            *ret_source = (uint32_t)i;
            return 0;
        }
    }
    fd = open_source(path, &info);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        if (flags & LOAD_OPTIONAL)
            return 1;
        return report_error(&load->report, at, NULL, "%s: no such file", shown);
    }
    if (fd < 0 && errno == ENXIO) /* open() of a socket, or of a device without a driver */
        return report_error(&load->report, at, NULL, "%s is a socket or a device, not a file",
                            shown);
    if (fd < 0)
        return report_error(&load->report, at, NULL, "%s: %s", shown, strerror(errno));
    if (check_source(load, path, &info, max_bytes, flags, at) < 0)
        return -1;
    return add_read_source(load, fd, path, max_bytes, at, ret_source);
}

const char *load_resolve_path(const struct load *load, const char *directory, const char *path)
{
    const char *home = variables_find_sorted(&load->environment, STR("HOME"));

    if (path[0] == '~' && (path[1] == '/' || !path[1]) && home)
        return path_join(load->arena, home, path[1] ? path + 2 : ".");
    return path_join(load->arena, directory, path);
}

/* ---- environment ------------------------------------------------------------------------------
 */

void load_add_environment(struct load *load, const struct pairs *more)
{
    struct pairs joined = {
        .items = arena_new_array(load->arena, struct pair, load->environment.n + more->n + 1),
    };

    for (size_t i = 0; i < load->environment.n; i++)
        joined.items[joined.n++] = load->environment.items[i];
    for (size_t i = 0; i < more->n; i++)
        joined.items[joined.n++] = more->items[i];
    pairs_sort(&joined);
    for (size_t i = 0, n = joined.n, kept = 0; i < n; i++) { /* stable: ours stand first */
        if (kept > 0 && strcmp(joined.items[kept - 1].name, joined.items[i].name) == 0)
            continue;
        joined.items[kept++] = joined.items[i];
        joined.n = kept;
    }
    load->environment = joined;
}

/* In a list where the first definition holds. */
static const char *find_in_pairs(const void *context, struct str name)
{
    const struct pairs *pairs = context;

    for (size_t i = 0; i < pairs->n; i++) {
        if (str_is(name, pairs->items[i].name))
            return pairs->items[i].value;
    }
    return NULL;
}

int load_count_env_bytes(struct load *load, uint32_t source, struct span at)
{
    bool was_too_many = load->n_env_bytes > LOAD_ENV_MAX;

    load->n_env_bytes += load->report.sources.items[source].text.len;
    if (load->n_env_bytes <= LOAD_ENV_MAX)
        return 0;
    if (!was_too_many)
        report_error(&load->report, at, "services and included files read them again and again",
                     "more than %d MB of env files are read", LOAD_ENV_MAX >> 20);
    return -1;
}

int load_env_file(struct load *load, const char *path, unsigned flags, struct span at,
                  struct pairs *into)
{
    struct variables earlier = {.find = find_in_pairs, .context = into};
    struct dotenv_scope scope = {.outer = &load->variables, .earlier = &earlier};
    struct dotenv parsed = {0};
    struct pairs grown;
    uint32_t source;
    int result;

    result = load_source(load, path, DOTENV_FILE_MAX, flags, at, &source);
    if (result != 0)
        return result;
    if (load_count_env_bytes(load, source, at) < 0 ||
        dotenv_parse(&load->report, source, DOTENV_COMPOSE, &scope, &parsed) < 0)
        return -1;
    /* later definitions first, because the first wins */
    grown.items = arena_new_array(load->arena, struct pair, into->n + parsed.n + 1);
    grown.n = 0;
    for (size_t i = parsed.n; i > 0; i--) {
        const struct dotenv_entry *entry = &parsed.items[i - 1];

        if (!entry->value)
            continue;
        grown.items[grown.n] = (struct pair){.name = entry->name, .value = entry->value};
        history_add_definition(load->history, NULL, NULL, &grown.items[grown.n++],
                               (struct span){source, entry->line, 1});
    }
    for (size_t i = 0; i < into->n; i++)
        grown.items[grown.n++] = into->items[i];
    *into = grown;
    return 0;
}

static const char *env(const struct load *load, const char *name)
{
    const char *value = variables_find_sorted(&load->environment, str_from(name));

    return value && *value ? value : NULL;
}

/* "a,b,,c" → a b c; empty items are dropped. */
static struct strings split_list(struct arena *arena, const char *text, const char *separator)
{
    struct strings list = {.items = arena_new_array(arena, const char *, strlen(text) + 1)};

    while (text) {
        const char *end = strstr(text, separator);
        struct str item = str_trim((struct str){text, end ? (size_t)(end - text) : strlen(text)});

        if (item.len > 0)
            list.items[list.n++] = arena_strndup(arena, item.data, item.len);
        text = end ? end + strlen(separator) : NULL;
    }
    return list;
}

static bool is_true(const char *text)
{
    static const char *const words[] = {"1", "t", "true", "y", "yes"};

    for (size_t i = 0; text && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i]) == 0)
            return true;
    }
    return false;
}

/* --env-file or COMPOSE_ENV_FILES: true when there were any. */
static int add_explicit_env_files(struct load *load, bool *ret_any)
{
    struct strings files = load->options->env_files;
    unsigned flags = LOAD_OPTIONAL | (files.n > 0 ? LOAD_FROM_USER : 0);
    const char *listed = env(load, "COMPOSE_ENV_FILES");
    struct pairs pairs = {0};

    if (files.n == 0 && listed)
        files = split_list(load->arena, listed, ",");
    *ret_any = files.n > 0;
    for (size_t i = 0; i < files.n; i++) {
        const char *path = path_join(load->arena, load->options->working_dir, files.items[i]);
        int result = load_env_file(load, path, flags, (struct span){0}, &pairs);

        if (result > 0)
            return report_error(&load->report, (struct span){0}, NULL, "couldn't find env file: %s",
                                path);
        if (result < 0)
            return -1;
    }
    load_add_environment(load, &pairs);
    return 0;
}

int load_default_env_file(struct load *load, const char *directory)
{
    const char *path = path_join(load->arena, directory, ".env");
    struct env_memo memo = {.path = path, .before = load->environment.items};
    struct pairs pairs = {0};
    struct stat info;

    if (stat(path, &info) < 0 || S_ISDIR(info.st_mode))
        return 0;
    if (text_equal(load->env_memo.path, path) && load->env_memo.before == memo.before) {
        load->environment = load->env_memo.after;
        return 0;
    }
    if (load_env_file(load, path, LOAD_OPTIONAL, (struct span){0}, &pairs) < 0)
        return -1;
    load_add_environment(load, &pairs);
    memo.after = load->environment;
    load->env_memo = memo;
    return 0;
}

/* ---- files ------------------------------------------------------------------------------------
 */

static bool exists(struct load *load, const char *directory, const char *name)
{
    struct stat info;

    return stat(path_join(load->arena, directory, name), &info) == 0 && !S_ISDIR(info.st_mode);
}

/* The first of `names` that exists; a warning that names all when there are more. */
static const char *find_first(struct load *load, const char *directory, const char *const *names)
{
    const char *found = NULL;
    size_t n = 0;
    struct buf all;

    buf_init(&all, 4096);
    for (size_t i = 0; i < 4; i++) {
        if (!exists(load, directory, names[i]))
            continue;
        found = found ? found : names[i];
        buf_printf(&all, "%s%s", n++ > 0 ? ", " : "", names[i]);
    }
    if (n > 1)
        report_warning(&load->report, (struct span){0}, NULL,
                       "found several config files in %s: %s: using %s", directory, buf_text(&all),
                       found);
    buf_release(&all);
    return found;
}

static int search_files(struct load *load, struct strings *ret, struct error *err)
{
    const char *start =
        load->options->project_directory
            ? path_join(load->arena, load->options->working_dir, load->options->project_directory)
            : load->options->working_dir;
    const char *directory = start;
    const char *found;
    const char *override;

    while (!(found = find_first(load, directory, file_names)) && strcmp(directory, "/") != 0)
        directory = path_dir(load->arena, directory);
    if (!found)
        return error_set(err, ERROR_NOT_FOUND,
                         "no compose.yaml in %s or any directory above it: name one with -f",
                         start);
    ret->items = arena_new_array(load->arena, const char *, 2);
    ret->items[ret->n++] = path_join(load->arena, directory, found);
    override = find_first(load, directory, override_names);
    if (override)
        ret->items[ret->n++] = path_join(load->arena, directory, override);
    return 0;
}

static int named_files(struct load *load, const struct strings *names, struct strings *ret)
{
    bool has_stdin = false;

    if (names->n > LOAD_FILES_MAX)
        return report_error(&load->report, (struct span){0}, NULL, "more than %d compose files",
                            LOAD_FILES_MAX);
    ret->items = arena_new_array(load->arena, const char *, names->n);
    for (size_t i = 0; i < names->n; i++) {
        bool is_stdin = strcmp(names->items[i], "-") == 0;

        if (is_stdin && has_stdin)
            return report_error(&load->report, (struct span){0}, NULL,
                                "standard input can be named only once");
        has_stdin |= is_stdin;
        if (load_refuse_remote(load, names->items[i], (struct span){0}) < 0)
            return -1;
        ret->items[ret->n++] =
            is_stdin ? "-" : path_join(load->arena, load->options->working_dir, names->items[i]);
    }
    return 0;
}

static int choose_files(struct load *load, struct strings *ret, struct error *err)
{
    struct strings names = load->options->files;
    const char *listed = env(load, "COMPOSE_FILE");
    const char *separator = env(load, "COMPOSE_PATH_SEPARATOR");

    if (names.n == 0 && listed)
        names = split_list(load->arena, listed, separator ? separator : ":");
    return names.n > 0 ? named_files(load, &names, ret) : search_files(load, ret, err);
}

static const char *choose_directory(struct load *load, const struct strings *files)
{
    if (load->options->project_directory)
        return path_join(load->arena, load->options->working_dir, load->options->project_directory);
    for (size_t i = 0; i < files->n; i++) {
        if (strcmp(files->items[i], "-") != 0)
            return path_dir(load->arena, files->items[i]);
    }
    return load->options->working_dir;
}

int discover_files(struct load *load, struct strings *ret_paths, struct error *err)
{
    const char *start =
        load->options->project_directory
            ? path_join(load->arena, load->options->working_dir, load->options->project_directory)
            : load->options->working_dir;
    struct strings files = {0};
    bool has_explicit;
    bool wants_default;

    load->environment = pairs_copy(load->arena, &load->options->environment);
    pairs_sort(&load->environment);
    load->variables = (struct variables){
        .find = variables_find_sorted, .context = &load->environment, .history = load->history};
    if (!env(load, "PWD")) {
        struct pair pwd = {.name = "PWD", .value = load->options->working_dir};

        load_add_environment(load, &(struct pairs){.items = &pwd, .n = 1});
    }
    if (add_explicit_env_files(load, &has_explicit) < 0)
        return -1;
    wants_default = !has_explicit && !is_true(env(load, "COMPOSE_DISABLE_ENV_FILE"));
    if (wants_default && load_default_env_file(load, start) < 0)
        return -1;
    if (choose_files(load, &files, err) < 0)
        return -1;
    load->directory = choose_directory(load, &files);
    if (wants_default && strcmp(load->directory, start) != 0 &&
        load_default_env_file(load, load->directory) < 0)
        return -1;
    *ret_paths = files;
    return 0;
}

/* ---- name -------------------------------------------------------------------------------------
 */

/* Lower case, without what a name can't have. */
static const char *normal_name(struct arena *arena, const char *text)
{
    char *name = arena_alloc(arena, strlen(text) + 1);
    size_t n = 0;

    for (; *text; text++) {
        char c = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        if (is_alnum || ((c == '_' || c == '-') && n > 0))
            name[n++] = c;
    }
    return name;
}

/* The directory's name; one that is a link may be another project under its own. */
static const char *name_of_directory(struct load *load)
{
    const char *own = path_base(load->directory);
    char *target = realpath(load->directory, NULL);

    if (target && strcmp(path_base(target), own) != 0)
        report_warning(&load->report, (struct span){0}, "set it with -p or name:",
                       "the project is named \"%s\" after a symbolic link to %s",
                       normal_name(load->arena, own), target);
    free(target);
    return own;
}

int discover_name(struct load *load, const char *from_files, struct span span, struct error *err)
{
    const char *strict =
        load->options->name ? load->options->name : env(load, "COMPOSE_PROJECT_NAME");
    const char *loose = from_files || strict ? from_files : name_of_directory(load);
    const char *name = normal_name(load->arena, strict ? strict : loose);
    struct pair pair = {.name = "COMPOSE_PROJECT_NAME"};

    (void)err;
    if (strict && strcmp(name, strict) != 0)
        return report_error(&load->report, (struct span){0}, NULL,
                            "invalid project name \"%s\": must consist only of lowercase "
                            "alphanumeric characters, hyphens, and underscores as well as start "
                            "with a letter or number",
                            strict);
    if (!*name)
        return report_error(&load->report, strict ? (struct span){0} : span,
                            "set it with -p or name:", "project name must not be empty");
    if (strlen(name) > 200)
        return report_error(&load->report, strict ? (struct span){0} : span, NULL,
                            "project name is longer than 200 characters");
    if (!strict && from_files && strcmp(name, from_files) != 0)
        report_warning(&load->report, span, NULL, "project name \"%s\" is taken as \"%s\"",
                       from_files, name);
    load->name = name;
    pair.value = name;
    if (!env(load, pair.name))
        load_add_environment(load, &(struct pairs){.items = &pair, .n = 1});
    for (size_t i = 0; i < load->environment.n; i++) { /* -p beats the variable */
        if (strcmp(load->environment.items[i].name, pair.name) == 0)
            load->environment.items[i].value = name;
    }
    return 0;
}
