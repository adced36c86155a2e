/* Archives from hostile bytes, unpacked for real below a directory of the fuzzer's own. Nothing may
 * appear beside it. Without root only what a user may do is reached: owners fail. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/cleanup.h"
#include "engine/base/fs.h"
#include "engine/base/str.h"
#include "engine/worker/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Only "tree" is in the directory. */
static void check_outside(int dir_fd)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct strings names = {0};

    if (fs_list(dir_fd, ".", &arena, &names, NULL) < 0 || names.n != 1)
        abort();
}

static void unpack(int dir_fd, int archive_fd, enum tree_mode mode)
{
    cleanup_fd int tree_fd = -1;
    struct unpack_progress progress = {0};
    struct unpack_result result;
    struct unpack_options options = {.archive_fd = archive_fd,
                                     .mode = mode,
                                     .force_owner = true,
                                     .uid = geteuid(),
                                     .gid = getegid()};

    if (fs_open_dirs(dir_fd, "tree", 0755, &tree_fd, NULL) < 0 ||
        lseek(archive_fd, 0, SEEK_SET) < 0)
        abort();
    options.tree_fd = tree_fd;
    if (unpack_run(&options, &progress, &result, NULL) == 0)
        tree_close(result.tree);
    check_outside(dir_fd);
    if (fs_remove_tree(dir_fd, "tree", NULL) < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char template[] = "/tmp/berth-fuzz-XXXXXX";
    cleanup_fd int dir_fd = -1, archive_fd = memfd_create("fuzz", MFD_CLOEXEC);

    if (!mkdtemp(template))
        abort();
    dir_fd = open(template, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0 || archive_fd < 0 || fs_write_all(archive_fd, data, size, NULL) < 0)
        abort();
    unpack(dir_fd, archive_fd, TREE_LAYER);
    unpack(dir_fd, archive_fd, TREE_MERGE);
    if (rmdir(template) < 0)
        abort();
    return 0;
}
