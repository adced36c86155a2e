/* Loading a project, step by step in the order of compose.md section 1:
 *
 *   files and environment → YAML → name → interpolation → long forms → paths → include → extends →
 *   merge → binding by tables → defaults, names → profiles → consistency → services named → env
 * files.
 *
 * Each step reports all it finds; the next one runs only over what is sound enough for it. */

#include "compose/file/load.h"

#include <string.h>

#include "compose/file/as_written.h"
#include "compose/file/field.h"
#include "compose/file/history.h"
#include "compose/file/node.h"
#include "compose/file/shapes.h"
#include "compose/file/yaml.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"

/* Env files are printed, not read. */
static const unsigned as_they_are = PROJECT_NO_INTERPOLATE | PROJECT_NO_ENV_RESOLUTION;

static int check_mapping(struct load *load, const struct node *document)
{
    if (document->kind == NODE_MAP)
        return 0;
    return report_error(&load->report, document->span, NULL,
                        "top-level object must be a mapping, not %s", node_what(document));
}

static int read_files(struct load *load, const struct strings *paths,
                      struct yaml_documents *documents)
{
    int result = 0;

    for (size_t i = 0; i < paths->n; i++) {
        unsigned flags = load->options->files.n > 0 ? LOAD_FROM_USER : LOAD_REQUIRED;
        uint32_t source;

        if (load_source(load, paths->items[i], LOAD_FILE_MAX, flags, (struct span){0}, &source) <
                0 ||
            yaml_parse(&load->report, source, documents) < 0)
            result = -1;
    }
    if (result == 0 && documents->n == 0 && load->report.n_errors == 0)
        return report_error(
            &load->report,
            (struct span){.file = (uint32_t)load->report.sources.n - 1, .line = 1, .column = 1},
            NULL, "empty compose file");
    for (size_t i = 0; i < documents->n; i++) {
        if (check_mapping(load, documents->items[i]) < 0)
            result = -1;
    }
    return result;
}

/* The last name: of the documents, interpolated; the empty one counts. One that is wrong is
 * reported, and does not keep what else is wrong from being found. */
static void find_name(struct load *load, const struct yaml_documents *documents, const char **ret,
                      struct span *ret_span)
{
    size_t n_bytes = 0;

    for (size_t i = 0; i < documents->n; i++) {
        const struct node *name = node_get(documents->items[i], "name");

        if (!name || name->tag == NODE_RESET)
            continue;
        report_enter_key(&load->report, "name");
        name = interpolate_node(&load->report, name, &load->variables, &n_bytes);
        if (node_is_text(name)) {
            *ret = name->text;
            *ret_span = name->span;
        } else {
            report_error(&load->report, name->span, "write it in quotes", "name must be a string");
        }
        report_leave(&load->report);
    }
}

static void warn_version(struct load *load, const struct node *document)
{
    const struct node_entry *version = node_find(document, "version");

    if (version)
        report_warning(&load->report, version->span, NULL,
                       "the attribute `version` is obsolete, it will be ignored, please remove it "
                       "to avoid potential confusion");
}

const struct node *load_document(struct load *load, const struct node *document,
                                 const char *directory)
{
    if (load->options->flags & PROJECT_NO_INTERPOLATE)
        document = interpolate_references(load, document, directory);
    else
        document =
            interpolate_node(&load->report, document, &load->variables, &load->n_interpolated);
    return field_canonical(load, &file_field, document);
}

const struct node *load_documents(struct load *load, const struct yaml_documents *documents)
{
    const struct include_link *outer = load->link;
    const struct node *merged = NULL;

    for (size_t i = 0; i < documents->n; i++) {
        const struct node *document = documents->items[i];
        const struct node *own;
        const struct source *source = &load->report.sources.items[document->span.file];
        size_t n_extends = load->n_extends;
        struct include_link link = outer ? *outer : (struct include_link){0};
        size_t n_errors;

        link.path = source->path;
        link.source = document->span.file;
        load->link = &link;
        warn_version(load, document);
        document = load_document(load, document, load->directory);
        /* before anything is merged, so that one path has one spelling */
        if (outer || !(load->options->flags & PROJECT_NO_PATH_RESOLUTION))
            document = relative_resolve(load, document, load->directory);
        own = document;
        n_errors = load->report.n_errors;
        document = include_resolve(load, document);
        history_add_layer(load->history, own, link.at);
        /* without all that it includes, extends would only miss services */
        if (load->report.n_errors == n_errors && load->n_extends > n_extends)
            document = extends_resolve(load, document);
        merged = merge_documents(load, merged, document);
    }
    load->link = outer;
    return merged;
}

/* ---- files that files name ------------------------------------------------------------------- */

int load_refuse_remote(struct load *load, const char *path, struct span at)
{
    if (!load_is_remote(path) && !text_starts_with(path, "oci://"))
        return 0;
    return report_error(&load->report, at, "fetch it and name the file",
                        "%s: remote Compose files are not supported yet", path);
}

/* The same file gives the same nodes: it is parsed once, however often it is named. */
static const struct parsed_file *parse_file(struct load *load, uint32_t source)
{
    struct yaml_documents documents = {0};
    struct parsed_file file = {.source = source};

    for (size_t i = 0; i < load->parsed_files.n; i++) {
        if (load->parsed_files.items[i].source == source)
            return &load->parsed_files.items[i];
    }
    file.is_broken = yaml_parse(&load->report, source, &documents) < 0;
    file.documents = vec_to_arena(&documents, load->arena);
    file.n_documents = documents.n;
    vec_release(&documents);
    vec_push(&load->parsed_files, file);
    return vec_last(&load->parsed_files);
}

int load_named_file(struct load *load, const char *path, struct span at,
                    struct yaml_documents *documents, uint32_t *ret_source)
{
    const struct parsed_file *file;

    if (++load->n_parsed > LOAD_PARSED_MAX)
        return report_error(&load->report, at, NULL,
                            "extends and include lead to more than %d files", LOAD_PARSED_MAX);
    if (load_source(load, path, LOAD_FILE_MAX, LOAD_REQUIRED, at, ret_source) < 0)
        return -1;
    file = parse_file(load, *ret_source);
    for (size_t i = 0; i < file->n_documents; i++)
        vec_push(documents, file->documents[i]);
    return file->is_broken ? -1 : 0;
}

int load_count_nodes(struct load *load, size_t n_more, struct span at)
{
    if (n_more > NODES_MAX - load->n_nodes)
        return report_error(&load->report, at, NULL,
                            "extends and include make a project that is too large");
    load->n_nodes += n_more;
    return 0;
}

int load_count_document(struct load *load, const struct node *document, struct span at)
{
    return check_mapping(load, document) < 0 ? -1 : load_count_nodes(load, document->weight, at);
}

static struct project *assemble(struct load *load, const struct strings *paths,
                                const struct node *root, struct model *model)
{
    struct project *project = arena_new(load->arena, struct project);
    struct strings profiles;
    size_t n_enabled;

    select_profiles(load, model, &profiles, &n_enabled);
    project->name = load->name;
    project->directory = load->directory;
    project->files = paths->items;
    project->n_files = paths->n;
    project->root = root;
    project->flags = load->options->flags;
    project->history = load->history;
    project->profiles = profiles;
    project->environment = load->environment;
    project->services = arena_new_array(load->arena, struct service, model->n_drafts + 1);
    project->n_services = n_enabled;
    for (size_t i = 0; i < model->n_drafts; i++)
        project->services[i] = model->drafts[i].service;
    project->disabled_services = project->services + n_enabled;
    project->n_disabled_services = model->n_drafts - n_enabled;
    memcpy(project->resources, model->resources, sizeof(project->resources));
    return project;
}

/* Narrowed to what was asked for, and without what nobody uses. */
static int narrow(struct load *load, const struct project *whole, struct project **ret,
                  struct error *err)
{
    unsigned flags = load->options->flags;
    const struct project *selected = NULL;

    if (project_select(load->arena, whole, &load->options->services,
                       (flags & PROJECT_WITH_DEPENDENCIES) != 0, &selected, err) < 0)
        return -1;
    *ret = arena_memdup(load->arena, flags & PROJECT_KEEP_ALL ? whole : selected, sizeof(*whole));
    select_used(load->arena, *ret);
    if (flags & (PROJECT_ALL_RESOURCES | PROJECT_NO_INTERPOLATE))
        memcpy((*ret)->resources, whole->resources, sizeof(whole->resources));
    return 0;
}

static void resolve_environments(struct load *load, const struct model *model,
                                 struct project *project)
{
    size_t draft = 0;

    /* the enabled drafts and the services kept of them are in the same order */
    for (size_t i = 0; i < project->n_services; i++) {
        while (strcmp(model->drafts[draft].service.name, project->services[i].name) != 0)
            draft++;
        environment_resolve(load, &model->drafts[draft], &project->services[i]);
    }
}

static int load_project(struct load *load, struct yaml_documents *documents, struct project **ret,
                        struct error *err)
{
    struct strings paths = {0};
    struct model model;
    const struct node *root;
    struct project *whole;
    const char *name = NULL;
    struct span name_span = {0};

    if (discover_files(load, &paths, err) < 0 || read_files(load, &paths, documents) < 0)
        return -1;
    find_name(load, documents, &name, &name_span);
    if (discover_name(load, name, name_span, err) < 0)
        return -1;
    load->root_environment = load->environment;
    load->root_directory = load->directory;
    root = load_documents(load, documents);
    if (!root)
        return -1;
    model_decode(load, root, &model);
    if (load->report.n_errors > 0)
        return -1;
    normalise_model(load, &model);
    whole = assemble(load, &paths, root, &model);
    if (!(load->options->flags & (PROJECT_NO_CONSISTENCY | PROJECT_NO_INTERPOLATE)))
        consistency_check(load, whole);
    if (load->report.n_errors > 0 || narrow(load, whole, ret, err) < 0)
        return -1;
    if (!(load->options->flags & as_they_are))
        resolve_environments(load, &model, *ret);
    return load->report.n_errors > 0 ? -1 : 0;
}

int project_load(struct arena *arena, const struct project_options *options,
                 const struct project **ret, struct diagnostics *ret_diagnostics, struct error *err)
{
    struct load load = {.arena = arena, .options = options, .patterns = {.arena = arena}};
    struct yaml_documents documents = {0};
    struct project *project = NULL;
    struct error error = ERROR_INIT;
    int result;

    report_init(&load.report, arena);
    if (options->flags & PROJECT_WITH_HISTORY)
        load.history = history_new(arena, options);
    result = load_project(&load, &documents, &project, &error);
    *ret_diagnostics = report_finish(&load.report);
    if (result < 0 && load.report.n_errors > 0) {
        (void)report_fail(&load.report, err);
    } else if (result < 0) {
        error_gather(err ? err : &error, &error);
    } else {
        project->sources = ret_diagnostics->sources;
        project->n_sources = ret_diagnostics->n_sources;
        project->unhonoured = vec_to_arena(&load.unhonoured, arena);
        project->n_unhonoured = load.unhonoured.n;
        *ret = project;
    }
    vec_release(&documents);
    vec_release(&load.parsed_files);
    vec_release(&load.unhonoured);
    vec_release(&load.warned);
    vec_release(&load.included_values);
    patterns_release(&load.patterns);
    report_release(&load.report);
    return result;
}
