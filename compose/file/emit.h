#pragma once

/* Nodes → text (private to compose/file). Mappings are printed sorted, those that have an order of
 * their own (node.h) in that one. Dollars in values are doubled, so that the text can be
 * loaded again; or left as they are, where variables are still to be filled in. */

struct buf;
struct node;

enum dollars { DOLLARS_DOUBLED, DOLLARS_PLAIN };

/* A mapping as a YAML document, two spaces a level, lists indented below their key. */
void node_print_yaml(struct buf *out, const struct node *root, enum dollars dollars);
/* As JSON, two spaces a level, with a newline at the end. */
void node_print_json(struct buf *out, const struct node *root, enum dollars dollars);
