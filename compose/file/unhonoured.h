#pragma once

/* What a project asks for that `up` would have to ignore: noted while it is read, refused when
 * containers are to be made (private to compose/file). */

#include "compose/file/field.h"

struct load;
struct node;
struct node_entry;

/* The key `entry` at the report's path (already entered) says `value`; NULL: nothing. Kept keys are
 * put on the project's list; keys of elsewhere get their warning, once per file. */
void unhonoured_note(struct load *load, const struct field *field, const struct node_entry *entry,
                     const struct node *value);
/* Puts one value of a key that is honoured otherwise on the list: "volumes[0].type: image". */
void unhonoured_note_value(struct load *load, const struct node *value);
/* The same for a label that matters only where files have any. */
void unhonoured_note_selinux(struct load *load, const struct node *value);
