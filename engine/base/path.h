#pragma once

/* Lexical path work: no file system is touched. */

#include <stdbool.h>

struct arena;

/* Like path.Clean: "a//b/./../c" → "a/c"; "" → "."; never ends with '/', except "/" itself. */
char *path_clean(struct arena *arena, const char *path);

/* path_clean(base + "/" + path); an absolute path wins. */
char *path_join(struct arena *arena, const char *base, const char *path);

char *path_dir(struct arena *arena, const char *path); /* "/a/b" → "/a"; "a" → "." */
const char *path_base(const char *path);               /* borrowed: "/a/b" → "b" */
bool path_is_absolute(const char *path);

/* True if a path (cleaned) is `root` or below it. */
bool path_is_below(const char *path, const char *root);
