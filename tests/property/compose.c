/* Laws of the loader on random Compose files. SEED=n replays one case. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compose/file/field.h"
#include "compose/file/node.h"
#include "compose/file/shapes.h"
#include "compose/lower.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/path.h"
#include "tests/compose_laws.h"
#include "tests/property/compose_world.h"
#include "tests/tap.h"

enum { CASES = 2000 };

static const char *const all_profiles = "*";

static struct project_options plain_options(void)
{
    static struct pair home = {"HOME", "/home/user"};

    return (struct project_options){.working_dir = "/work",
                                    .name = "p",
                                    .profiles = {(const char **)(uintptr_t)&all_profiles, 1},
                                    .environment = {&home, 1},
                                    .stdin_fd = -1};
}

/* The seeds to try: all, or SEED. */
static void for_each_seed(void (*run)(uint64_t seed), uint64_t n)
{
    const char *replayed = getenv("SEED");

    if (replayed) {
        run(strtoull(replayed, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= n; seed++)
        run(seed);
}

static void demand(uint64_t seed, const char *broken, const struct buf *file)
{
    if (broken)
        tap_fail(TAP_HERE, "SEED=%llu: %s\nof:\n%s", (unsigned long long)seed, broken,
                 file ? buf_text(file) : "");
}

/* ---- printing and loading ---------------------------------------------------------------------
 */

static size_t n_loaded, n_refused; /* of this process: a test */

static void check_round_trip(uint64_t seed)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf file = BUF_INIT;
    cleanup_fd int fd = memfd_create("compose", MFD_CLOEXEC);
    struct project_options options = plain_options();
    const struct project *project = NULL;
    const char *minus = "-";
    struct error err = ERROR_INIT;

    file_print(&file, seed, seed, 0);
    CHECK_OK(fs_write_all(fd, buf_text(&file), file.len, &err), &err);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    options.files = (struct strings){.items = &minus, .n = 1};
    options.stdin_fd = fd;
    demand(seed, law_loads_again(&arena, &options, LAW_ERRORS_HAVE_LINES, &project), &file);
    n_loaded += project != NULL;
    n_refused += project == NULL;
    if (!project && getenv("SEED")) {
        struct diagnostics diagnostics;
        cleanup_buf struct buf said = BUF_INIT;

        (void)load_text(&arena, &options, buf_str(&file), &project, &diagnostics, &err);
        diagnostics_print(&said, &diagnostics, DIAGNOSTICS_PLAIN);
        fprintf(stderr, "# refused: %s\n", buf_text(&said));
    }
}

TEST(what_is_printed_loads_and_prints_the_same)
{
    for_each_seed(check_round_trip, CASES);
    if (!getenv("SEED") && n_loaded < 2 * n_refused) /* else the cases say little */
        tap_fail(TAP_HERE, "%zu of %d random files are refused", n_refused, CASES);
}

/* ---- what is hashed
 * -----------------------------------------------------------------------------------
 */

static const struct project *load_or_null(struct arena *arena, const struct buf *file)
{
    struct project_options options = plain_options();
    struct diagnostics diagnostics;
    const struct project *project = NULL;
    struct error err = ERROR_INIT;

    (void)load_text(arena, &options, buf_str(file), &project, &diagnostics, &err); /* or NULL */
    return project;
}

static void check_hashes(uint64_t seed)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf file = BUF_INIT;
    cleanup_buf struct buf other = BUF_INIT;
    const struct project *a;
    const struct project *b;

    file_print(&file, seed, seed, 0);
    file_print(&other, seed, seed + 1, 0);
    a = load_or_null(&arena, &file);
    b = load_or_null(&arena, &other);
    if ((a == NULL) != (b == NULL))
        demand(seed, "loads in one order of keys, and not in another", &file);
    for (size_t i = 0; a && i < a->n_services; i++) {
        cleanup_buf struct buf first = BUF_INIT;
        cleanup_buf struct buf second = BUF_INIT;

        project_print_hashed(&first, &a->services[i]);
        project_print_hashed(&second, &b->services[i]);
        if (strcmp(buf_text(&first), buf_text(&second)) != 0)
            demand(seed, "the hash depends on the order of keys", &file);
    }
}

TEST(the_order_of_keys_does_not_change_a_hash)
{
    for_each_seed(check_hashes, CASES / 2);
}

/* ---- merging ----------------------------------------------------------------------------------
 */

static const struct node *random_tree(struct trees *trees, uint64_t seed, unsigned flags)
{
    cleanup_buf struct buf file = BUF_INIT;

    file_print(&file, seed, seed, flags);
    return trees_read(trees, buf_str(&file));
}

static void check_trees(uint64_t seed)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_trees struct trees trees;
    const struct node *tree;

    trees_init(&trees, &arena);
    tree = random_tree(&trees, seed, FILE_TAGS);
    CHECK(tree != NULL);
    demand(seed, law_long_form_stays(&trees, tree), NULL);
    demand(seed, law_nothing_changes_nothing(&trees, tree), NULL);
}

TEST(long_forms_stay_and_nothing_changes_nothing)
{
    for_each_seed(check_trees, CASES);
}

static void check_three(uint64_t seed)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_trees struct trees trees;
    const struct node *read[3];

    trees_init(&trees, &arena);
    for (uint64_t i = 0; i < 3; i++) {
        read[i] = random_tree(&trees, 3 * seed + i, FILE_REGULAR | FILE_PART);
        CHECK(read[i] != NULL);
    }
    demand(seed, law_merge_is_associative(&trees, read[0], read[1], read[2]), NULL);
}

static void check_two(uint64_t seed)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_trees struct trees trees;
    const struct node *base;
    const struct node *over;

    trees_init(&trees, &arena);
    base = random_tree(&trees, seed, 0);
    over = random_tree(&trees, seed + CASES, FILE_PART | FILE_TAGS);
    CHECK(base && over);
    demand(seed, law_merged_is_long(&trees, base, over), NULL);
}

TEST(what_is_merged_has_no_doubles_and_no_tags)
{
    for_each_seed(check_two, CASES / 2);
}

TEST(merging_is_associative)
{
    for_each_seed(check_three, CASES / 2);
}

/* ---- files and documents ----------------------------------------------------------------------
 */

static void write_file(struct arena *arena, const char *name, const struct buf *text)
{
    struct error err = ERROR_INIT;

    CHECK_OK(fs_replace(AT_FDCWD, path_join(arena, tap_temp_dir(), name), buf_text(text), text->len,
                        0644, FS_VOLATILE, &err),
             &err);
}

/* What is printed of the files; "refused" if they are. */
static const char *printed(struct arena *arena, const char **files, size_t n)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct project_options options = plain_options();
    struct diagnostics diagnostics;
    const struct project *project = NULL;
    struct error err = ERROR_INIT;

    options.working_dir = tap_temp_dir();
    options.files = (struct strings){files, n};
    if (project_load(arena, &options, &project, &diagnostics, &err) < 0)
        return "refused";
    project_print_yaml(&text, project);
    return arena_strdup(arena, buf_text(&text));
}

static void check_documents(uint64_t seed)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf base = BUF_INIT;
    cleanup_buf struct buf over = BUF_INIT;
    cleanup_buf struct buf both = BUF_INIT;
    const char *two[] = {"base.yaml", "over.yaml"};
    const char *one[] = {"both.yaml"};

    file_print(&base, seed, seed, 0);
    file_print(&over, seed + CASES, seed, FILE_PART | FILE_TAGS);
    buf_printf(&both, "%s---\n%s", buf_text(&base), buf_text(&over));
    write_file(&arena, two[0], &base);
    write_file(&arena, two[1], &over);
    write_file(&arena, one[0], &both);
    if (strcmp(printed(&arena, two, 2), printed(&arena, one, 1)) != 0)
        demand(seed, "two files give something else than two documents", &both);
}

static void check_explained(uint64_t seed)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf base = BUF_INIT;
    cleanup_buf struct buf over = BUF_INIT;
    const char *two[] = {"base.yaml", "over.yaml"};
    struct project_options options = plain_options();
    struct diagnostics diagnostics;
    const struct project *project = NULL;
    struct error err = ERROR_INIT;

    file_print(&base, seed, seed, 0);
    file_print(&over, seed + CASES, seed, FILE_PART | FILE_TAGS);
    write_file(&arena, two[0], &base);
    write_file(&arena, two[1], &over);
    options.working_dir = tap_temp_dir();
    options.files = (struct strings){two, 2};
    if (project_load(&arena, &options, &project, &diagnostics, &err) < 0)
        return;
    buf_add_text(&base, "---\n");
    buf_add_text(&base, buf_text(&over));
    demand(seed, law_everything_is_explained(&arena, &options, project), &base);
}

TEST(every_value_is_explained)
{
    for_each_seed(check_explained, CASES / 20);
}

static size_t n_lowered; /* of this process: a test */

static void check_lowered(uint64_t seed)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf file = BUF_INIT;
    const struct project *project;
    const struct desired *desired = NULL;
    struct diagnostics diagnostics;
    struct error err = ERROR_INIT;

    file_print(&file, seed, seed, FILE_HONOURED | FILE_PART);
    project = load_or_null(&arena, &file);
    if (!project ||
        project_refuse_unhonoured(&arena, project, PROJECT_USE_UP, &diagnostics, &err) < 0)
        return;
    if (lower_project(&arena, project, &desired, &err) < 0 && err.code != ERROR_UNSUPPORTED &&
        err.code != ERROR_INVALID)
        demand(seed, err.text, &file);
    n_lowered += desired != NULL;
}

TEST(what_is_honoured_becomes_containers_or_is_refused)
{
    for_each_seed(check_lowered, CASES / 2);
    if (!getenv("SEED") && n_lowered < CASES / 8)
        tap_fail(TAP_HERE, "only %zu of %d random files become containers", n_lowered, CASES / 2);
}

TEST(two_files_are_two_documents)
{
    for_each_seed(check_documents, CASES / 8);
}

/* ---- the samples ------------------------------------------------------------------------------
 */

TEST(every_key_of_a_service_has_a_sample)
{
    for (size_t i = 0; i < service_shape.n_fields; i++) {
        if (service_shape.fields[i].type && !file_has_sample(service_shape.fields[i].name.data))
            tap_fail(TAP_HERE, "%s: add samples to tests/property/compose_world.c",
                     service_shape.fields[i].name.data);
    }
}
