#pragma once

/* Intrusive doubly linked list: a ring through `struct list` members. */

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

void list_init(struct list *head);
bool list_is_empty(const struct list *head);
void list_append(struct list *head, struct list *item);
void list_remove(struct list *item); /* item is a ring of its own after */

#define list_for_each(pos, head)                                                                   \
    for (struct list *pos = (head)->next, *pos##_next = pos->next; pos != (head);                  \
         pos = pos##_next, pos##_next = pos->next) /* the current item may be removed */
