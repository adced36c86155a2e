#pragma once

/* !reset and !override on a list's items (private to compose/file): `ports: [!reset "80:80"]`.
 *
 * What the specification leaves open, and nobody else has: `!reset X` removes from the files before
 * the item that X would replace there (of the same unicity key; in lists without one, an equal
 * item); `!override X` puts X in its place, or at the end. Both act on what the files before gave,
 * never on their own list, and the items without a tag are appended afterwards. */

#include <stdbool.h>

struct field;
struct load;
struct node;

bool item_tags_any(const struct node *node);

/* The long form of a list that has tagged items: their entries carry the tags. A list may become a
 * mapping, whose tagged values merge as any others. */
const struct node *item_tags_canonical(struct load *load, const struct field *field,
                                       const struct node *list);

/* `base`, edited by the tagged items of `over`. */
struct node *item_tags_apply(struct load *load, const struct field *field, const struct node *base,
                             const struct node *over);

/* `list`, made by merging `over`, with over's tags again, for what it is merged over next. It has
 * room for over->n more entries. */
void item_tags_keep(struct load *load, const struct field *field, struct node *list,
                    const struct node *over);
