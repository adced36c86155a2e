/* What the tables can't see: references, cycles, contradictions (compose.md 1.17). */

#include <stdlib.h>
#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/resource.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/path.h"

/* ---- references -------------------------------------------------------------------------------
 */

enum { SUGGESTIONS_MAX = 2000 }; /* services looked at for "did you mean" */

static const char *nearest_service(struct load *load, const struct project *project,
                                   const char *name)
{
    size_t n = project->n_services < SUGGESTIONS_MAX ? project->n_services : SUGGESTIONS_MAX;
    const char **names;

    if (report_is_full(&load->report))
        return NULL;
    names = arena_new_array(load->arena, const char *, n + 1);
    for (size_t i = 0; i < n; i++)
        names[i] = project->services[i].name;
    return report_did_you_mean(&load->report, name, names, n);
}

static const struct service *find_disabled(const struct project *project, const char *name)
{
    for (size_t i = 0; i < project->n_disabled_services; i++) {
        if (strcmp(project->disabled_services[i].name, name) == 0)
            return &project->disabled_services[i];
    }
    return NULL;
}

static void check_depends_on(struct load *load, const struct project *project,
                             const struct service *service)
{
    for (size_t i = 0; i < service->n_depends_on; i++) {
        const struct service_dependency *dependency = &service->depends_on[i];
        const struct service *disabled;

        if (project_find_service(project, dependency->service) || !dependency->required)
            continue;
        disabled =
            report_is_full(&load->report) ? NULL : find_disabled(project, dependency->service);
        if (disabled)
            report_error(&load->report, dependency->span,
                         arena_printf(load->arena, "enable it with --profile %s",
                                      disabled->profiles.n > 0 ? disabled->profiles.items[0] : "…"),
                         "service \"%s\" is required by \"%s\" but is disabled",
                         dependency->service, service->name);
        else
            report_error(&load->report, dependency->span,
                         nearest_service(load, project, dependency->service),
                         "service \"%s\" depends on undefined service \"%s\"", service->name,
                         dependency->service);
    }
}

static const struct service_dependency *find_dependency(const struct service *service,
                                                        struct str name)
{
    for (size_t i = 0; i < service->n_depends_on; i++) {
        if (str_is(name, service->depends_on[i].service))
            return &service->depends_on[i];
    }
    return NULL;
}

/* What is shared with a service can't do without it, even where the dependency could. */
static void check_shared(struct load *load, const struct project *project,
                         const struct service *service, const char *key,
                         const struct node_entry *entry, struct str name)
{
    const struct service_dependency *dependency = find_dependency(service, name);

    if (!dependency || dependency->required || project_find_service(project, dependency->service))
        return; /* there, or reported */
    report_error(&load->report, entry->span, "with `required: false` it may be missing",
                 "service \"%s\" not found for %s '%s'", dependency->service, key,
                 entry->value->text);
}

static void check_sharing(struct load *load, const struct project *project,
                          const struct service *service)
{
    static const char *const keys[] = {"network_mode", "ipc", "pid"};
    const struct node *volumes = node_get(service->kept, "volumes_from");

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const struct node_entry *entry = node_find(service->kept, keys[i]);

        if (entry && strncmp(entry->value->text, "service:", 8) == 0)
            check_shared(load, project, service, keys[i], entry, str_from(entry->value->text + 8));
    }
    for (size_t i = 0; volumes && i < volumes->n; i++) {
        const char *text = volumes->entries[i].value->text;

        check_shared(load, project, service, "volumes_from", &volumes->entries[i],
                     (struct str){text, strcspn(text, ":")});
    }
}

struct referring {
    struct load *load;
    const struct project *project;
    const struct service *service;
};

static void check_reference(void *context, const struct resource_reference *reference)
{
    const struct referring *referring = context;
    struct report *report = &referring->load->report;
    const char *hint = "a path on the host begins with / . or ~";

    if (resource_find(&referring->project->resources[reference->kind], reference->kind,
                      reference->key, strlen(reference->key)))
        return;
    if (reference->kind != RESOURCE_VOLUME || !strchr(reference->key, '/'))
        hint = arena_printf(report->arena, "define it below the top-level %s:",
                            resource_sections[reference->kind].key);
    report_error(report, reference->span, hint, "service \"%s\" refers to undefined %s %s",
                 referring->service->name, reference->what, reference->key);
}

/* One that nobody else keeps must come from somewhere. */
static void check_secrets(struct load *load, const struct project *project)
{
    for (size_t i = 0; i < project->n_secrets; i++) {
        const struct file_object *secret = &project->secrets[i];

        if (!secret->external && !secret->file && !node_get(secret->kept, "environment"))
            report_error(&load->report, secret->span, NULL,
                         "secret \"%s\" must declare either `file` or `environment`", secret->key);
    }
}

static void check_configs(struct load *load, const struct project *project)
{
    for (size_t i = 0; i < project->n_configs; i++) {
        const struct file_object *config = &project->configs[i];

        if (!config->external && !config->file && !node_get(config->kept, "environment") &&
            !node_get(config->source, "content"))
            report_error(&load->report, config->span, NULL,
                         "config \"%s\" must declare `file`, `environment` or `content`",
                         config->key);
    }
}

struct target {
    const char *path;
    const char *list; /* "volumes" */
    size_t index;     /* in it */
    size_t order;     /* among all */
    struct span span;
};

struct targets {
    struct target *items;
    size_t n;
};

static int compare_targets(const void *a, const void *b)
{
    const struct target *left = a;
    const struct target *right = b;
    int order = strcmp(left->path, right->path);

    return order != 0 ? order : (left->order > right->order) - (left->order < right->order);
}

static void add_target(struct targets *targets, const char *list, size_t index, const char *path,
                       struct span span)
{
    if (path && *path)
        targets->items[targets->n] = (struct target){path, list, index, targets->n, span};
    targets->n += path && *path;
}

static void collect_targets(struct load *load, const struct service *service,
                            struct targets *targets)
{
    for (size_t i = 0; i < service->tmpfs.n; i++) {
        const char *text = service->tmpfs.items[i];

        text = arena_strndup(load->arena, text, strcspn(text, ":"));
        add_target(targets, "tmpfs", i, path_clean(load->arena, text), service->span);
    }
    for (size_t i = 0; i < service->n_volumes; i++)
        add_target(targets, "volumes", i, service->volumes[i].target, service->volumes[i].span);
    for (size_t i = 0; i < service->n_secrets; i++)
        add_target(targets, "secrets", i, service_secret_path(load->arena, &service->secrets[i]),
                   service->secrets[i].span);
    for (size_t i = 0; i < service->n_configs; i++)
        add_target(targets, "configs", i, service_config_path(load->arena, &service->configs[i]),
                   service->configs[i].span);
}

/* What one service mounts must not share a target. */
static void check_targets(struct load *load, const struct service *service)
{
    size_t n = service->tmpfs.n + service->n_volumes + service->n_secrets + service->n_configs;
    struct targets targets = {.n = 0};

    if (n < 2)
        return;
    targets.items = arena_new_array(load->arena, struct target, n);
    collect_targets(load, service, &targets);
    if (targets.n > 1)
        qsort(targets.items, targets.n, sizeof(targets.items[0]), compare_targets);
    for (size_t i = 1; i < targets.n; i++) {
        const struct target *earlier = &targets.items[i - 1];
        const struct target *target = &targets.items[i];

        if (strcmp(earlier->path, target->path) == 0)
            report_error(&load->report, target->span, NULL,
                         "services.%s.%s[%zu]: target %s already mounted as services.%s.%s[%zu]",
                         service->name, target->list, target->index, target->path, service->name,
                         earlier->list, earlier->index);
    }
}

/* ---- contradictions ---------------------------------------------------------------------------
 */

static void check_network_mode(struct load *load, const struct service *service)
{
    const struct node_entry *mode = node_find(service->kept, "network_mode");

    if (mode && service->n_networks > 0)
        report_error(&load->report, mode->span, NULL,
                     "service \"%s\" declares mutually exclusive `network_mode` and `networks`",
                     service->name);
}

static const struct node_entry *find_limit(const struct service *service, const char *section,
                                           const char *key)
{
    return node_find(node_get(node_get(service->deploy.kept, "resources"), section), key);
}

static void report_distinct(struct load *load, const struct service *service,
                            const struct node_entry *entry, const char *key, const char *path)
{
    report_error(&load->report, entry->span, NULL,
                 "services.%s: can't set distinct values on '%s' and '%s'", service->name, key,
                 path);
}

/* Two ways to say the same must say the same. */
static void check_deploy(struct load *load, const struct service *service)
{
    const struct node *scale = node_get(service->kept, "scale");
    const struct node *reservation = node_get(service->kept, "mem_reservation");
    const struct node_entry *replicas = node_find(service->deploy.kept, "replicas");
    const struct node_entry *cpus = find_limit(service, "limits", "cpus");
    const struct node_entry *memory = find_limit(service, "limits", "memory");
    const struct node_entry *pids = find_limit(service, "limits", "pids");
    const struct node_entry *reserved = find_limit(service, "reservations", "memory");

    if (scale && replicas && strcmp(scale->text, replicas->value->text) != 0)
        report_distinct(load, service, replicas, "scale", "deploy.replicas");
    if (cpus && service->cpus >= 0 && service->deploy.cpus != service->cpus)
        report_distinct(load, service, cpus, "cpus", "deploy.resources.limits.cpus");
    if (memory && service->mem_limit >= 0 && service->deploy.mem_limit != service->mem_limit)
        report_distinct(load, service, memory, "mem_limit", "deploy.resources.limits.memory");
    if (pids && service->pids_limit != SERVICE_PIDS_UNSET &&
        service->deploy.pids_limit != service->pids_limit)
        report_distinct(load, service, pids, "pids_limit", "deploy.resources.limits.pids");
    if (reserved && reservation && strcmp(reserved->value->text, reservation->text) != 0)
        report_distinct(load, service, reserved, "mem_reservation",
                        "deploy.resources.reservations.memory");
}

static void check_scale(struct load *load, const struct service *service)
{
    const struct node_entry *scale = node_find(service->kept, "scale");
    int64_t n;

    if (!scale)
        scale = node_find(service->deploy.kept, "replicas");
    if (scale && service->container_name && node_int_value(str_from(scale->value->text), &n) &&
        n > 1)
        report_error(&load->report, scale->span, NULL,
                     "service \"%s\": can't set container_name and scale as container name must be "
                     "unique",
                     service->name);
}

/* What is copied is copied somewhere. */
static void check_watch(struct load *load, const struct service *service)
{
    const struct node *watch = node_get(node_get(service->kept, "develop"), "watch");

    for (size_t i = 0; watch && i < watch->n; i++) {
        const struct node *item = watch->entries[i].value;
        const struct node *action = node_get(item, "action");

        if (!action || node_get(item, "target") || strcmp(action->text, "rebuild") == 0 ||
            strcmp(action->text, "restart") == 0)
            continue;
        report_error(&load->report, watch->entries[i].span, NULL,
                     "services.%s.develop.watch[%zu]: target is required for non-rebuild actions",
                     service->name, i);
    }
}

/* ---- builds -----------------------------------------------------------------------------------
 */

static bool has_platform(const struct node *platforms, const char *platform)
{
    for (size_t i = 0; i < platforms->n; i++) {
        if (strcmp(platforms->entries[i].value->text, platform) == 0)
            return true;
    }
    return false;
}

/* "service:NAME": what that service builds. */
static void check_contexts(struct load *load, const struct project *project,
                           const struct service *service)
{
    const struct node *contexts = node_get(service->build.kept, "additional_contexts");

    for (size_t i = 0; contexts && i < contexts->n; i++) {
        const struct node_entry *entry = &contexts->entries[i];
        const struct service *other;
        const char *name;

        if (strncmp(entry->value->text, "service:", 8) != 0)
            continue;
        name = entry->value->text + 8;
        other = project_find_service(project, name);
        if (!other)
            report_error(&load->report, entry->span, nearest_service(load, project, name),
                         "service \"%s\" declares unknown service \"%s\" as additional contexts %s",
                         service->name, name, entry->key);
        else if (!other->build.context)
            report_error(&load->report, entry->span, NULL,
                         "service \"%s\" declares non-buildable service \"%s\" as additional "
                         "contexts %s",
                         service->name, name, entry->key);
    }
}

static void check_build(struct load *load, const struct project *project,
                        const struct service *service)
{
    const struct node_entry *inline_text = node_find(service->build.kept, "dockerfile_inline");
    const struct node_entry *platforms = node_find(service->build.kept, "platforms");
    const struct node *platform = node_get(service->kept, "platform");

    if (inline_text && service->build.dockerfile)
        report_error(&load->report, inline_text->span, NULL,
                     "service \"%s\" declares mutually exclusive dockerfile and dockerfile_inline",
                     service->name);
    if (platforms && platform && !has_platform(platforms->value, platform->text))
        report_error(&load->report, platforms->span, NULL,
                     "service \"%s\": build.platforms must include its platform \"%s\"",
                     service->name, platform->text);
    check_contexts(load, project, service);
}

/* ---- names ------------------------------------------------------------------------------------
 */

static int compare_container_names(const void *a, const void *b)
{
    const struct service *left = *(const struct service *const *)a;
    const struct service *right = *(const struct service *const *)b;
    int order = strcmp(left->container_name, right->container_name);

    return order != 0 ? order : strcmp(left->name, right->name);
}

static void check_container_names(struct load *load, const struct project *project)
{
    const struct service **named =
        arena_new_array(load->arena, const struct service *, project->n_services + 1);
    size_t n = 0;

    for (size_t i = 0; i < project->n_services; i++) {
        if (project->services[i].container_name)
            named[n++] = &project->services[i];
    }
    if (n > 1)
        qsort(named, n, sizeof(const struct service *), compare_container_names);
    for (size_t i = 1; i < n; i++) {
        const struct node_entry *entry = node_find(named[i]->source, "container_name");

        if (strcmp(named[i - 1]->container_name, named[i]->container_name) == 0)
            report_error(&load->report, entry ? entry->span : named[i]->span, NULL,
                         "services.%s: container name \"%s\" is already in use by service %s",
                         named[i]->name, named[i]->container_name, named[i - 1]->name);
    }
}

/* ---- cycles -----------------------------------------------------------------------------------
 */

enum visit { VISIT_NEW, VISIT_OPEN, VISIT_DONE };

struct step {
    size_t service;
    size_t next_edge;
};

static void report_cycle(struct load *load, const struct project *project, const struct step *path,
                         size_t n, size_t back_to)
{
    const struct service *last = &project->services[path[n - 1].service];
    struct span span = last->depends_on[path[n - 1].next_edge - 1].span;
    size_t first = n - 1;
    struct buf text;

    if (report_is_full(&load->report)) { /* counted without a look at the path */
        report_error(&load->report, span, NULL, "dependency cycle detected");
        return;
    }
    while (path[first].service != back_to)
        first--;
    buf_init(&text, 800);
    for (size_t i = first; i < n && !text.truncated; i++)
        buf_printf(&text, "%s -> ", project->services[path[i].service].name);
    report_error(&load->report, span, NULL, "dependency cycle detected: %s%s", buf_text(&text),
                 project->services[back_to].name);
    buf_release(&text);
}

/* Depth first with a stack of our own: chains can be as long as the file. */
static void visit(struct load *load, const struct project *project, size_t start,
                  enum visit *visits, struct step *path)
{
    size_t n = 0;

    path[n++] = (struct step){.service = start};
    visits[start] = VISIT_OPEN;
    while (n > 0) {
        struct step *step = &path[n - 1];
        const struct service *service = &project->services[step->service];
        const struct service *next;
        size_t index;

        if (step->next_edge == service->n_depends_on) {
            visits[step->service] = VISIT_DONE;
            n--;
            continue;
        }
        next = project_find_service(project, service->depends_on[step->next_edge++].service);
        if (!next)
            continue;
        index = (size_t)(next - project->services);
        if (visits[index] == VISIT_OPEN)
            report_cycle(load, project, path, n, index);
        if (visits[index] != VISIT_NEW)
            continue;
        visits[index] = VISIT_OPEN;
        path[n++] = (struct step){.service = index};
    }
}

static void check_cycles(struct load *load, const struct project *project)
{
    enum visit *visits = arena_new_array(load->arena, enum visit, project->n_services + 1);
    struct step *path = arena_new_array(load->arena, struct step, project->n_services + 1);

    for (size_t i = 0; i < project->n_services; i++) {
        if (visits[i] == VISIT_NEW)
            visit(load, project, i, visits, path);
    }
}

void consistency_check(struct load *load, const struct project *project)
{
    struct referring referring = {.load = load, .project = project};

    for (size_t i = 0; i < project->n_services; i++) {
        const struct service *service = &project->services[i];

        if (!service->image && !service->build.context && !node_get(service->kept, "provider"))
            report_error(&load->report, service->span, "give it image: or build:",
                         "service \"%s\" has neither an image nor a build context specified",
                         service->name);
        check_depends_on(load, project, service);
        check_sharing(load, project, service);
        referring.service = service;
        resource_references(service, check_reference, &referring);
        check_targets(load, service);
        check_network_mode(load, service);
        check_scale(load, service);
        check_deploy(load, service);
        check_watch(load, service);
        check_build(load, project, service);
    }
    check_secrets(load, project);
    check_configs(load, project);
    check_container_names(load, project);
    check_cycles(load, project);
}
