/* What setup programs are made of specs: tests/golden/program/NAME.json → NAME.txt.
 *
 * NAME.json holds {spec, image, build, exec}: spec is the engine's canonical JSON; image has
 * entrypoint, command, environment, user, working_dir; build says what the keeper would pass:
 * network (bool), v1 (number of hierarchies to join), hierarchies, v2 (bool), files (names),
 * seccomp (bytes), sources (one per mount, null for tmpfs), capabilities (hex), devices, hidden
 * (bool), uid, gid, groups. With exec, the program is that of an exec. GOLDEN_ACCEPT=1 rewrites
 * NAME.txt. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/container/container.h"
#include "engine/engine.h"
#include "tests/tap.h"

static const char dir[] = "tests/golden/program";

enum { CASE_MAX_BYTES = 1 << 16, FAKE_FD = 100, MOUNTS_MAX = 300 };

static const char *const masked[] = {"/proc/kcore", "/sys/firmware"};
static const char *const read_only[] = {"/proc/bus", "/proc/sys"};

struct input {
    struct arena *arena;
    struct container_spec spec;
    struct image_info image;
    struct process_resolved process;
    struct container_build build;
    struct user_resolved user;
    struct build_mount mounts[MOUNTS_MAX];
    struct build_device devices[4];
    int cgroup1_fds[8];
};

static void read_user(struct input *input, const json_t *json)
{
    const json_t *groups = json_object_get(json, "groups");
    gid_t *list = arena_new_array(input->arena, gid_t, json_array_size(groups) + 1);

    input->user.uid = (uid_t)json_i64_or(json, "uid", 0);
    input->user.gid = (gid_t)json_i64_or(json, "gid", 0);
    input->user.home = json_text_or(json, "home", "/root");
    input->user.groups = list;
    for (size_t i = 0; i < json_array_size(groups); i++)
        list[input->user.n_groups++] = (gid_t)json_integer_value(json_array_get(groups, i));
}

static void read_mounts(struct input *input, const json_t *json)
{
    const json_t *sources = json_object_get(json, "sources");

    CHECK(input->spec.n_mounts <= MOUNTS_MAX);
    for (size_t i = 0; i < input->spec.n_mounts; i++) {
        input->mounts[i].spec = &input->spec.mounts[i];
        input->mounts[i].source = json_string_value(json_array_get(sources, i));
        if (sources == NULL && input->spec.mounts[i].kind != MOUNT_TMPFS)
            input->mounts[i].source = input->spec.mounts[i].source;
    }
    input->build.mounts = input->mounts;
    input->build.n_mounts = input->spec.n_mounts;
}

static void read_devices(struct input *input, const json_t *json)
{
    struct strings list = json_strings(input->arena, json, "devices");

    CHECK(list.n <= 4);
    for (size_t i = 0; i < list.n; i++)
        input->devices[i] = (struct build_device){
            .path = list.items[i], .type = 'c', .major = 10, .minor = 200, .mode = 0660, .gid = 5};
    input->build.devices = input->devices;
    input->build.n_devices = list.n;
}

static void read_build(struct input *input, const json_t *json)
{
    struct container_build *build = &input->build;
    struct strings files = json_strings(input->arena, json, "files");
    struct str digits = str_from(json_text_or(json, "capabilities", "00000000a80425fb"));

    *build = (struct container_build)CONTAINER_BUILD_INIT;
    build->id = "0123456789abcdef";
    build->spec = &input->spec;
    build->process = &input->process;
    build->hostname = container_hostname(input->arena, &input->spec, build->id);
    build->layers = json_strings(input->arena, json, "layers");
    if (json_bool_or(json, "network", true))
        build->netns_fd = FAKE_FD;
    if (json_bool_or(json, "v2", true))
        build->cgroup2_fd = FAKE_FD;
    build->cgroup1_fds = input->cgroup1_fds;
    build->n_cgroup1_fds = (size_t)json_i64_or(json, "v1", 0);
    build->cgroup1_hierarchies = json_strings(input->arena, json, "hierarchies");
    build->has_hosts = strings_contain(&files, "hosts");
    build->has_hostname = strings_contain(&files, "hostname");
    build->has_resolv_conf = strings_contain(&files, "resolv.conf");
    build->stdio_fds[1] = build->stdio_fds[2] = FAKE_FD;
    build->seccomp_size = (size_t)json_i64_or(json, "seccomp", 0);
    if (build->seccomp_size > 0)
        build->seccomp = arena_alloc(input->arena, build->seccomp_size);
    for (size_t i = 0; i < digits.len; i++)
        build->capabilities =
            build->capabilities << 4 |
            (unsigned)(digits.data[i] >= 'a' ? digits.data[i] - 'a' + 10 : digits.data[i] - '0');
    if (json_bool_or(json, "hidden", false)) {
        build->masked_paths = (struct strings){(const char **)(uintptr_t)masked, 2};
        build->read_only_paths = (struct strings){(const char **)(uintptr_t)read_only, 2};
    }
    read_mounts(input, json);
    read_devices(input, json);
    read_user(input, json);
}

static void read_image(struct input *input, const json_t *json)
{
    input->image.entrypoint = json_strings(input->arena, json, "entrypoint");
    input->image.command = json_strings(input->arena, json, "command");
    input->image.environment = json_strings(input->arena, json, "environment");
    input->image.user = json_text_or(json, "user", NULL);
    input->image.working_dir = json_text_or(json, "working_dir", NULL);
}

static int make_exec(const struct input *input, const json_t *json,
                     const struct setup_program **ret, struct error *err)
{
    struct exec_build exec = EXEC_BUILD_INIT;

    exec.spec = &input->spec;
    exec.id = "exec";
    exec.pidfd = FAKE_FD;
    exec.has_network = input->build.netns_fd >= 0;
    exec.cgroup1_fds = input->build.cgroup1_fds;
    exec.n_cgroup1_fds = input->build.n_cgroup1_fds;
    exec.argv = json_strings(input->arena, json, "argv");
    exec.environment = input->process.environment;
    exec.working_dir = json_text_or(json, "working_dir", "/");
    exec.tty = json_bool_or(json, "tty", false);
    exec.no_new_privileges = input->spec.no_new_privileges;
    exec.stdio_fds[0] = exec.stdio_fds[1] = exec.stdio_fds[2] = FAKE_FD;
    exec.seccomp = input->build.seccomp;
    exec.seccomp_size = input->build.seccomp_size;
    exec.capabilities = input->build.capabilities;
    return setup_program_make_exec(input->arena, &exec, &input->user, ret, err);
}

static void print_case(struct buf *out, struct arena *arena, const char *name)
{
    struct input input = {.arena = arena};
    const struct setup_program *program = NULL;
    struct error err = ERROR_INIT;
    cleanup_json json_t *json = NULL;
    struct buf bytes = BUF_INIT;
    int result;

    CHECK_OK(json_read_at(AT_FDCWD, name, CASE_MAX_BYTES, &json, &err), &err);
    result = container_spec_from_json(arena, json_object_get(json, "spec"), &input.spec, &err);
    read_image(&input, json_object_get(json, "image"));
    read_build(&input, json_object_get(json, "build"));
    if (result == 0)
        result = container_resolve_process(arena, &input.spec, &input.image, input.build.hostname,
                                           &input.process, &err);
    if (result == 0 && json_object_get(json, "exec") != NULL)
        result = make_exec(&input, json_object_get(json, "exec"), &program, &err);
    else if (result == 0)
        result = setup_program_make(arena, &input.build, &input.user, &program, &err);
    if (result < 0) {
        buf_printf(out, "error: %s\n", err.text);
        return;
    }
    setup_program_print(out, program);
    CHECK_OK(setup_program_encode(program, &bytes, &err), &err); /* checks itself */
    buf_release(&bytes);
}

TEST(setup_programs_are_as_they_were)
{
    struct arena arena = ARENA_INIT;
    struct strings names = {NULL, 0};
    struct error err = ERROR_INIT;
    size_t n = 0;

    CHECK_OK(fs_list(AT_FDCWD, dir, &arena, &names, &err), &err);
    for (size_t i = 0; i < names.n; i++) {
        struct buf got = BUF_INIT, want = BUF_INIT;
        const char *path = arena_printf(&arena, "%s/%s", dir, names.items[i]);
        const char *text_path;

        if (!text_ends_with(path, ".json"))
            continue;
        text_path = arena_printf(&arena, "%.*stxt", (int)strlen(path) - 4, path);
        print_case(&got, &arena, path);
        if (getenv("GOLDEN_ACCEPT") != NULL) {
            CHECK_OK(fs_replace(AT_FDCWD, text_path, got.data, got.len, 0644, FS_VOLATILE, &err),
                     &err);
        } else {
            CHECK_OK(fs_read_file(AT_FDCWD, text_path, CASE_MAX_BYTES, &want, &err), &err);
            fprintf(stderr, "# %s\n", path);
            CHECK_TEXT(buf_text(&got), buf_text(&want));
        }
        buf_release(&got);
        buf_release(&want);
        n++;
    }
    CHECK(n >= 15);
    arena_release(&arena);
}
