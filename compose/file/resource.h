#pragma once

/* What top-level networks, volumes, secrets, configs and models have in common, and where services
 * refer to them (private to compose/file). */

#include <stdbool.h>

#include "compose/file/project.h"

struct load;
struct shape;

struct resource_section {
    const char *key;  /* "networks" */
    const char *noun; /* "network" */
    const struct shape *shape;
    bool has_final_name; /* "<project>_<key>", unless it says one */
    /* Keys of which one says where it comes from, NULL at the end; NULL: any key goes. */
    const char *const *origins;
};

extern const struct resource_section resource_sections[RESOURCE_KINDS];

/* RESOURCE_KINDS if it is none. */
enum resource_kind resource_kind_of(const char *section);

struct resource *resource_at(const struct resource_list *list, enum resource_kind kind, size_t i);
size_t resource_index(const struct resource_list *list, enum resource_kind kind,
                      const struct resource *resource);
/* Of the key with these `len` bytes; NULL if there is none. */
const struct resource *resource_find(const struct resource_list *list, enum resource_kind kind,
                                     const char *key, size_t len);

/* A place where a service names a resource. */
struct resource_reference {
    enum resource_kind kind;
    const char *key;
    const char *what; /* "network", "build secret" */
    struct span span;
};

typedef void (*resource_reference_fn)(void *context, const struct resource_reference *reference);
void resource_references(const struct service *service, resource_reference_fn visit, void *context);
