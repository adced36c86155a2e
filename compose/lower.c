/* Compose words to engine words.
 *
 * What a name means is decided here and nowhere else: container, network and volume names, labels,
 * image references of services that are only built. */

#include "compose/lower.h"

#include <stdlib.h>
#include <string.h>

#include "compose/file/project.h"
#include "compose/lower_mounts.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/vec.h"
#include "reconcile/desired.h"

#define LABEL(name) "com.docker.compose." name

enum { NANOS_PER_CPU = 1000000000 };

struct lowering {
    struct arena *arena;
    const struct project *project;
};

static const char *container_name(struct arena *arena, const struct project *project,
                                  const struct service *service, int number)
{
    if (service->container_name)
        return service->container_name;
    return arena_printf(arena, "%s-%s-%d", project->name, service->name, number);
}

/* ---- labels --------------------------------------------------------------------------------- */

struct label_list {
    VEC(struct pair) items;
};

static struct pairs labels_finish(struct lowering *lowering, struct label_list *list,
                                  const struct pairs *own)
{
    struct pairs labels;

    for (size_t i = 0; i < own->n; i++)
        vec_push(&list->items, own->items[i]);
    labels =
        (struct pairs){.n = list->items.n, .items = vec_to_arena(&list->items, lowering->arena)};
    vec_release(&list->items);
    pairs_sort(&labels);
    return labels;
}

static void label_add(struct label_list *list, const char *name, const char *value)
{
    vec_push(&list->items, (struct pair){.name = name, .value = value});
}

/* "db:service_healthy:false,cache:service_started:true": what `down` without files goes by. */
static const char *depends_on_label(struct lowering *lowering, const struct service *service)
{
    static const char *const conditions[] = {
        [SERVICE_STARTED] = "service_started",
        [SERVICE_HEALTHY] = "service_healthy",
        [SERVICE_COMPLETED_SUCCESSFULLY] = "service_completed_successfully",
    };
    cleanup_buf struct buf text = BUF_INIT;

    for (size_t i = 0; i < service->n_depends_on; i++)
        buf_printf(&text, "%s%s:%s:%s", i > 0 ? "," : "", service->depends_on[i].service,
                   conditions[service->depends_on[i].condition],
                   service->depends_on[i].restart ? "true" : "false");
    return arena_strdup(lowering->arena, buf_text(&text));
}

static const char *config_files_label(struct lowering *lowering)
{
    cleanup_buf struct buf text = BUF_INIT;

    for (size_t i = 0; i < lowering->project->n_files; i++)
        buf_printf(&text, "%s%s", i > 0 ? "," : "", lowering->project->files[i]);
    return arena_strdup(lowering->arena, buf_text(&text));
}

static struct pairs container_labels(struct lowering *lowering, const struct service *service,
                                     int number)
{
    struct label_list list = {.items = VEC_INIT};

    label_add(&list, LABEL("project"), lowering->project->name);
    label_add(&list, LABEL("service"), service->name);
    label_add(&list, LABEL("container-number"), arena_printf(lowering->arena, "%d", number));
    label_add(&list, LABEL("oneoff"), "False");
    label_add(&list, LABEL("depends_on"), depends_on_label(lowering, service));
    label_add(&list, LABEL("project.config_files"), config_files_label(lowering));
    label_add(&list, LABEL("project.working_dir"), lowering->project->directory);
    return labels_finish(lowering, &list, &service->labels);
}

static struct pairs resource_labels(struct lowering *lowering, const char *kind, const char *key,
                                    const struct pairs *own)
{
    struct label_list list = {.items = VEC_INIT};

    label_add(&list, LABEL("project"), lowering->project->name);
    label_add(&list, kind, key);
    return labels_finish(lowering, &list, own);
}

/* ---- where fields were written -------------------------------------------------------------- */

/* Fields of the spec's JSON and the Compose keys that make them. */
static const struct field_word field_keys[] = {
    {"cap_add", "cap_add"},
    {"cap_drop", "cap_drop"},
    {"command", "command"},
    {"dns", "dns"},
    {"entrypoint", "entrypoint"},
    {"environment", "environment"},
    {"expose", "expose"},
    {"extra_hosts", "extra_hosts"},
    {"health", "healthcheck"},
    {"health.disabled", "healthcheck.disable"},
    {"health.interval_ns", "healthcheck.interval", UNIT_DURATION_NS},
    {"health.start_interval_ns", "healthcheck.start_interval", UNIT_DURATION_NS},
    {"health.start_period_ns", "healthcheck.start_period", UNIT_DURATION_NS},
    {"health.timeout_ns", "healthcheck.timeout", UNIT_DURATION_NS},
    {"hostname", "hostname"},
    {"image", "image"},
    {"image_id", "image"},
    {"init", "init"},
    {"labels", "labels"},
    {"memory_bytes", "mem_limit", UNIT_BYTES},
    {"mounts", "volumes"},
    {"name", "container_name"},
    {"nano_cpus", "cpus", UNIT_NANO},
    {"network_mode", "network_mode"},
    {"networks", "networks"},
    {"pids_limit", "pids_limit"},
    {"ports", "ports"},
    {"privileged", "privileged"},
    {"read_only", "read_only"},
    {"restart", "restart"},
    {"restart_max_retries", "restart"},
    {"stdin_open", "stdin_open"},
    {"stop_grace_ns", "stop_grace_period", UNIT_DURATION_NS},
    {"stop_signal", "stop_signal"},
    {"sysctls", "sysctls"},
    {"tty", "tty"},
    {"ulimits", "ulimits"},
    {"user", "user"},
    {"working_dir", "working_dir"},
};

struct origin_list {
    VEC(struct field_origin) items;
};

static void add_origin(struct origin_list *list, const char *field, struct span span)
{
    if (span.line > 0)
        vec_push(&list->items, (struct field_origin){.field = field, .span = span});
}

static void add_member_origins(struct lowering *lowering, struct origin_list *list,
                               const struct service *service, const char *field,
                               const struct pairs *members)
{
    for (size_t i = 0; i < members->n; i++)
        add_origin(list, arena_printf(lowering->arena, "%s.%s", field, members->items[i].name),
                   project_service_span(service, field, members->items[i].name));
}

/* "healthcheck.interval" is a member of "healthcheck". */
static struct span word_span(struct lowering *lowering, const struct service *service,
                             const char *word)
{
    struct str key, member;

    if (!str_cut(str_from(word), '.', &key, &member))
        return project_service_span(service, word, NULL);
    return project_service_span(service, arena_strndup(lowering->arena, key.data, key.len),
                                member.data);
}

static struct field_origins service_origins(struct lowering *lowering,
                                            const struct service *service)
{
    struct origin_list list = {.items = VEC_INIT};
    struct field_origins origins;

    if (service->build.context)
        add_origin(&list, "image_id", project_service_span(service, "build", NULL));
    for (size_t i = 0; i < sizeof(field_keys) / sizeof(*field_keys); i++)
        add_origin(&list, field_keys[i].field, word_span(lowering, service, field_keys[i].word));
    add_member_origins(lowering, &list, service, "environment", &service->environment);
    add_member_origins(lowering, &list, service, "labels", &service->labels);
    origins.n = list.items.n;
    origins.items = vec_to_arena(&list.items, lowering->arena);
    vec_release(&list.items);
    return origins;
}

/* ---- the rest of a service ------------------------------------------------------------------ */

static void lower_networks(struct lowering *lowering, const struct service *service,
                           struct container_spec *spec)
{
    spec->n_networks = service->n_networks;
    spec->networks = arena_new_array(lowering->arena, struct attachment_spec, spec->n_networks);
    for (size_t i = 0; i < service->n_networks; i++) {
        const struct service_network *attachment = &service->networks[i];
        const struct network *network = project_find_network(lowering->project, attachment->key);
        size_t n = attachment->aliases.n + 1;
        const char **names = arena_new_array(lowering->arena, const char *, n);

        names[0] = service->name;
        for (size_t j = 1; j < n; j++)
            names[j] = attachment->aliases.items[j - 1];
        spec->networks[i] = (struct attachment_spec){
            .network = network ? network->name : attachment->key,
            .aliases = {.items = names, .n = n},
            .ipv4_address = attachment->ipv4_address,
        };
    }
    if (service->n_networks == 0)
        spec->network_mode = "none";
}

static void lower_ports(struct lowering *lowering, const struct service *service,
                        struct container_spec *spec)
{
    spec->n_ports = service->n_ports;
    spec->ports = arena_new_array(lowering->arena, struct port_spec, spec->n_ports);
    for (size_t i = 0; i < service->n_ports; i++) {
        const struct service_port *port = &service->ports[i];

        spec->ports[i] = (struct port_spec){
            .host_ip = port->host_ip,
            .host_first = port->published_first,
            .host_last = port->published_last,
            .container_port = port->target,
            .protocol = port->protocol,
        };
    }
}

static int64_t time_or_default(int64_t ns)
{
    return ns > 0 ? ns : 0;
}

static struct health_spec lower_health(const struct service_health *health)
{
    bool is_none = health->test.n > 0 && strcmp(health->test.items[0], "NONE") == 0;

    return (struct health_spec){
        .is_set = health->is_set,
        .disabled = health->disable || is_none,
        .test = health->test,
        .interval_ns = time_or_default(health->interval_ns),
        .timeout_ns = time_or_default(health->timeout_ns),
        .start_period_ns = time_or_default(health->start_period_ns),
        .start_interval_ns = time_or_default(health->start_interval_ns),
        .retries = health->retries > 0 ? (int)health->retries : 0,
    };
}

static void lower_restart(const struct service *service, struct container_spec *spec)
{
    static const enum restart_policy policies[] = {
        [SERVICE_RESTART_UNSET] = RESTART_NO,
        [SERVICE_RESTART_NO] = RESTART_NO,
        [SERVICE_RESTART_ALWAYS] = RESTART_ALWAYS,
        [SERVICE_RESTART_ON_FAILURE] = RESTART_ON_FAILURE,
        [SERVICE_RESTART_UNLESS_STOPPED] = RESTART_UNLESS_STOPPED,
    };
    bool is_deploy = service->deploy.restart != SERVICE_RESTART_UNSET; /* the stronger one */

    spec->restart = policies[is_deploy ? service->deploy.restart : service->restart];
    spec->restart_max_retries =
        (int)(is_deploy ? service->deploy.restart_retries : service->restart_retries);
}

static void lower_limits(struct lowering *lowering, const struct service *service,
                         struct container_spec *spec)
{
    const struct service_deploy *deploy = &service->deploy;
    int64_t memory = service->mem_limit >= 0 ? service->mem_limit : deploy->mem_limit;
    int64_t pids =
        service->pids_limit != SERVICE_PIDS_UNSET ? service->pids_limit : deploy->pids_limit;
    double cpus = service->cpus >= 0 ? service->cpus : deploy->cpus;

    spec->memory_bytes = memory > 0 ? (uint64_t)memory : 0;
    spec->nano_cpus = cpus > 0 ? (int64_t)(cpus * NANOS_PER_CPU + 0.5) : 0;
    if (pids != SERVICE_PIDS_UNSET)
        spec->pids_limit = pids > 0 ? pids : -1;
    spec->n_ulimits = service->n_ulimits;
    spec->ulimits = arena_new_array(lowering->arena, struct ulimit_spec, spec->n_ulimits);
    for (size_t i = 0; i < service->n_ulimits; i++)
        spec->ulimits[i] = (struct ulimit_spec){.name = service->ulimits[i].name,
                                                .soft = service->ulimits[i].soft,
                                                .hard = service->ulimits[i].hard};
}

static struct strings lower_extra_hosts(struct lowering *lowering, const struct service *service)
{
    size_t n = service->extra_hosts.n;
    const char **items = arena_new_array(lowering->arena, const char *, n);

    for (size_t i = 0; i < n; i++)
        items[i] = arena_printf(lowering->arena, "%s:%s", service->extra_hosts.items[i].name,
                                service->extra_hosts.items[i].value);
    return (struct strings){.items = items, .n = n};
}

static const char *image_reference(struct lowering *lowering, const struct service *service)
{
    if (service->image)
        return service->image;
    return arena_printf(lowering->arena, "%s-%s", lowering->project->name, service->name);
}

static struct container_spec lower_spec(struct lowering *lowering, const struct service *service,
                                        int number)
{
    struct container_spec spec = {
        .name = container_name(lowering->arena, lowering->project, service, number),
        .project = lowering->project->name,
        .image = image_reference(lowering, service),
        .has_entrypoint = service->entrypoint.is_set,
        .entrypoint = service->entrypoint.argv,
        .has_command = service->command.is_set,
        .command = service->command.argv,
        .environment = service->environment,
        .working_dir = service->working_dir,
        .user = service->user,
        .hostname = service->hostname,
        .labels = container_labels(lowering, service, number),
        .expose = service->expose,
        .extra_hosts = lower_extra_hosts(lowering, service),
        .dns = service->dns,
        .init = service->init == 1,
        .tty = service->tty,
        .stdin_open = service->stdin_open,
        .read_only = service->read_only,
        .privileged = service->privileged,
        .no_new_privileges = service->no_new_privileges,
        .cap_add = service->cap_add,
        .cap_drop = service->cap_drop,
        .sysctls = service->sysctls,
        .health = lower_health(&service->healthcheck),
        .stop_signal = service->stop_signal,
        .stop_grace_ns = service->stop_grace_ns,
    };

    lower_mounts(lowering->arena, lowering->project, service, &spec);
    lower_networks(lowering, service, &spec);
    lower_ports(lowering, service, &spec);
    lower_limits(lowering, service, &spec);
    lower_restart(service, &spec);
    return spec;
}

static void lower_dependencies(struct lowering *lowering, const struct service *service,
                               struct desired_container *container)
{
    static const enum dependency_condition conditions[] = {
        [SERVICE_STARTED] = DEPENDS_STARTED,
        [SERVICE_HEALTHY] = DEPENDS_HEALTHY,
        [SERVICE_COMPLETED_SUCCESSFULLY] = DEPENDS_COMPLETED,
    };
    struct desired_dependency *list =
        arena_new_array(lowering->arena, struct desired_dependency, service->n_depends_on);

    for (size_t i = 0; i < service->n_depends_on; i++) {
        const struct service_dependency *dependency = &service->depends_on[i];

        list[i] = (struct desired_dependency){
            .service = dependency->service,
            .condition = conditions[dependency->condition],
            .restart = dependency->restart,
            .required = dependency->required,
            .span = dependency->span,
        };
    }
    container->dependencies = list;
    container->n_dependencies = service->n_depends_on;
}

/* ---- the project ---------------------------------------------------------------------------- */

static int compare_images(const void *a, const void *b)
{
    const struct desired_image *x = a, *y = b;

    return strcmp(x->reference, y->reference);
}

static const struct image_build_request *
lower_build(struct lowering *lowering, const struct service *service, const char *reference)
{
    struct image_build_request *request;
    const char **tags;

    if (!service->build.context)
        return NULL;
    request = arena_new(lowering->arena, struct image_build_request);
    tags = arena_new_array(lowering->arena, const char *, 1);
    tags[0] = reference;
    *request = (struct image_build_request){
        .context = service->build.context,
        .dockerfile = service->build.dockerfile,
        .target = service->build.target,
        .args = service->build.args,
        .tags = {.items = tags, .n = 1},
        .labels =
            resource_labels(lowering, LABEL("service"), service->name, &service->build.labels),
        .no_cache = service->build.no_cache,
        .pull = service->build.pull,
    };
    return request;
}

/* But for the label that names the service. */
static bool pairs_equal(const struct pairs *a, const struct pairs *b)
{
    bool equal = a->n == b->n;

    for (size_t i = 0; equal && i < a->n; i++)
        equal = text_equal(a->items[i].name, b->items[i].name) &&
                (text_equal(a->items[i].value, b->items[i].value) ||
                 text_equal(a->items[i].name, LABEL("service")));
    return equal;
}

static bool builds_equal(const struct image_build_request *a, const struct image_build_request *b)
{
    return text_equal(a->context, b->context) && text_equal(a->dockerfile, b->dockerfile) &&
           text_equal(a->target, b->target) && pairs_equal(&a->args, &b->args) &&
           pairs_equal(&a->labels, &b->labels) && a->no_cache == b->no_cache && a->pull == b->pull;
}

static int two_builds_error(struct lowering *lowering, const struct desired_image *a,
                            const struct desired_image *b, struct error *err)
{
    cleanup_buf struct buf first = BUF_INIT, second = BUF_INIT;

    project_print_span(&first, lowering->project, a->span);
    project_print_span(&second, lowering->project, b->span);
    return error_set(err, ERROR_INVALID,
                     "%s: image \"%s\" is built in another way at %s; give one of them another "
                     "image name",
                     buf_text(&second), b->reference, buf_text(&first));
}

/* One entry per reference. A service that builds it beats one that only uses it. */
static int lower_images(struct lowering *lowering, struct desired *desired, struct error *err)
{
    const struct project *project = lowering->project;
    struct desired_image *images =
        arena_new_array(lowering->arena, struct desired_image, project->n_services);
    size_t n = 0;

    for (size_t i = 0; i < project->n_services; i++) {
        const struct service *service = &project->services[i];
        const char *reference = image_reference(lowering, service);

        images[i] = (struct desired_image){
            .reference = reference,
            .build = lower_build(lowering, service, reference),
            .span = service->build.context ? service->build.span : service->span,
        };
    }
    if (project->n_services > 0)
        qsort(images, project->n_services, sizeof(*images), compare_images);
    for (size_t i = 0; i < project->n_services; i++) {
        if (n == 0 || !text_equal(images[n - 1].reference, images[i].reference))
            images[n++] = images[i];
        else if (!images[n - 1].build)
            images[n - 1] = images[i];
        else if (images[i].build && !builds_equal(images[n - 1].build, images[i].build))
            return two_builds_error(lowering, &images[n - 1], &images[i], err);
    }
    desired->images = images;
    desired->n_images = n;
    return 0;
}

static int compare_networks(const void *a, const void *b)
{
    const struct desired_network *x = a, *y = b;

    return strcmp(x->spec.name, y->spec.name);
}

static int compare_volumes(const void *a, const void *b)
{
    const struct desired_volume *x = a, *y = b;

    return strcmp(x->spec.name, y->spec.name);
}

static void lower_network_list(struct lowering *lowering, struct desired *desired)
{
    const struct project *project = lowering->project;
    struct desired_network *list =
        arena_new_array(lowering->arena, struct desired_network, project->n_networks);

    for (size_t i = 0; i < project->n_networks; i++) {
        const struct network *network = &project->networks[i];
        const struct network_pool *pool = network->n_pools > 0 ? &network->pools[0] : NULL;

        list[i] = (struct desired_network){
            .spec = {.name = network->name,
                     .project = project->name,
                     .internal = network->internal,
                     .subnet = pool ? pool->subnet : NULL,
                     .gateway = pool ? pool->gateway : NULL,
                     .labels = resource_labels(lowering, LABEL("network"), network->key,
                                               &network->labels)},
            .is_external = network->external,
            .span = network->span,
        };
    }
    if (project->n_networks > 0)
        qsort(list, project->n_networks, sizeof(*list), compare_networks);
    desired->networks = list;
    desired->n_networks = project->n_networks;
}

static void lower_volume_list(struct lowering *lowering, struct desired *desired)
{
    const struct project *project = lowering->project;
    struct desired_volume *list =
        arena_new_array(lowering->arena, struct desired_volume, project->n_volumes);

    for (size_t i = 0; i < project->n_volumes; i++) {
        const struct volume *volume = &project->volumes[i];

        list[i] = (struct desired_volume){
            .spec = {.name = volume->name,
                     .project = project->name,
                     .labels =
                         resource_labels(lowering, LABEL("volume"), volume->key, &volume->labels)},
            .is_external = volume->external,
            .span = volume->span,
        };
    }
    if (project->n_volumes > 0)
        qsort(list, project->n_volumes, sizeof(*list), compare_volumes);
    desired->volumes = list;
    desired->n_volumes = project->n_volumes;
}

static struct strings all_services(struct lowering *lowering)
{
    const struct project *project = lowering->project;
    size_t n = project->n_services + project->n_disabled_services;
    struct strings names = {.items = arena_new_array(lowering->arena, const char *, n), .n = n};

    for (size_t i = 0; i < n; i++)
        names.items[i] = i < project->n_services
                             ? project->services[i].name
                             : project->disabled_services[i - project->n_services].name;
    strings_sort(&names);
    return names;
}

int lower_project(struct arena *arena, const struct project *project, const struct desired **ret,
                  struct error *err)
{
    struct lowering lowering = {.arena = arena, .project = project};
    struct desired *desired = arena_new(arena, struct desired);
    struct desired_container *containers =
        arena_new_array(arena, struct desired_container, project->n_services);
    const char **files = arena_new_array(arena, const char *, project->n_sources);

    for (size_t i = 0; i < project->n_sources; i++)
        files[i] = project->sources[i].name;
    for (size_t i = 0; i < project->n_services; i++) {
        const struct service *service = &project->services[i];

        containers[i] = (struct desired_container){
            .spec = lower_spec(&lowering, service, 1),
            .service = service->name,
            .number = 1,
            .span = service->span,
            .origins = service_origins(&lowering, service),
        };
        lower_dependencies(&lowering, service, &containers[i]);
    }
    *desired = (struct desired){
        .project = project->name,
        .files = {.items = files, .n = project->n_sources},
        .services = all_services(&lowering),
        .words = {field_keys, sizeof(field_keys) / sizeof(*field_keys)},
        .containers = containers,
        .n_containers = project->n_services,
    };
    lower_volume_list(&lowering, desired);
    lower_network_list(&lowering, desired);
    if (lower_images(&lowering, desired, err) < 0)
        return -1;
    *ret = desired;
    return 0;
}
