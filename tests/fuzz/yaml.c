/* A whole project from hostile bytes: it loads or is refused; what loads prints, and what is
 * printed loads again and prints the same. */

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compose/file/project.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int load(struct arena *arena, struct str text, unsigned flags, struct buf *out)
{
    cleanup_fd int fd = memfd_create("fuzz", MFD_CLOEXEC);
    const char *minus = "-";
    const char *all = "*";
    struct pair pairs[] = {{"FOO", "first"}, {"BAR", ""}, {"HOME", "/home/user"}};
    struct project_options options = {
        .files = {.items = &minus, .n = 1},
        .profiles = {.items = &all, .n = 1},
        .project_directory = "/nonexistent/project",
        .working_dir = "/nonexistent",
        .name = "fuzz",
        .environment = {pairs, 3},
        .stdin_fd = fd,
        .flags = flags,
    };
    struct diagnostics diagnostics;
    struct buf said = BUF_INIT;
    const struct project *project = NULL;
    struct error err = ERROR_INIT;
    int result;

    if (fd < 0 || write(fd, text.data, text.len) != (ssize_t)text.len ||
        lseek(fd, 0, SEEK_SET) != 0)
        abort();
    result = project_load(arena, &options, &project, &diagnostics, &err);
    diagnostics_print(&said, &diagnostics, DIAGNOSTICS_COLOUR);
    buf_release(&said);
    if ((result < 0) != (err.code != ERROR_NONE) || (result < 0) != (project == NULL))
        abort();
    if (result < 0)
        return -1;
    project_print_json(out, project);
    buf_clear(out);
    project_print_yaml(out, project);
    (void)project_find_span(project, "services.web.environment.FOO");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf first = BUF_INIT;
    cleanup_buf struct buf second = BUF_INIT;

    if (load(&arena, (struct str){(const char *)data, size}, PROJECT_ALL_RESOURCES, &first) < 0)
        return 0;
    if (load(&arena, buf_str(&first), PROJECT_ALL_RESOURCES, &second) < 0 ||
        strcmp(buf_text(&first), buf_text(&second)) != 0) {
        fprintf(stderr, "first:\n%s\nsecond:\n%s\n", buf_text(&first), buf_text(&second));
        abort();
    }
    return 0;
}
