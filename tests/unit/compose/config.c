/* What `config` asks of the loader beside the model: hashes and variables. */

#include <sys/mman.h>
#include <unistd.h>

#include "compose/file/project.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/sha256.h"
#include "tests/tap.h"

static struct arena arena; /* a test is a process: never released */

static const struct project *load(const char *text, unsigned flags)
{
    cleanup_fd int fd = memfd_create("compose", MFD_CLOEXEC);
    static const char *minus = "-";
    struct project_options options = {
        .files = {.items = &minus, .n = 1},
        .working_dir = "/work/dir",
        .name = "p",
        .stdin_fd = fd,
        .flags = flags,
    };
    struct diagnostics diagnostics;
    const struct project *project;
    struct error err = ERROR_INIT;

    CHECK_OK(fs_write_all(fd, text, strlen(text), &err), &err);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK_OK(project_load(&arena, &options, &project, &diagnostics, &err), &err);
    return project;
}

/* Of service "a". */
static const char *hash_of(const char *text)
{
    const struct project *project = load(text, 0);
    cleanup_buf struct buf hashed = BUF_INIT;
    char hash[SHA256_HEX_SIZE];

    project_print_hashed(&hashed, project_find_service(project, "a"));
    sha256_hex(hashed.data, hashed.len, hash);
    return arena_strdup(&arena, hash);
}

TEST(the_hash_of_a_service_does_not_see_how_it_is_written)
{
    const char *hash = hash_of("services:\n"
                               "  a:\n"
                               "    image: b\n"
                               "    ports: ['80:8080']\n"
                               "    environment: {X: '1', Y: '2'}\n"
                               "    command: echo hello\n"
                               "    networks: [n, m]\n"
                               "networks: {n: , m: }\n");
    const char *other = hash_of("x-e: &e {Y: 2}\n"
                                "networks: {m: , n: }\n"
                                "services:\n"
                                "  z: {image: z}\n"
                                "  a:\n"
                                "    networks: {m: , n: }\n"
                                "    command: [echo, hello]\n"
                                "    environment: {<<: *e, X: 1}\n"
                                "    ports: [{published: '80', target: 8080, protocol: tcp}]\n"
                                "    image: b\n"
                                "    x-note: nobody minds\n");

    CHECK_TEXT(other, hash);
}

/* A hash that changed with a release would recreate everybody's containers. */
TEST(the_hash_of_a_service_is_what_project_h_says)
{
    CHECK_TEXT(hash_of("services: {a: {image: b}}"),
               "90a6e47cd3e683aa6ce60279e6f7e99d560ec4306bcd539b7906e21b3c4bb0f0");
}

TEST(what_changes_no_container_changes_no_hash)
{
    const char *plain = hash_of("services: {a: {image: b}, d: {image: d}}");

    CHECK_TEXT(hash_of("services: {a: {image: b, depends_on: [d]}, d: {image: d}}"), plain);
    CHECK_TEXT(hash_of("services: {a: {image: b, build: .}, d: {image: d}}"), plain);
    CHECK(strcmp(hash_of("services: {a: {image: c}}"), plain) != 0);
    CHECK(strcmp(hash_of("services: {a: {image: b, command: x}}"), plain) != 0);
    CHECK(strcmp(hash_of("services: {a: {image: b, environment: {A: ''}}}"), plain) != 0);
}

static const char *variables_of(const char *text)
{
    struct project_variable *variables;
    char *list = arena_strdup(&arena, "");
    size_t n;

    project_variables(&arena, load(text, PROJECT_NO_INTERPOLATE), &variables, &n);
    for (size_t i = 0; i < n; i++)
        list = arena_printf(&arena, "%s%s%s%s%s%s%s\n", list, variables[i].name,
                            variables[i].is_required ? "!" : "", variables[i].default_ ? " -" : "",
                            variables[i].default_ ? variables[i].default_ : "",
                            variables[i].alternative ? " +" : "",
                            variables[i].alternative ? variables[i].alternative : "");
    return list;
}

TEST(variables_are_found_however_deep_they_stand)
{
    CHECK_TEXT(variables_of("services:\n"
                            "  a:\n"
                            "    image: ${A:-${B:?no ${C}}/${D+yes}}$E\n"
                            "    labels: {'${KEY}': plain, v: '$$NOT $${NOT} $1 $'}\n"
                            "    command: [\"${A}\", \"${A:?}\", \"${A-second}\"]\n"
                            "x-more: {deep: [{er: '${F:-}'}]}\n"),
               "A! -${B:?no ${C}}/${D+yes}\nB!\nC\nD +yes\nE\nF -\n");
    CHECK_TEXT(variables_of("services: {a: {image: b}}"), "");
}
