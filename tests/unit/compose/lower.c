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

static const struct mount_spec *mount_at(const struct container_spec *spec, const char *target)
{
    for (size_t i = 0; i < spec->n_mounts; i++) {
        if (text_equal(spec->mounts[i].target, target))
            return &spec->mounts[i];
    }
    return NULL;
}

TEST(files_of_secrets_and_configs_are_mounted_read_only)
{
    const struct desired *desired = lowered(
        "services:\n"
        "  web:\n"
        "    image: x\n"
        "    volumes: [/var/lib/data]\n"
        "    secrets: [plain, {source: plain, target: ../name}, {source: plain, target: /s}]\n"
        "    configs: [app.conf, {source: app.conf, target: etc/app}]\n"
        "secrets: {plain: {file: ./secret.txt}}\n"
        "configs: {app.conf: {file: /etc/app.conf}}\n");
    const struct container_spec *spec = &desired->containers[0].spec;
    static const char *const targets[] = {"/run/secrets/plain", "/run/name", "/s", "/app.conf",
                                          "/etc/app"};

    CHECK_INT(spec->n_mounts, 6);
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        const struct mount_spec *mount = mount_at(spec, targets[i]);

        CHECK(mount && mount->kind == MOUNT_BIND && mount->read_only && !mount->create_source);
        CHECK_TEXT(mount->source, i < 3 ? "/work/dir/secret.txt" : "/etc/app.conf");
    }
}

TEST(limits_of_deploy_hold_like_those_of_the_service)
{
    const struct desired *desired = lowered(
        "services:\n"
        "  a: {image: x, deploy: {resources: {limits: {cpus: '1.5', memory: 1m, pids: 7}}}}\n"
        "  b: {image: x, cpus: 2, mem_limit: 2m, pids_limit: 8, deploy: {mode: global}}\n"
        "  c: {image: x, deploy: {resources: {limits: {pids: -1}}}}\n"
        "  d: {image: x, cpus: 0, deploy: {resources: {limits: {memory: 0}}}}\n");
    const struct container_spec *a = &desired->containers[0].spec;
    const struct container_spec *b = &desired->containers[1].spec;
    const struct container_spec *c = &desired->containers[2].spec;
    const struct container_spec *d = &desired->containers[3].spec;

    CHECK(a->nano_cpus == 1500000000 && a->memory_bytes == 1 << 20 && a->pids_limit == 7);
    CHECK(b->nano_cpus == 2000000000 && b->memory_bytes == 2 << 20 && b->pids_limit == 8);
    CHECK(c->nano_cpus == 0 && c->memory_bytes == 0 && c->pids_limit == -1);
    CHECK(d->nano_cpus == 0 && d->memory_bytes == 0 && d->pids_limit == 0);
}

TEST(restart_policy_of_deploy_is_stronger_than_restart)
{
    const struct desired *desired =
        lowered("services:\n"
                "  a: {image: x, restart: always, deploy: {restart_policy: {condition: none}}}\n"
                "  b: {image: x, restart: 'no', deploy: {restart_policy: {condition: any}}}\n"
                "  c: {image: x, restart: on-failure:5,\n"
                "      deploy: {restart_policy: {condition: on-failure, max_attempts: 3}}}\n"
                "  d: {image: x, restart: on-failure:5, deploy: {restart_policy: {}}}\n");

    CHECK_INT(desired->containers[0].spec.restart, RESTART_NO);
    CHECK_INT(desired->containers[1].spec.restart, RESTART_ALWAYS);
    CHECK_INT(desired->containers[2].spec.restart, RESTART_ON_FAILURE);
    CHECK_INT(desired->containers[2].spec.restart_max_retries, 3);
    CHECK_INT(desired->containers[3].spec.restart, RESTART_ON_FAILURE);
    CHECK_INT(desired->containers[3].spec.restart_max_retries, 5);
}
