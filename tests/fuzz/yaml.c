/* A whole project from one hostile file: the laws of tests/compose_laws.h hold. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compose/file/project.h"
#include "engine/base/arena.h"
#include "engine/base/cleanup.h"
#include "tests/compose_laws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena arena = ARENA_INIT;
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
        .flags = PROJECT_ALL_RESOURCES,
    };
    const struct project *project = NULL;
    const char *broken;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)
        abort();
    broken = law_loads_again(&arena, &options, LAW_ERRORS_HAVE_LINES, &project);
    if (broken) {
        fprintf(stderr, "%s\n", broken);
        abort();
    }
    return 0;
}
