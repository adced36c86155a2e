/* The first line is a path, the rest a project: what loads explains the path, or says that there is
 * none; in both formats. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compose/file/explain.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct project *load(struct arena *arena, struct str text)
{
    cleanup_fd int fd = memfd_create("fuzz", MFD_CLOEXEC);
    static const char *const minus = "-";
    static struct pair pairs[] = {{"BAR", ""}, {"FOO", "first"}};
    const char *files[] = {minus};
    struct project_options *options = arena_new(arena, struct project_options);
    struct diagnostics diagnostics;
    const struct project *project = NULL;

    *options = (struct project_options){
        .files = {.items = files, .n = 1},
        .project_directory = "/nonexistent/project",
        .working_dir = "/nonexistent",
        .environment = {pairs, 2},
        .stdin_fd = fd,
        .flags = PROJECT_ALL_RESOURCES | PROJECT_WITH_HISTORY,
    };
    if (fd < 0 || write(fd, text.data, text.len) != (ssize_t)text.len || lseek(fd, 0, SEEK_SET))
        abort();
    return project_load(arena, options, &project, &diagnostics, NULL) < 0 ? NULL : project;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf out = BUF_INIT;
    struct str path;
    struct str text = {0};
    struct explanation explanation;
    struct error err = ERROR_INIT;
    const struct project *project;
    size_t n_counting = 0;

    if (!str_cut((struct str){(const char *)data, size}, '\n', &path, &text))
        return 0;
    project = load(&arena, text);
    if (!project)
        return 0;
    if (project_explain(&arena, project, arena_strndup(&arena, path.data, path.len), &explanation,
                        &err) < 0) {
        if (err.code == ERROR_NONE)
            abort();
        return 0;
    }
    for (size_t i = 0; i < explanation.n_steps; i++)
        n_counting += !explanation.steps[i].is_overridden;
    if (n_counting == 0)
        abort();
    explanation_print(&out, project, &explanation, DIAGNOSTICS_COLOUR);
    explanation_print_json(&out, project, &explanation);
    return 0;
}
