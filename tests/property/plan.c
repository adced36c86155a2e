/* The laws of the planner, on random projects and machines (codebases.md 4.7).
 *
 * A simulator applies plans to an observed value. It executes nodes in a random order that the
 * edges allow, and checks before each what the kernel would check: so an edge that is missing shows
 * as a broken precondition. SEED=n replays one case. */

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
#include "tests/tap.h"

enum { CASES = 3000, SERVICES_MAX = 7, NETWORKS = 3, VOLUMES = 3, IMAGES = 4, CONTAINERS_MAX = 40 };

/* ---- random -------------------------------------------------------------------------------------
 */

struct random {
    uint64_t state;
};

static uint32_t random_below(struct random *random, uint32_t n)
{
    random->state = random->state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(random->state >> 33) % n;
}

static bool random_one_in(struct random *random, uint32_t n)
{
    return random_below(random, n) == 0;
}

/* ---- random projects
 * ------------------------------------------------------------------------------ */

static const char *const service_names[SERVICES_MAX] = {"api", "cache", "db", "job",
                                                        "log", "queue", "web"};

static struct strings service_list(struct arena *arena, uint32_t n)
{
    struct strings list = {.items = arena_new_array(arena, const char *, n), .n = n};

    for (uint32_t i = 0; i < n; i++)
        list.items[i] = service_names[i];
    return list;
}

static void add_networks(struct arena *arena, struct random *random, struct container_spec *spec)
{
    spec->networks = arena_new_array(arena, struct attachment_spec, NETWORKS);
    for (uint32_t i = 0; i < NETWORKS; i++) {
        if (random_one_in(random, 2))
            spec->networks[spec->n_networks++] =
                (struct attachment_spec){.network = arena_printf(arena, "p_n%u", i)};
    }
}

static void add_mounts(struct arena *arena, struct random *random, struct container_spec *spec)
{
    spec->mounts = arena_new_array(arena, struct mount_spec, VOLUMES);
    for (uint32_t i = 0; i < VOLUMES; i++) {
        if (random_one_in(random, 3))
            spec->mounts[spec->n_mounts++] =
                (struct mount_spec){.kind = MOUNT_VOLUME,
                                    .source = arena_printf(arena, "p_v%u", i),
                                    .target = arena_printf(arena, "/v%u", i),
                                    .mode = -1};
    }
}

static void add_labels(struct arena *arena, struct container_spec *spec, const char *service)
{
    spec->labels.items = arena_new_array(arena, struct pair, 1);
    spec->labels.items[0] = (struct pair){.name = "com.docker.compose.service", .value = service};
    spec->labels.n = 1;
}

static struct container_spec random_spec(struct arena *arena, struct random *random,
                                         const char *service)
{
    struct container_spec spec = {
        .name = arena_printf(arena, "p-%s-1", service),
        .project = "p",
        .image = arena_printf(arena, "i%u", random_below(random, IMAGES)),
        .stop_grace_ns = -1,
        .health = {.is_set = true},
    };

    spec.environment.items = arena_new_array(arena, struct pair, 1);
    spec.environment.items[0] =
        (struct pair){.name = "V", .value = arena_printf(arena, "%u", random_below(random, 2))};
    spec.environment.n = 1;
    spec.memory_bytes = random_one_in(random, 3) ? 64U << 20 : 0;
    add_labels(arena, &spec, service);
    add_networks(arena, random, &spec);
    add_mounts(arena, random, &spec);
    return spec;
}

static void add_dependencies(struct arena *arena, struct random *random,
                             struct desired_container *container, uint32_t index)
{
    struct desired_dependency *list = arena_new_array(arena, struct desired_dependency, index);

    for (uint32_t i = 0; i < index; i++) {
        if (!random_one_in(random, 3))
            continue;
        list[container->n_dependencies++] = (struct desired_dependency){
            .service = service_names[i],
            .condition = (enum dependency_condition)random_below(random, 3),
            .restart = random_one_in(random, 2),
            .required = true,
        };
    }
    container->dependencies = list;
}

static void add_resources(struct arena *arena, struct random *random, struct desired *desired)
{
    struct desired_network *networks = arena_new_array(arena, struct desired_network, NETWORKS);
    struct desired_volume *volumes = arena_new_array(arena, struct desired_volume, VOLUMES);
    struct desired_image *images = arena_new_array(arena, struct desired_image, IMAGES);

    for (uint32_t i = 0; i < NETWORKS; i++)
        networks[i] = (struct desired_network){
            .spec = {.name = arena_printf(arena, "p_n%u", i),
                     .project = "p",
                     .internal = random_one_in(random, 2)},
            .is_external = i == 0,
        };
    for (uint32_t i = 0; i < VOLUMES; i++)
        volumes[i] = (struct desired_volume){
            .spec = {.name = arena_printf(arena, "p_v%u", i), .project = "p"},
            .is_external = i == 0,
        };
    for (uint32_t i = 0; i < IMAGES; i++) {
        images[i].reference = arena_printf(arena, "i%u", i);
        if (i % 2 == 0)
            images[i].build = arena_new(arena, struct image_build_request);
    }
    desired->networks = networks;
    desired->n_networks = NETWORKS;
    desired->volumes = volumes;
    desired->n_volumes = VOLUMES;
    desired->images = images;
    desired->n_images = IMAGES;
}

static const struct desired *random_desired(struct arena *arena, struct random *random)
{
    struct desired *desired = arena_new(arena, struct desired);
    uint32_t n = 1 + random_below(random, SERVICES_MAX);
    struct desired_container *containers = arena_new_array(arena, struct desired_container, n);

    desired->project = "p";
    desired->services = service_list(arena, n);
    for (uint32_t i = 0; i < n; i++) {
        containers[i] = (struct desired_container){
            .spec = random_spec(arena, random, service_names[i]),
            .service = service_names[i],
            .number = 1,
        };
        add_dependencies(arena, random, &containers[i], i);
    }
    desired->containers = containers;
    desired->n_containers = n;
    add_resources(arena, random, desired);
    return desired;
}

/* ---- the simulator
 * ------------------------------------------------------------------------------------ */

/* When what happened last to the container of a service: 0 = before the machine was looked at. */
struct moments {
    uint64_t created, started;
};

struct machine {
    struct arena *arena;
    struct observed state;
    uint64_t seed; /* for messages */
    uint64_t clock;
    struct moments moments[SERVICES_MAX];
};

static void machine_init(struct machine *machine, struct arena *arena, uint64_t seed)
{
    *machine = (struct machine){.arena = arena, .seed = seed};
    machine->state.containers = arena_new_array(arena, struct observed_container, CONTAINERS_MAX);
    machine->state.networks = arena_new_array(arena, struct observed_network, NETWORKS + 1);
    machine->state.volumes.items = arena_new_array(arena, const char *, VOLUMES + 1);
    machine->state.images = arena_new_array(arena, struct observed_image, IMAGES + 1);
    machine->state.holder = json_array();
    machine->state.networks[machine->state.n_networks++] =
        (struct observed_network){.name = "p_n0", .spec = {.name = "p_n0"}, .is_up = true};
    machine->state.volumes.items[machine->state.volumes.n++] = "p_v0";
}

static void broken(const struct machine *machine, const struct plan_node *node, const char *what)
{
    tap_fail(TAP_HERE, "SEED=%llu: %s %s: %s", (unsigned long long)machine->seed,
             op_kind_names[node->kind], node->subject, what);
}

static struct observed_container *find_container(struct machine *machine, const char *name)
{
    for (size_t i = 0; i < machine->state.n_containers; i++) {
        if (text_equal(machine->state.containers[i].name, name))
            return &machine->state.containers[i];
    }
    return NULL;
}

static bool is_running(const struct observed_container *container)
{
    return container->status != CONTAINER_CREATED && container->status != CONTAINER_EXITED;
}

static const char *image_id(struct machine *machine, const char *reference)
{
    return arena_printf(machine->arena, "sha256:%s", reference);
}

static struct moments *moments_of(struct machine *machine, const char *container)
{
    for (size_t i = 0; i < SERVICES_MAX; i++) {
        if (text_equal(container, arena_printf(machine->arena, "p-%s-1", service_names[i])))
            return &machine->moments[i];
    }
    tap_fail(TAP_HERE, "%s?", container);
}

static void set_spec(struct machine *machine, struct observed_container *container,
                     const struct container_spec *spec)
{
    container->spec = *spec;
    container->spec.image_id = image_id(machine, spec->image);
    container->spec_json = container_spec_to_json(&container->spec);
    json_array_append_new(machine->state.holder, container->spec_json);
}

static void check_create(struct machine *machine, const struct plan_node *node)
{
    const struct container_spec *spec = node->container;

    if (find_container(machine, node->subject))
        broken(machine, node, "its predecessor is still there");
    if (!observed_find_image(&machine->state, spec->image))
        broken(machine, node, "its image is missing");
    for (size_t i = 0; i < spec->n_networks; i++) {
        const struct observed_network *network =
            observed_find_network(&machine->state, spec->networks[i].network);

        if (!network || !network->is_up)
            broken(machine, node, "its network is missing");
    }
    for (size_t i = 0; i < spec->n_mounts; i++) {
        if (!strings_contain(&machine->state.volumes, spec->mounts[i].source))
            broken(machine, node, "its volume is missing");
    }
}

static void do_create(struct machine *machine, const struct plan_node *node)
{
    struct observed_container *container = &machine->state.containers[machine->state.n_containers];

    check_create(machine, node);
    *container = (struct observed_container){
        .name = node->subject,
        .service = pairs_find(&node->container->labels, "com.docker.compose.service"),
        .number = 1,
        .status = CONTAINER_CREATED,
        .exit_code = -1,
    };
    set_spec(machine, container, node->container);
    machine->state.n_containers++;
    moments_of(machine, node->subject)->created = ++machine->clock;
}

static void check_start(struct machine *machine, const struct plan_node *node,
                        const struct desired *desired)
{
    for (size_t i = 0; i < desired->n_containers; i++) {
        const struct desired_container *want = &desired->containers[i];

        if (!text_equal(want->spec.name, node->subject))
            continue;
        for (size_t j = 0; j < want->n_dependencies; j++) {
            const struct desired_dependency *dependency = &want->dependencies[j];
            struct observed_container *other = find_container(
                machine, arena_printf(machine->arena, "p-%s-1", dependency->service));

            if (!other)
                broken(machine, node, "its dependency does not exist");
            if (dependency->condition == DEPENDS_HEALTHY && other->health != HEALTH_HEALTHY)
                broken(machine, node, "its dependency is not healthy");
            if (dependency->condition == DEPENDS_COMPLETED &&
                (other->status != CONTAINER_EXITED || other->exit_code != 0))
                broken(machine, node, "its dependency has not completed");
            if (other->status == CONTAINER_CREATED)
                broken(machine, node, "its dependency has not been started");
        }
    }
}

static void do_container(struct machine *machine, const struct plan_node *node,
                         const struct desired *desired)
{
    struct observed_container *container = find_container(machine, node->subject);

    if (node->kind == OP_CONTAINER_CREATE) {
        do_create(machine, node);
        return;
    }
    if (!container)
        broken(machine, node, "there is no such container");
    switch ((int)node->kind) {
    case OP_CONTAINER_STOP:
        container->status = CONTAINER_EXITED;
        container->health = HEALTH_NONE;
        container->exit_code = 0; /* it heard the signal */
        container->was_stopped = true;
        break;
    case OP_CONTAINER_START:
        if (is_running(container))
            broken(machine, node, "it runs already");
        check_start(machine, node, desired);
        container->status = CONTAINER_RUNNING;
        container->health = HEALTH_STARTING;
        container->was_stopped = false;
        moments_of(machine, node->subject)->started = ++machine->clock;
        break;
    case OP_CONTAINER_UPDATE:
        set_spec(machine, container, node->container);
        break;
    case OP_WAIT_HEALTHY:
        container->health = HEALTH_HEALTHY;
        break;
    case OP_WAIT_EXIT:
        container->status = CONTAINER_EXITED;
        container->exit_code = 0;
        break;
    case OP_CONTAINER_REMOVE:
        if (is_running(container))
            broken(machine, node, "it still runs");
        *container = machine->state.containers[--machine->state.n_containers];
        break;
    default:
        BUG();
    }
}

static void remove_network(struct machine *machine, const struct plan_node *node)
{
    struct observed *state = &machine->state;

    for (size_t i = 0; i < state->n_containers; i++) {
        for (size_t j = 0; j < state->containers[i].spec.n_networks; j++) {
            if (text_equal(state->containers[i].spec.networks[j].network, node->subject))
                broken(machine, node, "a container is still on it");
        }
    }
    for (size_t i = 0; i < state->n_networks; i++) {
        if (text_equal(state->networks[i].name, node->subject))
            state->networks[i] = state->networks[--state->n_networks];
    }
}

static void remove_volume(struct machine *machine, const struct plan_node *node)
{
    struct observed *state = &machine->state;

    for (size_t i = 0; i < state->volumes.n; i++) {
        if (text_equal(state->volumes.items[i], node->subject))
            state->volumes.items[i] = state->volumes.items[--state->volumes.n];
    }
}

static void create_network(struct machine *machine, const struct plan_node *node)
{
    struct observed *state = &machine->state;
    size_t place = 0;

    while (place < state->n_networks && !text_equal(state->networks[place].name, node->subject))
        place++;
    state->networks[place] =
        (struct observed_network){.name = node->subject, .spec = *node->network, .is_up = true};
    state->n_networks = place == state->n_networks ? place + 1 : state->n_networks;
}

static void apply(struct machine *machine, const struct plan_node *node,
                  const struct desired *desired)
{
    struct observed *state = &machine->state;

    if (text_equal(node->subject, "p_n0") || text_equal(node->subject, "p_v0"))
        broken(machine, node, "it is external and must not be touched");
    switch ((int)node->kind) {
    case OP_IMAGE_PULL:
    case OP_IMAGE_BUILD:
        if (!observed_find_image(state, node->subject))
            state->images[state->n_images++] = (struct observed_image){
                .reference = node->subject, .id = image_id(machine, node->subject)};
        break;
    case OP_NETWORK_CREATE:
        create_network(machine, node);
        break;
    case OP_NETWORK_REMOVE:
        remove_network(machine, node);
        break;
    case OP_VOLUME_CREATE:
        state->volumes.items[state->volumes.n++] = node->subject;
        break;
    case OP_VOLUME_REMOVE:
        remove_volume(machine, node);
        break;
    default:
        do_container(machine, node, desired);
        break;
    }
}

/* Execute up to `limit` nodes, each time a random one whose prerequisites are done. */
static void run_plan(struct machine *machine, struct random *random, const struct plan *plan,
                     const struct desired *desired, size_t limit)
{
    bool *done = arena_new_array(machine->arena, bool, plan->n_nodes);
    size_t *ready = arena_new_array(machine->arena, size_t, plan->n_nodes);

    for (size_t step = 0; step < limit && step < plan->n_nodes; step++) {
        size_t n_ready = 0, chosen;

        for (size_t i = 0; i < plan->n_nodes; i++) {
            bool is_ready = !done[i];

            for (size_t j = 0; j < plan->nodes[i].n_after; j++) {
                if (plan->nodes[i].after[j] >= i)
                    broken(machine, &plan->nodes[i], "an edge points forwards");
                is_ready = is_ready && done[plan->nodes[i].after[j]];
            }
            if (is_ready)
                ready[n_ready++] = i;
        }
        chosen = ready[random_below(random, (uint32_t)n_ready)];
        apply(machine, &plan->nodes[chosen], desired);
        done[chosen] = true;
    }
}

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
    run_plan(machine, random, make_plan(machine, before, &options), before, 1000);
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

    run_plan(&world->machine, &world->random, plan, world->desired, 1000);
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
    run_plan(&twin.machine, &twin.random, make_plan(&twin.machine, twin.desired, &options),
             twin.desired, 1000);
    run_plan(&world->machine, &world->random, plan, world->desired, prefix);
    run_plan(&world->machine, &world->random, make_plan(&world->machine, world->desired, &options),
             world->desired, 1000);
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
        ptrdiff_t service = moments_of(machine, have->name) - machine->moments;

        was_there[service] = true;
        did_run[service] = is_running(have);
    }
    run_plan(machine, &world->random, plan, desired, prefix);
    run_plan(machine, &world->random, make_plan(machine, desired, &options), desired, 1000);
    for (size_t i = 0; i < desired->n_containers; i++) {
        const struct desired_container *want = &desired->containers[i];
        const struct observed_container *have = find_container(machine, want->spec.name);
        const struct moments *own = moments_of(machine, want->spec.name);

        if (!have || !is_running(have) || !did_run[own - machine->moments])
            continue;
        for (size_t j = 0; j < want->n_dependencies; j++) {
            const char *other =
                arena_printf(machine->arena, "p-%s-1", want->dependencies[j].service);
            const struct moments *its = moments_of(machine, other);

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
        spec.image_id = image_id(&world->machine, spec.image);
        json = container_spec_to_json(&spec);
        return json_equal(json, have->spec_json) && is_running(have) && !have->is_tainted;
    }
    return false;
}

static void check_running_is_left_alone(struct world *world, uint64_t seed)
{
    struct plan_options options = up_options();
    const struct plan *plan = make_plan(&world->machine, world->desired, &options);

    for (size_t i = 0; i < plan->n_nodes; i++) {
        const struct plan_node *node = &plan->nodes[i];
        struct observed_container *have = find_container(&world->machine, node->subject);

        if (node->kind != OP_CONTAINER_STOP)
            continue;
        if (node->n_reasons == 0)
            broken(&world->machine, node, "stopped without a reason");
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
    run_plan(&world->machine, &world->random, plan, world->desired, 1000);
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
