/* Destructors for the cleanup attributes. */

#include "engine/base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void cleanup_free_ptr(void *slot)
{
    int saved = errno;
    void *memory;

    /* The slot's real type is some `T *`: read it as bytes, not through void **. */
    memcpy(&memory, slot, sizeof(memory));
    free(memory);
    errno = saved;
}

void cleanup_close_fd(const int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        close(*fd);
    errno = saved;
}

void cleanup_close_dir(void *slot)
{
    int saved = errno;
    DIR *dir;

    memcpy(&dir, slot, sizeof(dir));
    if (dir)
        closedir(dir);
    errno = saved;
}
