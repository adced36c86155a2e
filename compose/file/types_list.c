/* Types of lists of text and of name/value mappings. */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/shell_words.h"
#include "compose/file/types.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/units.h"

static const struct schema text_schema = {.forms = SCHEMA_TEXT};
static const struct schema port_schema = {.forms = SCHEMA_INT | SCHEMA_TEXT,
                                          .pattern = "^[0-9]+(-[0-9]+)?(/[a-zA-Z]+)?$",
                                          .range = RANGE(1, 65535)};
static const struct schema profile_schema = {.forms = SCHEMA_TEXT,
                                             .pattern = "^([a-zA-Z0-9][a-zA-Z0-9_.-]*)?$"};
static const struct schema value_schema = {.forms = SCHEMA_SCALAR | SCHEMA_NULL};
static const struct schema host_schema = {.forms = SCHEMA_TEXT | SCHEMA_LIST,
                                          .items = &text_schema};

/* ---- unique keys ------------------------------------------------------------------------------
 */

const char *unique_text(struct arena *arena, const struct node *item)
{
    (void)arena;
    return item->kind == NODE_SCALAR ? item->text : NULL;
}

const char *unique_mount_text(struct arena *arena, const struct node *item)
{
    if (item->kind != NODE_SCALAR)
        return NULL;
    return arena_strndup(arena, item->text, strcspn(item->text, ":"));
}

const char *unique_target(struct arena *arena, const struct node *item)
{
    const struct node *target = node_get(item, "target");

    (void)arena;
    return target && target->kind == NODE_SCALAR ? target->text : NULL;
}

const char *unique_path(struct arena *arena, const struct node *item)
{
    const struct node *path = node_get(item, "path");

    (void)arena;
    return path && path->kind == NODE_SCALAR ? path->text : NULL;
}

/* ---- lists of text ----------------------------------------------------------------------------
 */

static const struct node *encode_strings(const struct encoder *encoder, const struct strings *list)
{
    struct node *node = encode_list(encoder, list->n);

    for (size_t i = 0; i < list->n; i++)
        encode_put(node, NULL, encode_text(encoder, list->items[i]));
    return node;
}

/* Every item through `read`, which reports what it does not take and returns NULL. */
static struct strings read_items(struct load *load, const struct node *node,
                                 const char *(*read)(struct load *, const struct node *))
{
    struct strings list = {0};

    if (!want_kind(load, node, WANT_LIST))
        return list;
    list.items = arena_new_array(load->arena, const char *, node->n + 1);
    for (size_t i = 0; i < node->n; i++) {
        const char *text;

        report_enter_index(&load->report, i);
        text = read(load, node->entries[i].value);
        report_leave(&load->report);
        if (text)
            list.items[list.n++] = text;
    }
    return list;
}

static void texts_decode(struct load *load, const struct field *field, const struct node *node,
                         void *object)
{
    *SLOT(struct strings, object, field) = read_items(load, node, want_text);
}

static const struct node *texts_encode(const struct encoder *encoder, const struct field *field,
                                       const void *object)
{
    const struct strings *list = SLOT_CONST(struct strings, object, field);

    return list->n > 0 ? encode_strings(encoder, list) : NULL;
}

const struct field_type type_texts = {.decode = texts_decode,
                                      .encode = texts_encode,
                                      .schema = {.forms = SCHEMA_LIST, .items = &text_schema}};

static struct node *listify(struct load *load, const struct field *field, const struct node *node)
{
    struct node *list;

    (void)field;
    if (!node_is_text(node))
        return NULL;
    list = node_new(load->arena, NODE_LIST, node->span, 1);
    node_add(list, NULL, node->span, node);
    return list;
}

/* What the long form did not make a list of. */
static bool want_text_or_list(struct load *load, const struct node *node)
{
    if (node->kind == NODE_LIST)
        return true;
    wrong_type(load, node, "a list or string");
    return false;
}

static void text_or_list_decode(struct load *load, const struct field *field,
                                const struct node *node, void *object)
{
    if (want_text_or_list(load, node))
        texts_decode(load, field, node, object);
}

const struct field_type type_text_or_list = {
    .canonical = listify,
    .wraps_text = true,
    .decode = text_or_list_decode,
    .encode = texts_encode,
    .schema = {.forms = SCHEMA_TEXT | SCHEMA_LIST, .items = &text_schema}};

/* Read into the labels; never printed. */
const struct field_type type_label_file = {
    .canonical = listify,
    .wraps_text = true,
    .decode = text_or_list_decode,
    .schema = {.forms = SCHEMA_TEXT | SCHEMA_LIST, .items = &text_schema}};

/* Empty items say nothing: what a variable without a value leaves. */
static struct node *dns_canonical(struct load *load, const struct field *field,
                                  const struct node *node)
{
    const struct node *list = listify(load, field, node);
    struct node *kept;

    if (!list)
        list = node;
    if (list->kind != NODE_LIST)
        return NULL;
    kept = node_new(load->arena, NODE_LIST, list->span, list->n);
    for (size_t i = 0; i < list->n; i++) {
        const struct node *item = list->entries[i].value;

        if (!node_is_text(item) || *item->text)
            node_add(kept, NULL, list->entries[i].span, item);
    }
    return kept;
}

static const char *read_address(struct load *load, const struct node *node)
{
    unsigned char binary[16];
    const char *text = want_text(load, node);

    if (!text || inet_pton(AF_INET, text, binary) == 1 || inet_pton(AF_INET6, text, binary) == 1)
        return text;
    report_error(&load->report, node->span, NULL, "%s: invalid ip address: %s",
                 report_path(&load->report), text);
    return NULL;
}

static void dns_decode(struct load *load, const struct field *field, const struct node *node,
                       void *object)
{
    if (want_text_or_list(load, node))
        *SLOT(struct strings, object, field) = read_items(load, node, read_address);
}

const struct field_type type_dns = {
    .canonical = dns_canonical,
    .wraps_text = true,
    .decode = dns_decode,
    .encode = texts_encode,
    .schema = {.forms = SCHEMA_TEXT | SCHEMA_LIST, .items = &text_schema}};

/* "/run", "/run:size=64m,mode=755" */
static const char *read_tmpfs(struct load *load, const struct node *node)
{
    const char *text = want_text(load, node);

    if (text && text[0] != '/') {
        report_error(&load->report, node->span, NULL, "%s: \"%s\" must be an absolute path",
                     report_path(&load->report), text);
        return NULL;
    }
    return text;
}

static void tmpfs_decode(struct load *load, const struct field *field, const struct node *node,
                         void *object)
{
    if (want_text_or_list(load, node))
        *SLOT(struct strings, object, field) = read_items(load, node, read_tmpfs);
}

const struct field_type type_tmpfs = {
    .canonical = listify,
    .wraps_text = true,
    .decode = tmpfs_decode,
    .encode = texts_encode,
    .schema = {.forms = SCHEMA_TEXT | SCHEMA_LIST, .items = &text_schema}};

/* "80", "80-90/udp" */
static const char *read_expose(struct load *load, const struct node *node)
{
    struct str range;
    struct str protocol = {0};
    struct str first;
    struct str last = {0};
    uint64_t low;
    uint64_t high;

    if (node->kind != NODE_SCALAR || (node->type != NODE_TEXT && node->type != NODE_INT)) {
        wrong_type(load, node, "a number or string");
        return NULL;
    }
    if (str_cut(str_from(node->text), '/', &range, &protocol) && !str_is(protocol, "tcp") &&
        !str_is(protocol, "udp") && !str_is(protocol, "sctp")) {
        report_error(&load->report, node->span, NULL, "%s: invalid proto: " STR_FMT,
                     report_path(&load->report), STR_ARG(protocol));
        return NULL;
    }
    if (!str_cut(range, '-', &first, &last))
        last = first;
    if (parse_u64(first, 1, 65535, &low, NULL) < 0 || parse_u64(last, 1, 65535, &high, NULL) < 0 ||
        high < low) {
        report_error(&load->report, node->span, NULL, "%s: \"%s\" is no port or range of ports",
                     report_path(&load->report), node->text);
        return NULL;
    }
    return node->text;
}

static void expose_decode(struct load *load, const struct field *field, const struct node *node,
                          void *object)
{
    *SLOT(struct strings, object, field) = read_items(load, node, read_expose);
}

const struct field_type type_expose = {.decode = expose_decode,
                                       .encode = texts_encode,
                                       .schema = {.forms = SCHEMA_LIST, .items = &port_schema}};

static const char *read_profile(struct load *load, const struct node *node)
{
    const char *text = want_text(load, node);
    bool is_good = text && (!*text || !strchr("_.-", *text)); /* "": select.c */

    for (size_t i = 0; is_good && text[i]; i++)
        is_good = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'A' && text[i] <= 'Z') ||
                  (text[i] >= 'a' && text[i] <= 'z') || strchr("_.-", text[i]);
    if (text && !is_good)
        report_error(&load->report, node->span, NULL,
                     "%s: \"%s\" does not match pattern \"[a-zA-Z0-9][a-zA-Z0-9_.-]*\"",
                     report_path(&load->report), text);
    return is_good ? text : NULL;
}

static void profiles_decode(struct load *load, const struct field *field, const struct node *node,
                            void *object)
{
    *SLOT(struct strings, object, field) = read_items(load, node, read_profile);
}

const struct field_type type_profiles = {
    .decode = profiles_decode,
    .encode = texts_encode,
    .schema = {.forms = SCHEMA_LIST, .items = &profile_schema}};

/* ---- name/value -------------------------------------------------------------------------------
 */

/* "K=V" items → a mapping; NULL if an item is no text. */
static struct node *pairs_canonical(struct load *load, const struct field *field,
                                    const struct node *node)
{
    struct node *map;

    (void)field;
    if (node->kind != NODE_LIST)
        return NULL;
    map = node_new(load->arena, NODE_MAP, node->span, node->n);
    for (size_t i = 0; i < node->n; i++) {
        const struct node *item = node->entries[i].value;
        const char *equals;
        const struct node *value;

        if (!node_is_text(item))
            return NULL;
        equals = strchr(item->text, '=');
        value = equals ? node_new_text(load->arena, equals + 1, item->span)
                       : node_new_scalar(load->arena, NODE_NULL, "", item->span);
        node_add(map,
                 equals ? arena_strndup(load->arena, item->text, (size_t)(equals - item->text))
                        : item->text,
                 item->span, value);
    }
    return node_last_wins(load->arena, map);
}

static void check_pair_name(struct load *load, const struct node_entry *entry)
{
    size_t len = strlen(entry->key);

    if (len == 0)
        report_error(&load->report, entry->span, NULL, "%s: a name is missing before the \"=\"",
                     report_path(&load->report));
    else if (entry->key[len - 1] == ' ' || entry->key[len - 1] == '\t')
        report_error(&load->report, entry->span, NULL,
                     "%s: variable \"%s\" is declared with a trailing space",
                     report_path(&load->report), entry->key);
}

static struct pairs read_pairs(struct load *load, const struct node *node, const char *if_null)
{
    struct pairs pairs = {0};

    if (node->kind == NODE_LIST) {
        const struct node *map = pairs_canonical(load, NULL, node);

        if (!map) { /* an item is no text */
            (void)read_items(load, node, want_text);
            return pairs;
        }
        node = map;
    }
    if (node->kind != NODE_MAP) {
        wrong_type(load, node, "a mapping or a list");
        return pairs;
    }
    pairs.items = arena_new_array(load->arena, struct pair, node->n + 1);
    for (size_t i = 0; i < node->n; i++) {
        const struct node_entry *entry = &node->entries[i];
        const char *text = if_null;

        check_pair_name(load, entry);
        report_enter_key(&load->report, entry->key);
        if (!node_is_null(entry->value))
            text = want_scalar_text(load, entry->value);
        report_leave(&load->report);
        pairs.items[pairs.n++] = (struct pair){.name = entry->key, .value = text};
    }
    pairs_sort(&pairs);
    return pairs;
}

static void environment_decode(struct load *load, const struct field *field,
                               const struct node *node, void *object)
{
    *SLOT(struct pairs, object, field) = read_pairs(load, node, NULL);
}

static void labels_decode(struct load *load, const struct field *field, const struct node *node,
                          void *object)
{
    *SLOT(struct pairs, object, field) = read_pairs(load, node, "");
}

static const struct node *pairs_encode(const struct encoder *encoder, const struct field *field,
                                       const void *object)
{
    const struct pairs *pairs = SLOT_CONST(struct pairs, object, field);
    struct node *map = encode_map(encoder, pairs->n);

    for (size_t i = 0; i < pairs->n; i++) {
        const struct pair *pair = &pairs->items[i];

        encode_put(map, pair->name,
                   pair->value ? encode_text(encoder, pair->value) : encode_null(encoder));
    }
    return map->n > 0 ? map : NULL;
}

const struct field_type type_environment = {
    .canonical = pairs_canonical,
    .decode = environment_decode,
    .encode = pairs_encode,
    .schema = {.forms = SCHEMA_LIST | SCHEMA_MAP, .items = &value_schema}};
const struct field_type type_labels = {
    .canonical = pairs_canonical,
    .decode = labels_decode,
    .encode = pairs_encode,
    .schema = {.forms = SCHEMA_LIST | SCHEMA_MAP, .items = &value_schema}};

/* ---- commands ---------------------------------------------------------------------------------
 */

static void split_command(struct load *load, const struct node *node,
                          struct service_command *command)
{
    struct error error = ERROR_INIT;
    char stopped;

    if (shell_words_split(load->arena, node->text, &command->argv, &stopped, &error) < 0)
        report_error(&load->report, node->span, "write it as a list, one item per argument",
                     "%s: %s", report_path(&load->report), error.text);
    else if (stopped)
        report_warning(&load->report, node->span,
                       arena_printf(load->arena, "write [\"sh\", \"-c\", %s]", "\"…\""),
                       "%s ends at the \"%c\": shell operators are not interpreted",
                       report_path(&load->report), stopped);
}

static void command_decode(struct load *load, const struct field *field, const struct node *node,
                           void *object)
{
    struct service_command *command = SLOT(struct service_command, object, field);

    if (node_is_null(node))
        return;
    command->is_set = true;
    if (node_is_text(node))
        split_command(load, node, command);
    else if (node->kind == NODE_LIST)
        command->argv = read_items(load, node, want_text);
    else
        wrong_type(load, node, "a list, null or string");
}

static const struct node *command_encode(const struct encoder *encoder, const struct field *field,
                                         const void *object)
{
    const struct service_command *command = SLOT_CONST(struct service_command, object, field);

    if (!command->is_set)
        return encoder->is_json ? encode_null(encoder) : NULL;
    return encode_strings(encoder, &command->argv);
}

const struct field_type type_command = {
    .decode = command_decode,
    .encode = command_encode,
    .schema = {.forms = SCHEMA_NULL | SCHEMA_TEXT | SCHEMA_LIST, .items = &text_schema}};

static struct node *health_test_canonical(struct load *load, const struct field *field,
                                          const struct node *node)
{
    struct node *list;

    (void)field;
    if (!node_is_text(node))
        return NULL;
    list = node_new(load->arena, NODE_LIST, node->span, 2);
    node_add(list, NULL, node->span, node_new_text(load->arena, "CMD-SHELL", node->span));
    node_add(list, NULL, node->span, node);
    return list;
}

static void health_test_decode(struct load *load, const struct field *field,
                               const struct node *node, void *object)
{
    struct strings *test = SLOT(struct strings, object, field);
    const char *kind;

    if (node_is_null(node))
        return;
    *test = read_items(load, node, want_text);
    if (test->n == 0)
        return;
    kind = test->items[0];
    if (strcmp(kind, "CMD") != 0 && strcmp(kind, "CMD-SHELL") != 0 && strcmp(kind, "NONE") != 0)
        report_error(&load->report, node->span, NULL,
                     "%s must start either by \"CMD\", \"CMD-SHELL\" or \"NONE\"",
                     report_path(&load->report));
    else if (test->n == 1 && strcmp(kind, "NONE") != 0)
        report_error(&load->report, node->span, NULL, "%s: a command is missing after \"%s\"",
                     report_path(&load->report), kind);
}

const struct field_type type_health_test = {
    .canonical = health_test_canonical,
    .decode = health_test_decode,
    .encode = texts_encode,
    .schema = {.forms = SCHEMA_NULL | SCHEMA_TEXT | SCHEMA_LIST, .items = &text_schema}};

/* ---- extra_hosts ------------------------------------------------------------------------------
 */

static const char *const host_gateway = "host-gateway";

/* A mapping becomes a list of "host=address": one per address. */
static struct node *hosts_canonical(struct load *load, const struct field *field,
                                    const struct node *node)
{
    struct node *list;

    (void)field;
    if (node->kind != NODE_MAP)
        return NULL;
    list = node_new(load->arena, NODE_LIST, node->span, node->weight);
    for (size_t i = 0; i < node->n; i++) {
        const struct node_entry *entry = &node->entries[i];
        const struct node *value = entry->value;
        size_t n = value->kind == NODE_LIST ? value->n : 1;

        for (size_t k = 0; k < n; k++) {
            const struct node *address = value->kind == NODE_LIST ? value->entries[k].value : value;

            if (!node_is_text(address))
                return NULL;
            node_add(list, NULL, entry->span,
                     node_new_text(load->arena,
                                   arena_printf(load->arena, "%s=%s", entry->key, address->text),
                                   entry->span));
        }
    }
    return list;
}

/* Adds host → address for each of "a,b"; brackets around an IPv6 address go. */
static void add_hosts(struct load *load, const struct node *item, struct str host,
                      struct str addresses, struct pairs *pairs)
{
    const char *name = arena_strndup(load->arena, host.data, host.len);
    struct str one;

    while (addresses.len > 0) {
        unsigned char binary[16];
        const char *text;
        struct str rest = {0};

        if (!str_cut(addresses, ',', &one, &rest))
            rest.len = 0;
        if (one.len > 2 && one.data[0] == '[' && one.data[one.len - 1] == ']')
            one = (struct str){one.data + 1, one.len - 2};
        text = arena_strndup(load->arena, one.data, one.len);
        if (strcmp(text, host_gateway) != 0 && inet_pton(AF_INET, text, binary) != 1 &&
            inet_pton(AF_INET6, text, binary) != 1)
            report_error(&load->report, item->span, NULL, "%s: invalid ip address: %s",
                         report_path(&load->report), text);
        pairs->items[pairs->n++] = (struct pair){.name = name, .value = text};
        addresses = rest;
    }
}

static size_t count_addresses(const struct node *list)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++) {
        const char *text = list->entries[i].value->text;

        for (n++; text && *text; text++)
            n += *text == ',';
    }
    return n;
}

/* What stands in the mapping where an address, or a list of them, is wanted. */
static void report_wrong_hosts(struct load *load, const struct node *map)
{
    for (size_t i = 0; i < map->n; i++) {
        const struct node *value = map->entries[i].value;

        report_enter_key(&load->report, map->entries[i].key);
        if (value->kind != NODE_LIST && !node_is_text(value))
            wrong_type(load, value, "a list or string");
        for (size_t k = 0; value->kind == NODE_LIST && k < value->n; k++) {
            report_enter_index(&load->report, k);
            (void)want_text(load, value->entries[k].value);
            report_leave(&load->report);
        }
        report_leave(&load->report);
    }
}

/* As texts "name=address"; a name has no '='. */
static int compare_hosts(const void *a, const void *b)
{
    const struct pair *left = a, *right = b;
    size_t n = 0;

    while (left->name[n] && left->name[n] == right->name[n])
        n++;
    if (left->name[n] != right->name[n]) {
        unsigned char first = left->name[n] ? (unsigned char)left->name[n] : '=';
        unsigned char second = right->name[n] ? (unsigned char)right->name[n] : '=';

        return first < second ? -1 : 1;
    }
    return strcmp(left->value, right->value);
}

/* Sorted, and each once: "a=1.1.1.1" and "a:1.1.1.1" are one. */
static void settle_hosts(struct pairs *pairs)
{
    size_t n = 0;

    if (pairs->n > 1)
        qsort(pairs->items, pairs->n, sizeof(pairs->items[0]), compare_hosts);
    for (size_t i = 0; i < pairs->n; i++) {
        if (n == 0 || compare_hosts(&pairs->items[n - 1], &pairs->items[i]) != 0)
            pairs->items[n++] = pairs->items[i];
    }
    pairs->n = n;
}

static void hosts_decode(struct load *load, const struct field *field, const struct node *node,
                         void *object)
{
    struct pairs *pairs = SLOT(struct pairs, object, field);

    if (node->kind == NODE_MAP) { /* the long form failed on a value */
        report_wrong_hosts(load, node);
        return;
    }
    if (node->kind != NODE_LIST) {
        wrong_type(load, node, "a mapping or a list");
        return;
    }
    pairs->items = arena_new_array(load->arena, struct pair, count_addresses(node) + 1);
    for (size_t i = 0; i < node->n; i++) {
        const struct node *item = node->entries[i].value;
        struct str host;
        struct str addresses;
        const char *text;

        report_enter_index(&load->report, i);
        text = want_text(load, item);
        if (text && !str_cut(str_from(text), '=', &host, &addresses) &&
            !str_cut(str_from(text), ':', &host, &addresses))
            report_error(&load->report, item->span, "write it as \"host=address\"",
                         "%s: invalid additional host, missing IP: %s", report_path(&load->report),
                         text);
        else if (text && (host.len == 0 || addresses.len == 0 || memchr(host.data, ' ', host.len)))
            report_error(&load->report, item->span, "write it as \"host=address\"",
                         "%s: bad host name \"%s\"", report_path(&load->report), text);
        else if (text)
            add_hosts(load, item, str_trim(host), str_trim(addresses), pairs);
        report_leave(&load->report);
    }
    settle_hosts(pairs);
}

static const struct node *hosts_encode(const struct encoder *encoder, const struct field *field,
                                       const void *object)
{
    const struct pairs *pairs = SLOT_CONST(struct pairs, object, field);
    struct node *list = encode_list(encoder, pairs->n);

    for (size_t i = 0; i < pairs->n; i++)
        encode_put(list, NULL,
                   encode_text(encoder, arena_printf(encoder->arena, "%s=%s", pairs->items[i].name,
                                                     pairs->items[i].value)));
    return list->n > 0 ? list : NULL;
}

const struct field_type type_extra_hosts = {
    .canonical = hosts_canonical,
    .decode = hosts_decode,
    .encode = hosts_encode,
    .schema = {.forms = SCHEMA_LIST | SCHEMA_MAP, .items = &host_schema}};
