/* Types of single keys of a service that are kept. */

#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/types.h"
#include "compose/file/unhonoured.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/units.h"

/* ---- devices ----------------------------------------------------------------------------------
 */

static void put_part(struct load *load, struct node *map, const char *key, struct str text,
                     struct span span)
{
    node_add(map, key, span,
             node_new_text(load->arena, arena_strndup(load->arena, text.data, text.len), span));
}

/* The target is the source, unless it is said. */
static struct node *complete_device(struct load *load, const struct node *device)
{
    const struct node *source = node_get(device, "source");
    const struct node *target = node_get(device, "target");
    struct node *map;

    if (!source || !node_is_text(source) || (target && (!node_is_text(target) || *target->text)))
        return NULL;
    map = target ? node_without(load->arena, device, "target") : node_copy(load->arena, device, 1);
    node_add(map, "target", source->span, source);
    return map;
}

/* "SOURCE[:TARGET[:PERMISSIONS]]" */
static struct node *device_canonical(struct load *load, const struct field *field,
                                     const struct node *node)
{
    struct str parts[3] = {{0}, {0}, STR("rwm")};
    struct str rest;
    size_t n = 0;
    bool is_more = true;
    struct node *map;

    (void)field;
    if (node->kind == NODE_MAP)
        return complete_device(load, node);
    if (!node_is_text(node))
        return NULL;
    for (rest = str_from(node->text); is_more && n < 3; n++) {
        struct str tail = {0};

        is_more = str_cut(rest, ':', &parts[n], &tail);
        if (!is_more)
            parts[n] = rest;
        rest = tail;
    }
    if (is_more || parts[0].len == 0)
        return NULL; /* reported by keep */
    map = node_new(load->arena, NODE_MAP, node->span, 3);
    put_part(load, map, "source", parts[0], node->span);
    put_part(load, map, "target", parts[1].len > 0 ? parts[1] : parts[0], node->span);
    put_part(load, map, "permissions", parts[2], node->span);
    return map;
}

static const struct node *keep_device(struct load *load, const struct field *field,
                                      const struct node *node)
{
    if (node_is_text(node)) { /* the long form failed */
        report_error(&load->report, node->span, "write it as SOURCE:TARGET:rwm, or as a mapping",
                     "%s: confusing device mapping, please use long syntax: %s",
                     report_path(&load->report), node->text);
        return NULL;
    }
    if (node->kind != NODE_MAP) {
        wrong_type(load, node, "a string or mapping");
        return NULL;
    }
    return shape_keep(load, field->shape, node);
}

const struct field_type kept_device = {.canonical = device_canonical,
                                       .keep = keep_device,
                                       .schema = {.forms = SCHEMA_TEXT | SCHEMA_MAP}};

/* ---- times ------------------------------------------------------------------------------------
 */

/* The specification takes durations, too; Compose prints and the kernel counts microseconds. */
static const struct node *keep_microseconds(struct load *load, const struct field *field,
                                            const struct node *node)
{
    int64_t ns = 0;
    uint64_t number;
    struct error error = ERROR_INIT;

    if (!node_is_text(node) || parse_u64(str_from(node->text), 0, INT64_MAX, &number, NULL) == 0)
        return kept_nonzero.keep(load, field, node);
    if (parse_duration_ns(str_from(node->text), &ns, &error) < 0 || ns < 0) {
        report_error(&load->report, node->span, "write it as 950000 or 950ms", "%s: %s",
                     report_path(&load->report), ns < 0 ? "must not be negative" : error.text);
        return NULL;
    }
    return ns < 1000 ? NULL
                     : node_new_scalar(load->arena, NODE_INT,
                                       arena_printf(load->arena, "%lld", (long long)(ns / 1000)),
                                       node->span);
}

const struct field_type kept_microseconds = {.keep = keep_microseconds,
                                             .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT,
                                                        .pattern = "^[0-9]+$|" DURATION_PATTERN,
                                                        .range = RANGE(0, INT64_MAX)}};

/* ---- pull_policy ------------------------------------------------------------------------------
 */

static const struct node *keep_pull_policy(struct load *load, const struct field *field,
                                           const struct node *node)
{
    const struct node *kept = kept_text.keep(load, field, node);

    if (kept && strcmp(kept->text, "if_not_present") == 0 &&
        !(load->options->flags & PROJECT_NO_NORMALIZE))
        return node_new_text(load->arena, "missing", node->span);
    return kept;
}

const struct field_type kept_pull_policy = {.keep = keep_pull_policy,
                                            .schema = {.forms = SCHEMA_TEXT | SCHEMA_EMPTY}};

/* ---- values of which some are honoured --------------------------------------------------------
 */

#if defined(__x86_64__)
static const char host_platform[] = "linux/amd64";
#elif defined(__aarch64__)
static const char host_platform[] = "linux/arm64";
#else
static const char host_platform[] = "linux";
#endif

static const struct node *keep_platform(struct load *load, const struct field *field,
                                        const struct node *node)
{
    const struct node *kept = kept_text.keep(load, field, node);

    if (kept && *kept->text && strcmp(kept->text, host_platform) != 0 &&
        strcmp(kept->text, "linux") != 0)
        unhonoured_note_value(load, kept);
    return kept;
}

const struct field_type kept_platform = {
    .keep = keep_platform, .schema = {.forms = SCHEMA_TEXT | SCHEMA_EMPTY}, .judges = true};

/* A service is found by its name anyway; what is left of the link is the dependency. */
static const struct node *keep_link(struct load *load, const struct field *field,
                                    const struct node *node)
{
    const struct node *kept = kept_text.keep(load, field, node);
    struct str name;
    struct str alias;

    if (kept && str_cut(str_from(kept->text), ':', &name, &alias) &&
        (name.len != alias.len || memcmp(name.data, alias.data, name.len) != 0))
        unhonoured_note_value(load, kept);
    return kept;
}

const struct field_type kept_link = {
    .keep = keep_link, .schema = {.forms = SCHEMA_TEXT}, .judges = true};

bool security_opt_is_no_new_privileges(const char *option, bool *ret)
{
    static const struct {
        const char *text;
        bool value;
    } options[] = {
        {"no-new-privileges", true},        {"no-new-privileges:true", true},
        {"no-new-privileges=true", true},   {"no-new-privileges:false", false},
        {"no-new-privileges=false", false},
    };

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (strcmp(option, options[i].text) == 0) {
            *ret = options[i].value;
            return true;
        }
    }
    return false;
}

static const struct node *keep_security_opt(struct load *load, const struct field *field,
                                            const struct node *node)
{
    const struct node *kept = kept_text.keep(load, field, node);
    bool value;

    if (kept && !security_opt_is_no_new_privileges(kept->text, &value))
        unhonoured_note_value(load, kept);
    return kept;
}

const struct field_type kept_security_opt = {
    .keep = keep_security_opt, .schema = {.forms = SCHEMA_TEXT}, .judges = true};

/* ---- models -----------------------------------------------------------------------------------
 */

/* Names → null. */
static struct node *models_canonical(struct load *load, const struct field *field,
                                     const struct node *node)
{
    return type_attachments.canonical(load, field, node);
}

static const struct node *keep_models(struct load *load, const struct field *field,
                                      const struct node *node)
{
    if (node->kind == NODE_MAP)
        return kept_map.keep(load, field, node);
    if (node->kind != NODE_LIST)
        wrong_type(load, node, "a list or mapping");
    for (size_t i = 0; i < node->n; i++) { /* one is no text */
        report_enter_index(&load->report, i);
        (void)want_text(load, node->entries[i].value); /* reported */
        report_leave(&load->report);
    }
    return NULL;
}

const struct field_type kept_models = {.canonical = models_canonical,
                                       .keep = keep_models,
                                       .schema = {.forms = SCHEMA_LIST | SCHEMA_MAP}};
