/* Explanations of random projects: a file, others over it, services that extend each other. SEED=n
 * replays one case. */

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compose/file/project.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "tests/explain_laws.h"
#include "tests/property/compose_world.h"
#include "tests/tap.h"

enum { CASES = 80, EXPLAINED_MIN = 20 };

/* NULL: it is refused, which other tests look at. */
static const struct project *load(struct arena *arena, const struct buf *text)
{
    cleanup_fd int fd = memfd_create("compose", MFD_CLOEXEC);
    static const char *all_profiles = "*", *minus = "-";
    static struct pair home = {"HOME", "/home/user"};
    struct project_options *options = arena_new(arena, struct project_options);
    struct diagnostics diagnostics;
    const struct project *project = NULL;
    struct error err = ERROR_INIT;

    *options = (struct project_options){.files = {&minus, 1},
                                        .working_dir = "/work",
                                        .name = "p",
                                        .profiles = {&all_profiles, 1},
                                        .environment = {&home, 1},
                                        .stdin_fd = fd,
                                        .flags = PROJECT_WITH_HISTORY | PROJECT_NO_CONSISTENCY |
                                                 PROJECT_NO_ENV_RESOLUTION};
    CHECK(fd >= 0);
    CHECK_OK(fs_write_all(fd, buf_text(text), text->len, &err), &err);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    return project_load(arena, options, &project, &diagnostics, NULL) < 0 ? NULL : project;
}

static bool check_case(uint64_t seed, unsigned flags)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf text = BUF_INIT;
    const struct project *project;
    const char *broken;

    file_print(&text, seed, seed, 0);
    for (uint64_t i = 1; i <= 1 + seed % 2; i++) {
        buf_add_text(&text, "\n---\n");
        file_print(&text, seed * 7 + i, seed + i, flags);
    }
    project = load(&arena, &text);
    if (!project)
        return false;
    broken = law_explains(&arena, project);
    if (broken)
        tap_fail(TAP_HERE, "SEED=%llu: %s\nof:\n%s", (unsigned long long)seed, broken,
                 buf_text(&text));
    return true;
}

static void check_cases(unsigned flags)
{
    const char *replayed = getenv("SEED");
    size_t n_explained = 0;

    if (replayed) {
        (void)check_case(strtoull(replayed, NULL, 10), flags);
        return;
    }
    for (uint64_t seed = 1; seed <= CASES; seed++)
        n_explained += check_case(seed, flags);
    CHECK(n_explained >= EXPLAINED_MIN);
}

TEST(every_value_of_files_over_files_is_explained)
{
    check_cases(FILE_PART);
}

TEST(every_value_of_files_with_tags_is_explained)
{
    check_cases(FILE_PART | FILE_TAGS);
}
