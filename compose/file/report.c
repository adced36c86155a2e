/* Collecting diagnostics. */

#include "compose/file/report.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

void report_make_printable(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        bool is_c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0; /* U+0080 to U+009F */

        if (is_c1)
            c[1] = '?';
        if (*c < ' ' || *c == 0x7f || is_c1)
            *c = '?';
    }
}

void report_init(struct report *report, struct arena *arena)
{
    memset(report, 0, sizeof(*report));
    report->arena = arena;
}

void report_release(struct report *report)
{
    vec_release(&report->items);
    vec_release(&report->sources);
    vec_release(&report->silenced);
}

uint32_t report_add_source(struct report *report, const char *name, const char *path,
                           struct str text)
{
    vec_push(&report->sources, (struct source){.name = name, .path = path, .text = text});
    return (uint32_t)(report->sources.n - 1);
}

const char *report_source_name(const struct report *report, uint32_t source)
{
    return report->sources.items[source].name;
}

static bool is_silenced(const struct report *report, struct span span)
{
    for (size_t i = 0; i < report->silenced.n; i++) {
        if (span_equal(report->silenced.items[i], span))
            return true;
    }
    return false;
}

static const char *printable_hint(struct report *report, const char *hint)
{
    char *copy = arena_strdup(report->arena, hint);

    if (!copy)
        return NULL;
    report_make_printable(copy);
    return copy;
}

static void add(struct report *report, enum severity severity, struct span span, const char *hint,
                const char *fmt, va_list args)
{
    size_t *n = severity == SEVERITY_ERROR ? &report->n_errors : &report->n_warnings;
    struct buf message;

    if (is_silenced(report, span) || (*n)++ >= DIAGNOSTICS_MAX)
        return;
    buf_init(&message, ERROR_TEXT_MAX);
    buf_vprintf(&message, fmt, args);
    if (message.data)
        report_make_printable(message.data);
    for (size_t i = 0; i < report->items.n && severity == SEVERITY_WARNING; i++) {
        const struct diagnostic *old = &report->items.items[i];

        if (span_equal(old->span, span) && strcmp(old->message, buf_text(&message)) == 0) {
            (*n)--;
            buf_release(&message);
            return;
        }
    }
    vec_push(&report->items, (struct diagnostic){
                                 .severity = severity,
                                 .span = span,
                                 .message = arena_strdup(report->arena, buf_text(&message)),
                                 .hint = printable_hint(report, hint),
                             });
    buf_release(&message);
}

int report_error(struct report *report, struct span span, const char *hint, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add(report, SEVERITY_ERROR, span, hint, fmt, args);
    va_end(args);
    return -1;
}

void report_warning(struct report *report, struct span span, const char *hint, const char *fmt, ...)
{
    va_list args;

    if (report->n_warned++ >= REPORT_WARNED_MAX)
        return;
    va_start(args, fmt);
    add(report, SEVERITY_WARNING, span, hint, fmt, args);
    va_end(args);
}

void report_silence(struct report *report, struct span span)
{
    if (report->silenced.n < DIAGNOSTICS_MAX) /* more errors are not kept, either */
        vec_push(&report->silenced, span);
}

bool report_is_full(const struct report *report)
{
    return report->n_errors >= DIAGNOSTICS_MAX;
}

void report_enter_key(struct report *report, const char *key)
{
    if (report->depth == REPORT_PATH_MAX)
        BUG();
    report->path[report->depth++] = (struct report_step){.key = key};
}

void report_enter_index(struct report *report, size_t index)
{
    if (report->depth == REPORT_PATH_MAX)
        BUG();
    report->path[report->depth++] = (struct report_step){.index = index};
}

void report_leave(struct report *report)
{
    if (report->depth == 0)
        BUG();
    report->depth--;
}

const char *report_path(const struct report *report)
{
    struct buf text;
    const char *copy;

    buf_init(&text, ERROR_TEXT_MAX);
    for (size_t i = 0; i < report->depth; i++) {
        if (report->path[i].key)
            buf_printf(&text, "%s%s", i > 0 ? "." : "", report->path[i].key);
        else
            buf_printf(&text, "[%zu]", report->path[i].index);
    }
    copy = arena_strdup(report->arena, buf_text(&text));
    buf_release(&text);
    return copy;
}

const char *report_subject(const struct report *report)
{
    static const struct {
        const char *section;
        const char *noun;
    } nouns[] = {
        {"services", "service"}, {"networks", "network"}, {"volumes", "volume"},
        {"configs", "config"},   {"secrets", "secret"},   {"models", "model"},
    };

    if (report->depth < 2)
        return "top level";
    for (size_t i = 0; i < sizeof(nouns) / sizeof(nouns[0]); i++) {
        if (report->path[1].key && text_equal(report->path[0].key, nouns[i].section))
            return arena_printf(report->arena, "%s \"%s\"", nouns[i].noun, report->path[1].key);
    }
    return report_path(report);
}

const char *report_did_you_mean(const struct report *report, const char *name,
                                const char *const *names, size_t n_names)
{
    size_t len = strlen(name);
    size_t limit = len <= 3 ? 1 : (len <= 6 ? 2 : 3);
    size_t best = limit + 1;
    const char *nearest = NULL;

    if (len > 64 || report_is_full(report))
        return NULL;
    for (size_t i = 0; i < n_names; i++) {
        size_t distance;

        if (!names[i])
            continue;
        distance = text_distance(name, names[i], limit + 1);
        if (distance < best && distance < len) {
            best = distance;
            nearest = names[i];
        }
    }
    for (size_t i = 0; !nearest && len > 3 && i < n_names; i++) {
        if (names[i] && strncmp(names[i], name, len) == 0) /* environ… */
            nearest = names[i];
    }
    return nearest ? arena_printf(report->arena, "did you mean \"%s\"?", nearest) : NULL;
}

struct ranked {
    struct diagnostic diagnostic;
    size_t order;
};

static int compare_places(const void *a, const void *b)
{
    const struct ranked *left = a;
    const struct ranked *right = b;
    const struct span *first = &left->diagnostic.span;
    const struct span *second = &right->diagnostic.span;
    bool is_placed = first->line > 0 && second->line > 0;

    if ((first->line > 0) != (second->line > 0))
        return first->line > 0 ? 1 : -1;
    if (is_placed && first->file != second->file)
        return first->file < second->file ? -1 : 1;
    if (is_placed && first->line != second->line)
        return first->line < second->line ? -1 : 1;
    if (is_placed && first->column != second->column)
        return first->column < second->column ? -1 : 1;
    return left->order < right->order ? -1 : 1;
}

static void sort_by_place(struct report *report)
{
    struct ranked *ranked = arena_new_array(report->arena, struct ranked, report->items.n + 1);

    for (size_t i = 0; i < report->items.n; i++)
        ranked[i] = (struct ranked){.diagnostic = report->items.items[i], .order = i};
    qsort(ranked, report->items.n, sizeof(ranked[0]), compare_places);
    for (size_t i = 0; i < report->items.n; i++)
        report->items.items[i] = ranked[i].diagnostic;
}

/* A file that is read several times is wrong once. */
static void drop_doubles(struct report *report)
{
    size_t n = 0;

    for (size_t i = 0; i < report->items.n; i++) {
        const struct diagnostic *last = n > 0 ? &report->items.items[n - 1] : NULL;
        const struct diagnostic *next = &report->items.items[i];

        if (last && last->span.line > 0 && last->severity == next->severity &&
            span_equal(last->span, next->span) && strcmp(last->message, next->message) == 0)
            report->n_errors -= next->severity == SEVERITY_ERROR;
        else
            report->items.items[n++] = *next;
    }
    report->items.n = n;
}

struct diagnostics report_finish(struct report *report)
{
    sort_by_place(report);
    drop_doubles(report);
    return (struct diagnostics){
        .items = vec_to_arena(&report->items, report->arena),
        .n = report->items.n,
        .n_errors = report->n_errors,
        .sources = vec_to_arena(&report->sources, report->arena),
        .n_sources = report->sources.n,
    };
}

int report_fail(const struct report *report, struct error *err)
{
    const struct diagnostic *first = NULL;
    const char *name;

    for (size_t i = 0; i < report->items.n && !first; i++) {
        if (report->items.items[i].severity == SEVERITY_ERROR)
            first = &report->items.items[i];
    }
    if (!first)
        BUG();
    name = first->span.file < report->sources.n ? report->sources.items[first->span.file].name
                                                : "compose file";
    if (report->n_errors == 1 && first->span.line > 0)
        return error_set(err, ERROR_INVALID, "%s:%u:%u: %s", name, first->span.line,
                         first->span.column, first->message);
    if (report->n_errors == 1)
        return error_set(err, ERROR_INVALID, "%s", first->message);
    return error_set(err, ERROR_INVALID, "%s: %zu errors", name, report->n_errors);
}
