/* Types of single values. */

#include <arpa/inet.h>
#include <math.h>
#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/types.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/units.h"

/* ---- helpers ----------------------------------------------------------------------------------
 */

void wrong_type(struct load *load, const struct node *node, const char *wanted)
{
    const char *hint = NULL;

    if (node_is_null(node))
        hint = "remove the key, or give it a value";
    else if (node->kind == NODE_SCALAR && strstr(wanted, "string") && node->text_len < 100)
        hint = arena_printf(load->arena, "write it in quotes: \"%s\"", node->text);
    report_error(&load->report, node->span, hint, "%s must be %s", report_path(&load->report),
                 wanted);
}

const char *want_text(struct load *load, const struct node *node)
{
    if (node_is_text(node))
        return node->text;
    wrong_type(load, node, "a string");
    return NULL;
}

bool want_kind(struct load *load, const struct node *node, enum want_kind kind)
{
    if (node->kind == (kind == WANT_LIST ? NODE_LIST : NODE_MAP))
        return true;
    wrong_type(load, node, kind == WANT_LIST ? "a list" : "a mapping");
    return false;
}

static int scalar_int(const struct node *node, int64_t *ret)
{
    struct str text = {node->text, node->text_len};

    if (node->kind != NODE_SCALAR)
        return -1;
    if (node->type == NODE_INT)
        return node_int_value(text, ret) ? 0 : -1;
    if (node->type == NODE_FLOAT) { /* 3.0 */
        double value = node_float_value(text);

        if (!(value > -1e15 && value < 1e15) || value != (double)(int64_t)value)
            return -1;
        *ret = (int64_t)value;
        return 0;
    }
    return node->type == NODE_TEXT ? parse_i64(text, INT64_MIN, INT64_MAX, ret, NULL) : -1;
}

int want_int(struct load *load, const struct node *node, int64_t min, int64_t max, int64_t *ret)
{
    const char *path;
    int64_t value;

    if (scalar_int(node, &value) < 0) {
        wrong_type(load, node, "an integer");
        return -1;
    }
    path = value < min || value > max ? report_path(&load->report) : NULL;
    if (value < min)
        return report_error(&load->report, node->span, NULL,
                            "%s must be greater than or equal to %lld", path, (long long)min);
    if (value > max)
        return report_error(&load->report, node->span, NULL,
                            "%s must be less than or equal to %lld", path, (long long)max);
    *ret = value;
    return 0;
}

int want_bool(struct load *load, const struct node *node, bool *ret)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true}, {"false", false}, {"y", true},   {"yes", true},
                 {"on", true},   {"n", false},     {"no", false}, {"off", false}};
    bool is_text = node_is_text(node);

    if (node->kind == NODE_SCALAR && node->type == NODE_BOOL) {
        *ret = node_bool_value(node->text);
        return 0;
    }
    for (size_t i = 0; is_text && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(node->text, words[i].word) != 0)
            continue;
        *ret = words[i].value;
        if (i >= 2)
            report_warning(&load->report, node->span, NULL,
                           "\"%s\" for boolean is not supported by YAML 1.2, please use `%s`",
                           node->text, words[i].value ? "true" : "false");
        return 0;
    }
    if (is_text)
        return report_error(&load->report, node->span, NULL, "%s: invalid boolean: %s",
                            report_path(&load->report), node->text);
    wrong_type(load, node, "a boolean");
    return -1;
}

const char *want_scalar_text(struct load *load, const struct node *node)
{
    const char *text;

    if (node->kind != NODE_SCALAR) {
        wrong_type(load, node, "a boolean, null, number or string");
        return NULL;
    }
    text = node_scalar_text(load->arena, node);
    if (text && node->type != NODE_BOOL && strcmp(text, node->text) != 0)
        report_warning(&load->report, node->span,
                       arena_printf(load->arena, "write \"%s\" to keep it as it is", node->text),
                       "%s: YAML reads %s as the number %s", report_path(&load->report), node->text,
                       text);
    return text ? text : "";
}

const struct node *encode_text(const struct encoder *encoder, const char *text)
{
    return text ? node_new_text(encoder->arena, text, (struct span){0}) : NULL;
}

const struct node *encode_int(const struct encoder *encoder, int64_t value)
{
    return node_new_scalar(encoder->arena, NODE_INT,
                           arena_printf(encoder->arena, "%lld", (long long)value),
                           (struct span){0});
}

const struct node *encode_bool(const struct encoder *encoder, bool value)
{
    return node_new_scalar(encoder->arena, NODE_BOOL, value ? "true" : "false", (struct span){0});
}

const struct node *encode_null(const struct encoder *encoder)
{
    return node_new_scalar(encoder->arena, NODE_NULL, "null", (struct span){0});
}

struct node *encode_list(const struct encoder *encoder, size_t capacity)
{
    return node_new(encoder->arena, NODE_LIST, (struct span){0}, capacity);
}

struct node *encode_map(const struct encoder *encoder, size_t capacity)
{
    return node_new(encoder->arena, NODE_MAP, (struct span){0}, capacity);
}

struct node *encode_object(const struct encoder *encoder, size_t capacity)
{
    struct node *map = encode_map(encoder, capacity);

    map->is_ordered = true;
    return map;
}

void encode_put(struct node *node, const char *key, const struct node *value)
{
    if (value)
        node_add(node, key, (struct span){0}, value);
}

/* ---- text -------------------------------------------------------------------------------------
 */

static void text_decode(struct load *load, const struct field *field, const struct node *node,
                        void *object)
{
    const char *text = want_text(load, node);

    if (!text || *text || field->is_required) /* an empty one says nothing: ${NOT_SET} */
        *SLOT(const char *, object, field) = text;
}

static const struct node *text_encode(const struct encoder *encoder, const struct field *field,
                                      const void *object)
{
    return encode_text(encoder, *SLOT_CONST(char *, object, field));
}

const struct field_type type_text = {
    .decode = text_decode, .encode = text_encode, .schema = {.forms = SCHEMA_TEXT}};

static void name_decode(struct load *load, const struct field *field, const struct node *node,
                        void *object)
{
    const char *name = want_text(load, node);

    if (name && !*name)
        report_error(&load->report, node->span, NULL, "%s must not be empty",
                     report_path(&load->report));
    *SLOT(const char *, object, field) = name;
}

const struct field_type type_name = {
    .decode = name_decode, .encode = text_encode, .schema = {.forms = SCHEMA_TEXT}};

static bool is_word(const char *text, const char *more)
{
    for (size_t i = 0; text[i]; i++) {
        bool is_alnum = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') ||
                        (text[i] >= '0' && text[i] <= '9');

        if (!is_alnum && (i == 0 || !strchr(more, text[i])))
            return false;
    }
    return *text != 0;
}

static void container_name_decode(struct load *load, const struct field *field,
                                  const struct node *node, void *object)
{
    const char *name = want_text(load, node);

    if (name && (!is_word(name, "_.-") || strlen(name) < 2 || strlen(name) > 255))
        report_error(&load->report, node->span, NULL,
                     "%s: \"%s\" does not match pattern \"[a-zA-Z0-9][a-zA-Z0-9_.-]+\"",
                     report_path(&load->report), name);
    *SLOT(const char *, object, field) = name;
}

const struct field_type type_container_name = {
    .decode = container_name_decode,
    .encode = text_encode,
    .schema = {.forms = SCHEMA_TEXT, .pattern = "^[a-zA-Z0-9][a-zA-Z0-9_.-]+$"}};

static void hostname_decode(struct load *load, const struct field *field, const struct node *node,
                            void *object)
{
    const char *name = want_text(load, node);

    if (name && !*name)
        return;
    if (name && (strlen(name) > 64 || !is_word(name, "_.-")))
        report_error(&load->report, node->span, NULL,
                     "%s: \"%s\" is no host name: letters, digits, '-', '.' and '_', at most 64",
                     report_path(&load->report), name);
    *SLOT(const char *, object, field) = name;
}

const struct field_type type_hostname = {
    .decode = hostname_decode,
    .encode = text_encode,
    .schema = {.forms = SCHEMA_TEXT, .pattern = "^([a-zA-Z0-9][a-zA-Z0-9_.-]{0,63})?$"}};

static void address_decode(struct load *load, const struct field *field, const struct node *node,
                           void *object)
{
    const char *text = want_text(load, node);
    unsigned char address[16];

    if (text && inet_pton(AF_INET, text, address) != 1 && inet_pton(AF_INET6, text, address) != 1)
        report_error(&load->report, node->span, NULL, "%s: invalid ip address: %s",
                     report_path(&load->report), text);
    *SLOT(const char *, object, field) = text;
}

const struct field_type type_address = {
    .decode = address_decode,
    .encode = text_encode,
    .schema = {.forms = SCHEMA_TEXT, .pattern = ADDRESS_PATTERN}};

static void signal_decode(struct load *load, const struct field *field, const struct node *node,
                          void *object)
{
    const char *text = want_text(load, node);
    struct error error = ERROR_INIT;
    int number;

    if (!text || !*text)
        return;
    if (parse_signal(str_from(text), &number, &error) < 0)
        report_error(&load->report, node->span, NULL, "%s: %s", report_path(&load->report),
                     error.text);
    *SLOT(const char *, object, field) = text;
}

const struct field_type type_signal = {
    .decode = signal_decode, .encode = text_encode, .schema = {.forms = SCHEMA_TEXT}};

/* ---- booleans ---------------------------------------------------------------------------------
 */

static void bool_decode(struct load *load, const struct field *field, const struct node *node,
                        void *object)
{
    (void)want_bool(load, node, SLOT(bool, object, field)); /* reported */
}

static const struct node *bool_encode(const struct encoder *encoder, const struct field *field,
                                      const void *object)
{
    return *SLOT_CONST(bool, object, field) ? encode_bool(encoder, true) : NULL;
}

static const struct node *bool_encode_always(const struct encoder *encoder,
                                             const struct field *field, const void *object)
{
    return encode_bool(encoder, *SLOT_CONST(bool, object, field));
}

static const struct node *bool_encode_false(const struct encoder *encoder,
                                            const struct field *field, const void *object)
{
    return *SLOT_CONST(bool, object, field) ? NULL : encode_bool(encoder, false);
}

const struct field_type type_bool = {
    .decode = bool_decode,
    .encode = bool_encode,
    .schema = {.forms = SCHEMA_BOOL | SCHEMA_TEXT, .pattern = BOOL_PATTERN}};
const struct field_type type_bool_always = {
    .decode = bool_decode,
    .encode = bool_encode_always,
    .schema = {.forms = SCHEMA_BOOL | SCHEMA_TEXT, .pattern = BOOL_PATTERN}};
const struct field_type type_bool_default_true = {
    .decode = bool_decode,
    .encode = bool_encode_false,
    .schema = {.forms = SCHEMA_BOOL | SCHEMA_TEXT, .pattern = BOOL_PATTERN}};

static const struct schema external_name = {.forms = SCHEMA_TEXT};

/* external: {name: …} is brought to its long form by the resource (types_resource.c). */
const struct field_type type_external = {.decode = bool_decode,
                                         .encode = bool_encode,
                                         .schema = {.forms = SCHEMA_BOOL | SCHEMA_TEXT | SCHEMA_MAP,
                                                    .pattern = BOOL_PATTERN,
                                                    .names_pattern = "^name$",
                                                    .min_names = 1,
                                                    .items = &external_name}};

static void tristate_decode(struct load *load, const struct field *field, const struct node *node,
                            void *object)
{
    bool value;

    if (want_bool(load, node, &value) == 0)
        *SLOT(int, object, field) = value;
}

static const struct node *tristate_encode(const struct encoder *encoder, const struct field *field,
                                          const void *object)
{
    int value = *SLOT_CONST(int, object, field);

    return value < 0 ? NULL : encode_bool(encoder, value != 0);
}

const struct field_type type_tristate = {
    .decode = tristate_decode,
    .encode = tristate_encode,
    .schema = {.forms = SCHEMA_BOOL | SCHEMA_TEXT, .pattern = BOOL_PATTERN}};

/* ---- numbers ----------------------------------------------------------------------------------
 */

static void count_decode(struct load *load, const struct field *field, const struct node *node,
                         void *object)
{
    (void)want_int(load, node, 0, INT64_MAX, SLOT(int64_t, object, field)); /* reported */
}

static const struct node *count_encode(const struct encoder *encoder, const struct field *field,
                                       const void *object)
{
    int64_t value = *SLOT_CONST(int64_t, object, field);

    return value < 0 ? NULL : encode_int(encoder, value);
}

const struct field_type type_count = {.decode = count_decode,
                                      .encode = count_encode,
                                      .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT,
                                                 .pattern = INTEGER_PATTERN,
                                                 .range = RANGE(0, INT64_MAX)}};

static void pids_decode(struct load *load, const struct field *field, const struct node *node,
                        void *object)
{
    (void)want_int(load, node, -1, INT64_MAX, SLOT(int64_t, object, field)); /* reported */
}

static const struct node *pids_encode(const struct encoder *encoder, const struct field *field,
                                      const void *object)
{
    int64_t value = *SLOT_CONST(int64_t, object, field);

    return value == SERVICE_PIDS_UNSET ? NULL : encode_int(encoder, value);
}

const struct field_type type_pids = {.decode = pids_decode,
                                     .encode = pids_encode,
                                     .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT,
                                                .pattern = INTEGER_PATTERN,
                                                .range = RANGE(-1, INT64_MAX)}};

int want_number(struct load *load, const struct node *node, int64_t min, int64_t max, double *ret)
{
    struct str text = {node->text, node->text_len};
    enum node_type type = NODE_NULL;
    double value = 0;
    int64_t integer;

    if (node->kind == NODE_SCALAR)
        type = node->type == NODE_TEXT ? node_type_of(text) : node->type;
    if (type == NODE_INT && node_int_value(text, &integer))
        value = (double)integer;
    else if (type == NODE_FLOAT)
        value = node_float_value(text);
    else {
        wrong_type(load, node, "a number");
        return -1;
    }
    if (!isfinite(value) || value < (double)min || value > (double)max)
        return report_error(&load->report, node->span, NULL, "%s must be between %lld and %lld",
                            report_path(&load->report), (long long)min, (long long)max);
    *ret = value;
    return 0;
}

static void number_decode(struct load *load, const struct field *field, const struct node *node,
                          void *object)
{
    (void)want_number(load, node, 0, 1000000, SLOT(double, object, field)); /* reported */
}

static const struct node *number_encode(const struct encoder *encoder, const struct field *field,
                                        const void *object)
{
    double value = *SLOT_CONST(double, object, field);
    struct node *as_float;

    if (value <= 0) /* 0: as many as there are, as when nothing is said */
        return NULL;
    as_float = node_new_scalar(encoder->arena, NODE_FLOAT,
                               arena_printf(encoder->arena, "%.17g", value), (struct span){0});
    return node_new_scalar(encoder->arena, NODE_FLOAT, node_scalar_text(encoder->arena, as_float),
                           (struct span){0});
}

const struct field_type type_number = {.decode = number_decode,
                                       .encode = number_encode,
                                       .schema = {.forms = SCHEMA_NUMBER | SCHEMA_TEXT,
                                                  .pattern = NUMBER_PATTERN,
                                                  .range = RANGE(0, 1000000)}};

static void bytes_decode(struct load *load, const struct field *field, const struct node *node,
                         void *object)
{
    struct error error = ERROR_INIT;
    uint64_t value;
    int64_t integer;

    if (node->kind == NODE_SCALAR && node->type != NODE_TEXT && scalar_int(node, &integer) == 0) {
        if (want_int(load, node, 0, INT64_MAX, &integer) == 0)
            *SLOT(int64_t, object, field) = integer;
        return;
    }
    if (!node_is_text(node)) {
        wrong_type(load, node, "a size: a number of bytes, or a string such as \"64m\"");
        return;
    }
    if (parse_bytes(str_from(node->text), &value, &error) < 0)
        report_error(&load->report, node->span, "write it as 512k, 64m or 1.5g", "%s: %s",
                     report_path(&load->report), error.text);
    else if (value > INT64_MAX)
        report_error(&load->report, node->span, NULL, "%s: \"%s\" is too large",
                     report_path(&load->report), node->text);
    else
        *SLOT(int64_t, object, field) = (int64_t)value;
}

static const struct node *bytes_encode(const struct encoder *encoder, const struct field *field,
                                       const void *object)
{
    int64_t value = *SLOT_CONST(int64_t, object, field);

    return value < 0 ? NULL
                     : encode_text(encoder, arena_printf(encoder->arena, "%lld", (long long)value));
}

const struct field_type type_bytes = {.decode = bytes_decode,
                                      .encode = bytes_encode,
                                      .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT,
                                                 .pattern = BYTES_PATTERN,
                                                 .range = RANGE(0, INT64_MAX)}};

static void duration_decode(struct load *load, const struct field *field, const struct node *node,
                            void *object)
{
    bool is_number = node->kind == NODE_SCALAR && node->type == NODE_INT;
    const char *text = node_is_text(node) || is_number ? node->text : NULL;
    struct error error = ERROR_INIT;
    int64_t value;

    if (!text) {
        wrong_type(load, node, "a duration");
        return;
    }
    if (parse_duration_ns(str_from(text), &value, &error) < 0)
        report_error(&load->report, node->span, "write it as 500ms, 30s or 1m30s", "%s: %s",
                     report_path(&load->report), error.text);
    else if (value < 0)
        report_error(&load->report, node->span, NULL, "%s must not be negative",
                     report_path(&load->report));
    else
        *SLOT(int64_t, object, field) = value;
}

static const struct node *duration_encode(const struct encoder *encoder, const struct field *field,
                                          const void *object)
{
    int64_t value = *SLOT_CONST(int64_t, object, field);
    const struct node *node;
    struct buf text = BUF_INIT;

    if (value < 0)
        return NULL;
    print_duration_go(&text, value);
    node = encode_text(encoder, arena_strdup(encoder->arena, buf_text(&text)));
    buf_release(&text);
    return node;
}

const struct field_type type_duration = {.decode = duration_decode,
                                         .encode = duration_encode,
                                         .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT,
                                                    .pattern = DURATION_PATTERN,
                                                    .range = RANGE(0, 0)}};

/* -1: not octal */
static int64_t parse_octal(const char *text)
{
    int64_t value = 0;

    if (!*text || strlen(text) > 8)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '7')
            return -1;
        value = value * 8 + (*text - '0');
    }
    return value;
}

/* A string is octal ("0440", "440"); a YAML integer is what it is (0440 is octal already). */
static void file_mode_decode(struct load *load, const struct field *field, const struct node *node,
                             void *object)
{
    int64_t value = 0;

    if (node_is_text(node)) {
        value = parse_octal(node->text);
    } else if (want_int(load, node, 0, INT64_MAX, &value) < 0) {
        return;
    } else if (node->text[0] != '0') {
        report_warning(&load->report, node->span, "write it in quotes",
                       "%s: %s is a decimal number, octal %llo", report_path(&load->report),
                       node->text, (unsigned long long)value);
    }
    if (value < 0 || value > 07777)
        report_error(&load->report, node->span, NULL, "%s: \"%s\" is no file mode",
                     report_path(&load->report), node->text);
    else
        *SLOT(int64_t, object, field) = value;
}

static const struct node *file_mode_encode(const struct encoder *encoder, const struct field *field,
                                           const void *object)
{
    int64_t value = *SLOT_CONST(int64_t, object, field);

    return value < 0 ? NULL
                     : encode_text(encoder, arena_printf(encoder->arena, "0%llo",
                                                         (unsigned long long)value));
}

const struct field_type type_file_mode = {.decode = file_mode_decode,
                                          .encode = file_mode_encode,
                                          .schema = {.forms = SCHEMA_INT | SCHEMA_TEXT,
                                                     .pattern = FILE_MODE_PATTERN,
                                                     .range = RANGE(0, 07777)}};

/* ---- restart ----------------------------------------------------------------------------------
 */

static const char *const restart_name[] = {
    [SERVICE_RESTART_NO] = "no",
    [SERVICE_RESTART_ALWAYS] = "always",
    [SERVICE_RESTART_ON_FAILURE] = "on-failure",
    [SERVICE_RESTART_UNLESS_STOPPED] = "unless-stopped",
};

static void restart_decode(struct load *load, const struct field *field, const struct node *node,
                           void *object)
{
    struct service *service = object;
    const char *text = want_text(load, node);
    struct str name;
    struct str count;
    uint64_t retries = 0;
    bool has_count;

    (void)field;
    if (!text || !*text) /* ${RESTART:-} */
        return;
    has_count = str_cut(str_from(text), ':', &name, &count);
    for (size_t i = SERVICE_RESTART_NO; i < sizeof(restart_name) / sizeof(restart_name[0]); i++) {
        if (str_is(name, restart_name[i]))
            service->restart = (enum service_restart)i;
    }
    if (service->restart == SERVICE_RESTART_UNSET ||
        (has_count && (service->restart != SERVICE_RESTART_ON_FAILURE ||
                       parse_u64(count, 0, INT32_MAX, &retries, NULL) < 0)))
        report_error(&load->report, node->span,
                     "one of no, always, unless-stopped, on-failure, on-failure:N",
                     "%s: invalid restart policy \"%s\"", report_path(&load->report), text);
    service->restart_retries = (int64_t)retries;
}

static const struct node *restart_encode(const struct encoder *encoder, const struct field *field,
                                         const void *object)
{
    const struct service *service = object;

    (void)field;
    if (service->restart == SERVICE_RESTART_UNSET)
        return NULL;
    if (service->restart == SERVICE_RESTART_ON_FAILURE && service->restart_retries > 0)
        return encode_text(encoder, arena_printf(encoder->arena, "on-failure:%lld",
                                                 (long long)service->restart_retries));
    return encode_text(encoder, restart_name[service->restart]);
}

const struct field_type type_restart = {
    .decode = restart_decode,
    .encode = restart_encode,
    .schema = {.forms = SCHEMA_TEXT,
               .pattern = "^(no|always|unless-stopped|on-failure(:[0-9]+)?)?$"}};

/* ---- what other steps look at -----------------------------------------------------------------
 */

void decode_nothing(struct load *load, const struct field *field, const struct node *node,
                    void *object)
{
    (void)load;
    (void)field;
    (void)node;
    (void)object;
}

/* It has no effect, as a warning says (load.c); only its type is checked. */
static void version_decode(struct load *load, const struct field *field, const struct node *node,
                           void *object)
{
    (void)field;
    (void)object;
    (void)want_text(load, node);
}

const struct field_type type_version = {.decode = version_decode, .schema = {.forms = SCHEMA_TEXT}};
const struct field_type type_ignored = {.decode = decode_nothing, .schema = {.forms = SCHEMA_TEXT}};
