/* compose/file alone: reads a Compose file and prints what it says, as `config` does. Linked
 * against compose-file.a (all of it), engine-base.a, libyaml and jansson, and nothing else: `make
 * check-library`. */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "compose/file/project.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

int main(int argc, char **argv)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf out = BUF_INIT;
    struct project_options options = {.working_dir = "/", .name = "library", .stdin_fd = -1};
    struct diagnostics diagnostics;
    const struct project *project;
    struct error err = ERROR_INIT;
    const char *path = argc == 2 ? argv[1] : NULL;

    if (!path) {
        fprintf(stderr, "usage: print FILE\n");
        return 2;
    }
    options.files = (struct strings){.items = &path, .n = 1};
    if (project_load(&arena, &options, &project, &diagnostics, &err) < 0) {
        diagnostics_print(&out, &diagnostics, DIAGNOSTICS_PLAIN);
        fprintf(stderr, "%s%s\n", buf_text(&out), err.text);
        return 1;
    }
    project_print_yaml(&out, project);
    return fputs(buf_text(&out), stdout) < 0;
}
