#pragma once

/* Nodes → text (private to compose/file). Dollars in values are doubled, so that the text can be
 * loaded again. */

struct buf;
struct node;

/* A mapping as a YAML document, two spaces a level, lists indented below their key. */
void node_print_yaml(struct buf *out, const struct node *root);
/* As JSON, two spaces a level, with a newline at the end. */
void node_print_json(struct buf *out, const struct node *root);
