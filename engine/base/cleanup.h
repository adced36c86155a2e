#pragma once

/* Scope-bound ownership: the attribute stands at the declaration, moving out is explicit (style
 * S7). Every destructor accepts the null value and keeps errno. */

#include <stddef.h>

void cleanup_free_ptr(void *slot); /* slot is the address of a pointer from malloc */
void cleanup_close_fd(const int *fd);
void cleanup_close_dir(void *slot); /* slot is the address of a DIR * */

#define cleanup_free __attribute__((cleanup(cleanup_free_ptr)))
#define cleanup_fd   __attribute__((cleanup(cleanup_close_fd)))
#define cleanup_dir  __attribute__((cleanup(cleanup_close_dir)))

/* Move an fd out of a cleanup_fd variable: returns it, leaves -1. */
static inline int fd_take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* Move a pointer out of a cleanup_free variable: returns it, leaves NULL. */
#define ptr_take(slot)                                                                             \
    ({                                                                                             \
        __typeof__(*(slot)) taken_ = *(slot);                                                      \
        *(slot) = NULL;                                                                            \
        taken_;                                                                                    \
    })
