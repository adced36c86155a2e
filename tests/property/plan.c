/* The laws of the planner, on random projects and machines (codebases.md 4.7).
 *
 * A simulator (plan_world.c) applies plans to an observed value. It executes nodes in a random
 * order that the edges allow, and checks before each what the kernel would check: so an edge that
 * is missing shows as a broken precondition. SEED=n replays one case. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/json.h"
#include "engine/base/units.h"
#include "reconcile/desired.h"
#include "reconcile/observed.h"
#include "reconcile/plan.h"
#include "tests/property/plan_world.h"
#include "tests/tap.h"

enum { CASES = 3000 };

/* ---- helpers of the laws
 * -------------------------------------------------------------------------------- */

/* Orphans go too: one that stays on a network which changed is a conflict, and says so. */
static struct plan_options up_options(void)
{
    struct plan_options options = PLAN_OPTIONS_INIT;

    options.remove_orphans = true;
    return options;
}

static const struct plan *make_plan(struct machine *machine, const struct desired *desired,
                                    const struct plan_options *options)
{
    const struct plan *plan = NULL;
    struct error err = ERROR_INIT;

    if (plan_make(machine->arena, desired, &machine->state, options, &plan, NULL, &err) < 0)
        tap_fail(TAP_HERE, "SEED=%llu: %s", (unsigned long long)machine->seed, err.text);
    return plan;
}

static const char *plan_text(struct arena *arena, const struct plan *plan)
{
    cleanup_buf struct buf text = BUF_INIT;

    plan_print_nodes(&text, plan, NULL);
    return arena_strdup(arena, buf_text(&text));
}

/* A machine where another version of the project ran, and then things happened. Returns that
 * version, NULL = nothing ran. */
static const struct desired *random_machine(struct machine *machine, struct arena *arena,
                                            struct random *random, uint64_t seed)
{
    struct plan_options options = up_options();
    const struct desired *before = random_desired(arena, random);

    machine_init(machine, arena, seed);
    if (random_one_in(random, 4))
        return NULL;
    machine_run(machine, random, make_plan(machine, before, &options), before, 1000);
    for (size_t i = 0; i < machine->state.n_containers; i++) {
        struct observed_container *container = &machine->state.containers[i];

        if (random_one_in(random, 4)) {
            container->status = CONTAINER_EXITED;
            container->health = HEALTH_NONE;
            container->exit_code = random_one_in(random, 2) ? 0 : 1;
        } else if (random_one_in(random, 8)) {
            container->is_tainted = true;
        }
    }
    for (size_t i = 1; i < machine->state.n_networks; i++)
        machine->state.networks[i].is_up = !random_one_in(random, 4);
    if (machine->state.n_images > 0 && random_one_in(random, 4))
        machine->state.n_images--;
    return before;
}

/* What must be equal whichever way led there: not health, and a job may have ended or not. */
static const char *outcome(struct arena *arena, const struct machine *machine,
                           const struct desired *desired)
{
    cleanup_buf struct buf text = BUF_INIT;

    for (size_t i = 0; i < desired->n_containers; i++) {
        const struct observed_container *have =
            observed_find_container(&machine->state, desired->containers[i].spec.name);

        buf_printf(&text, "%s ", desired->containers[i].spec.name);
        if (have)
            json_print(&text, have->spec_json);
        buf_printf(&text, " %s\n", have && have->status != CONTAINER_CREATED ? "up" : "not up");
    }
    for (size_t i = 0; i < desired->n_networks; i++) {
        const struct observed_network *have =
            observed_find_network(&machine->state, desired->networks[i].spec.name);

        buf_printf(&text, "%s %d\n", desired->networks[i].spec.name,
                   have ? have->spec.internal + 2 * have->is_up : -1);
    }
    return arena_strdup(arena, buf_text(&text));
}

struct world {
    struct arena arena;
    struct random random;
    struct machine machine;
    const struct desired *before, *desired;
};

static void world_init(struct world *world, uint64_t seed)
{
    *world = (struct world){.random = {.state = seed * 7919 + 1}};
    world->before = random_machine(&world->machine, &world->arena, &world->random, seed);
    world->desired = random_desired(&world->arena, &world->random);
}

static void world_release(struct world *world)
{
    observed_release(&world->machine.state);
    arena_release(&world->arena);
}

static void for_each_case(void (*check)(struct world *world, uint64_t seed))
{
    const char *replayed = getenv("SEED");
    uint64_t only = 0;

    if (replayed)
        CHECK_OK(parse_u64(str_from(replayed), 0, UINT64_MAX, &only, NULL), NULL);
    for (uint64_t seed = replayed ? only : 1; seed <= (replayed ? only : CASES); seed++) {
        struct world world;

        world_init(&world, seed);
        check(&world, seed);
        world_release(&world);
    }
}

/* ---- the laws
 * ---------------------------------------------------------------------------------------------- */

static void check_second_plan_is_empty(struct world *world, uint64_t seed)
{
    struct plan_options options = up_options();
    const struct plan *plan = make_plan(&world->machine, world->desired, &options);
    const char *rest;

    machine_run(&world->machine, &world->random, plan, world->desired, 1000);
    rest = plan_text(&world->arena, make_plan(&world->machine, world->desired, &options));
    if (rest[0] != '\0' && strncmp(rest, "note", 4) != 0)
        tap_fail(TAP_HERE, "SEED=%llu: first plan\n%s\nsecond plan\n%s", (unsigned long long)seed,
                 plan_text(&world->arena, plan), rest);
}

TEST(after_a_plan_is_applied_the_next_plan_is_empty)
{
    for_each_case(check_second_plan_is_empty);
}

static void check_any_prefix_converges(struct world *world, uint64_t seed)
{
    struct plan_options options = up_options();
    struct world twin;
    const struct plan *plan = make_plan(&world->machine, world->desired, &options);
    size_t prefix = plan->n_nodes > 0 ? random_below(&world->random, (uint32_t)plan->n_nodes) : 0;

    world_init(&twin, seed);
    machine_run(&twin.machine, &twin.random, make_plan(&twin.machine, twin.desired, &options),
                twin.desired, 1000);
    machine_run(&world->machine, &world->random, plan, world->desired, prefix);
    machine_run(&world->machine, &world->random,
                make_plan(&world->machine, world->desired, &options), world->desired, 1000);
    CHECK_TEXT(outcome(&world->arena, &world->machine, world->desired),
               outcome(&twin.arena, &twin.machine, twin.desired));
    world_release(&twin);
}

TEST(stopping_anywhere_and_planning_again_ends_in_the_same_state)
{
    for_each_case(check_any_prefix_converges);
}

/* Some of its containers have another host name now. */
static const struct desired *little_changed(struct world *world, const struct desired *before)
{
    struct desired *desired = arena_memdup(&world->arena, before, sizeof(*before));
    struct desired_container *containers =
        arena_memdup(&world->arena, before->containers, before->n_containers * sizeof(*containers));

    for (size_t i = 0; i < before->n_containers; i++) {
        if (random_one_in(&world->random, 3))
            containers[i].spec.hostname = "another";
    }
    desired->containers = containers;
    return desired;
}

/* restart: true, whenever the command that replaces the dependency is killed. */
static void check_dependents_restart(struct world *world, uint64_t seed)
{
    struct plan_options options = up_options();
    struct machine *machine = &world->machine;
    const struct desired *desired =
        world->before ? little_changed(world, world->before) : world->desired;
    const struct plan *plan = make_plan(machine, desired, &options);
    size_t prefix = plan->n_nodes > 0 ? random_below(&world->random, (uint32_t)plan->n_nodes) : 0;
    bool was_there[SERVICES_MAX] = {false}, did_run[SERVICES_MAX] = {false};

    memset(machine->moments, 0, sizeof(machine->moments));
    for (size_t i = 0; i < machine->state.n_containers; i++) {
        const struct observed_container *have = &machine->state.containers[i];
        ptrdiff_t service = machine_moments(machine, have->name) - machine->moments;

        was_there[service] = true;
        did_run[service] = container_runs(have);
    }
    machine_run(machine, &world->random, plan, desired, prefix);
    machine_run(machine, &world->random, make_plan(machine, desired, &options), desired, 1000);
    for (size_t i = 0; i < desired->n_containers; i++) {
        const struct desired_container *want = &desired->containers[i];
        const struct observed_container *have = machine_find(machine, want->spec.name);
        const struct moments *own = machine_moments(machine, want->spec.name);

        if (!have || !container_runs(have) || !did_run[own - machine->moments])
            continue;
        for (size_t j = 0; j < want->n_dependencies; j++) {
            const char *other =
                arena_printf(machine->arena, "p-%s-1", want->dependencies[j].service);
            const struct moments *its = machine_moments(machine, other);

            if (want->dependencies[j].restart && was_there[its - machine->moments] &&
                own->started < its->created)
                tap_fail(TAP_HERE, "SEED=%llu: %s was replaced, %s was not restarted\n%s",
                         (unsigned long long)seed, other, want->spec.name,
                         plan_text(&world->arena, plan));
        }
    }
}

TEST(dependents_that_restart_with_a_dependency_do_so_also_after_stopping_anywhere)
{
    for_each_case(check_dependents_restart);
}

static void check_equal_inputs(struct world *world, uint64_t seed)
{
    struct plan_options options = up_options();
    struct world twin;

    world_init(&twin, seed);
    CHECK_TEXT(plan_text(&world->arena, make_plan(&world->machine, world->desired, &options)),
               plan_text(&twin.arena, make_plan(&twin.machine, twin.desired, &options)));
    world_release(&twin);
}

TEST(equal_inputs_give_byte_identical_plans)
{
    for_each_case(check_equal_inputs);
}

/* The spec it runs with is the one desired. */
static bool is_unchanged(struct world *world, const struct observed_container *have)
{
    for (size_t i = 0; i < world->desired->n_containers; i++) {
        struct container_spec spec = world->desired->containers[i].spec;
        cleanup_json json_t *json = NULL;

        if (!text_equal(spec.name, have->name))
            continue;
        spec.image_id = machine_image_id(&world->machine, spec.image);
        json = container_spec_to_json(&spec);
        return json_equal(json, have->spec_json) && container_runs(have) && !have->is_tainted;
    }
    return false;
}

static void check_running_is_left_alone(struct world *world, uint64_t seed)
{
    struct plan_options options = up_options();
    const struct plan *plan = make_plan(&world->machine, world->desired, &options);

    for (size_t i = 0; i < plan->n_nodes; i++) {
        const struct plan_node *node = &plan->nodes[i];
        struct observed_container *have = machine_find(&world->machine, node->subject);

        if (node->kind != OP_CONTAINER_STOP)
            continue;
        if (node->n_reasons == 0)
            machine_broken(&world->machine, node, "stopped without a reason");
        if (is_unchanged(world, have) && node->reasons[0].kind != REASON_DEPENDENCY)
            tap_fail(TAP_HERE, "SEED=%llu: %s is stopped though nothing changed",
                     (unsigned long long)seed, node->subject);
    }
}

TEST(an_unchanged_running_container_is_stopped_only_for_a_named_dependency)
{
    for_each_case(check_running_is_left_alone);
}

static void check_down(struct world *world, uint64_t seed)
{
    struct plan_options options = PLAN_OPTIONS_INIT;
    const struct plan *plan;
    size_t n_removed = 0;

    options.goal = PLAN_DOWN;
    options.remove_orphans = true;
    options.remove_volumes = true;
    plan = make_plan(&world->machine, world->desired, &options);
    for (size_t i = 0; i < plan->n_nodes; i++)
        n_removed += plan->nodes[i].kind == OP_VOLUME_REMOVE;
    if (n_removed != plan->n_confirmations)
        tap_fail(TAP_HERE, "SEED=%llu: %zu volumes removed, %zu confirmations",
                 (unsigned long long)seed, n_removed, plan->n_confirmations);
    machine_run(&world->machine, &world->random, plan, world->desired, 1000);
    CHECK_INT(world->machine.state.n_containers, 0);
    CHECK_INT(world->machine.state.n_networks, 1);
    CHECK_INT(world->machine.state.volumes.n, 1);
    CHECK_INT(make_plan(&world->machine, world->desired, &options)->n_nodes, 0);
}

TEST(down_leaves_nothing_but_what_is_external_and_confirms_every_loss)
{
    for_each_case(check_down);
}

static void check_round_trip(struct world *world, uint64_t seed)
{
    cleanup_json json_t *printed = observed_to_json(&world->machine.state), *again = NULL;
    cleanup_observed struct observed read = OBSERVED_INIT;
    struct error err = ERROR_INIT;

    (void)seed;
    CHECK_OK(observed_from_json(&world->arena, printed, &read, &err), &err);
    again = observed_to_json(&read);
    CHECK(json_equal(printed, again));
}

TEST(what_was_observed_prints_to_json_and_reads_back)
{
    for_each_case(check_round_trip);
}
