/* berth: finds the verb in the tables and calls it. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compose/command/command.h"
#include "compose/command/verbs.h"
#include "engine/base/alloc.h"
#include "engine/command/command.h"

extern char **environ;

/* Project verbs first, then the engine's groups, then what nobody types. */
static const struct cli_verb *const verbs[] = {
    &up_verb,      &down_verb,    &create_verb,   &start_verb, &stop_verb,
    &restart_verb, &kill_verb,    &exec_verb,     &build_verb, &ps_verb,
    &logs_verb,    &plan_verb,    &config_verb,   &image_verb, &network_verb,
    &volume_verb,  &version_verb, &internal_verb, NULL,
};

static const struct cli_verb root = {
    .name = "berth",
    .summary = "bring up what compose.yaml says: networks, volumes, images, containers",
    .arguments = "COMMAND",
    .description =
        "berth reads a Compose file and makes the machine look like it. One program, no daemon: "
        "a small keeper per project watches its containers while they run.",
    .examples = "  berth up -d          beside a compose.yaml: start everything\n"
                "  berth ps             what runs\n"
                "  berth logs -f        what it prints\n"
                "  berth down           take it all away again",
    .options = global_flags,
    .options_size = sizeof(struct global_options),
    .defaults = &global_defaults,
    .members = verbs,
};

static struct pairs read_environment(struct arena *arena)
{
    struct pairs pairs = {0};
    size_t n = 0;

    while (environ[n])
        n++;
    pairs.items = arena_new_array(arena, struct pair, n);
    for (size_t i = 0; i < n; i++) {
        struct str name, value;

        if (str_cut(str_from(environ[i]), '=', &name, &value))
            pairs.items[pairs.n++] =
                (struct pair){.name = arena_strndup(arena, name.data, name.len),
                              .value = arena_strndup(arena, value.data, value.len)};
    }
    return pairs;
}

/* A standard descriptor that the caller has closed would be the next file we open: the state
 * directory, which `exec` would hand to a container as its stdin. */
static int need_standard_fds(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) /* not O_CLOEXEC: like all */
            return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static char version_word[] = "version";
    struct cli_context context = {0};
    struct app app = {.arena = ARENA_INIT};
    char *cwd;
    int code;

    if (need_standard_fds() < 0)
        return 1;
    code = engine_internal_main(argc, argv);
    if (code >= 0)
        return code;
    if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-v") == 0))
        argv[1] = version_word;

    app.environment = read_environment(&app.arena);
    cwd = get_current_dir_name(); /* $PWD where it is one: as the user sees symbolic links */
    if (!cwd) {
        fprintf(stderr, "berth: the current directory: %s\n", strerror(errno));
        return 1;
    }
    app.working_dir = arena_strdup(&app.arena, cwd);
    free(cwd);

    cli_context_init(&context, &root);
    context.user = &app;
    context.on_globals = command_apply_globals;
    code = cli_run(&context, argc, argv);
    arena_release(&app.arena);
    return code;
}
