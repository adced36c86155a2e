/* Keys that load but are not honoured. */

#include "compose/file/unhonoured.h"

#include <stdlib.h>
#include <string.h>

#include "compose/file/field.h"
#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/resource.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"

/* ---- noting -----------------------------------------------------------------------------------
 */

/* "build.labels", "volumes[1].type: image": below the service; the whole at the top level. */
static const char *path_below_owner(struct report *report, const char *value)
{
    struct report below = {.arena = report->arena};
    size_t first = report->depth > 2 ? 2 : report->depth - 1;
    const char *path;

    for (size_t i = first; i < report->depth; i++)
        below.path[below.depth++] = report->path[i];
    path = report_path(&below);
    return value ? arena_printf(report->arena, "%s: %s", path, value) : path;
}

static void note_kept(struct load *load, struct span span, const char *value)
{
    struct report *report = &load->report;
    bool is_owned = report->depth > 2;

    vec_push(&load->unhonoured, (struct unhonoured){
                                    .section = is_owned ? report->path[0].key : NULL,
                                    .owner = is_owned ? report->path[1].key : NULL,
                                    .subject = is_owned ? report_subject(report) : "top level",
                                    .path = path_below_owner(report, value),
                                    .span = span,
                                });
}

static void warn_elsewhere(struct load *load, const struct field *field, struct span span)
{
    for (size_t i = 0; i < load->warned.n; i++) {
        if (load->warned.items[i].field == field && load->warned.items[i].file == span.file)
            return;
    }
    vec_push(&load->warned, (struct warned_key){.field = field, .file = span.file});
    report_warning(&load->report, span, NULL, "%s: `%s` has no effect on a single Linux machine",
                   report_subject(&load->report), path_below_owner(&load->report, NULL));
}

void unhonoured_note(struct load *load, const struct field *field, const struct node_entry *entry,
                     const struct node *value)
{
    if (!value || node_is_null(value) || report_is_full(&load->report))
        return;
    if (value->kind == NODE_SCALAR ? value->text_len == 0 : value->n == 0)
        return; /* says nothing */
    if (field->no_effect && value->kind == NODE_SCALAR &&
        strcmp(value->text, field->no_effect) == 0)
        return;
    switch (field->state) {
    case FIELD_HONOURED:
        break;
    case FIELD_KEPT:
        note_kept(load, entry->span, NULL);
        break;
    case FIELD_ELSEWHERE:
        warn_elsewhere(load, field, entry->span);
        break;
    }
}

void unhonoured_note_value(struct load *load, const struct node *value)
{
    if (!report_is_full(&load->report))
        note_kept(load, value->span, value->text);
}

void unhonoured_note_selinux(struct load *load, const struct node *value)
{
    if (report_is_full(&load->report))
        return;
    note_kept(load, value->span, value->text);
    vec_last(&load->unhonoured)->is_selinux = true;
}

/* ---- refusing ---------------------------------------------------------------------------------
 */

/* Whether the owner is part of what was selected; the top level always is. */
static bool has_owner(const struct project *project, const struct unhonoured *unhonoured)
{
    enum resource_kind kind;

    if (!unhonoured->section)
        return true;
    if (strcmp(unhonoured->section, "services") == 0)
        return project_find_service(project, unhonoured->owner) != NULL;
    kind = resource_kind_of(unhonoured->section);
    return kind == RESOURCE_KINDS || resource_find(&project->resources[kind], kind,
                                                   unhonoured->owner, strlen(unhonoured->owner));
}

/* What an image is built by: the section, and the service's platform. */
static bool is_of_build(const struct project *project, const struct unhonoured *unhonoured)
{
    const struct service *service = NULL;

    if (unhonoured->section && strcmp(unhonoured->section, "services") == 0)
        service = project_find_service(project, unhonoured->owner);
    return service && service->build.context &&
           (strncmp(unhonoured->path, "build.", 6) == 0 ||
            strncmp(unhonoured->path, "platform:", 9) == 0);
}

static bool is_wanted(const struct project *project, const struct unhonoured *unhonoured,
                      enum project_use use)
{
    if (use == PROJECT_USE_BUILD && !is_of_build(project, unhonoured))
        return false;
    if (unhonoured->is_selinux && use != PROJECT_USE_UP_SELINUX)
        return false;
    return has_owner(project, unhonoured);
}

static int compare_places(const void *a, const void *b)
{
    const struct span *left = &((const struct diagnostic *)a)->span;
    const struct span *right = &((const struct diagnostic *)b)->span;

    if (left->file != right->file)
        return left->file < right->file ? -1 : 1;
    if (left->line != right->line)
        return left->line < right->line ? -1 : 1;
    if (left->column != right->column)
        return left->column < right->column ? -1 : 1;
    return strcmp(((const struct diagnostic *)a)->message, ((const struct diagnostic *)b)->message);
}

int project_refuse_unhonoured(struct arena *arena, const struct project *project,
                              enum project_use use, struct diagnostics *ret, struct error *err)
{
    struct diagnostics all = {
        .items = arena_new_array(arena, struct diagnostic, project->n_unhonoured + 1),
        .sources = project->sources,
        .n_sources = project->n_sources,
    };

    for (size_t i = 0; i < project->n_unhonoured; i++) {
        const struct unhonoured *unhonoured = &project->unhonoured[i];

        if (!is_wanted(project, unhonoured, use) || all.n_errors++ >= DIAGNOSTICS_MAX)
            continue;
        all.items[all.n++] = (struct diagnostic){
            .severity = SEVERITY_ERROR,
            .span = unhonoured->span,
            .message = arena_printf(arena, "%s: `%s` is not honoured yet", unhonoured->subject,
                                    unhonoured->path),
            .hint = "berth refuses what it would have to ignore; remove the key to go on",
        };
    }
    if (all.n > 1)
        qsort(all.items, all.n, sizeof(all.items[0]), compare_places);
    *ret = all;
    if (all.n_errors == 0)
        return 0;
    return error_set(err, ERROR_INVALID, "%zu key%s that berth does not honour yet", all.n_errors,
                     all.n_errors == 1 ? "" : "s");
}
