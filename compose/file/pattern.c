/* Compiled regular expressions. */

#include "compose/file/pattern.h"

#include <regex.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"

enum { PATTERN_TEXT_MAX = 4096 }; /* what such keys say is short; matching takes time */

struct compiled_pattern {
    const char *pattern;
    regex_t regex;
};

void patterns_release(struct patterns *patterns)
{
    for (size_t i = 0; i < patterns->items.n; i++)
        regfree(&patterns->items.items[i]->regex);
    vec_release(&patterns->items);
}

static struct compiled_pattern *find_compiled(struct patterns *patterns, const char *pattern)
{
    struct compiled_pattern *compiled;

    for (size_t i = 0; i < patterns->items.n; i++) {
        if (patterns->items.items[i]->pattern == pattern)
            return patterns->items.items[i];
    }
    compiled = arena_new(patterns->arena, struct compiled_pattern);
    compiled->pattern = pattern;
    if (regcomp(&compiled->regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        BUG(); /* tests/unit/compose/shapes.c compiles them all */
    vec_push(&patterns->items, compiled);
    return compiled;
}

bool patterns_match(struct patterns *patterns, const char *pattern, const char *text)
{
    if (strlen(text) > PATTERN_TEXT_MAX)
        return false;
    return regexec(&find_compiled(patterns, pattern)->regex, text, 0, NULL, 0) == 0;
}
