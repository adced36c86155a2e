/* See plan_world.h. */

#include "tests/property/plan_world.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "tests/tap.h"

enum { NETWORKS = 3, VOLUMES = 3, IMAGES = 4, CONTAINERS_MAX = 40 };

/* ---- random -------------------------------------------------------------------------------------
 */

uint32_t random_below(struct random *random, uint32_t n)
{
    random->state = random->state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(random->state >> 33) % n;
}

bool random_one_in(struct random *random, uint32_t n)
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

/* A host port of its own within the project; another version may give it to another service. */
static void add_port(struct arena *arena, struct container_spec *spec, uint32_t number)
{
    spec->ports = arena_new(arena, struct port_spec);
    spec->n_ports = 1;
    spec->ports[0] = (struct port_spec){.host_first = (uint16_t)(8000 + number),
                                        .host_last = (uint16_t)(8000 + number),
                                        .container_port = 80,
                                        .protocol = "tcp"};
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

const struct desired *random_desired(struct arena *arena, struct random *random)
{
    struct desired *desired = arena_new(arena, struct desired);
    uint32_t n = 1 + random_below(random, SERVICES_MAX);
    struct desired_container *containers = arena_new_array(arena, struct desired_container, n);
    uint32_t first_port = random_below(random, SERVICES_MAX);

    desired->project = "p";
    desired->services = service_list(arena, n);
    for (uint32_t i = 0; i < n; i++) {
        containers[i] = (struct desired_container){
            .spec = random_spec(arena, random, service_names[i]),
            .service = service_names[i],
            .number = 1,
        };
        if (random_one_in(random, 2))
            add_port(arena, &containers[i].spec, (i + first_port) % SERVICES_MAX);
        add_dependencies(arena, random, &containers[i], i);
    }
    desired->containers = containers;
    desired->n_containers = n;
    add_resources(arena, random, desired);
    return desired;
}

/* ---- the simulator
 * ------------------------------------------------------------------------------------ */

void machine_init(struct machine *machine, struct arena *arena, uint64_t seed)
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

void machine_broken(const struct machine *machine, const struct plan_node *node, const char *what)
{
    tap_fail(TAP_HERE, "SEED=%llu: %s %s: %s", (unsigned long long)machine->seed,
             op_kind_names[node->kind], node->subject, what);
}

struct observed_container *machine_find(struct machine *machine, const char *name)
{
    for (size_t i = 0; i < machine->state.n_containers; i++) {
        if (text_equal(machine->state.containers[i].name, name))
            return &machine->state.containers[i];
    }
    return NULL;
}

bool container_runs(const struct observed_container *container)
{
    return container->status != CONTAINER_CREATED && container->status != CONTAINER_EXITED;
}

const char *machine_image_id(struct machine *machine, const char *reference)
{
    return arena_printf(machine->arena, "sha256:%s", reference);
}

struct moments *machine_moments(struct machine *machine, const char *container)
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
    container->spec.image_id = machine_image_id(machine, spec->image);
    container->spec_json = container_spec_to_json(&container->spec);
    json_array_append_new(machine->state.holder, container->spec_json);
}

static void check_create(struct machine *machine, const struct plan_node *node)
{
    const struct container_spec *spec = node->container;

    if (machine_find(machine, node->subject))
        machine_broken(machine, node, "its predecessor is still there");
    if (!observed_find_image(&machine->state, spec->image))
        machine_broken(machine, node, "its image is missing");
    for (size_t i = 0; i < spec->n_networks; i++) {
        const struct observed_network *network =
            observed_find_network(&machine->state, spec->networks[i].network);

        if (!network || !network->is_up)
            machine_broken(machine, node, "its network is missing");
    }
    for (size_t i = 0; i < spec->n_mounts; i++) {
        if (!strings_contain(&machine->state.volumes, spec->mounts[i].source))
            machine_broken(machine, node, "its volume is missing");
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
    machine_moments(machine, node->subject)->created = ++machine->clock;
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
            struct observed_container *other =
                machine_find(machine, arena_printf(machine->arena, "p-%s-1", dependency->service));

            if (!other)
                machine_broken(machine, node, "its dependency does not exist");
            if (dependency->condition == DEPENDS_HEALTHY && other->health != HEALTH_HEALTHY)
                machine_broken(machine, node, "its dependency is not healthy");
            if (dependency->condition == DEPENDS_COMPLETED &&
                (other->status != CONTAINER_EXITED || other->exit_code != 0))
                machine_broken(machine, node, "its dependency has not completed");
            if (other->status == CONTAINER_CREATED)
                machine_broken(machine, node, "its dependency has not been started");
        }
    }
}

static void check_port(struct machine *machine, const struct plan_node *node,
                       const struct container_spec *spec)
{
    for (size_t i = 0; i < machine->state.n_containers && spec->n_ports > 0; i++) {
        const struct observed_container *other = &machine->state.containers[i];

        if (!text_equal(other->name, spec->name) && container_runs(other) &&
            other->spec.n_ports > 0 && other->spec.ports[0].host_first == spec->ports[0].host_first)
            machine_broken(machine, node,
                           arena_printf(machine->arena, "%s still has its port", other->name));
    }
}

static void do_container(struct machine *machine, const struct plan_node *node,
                         const struct desired *desired)
{
    struct observed_container *container = machine_find(machine, node->subject);

    if (node->kind == OP_CONTAINER_CREATE) {
        do_create(machine, node);
        return;
    }
    if (!container)
        machine_broken(machine, node, "there is no such container");
    switch ((int)node->kind) {
    case OP_CONTAINER_STOP:
        container->status = CONTAINER_EXITED;
        container->health = HEALTH_NONE;
        container->exit_code = 0; /* it heard the signal */
        container->was_stopped = true;
        break;
    case OP_CONTAINER_START:
        if (container_runs(container))
            machine_broken(machine, node, "it runs already");
        check_start(machine, node, desired);
        check_port(machine, node, &container->spec);
        container->status = CONTAINER_RUNNING;
        container->health = HEALTH_STARTING;
        container->was_stopped = false;
        machine_moments(machine, node->subject)->started = ++machine->clock;
        break;
    case OP_CONTAINER_UPDATE:
        if (container_runs(container))
            check_port(machine, node, node->container);
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
        if (container_runs(container))
            machine_broken(machine, node, "it still runs");
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
                machine_broken(machine, node, "a container is still on it");
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
        machine_broken(machine, node, "it is external and must not be touched");
    switch ((int)node->kind) {
    case OP_IMAGE_PULL:
    case OP_IMAGE_BUILD:
        if (!observed_find_image(state, node->subject))
            state->images[state->n_images++] = (struct observed_image){
                .reference = node->subject, .id = machine_image_id(machine, node->subject)};
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
void machine_run(struct machine *machine, struct random *random, const struct plan *plan,
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
                    machine_broken(machine, &plan->nodes[i], "an edge points forwards");
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
