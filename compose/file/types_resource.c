/* Types of networks' and volumes' keys. */

#include <arpa/inet.h>
#include <string.h>

#include "compose/file/load.h"
#include "compose/file/node.h"
#include "compose/file/types.h"
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

static void resource_decode(struct load *load, const struct field *field, const struct node *node,
                            void *object)
{
    (void)load;
    (void)field;
    (void)node;
    (void)object; /* bound by the section's type */
}

const struct field_type type_resource = {.canonical = resource_canonical,
                                         .decode = resource_decode,
                                         .schema = {.forms = SCHEMA_MAP | SCHEMA_NULL}};

static const struct node *plain_encode(const struct encoder *encoder, const struct field *field,
                                       const void *object)
{
    return encode_text(encoder, *SLOT_CONST(char *, object, field));
}

/* ---- drivers ----------------------------------------------------------------------------------
 */

static void decode_driver(struct load *load, const struct field *field, const struct node *node,
                          void *object, const char *only)
{
    const char *text = want_text(load, node);

    if (text && *text && strcmp(text, only) != 0)
        report_error(&load->report, node->span, arena_printf(load->arena, "only \"%s\" is", only),
                     "%s: driver \"%s\" is not supported yet", report_subject(&load->report), text);
    *SLOT(const char *, object, field) = text && *text ? text : NULL;
}

static void network_driver_decode(struct load *load, const struct field *field,
                                  const struct node *node, void *object)
{
    decode_driver(load, field, node, object, "bridge");
}

static void volume_driver_decode(struct load *load, const struct field *field,
                                 const struct node *node, void *object)
{
    decode_driver(load, field, node, object, "local");
}

const struct field_type type_network_driver = {
    .decode = network_driver_decode, .encode = plain_encode, .schema = {.forms = SCHEMA_TEXT}};
const struct field_type type_volume_driver = {
    .decode = volume_driver_decode, .encode = plain_encode, .schema = {.forms = SCHEMA_TEXT}};

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

static void ipam_driver_decode(struct load *load, const struct field *field,
                               const struct node *node, void *object)
{
    const char *text = want_text(load, node);

    (void)field;
    (void)object;
    if (text && *text && strcmp(text, "default") != 0)
        report_error(&load->report, node->span, "only \"default\" is",
                     "%s: ipam driver \"%s\" is not supported yet", report_subject(&load->report),
                     text);
}

const struct field_type type_ipam_driver = {.decode = ipam_driver_decode,
                                            .schema = {.forms = SCHEMA_TEXT}};

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

static bool is_ipv4(struct str text)
{
    char copy[INET_ADDRSTRLEN + 1];
    unsigned char binary[4];

    if (text.len == 0 || text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    return inet_pton(AF_INET, copy, binary) == 1;
}

static void report_address(struct load *load, const struct node *node, const char *wanted)
{
    bool is_ipv6 = strchr(node->text, ':') != NULL;

    report_error(&load->report, node->span, is_ipv6 ? "IPv6 is not supported yet" : NULL,
                 "%s: \"%s\" is no %s", report_path(&load->report), node->text, wanted);
}

static void ipv4_decode(struct load *load, const struct field *field, const struct node *node,
                        void *object)
{
    const char *text = want_text(load, node);

    if (text && !is_ipv4(str_from(text)))
        report_address(load, node, "IPv4 address");
    *SLOT(const char *, object, field) = text;
}

static void subnet_decode(struct load *load, const struct field *field, const struct node *node,
                          void *object)
{
    const char *text = want_text(load, node);
    struct str address;
    struct str length;
    uint64_t bits;

    if (text && (!str_cut(str_from(text), '/', &address, &length) || !is_ipv4(address) ||
                 parse_u64(length, 1, 30, &bits, NULL) < 0))
        report_address(load, node, "IPv4 subnet such as 172.28.0.0/16");
    *SLOT(const char *, object, field) = text;
}

const struct field_type type_ipv4 = {
    .decode = ipv4_decode, .encode = plain_encode, .schema = {.forms = SCHEMA_TEXT}};
const struct field_type type_subnet = {
    .decode = subnet_decode, .encode = plain_encode, .schema = {.forms = SCHEMA_TEXT}};
