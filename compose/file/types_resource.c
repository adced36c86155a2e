/* Types of the keys of top-level resources. */

#include <arpa/inet.h>
#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/types.h"
#include "compose/file/unhonoured.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/units.h"

static const struct node *true_node(struct load *load, struct span span)
{
    return node_new_scalar(load->arena, NODE_BOOL, "true", span);
}

/* external: {name: n} → external: true, name: n */
static struct node *resource_canonical(struct load *load, const struct field *field,
                                       const struct node *node)
{
    const struct node *external = node_get(node, "external");
    const struct node *name = node_get(node, "name");
    const struct node *outer = node_get(external, "name");
    struct node *map;

    (void)field;
    if (!external || external->kind != NODE_MAP || external->n != 1 || !outer ||
        !node_is_text(outer))
        return NULL;
    report_warning(&load->report, external->span, NULL,
                   "%s: external.name is deprecated, set name and external: true",
                   report_path(&load->report));
    if (name && node_is_text(name) && strcmp(name->text, outer->text) != 0)
        report_error(&load->report, outer->span, NULL,
                     "%s: name and external.name conflict; only use name",
                     report_path(&load->report));
    map = node_new(load->arena, NODE_MAP, node->span, node->n + 1);
    for (size_t i = 0; i < node->n; i++) {
        const struct node_entry *entry = &node->entries[i];

        node_add(map, entry->key, entry->span,
                 entry->value == external ? true_node(load, external->span) : entry->value);
    }
    if (!name)
        node_add(map, "name", external->span, outer);
    return map;
}

const struct field_type type_resource = {.canonical = resource_canonical,
                                         .decode = decode_nothing,
                                         .schema = {.forms = SCHEMA_MAP | SCHEMA_NULL}};
const struct field_type type_file_object = {
    .canonical = resource_canonical, .decode = decode_nothing, .schema = {.forms = SCHEMA_MAP}};

static const struct node *plain_encode(const struct encoder *encoder, const struct field *field,
                                       const void *object)
{
    return encode_text(encoder, *SLOT_CONST(char *, object, field));
}

/* ---- content ----------------------------------------------------------------------------------
 */

static void content_decode(struct load *load, const struct field *field, const struct node *node,
                           void *object)
{
    const char *text = want_text(load, node);

    if (text && !*text) /* an empty file is one, too */
        unhonoured_note_value(load, node);
    *SLOT(const char *, object, field) = text;
}

const struct field_type type_content = {.decode = content_decode,
                                        .encode = plain_encode,
                                        .schema = {.forms = SCHEMA_TEXT},
                                        .judges = true};

/* ---- options of drivers -----------------------------------------------------------------------
 */

static const struct node *keep_driver_option(struct load *load, const struct field *field,
                                             const struct node *node)
{
    bool takes_null = (field->type->schema.forms & SCHEMA_NULL) != 0;
    const char *text = NULL;

    if (node->kind != NODE_SCALAR || (node_is_null(node) && !takes_null) || node->type == NODE_BOOL)
        wrong_type(load, node, takes_null ? "null, a number or string" : "a number or string");
    else
        text = want_scalar_text(load, node);
    return text ? node_new_text(load->arena, text, node->span) : NULL;
}

const struct field_type kept_driver_option = {.keep = keep_driver_option,
                                              .schema = {.forms = SCHEMA_NUMBER | SCHEMA_TEXT}};
const struct field_type kept_log_option = {
    .keep = keep_driver_option, .schema = {.forms = SCHEMA_NUMBER | SCHEMA_TEXT | SCHEMA_NULL}};

/* ---- ipam -------------------------------------------------------------------------------------
 */

static void ipam_decode(struct load *load, const struct field *field, const struct node *node,
                        void *object)
{
    if (want_kind(load, node, WANT_MAP))
        shape_decode(load, field->shape, node, object);
}

static const struct node *ipam_encode(const struct encoder *encoder, const struct field *field,
                                      const void *object)
{
    struct node *map = shape_encode(encoder, field->shape, object);

    return map->n > 0 || encoder->is_json ? map : NULL;
}

const struct field_type type_ipam = {
    .decode = ipam_decode, .encode = ipam_encode, .schema = {.forms = SCHEMA_MAP}};

/* A network has one pool, yet. */
static const struct field further_pool = {.state = FIELD_KEPT};

static void pools_decode(struct load *load, const struct field *field, const struct node *node,
                         void *object)
{
    struct network *network = object;

    if (!want_kind(load, node, WANT_LIST))
        return;
    network->pools = arena_new_array(load->arena, struct network_pool, node->n + 1);
    for (size_t i = 0; i < node->n; i++) {
        const struct node *item = node->entries[i].value;

        report_enter_index(&load->report, i);
        if (want_kind(load, item, WANT_MAP))
            shape_decode(load, field->shape, item, &network->pools[network->n_pools++]);
        if (i > 0)
            unhonoured_note(load, &further_pool, &node->entries[i], item);
        report_leave(&load->report);
    }
}

static const struct node *pools_encode(const struct encoder *encoder, const struct field *field,
                                       const void *object)
{
    const struct network *network = object;
    struct node *list = encode_list(encoder, network->n_pools);

    for (size_t i = 0; i < network->n_pools; i++)
        encode_put(list, NULL, shape_encode(encoder, field->shape, &network->pools[i]));
    return list->n > 0 ? list : NULL;
}

const struct field_type type_pools = {
    .decode = pools_decode, .encode = pools_encode, .schema = {.forms = SCHEMA_LIST}};

/* ---- addresses --------------------------------------------------------------------------------
 */

/* AF_INET, AF_INET6, or AF_UNSPEC when it is no address. */
static int address_family(struct str text)
{
    char copy[INET6_ADDRSTRLEN + 1];
    unsigned char binary[16];

    if (text.len == 0 || text.len >= sizeof(copy))
        return AF_UNSPEC;
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    if (inet_pton(AF_INET, copy, binary) == 1)
        return AF_INET;
    return inet_pton(AF_INET6, copy, binary) == 1 ? AF_INET6 : AF_UNSPEC;
}

/* "ADDRESS/BITS", with room for two hosts. */
static int subnet_family(const char *text)
{
    struct str address;
    struct str length;
    uint64_t bits;
    int family;

    if (!str_cut(str_from(text), '/', &address, &length))
        return AF_UNSPEC;
    family = address_family(address);
    return parse_u64(length, 1, family == AF_INET ? 30 : 126, &bits, NULL) < 0 ? AF_UNSPEC : family;
}

static void report_address(struct load *load, const struct node *node, const char *wanted)
{
    report_error(&load->report, node->span, NULL, "%s: \"%s\" is no %s", report_path(&load->report),
                 node->text, wanted);
}

static void ipv4_decode(struct load *load, const struct field *field, const struct node *node,
                        void *object)
{
    const char *text = want_text(load, node);

    if (text && address_family(str_from(text)) != AF_INET)
        report_address(load, node, "IPv4 address");
    *SLOT(const char *, object, field) = text;
}

/* IPv6 is kept. */
static void bind_address(struct load *load, const struct field *field, const struct node *node,
                         void *object, int family)
{
    if (family == AF_INET6)
        unhonoured_note_value(load, node);
    *SLOT(const char *, object, field) = node->text;
}

static void subnet_decode(struct load *load, const struct field *field, const struct node *node,
                          void *object)
{
    const char *text = want_text(load, node);
    int family = text ? subnet_family(text) : AF_UNSPEC;

    if (text && family == AF_UNSPEC)
        report_address(load, node, "subnet such as 172.28.0.0/16");
    if (family != AF_UNSPEC)
        bind_address(load, field, node, object, family);
}

static void gateway_decode(struct load *load, const struct field *field, const struct node *node,
                           void *object)
{
    const char *text = want_text(load, node);
    int family = text ? address_family(str_from(text)) : AF_UNSPEC;

    if (text && family == AF_UNSPEC)
        report_address(load, node, "address");
    if (family != AF_UNSPEC)
        bind_address(load, field, node, object, family);
}

static const struct node *keep_subnet(struct load *load, const struct field *field,
                                      const struct node *node)
{
    (void)field;
    if (!want_text(load, node))
        return NULL;
    if (subnet_family(node->text) == AF_UNSPEC)
        report_address(load, node, "subnet such as 172.28.5.0/24");
    return node;
}

const struct field_type type_ipv4 = {
    .decode = ipv4_decode, .encode = plain_encode, .schema = {.forms = SCHEMA_TEXT}};
const struct field_type type_subnet = {.decode = subnet_decode,
                                       .encode = plain_encode,
                                       .schema = {.forms = SCHEMA_TEXT},
                                       .judges = true};
const struct field_type type_gateway = {.decode = gateway_decode,
                                        .encode = plain_encode,
                                        .schema = {.forms = SCHEMA_TEXT},
                                        .judges = true};
const struct field_type kept_subnet = {.keep = keep_subnet, .schema = {.forms = SCHEMA_TEXT}};
