/* What is planned, and why.
 *
 * tests/golden/plan/CASE/ holds compose.yaml; before.yaml (optional: what was applied and runs,
 * healthy); `state` (optional: what has happened since and what is asked, a sentence per line, see
 * `sentences`). want.txt is the plan for people and then node by node. GOLDEN_ACCEPT=1 rewrites it.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "compose/file/project.h"
#include "compose/lower.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/path.h"
#include "reconcile/desired.h"
#include "reconcile/observed.h"
#include "reconcile/plan.h"
#include "tests/tap.h"

static const char cases_dir[] = "tests/golden/plan";

struct golden {
    struct arena arena;
    const char *dir;
    const struct desired *before, *want;
    struct observed have;
    struct plan_options options;
};

static const struct desired *load(struct golden *golden, const char *file)
{
    struct project_options options = {.working_dir = golden->dir, .stdin_fd = -1, .name = "shop"};
    const char *files[] = {file};
    struct diagnostics diagnostics = {0};
    const struct project *project;
    const struct desired *desired;
    struct error err = ERROR_INIT;

    options.files = (struct strings){.items = files, .n = 1};
    CHECK_OK(project_load(&golden->arena, &options, &project, &diagnostics, &err), &err);
    CHECK_OK(lower_project(&golden->arena, project, &desired, &err), &err);
    return desired;
}

/* ---- the machine
 * ---------------------------------------------------------------------------------- */

static void run_container(struct golden *golden, const struct desired_container *container)
{
    struct observed_container *have = &golden->have.containers[golden->have.n_containers++];

    *have = (struct observed_container){
        .name = container->spec.name,
        .service = container->service,
        .number = 1,
        .spec = container->spec,
        .status = CONTAINER_RUNNING,
        .health = HEALTH_HEALTHY,
        .exit_code = -1,
    };
    have->spec.image_id = arena_printf(&golden->arena, "sha256:%s", container->spec.image);
    have->spec_json = container_spec_to_json(&have->spec);
    json_array_append_new(golden->have.holder, have->spec_json);
}

/* Everything of `before` exists and runs. */
static void run_before(struct golden *golden)
{
    const struct desired *before = golden->before;
    struct observed *have = &golden->have;

    have->containers =
        arena_new_array(&golden->arena, struct observed_container, before->n_containers);
    for (size_t i = 0; i < before->n_containers; i++)
        run_container(golden, &before->containers[i]);
    have->networks = arena_new_array(&golden->arena, struct observed_network, before->n_networks);
    for (size_t i = 0; i < before->n_networks; i++)
        have->networks[have->n_networks++] = (struct observed_network){
            .name = before->networks[i].spec.name, .spec = before->networks[i].spec, .is_up = true};
    have->volumes.items = arena_new_array(&golden->arena, const char *, before->n_volumes);
    for (size_t i = 0; i < before->n_volumes; i++)
        have->volumes.items[have->volumes.n++] = before->volumes[i].spec.name;
    have->images = arena_new_array(&golden->arena, struct observed_image, before->n_images);
    for (size_t i = 0; i < before->n_images; i++)
        have->images[have->n_images++] = (struct observed_image){
            .reference = before->images[i].reference,
            .id = arena_printf(&golden->arena, "sha256:%s", before->images[i].reference)};
}

/* ---- sentences
 * ---------------------------------------------------------------------------------------- */

static struct observed_container *container_of_service(struct golden *golden, const char *service)
{
    for (size_t i = 0; i < golden->have.n_containers; i++) {
        if (text_equal(golden->have.containers[i].service, service))
            return &golden->have.containers[i];
    }
    tap_fail(TAP_HERE, "%s: no service %s", golden->dir, service);
}

static void say_exited(struct golden *golden, const char *subject)
{
    struct observed_container *container = container_of_service(golden, subject);

    container->status = CONTAINER_EXITED;
    container->health = HEALTH_NONE;
    container->exit_code = 0;
}

/* While it was at work, and it ended as it should. */
static void say_stopped(struct golden *golden, const char *subject)
{
    say_exited(golden, subject);
    container_of_service(golden, subject)->was_stopped = true;
}

static void say_failed(struct golden *golden, const char *subject)
{
    say_exited(golden, subject);
    container_of_service(golden, subject)->exit_code = 1;
}

static void say_tainted(struct golden *golden, const char *subject)
{
    container_of_service(golden, subject)->is_tainted = true;
}

static void say_starting(struct golden *golden, const char *subject)
{
    container_of_service(golden, subject)->health = HEALTH_STARTING;
}

static void say_network_down(struct golden *golden, const char *subject)
{
    for (size_t i = 0; i < golden->have.n_networks; i++) {
        if (text_equal(golden->have.networks[i].name, subject))
            golden->have.networks[i].is_up = false;
    }
}

static void say_image_new(struct golden *golden, const char *subject)
{
    for (size_t i = 0; i < golden->have.n_images; i++) {
        if (text_equal(golden->have.images[i].reference, subject))
            golden->have.images[i].id = "sha256:new";
    }
}

static void say_goal(struct golden *golden, const char *subject)
{
    static const char *const goals[] = {
        [PLAN_UP] = "up",        [PLAN_CREATE] = "create", [PLAN_DOWN] = "down",
        [PLAN_STOP] = "stop",    [PLAN_START] = "start",   [PLAN_RESTART] = "restart",
        [PLAN_IMAGES] = "images"};

    for (size_t i = 0; i < sizeof(goals) / sizeof(*goals); i++) {
        if (text_equal(goals[i], subject))
            golden->options.goal = (enum plan_goal)i;
    }
}

static void say_with(struct golden *golden, const char *subject)
{
    static const struct {
        const char *word;
        size_t offset;
    } flags[] = {
        {"remove-orphans", offsetof(struct plan_options, remove_orphans)},
        {"volumes", offsetof(struct plan_options, remove_volumes)},
        {"force-recreate", offsetof(struct plan_options, force_recreate)},
        {"no-recreate", offsetof(struct plan_options, no_recreate)},
        {"build", offsetof(struct plan_options, build)},
        {"wait", offsetof(struct plan_options, wait)},
        {"no-deps", offsetof(struct plan_options, no_deps)},
    };

    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
        if (text_equal(flags[i].word, subject)) {
            *(bool *)((char *)&golden->options + flags[i].offset) = true;
            return;
        }
    }
    tap_fail(TAP_HERE, "%s: unknown flag %s", golden->dir, subject);
}

static const struct {
    const char *word;
    void (*say)(struct golden *golden, const char *subject);
} sentences[] = {
    {"exited", say_exited},     {"failed", say_failed},     {"tainted", say_tainted},
    {"starting", say_starting}, {"down", say_network_down}, {"new-image", say_image_new},
    {"goal", say_goal},         {"with", say_with},         {"stopped", say_stopped},
};

static void read_sentence(struct golden *golden, struct str line)
{
    struct str word, subject;

    if (!str_cut(line, ' ', &word, &subject))
        tap_fail(TAP_HERE, "%s: half a sentence", golden->dir);
    for (size_t i = 0; i < sizeof(sentences) / sizeof(*sentences); i++) {
        if (str_is(word, sentences[i].word)) {
            sentences[i].say(golden, arena_strndup(&golden->arena, subject.data, subject.len));
            return;
        }
    }
    tap_fail(TAP_HERE, "%s: unknown sentence " STR_FMT, golden->dir, STR_ARG(line));
}

static void read_state(struct golden *golden)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct str rest, line;

    (void)fs_read_file(AT_FDCWD, path_join(&golden->arena, golden->dir, "state"), 10000, &text,
                       NULL); /* none: nothing happened */
    rest = buf_str(&text);
    while (rest.len > 0) {
        struct str tail = {0};

        if (!str_cut(rest, '\n', &line, &tail))
            line = rest;
        if (line.len > 0)
            read_sentence(golden, line);
        rest = tail;
    }
}

/* ---- one case
 * ---------------------------------------------------------------------------------------------- */

static void print_result(struct golden *golden, struct buf *out)
{
    const struct plan *plan;
    struct span guilty = {0};
    struct error err = ERROR_INIT;

    if (plan_make(&golden->arena, golden->want, &golden->have, &golden->options, &plan, &guilty,
                  &err) < 0) {
        buf_printf(out, "compose.yaml:%u: %s\n", guilty.line, err.text);
        return;
    }
    plan_print(out, plan, &golden->want->files, false);
    buf_add_char(out, '\n');
    plan_print_nodes(out, plan, &golden->want->files);
}

static void check_case(const char *dir)
{
    struct golden golden = {.options = PLAN_OPTIONS_INIT};
    cleanup_buf struct buf got = BUF_INIT, want = BUF_INIT;
    struct error err = ERROR_INIT;
    char *cwd = getcwd(NULL, 0);
    const char *want_file;

    golden.dir = path_join(&golden.arena, cwd, dir);
    golden.have.holder = json_array();
    golden.want = load(&golden, "compose.yaml");
    if (fs_exists(AT_FDCWD, path_join(&golden.arena, dir, "before.yaml"))) {
        golden.before = load(&golden, "before.yaml");
        run_before(&golden);
    }
    read_state(&golden);
    print_result(&golden, &got);

    want_file = path_join(&golden.arena, dir, "want.txt");
    if (getenv("GOLDEN_ACCEPT"))
        CHECK_OK(fs_replace(AT_FDCWD, want_file, got.data, got.len, 0644, FS_VOLATILE, &err), &err);
    CHECK_OK(fs_read_file(AT_FDCWD, want_file, 100000, &want, &err), &err);
    tap_check_text(TAP_HERE, dir, buf_text(&got), buf_text(&want));
    observed_release(&golden.have);
    arena_release(&golden.arena);
    free(cwd);
}

TEST(plans_are_as_in_the_golden_files)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct strings names;
    struct error err = ERROR_INIT;

    CHECK_OK(fs_list(AT_FDCWD, cases_dir, &arena, &names, &err), &err);
    CHECK(names.n >= 12);
    for (size_t i = 0; i < names.n; i++)
        check_case(path_join(&arena, cases_dir, names.items[i]));
}
