/* lower.h: what of the model reaches the engine. */

#include "compose/lower.h"

#include <sys/mman.h>
#include <unistd.h>

#include "compose/file/project.h"
#include "engine/base/arena.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "reconcile/desired.h"
#include "tests/tap.h"

static struct arena arena; /* a test is a process: never released */

static int lower(const char *text, const struct desired **ret, struct error *err)
{
    cleanup_fd int fd = memfd_create("compose", MFD_CLOEXEC);
    const char *minus = "-";
    struct project_options options = {
        .files = {.items = &minus, .n = 1},
        .working_dir = "/work/dir",
        .name = "p",
        .stdin_fd = fd,
    };
    struct diagnostics diagnostics;
    const struct project *project;

    CHECK_OK(fs_write_all(fd, text, strlen(text), err), err);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK_OK(project_load(&arena, &options, &project, &diagnostics, err), err);
    return lower_project(&arena, project, ret, err);
}

static const struct desired *lowered(const char *text)
{
    const struct desired *desired;
    struct error err = ERROR_INIT;

    CHECK_OK(lower(text, &desired, &err), &err);
    return desired;
}

TEST(what_a_build_is_told_reaches_it)
{
    const struct desired *desired =
        lowered("services:\n"
                "  web: {build: {context: ., labels: {a: 1}, no_cache: true, pull: true}}\n"
                "  plain: {build: .}\n");
    const struct image_build_request *plain = desired->images[0].build;
    const struct image_build_request *web = desired->images[1].build;

    CHECK_TEXT(desired->images[1].reference, "p-web");
    CHECK(web->no_cache && web->pull);
    CHECK_TEXT(pairs_find(&web->labels, "a"), "1");
    CHECK_TEXT(pairs_find(&web->labels, "com.docker.compose.service"), "web");
    CHECK(!plain->no_cache && !plain->pull);
    CHECK(!pairs_have(&plain->labels, "a"));
}

TEST(an_image_can_be_built_by_two_services_only_alike)
{
    const struct desired *desired;
    struct error err = ERROR_INIT;

    desired = lowered("services:\n"
                      "  a: {image: i, build: {context: ., labels: {x: 1}}}\n"
                      "  b: {image: i, build: {context: ., labels: {x: 1}}}\n");
    CHECK_INT(desired->n_images, 1);
    CHECK_FAILS(lower("services:\n"
                      "  a: {image: i, build: {context: ., labels: {x: 1}}}\n"
                      "  b: {image: i, build: {context: ., labels: {x: 2}}}\n",
                      &desired, &err),
                ERROR_INVALID, "is built in another way");
    CHECK_FAILS(lower("services:\n"
                      "  a: {image: i, build: {context: ., no_cache: true}}\n"
                      "  b: {image: i, build: .}\n",
                      &desired, &err),
                ERROR_INVALID, "is built in another way");
}

TEST(the_last_no_new_privileges_holds)
{
    const struct desired *desired =
        lowered("services:\n"
                "  a: {image: i}\n"
                "  b: {image: i, security_opt: [no-new-privileges]}\n"
                "  c: {image: i, security_opt: ['no-new-privileges:true', "
                "'no-new-privileges=false']}\n");

    CHECK(!desired->containers[0].spec.no_new_privileges);
    CHECK(desired->containers[1].spec.no_new_privileges);
    CHECK(!desired->containers[2].spec.no_new_privileges);
}

TEST(mounts_of_elsewhere_are_not_made)
{
    const struct desired *desired = lowered("services:\n"
                                            "  a:\n"
                                            "    image: i\n"
                                            "    tmpfs: /t\n"
                                            "    volumes:\n"
                                            "      - {type: npipe, source: p, target: /pipe}\n"
                                            "      - {type: bind, source: /b, target: /b}\n"
                                            "      - {type: cluster, source: c, target: /c}\n");
    const struct container_spec *spec = &desired->containers[0].spec;

    CHECK_INT(spec->n_mounts, 2);
    CHECK_TEXT(spec->mounts[0].target, "/b");
    CHECK_TEXT(spec->mounts[1].target, "/t");
}

TEST(network_mode_none_joins_nothing)
{
    const struct desired *desired = lowered("services:\n  a: {image: i, network_mode: none}\n");

    CHECK_TEXT(desired->containers[0].spec.network_mode, "none");
    CHECK_INT(desired->containers[0].spec.n_networks, 0);
    CHECK_INT(desired->n_networks, 0);
}
